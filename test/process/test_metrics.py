# SPDX-License-Identifier: Apache-2.0
"""What three lashd tell at /metrics and to `lashctl status`: that it is right, that it grows, and that it is etcd's."""
import json
import re
import unittest

import exposition
from harness import ROOT, Etcd, ProcessTest, etcdctl, lashctl, wait_for_leader, wait_until
from replica import READY, wait_for_same_state  # found by way of harness

PUTS = 100
ELECTION_MS = "3000"  # no slow machine is to bring one about

# Of etcd's, what is not told, and why: docs/metrics.md. The shared ones must be the same in all but help and value.
SHARED_PREFIXES = ("etcd_", "grpc_", "process_")
# In etcd since 3.5, and so not in Debian's 3.4; or only where there are peers.
NOT_IN_A_LONE_ETCD_3_4 = {
    "etcd_network_peer_sent_bytes_total", "etcd_network_peer_received_bytes_total",
    "etcd_network_peer_sent_failures_total", "etcd_network_peer_round_trip_time_seconds", "etcd_network_active_peers",
    "etcd_network_disconnected_peers_total",
}
# Told of a peer only while a snapshot is on its way to it.
SILENT = {"lash_peer_snapshot_sent_bytes", "lash_peer_snapshot_size_bytes"}


class Metrics(ProcessTest):
    def setUp(self):
        self.lash = self.cluster(flags=["--election-timeout", ELECTION_MS])
        wait_until(lambda: all(READY in replica.log_text() for replica in self.lash.replicas), 30, "not all are published")
        self.leader = self.lash.wait_for_leader()
        # the leader raises the cluster's version by an entry of its own accord
        wait_until(lambda: all(self.scrape(replica)["lash_cluster_version"].value() > 1 for replica in self.lash.replicas), 30,
                   "the cluster's version is not raised")
        wait_for_same_state(self.lash.replicas)

    @staticmethod
    def member_id(replica):
        return format(replica.status()["header"]["member_id"], "x")

    @staticmethod
    def scrape(replica):
        return exposition.scrape(replica.endpoint)

    def others(self):
        return [replica for replica in self.lash.replicas if replica is not self.leader]

    def put(self, replica, count=PUTS):
        for i in range(count):
            done = lashctl(replica.endpoint, "put", f"key/{i}", f"value {i}")
            self.assertEqual(done.returncode, 0, done.stderr)

    def grown(self, before, after):
        """No counter has fallen; which families have grown."""
        grown = set()
        for name, family in before.items():
            if family.type == "gauge":
                continue
            for sample, value in family.samples.items():
                self.assertGreaterEqual(after[name].samples[sample], value, f"{name}{sample}")
                if after[name].samples[sample] > value:
                    grown.add(name)
        return grown

    def test_writes_are_counted_where_they_go(self):
        writer = self.others()[0]
        before = {replica.name: self.scrape(replica) for replica in self.lash.replicas}
        self.put(writer)
        wait_for_same_state(self.lash.replicas)
        after = {replica.name: self.scrape(replica) for replica in self.lash.replicas}
        grown = {name: self.grown(before[name], after[name]) for name in before}

        def delta(replica, family, suffix="", **labels):
            return after[replica.name][family].value(suffix, **labels) - before[replica.name][family].value(suffix, **labels)

        for replica in self.lash.replicas:
            self.assertEqual(delta(replica, "etcd_server_proposals_applied_total"), PUTS)
            self.assertEqual(delta(replica, "etcd_server_proposals_committed_total"), PUTS)
            self.assertEqual(delta(replica, "lash_apply_duration_seconds", "_count"), PUTS)
            self.assertGreater(delta(replica, "etcd_disk_wal_fsync_duration_seconds", "_count"), 0)
            self.assertGreater(delta(replica, "etcd_disk_backend_commit_duration_seconds", "_count"), 0)
            self.assertEqual(delta(replica, "lash_proposals_total"), PUTS if replica is writer else 0)
            self.assertEqual(delta(replica, "lash_commit_duration_seconds", "_count"), PUTS if replica is self.leader else 0)
            self.assertEqual(delta(replica, "grpc_server_handled_total", grpc_code="OK", grpc_method="Put",
                                   grpc_service="etcdserverpb.KV", grpc_type="unary"), PUTS if replica is writer else 0)
            told = after[replica.name]
            self.assertEqual(told["etcd_server_has_leader"].value(), 1)
            self.assertEqual(told["etcd_server_is_leader"].value(), 1 if replica is self.leader else 0)
            self.assertEqual(told["etcd_server_leader_changes_seen_total"].value(), 1)
            self.assertEqual(told["etcd_server_proposals_pending"].value(), 0)
            self.assertEqual(told["etcd_server_proposals_failed_total"].value(), 0)
            self.assertEqual(told["lash_apply_lag_entries"].value(), 0)
            self.assertEqual(told["lash_peers_connected"].value(), 2)
            self.assertIn("etcd_network_peer_sent_bytes_total", grown[replica.name])
            self.assertIn("process_cpu_seconds_total", told)
        self.check_peers(after)

    def connected(self, told, replica, peer_id, family="etcd_network_active_peers"):
        return told[family].value(Local=self.member_id(replica), Remote=peer_id)

    def check_peers(self, told):
        """The leader tells how far it is with everyone; what one has sent, the other has received, or will soon."""
        leader = told[self.leader.name]
        for replica in self.others():
            peer = self.member_id(replica)
            self.assertEqual(leader["lash_peer_match_index"].value(To=peer),
                             leader["etcd_server_proposals_committed_total"].value())
            self.assertEqual(leader["lash_peer_lag_entries"].value(To=peer), 0)
            self.assertEqual(leader["lash_peer_state"].value(To=peer, state="replicate"), 1)
            self.assertEqual(leader["lash_peer_active"].value(To=peer), 1)
            self.assertEqual(self.connected(leader, self.leader, peer), 1)
            received = told[replica.name]["etcd_network_peer_received_bytes_total"].value(From=self.member_id(self.leader))
            self.assertGreater(received, PUTS * 10)
            later = self.scrape(self.leader)["etcd_network_peer_sent_bytes_total"].value(To=peer)
            self.assertLessEqual(received, later)
            self.assertEqual(told[replica.name]["lash_peer_match_index"].samples, {})

    def test_an_election_is_counted_by_all_who_see_it(self):
        before = {replica.name: self.scrape(replica) for replica in self.others()}
        dead, self.leader = self.leader, None
        left = [replica for replica in self.lash.replicas if replica is not dead]
        dead_id = self.member_id(dead)
        dead.kill()
        self.leader = wait_for_leader(left)
        self.put(self.leader, 5)
        after = {replica.name: self.scrape(replica) for replica in left}
        for replica in left:
            self.grown(before[replica.name], after[replica.name])
            told, was = after[replica.name], before[replica.name]
            self.assertGreater(told["etcd_server_leader_changes_seen_total"].value(),
                               was["etcd_server_leader_changes_seen_total"].value())
            self.assertGreater(told["lash_raft_term"].value(), was["lash_raft_term"].value())
            self.assertEqual(self.connected(told, replica, dead_id), 0)
            self.assertEqual(self.connected(told, replica, dead_id, "etcd_network_disconnected_peers_total"), 1)
            self.assertEqual(told["lash_peers_connected"].value(), 1)
        winner = after[self.leader.name]
        self.assertGreaterEqual(winner["lash_elections_won_total"].value(), 1)
        self.assertEqual(winner["lash_raft_role"].value(role="leader"), 1)
        self.assertEqual(winner["lash_commit_duration_seconds"].value("_count"), 5)
        wait_until(lambda: self.scrape(self.leader)["lash_peer_active"].value(To=dead_id) == 0, 30,
                   "the leader does not notice that a member is silent")
        self.assertGreater(self.scrape(self.leader)["lash_peer_lag_entries"].value(To=dead_id), 0)
        self.lash.start(dead)
        wait_until(lambda: self.scrape(self.leader)["lash_peer_lag_entries"].value(To=dead_id) == 0, 30,
                   "the member does not catch up")

    def test_all_that_is_told_is_documented_with_its_type_and_labels(self):
        told = self.scrape(self.leader)
        rows = re.findall(r"^\| `([a-z_]+)(?:\{([A-Za-z_,]+)\})?` \| (\w+) \|", (ROOT / "docs/metrics.md").read_text(), re.M)
        documented = {name: (kind, set(labels.split(",")) - {""}) for name, labels, kind in rows}
        self.assertEqual({name: kind for name, (kind, _) in documented.items()},
                         {name: family.type for name, family in told.items()})
        silent = {name for name, family in told.items() if not family.samples}
        self.assertEqual(silent, SILENT)
        for name in documented.keys() - silent:
            self.assertEqual(documented[name][1], told[name].label_names() - {"le"}, name)

    def test_round_trips_are_measured(self):
        def measured():
            family = self.scrape(self.leader)["etcd_network_peer_round_trip_time_seconds"]
            return all(family.value("_count", To=self.member_id(replica)) >= 2 for replica in self.others())
        wait_until(measured, 30, "no round trips")
        bounds = self.scrape(self.leader)["etcd_network_peer_round_trip_time_seconds"].bounds()
        self.assertEqual(bounds, [f"{2 ** i / 10000:g}" for i in range(16)] + ["+Inf"])  # as etcd's with a peer

    def test_status_prints_tables_and_json(self):
        self.put(self.leader, 3)
        done = lashctl(self.lash.endpoints, "status", "-w", "json")
        self.assertEqual(done.returncode, 0, done.stderr)
        told = json.loads(done.stdout)
        self.assertEqual([item["endpoint"] for item in told], self.lash.endpoints.split(","))
        for item, replica in zip(told, self.lash.replicas):
            status = item["status"]
            self.assertEqual(status["name"], replica.name)
            self.assertEqual(status["role"], "leader" if replica is self.leader else "follower")
            self.assertEqual(status["commit"], status["log_last"])
            self.assertEqual([peer["name"] for peer in sorted(status["peers"], key=lambda peer: peer["name"])],
                             [other.name for other in self.lash.replicas if other is not replica])
            for peer in status["peers"]:
                self.assertTrue(peer["connected"])
                self.assertEqual("progress" in peer, replica is self.leader)
                if replica is self.leader:
                    self.assertEqual(peer["progress"]["state"], "replicate")
                    self.assertTrue(peer["progress"]["active"] and peer["progress"]["voter"])
        done = lashctl(self.leader.endpoint, "status", "--cluster")
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.splitlines()
        self.assertEqual(sum(f"| {role} |" in line for line in lines for role in ("  leader", "follower")), 3)
        self.assertEqual(sum(" replicate |" in line for line in lines), 2)

    def test_status_says_who_does_not_answer(self):
        silent = self.others()[0]
        silent.kill()
        done = lashctl(self.lash.endpoints, "status")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"Failed to get the status of endpoint {silent.endpoint}", done.stderr)
        self.assertIn(self.leader.endpoint, done.stdout)


