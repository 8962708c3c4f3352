# SPDX-License-Identifier: Apache-2.0
"""The leader of three is killed with SIGKILL over and over while eight clients write and read. Every fifth falls silent first, as a
machine would that hangs: it is stopped with its connections open, and killed once there is another.

Afterwards every acknowledged write must be there on every node, at the revision that it was acknowledged with; revisions must
follow real time; the history must be linearizable, of every key and of the whole store; and after each kill there must have been a new leader within
three election timeouts. Votes are synced to the disk: for as long as the disk, or the processor, stalls everyone, as a watcher
beside the cluster notes, an election may wait, too.
"""
import dataclasses
import datetime
import os
import pathlib
import signal
import sys
import tempfile
import threading
import time
import unittest

from harness import ProcessTest, wait_for_leader, wait_until
from load import CLIENTS, Load, find_revision_out_of_order
from replica import wait_for_same_state

KILLS = int(os.environ.get("LASH_KILLS", "50"))
ELECTION_MS = 1000
HEARTBEAT_MS = 100
TIMEOUTS_ALLOWED = 3
SILENT_EVERY = 5
STALL_POLL_SECONDS = 0.02
STALL_NOTED_MS = 50
FLAGS = ["--election-timeout", str(ELECTION_MS), "--heartbeat-interval", str(HEARTBEAT_MS)]


@dataclasses.dataclass
class Kill:
    """What the survivors made of it; moments are in nanoseconds."""
    silent: bool
    killed: int
    elected: int
    wall: datetime.datetime
    stalled_ms: float

    @property
    def allowed_ms(self):
        return TIMEOUTS_ALLOWED * ELECTION_MS + self.stalled_ms


class Stalls:
    """Writes and syncs a few bytes beside the cluster's data over and over, and notes when that takes long."""

    def __init__(self, directory):
        self.file = open(directory / "watch", "wb", buffering=0)
        self.noted = []  # (begin, end) in nanoseconds
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self):
        while not self.ended.is_set():
            begin = now()
            self.ended.wait(STALL_POLL_SECONDS)
            self.file.write(b"x")
            os.fdatasync(self.file.fileno())
            if (now() - begin) / 1e6 - STALL_POLL_SECONDS * 1e3 > STALL_NOTED_MS:
                self.noted.append((begin, now()))

    def within_ms(self, begin, end):
        return sum(max(0, min(end, stop) - max(begin, start)) for start, stop in self.noted) / 1e6

    def close(self):
        self.ended.set()
        self.thread.join()
        self.file.close()


