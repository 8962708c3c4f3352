# SPDX-License-Identifier: Apache-2.0
"""Two members that keep data and a witness: either of the two goes on with it, and it keeps next to nothing."""
import json
import pathlib
import unittest

import exposition
from harness import ProcessTest, etcdctl, lashctl, wait_until
from members import SECONDS, Members

# The checks want connections that are five seconds old; segments are set aside whole.
FLAGS = ["--strict-reconfig-check=false", "--log-segment-bytes=1048576"]
REFUSAL = "Error: etcdserver: this member is a witness and keeps no data\n"
PUTS = 10000
PUT_BYTES = 1024


class Witness(ProcessTest):
    def setUp(self):
        super().setUp()
        self.nodes = Members(self, first=2, size=3, flags=FLAGS)
        self.first, self.second, self.witness = self.nodes.replicas
        self.nodes.join(self.witness, self.nodes.add(self.witness, "--witness"))
        self.nodes.latest = self.witness

    def data_leader(self):
        leader = self.nodes.wait_for_leader()
        self.assertIsNot(leader, self.witness)
        return leader

    def wait_for_applied(self, replica, index):
        def there():
            status = replica.status()
            return status is not None and int(status.get("raftAppliedIndex", 0)) >= index
        wait_until(there, SECONDS, f"{replica.name} lags")

    def test_writes_go_on_without_either_of_the_two(self):
        for round, gone in enumerate((self.first, self.second)):
            left = self.second if gone is self.first else self.first
            self.nodes.ask("put", f"before-{round}", "1")
            self.wait_for_applied(left, int(self.data_leader().status()["raftAppliedIndex"]))
            gone.kill()
            wait_until(lambda: etcdctl(left.endpoint, "put", f"without-{gone.name}", "2").returncode == 0, SECONDS,
                       f"no write without {gone.name}")
            self.assertEqual(etcdctl(left.endpoint, "get", f"before-{round}", "--print-value-only").stdout, "1\n")
            gone.start(self.nodes.replicas, *self.nodes.flags)
            self.wait_for_applied(gone, int(left.status()["raftAppliedIndex"]))
        for gone in (self.first, self.second):
            self.assertEqual(self.nodes.ask("get", f"without-{gone.name}", "--print-value-only"), "2\n")

    def test_what_a_witness_serves_and_what_it_refuses(self):
        for command in ("get key", "get key --consistency=s", "put key 2", "del key", "compaction 1", "member remove 1"):
            with self.subTest(command=command):
                refused = lashctl(self.witness.endpoint, *command.split())
                self.assertEqual((refused.returncode, refused.stderr), (1, REFUSAL))
        self.nodes.ask("put", "key", "1")
        # Where there is somebody else, that one is asked, for a write, too; by etcd's client for a read.
        both = f"{self.witness.endpoint},{self.first.endpoint}"
        self.assertEqual(lashctl(both, "put", "key", "2").stdout, "OK\n")
        self.assertEqual(etcdctl(both, "get", "key", "--print-value-only").stdout, "2\n")
        members = json.loads(lashctl(self.witness.endpoint, "member", "list", "-w", "json").stdout)["members"]
        self.assertEqual([member["name"] for member in members if member.get("isWitness")], [self.witness.name])
        self.assertNotIn("isLearner", self.witness.status())
        self.assertEqual(etcdctl(self.witness.endpoint, "endpoint", "status").returncode, 0)
        wrong = lashctl(self.first.endpoint, "member", "add", "n4", "--peer-urls", "http://127.0.0.1:1", "--witness",
                        "--learner")
        self.assertEqual(wrong.returncode, 128)

    def test_a_witness_keeps_next_to_nothing(self):
        while int(self.first.status()["header"]["revision"]) < PUTS:
            done = lashctl(self.first.endpoint, "bench", "put", "--duration=2s", f"--value={PUT_BYTES}")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.wait_for_applied(self.witness, int(self.data_leader().status()["raftAppliedIndex"]))
        kept, whole = (exposition.scrape(replica.endpoint)["etcd_disk_wal_write_bytes_total"].value()
                       for replica in (self.witness, self.first))
        disk = sum(path.stat().st_blocks * 512 for path in (pathlib.Path(self.witness.directory) / "log").iterdir())
        puts = int(self.first.status()["header"]["revision"])
        print(f"\nafter {puts} puts of {PUT_BYTES} bytes: {whole:.0f} bytes of log were written, at the witness {kept:.0f}; "
              f"its log takes {disk} on disk", flush=True)
        self.assertGreater(whole, PUTS * PUT_BYTES)
        self.assertLess(kept, whole / 10)
        self.assertLess(disk, PUTS * PUT_BYTES / 2)


if __name__ == "__main__":
    unittest.main()
