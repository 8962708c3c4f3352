# SPDX-License-Identifier: Apache-2.0
"""Snapshots in files: saved under load by lashctl and by etcdctl, and damaged ones found."""
import hashlib
import json
import pathlib
import tempfile
import threading
import unittest

from harness import ProcessTest, etcdctl, lashctl, wait_until


class Snapshot(ProcessTest):
    def setUp(self):
        self.directory = pathlib.Path(self.enter(tempfile.TemporaryDirectory(prefix="lash-snapshot-")))

    def save(self, client, replica, name):
        path = self.directory / name
        done = client(replica.endpoint, "snapshot", "save", str(path))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, f"Snapshot saved at {path}\n")
        self.assertFalse((self.directory / f"{name}.part").exists())
        return path

    def status(self, path):
        done = lashctl("", "snapshot", "status", str(path), "-w", "json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_both_clients_save_the_same_on_every_member_under_load(self):
        lash = self.cluster()
        stop = threading.Event()

        def load():
            while not stop.is_set():
                lashctl(lash.endpoints, "bench", "put", "--duration", "1s", "--keys", "2000", "--value", "1000")

        thread = threading.Thread(target=load)
        thread.start()
        try:
            under_load = [self.save(client, replica, f"{client.__name__}-{replica.name}")
                          for client in (lashctl, etcdctl) for replica in lash.replicas]
        finally:
            stop.set()
            thread.join()
        revisions = [self.status(path)["revision"] for path in under_load]
        self.assertEqual(len(revisions), 6)
        hashes = set()
        for replica in lash.replicas:
            lashctl(replica.endpoint, "get", "x")  # linearizable: this member has applied all
            status = self.status(self.save(lashctl, replica, f"quiet-{replica.name}"))
            hashes.add((status["hash"], status["revision"], status["totalKey"]))
            self.assertGreater(status["revision"], max(revisions) - 1)
        self.assertEqual(len(hashes), 1, hashes)

    def test_a_damaged_file_is_found(self):
        lash = self.cluster(size=1)
        lashctl(lash.endpoints, "put", "a", "1")
        path = self.save(lashctl, lash.replicas[0], "whole")
        whole = path.read_bytes()
        self.assertEqual(len(whole) % 512, 32)
        self.assertEqual(hashlib.sha256(whole[:-32]).digest(), whole[-32:])
        self.assertEqual(self.status(path)["totalKey"], 1)
        path.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
        done = lashctl("", "snapshot", "status", str(path))
        self.assertEqual(done.returncode, 1)
        self.assertIn("is damaged: its SHA-256 is not the one at its end", done.stderr)
        path.write_bytes(whole[:-1])
        self.assertIn("has no SHA-256 at its end", lashctl("", "snapshot", "status", str(path)).stderr)
        image = bytes(512)
        path.write_bytes(image + hashlib.sha256(image).digest())
        self.assertIn("is no snapshot of lashd", lashctl("", "snapshot", "status", str(path)).stderr)
        self.assertEqual(lashctl("", "snapshot", "status", str(path / "no")).returncode, 1)

    def test_an_old_file_stays_when_a_new_one_cannot_be_had(self):
        lash = self.cluster(size=1)
        path = self.save(lashctl, lash.replicas[0], "file")
        old = path.read_bytes()
        done = lashctl(lash.endpoints + ",127.0.0.1:1", "snapshot", "save", str(path))
        self.assertEqual(done.returncode, 128)
        self.assertIn("snapshot must be requested to one selected node, not multiple", done.stderr)
        lash.replicas[0].stop()
        self.assertNotEqual(lashctl(lash.endpoints, "snapshot", "save", str(path)).returncode, 0)
        self.assertEqual(path.read_bytes(), old)
        self.assertEqual([entry.name for entry in self.directory.iterdir()], ["file"])


class Compaction(ProcessTest):
    """The members' own snapshots, at so small sizes that they are taken all the time."""
    FLAGS = ["--log-segment-bytes", "1048576", "--snapshot-log-bytes", "2000000", "--snapshot-trailing-bytes", "1000000"]
    LOG_MAX = 60_000_000
    ROUNDS_MAX = 20

    def setUp(self):
        self.lash = self.cluster(flags=self.FLAGS)

    def write(self, endpoints):
        done = lashctl(endpoints, "bench", "put", "--duration", "1s", "--keys", "300", "--value", "10000", "--clients", "20")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(lashctl(endpoints, "put", "last", "1").returncode, 0)
        revision = json.loads(lashctl(endpoints, "get", "last", "-w", "json").stdout)["header"]["revision"]
        self.assertEqual(lashctl(endpoints, "compaction", str(revision)).returncode, 0)
        return revision

    def write_until_trimmed(self, endpoints, replicas):
        """Write until the replicas' logs are short, though they would be long if nothing was dropped."""
        for _ in range(self.ROUNDS_MAX):
            revision = self.write(endpoints)
            if revision * 10000 > 3 * self.LOG_MAX and all(self.data(replica, "log") < self.LOG_MAX for replica in replicas):
                return
        self.fail(f"logs of {[self.data(replica, 'log') for replica in replicas]} bytes after {revision} writes of 10 kB")

    def data(self, replica, name):
        return sum(entry.stat().st_size for entry in (replica.directory / name).iterdir())

    def hashes(self):
        """What every member holds, which must be the same, however far the removal of what was compacted has come."""
        found = set()
        for replica in self.lash.replicas:
            lashctl(replica.endpoint, "get", "last")  # linearizable: this member has applied all
            done = lashctl(replica.endpoint, "endpoint", "hashkv", "-w", "json")
            self.assertEqual(done.returncode, 0, done.stderr)
            answer = json.loads(done.stdout)[0]["HashKV"]
            found.add((answer["hash"], answer["hash_revision"], answer["compact_revision"]))
        return found

    def test_logs_stay_short_and_stores_are_restored(self):
        self.write_until_trimmed(self.lash.endpoints, self.lash.replicas)
        self.assertEqual(len(self.hashes()), 1)
        # A machine that lost its power has no database: it is made of the snapshot and the log behind it.
        replica = self.lash.replicas[1]
        replica.kill()
        for name in ("store.mdb", "store.mdb-lock", "store.state"):
            (replica.directory / "store" / name).unlink()
        self.lash.start(replica)
        wait_until(lambda: "store: restored from a snapshot" in replica.log_text(), 20, "nothing was restored")
        wait_until(lambda: lashctl(replica.endpoint, "get", "last").stdout.startswith("last"), 20, "it does not serve")
        self.assertEqual(len(self.hashes()), 1)

    def test_a_member_that_was_away_for_long_is_sent_a_snapshot(self):
        leader = self.lash.wait_for_leader()
        away = next(replica for replica in self.lash.replicas if replica is not leader)
        others = ",".join(replica.endpoint for replica in self.lash.replicas if replica is not away)
        away.kill()
        self.write_until_trimmed(others, [leader])
        self.lash.start(away)
        wait_until(lambda: "store: restored from a snapshot" in away.log_text(), 30, "nothing was restored")
        wait_until(lambda: lashctl(away.endpoint, "get", "last").stdout.startswith("last"), 30, "it does not serve")
        self.assertEqual(len(self.hashes()), 1)


if __name__ == "__main__":
    unittest.main()
