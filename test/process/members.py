# SPDX-License-Identifier: Apache-2.0
"""Clusters of lashd whose members come and go, for the tests that change them."""
import json
import re

from harness import Cluster, lashctl, wait_until
from replica import READY

REMOVED_EXIT = 3
SECONDS = 30


class Members(Cluster):
    """The first few replicas are a cluster; the rest have ports, and wait to be added."""

    def __init__(self, test, first, size, flags=()):
        super().__init__(size, flags)
        test.addCleanup(self.close)
        self.test = test
        self.founders = self.replicas[:first]
        self.latest = None  # to join
        for replica in self.founders:
            replica.start(self.founders, *self.flags)
        self.wait_for_leader()
        for replica in self.founders:
            wait_until(lambda: READY in replica.log_text(), SECONDS, f"{replica.name} is not ready")

    @property
    def running(self):
        return [replica for replica in self.replicas if replica.running()]

    @property
    def served(self):
        """The endpoints of those that run; the latest, which may have no vote and refuse to serve, comes last."""
        return ",".join(replica.endpoint for replica in sorted(self.running, key=lambda replica: replica is self.latest))

    def ask(self, *arguments):
        """A command that must work."""
        done = lashctl(self.served, *arguments)
        self.test.assertEqual(done.returncode, 0, f"{arguments}: {done.stdout}{done.stderr}")
        return done.stdout

    def listed(self):
        return json.loads(self.ask("member", "list", "-w", "json"))["members"]

    def id_of(self, replica):
        found = [member["ID"] for member in self.listed() if member["peerURLs"] == [replica.peer_url]]
        self.test.assertEqual(len(found), 1, self.listed())
        return format(found[0], "x")

    def add(self, replica, *flags):
        """Add it; the settings that this prints, by their names."""
        text = self.ask("member", "add", replica.name, "--peer-urls", replica.peer_url, *flags)
        return dict(re.findall(r'^ETCD_(\w+)="(.*)"$', text, re.MULTILINE))

    def join(self, replica, settings):
        self.latest = replica
        replica.start(self.replicas, *self.flags, "--initial-cluster", settings["INITIAL_CLUSTER"],
                      "--initial-cluster-state", settings["INITIAL_CLUSTER_STATE"])
        wait_until(lambda: READY in replica.log_text() or not replica.running(), SECONDS, f"{replica.name} is not ready")
        self.test.assertTrue(replica.running(), replica.log_tail())

    def promote(self, replica):
        identifier = self.id_of(replica)
        wait_until(lambda: lashctl(self.served, "member", "promote", identifier).returncode == 0, SECONDS,
                   f"{replica.name} does not catch up")

    def grow(self, replica):
        """In the safe way: as a learner first."""
        self.join(replica, self.add(replica, "--learner"))
        self.promote(replica)

    def remove(self, replica):
        """Remove it; its process must end by itself, say why, and not start again."""
        self.ask("member", "remove", self.id_of(replica))
        self.test.assertEqual(replica.process.wait(timeout=SECONDS), REMOVED_EXIT, replica.log_tail())
        self.test.assertIn("was removed from the cluster", replica.log_text().splitlines()[-1])
        replica.start(self.replicas, *self.flags)
        self.test.assertEqual(replica.process.wait(timeout=SECONDS), REMOVED_EXIT, replica.log_tail())
        self.test.assertIn("was removed from its cluster", replica.log_text().splitlines()[-1])
