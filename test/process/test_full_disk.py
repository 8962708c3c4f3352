# SPDX-License-Identifier: Apache-2.0
"""Full disks, on real file systems: each member's data lies on a small tmpfs of its own, which another file fills up.

The tests run in a mount namespace of their own, which a user may have as well as root; with them the mounts end.
"""
import os
import subprocess
import sys
import unittest

from harness import Cluster, ProcessTest, lashctl, wait_for_leader, wait_until
from replica import wait_for_same_state

INSIDE = "LASH_FULL_DISK_INSIDE"
DISK_BYTES = 24 << 20
SEGMENT_BYTES = 2 << 20
VALUE = "v" * 20000
NO_SPACE = "etcdserver: mvcc: database space exceeded"
FULL, ROOM = "disk full: writes stopped", "room again: writes go on"


class SmallDisks(Cluster):
    """A cluster with each data directory on a disk of its own."""

    def __enter__(self):
        for replica in self.replicas:
            replica.directory.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", replica.directory], check=True)
        return super().__enter__()

    def close(self):
        for replica in self.replicas:
            if replica.running():
                replica.kill()
            subprocess.run(["umount", "--lazy", replica.directory], check=False)
        super().close()


def fill(replica):
    """Let a file take all the room that is left."""
    disk = os.statvfs(replica.directory)
    file = os.open(replica.directory / "filler", os.O_CREAT | os.O_WRONLY)
    os.posix_fallocate(file, 0, disk.f_bavail * disk.f_bsize)
    os.close(file)


def make_room(replica):
    (replica.directory / "filler").unlink()


class FullDisk(ProcessTest):
    def setUp(self):
        self.lash = self.enter(SmallDisks(flags=["--log-segment-bytes", str(SEGMENT_BYTES)]))
        self.acknowledged = {}
        self.count = 0

    def put(self, replica):
        """Write the next key; the error, or nothing."""
        self.count += 1
        key, value = f"key{self.count:05}", f"{self.count} {VALUE}"
        done = lashctl(replica.endpoint, "put", key, value)
        if done.returncode == 0:
            self.acknowledged[key] = value
        return done.stderr.strip()

    @staticmethod
    def alarms(replica):
        status = replica.status()
        return [error for error in status.get("errors", []) if "alarm:NOSPACE" in error] if status else []

    def assert_all_there(self, replica):
        """Every acknowledged write, as this member has it."""
        lines = lashctl(replica.endpoint, "get", "--prefix", "key", "--consistency", "s").stdout.splitlines()
        held = dict(zip(lines[::2], lines[1::2]))
        self.assertEqual({key: held.get(key) for key in self.acknowledged}, self.acknowledged)

    def assert_goes_on(self):
        """Everything is as it was before the disks were full."""
        for replica in self.lash.replicas:
            wait_until(lambda replica=replica: self.put(replica) == "", 20, f"no write at {replica.name}")
        wait_for_same_state(self.lash.replicas)
        for replica in self.lash.replicas:
            self.assertEqual(self.alarms(replica), [])
            self.assert_all_there(replica)
            # Said once for each change, not for each attempt.
            text = replica.log_text()
            self.assertEqual(text.count(FULL), text.count(ROOM))
            self.assertLess(text.count(FULL), 4)

    def test_a_full_leader_hands_over_and_comes_back_by_itself(self):
        for _ in range(5):
            self.assertEqual(self.put(self.lash.replicas[0]), "")
        full = self.lash.wait_for_leader()
        others = [replica for replica in self.lash.replicas if replica is not full]
        fill(full)
        for i in range(400):
            self.put(others[i % 2])
            if self.alarms(full):
                break
        self.assertIn(FULL, full.log_text())
        leader = wait_until(lambda: (found := wait_for_leader(self.lash.replicas)) is not full and found, 10,
                            "the full leader goes on leading")
        for i in range(20):
            self.assertEqual(self.put(others[i % 2]), "")
        # Here writes fail at once, in etcd's words; what is there can be read.
        self.assertIn(NO_SPACE, self.put(full))
        done = lashctl(full.endpoint, "get", "key00001", "--consistency", "s")
        self.assertEqual(done.stdout, f"key00001\n{self.acknowledged['key00001']}\n")
        self.assertTrue(self.alarms(leader), "the leader does not tell of the full member")
        make_room(full)
        self.assert_goes_on()
        self.assertIn(ROOM, full.log_text())

    def test_all_full_writes_stop_reads_go_on_and_room_ends_it(self):
        for _ in range(5):
            self.assertEqual(self.put(self.lash.replicas[0]), "")
        leader = self.lash.wait_for_leader()
        for replica in self.lash.replicas:
            fill(replica)
        for _ in range(400):
            error = self.put(leader)
            if NO_SPACE in error and all(self.alarms(replica) for replica in self.lash.replicas):
                break
        for replica in self.lash.replicas:
            self.assertTrue(self.alarms(replica), f"{replica.name} is not full")
            self.assertIn(NO_SPACE, self.put(replica))
            for consistency in "s", "l":
                done = lashctl(replica.endpoint, "get", "key00001", "--consistency", consistency)
                self.assertEqual(done.stdout, f"key00001\n{self.acknowledged['key00001']}\n", done.stderr)
        wait_for_leader(self.lash.replicas)
        for replica in self.lash.replicas:
            make_room(replica)
        self.assert_goes_on()


def main():
    if os.environ.get(INSIDE):
        unittest.main()
    os.environ[INSIDE] = "1"
    flags = "-m" if os.geteuid() == 0 else "-rm"
    os.execvp("unshare", ["unshare", flags, sys.executable, *sys.argv])


if __name__ == "__main__":
    main()
