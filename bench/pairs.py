#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two programs measured in turn, A B A B, so that what drifts on the machine drifts for both; medians and their ratios.

usage: pairs.py floor [--pairs N] [--seconds S]     commits through liblash over the floor, by clients and bytes
       pairs.py latency [--pairs N] [--seconds S]   one client's commit over one fdatasync and one round trip
       pairs.py server [--pairs N] [--seconds S]    puts and gets, Lash over etcd, three members each on loopback

Needs build/lash-bench, and for `server` build/lashd, build/lashctl and an etcd. Ratios go to standard output as rows of
a table.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "test/process"))
# pylint: disable-next=wrong-import-position
from harness import BUILD, ETCD, HOST, Cluster, Ports, lashctl, wait_until  # noqa: E402

ETCD_READY_SECONDS = 60
WARM_UP_SECONDS = 0.5


def bench(name, *flags, seconds):
    """The JSON of one run of lash-bench."""
    command = [str(BUILD / "lash-bench"), name, *flags, "--seconds", str(seconds)]
    if name != "disk":
        command += ["--warm-up", str(WARM_UP_SECONDS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()}")
    result = json.loads(done.stdout.splitlines()[-1])
    if result.get("operations") == 0:
        raise SystemExit(f"{' '.join(command)}: not one operation in that time; the machine is too busy")
    return result


def measure_pairs(pairs, first, second):
    """Run both in turn; the results of each."""
    results = [(first(), second()) for _ in range(pairs)]
    return [result[0] for result in results], [result[1] for result in results]


def median(results, field):
    return statistics.median(result[field] for result in results)


def ratio(ours, theirs, field):
    """The median of the pairs' ratios, and the least and the greatest."""
    ratios = sorted(a[field] / b[field] for a, b in zip(ours, theirs))
    return f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


def floor(arguments):
    print("| clients | bytes | commits/s | floor/s | commit/floor | CPU per commit, us | floor's |")
    print("|---|---|---|---|---|---|---|")
    for clients, value in ((1, 256), (64, 256), (1024, 256), (8192, 16)):
        flags = ["--clients", str(clients), "--value", str(value)]
        ours, theirs = measure_pairs(arguments.pairs, lambda: bench("commit", *flags, seconds=arguments.seconds),
                                     lambda: bench("floor", *flags, seconds=arguments.seconds))
        print(f"| {clients} | {value} | {median(ours, 'ops_per_second'):.0f} | {median(theirs, 'ops_per_second'):.0f} | "
              f"{ratio(ours, theirs, 'ops_per_second')} | {median(ours, 'cpu_us_per_op'):.2f} | "
              f"{median(theirs, 'cpu_us_per_op'):.2f} |", flush=True)


def latency(arguments):
    # each run against its own syncs: what a disk needs for one changes too fast to be measured before or after
    runs = [(bench("commit", "--clients", "1", seconds=arguments.seconds), bench("disk", seconds=1))
            for _ in range(arguments.pairs)]
    ours = [{"p50_us": commit["p50_us"]} for commit, _ in runs]
    least = [{"p50_us": commit["fsync_p50_us"] + disk["round_trip_p50_us"]} for commit, disk in runs]
    print("| one client's p50, us | one fdatasync + one round trip, us | ratio |")
    print("|---|---|---|")
    print(f"| {median(ours, 'p50_us'):.0f} | {median(least, 'p50_us'):.0f} | {ratio(ours, least, 'p50_us')} |")


class EtcdCluster:
    """Three members of etcd on loopback."""

    def __init__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="lash-bench-etcd-")
        self.ports = Ports(6)
        ports = self.ports.numbers
        self.client_urls = [f"http://{HOST}:{port}" for port in ports[:3]]
        self.peer_urls = [f"http://{HOST}:{port}" for port in ports[3:]]
        self.endpoints = ",".join(f"{HOST}:{port}" for port in ports[:3])
        self.processes = []

    def __enter__(self):
        members = ",".join(f"n{i}={url}" for i, url in enumerate(self.peer_urls))
        for i, (client, peer) in enumerate(zip(self.client_urls, self.peer_urls)):
            place = pathlib.Path(self.directory.name) / f"n{i}"
            with open(f"{place}.log", "wb") as log:
                # pylint: disable-next=consider-using-with
                self.processes.append(subprocess.Popen(
                    [ETCD, "--name", f"n{i}", "--data-dir", str(place), "--listen-client-urls", client,
                     "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls",
                     peer, "--initial-cluster", members], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    start_new_session=True))
        try:
            wait_until(lambda: lashctl(self.endpoints, "endpoint", "health").returncode == 0, ETCD_READY_SECONDS,
                       "etcd does not answer")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()
        self.ports.close()
        self.directory.cleanup()


def leader_first(endpoints):
    """The endpoints, the leader's at the front: a single connection goes to it, with either server."""
    done = lashctl(endpoints, "endpoint", "status", "-w", "json")
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    statuses = [(one["Endpoint"], one["Status"]) for one in json.loads(done.stdout)]
    return ",".join(endpoint for endpoint, status in
                    sorted(statuses, key=lambda one: one[1]["leader"] != one[1]["header"]["member_id"]))


def server(arguments):
    print("| what | clients | Lash/s | etcd/s | Lash/etcd | p50: Lash/etcd | p99: Lash/etcd |")
    print("|---|---|---|---|---|---|---|")
    with Cluster() as lash, EtcdCluster() as etcd:
        ours_at, theirs_at = leader_first(lash.endpoints), leader_first(etcd.endpoints)
        for name, clients in (("put", 1), ("put", 64), ("put", 1024), ("get", 64), ("get", 1024)):
            def run(endpoints, name=name, clients=clients):
                return bench(name, "--endpoints", endpoints, "--clients", str(clients), seconds=arguments.seconds)
            ours, theirs = measure_pairs(arguments.pairs, lambda: run(ours_at), lambda: run(theirs_at))
            print(f"| {name} | {clients} | {median(ours, 'ops_per_second'):.0f} | "
                  f"{median(theirs, 'ops_per_second'):.0f} | {ratio(ours, theirs, 'ops_per_second')} | "
                  f"{ratio(ours, theirs, 'p50_us')} | {ratio(ours, theirs, 'p99_us')} |",
                  flush=True)


def main():
    kinds = {"floor": floor, "latency": latency, "server": server}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=kinds)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    arguments = parser.parse_args()
    kinds[arguments.kind](arguments)


if __name__ == "__main__":
    main()
