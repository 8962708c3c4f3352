# SPDX-License-Identifier: Apache-2.0
"""A snapshot restored into a new cluster of three, and what survives of a lost majority made a new cluster."""
import json
import pathlib
import shutil
import tempfile
import unittest

from harness import ProcessTest, lashctl, wait_until

BUMP = 1000


def member_id(replica):
    return format(replica.status()["header"]["member_id"], "x")


def get(endpoints, key):
    done = lashctl(endpoints, "get", key, "--print-value-only")
    return done.stdout.rstrip("\n") if done.returncode == 0 else None


class Restore(ProcessTest):
    def setUp(self):
        self.directory = pathlib.Path(self.enter(tempfile.TemporaryDirectory(prefix="lash-restore-")))

    def restore(self, cluster, replica, path, *flags):
        members = ",".join(f"{member.name}={member.peer_url}" for member in cluster.replicas)
        return lashctl("", "snapshot", "restore", str(path), "--name", replica.name, "--data-dir", str(replica.directory),
                       "--initial-cluster", members, "--initial-advertise-peer-urls", replica.peer_url, *flags)

    def backup(self, old):
        """A snapshot of a cluster with some history, and its revision."""
        for number in range(20):
            self.assertEqual(lashctl(old.endpoints, "put", f"key{number % 5}", str(number)).returncode, 0)
        self.assertEqual(lashctl(old.endpoints, "del", "key4").returncode, 0)
        path = self.directory / "backup"
        done = lashctl(old.replicas[0].endpoint, "snapshot", "save", str(path))
        self.assertEqual(done.returncode, 0, done.stderr)
        return path, json.loads(lashctl("", "snapshot", "status", str(path), "-w", "json").stdout)["revision"]

    def new_cluster(self):
        """A cluster that was never started."""
        cluster = self.cluster(prefix="m")
        for replica in cluster.replicas:
            replica.kill()
            shutil.rmtree(replica.directory)
        return cluster

    def start(self, cluster):
        for replica in cluster.replicas:
            cluster.start(replica)
        cluster.wait_for_leader()

    def test_a_new_cluster_of_three_begins_with_the_backup(self):
        path, revision = self.backup(self.cluster(size=1))
        new = self.new_cluster()
        for replica in new.replicas:
            done = self.restore(new, replica, path)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.start(new)
        for replica in new.replicas:
            self.assertEqual([get(replica.endpoint, f"key{number}") for number in range(5)], ["15", "16", "17", "18", ""])
        header = json.loads(lashctl(new.endpoints, "get", "key0", "-w", "json").stdout)["header"]
        self.assertEqual(header["revision"], revision)
        self.assertEqual(get(new.endpoints, "key0"), "15")
        self.assertEqual(lashctl(new.endpoints, "get", "key0", f"--rev={revision - 7}").returncode, 0)
        listed = lashctl(new.endpoints, "member", "list").stdout
        wait_until(lambda: all(f", started, {replica.name}, {replica.peer_url}, " in lashctl(new.endpoints, "member", "list").stdout
                               for replica in new.replicas), 10, listed)
        self.assertEqual(lashctl(new.endpoints, "put", "key0", "new").returncode, 0)
        for replica in new.replicas:
            replica.kill()
        self.start(new)
        self.assertEqual([get(replica.endpoint, "key0") for replica in new.replicas], ["new"] * 3)

    def test_a_raised_revision_is_seen_by_clients(self):
        path, revision = self.backup(self.cluster(size=1))
        new = self.new_cluster()
        for replica in new.replicas:
            done = self.restore(new, replica, path, "--bump-revision", str(BUMP), "--mark-compacted")
            self.assertEqual(done.returncode, 0, done.stderr)
        self.start(new)
        header = json.loads(lashctl(new.endpoints, "get", "key0", "-w", "json").stdout)["header"]
        self.assertEqual(header["revision"], revision + BUMP)
        self.assertEqual(get(new.endpoints, "key3"), "18")
        for old in revision, revision + BUMP - 1:
            done = lashctl(new.endpoints, "get", "key3", f"--rev={old}")
            self.assertIn("required revision has been compacted", done.stderr)
        self.assertEqual(lashctl(new.endpoints, "put", "key3", "19").returncode, 0)
        kv = json.loads(lashctl(new.endpoints, "get", "key3", "-w", "json").stdout)["kvs"][0]
        self.assertEqual(kv["mod_revision"], revision + BUMP + 1)

    def test_members_that_were_given_different_data_do_not_meet(self):
        old = self.cluster(size=1)
        path, _ = self.backup(old)
        new = self.new_cluster()
        self.assertEqual(self.restore(new, new.replicas[0], path).returncode, 0)
        lashctl(old.endpoints, "put", "one", "more")
        path = self.directory / "other"
        lashctl(old.endpoints, "snapshot", "save", str(path))
        for replica in new.replicas[1:]:
            self.assertEqual(self.restore(new, replica, path).returncode, 0)
        for replica in new.replicas:
            new.start(replica)
        odd, rest = new.replicas[0], ",".join(replica.endpoint for replica in new.replicas[1:])
        wait_until(lambda: get(rest, "one") == "more", 20, "the two others form no cluster")
        self.assertNotEqual(lashctl(odd.endpoint, "--command-timeout", "1s", "get", "one").returncode, 0)

    def test_what_cannot_be_restored_is_refused(self):
        path, _ = self.backup(self.cluster(size=1))
        new = self.new_cluster()
        replica = new.replicas[0]
        done = self.restore(new, replica, path, "--bump-revision", "5")
        self.assertEqual(done.returncode, 128)
        self.assertIn("--mark-compacted required if --bump-revision", done.stderr)
        whole = path.read_bytes()
        path.write_bytes(whole[:200] + b"x" + whole[201:])
        self.assertIn("is damaged", self.restore(new, replica, path).stderr)
        self.assertIn("or damaged behind", self.restore(new, replica, path, "--skip-hash-check").stderr)
        self.assertFalse(replica.directory.exists())
        path.write_bytes(whole)
        replica.directory.mkdir()
        done = self.restore(new, replica, path)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, f'Error: data-dir "{replica.directory}" exists\n')


