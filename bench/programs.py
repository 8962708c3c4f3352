# SPDX-License-Identifier: Apache-2.0
"""The programs that are measured: how each is built, started with its recommended settings, asked and named."""
import contextlib
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "test/process"))
# pylint: disable-next=wrong-import-position
from harness import BUILD, HOST, Cluster, Ports, lashctl, wait_until  # noqa: E402
# pylint: disable-next=wrong-import-position
from replica import Trouble  # noqa: E402

PEERS = BUILD / "bench/peers"
UNPACKED_GO = ROOT / "build/tools/go/go/bin/go"  # where tools/setup.sh puts one if the machine has none, or an old one
GO_PEERS = ("etcd", "hashicorp")
ELECTION_MS = 1000  # the default of lashd and etcd alike, with heartbeats of 100 ms
READY_SECONDS = 60
EXTRA_SECONDS = 120  # what a run may take beyond what it measures
FILLED_A_SECOND = 5000  # keys, at least, where each is put before

SETTINGS = {
    "Lash": "as it comes: `lash-bench commit` (a snapshot every 64 MiB of log, of which 64 MiB are kept), and lashd without flags",
    "floor": "`lash-bench floor`: the same processes, batches, bytes, sockets and syncs without any protocol",
    "canonical": "canonical's raft with its own libuv I/O (direct writes with RWF_DSYNC); all that clients want in one turn of "
                 "the loop is one raft_apply; pre-vote on; a snapshot every 65,536 entries, of which 8,192 are kept "
                 "(defaults: 1,024 and 128)",
    "hashicorp": "hashicorp/raft with raft-boltdb v2 (no free list sync, free list as a map) behind a LogCache of 16,384, TCP "
                 "transport, BatchApplyCh, MaxAppendEntries 256 (default 64; 1,024 was no faster), a BatchingFSM, log off",
    "etcd": "etcd as it comes, with --quota-backend-bytes 8 GiB so that it takes all data; its own log at level error",
    "Redis": "one redis-server, appendonly yes, appendfsync always, save off: not replicated",
}


