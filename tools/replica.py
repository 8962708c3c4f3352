# SPDX-License-Identifier: Apache-2.0
"""Replicas of lashd as processes: how one is started, watched and asked. Shared by `make up` and the process tests."""
import dataclasses
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("LASH_BUILD", ROOT / "build"))
HOST = "127.0.0.1"
POLL_SECONDS = 0.02
READY = "ready to serve client requests"


class Trouble(Exception):
    """Something that a person has to know; the text says what."""


def wait_until(condition, seconds, what):
    """Poll `condition` until it returns something true, which is returned; Trouble after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() >= end:
            raise Trouble(f"waited {seconds:g} s in vain: {what}")
        time.sleep(POLL_SECONDS)


def port_is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


@dataclasses.dataclass
class Replica:
    """One lashd: its name, ports and files, and its process while it runs."""
    name: str
    client_port: int
    peer_port: int
    directory: pathlib.Path
    log: pathlib.Path
    process: subprocess.Popen = None
    program: pathlib.Path = BUILD / "lashd"

    @property
    def endpoint(self):
        return f"{HOST}:{self.client_port}"

    @property
    def peer_url(self):
        return f"http://{HOST}:{self.peer_port}"

    def command(self, members, *flags):
        client_url = f"http://{self.endpoint}"
        return [str(self.program), "--name", self.name, "--data-dir", str(self.directory),
                "--listen-client-urls", client_url, "--advertise-client-urls", client_url,
                "--listen-peer-urls", self.peer_url, "--initial-advertise-peer-urls", self.peer_url,
                "--initial-cluster", ",".join(f"{member.name}={member.peer_url}" for member in members), *flags]

    def start(self, members, *flags):
        """Start the process in a session of its own; its log goes to the end of the log file."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as log:
            # pylint: disable-next=consider-using-with
            self.process = subprocess.Popen(self.command(members, *flags), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """SIGKILL, and wait for the end."""
        self.process.kill()
        self.process.wait()

    def stop(self, seconds=15):
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=seconds)

    def log_text(self):
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def log_tail(self, lines=8):
        return "\n".join("    " + line for line in self.log_text().splitlines()[-lines:])

    def status(self, seconds=2):
        """What Maintenance.Status says, or None when it cannot be had."""
        done = lashctl("endpoint", "status", "-w", "json", endpoints=[self], seconds=seconds)
        if done.returncode != 0:
            return None
        return json.loads(done.stdout)[0]["Status"]


def lashctl(*arguments, endpoints, seconds=5, stdin=None):
    """Run build/lashctl against some replicas; the finished process with its texts."""
    command = [str(BUILD / "lashctl"), "--endpoints", ",".join(replica.endpoint for replica in endpoints),
               "--command-timeout", f"{seconds}s", *arguments]
    return subprocess.run(command, input=stdin, stdin=subprocess.DEVNULL if stdin is None else None,
                          capture_output=True, text=True, timeout=seconds + 30, check=False)


def leader_of(replicas):
    """The one replica that all of `replicas` name as leader and that is among them, else None."""
    statuses = [replica.status() for replica in replicas]
    if not all(statuses):
        return None
    leaders = {status.get("leader", 0) for status in statuses}
    members = {status["header"]["member_id"]: replica for status, replica in zip(statuses, replicas)}
    return members.get(leaders.pop()) if len(leaders) == 1 else None


def wait_for_leader(replicas, seconds=30):
    """The leader on which all of `replicas` agree."""
    def agreed():
        for replica in replicas:
            if not replica.running():
                raise Trouble(f"{replica.name} has ended by itself; its last words:\n{replica.log_tail()}")
        return leader_of(replicas)
    try:
        return wait_until(agreed, seconds, "no leader on which all agree")
    except Trouble as trouble:
        tails = "\n".join(f"  {replica.name} ({replica.log}):\n{replica.log_tail()}" for replica in replicas)
        raise Trouble(f"{trouble}\n{tails}") from None


def wait_for_same_state(replicas, seconds=30):
    """Wait until all of `replicas` have applied the same index, which is returned."""
    def same():
        statuses = [replica.status() for replica in replicas]
        applied = {status["raftAppliedIndex"] for status in statuses if status}
        return applied.pop() if all(statuses) and len(applied) == 1 else None
    return wait_until(same, seconds, "the replicas have not applied the same index")