class Recover(ProcessTest):
    def recover(self, replica, *flags):
        return lashctl("", "recover", "--data-dir", str(replica.directory), *flags)

    def test_one_of_three_goes_on_alone(self):
        lash = self.cluster()
        for number in range(50):
            self.assertEqual(lashctl(lash.endpoints, "put", f"key{number}", str(number)).returncode, 0)
        survivor, lost = lash.replicas[0], lash.replicas[1:]
        survivor_id, cluster_id = member_id(survivor), survivor.status()["header"]["cluster_id"]
        # A membership in the log, which is not to count any more.
        add = ["member", "add", "learner", "--learner", "--peer-urls=http://127.0.0.1:1"]
        wait_until(lambda: lashctl(lash.endpoints, *add).returncode == 0, 20, "no learner can be added")
        lashctl(survivor.endpoint, "get", "key0")  # which it has applied then
        self.assertIn("a process has it open", self.recover(survivor, "--show").stderr)
        survivor.stop()
        shown = self.recover(survivor, "--show")
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertIn(f"Member: {survivor_id}\n", shown.stdout)
        self.assertEqual(shown.stdout.count(", voter, 127.0.0.1:"), 3)
        self.assertEqual(shown.stdout.count(", learner, 127.0.0.1:1\n"), 1)
        refused = self.recover(survivor, "--force-new-cluster")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("may be alive: it answers", refused.stderr)
        self.assertIn("--risk-two-clusters-and-lost-writes", refused.stderr)
        for replica in lost:
            replica.kill()
        done = self.recover(survivor, "--survivors", survivor_id)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("recovery of last resort of member " + survivor_id, done.stdout)
        record = (survivor.directory / "recovery-1.txt").read_text(encoding="utf-8")
        self.assertTrue(done.stdout.startswith(record))
        self.assertEqual(record.count(" voter "), 4)  # three in the old cluster, one in the new
        lash.start(survivor)
        wait_until(lambda: get(survivor.endpoint, "key49") == "49", 20, "the survivor does not serve")
        self.assertEqual([get(survivor.endpoint, f"key{number}") for number in range(50)], [str(number) for number in range(50)])
        self.assertEqual(lashctl(survivor.endpoint, "put", "after", "1").returncode, 0)
        self.assertEqual(len(lashctl(survivor.endpoint, "member", "list").stdout.splitlines()), 1)
        self.assertNotEqual(survivor.status()["header"]["cluster_id"], cluster_id)
        # Who was lost comes back, and is of another cluster.
        for replica in lost:
            lash.start(replica)
        others = ",".join(replica.endpoint for replica in lost)
        wait_until(lambda: get(others, "key49") == "49", 20, "the two that were lost are a majority of the old cluster")
        self.assertEqual(get(others, "after"), "")
        self.assertEqual(get(survivor.endpoint, "after"), "1")

    def test_two_of_five_go_on_together(self):
        lash = self.cluster(size=5)
        for number in range(20):
            self.assertEqual(lashctl(lash.endpoints, "put", f"key{number}", str(number)).returncode, 0)
        survivors = lash.replicas[:2]
        for replica in lash.replicas:
            lashctl(replica.endpoint, "get", "key19")
        ids = ",".join(member_id(replica) for replica in survivors)
        for replica in lash.replicas:
            replica.kill()
        for replica in survivors:
            done = self.recover(replica, "--survivors", ids)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("Run the same command on the other survivors", done.stdout)
        for replica in survivors:
            lash.start(replica)
        endpoints = ",".join(replica.endpoint for replica in survivors)
        wait_until(lambda: get(endpoints, "key19") == "19", 20, "the survivors do not serve")
        self.assertEqual(lashctl(endpoints, "put", "after", "1").returncode, 0)
        self.assertEqual([get(replica.endpoint, "after") for replica in survivors], ["1", "1"])
        self.assertEqual(len(lashctl(endpoints, "member", "list").stdout.splitlines()), 2)

    def test_a_majority_is_told_to_start_and_nonsense_is_refused(self):
        lash = self.cluster()
        ids = [member_id(replica) for replica in lash.replicas]
        for replica in lash.replicas:
            replica.kill()
        done = self.recover(lash.replicas[0], "--survivors", ",".join(ids[:2]))
        self.assertEqual(done.returncode, 1)
        self.assertIn("2 of 3 voting members are a majority: start them", done.stderr)
        self.assertIn("is not among the survivors", self.recover(lash.replicas[0], "--survivors", ids[1]).stderr)
        self.assertIn("is no member", self.recover(lash.replicas[0], "--survivors", ids[0] + ",abc").stderr)
        self.assertEqual(self.recover(lash.replicas[0]).returncode, 128)
        for replica in lash.replicas:
            lash.start(replica)
        lash.wait_for_leader()


if __name__ == "__main__":
    unittest.main()
