# SPDX-License-Identifier: Apache-2.0
"""Leadership handed over: on request, with etcd's errors, and by a leader that is told to end."""
import subprocess
import threading
import time
import unittest

from harness import ProcessTest, etcdctl, lashctl, wait_for_leader, wait_until

ELECTION_MS = 3000  # an election by time-out would take this long at least


class Handover(ProcessTest):
    def setUp(self):
        self.lash = self.cluster(flags=["--election-timeout", str(ELECTION_MS)])
        self.leader = self.lash.wait_for_leader()

    def others(self):
        return [replica for replica in self.lash.replicas if replica is not self.leader]

    @staticmethod
    def member_id(replica):
        return format(replica.status()["header"]["member_id"], "x")

    def move(self, client, to):
        done = client(self.lash.endpoints, "move-leader", self.member_id(to))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, f"Leadership transferred from {self.member_id(self.leader)} to {self.member_id(to)}\n")
        self.leader = self.lash.wait_for_leader()
        self.assertIs(self.leader, to)

    def test_the_leader_moves_where_it_is_told_to(self):
        for _ in range(3):
            self.move(lashctl, self.others()[0])
            self.move(etcdctl, self.others()[0])

    def test_what_cannot_be_is_refused_in_etcds_words(self):
        done = lashctl(self.lash.endpoints, "move-leader", "abc")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("etcdserver: bad leader transferee", done.stderr)
        done = lashctl(self.others()[0].endpoint, "move-leader", "abc")
        self.assertEqual(done.returncode, 128)
        self.assertIn("no leader endpoint given at", done.stderr)
        done = lashctl(self.lash.endpoints, "move-leader", "xyz")
        self.assertEqual(done.returncode, 128)
        self.assertIn("bad member ID arg (xyz), expecting ID in Hex", done.stderr)
        self.assertIs(self.lash.wait_for_leader(), self.leader)

    def test_a_leader_told_to_end_hands_over_and_clients_see_no_election(self):
        writer = self.others()[0]
        took, stop, failed = [], threading.Event(), []

        def write():
            while not stop.is_set() and not failed:
                begin = time.monotonic()
                try:
                    done = lashctl(writer.endpoint, "put", "key", "value")
                except subprocess.TimeoutExpired as error:
                    failed.append(str(error))
                    return
                took.append(time.monotonic() - begin)
                if done.returncode:
                    failed.append(done.stderr)

        def wait_for_writes(count):
            wait_until(lambda: failed or len(took) >= count, 60, "the writer does not come forward")

        thread = threading.Thread(target=write)
        thread.start()
        try:
            wait_for_writes(3)
            self.assertEqual(self.leader.stop(), 0)
            self.assertIn("leadership handed over", self.leader.log_text())
            wait_for_leader(self.others())
            wait_for_writes(len(took) + 2)  # the first of them may have begun before
        finally:
            stop.set()
            thread.join()
        self.assertEqual(failed, [])
        self.assertLess(max(took), ELECTION_MS / 1000)


if __name__ == "__main__":
    unittest.main()
