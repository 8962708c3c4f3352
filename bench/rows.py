# SPDX-License-Identifier: Apache-2.0
"""What is measured side by side, a row each: how a pair is measured, and what its ratio should be."""
import contextlib
import dataclasses
import json
import statistics
import subprocess
import time
import typing

import programs
from programs import Trouble

RESTART_VALUE = 4096
REST_SECONDS = 5  # of a server between its work and the look at its memory
ETCD_KEYS_MAX = 1000000


@dataclasses.dataclass
class Row:
    """`begin` is a context manager that gives a function which measures one pair: two results, of which `ours` and `theirs` make
    the figures that are divided."""
    name: str
    text: str
    against: str
    begin: typing.Callable
    ours: typing.Callable
    theirs: typing.Callable
    unit: str
    more_is_better: bool = True
    least: float = None  # the ratio wanted at least (or at most, where less is better), and the aim; None: only told
    aim: float = None

    def ratio(self, pair):
        return self.ours(pair[0]) / self.theirs(pair[1])

    def meets(self, ratio, wanted):
        return ratio >= wanted if self.more_is_better else ratio <= wanted


@dataclasses.dataclass
class Outcome:
    """A row's pairs, or why there are none or not all."""
    row: Row
    pairs: list = dataclasses.field(default_factory=list)
    trouble: str = ""

    def figures(self):
        """(our median, their median, least, median and greatest ratio)."""
        ratios = sorted(self.row.ratio(pair) for pair in self.pairs)
        return (statistics.median(self.row.ours(pair[0]) for pair in self.pairs),
                statistics.median(self.row.theirs(pair[1]) for pair in self.pairs),
                ratios[0], statistics.median(ratios), ratios[-1])

    def verdict(self):
        if not self.pairs:
            return "not measured"
        if self.row.least is None:
            return "-"
        ratio = self.figures()[3]
        if self.row.meets(ratio, self.row.aim):
            return "aim reached"
        return "reached" if self.row.meets(ratio, self.row.least) else "missed"


# ---- Ways to measure -----------------------------------------------------------------------------------


def commits(name, clients, value=256):
    @contextlib.contextmanager
    def begin(settings):
        yield lambda: (programs.commit("Lash", settings, clients, value), programs.commit(name, settings, clients, value))
    return begin


def sync_and_trip():
    """What one commit cannot do without, of a disk and processors that are otherwise idle."""
    disk = programs.disk()
    return {**disk, "least_us": disk["append_256_p50_us"] + disk["round_trip_p50_us"]}


@contextlib.contextmanager
def one_client(settings):
    def measure():
        return programs.commit("Lash", settings, 1), sync_and_trip()
    yield measure


@contextlib.contextmanager
def both(settings, size=3):
    """Lash and etcd, running at once, of which one is idle at a time."""
    del settings
    with programs.Lash(size) as lash, programs.Etcd(size) as etcd:
        yield lash, etcd


def served(kind, clients):
    @contextlib.contextmanager
    def begin(settings):
        with both(settings) as (lash, etcd):
            ours, theirs = lash.servers.endpoints, etcd.servers.endpoints
            yield lambda: (programs.load(kind, ours, settings, clients=clients),
                           programs.load(kind, theirs, settings, clients=clients))
    return begin


@contextlib.contextmanager
def same_throughput(settings):
    """Lash with as few clients, a power of two, as give etcd's throughput or more."""
    with both(settings) as (lash, etcd):
        ours, theirs = lash.servers.endpoints, etcd.servers.endpoints

        def measure():
            their = programs.load("put", theirs, settings)
            clients = 1
            our = programs.load("put", ours, settings, clients=clients)
            while our["ops_per_second"] < their["ops_per_second"] and clients < 1024:
                clients *= 2
                our = programs.load("put", ours, settings, clients=clients)
            return our, their
        yield measure


@contextlib.contextmanager
def over_redis(settings):
    with programs.Lash() as lash, programs.redis() as endpoint:
        ours = lash.servers.endpoints
        yield lambda: (programs.load("put", ours, settings), programs.redis_load(endpoint, settings))


