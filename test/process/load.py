# SPDX-License-Identifier: Apache-2.0
"""Clients that write and read all the time while something is done to a cluster, and what is demanded of their history afterwards."""
import json
import os
import pathlib
import signal
import subprocess
import tempfile

from harness import BUILD, wait_until

CHAOS = BUILD / "test/process/lash-chaos"
CLIENTS = 8
SECONDS_MAX = 400


def read_history(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def is_write(operation):
    return operation["outcome"] == "ok" and (operation["op"] == "put" or operation.get("swapped", False))


def find_revision_out_of_order(writes):
    """Two acknowledged writes of which the later one, in real time, has the smaller or the same revision; or None."""
    events = sorted([(write["start_ns"], 0, i) for i, write in enumerate(writes)] +
                    [(write["end_ns"], 1, i) for i, write in enumerate(writes)])
    newest, least = None, {}
    for _, is_end, i in events:
        if not is_end:
            least[i] = newest
        else:
            before = least.pop(i)
            if before is not None and writes[before]["revision"] >= writes[i]["revision"]:
                return writes[before], writes[i]
            if newest is None or writes[newest]["revision"] < writes[i]["revision"]:
                newest = i
    return None


class Load:
    """The clients of lash-chaos on some endpoints, which need not all be served. `test` is who fails when something is wrong."""

    def __init__(self, test, endpoints, clients=CLIENTS, seconds=SECONDS_MAX):
        self.test = test
        directory = tempfile.TemporaryDirectory(prefix="lash-load-")
        test.addCleanup(directory.cleanup)
        self.history = pathlib.Path(directory.name) / "history.jsonl"
        self.clients = subprocess.Popen([str(CHAOS), "--clients", str(clients), "--seconds", str(seconds), "run", endpoints,
                                         str(self.history)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        test.addCleanup(self.clients.stdout.close)
        test.addCleanup(self.clients.wait)
        test.addCleanup(self.clients.kill)
        wait_until(lambda: self.size() > 0, 10, "no operation completes")

    def size(self):
        return self.history.stat().st_size if self.history.exists() else 0

    def wait_for_more(self, seconds=10):
        """Until a good many more operations have completed."""
        size = self.size()
        wait_until(lambda: self.size() > size + 65536, seconds, "no operation completes any more")

    def stop(self):
        """End the clients; their summary."""
        self.test.assertIsNone(self.clients.poll(), "the clients ended early")
        self.clients.send_signal(signal.SIGTERM)
        return json.loads(self.clients.communicate(timeout=30)[0])

    def operations(self):
        return read_history(self.history)

    def writes(self):
        """Those that were acknowledged."""
        return [operation for operation in self.operations() if is_write(operation)]

    def check_every_write_is_there(self, writes, endpoints):
        """Each at the revision that it was acknowledged with, on every one of the endpoints, and revisions in the order of time."""
        self.test.assertIsNone(find_revision_out_of_order(writes))
        revisions = [write["revision"] for write in writes]
        self.test.assertEqual(len(set(revisions)), len(revisions), "two writes have the same revision")
        result = subprocess.run([str(CHAOS), "verify", endpoints, str(self.history)], capture_output=True, text=True,
                                check=False, timeout=120)
        self.test.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        nodes = len(endpoints.split(","))
        self.test.assertEqual(json.loads(result.stdout), {"found": len(writes) * nodes, "missing": 0})
        print(f"{len(writes)} acknowledged writes are on each of the {nodes} nodes", flush=True)

    def check_linearizable(self):
        """Key by key as registers; and all keys together with the revisions that the answers told."""
        for model in "register", "store":
            result = subprocess.run([str(BUILD / "lash-linear"), "--model", model, "--timeout", "240", "--memory", "4096",
                                     str(self.history)], capture_output=True, text=True, check=False, timeout=300)
            if result.returncode != 0:
                kept = pathlib.Path(tempfile.gettempdir()) / f"lash-history-{os.getpid()}.jsonl"
                kept.write_bytes(self.history.read_bytes())
                self.test.fail(f"{result.stdout}{result.stderr}the history is kept as {kept}")
            print(result.stdout.strip(), flush=True)