def now():
    """On the clock that the history uses."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def takeover_ms(writes, killed):
    """From a kill to the first acknowledgement of a write that began after it."""
    return min((write["end_ns"] - killed for write in writes if write["start_ns"] > killed), default=float("inf")) / 1e6


def distribution(times):
    times = sorted(times) or [float("nan")]
    pick = lambda share: times[min(len(times) - 1, int(share * len(times)))]
    return (f"min {times[0]:.0f} ms, median {pick(0.5):.0f} ms, 90 % {pick(0.9):.0f} ms, max {times[-1]:.0f} ms "
            f"(election timeout {ELECTION_MS} ms)")


class LeaderKilled(ProcessTest):
    def setUp(self):
        self.nodes = self.cluster(flags=FLAGS)
        self.stalls = Stalls(self.nodes.directory)
        self.addCleanup(self.stalls.close)

    def kill_and_restart_leader(self, silent):
        leader = self.nodes.wait_for_leader()
        killed, wall = now(), datetime.datetime.now(datetime.timezone.utc)
        if silent:
            leader.process.send_signal(signal.SIGSTOP)
        else:
            leader.kill()
        survivors = [replica for replica in self.nodes.replicas if replica is not leader]
        # The survivors go on naming the dead one until they notice: the leader waited for is one of them.
        successor = wait_for_leader(survivors)
        elected = now()
        status = successor.status()
        leader.kill()
        kill = Kill(silent, killed, elected, wall, self.stalls.within_ms(killed, elected))
        self.nodes.start(leader)

        def caught_up():
            self.assertTrue(leader.running(), f"{leader.name} did not come back:\n{leader.log_tail()}")
            now_has = leader.status()
            return now_has and now_has.get("leader") and now_has["raftAppliedIndex"] >= status["raftIndex"]
        wait_until(caught_up, 30, f"{leader.name} does not catch up:\n{leader.log_tail()}")
        return kill

    def test_nothing_acknowledged_is_lost(self):
        load = Load(self, self.nodes.endpoints)
        begin = time.monotonic()
        kills = [self.kill_and_restart_leader(i % SILENT_EVERY == 0) for i in range(KILLS)]
        # The last kill needs a write behind it, too.
        load.wait_for_more()
        summary = load.stop()
        print(f"\n{KILLS} kills in {time.monotonic() - begin:.0f} s; operations: {summary}", flush=True)
        wait_for_same_state(self.nodes.replicas)

        writes = load.writes()
        self.assertGreater(len(writes), KILLS * CLIENTS)
        load.check_every_write_is_there(writes, self.nodes.endpoints)
        load.check_linearizable()
        self.check_takeovers(writes, kills)

    def check_takeovers(self, writes, kills):
        """A leader is there once a write is acknowledged, or once the survivors say so. Clients whose requests went down
        with the old leader may be waiting for their time to run out, so the second can come first."""
        acknowledged = [takeover_ms(writes, kill.killed) for kill in kills]
        elected = [min(write, (kill.elected - kill.killed) / 1e6) for write, kill in zip(acknowledged, kills)]
        for silent, what in (False, "a kill"), (True, "a leader's silence"):
            times = [took for took, kill in zip(elected, kills) if kill.silent == silent]
            print(f"from {what} to a new leader: {distribution(times)}", flush=True)
        print(f"from a kill to the next acknowledged write: {distribution(acknowledged)}", flush=True)
        print(f"disk or processor stalled for {sum(kill.stalled_ms for kill in kills):.0f} ms of this", flush=True)
        late = [f"took {took:.0f} ms, stalled for {kill.stalled_ms:.0f} ms\n{self.log_of(kill)}"
                for took, kill in zip(elected, kills) if took > kill.allowed_ms]
        self.assertFalse(late, "elections that took too long:\n" + "\n".join(late))

    def log_of(self, kill):
        """What all nodes logged from a kill to the election's end."""
        end = kill.wall + datetime.timedelta(microseconds=(kill.elected - kill.killed) / 1e3)
        first, last = (moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] for moment in (kill.wall, end))
        lines = [(line[:23], f"  {replica.name} {line}") for replica in self.nodes.replicas
                 for line in replica.log_text().splitlines()]
        return "\n".join(line for stamp, line in sorted(lines) if first <= stamp <= last)


class Judgement(unittest.TestCase):
    """The test's own arithmetic, on histories written by hand."""

    def test_revisions_against_real_time_are_noticed(self):
        good = [{"start_ns": 0, "end_ns": 10, "revision": 2}, {"start_ns": 5, "end_ns": 6, "revision": 3},
                {"start_ns": 11, "end_ns": 12, "revision": 4}]
        bad = good + [{"start_ns": 20, "end_ns": 21, "revision": 3}]
        self.assertIsNone(find_revision_out_of_order(good))
        self.assertEqual([write["revision"] for write in find_revision_out_of_order(bad)], [4, 3])

    def test_a_takeover_counts_from_the_kill_to_a_write_that_began_after_it(self):
        writes = [{"start_ns": 0, "end_ns": 9_000_000}, {"start_ns": 6_000_000, "end_ns": 8_000_000}]
        self.assertEqual(takeover_ms(writes, 5_000_000), 3)
        self.assertEqual(takeover_ms(writes, 7_000_000), float("inf"))


    def test_only_the_part_of_a_stall_within_an_election_counts(self):
        with tempfile.TemporaryDirectory() as directory:
            stalls = Stalls(pathlib.Path(directory))
            stalls.close()
        stalls.noted = [(0, 10_000_000), (15_000_000, 18_000_000), (30_000_000, 90_000_000)]
        self.assertEqual(stalls.within_ms(8_000_000, 31_000_000), 2 + 3 + 1)
        self.assertEqual(stalls.within_ms(19_000_000, 29_000_000), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2, argv=sys.argv[:1])