def run_json(command, seconds):
    """The JSON in the last line of a program's output."""
    command = [str(word) for word in command]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + EXTRA_SECONDS,
                              stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise Trouble(f"{' '.join(command)}: no end after {seconds + EXTRA_SECONDS:g} s") from None
    if done.returncode != 0:
        raise Trouble(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
    result = json.loads(done.stdout.splitlines()[-1])
    if result.get("operations") == 0:
        raise Trouble(f"{' '.join(command)}: not one operation in that time; the machine is too busy")
    result["command"] = " ".join(command).replace(str(ROOT) + "/", "")
    return result


# ---- Building ----------------------------------------------------------------------------------------


def go_program():
    return str(UNPACKED_GO) if UNPACKED_GO.exists() else shutil.which("go")


def build(say):
    """Build all that there is the means for."""
    targets = ["programs", "bench/peers/bench-redis"]
    if subprocess.run(["pkg-config", "--exists", "raft"], check=False).returncode == 0:
        targets.append("bench/peers/bench-canonical")
    say("building Lash and the C programs")
    subprocess.run(["ninja", "-C", str(BUILD), "build.ninja"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", str(BUILD), *targets], check=True, stdout=subprocess.DEVNULL)
    if not go_program():
        say("there is no go: hashicorp/raft and etcd are left out; tools/setup.sh bench fetches one")
        return
    for name in GO_PEERS:
        say(f"building {name} (the first time this downloads it through the Go module proxy)")
        subprocess.run([go_program(), "build", "-o", str(PEERS / name), "."], cwd=ROOT / "bench/peers" / name, check=True)


def need(path):
    """The path of a program that may not be there, or Trouble."""
    if not path or not pathlib.Path(path).exists():
        raise Trouble(f"{pathlib.Path(path or 'a program').name} is not here")
    return str(path)


# ---- Commits through libraries -----------------------------------------------------------------------

COMMITTERS = {"Lash": (BUILD / "lash-bench", "commit"), "floor": (BUILD / "lash-bench", "floor"),
              "canonical": (PEERS / "bench-canonical",), "hashicorp": (PEERS / "hashicorp",)}


def commit(name, settings, clients=1024, value=256, replicas=3):
    program, *words = COMMITTERS[name]
    return run_json([need(program), *words, "--replicas", replicas, "--clients", clients, "--value", value, "--seconds",
                     settings.seconds, "--warm-up", settings.warm_up], settings.seconds + settings.warm_up)


def disk():
    return run_json([need(BUILD / "lash-bench"), "disk", "--seconds", 1], 1)


# ---- Servers -----------------------------------------------------------------------------------------


def load(kind, endpoints, settings, *, clients=1024, value=256, keys=10000, seconds=None, warm_up=None):
    """lash-bench put, get or txn on a server."""
    seconds = settings.seconds if seconds is None else seconds
    warm_up = settings.warm_up if warm_up is None else warm_up
    return run_json([need(BUILD / "lash-bench"), kind, "--endpoints", endpoints, "--clients", clients, "--value", value,
                     "--keys", keys, "--seconds", seconds, "--warm-up", warm_up],
                    seconds + warm_up + EXTRA_SECONDS + keys / FILLED_A_SECOND)


def answers(endpoint):
    return lashctl(endpoint, "--command-timeout", "1s", "get", "bench/none").returncode == 0


def statuses(endpoints):
    """{endpoint: whether it leads}."""
    done = lashctl(endpoints, "endpoint", "status", "-w", "json")
    if done.returncode != 0:
        raise Trouble(done.stderr.strip())
    return {one["Endpoint"]: one["Status"]["leader"] == one["Status"]["header"]["member_id"]
            for one in json.loads(done.stdout)}


class Servers:
    """What rows ask of a cluster, Lash's or etcd's: its endpoints with the leader's first, as a single connection goes there
    with either, and its processes."""

    def __init__(self, all_endpoints, process_of):
        self.all = all_endpoints
        self.process_of = process_of

    @property
    def endpoints(self):
        leads = statuses(",".join(self.all))
        return ",".join(sorted(self.all, key=lambda endpoint: not leads.get(endpoint)))

    def kill_leader(self):
        leader = self.endpoints.split(",", maxsplit=1)[0]
        self.process_of(leader).kill()

    def resident_bytes(self):
        """Of the largest member."""
        return max(resident_bytes(self.process_of(endpoint).pid) for endpoint in self.all)


def resident_bytes(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise Trouble(f"process {pid} tells nothing of its memory")


class Lash(Cluster):
    """lashd, three of them or as many as asked for."""

    @property
    def servers(self):
        by_endpoint = {replica.endpoint: replica for replica in self.replicas}
        return Servers(list(by_endpoint), lambda endpoint: by_endpoint[endpoint].process)

    def restart(self):
        """Kill all and start them again."""
        for replica in self.replicas:
            replica.kill()
        for replica in self.replicas:
            self.start(replica)


class Etcd:
    """Members of etcd on loopback."""

    def __init__(self, size=3):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="bench-etcd-"))
        self.ports = Ports(2 * size)
        self.clients, self.peers = self.ports.numbers[:size], self.ports.numbers[size:]
        self.processes = {}

    def __enter__(self):
        try:
            self.start()
            wait_until(lambda: lashctl(",".join(self.processes), "endpoint", "health").returncode == 0, READY_SECONDS,
                       "etcd does not answer")
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self):
        members = ",".join(f"n{i}=http://{HOST}:{port}" for i, port in enumerate(self.peers))
        for i, (client, peer) in enumerate(zip(self.clients, self.peers)):
            url, peer_url = f"http://{HOST}:{client}", f"http://{HOST}:{peer}"
            with open(self.directory / f"n{i}.log", "ab") as log:
                # pylint: disable-next=consider-using-with
                self.processes[f"{HOST}:{client}"] = subprocess.Popen(
                    [need(PEERS / "etcd"), "--name", f"n{i}", "--data-dir", str(self.directory / f"n{i}"),
                     "--listen-client-urls", url, "--advertise-client-urls", url, "--listen-peer-urls", peer_url,
                     "--initial-advertise-peer-urls", peer_url, "--initial-cluster", members, "--log-level", "error",
                     "--quota-backend-bytes", str(8 << 30)],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def kill(self):
        for process in self.processes.values():
            process.kill()
            process.wait()

    def restart(self):
        """Kill all and start them again."""
        self.kill()
        self.start()

    @property
    def servers(self):
        return Servers(list(self.processes), lambda endpoint: self.processes[endpoint])

    def __exit__(self, *_):
        self.kill()
        self.ports.close()
        shutil.rmtree(self.directory, ignore_errors=True)


@contextlib.contextmanager
def redis():
    """The endpoint of a Redis that syncs each write. Debian's redis-tools hold the server under another name, without the
    service that its package would start."""
    program = need(shutil.which("redis-server") or shutil.which("redis-check-rdb"))
    with tempfile.TemporaryDirectory(prefix="bench-redis-") as directory, Ports(1) as ports:
        # pylint: disable-next=consider-using-with
        process = subprocess.Popen(["redis-server", "--port", str(ports[0]), "--bind", HOST, "--dir", directory,
                                    "--appendonly", "yes", "--appendfsync", "always", "--save", ""], executable=program,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)
        endpoint = f"{HOST}:{ports[0]}"
        try:
            wait_until(lambda: "PONG" in subprocess.run(["redis-cli", "-p", str(ports[0]), "ping"], capture_output=True,
                                                        text=True, check=False).stdout, READY_SECONDS, "Redis does not answer")
            yield endpoint
        finally:
            process.kill()
            process.wait()


def redis_load(endpoint, settings, clients=1024, value=256):
    return run_json([need(PEERS / "bench-redis"), "--endpoints", endpoint, "--clients", clients, "--value", value, "--seconds",
                     settings.seconds, "--warm-up", settings.warm_up], settings.seconds + settings.warm_up)


# ---- Names -------------------------------------------------------------------------------------------


def first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    except OSError:
        return ""
    return (done.stdout or done.stderr).strip().split("\n")[0]


def module_version(name, module):
    """What go.mod of bench/peers/`name` says."""
    for line in (ROOT / "bench/peers" / name / "go.mod").read_text().splitlines():
        words = line.replace("require ", "").split()
        if words[:1] == [module]:
            return words[1]
    return "?"


def versions():
    return {
        "Lash": first_line("git", "describe", "--always", "--dirty"),
        "compiler": first_line("gcc", "--version"),
        "canonical's raft": first_line("pkg-config", "--modversion", "raft") or "not here",
        "hashicorp/raft": module_version("hashicorp", "github.com/hashicorp/raft"),
        "raft-boltdb": module_version("hashicorp", "github.com/hashicorp/raft-boltdb/v2"),
        "etcd": module_version("etcd", "go.etcd.io/etcd/server/v3"),
        "Go": first_line(go_program() or "go", "version") or "not here",
        "Redis": first_line("redis-cli", "--version") or "not here",
    }


def machine(directory):
    processor = ""
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            processor = line.split(":", 1)[1].strip()
            break
    return {
        "processor": f"{os.cpu_count()} x {processor or platform.machine()}",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / (1 << 30):.1f} GiB",
        "kernel": platform.release(),
        "file system": " ".join(first_line("sh", "-c", f"df -T {directory} | tail -1").split()[:2]),
        "load before": f"{os.getloadavg()[0]:.1f}",
    }
