#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make up and make down: three replicas on this machine, which survive the death of their leader before your eyes.

usage: cluster.py up|down
"""
import dataclasses
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
RUN = ROOT / "run"
LASHD = ROOT / "build/lashd"
LASHCTL = ROOT / "build/lashctl"
KEYS = 20
START_SECONDS_MAX = 30
STOP_SECONDS_MAX = 10
POLL_SECONDS = 0.02


@dataclasses.dataclass(frozen=True)
class Replica:
    """One lashd, its ports and its files below run/."""
    name: str
    client_port: int
    peer_port: int

    @property
    def endpoint(self):
        return f"127.0.0.1:{self.client_port}"

    @property
    def peer_url(self):
        return f"http://127.0.0.1:{self.peer_port}"

    @property
    def data(self):
        return RUN / self.name

    @property
    def log(self):
        return RUN / f"{self.name}.log"

    @property
    def pid_file(self):
        return RUN / f"{self.name}.pid"

    def pid(self):
        """The process id, or None when it does not run. A number left over from before is not taken for it."""
        try:
            pid = int(self.pid_file.read_text())
            program = os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
        except (OSError, ValueError):
            return None
        return pid if program == str(LASHD) else None

    def start(self):
        url = f"http://{self.endpoint}"
        command = [str(LASHD), "--name", self.name, "--data-dir", str(self.data.relative_to(ROOT)),
                   "--listen-client-urls", url, "--advertise-client-urls", url,
                   "--listen-peer-urls", self.peer_url, "--initial-advertise-peer-urls", self.peer_url,
                   "--initial-cluster", ",".join(f"{replica.name}={replica.peer_url}" for replica in REPLICAS),
                   "--initial-cluster-token", "lash-up", "--initial-cluster-state", "new"]
        with open(self.log, "a", encoding="utf-8") as log:
            # pylint: disable-next=consider-using-with
            process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       start_new_session=True)
        self.pid_file.write_text(f"{process.pid}\n")

    def kill(self, number):
        pid = self.pid()
        if pid is not None:
            os.kill(pid, number)
        return pid


REPLICAS = [Replica("n1", 2379, 2380), Replica("n2", 22379, 22380), Replica("n3", 32379, 32380)]
ENDPOINTS = ",".join(replica.endpoint for replica in REPLICAS)


class Trouble(Exception):
    """What went wrong, to whom, and what to do."""


def say(text):
    print(text, flush=True)


def lashctl(*arguments, endpoints=ENDPOINTS, check=True):
    result = subprocess.run([str(LASHCTL), "--endpoints", endpoints, *arguments], stdin=subprocess.DEVNULL,
                            capture_output=True, text=True, check=False)
    if check and result.returncode:
        raise Trouble(f"lashctl {' '.join(arguments)}: {result.stderr.strip()}\nthe logs are run/n1.log and so on")
    return result


def status(replica):
    """What the replica says of itself, or None when it does not answer."""
    result = lashctl("endpoint", "status", "-w", "json", endpoints=replica.endpoint, check=False)
    try:
        return json.loads(result.stdout)[0]["Status"]
    except (ValueError, LookupError):
        return None


def find_leader(replicas):
    """The replica that leads with the assent of a majority, or None."""
    answers = [(replica, answer) for replica, answer in ((replica, status(replica)) for replica in replicas) if answer]
    for replica, answer in answers:
        leader = answer.get("leader")
        if leader and leader == answer["header"]["member_id"]:
            followers = sum(1 for _, other in answers if other.get("leader") == leader)
            if followers * 2 > len(REPLICAS):
                return replica
    return None


def wait_for(what, condition):
    """Polls until the condition gives something; the replicas' ends and time bound it."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise Trouble(f"waited {START_SECONDS_MAX} s for {what}; the logs are run/n1.log and so on")
        time.sleep(POLL_SECONDS)


def check_running(replicas):
    for replica in replicas:
        if replica.pid() is None:
            tail = "\n".join(replica.log.read_text(errors="replace").splitlines()[-5:])
            raise Trouble(f"{replica.name} ended; the last of run/{replica.name}.log:\n{tail}")