class Shared(ProcessTest):
    def test_what_etcd_tells_too_is_told_in_the_same_way(self):
        etcd, lash = self.enter(Etcd()), self.cluster(1)
        for endpoints in (etcd.endpoints, lash.endpoints):
            for command in (("put", "a", "1"), ("get", "a"), ("get", "")):
                (lashctl if endpoints == lash.endpoints else etcdctl)(endpoints, *command)
        theirs, ours = exposition.scrape(etcd.endpoints), exposition.scrape(lash.endpoints)
        shared = {name for name in ours if name.startswith(SHARED_PREFIXES)} - NOT_IN_A_LONE_ETCD_3_4
        self.assertEqual(shared - set(theirs), set())
        self.assertGreater(len(shared), 25)
        for name in sorted(shared):
            self.assertEqual(ours[name].type, theirs[name].type, name)
            self.assertEqual(ours[name].label_names(), theirs[name].label_names(), name)
            if ours[name].type == "histogram":
                self.assertEqual(ours[name].bounds(), theirs[name].bounds(), name)
        for method in ("Put", "Range"):
            labels = {"grpc_code": "OK", "grpc_method": method, "grpc_service": "etcdserverpb.KV", "grpc_type": "unary"}
            self.assertGreaterEqual(ours["grpc_server_handled_total"].value(**labels), 1)
        refused = {"grpc_code": "InvalidArgument", "grpc_method": "Range", "grpc_service": "etcdserverpb.KV",
                   "grpc_type": "unary"}
        self.assertEqual(ours["grpc_server_handled_total"].value(**refused),
                         theirs["grpc_server_handled_total"].value(**refused))


if __name__ == "__main__":
    unittest.main()
