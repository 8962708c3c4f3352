# SPDX-License-Identifier: Apache-2.0
"""Three nodes of an earlier build are replaced, one after the other, by this one, under load: nothing acknowledged is lost. Then the
cluster's version is raised, and the earlier build does not start with this one's data.

The earlier build is made from the repository's history, once for each build directory.
"""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

from harness import BUILD, ROOT, Cluster, ProcessTest, lashctl, wait_until
from load import Load
from replica import wait_for_same_state

BEFORE = "e9db3569f58ab5534398e20cb4e4f6cb84871604"  # the last one that knew nothing of memberships that change
FIRST, NEWEST = 1, 2  # versions of what log and data may hold
SECONDS = 30
BUILD_SECONDS = 600


def run(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False, **more)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: {done.stdout[-2000:]}{done.stderr[-2000:]}")


def lashd_before():
    """The path of lashd as it was at BEFORE."""
    kept = BUILD / f"before-{BEFORE[:12]}"
    if not (kept / "lashd").exists():
        known = subprocess.run(["git", "-C", str(ROOT), "cat-file", "-e", f"{BEFORE}^{{commit}}"], capture_output=True,
                               check=False)
        if known.returncode != 0:
            raise AssertionError(f"commit {BEFORE}, whose build is rolled to this one, is not in the history of {ROOT}: clone "
                                 "the repository whole, or fetch the rest with \"git fetch --unshallow\"")
        with tempfile.TemporaryDirectory(prefix="lash-before-") as directory:
            run("git", "-C", str(ROOT), "archive", "-o", f"{directory}/tree.tar", BEFORE)
            run("tar", "-xf", f"{directory}/tree.tar", "-C", directory)
            run("meson", "setup", f"{directory}/build", directory)
            run("ninja", "-C", f"{directory}/build", "lashd")
            kept.mkdir(exist_ok=True)
            made = kept / f"lashd.{os.getpid()}"
            made.write_bytes(pathlib.Path(directory, "build/lashd").read_bytes())
            made.chmod(0o755)
            made.rename(kept / "lashd")  # whole or not at all
    return kept / "lashd"


class Upgrade(ProcessTest):
    @classmethod
    def setUpClass(cls):
        cls.before = lashd_before()

    def old_cluster(self):
        nodes = Cluster()
        self.addCleanup(nodes.close)
        for replica in nodes.replicas:
            replica.program = self.before
            nodes.start(replica)
        nodes.wait_for_leader()
        return nodes

    def replace(self, nodes, replica):
        """End the process, and start this build with the same data and flags."""
        self.assertEqual(replica.stop(), 0, replica.log_tail())
        replica.program = BUILD / "lashd"
        nodes.start(replica)
        nodes.wait_for_leader()
        wait_for_same_state(nodes.replicas)

    @staticmethod
    def version(replica):
        done = lashctl(replica.endpoint, "status", "-w", "json")
        return json.loads(done.stdout)[0]["status"].get("cluster_version") if done.returncode == 0 else None

    def test_a_cluster_is_rolled_under_load_and_then_raised(self):
        nodes = self.old_cluster()
        load = Load(self, nodes.endpoints)
        for replica in nodes.replicas:
            self.replace(nodes, replica)
            load.wait_for_more()
            if replica is not nodes.replicas[-1]:
                self.assertEqual(self.version(replica), FIRST)
                refused = lashctl(replica.endpoint, "member", "update", "1", "--peer-urls", "http://127.0.0.1:9")
                self.assertNotEqual(refused.returncode, 0)
        for replica in nodes.replicas:
            wait_until(lambda: self.version(replica) == NEWEST, SECONDS, f"{replica.name} is not of the newest version")
        load.wait_for_more()
        print(f"\noperations during the upgrade: {load.stop()}", flush=True)
        wait_for_same_state(nodes.replicas)
        writes = load.writes()
        self.assertGreater(len(writes), 500)
        load.check_every_write_is_there(writes, nodes.endpoints)
        load.check_linearizable()

        victim = nodes.replicas[0]
        self.assertEqual(victim.stop(), 0)
        victim.program = self.before
        nodes.start(victim)
        self.assertEqual(victim.process.wait(timeout=SECONDS), 1, victim.log_tail())
        self.assertIn("newer", victim.log_text().splitlines()[-1])
        victim.program = BUILD / "lashd"
        nodes.start(victim)
        nodes.wait_for_leader()
        wait_for_same_state(nodes.replicas)


if __name__ == "__main__":
    unittest.main(verbosity=2)
