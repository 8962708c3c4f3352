# SPDX-License-Identifier: Apache-2.0
"""Values of 40 MiB, which go into the log in parts: whole on every member or on none, whoever dies in between."""
import hashlib
import random
import threading
import time
import unittest

from harness import ProcessTest, lashctl, wait_until

MIB = 1 << 20
SIZE = 40 * MIB
FLAGS = ["--max-request-bytes", str(64 * MIB), "--election-timeout", "3000"]
ROUNDS = 6


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


class Large(ProcessTest):
    def setUp(self):
        seed = random.randrange(1 << 32)
        print(f"seed {seed}", flush=True)
        self.random = random.Random(seed)
        self.lash = self.cluster(flags=FLAGS)

    def value(self):
        return self.random.randbytes(SIZE // 2).hex()

    def put(self, replica, key, value):
        return lashctl(replica.endpoint, "--command-timeout", "50s", "put", key, stdin=value)

    def get(self, replica, key):
        """What the member has, read linearizably; "" for nothing."""
        done = lashctl(replica.endpoint, "--command-timeout", "50s", "get", key, "--print-value-only")
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout[:-1]

    def has_all(self, replica, key):
        done = lashctl(replica.endpoint, "--command-timeout", "50s", "get", key, "--keys-only")
        return done.returncode == 0

    def test_large_values_disturb_nobody(self):
        before = self.lash.wait_for_leader().status()
        for number, replica in enumerate(self.lash.replicas):
            value = self.value()
            done = self.put(replica, f"large-{number}", value)
            self.assertEqual((done.returncode, done.stdout), (0, "OK\n"), done.stderr)
            for other in self.lash.replicas:
                self.assertEqual(digest(self.get(other, f"large-{number}")), digest(value))
        after = self.lash.wait_for_leader().status()
        self.assertEqual((after["leader"], after["raftTerm"]), (before["leader"], before["raftTerm"]))

    def test_one_that_is_larger_than_allowed_is_refused(self):
        done = self.put(self.lash.replicas[0], "k", "x" * (64 * MIB + 1))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("request is too large", done.stderr)

    def test_the_leader_is_killed_midway(self):
        outcomes = []
        for number in range(ROUNDS):
            leader = self.lash.wait_for_leader()
            asked = self.random.choice([replica for replica in self.lash.replicas if replica is not leader])
            value = self.value()
            done = []
            thread = threading.Thread(target=lambda a=asked, k=f"key-{number}", v=value: done.append(self.put(a, k, v)))
            thread.start()
            time.sleep(self.random.uniform(0.2, 1.2))  # somewhere on the way
            leader.kill()
            thread.join()
            self.lash.start(leader)
            for replica in self.lash.replicas:
                wait_until(lambda r=replica, k=f"key-{number}": self.has_all(r, k), 60, "a member does not answer")
            found = {digest(self.get(replica, f"key-{number}")) for replica in self.lash.replicas}
            self.assertEqual(len(found), 1)
            whole = found == {digest(value)}
            self.assertTrue(whole or found == {digest("")}, found)
            self.assertTrue(whole or done[0].returncode != 0, "what was acknowledged is gone")
            outcomes.append((whole, done[0].returncode == 0))
        print("whole, acknowledged:", outcomes, flush=True)


if __name__ == "__main__":
    unittest.main()
