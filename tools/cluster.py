#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make up, make down: a three-node cluster on this machine.

up    starts n1, n2, n3 with data under run/, writes keys, kills the leader with SIGKILL, reads every key back from
      those who are left, restarts the killed one, and leaves the cluster running
down  ends it; the data stays in run/, and the next `up` goes on from there

usage: cluster.py up | down
"""
import os
import signal
import sys
import time

import replica
from replica import Trouble, lashctl, wait_for_leader, wait_for_same_state, wait_until

RUN = replica.ROOT / "run"
KEYS = 20
FAILOVER_SECONDS_MAX = 30
PORTS = [("n1", 2379, 2380), ("n2", 22379, 22380), ("n3", 32379, 32380)]


def members():
    return [replica.Replica(name, client, peer, RUN / name, RUN / f"{name}.log") for name, client, peer in PORTS]


# ---- Processes of an earlier `up` -----------------------------------------------------------------


def pid_file(node):
    return RUN / f"{node.name}.pid"


def start(node, cluster):
    node.start(cluster)
    pid_file(node).write_text(f"{node.process.pid}\n", encoding="ascii")


def running_pid(node):
    """The process that an earlier `up` started for this node, if it still runs and is what it was."""
    try:
        pid = int(pid_file(node).read_text(encoding="ascii"))
        command = open(f"/proc/{pid}/cmdline", "rb").read().decode(errors="replace").split("\0")
    except (OSError, ValueError):
        return None
    return pid if "lashd" in os.path.basename(command[0]) and str(node.directory) in command else None


def check_nothing_runs(cluster):
    if any(running_pid(node) for node in cluster):
        raise Trouble("the cluster is up already; `make down` ends it")
    for node in cluster:
        for port in (node.client_port, node.peer_port):
            if not replica.port_is_free(port):
                raise Trouble(f"port {port}, which {node.name} needs, is in use by another program (see `ss -ltnp`)")


# ---- The story ------------------------------------------------------------------------------------


def say(text):
    print(text, flush=True)


def run_lashctl(*arguments, endpoints):
    done = lashctl(*arguments, endpoints=endpoints)
    if done.returncode != 0:
        raise Trouble(f"lashctl {' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout


def write_keys(cluster):
    stamp = time.strftime("%H:%M:%S")
    pairs = {f"demo/{i:02}": f"written at {stamp}, number {i}" for i in range(KEYS)}
    for i, (key, value) in enumerate(pairs.items()):
        run_lashctl("put", key, value, endpoints=[cluster[i % len(cluster)]])
    return pairs


def check_keys(pairs, endpoints):
    for i, (key, value) in enumerate(pairs.items()):
        found = run_lashctl("get", key, "--print-value-only", endpoints=[endpoints[i % len(endpoints)]])
        if found.rstrip("\n") != value:
            raise Trouble(f"{key} should be {value!r} and is {found!r}")


def fail_over(leader, others):
    """Kill the leader; who leads then, and the milliseconds until that was known and until a write was acknowledged."""
    leader.kill()
    killed = time.monotonic()
    successor = wait_until(lambda: replica.leader_of(others), FAILOVER_SECONDS_MAX, "no new leader")
    led = time.monotonic()
    wait_until(lambda: lashctl("put", "demo/after", successor.name, endpoints=others).returncode == 0,
               FAILOVER_SECONDS_MAX, "no write is acknowledged")
    return successor, round((led - killed) * 1000), round((time.monotonic() - killed) * 1000)


def show(cluster):
    say("[1/6] starting n1, n2, n3 (data and logs under run/)")
    for node in cluster:
        start(node, cluster)
    leader = wait_for_leader(cluster)
    say(f"      {leader.name} leads")
    say(f"[2/6] writing {KEYS} keys, each through another node in turn")
    pairs = write_keys(cluster)
    check_keys(pairs, cluster)
    say("      all written and read back")
    others = [node for node in cluster if node is not leader]
    say(f"[3/6] killing the leader {leader.name} (kill -9 {leader.process.pid})")
    successor, led, wrote = fail_over(leader, others)
    say(f"      {successor.name} took over after {led} ms; the first write was acknowledged after {wrote} ms")
    say("[4/6] reading every key from the two that are left")
    check_keys(pairs, others)
    say(f"      all {KEYS} are there")
    say(f"[5/6] restarting {leader.name}")
    start(leader, cluster)
    wait_for_leader(cluster)
    index = wait_for_same_state(cluster)
    say(f"      all three have applied index {index}")
    say("[6/6] the cluster is up\n")
    say(run_lashctl("endpoint", "status", "-w", "table", endpoints=cluster).rstrip())


def how_to_go_on(cluster):
    endpoints = ",".join(node.endpoint for node in cluster)
    say(f"""
Go on with
    build/lashctl put hello world
    build/lashctl get hello
    build/lashctl endpoint status -w table --endpoints {endpoints}
or, the same with etcd's client (Debian: apt-get install etcd-client),
    etcdctl --endpoints {endpoints} get --prefix demo/
and end it with
    make down""")


def up():
    cluster = members()
    check_nothing_runs(cluster)
    try:
        show(cluster)
    except BaseException:
        for node in cluster:
            if node.running():
                node.kill()
        raise
    how_to_go_on(cluster)


def down():
    pids = {node.name: running_pid(node) for node in members()}
    for name, pid in pids.items():
        if pid:
            os.kill(pid, signal.SIGTERM)
            say(f"{name} (pid {pid}): asked to end")
        else:
            say(f"{name}: is not running")
    for node in members():
        wait_until(lambda node=node: not running_pid(node), 20, f"{node.name} does not end; see {node.log}")
        pid_file(node).unlink(missing_ok=True)
    if any(pids.values()):
        say("all ended; the data stays in run/ (delete it to begin anew)")


def main():
    commands = {"up": up, "down": down}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        commands[sys.argv[1]]()
    except Trouble as trouble:
        print(f"make {sys.argv[1]}: {trouble}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"make {sys.argv[1]}: interrupted; what was started has been ended", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
