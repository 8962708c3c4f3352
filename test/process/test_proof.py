# SPDX-License-Identifier: Apache-2.0
"""Everything at once. Three to five members under load: the membership is changed, the leadership handed over, and processes are
killed with SIGKILL, in random order and the kills at any moment of the rest; and as logs are trimmed early, who joins is sent a
snapshot. Afterwards every acknowledged write must be there on every member, at the revision that it was acknowledged with, and the
history must be linearizable, of every key and of the whole store.

LASH_PROOF=changes,transfers,installs,kills: how much of each there is to be, at least; LASH_PROOF_SEED: of the decisions.
"""
import json
import os
import random
import shutil
import subprocess
import threading
import time
import unittest

from harness import ProcessTest, lashctl, wait_until
from load import Load
from members import REMOVED_EXIT, Members
from replica import READY, Trouble, leader_of, wait_for_same_state

WANTED = dict(zip(("changes", "transfers", "installs", "kills"), map(int, os.environ.get("LASH_PROOF", "12,3,3,6").split(","))))
SEED = int(os.environ.get("LASH_PROOF_SEED", time.time_ns() % 1_000_000))
PLACES = 6
VOTERS_MIN, VOTERS_MAX = 3, 5
STEP_SECONDS = 60
SECONDS_MAX = 7200
DOWN_SECONDS_MAX = 0.5
INSTALLED = "snapshot installed"
FLAGS = ["--strict-reconfig-check=false", "--snapshot-log-bytes", "65536", "--snapshot-trailing-bytes", "4096",
         "--log-segment-bytes", "1048576"]


class Killer:
    """Kills one member after the other, each once the one before is back, in the measure of the other steps."""

    def __init__(self, proof):
        self.proof = proof
        self.random = random.Random(SEED + 1)
        self.kills = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        share = WANTED["kills"] / max(1, WANTED["changes"])
        while not self.ended.wait(self.random.uniform(0, 1)):
            self.proof.keep_running()
            if self.kills >= (self.proof.done["changes"] + 1) * share:
                continue
            with self.proof.lock:
                victim = self.random.choice(self.proof.members)
                if victim.running():
                    victim.kill()
                    self.kills += 1
            time.sleep(self.random.uniform(0, DOWN_SECONDS_MAX))
            self.proof.keep_running()

    def close(self):
        self.ended.set()
        self.thread.join()


