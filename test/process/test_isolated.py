# SPDX-License-Identifier: Apache-2.0
"""A leader of three that hears from nobody: the others are stopped with their connections open. Whatever it still believes,
it must serve no linearizable read and acknowledge no write; what asks for no more than its own state it goes on serving."""
import concurrent.futures
import signal
import unittest

from harness import ProcessTest, lashctl

FLAGS = ["--election-timeout", "500", "--heartbeat-interval", "50"]
# longer than a server holds a request
DEADLINE = "--command-timeout=40s"


class Isolated(ProcessTest):
    def setUp(self):
        """A cluster that holds k = old, and its leader alone from now on."""
        cluster = self.cluster(flags=FLAGS)
        self.leader = cluster.wait_for_leader()
        done = lashctl(self.leader.endpoint, "put", "k", "old")
        self.assertEqual((done.returncode, done.stdout), (0, "OK\n"), done.stderr)
        for replica in cluster.replicas:
            if replica is not self.leader:
                replica.process.send_signal(signal.SIGSTOP)

    def ask(self, *arguments, stdin=None):
        return lashctl(self.leader.endpoint, DEADLINE, *arguments, stdin=stdin)

    def test_an_isolated_leader_answers_only_for_itself(self):
        requests = {
            "a write": (("put", "k", "new"), None),
            "a read": (("get", "k"), None),
            "a transaction that reads": (("txn",), "\nget k\n\n\n"),
            "a transaction that writes": (("txn",), 'value("k") = "old"\n\nput k newer\n\nget k\n\n'),
        }
        with concurrent.futures.ThreadPoolExecutor(len(requests)) as pool:
            asked = {what: pool.submit(self.ask, *arguments, stdin=stdin) for what, (arguments, stdin) in requests.items()}
        for what, future in asked.items():
            with self.subTest(what):
                done = future.result()
                self.assertEqual((done.returncode, done.stdout), (1, ""), f"{what} was answered: {done.stderr}")
                self.assertRegex(done.stderr, r"etcdserver: (request timed out|no leader|leader changed)")
        done = self.ask("get", "k", "--consistency=s", "--print-value-only")
        self.assertEqual((done.returncode, done.stdout), (0, "old\n"), done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
