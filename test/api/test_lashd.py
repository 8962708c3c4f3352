# SPDX-License-Identifier: Apache-2.0
"""The life of lashd as a process: what it prints, when it says that it is ready, and how it ends."""
import pathlib
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "process"))
# pylint: disable-next=wrong-import-position
from harness import BUILD, Cluster, ProcessTest, lashctl, wait_until  # noqa: E402
# pylint: disable-next=wrong-import-position
from replica import READY  # noqa: E402

SECONDS = 30


def run(*flags):
    return subprocess.run([str(BUILD / "lashd"), *flags], capture_output=True, text=True, timeout=SECONDS, check=False)


class Texts(unittest.TestCase):
    """What ends without serving."""

    def test_the_first_line_of_the_version_is_for_tools(self):
        done = run("--version")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout.splitlines()[0], r"^lashd Version: \d+\.\d+\.\d+$")
        self.assertRegex(done.stdout.splitlines()[1], r"^API version: \d+\.\d+$")

    def test_help_names_every_flag(self):
        done = run("--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for flag in ["name", "data-dir", "listen-client-urls", "advertise-client-urls", "listen-peer-urls",
                     "initial-advertise-peer-urls", "initial-cluster", "initial-cluster-token", "initial-cluster-state",
                     "strict-reconfig-check", "max-learners", "heartbeat-interval", "election-timeout", "log-level",
                     "max-txn-ops", "max-request-bytes", "io-uring"]:
            self.assertIn(f"--{flag}\n", done.stdout)


class Life(ProcessTest):
    """What serves."""

    def ready_lines(self, replica):
        return replica.log_text().count(READY)

    def test_ready_is_said_once_in_each_life_and_a_signal_ends_it(self):
        cluster = self.cluster(size=1)
        replica = cluster.replicas[0]
        for life in (1, 2):
            wait_until(lambda: self.ready_lines(replica) >= life, SECONDS, "not ready")
            self.assertEqual(lashctl(cluster.endpoints, "put", f"k{life}", "v").returncode, 0)
            self.assertEqual(replica.stop(), 0)
            self.assertEqual(self.ready_lines(replica), life)
            cluster.start(replica)
        cluster.wait_for_leader()
        self.assertEqual(lashctl(cluster.endpoints, "get", "k", "--prefix", "--keys-only").stdout.split(), ["k1", "k2"])
        replica.process.send_signal(signal.SIGINT)
        self.assertEqual(replica.process.wait(timeout=SECONDS), 0)

    def test_a_member_without_a_quorum_is_not_ready(self):
        cluster = Cluster(size=3)
        self.addCleanup(cluster.close)
        first, second, _ = cluster.replicas
        cluster.start(first)
        wait_until(lambda: first.status(), SECONDS, "no status")
        done = lashctl(cluster.endpoints.split(",", maxsplit=1)[0], "endpoint", "status", "-w", "json")
        self.assertIn("etcdserver: no leader", done.stdout)
        self.assertEqual(self.ready_lines(first), 0)
        cluster.start(second)
        wait_until(lambda: self.ready_lines(first) and self.ready_lines(second), SECONDS, "not ready with a quorum")
        self.assertEqual(first.stop(), 0)

    def test_a_member_list_shows_what_each_member_published(self):
        cluster = self.cluster()
        wait_until(lambda: all(self.ready_lines(replica) for replica in cluster.replicas), SECONDS, "not ready")
        for replica in cluster.replicas:
            listed = lashctl(replica.endpoint, "member", "list").stdout.splitlines()
            self.assertEqual(len(listed), 3)
            for other in cluster.replicas:
                self.assertTrue(any(line.endswith(f"started, {other.name}, {other.peer_url}, http://{other.endpoint}, false")
                                    for line in listed), listed)

    def test_a_new_cluster_is_not_joined_and_restarting_with_that_state_is_fine(self):
        cluster = Cluster(size=1, flags=["--initial-cluster-state", "existing"])
        self.addCleanup(cluster.close)
        replica = cluster.replicas[0]
        cluster.start(replica)
        self.assertEqual(replica.process.wait(timeout=SECONDS), 1)
        self.assertIn("names no other member", replica.log_text().splitlines()[-1])
        replica.start(cluster.replicas)
        cluster.wait_for_leader()
        self.assertEqual(replica.stop(), 0)
        cluster.start(replica)
        cluster.wait_for_leader()


if __name__ == "__main__":
    unittest.main(verbosity=2)