class Proof(ProcessTest):
    def setUp(self):
        print(f"\nLASH_PROOF={','.join(map(str, WANTED.values()))} LASH_PROOF_SEED={SEED}", flush=True)
        self.random = random.Random(SEED)
        self.nodes = Members(self, first=VOTERS_MIN, size=PLACES, flags=FLAGS)
        self.members = list(self.nodes.founders)
        self.settings = {replica.name: ["--initial-cluster", ",".join(f"{one.name}={one.peer_url}" for one in self.members)]
                         for replica in self.members}
        self.lock = threading.Lock()  # over `members`, and whatever starts or ends their processes
        self.done = {"changes": 0, "transfers": 0}
        self.load = Load(self, self.nodes.endpoints, seconds=SECONDS_MAX)
        self.killer = Killer(self)
        self.addCleanup(self.killer.close)

    def start(self, replica):
        replica.start(self.nodes.replicas, *FLAGS, *self.settings[replica.name])

    def keep_running(self):
        """As whatever supervises services does: who joins may ask for the members while nobody can answer, and end."""
        with self.lock:
            for replica in self.members:
                if not replica.running():
                    self.start(replica)

    # ---- Asking a cluster of which any member may be down

    def ask(self, *command, or_else=()):
        """Ask one member after the other until it is done, or an answer says that an attempt before had done it."""
        answers = set()

        def asked():
            for replica in self.random.sample(self.members, len(self.members)):
                done = lashctl(replica.endpoint, *command)
                if done.returncode == 0 or any(words in done.stderr for words in or_else):
                    return done
                answers.add(done.stderr.strip())
            return None
        try:
            return wait_until(asked, STEP_SECONDS, " ".join(command)).stdout
        except Trouble as trouble:
            logs = "\n".join(f"{replica.name}:\n{replica.log_tail(20)}" for replica in self.nodes.replicas)
            raise AssertionError(f"{trouble}; answers: {sorted(answers)}\n{logs}") from None

    def listed(self):
        return json.loads(self.ask("member", "list", "-w", "json"))["members"]

    def id_of(self, replica):
        found = [member["ID"] for member in self.listed() if member["peerURLs"] == [replica.peer_url]]
        self.assertEqual(len(found), 1, replica.peer_url)
        return format(found[0], "x")

    def installs(self):
        return sum(replica.log_text().count(INSTALLED) for replica in self.nodes.replicas)

    # ---- Steps

    def add(self):
        replica = self.random.choice([one for one in self.nodes.replicas if one not in self.members])
        learner = self.random.random() < 0.7
        self.ask("member", "add", replica.name, "--peer-urls", replica.peer_url, *(["--learner"] if learner else []),
                 or_else=["Peer URLs already exists"])
        self.done["changes"] += 1
        cluster = [f"{member.get('name') or replica.name}={member['peerURLs'][0]}" for member in self.listed()]
        self.settings[replica.name] = ["--initial-cluster", ",".join(cluster), "--initial-cluster-state", "existing"]
        published = replica.log_text().count(READY) if replica.log.exists() else 0
        with self.lock:
            self.members.append(replica)
            self.start(replica)
        # Who was never a member for certain could not know what became of it when it is removed later (docs/protocol.md).
        wait_until(lambda: replica.log_text().count(READY) > published, STEP_SECONDS, f"{replica.name} does not join")
        if learner:
            self.ask("member", "promote", self.id_of(replica), or_else=["can only promote a learner member\n"])
            self.done["changes"] += 1

    def remove(self):
        replica = self.random.choice(self.members)
        identifier = self.id_of(replica)
        with self.lock:
            self.members.remove(replica)
            if not replica.running():
                self.start(replica)
        self.ask("member", "remove", identifier, or_else=["member not found"])
        self.done["changes"] += 1
        try:
            self.assertEqual(replica.process.wait(timeout=STEP_SECONDS), REMOVED_EXIT, replica.log_tail())
        except subprocess.TimeoutExpired:
            self.fail(f"{replica.name} does not learn of its removal:\n{replica.log_tail(30)}")
        shutil.rmtree(replica.directory)

    def change(self):
        room = len(self.members) < VOTERS_MAX
        if room and (len(self.members) == VOTERS_MIN or self.random.random() < 0.5):
            self.add()
        else:
            self.remove()

    def transfer(self):
        """It may fail, when who is to lead is killed meanwhile; then it does not count."""
        with self.lock:
            members = [replica for replica in self.members if replica.running()]
        leader = leader_of(members)
        if leader:
            target = self.id_of(self.random.choice([replica for replica in members if replica is not leader]))
            done = lashctl(leader.endpoint, "move-leader", target)
            self.done["transfers"] += done.returncode == 0

    def counts(self):
        return {**self.done, "installs": self.installs(), "kills": self.killer.kills}

    def test_nothing_acknowledged_is_lost_whatever_happens(self):
        begin = time.monotonic()
        told = 0
        while any(self.counts()[what] < wanted for what, wanted in WANTED.items()):
            self.change()
            if self.done["transfers"] * WANTED["changes"] < self.done["changes"] * WANTED["transfers"]:
                self.transfer()
            if time.monotonic() - begin > told + 60:
                told += 60
                print(f"{told} s: {self.counts()}", flush=True)
        self.killer.close()
        counts = self.counts()
        self.load.wait_for_more(STEP_SECONDS)
        print(f"{counts} in {time.monotonic() - begin:.0f} s; operations: {self.load.stop()}", flush=True)
        wait_for_same_state(self.members, STEP_SECONDS)
        writes = self.load.writes()
        self.load.check_every_write_is_there(writes, ",".join(replica.endpoint for replica in self.members))
        self.load.check_linearizable()


if __name__ == "__main__":
    unittest.main(verbosity=2)