def memory_of(cluster, settings):
    """Resident bytes of the largest member after so many puts: right behind the last one, and when it has rested."""
    puts, runs = 0, []
    while puts < settings.puts:
        runs.append(programs.load("put", cluster.servers.endpoints, settings, keys=settings.keys,
                                  seconds=min(10, 2 * settings.seconds), warm_up=0))
        puts += runs[-1]["operations"]
    busy_bytes = cluster.servers.resident_bytes()
    time.sleep(REST_SECONDS)
    return {"resident_bytes": cluster.servers.resident_bytes(), "busy_bytes": busy_bytes, "puts": puts,
            "command": runs[0]["command"]}


@contextlib.contextmanager
def memory(settings):
    def measure():
        with programs.Lash() as lash:
            ours = memory_of(lash, settings)
        with programs.Etcd() as etcd:
            return ours, memory_of(etcd, settings)
    yield measure


def gap_of(cluster, settings):
    """The longest time without an answer when the leader is killed."""
    servers = cluster.servers
    command = [programs.need(programs.BUILD / "lash-bench"), "gap", "--endpoints", servers.endpoints, "--warm-up",
               str(settings.warm_up), "--seconds", str(settings.gap_seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            time.sleep(settings.warm_up + settings.gap_seconds / 4)
            servers.kill_leader()
            output, errors = process.communicate(timeout=settings.gap_seconds + programs.EXTRA_SECONDS)
        finally:
            process.kill()
    if process.returncode:
        raise Trouble(errors.strip())
    return {**json.loads(output.splitlines()[-1]), "command": " ".join(command)}


def killed(make):
    @contextlib.contextmanager
    def begin(settings):
        def measure():
            with make() as cluster:
                return gap_of(cluster, settings), {"election_ms": programs.ELECTION_MS}
        yield measure
    return begin


def fill(endpoints, settings, value, keys):
    """Put each key once, with which a get begins."""
    programs.load("get", endpoints, settings, clients=256, value=value, keys=keys, seconds=0.1, warm_up=0)


def restart_seconds(cluster):
    """From a kill -9 of the one member to its first linearizable answer; files stay in the page cache."""
    endpoint = cluster.servers.all[0]
    cluster.restart()
    began = time.monotonic()
    programs.wait_until(lambda: programs.answers(endpoint), programs.EXTRA_SECONDS, "it does not come back")
    return {"seconds": time.monotonic() - began}


@contextlib.contextmanager
def restart(settings):
    with both(settings, 1) as (lash, etcd):
        for cluster in lash, etcd:
            fill(cluster.servers.endpoints, settings, RESTART_VALUE, max(settings.data_bytes // RESTART_VALUE, 1))
        yield lambda: (restart_seconds(lash), restart_seconds(etcd))


# ---- The table -----------------------------------------------------------------------------------------


def field(name, scale=1):
    return lambda result: result[name] * scale


RATE, P50, P99 = field("ops_per_second"), field("p50_us"), field("p99_us")
MEMORY = field("resident_bytes", 1 / (1 << 20))

ROWS = [
    Row("canonical", "C API, 256 bytes, 1,024 clients: throughput", "canonical", commits("canonical", 1024), RATE, RATE, "/s",
        least=6, aim=12),
    Row("hashicorp", "C API, 256 bytes, 8,192 clients: throughput", "hashicorp", commits("hashicorp", 8192), RATE, RATE, "/s",
        least=10, aim=20),
    Row("floor", "C API, 256 bytes, 1,024 clients: throughput", "floor", commits("floor", 1024), RATE, RATE, "/s", least=0.5,
        aim=0.8),
    Row("latency", "C API, one client: p50 over one fdatasync and one round trip", "disk", one_client, P50,
        field("least_us"), "us", False, 1.6, 1.2),
    Row("small", "C API, 16 bytes, 8,192 clients: throughput", "floor", commits("floor", 8192, 16), RATE, RATE, "/s", least=0.5,
        aim=0.8),
    Row("put", "puts of 256 bytes, 1,024 clients: throughput", "etcd", served("put", 1024), RATE, RATE, "/s", least=5, aim=10),
    Row("p99", "the same at etcd's throughput: p99", "etcd", same_throughput, P99, P99, "us", False, 1 / 3, 1 / 10),
    Row("get", "linearizable gets, 1,024 clients: throughput", "etcd", served("get", 1024), RATE, RATE, "/s", least=8, aim=20),
    Row("memory", "memory after puts over many keys, and five seconds of rest", "etcd", memory, MEMORY, MEMORY, "MiB", False, 1 / 6, 1 / 15),
    Row("killed", "leader killed: time without service over the election timeout", "election timeout", killed(programs.Lash),
        field("longest_gap_ms"), field("election_ms"), "ms", False, 1.5, 1.1),
    Row("etcd-killed", "for comparison: the same of etcd", "election timeout", killed(programs.Etcd), field("longest_gap_ms"),
        field("election_ms"), "ms", False),
    Row("restart", "restart with data: time to the first answer", "etcd", restart, field("seconds"), field("seconds"), "s",
        False, 1 / 5, 1 / 20),
    Row("redis", "for comparison: puts of 256 bytes, 1,024 clients", "Redis", over_redis, RATE, RATE, "/s"),
]

# ---- How cost grows --------------------------------------------------------------------------------------


@dataclasses.dataclass
class Sweep:
    """One plot: each program's figure over a number that grows."""
    name: str
    title: str
    x_title: str
    y_title: str
    values: tuple
    names: tuple
    measure: typing.Callable  # (name, value, settings) -> figure


def over_keys(name, keys, settings):
    """Puts or gets a second on one server that holds so many keys."""
    server, kinds = name.split()
    if server == "etcd" and keys > ETCD_KEYS_MAX:
        raise Trouble("filling etcd with so many keys takes too long")
    with (programs.Lash(1) if server == "Lash" else programs.Etcd(1)) as cluster:
        endpoints = cluster.servers.endpoints
        if kinds == "puts":
            fill(endpoints, settings, 16, keys)
        return programs.load(kinds.removesuffix("s"), endpoints, settings, clients=256, value=16, keys=keys)["ops_per_second"]


def over_log(name, mebibytes, settings):
    """Seconds that a server takes to come back to a log of that length, of which no snapshot was taken."""
    del name
    with programs.Lash(1, flags=["--snapshot-log-bytes", str(1 << 40)]) as lash:
        fill(lash.servers.endpoints, settings, RESTART_VALUE, (mebibytes << 20) // RESTART_VALUE)
        return restart_seconds(lash)["seconds"]


SWEEPS = [
    Sweep("clients", "Commits a second by clients, 256 bytes, three replicas", "clients", "commits a second",
          (1, 8, 64, 512, 4096), ("Lash", "floor", "canonical", "hashicorp"),
          lambda name, clients, s: programs.commit(name, s, clients)["ops_per_second"]),
    Sweep("latency", "p50 of a commit by clients, 256 bytes, three replicas", "clients", "microseconds",
          (1, 8, 64, 512, 4096), ("Lash", "floor", "canonical", "hashicorp"),
          lambda name, clients, s: programs.commit(name, s, clients)["p50_us"]),
    Sweep("value", "Commits a second by bytes of a value, 256 clients", "bytes", "commits a second", (16, 256, 4096, 65536),
          ("Lash", "floor", "canonical"), lambda name, value, s: programs.commit(name, s, 256, value)["ops_per_second"]),
    Sweep("replicas", "Commits a second by replicas, 1,024 clients, 256 bytes", "replicas", "commits a second", (1, 3, 5, 7),
          ("Lash", "floor"), lambda name, count, s: programs.commit(name, s, 1024, 256, count)["ops_per_second"]),
    Sweep("keys", "Puts and linearizable gets a second by keys in the store, 16 bytes, 256 clients, one server", "keys", "a second",
          (10**4, 10**5, 10**6, 10**7), ("Lash puts", "Lash gets", "etcd puts", "etcd gets"), over_keys),
    Sweep("log", "Time to come back by length of the log, 4 KiB values, one server", "MiB", "seconds", (64, 256, 1024, 2048),
          ("Lash",), over_log),
]
