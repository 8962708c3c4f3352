# SPDX-License-Identifier: Apache-2.0
"""Damage to a stopped member's log, where it had been durable. Its peers have what it lacks, so that it serves all of it again
after a while; until then it takes no part and says so. What nobody else can have it refuses to start with."""
import unittest
import urllib.error
import urllib.request

from harness import ProcessTest, lashctl, wait_until

FLAGS = ["--election-timeout", "500", "--heartbeat-interval", "50"]
KEYS = 40


def key(number):
    return f"key{number:03}"


class Repair(ProcessTest):
    def setUp(self):
        self.running = self.cluster(flags=FLAGS)
        for number in range(KEYS):
            self.put(key(number), f"value{number:03}" * 30)

    def put(self, name, value):
        """Until it is done: on a busy machine there may be an election at any time."""
        wait_until(lambda: lashctl(self.running.endpoints, "put", name, value).stdout == "OK\n", 20, "a write fails")

    def follower(self):
        leader = self.running.wait_for_leader()
        return next(replica for replica in self.running.replicas if replica is not leader)

    def segment(self, replica):
        return sorted((replica.directory / "log").glob("log-*"))[-1]

    def damage(self, replica, number, span=20):
        """Overwrite bytes in the middle of a key's value, where it lies in the log."""
        path = self.segment(replica)
        found = path.read_bytes().find((f"value{number:03}" * 30).encode())
        self.assertGreater(found, 0)
        with open(path, "r+b") as file:
            file.seek(found + 40)
            file.write(b"\xa5" * span)

    def healthy(self, replica):
        try:
            with urllib.request.urlopen(f"http://{replica.endpoint}/health", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def repaired(self, replica):
        """It takes part again, and holds everything."""
        return self.healthy(replica) and self.serves_all(replica)

    def serves_all(self, replica):
        done = lashctl(replica.endpoint, "get", "--prefix", "key", "--print-value-only", "--consistency=s")
        return done.returncode == 0 and done.stdout.split() == [f"value{number:03}" * 30 for number in range(KEYS)]

    def lines(self, replica, text):
        return [line for line in replica.log_text().splitlines() if text in line]

    def test_a_damaged_log_is_repaired_from_the_peers(self):
        replica = self.follower()
        replica.stop()
        for number in (3, 4, 17):
            self.damage(replica, number)
        self.put("later", "x")
        self.running.start(replica)
        wait_until(lambda: self.repaired(replica), 20, "the member is not repaired")
        self.assertEqual(len(self.lines(replica, "repaired a record of the log")), 3)
        self.assertEqual(len(self.lines(replica, "the log is whole again")), 1)
        # It is bit for bit what it was: another start finds nothing.
        said = len(self.lines(replica, "is damaged"))
        replica.stop()
        self.running.start(replica)
        wait_until(lambda: self.repaired(replica), 20, "the member lacks something")
        self.assertEqual(len(self.lines(replica, "is damaged")), said)

    def test_a_sector_that_is_gone_is_fetched_anew(self):
        """With it the record's header goes, and what comes after tells what it was."""
        replica = self.follower()
        replica.stop()
        path = self.segment(replica)
        found = path.read_bytes().find(("value009" * 30).encode())
        with open(path, "r+b") as file:
            file.seek(found // 512 * 512)
            file.write(b"\0" * 512)
        self.running.start(replica)
        wait_until(lambda: self.repaired(replica), 20, "the member is not repaired")
        self.assertEqual(len(self.lines(replica, "repaired a record of the log")), 1)

    def test_a_bit_of_the_only_segments_first_record_is_put_right(self):
        """Nothing else says whose log it is."""
        replica = self.follower()
        replica.stop()
        self.assertEqual(len(list((replica.directory / "log").glob("log-*"))), 1)
        for offset in (20, 70, 150):  # its header, its payload's begin, the members
            with open(self.segment(replica), "r+b") as file:
                file.seek(offset)
                byte = file.read(1)[0]
                file.seek(offset)
                file.write(bytes([byte ^ 4]))
            self.running.start(replica)
            wait_until(lambda: self.repaired(replica), 20, "the member is not repaired")
            replica.stop()
        self.assertEqual(len(self.lines(replica, "the segment's first record")), 3)

    def test_until_a_peer_can_help_a_damaged_member_takes_no_part(self):
        """Two of three are there, one of them damaged: no leader, although its vote would make one."""
        replica = self.follower()
        others = [other for other in self.running.replicas if other is not replica]
        for other in self.running.replicas:
            other.stop()
        self.damage(replica, 11)
        roles = len(self.lines(replica, "role changed"))
        self.running.start(replica)
        wait_until(lambda: self.lines(replica, "takes no part until"), 20, "the damage is not told")
        wait_until(lambda: self.lines(replica, "takes no part until a peer has"), 20, "nobody is missed")
        self.assertFalse(self.healthy(replica))
        done = lashctl(replica.endpoint, "put", "k", "v")
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(len(self.lines(replica, "role changed")), roles)
        self.running.start(others[0])
        wait_until(lambda: self.repaired(replica), 20, "the member is not repaired")
        self.put("k", "v")

    def test_two_members_repair_one_another(self):
        replicas = self.running.replicas
        for replica in replicas:
            replica.stop()
        self.damage(replicas[0], 5)
        self.damage(replicas[1], 6)
        self.damage(replicas[0], 20)
        for replica in replicas[:2]:
            self.running.start(replica)
        for replica in replicas[:2]:
            wait_until(lambda replica=replica: self.repaired(replica), 30, "a member is not repaired")
        self.put("k", "v")


if __name__ == "__main__":
    unittest.main(verbosity=2)