def leader_among(replicas):
    def condition():
        check_running(replicas)
        return find_leader(replicas)
    return wait_for("a leader", condition)


def check_ports():
    for replica in REPLICAS:
        for port in replica.client_port, replica.peer_port:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError as error:
                    raise Trouble(f"port {port}, which {replica.name} wants, is not free ({error.strerror}); "
                                  "stop what uses it, an etcd perhaps, and try again") from None


def write_keys(stamp):
    for number in range(KEYS):
        lashctl("put", f"up/{number:02}", f"{stamp} {number}")


def read_keys(stamp):
    for number in range(KEYS):
        value = lashctl("get", f"up/{number:02}", "--print-value-only").stdout.rstrip("\n")
        if value != f"{stamp} {number}":
            raise Trouble(f"up/{number:02} is {value!r} and not {stamp + ' ' + str(number)!r}: a write was lost")


def show_status():
    say(lashctl("endpoint", "status", "-w", "table").stdout.rstrip())


def show_leader_change(leader):
    say(f"killing the leader, {leader.name}, with SIGKILL")
    rest = [replica for replica in REPLICAS if replica is not leader]
    begin = time.monotonic()
    leader.kill(signal.SIGKILL)
    successor = leader_among(rest)
    elected = time.monotonic() - begin
    endpoints = ",".join(replica.endpoint for replica in rest)
    lashctl("put", "up/successor", successor.name, endpoints=endpoints)
    written = time.monotonic() - begin
    say(f"{successor.name} took over after {elected:.2f} s; the next write was acknowledged after {written:.2f} s")


def restart(replica, leader):
    say(f"restarting {replica.name}")
    replica.start()
    target = status(leader)["raftIndex"]

    def caught_up():
        check_running([replica])
        answer = status(replica)
        return answer and answer.get("leader") and int(answer.get("raftIndex", 0)) >= int(target)
    wait_for(f"{replica.name} to catch up", caught_up)
    say(f"{replica.name} is back and has caught up")


def go_on():
    say(f"""
The cluster runs on, with its data and logs below run/. Go on with:
  build/lashctl put hello world
  build/lashctl get hello
  build/lashctl --endpoints {ENDPOINTS} endpoint status -w table
  ETCDCTL_API=3 etcdctl --endpoints {ENDPOINTS} get --prefix up/
  make down""")


def up():
    if any(replica.pid() for replica in REPLICAS):
        say("the cluster runs already (make down stops it)")
        show_status()
        return
    check_ports()
    RUN.mkdir(exist_ok=True)
    again = REPLICAS[0].data.exists()
    say("starting n1, n2 and n3" + (", which go on from the data that run/ has" if again else ", data below run/"))
    for replica in REPLICAS:
        replica.start()
    leader = leader_among(REPLICAS)
    say(f"{leader.name} leads")
    stamp = time.strftime("written at %H:%M:%S,")
    say(f"writing {KEYS} keys and reading them back")
    write_keys(stamp)
    read_keys(stamp)
    show_leader_change(leader)
    say(f"reading the {KEYS} keys again")
    read_keys(stamp)
    say(f"all {KEYS} are there")
    restart(leader, leader_among([replica for replica in REPLICAS if replica is not leader]))
    show_status()
    go_on()


def down():
    stopping = {replica: pid for replica in REPLICAS if (pid := replica.kill(signal.SIGTERM))}
    deadline = time.monotonic() + STOP_SECONDS_MAX
    for replica in stopping:
        while replica.pid() is not None:
            if time.monotonic() > deadline:
                say(f"{replica.name} does not end within {STOP_SECONDS_MAX} s of SIGTERM; killing it")
                replica.kill(signal.SIGKILL)
                deadline = time.monotonic() + STOP_SECONDS_MAX
            time.sleep(POLL_SECONDS)
    for replica in REPLICAS:
        replica.pid_file.unlink(missing_ok=True)
    say("stopped " + " and ".join(replica.name for replica in stopping) if stopping else "no cluster was running")


def main():
    commands = {"up": up, "down": down}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        sys.exit(__doc__.strip())
    try:
        commands[sys.argv[1]]()
    except Trouble as trouble:
        sys.exit(f"cluster.py: {trouble}")


if __name__ == "__main__":
    main()
