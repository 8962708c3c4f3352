# SPDX-License-Identifier: Apache-2.0
"""Members come and go while clients write: nothing acknowledged is lost, and the history is linearizable. And what keeps a member
from joining, or lets it come back."""
import shutil
import unittest

from harness import ProcessTest, etcdctl, lashctl, wait_until
from load import Load
from members import SECONDS, Members
from replica import wait_for_same_state

UNCHECKED = ["--strict-reconfig-check=false"]  # the checks want connections that are five seconds old


class Changed(ProcessTest):
    def test_one_grows_to_five_and_shrinks_to_three_others_under_load(self):
        nodes = Members(self, first=1, size=8, flags=UNCHECKED)
        load = Load(self, nodes.endpoints)
        for replica in nodes.replicas[1:5]:
            nodes.grow(replica)
        self.assertEqual(len(nodes.listed()), 5)
        for old, new in zip(nodes.replicas[:3], nodes.replicas[5:]):  # each of the three first is replaced
            nodes.grow(new)
            nodes.remove(old)
        leader = nodes.wait_for_leader()
        nodes.remove(leader)
        successor = nodes.wait_for_leader()
        self.assertIsNot(successor, leader)
        nodes.remove(next(replica for replica in nodes.running if replica is not successor))
        self.assertEqual(len(nodes.listed()), 3)
        load.wait_for_more()
        print(f"\noperations while members came and went: {load.stop()}", flush=True)
        wait_for_same_state(nodes.running)
        writes = load.writes()
        self.assertGreater(len(writes), 500)
        load.check_every_write_is_there(writes, nodes.served)
        load.check_linearizable()

    def test_a_voter_may_be_added_at_once(self):
        nodes = Members(self, first=3, size=4, flags=UNCHECKED)
        nodes.join(nodes.replicas[3], nodes.add(nodes.replicas[3]))
        wait_for_same_state(nodes.running)
        self.assertEqual([member.get("isLearner") for member in nodes.listed()], [None] * 4)

    def test_strict_checks_want_voters_that_have_been_there_for_a_while(self):
        nodes = Members(self, first=3, size=4)
        early = lashctl(nodes.served, "member", "add", "n4", "--peer-urls", nodes.replicas[3].peer_url)
        self.assertEqual((early.returncode, early.stderr), (1, "Error: etcdserver: unhealthy cluster\n"))
        wait_until(lambda: lashctl(nodes.served, "member", "add", "n4", "--peer-urls",
                                   nodes.replicas[3].peer_url).returncode == 0, SECONDS, "never healthy")
        self.assertEqual(len(nodes.listed()), 4)

    def test_a_member_moves_to_another_address(self):
        nodes = Members(self, first=3, size=4, flags=UNCHECKED)
        mover, place = nodes.replicas[0], nodes.replicas[3]
        nodes.ask("member", "update", nodes.id_of(mover), "--peer-urls", place.peer_url)
        self.assertEqual(mover.stop(), 0)
        mover.peer_port = place.peer_port
        mover.start(nodes.replicas[:3], *nodes.flags)
        nodes.wait_for_leader()
        nodes.ask("put", "moved", "1")
        wait_for_same_state(nodes.running)
        self.assertIn(place.peer_url, [member["peerURLs"][0] for member in nodes.listed()])

    def test_what_a_learner_serves_as_etcd_does(self):
        nodes = Members(self, first=1, size=2, flags=UNCHECKED)
        learner = nodes.replicas[1]
        nodes.ask("put", "key", "value")
        nodes.join(learner, nodes.add(learner, "--learner"))
        self.assertEqual(etcdctl(learner.endpoint, "get", "key", "--consistency", "s").stdout, "key\nvalue\n")
        for command in ("get key", "put key 2", "del key", "compaction 1", "member list", "member remove abc"):
            with self.subTest(command=command):
                refused = lashctl(learner.endpoint, *command.split())
                self.assertEqual((refused.returncode, refused.stderr),
                                 (1, "Error: etcdserver: rpc not supported for learner\n"))
                # Where there is somebody else, that one is asked, for a write, too.
                served = lashctl(f"{learner.endpoint},{nodes.replicas[0].endpoint}", *command.split())
                self.assertEqual(served.stderr, "Error: etcdserver: member not found\n" if "abc" in command else "")
        self.assertTrue(learner.status()["isLearner"])
        self.assertIn("learner", lashctl(learner.endpoint, "status").stdout)
        nodes.promote(learner)
        wait_until(lambda: lashctl(learner.endpoint, "put", "key", "3").returncode == 0, SECONDS, "no vote")


class Joining(ProcessTest):
    """What keeps a member from joining, or from coming back with other data."""

    def fails(self, nodes, replica, cluster, *words):
        replica.start(nodes.replicas, *nodes.flags, "--initial-cluster", cluster, "--initial-cluster-state", "existing")
        self.assertEqual(replica.process.wait(timeout=SECONDS), 1, replica.log_tail())
        last = replica.log_text().splitlines()[-1]
        for word in words:
            self.assertIn(word, last)

    def test_a_member_that_was_not_added_does_not_join(self):
        nodes = Members(self, first=1, size=4, flags=UNCHECKED)
        first, second, third, fourth = nodes.replicas
        both = f"n1={first.peer_url},n2={second.peer_url}"
        self.fails(nodes, second, both, "has 1 members", "names 2", "member add")
        settings = nodes.add(second, "--learner")
        self.fails(nodes, third, f"n1={first.peer_url},n3={third.peer_url}", f"port {second.peer_port}", "does not name")
        self.fails(nodes, second, f"n2={second.peer_url}", "names no other member")
        self.fails(nodes, second, f"n4={fourth.peer_url},n2={second.peer_url}", "cannot learn the members")
        nodes.join(second, settings)

    def test_a_member_that_lost_its_data_must_be_added_anew(self):
        nodes = Members(self, first=3, size=3, flags=UNCHECKED)
        victim = nodes.replicas[0]
        self.assertEqual(victim.stop(), 0)
        shutil.rmtree(victim.directory)
        cluster = ",".join(f"{replica.name}={replica.peer_url}" for replica in nodes.replicas)
        self.fails(nodes, victim, cluster, "has run before", "member remove")
        nodes.ask("member", "remove", nodes.id_of(victim))
        self.assertEqual(len(nodes.listed()), 2)
        nodes.grow(victim)
        nodes.ask("put", "after", "1")
        wait_for_same_state(nodes.running)

    def test_with_data_the_description_of_the_cluster_does_not_count(self):
        nodes = Members(self, first=1, size=2, flags=UNCHECKED)
        nodes.grow(nodes.replicas[1])
        for replica in nodes.replicas:
            self.assertEqual(replica.stop(), 0)
        for replica in nodes.replicas:
            replica.start(nodes.replicas, "--initial-cluster", "", "--initial-cluster-token", "another",
                          "--initial-cluster-state", "existing")
        nodes.wait_for_leader()
        nodes.ask("put", "back", "1")
        wait_for_same_state(nodes.running)
        self.assertEqual(len(nodes.listed()), 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
