# SPDX-License-Identifier: Apache-2.0
"""etcd's own client against three lashd and against a real etcd: the same commands must print the same.

The commands go in order, each to a cluster that the ones before have left behind. Only what no two clusters have in common
is made equal before the comparison: ids, raft terms and indexes, sizes, versions, addresses and times.
"""
import json
import re
import unittest

from harness import Etcd, ProcessTest, etcdctl, lashctl

HEADER_IDS = ("cluster_id", "member_id", "raft_term")

# Commands and what goes to their standard input (None: nothing).
BASICS = [
    ("put a 1", None), ("put b 2", None), ("put a 3", None), ("get a", None), ("get nothing", None),
    ("get a -w json", None), ("get a -w fields", None), ("get a -w simple", None), ("get a --hex", None),
    ("get a --print-value-only", None), ("put a 4 --prev-kv", None), ("put new 1 --prev-kv", None),
    ("put a 5 --prev-kv -w json", None), ("put b --ignore-value", None), ("put nothing --ignore-value", None),
    ("put a x --ignore-value", None), ("put fromstdin", "value with spaces\nand lines"), ("get fromstdin", None),
    ("put --ignore-lease a 6", None), ("put --lease 12345 a 7", None), ("put  ", None), ("put k -- -dash", None),
    ("get k", None), ("del k", None), ("del k", None), ("del a --prev-kv", None), ("get a", None), ("put a again", None),
    ("get a -w json", None), ("get a --rev 3", None), ("get a --rev 4 -w json", None), ("get a --rev 2", None),
    ("get a --rev 1", None), ("get a --rev 9999", None), ("get a --consistency s", None), ("get a --consistency l", None),
    ("get a --consistency x", None),
]

# Keys p/00 .. p/19 with values in an order of their own, some written more than once; v/0 .. v/5 with versions of which no two
# are equal. etcd leaves keys that sort alike in no certain order, so there are none.
RANGE_SETUP = [(f"put p/{i:02} {(i * 7) % 20:02}", None) for i in range(20)] + \
              [(f"put p/{i:02} {(i * 7) % 20:02}again", None) for i in range(0, 20, 3)] + [("put q outside", None)] + \
              [(f"put v/{i} {turn}", None) for i in range(6) for turn in range((i * 5 + 3) % 7 + 1)]

RANGES = [("get p/ --prefix " + flags, None) for flags in (
    "-w simple", "--keys-only", "--limit 3", "--limit 3 -w json",
    "--limit 20 -w json", "--limit 25 -w json", "--limit 0", "--print-value-only", "-w json", "-w fields", "--hex",
    "--rev 12 -w json", "--rev 12 --limit 2 -w json", "--rev 30 --keys-only -w json", "--keys-only -w json",
    "--order ASCEND --keys-only", "--order DESCEND --keys-only", "--order descend --limit 4 -w json",
    "--order WRONG", "--sort-by WRONG", "--sort-by", "--limit x",
)] + [(f"get {prefix} --prefix --sort-by {target} {order} -w json {more}".strip(), None)
      for target, prefix in (("KEY", "p/"), ("VERSION", "v/"), ("CREATE", "p/"), ("MODIFY", "p/"), ("VALUE", "p/"))
      for order in ("", "--order ASCEND", "--order DESCEND") for more in ("", "--limit 5")] + [
    ("get p/05 p/08", None), ("get p/08 p/05", None), ("get p/05 p/08 --keys-only", None), ("get p/18 --from-key", None),
    ("get p/18 --from-key --limit 1 -w json", None), ("get --from-key --keys-only ", None),
    ("get --prefix --keys-only ", None), ("get p/05 p/08 --prefix", None), ("get p/ --prefix --from-key", None),
    ("get", None), ("get a b c", None), ("get --limit 2 --prefix -w json ", None),
]

DELETES = [
    ("del", None), ("del p/00", None), ("del p/01 p/03", None), ("del p/01 p/03 -w json", None),
    ("del p/04 --prev-kv -w json", None), ("del p/1 --prefix --prev-kv", None), ("del p/1 --prefix", None),
    ("del p/09 p/05", None), ("del p/08 --from-key --prev-kv -w json", None), ("get p/ --prefix -w json", None),
    ("get p/ --prefix --rev 40 --keys-only", None), ("del --prefix ", None), ("get --prefix -w json ", None),
    ("del a b --prefix", None),
]

TXNS = [
    ("put t/a 1", None), ("put t/b 2", None), ("txn", 'value("t/a") = "1"\n\nput t/a 10\nget t/a\n\nput t/a 20\n\n'),
    ("txn", 'value("t/a") = "1"\n\nput t/a 10\n\nput t/c no\nget t/c\nget t/ --prefix\n\n'), ("get t/ --prefix", None),
    ("txn -w json", 'mod("t/a") > "2"\nver("t/b") = "1"\n\nget t/a\nput t/b 3\ndel t/c\nget t/b\n\nget t/b\n\n'),
    ("txn -w json", 'create("t/none") = "0"\n\nput t/none made\nget t/none\n\nget t/none\n\n'),
    ("txn -w json", 'create("t/none") = "0"\n\nput t/none made\n\nget t/none\n\n'),
    ("txn", 'val("t/b") < "9"\n\ndel t/ --prefix\nget t/ --prefix\n\n\n'), ("txn", "\n\nput t/x 1\nput t/y 2\n\n"),
    ("txn", "\n\nput t/x 1\nput t/x 2\n\n"), ("txn", "\n\nput t/x 1\ndel t/x\n\n"), ("txn", "\n\ndel t/x\nput t/x 1\n\n"),
    ("txn", "\n\n\n\n"), ("txn -w json", "\nget t/x\nget t/y\n\n\n"), ("txn", "wrong\n\n\n\n"),
    ("txn -w fields", 'ver("t/x") != "0"\n\nget t/x\n\nget t/y\n\n'), ("txn", "\n\nfrob t/x\n\n"),
    ("txn", "\n" + "".join(f"put many/{i} {i}\n" for i in range(128)) + "\n\n"), ("get many/ --prefix -w json --keys-only", None),
    ("txn", "\n" + "".join(f"put many/{i} {i}\n" for i in range(129)) + "\n\n"),
]

COMPACTIONS = [
    ("put c/a 1", None), ("put c/a 2", None), ("put c/b 1", None), ("del c/b", None), ("get c/b", None),
    ("compaction 30", None), ("compaction 30", None), ("compaction 10", None), ("compaction 99999", None),
    ("compaction x", None), ("compaction", None), ("get p/ --prefix --rev 29", None), ("get p/ --prefix --rev 30", None),
    ("get c/a", None), ("compaction 36 --physical", None), ("get c/a --rev 36", None), ("compact 38", None),
    ("get c/a -w json", None), ("get p/ --prefix --rev 41 -w json", None), ("get c/a --rev 37", None),
]

# What Debian's etcdctl has no flag for goes to both servers by way of lashctl.
FILTERS = [(f"get p/ --prefix -w json {flags}", None) for flags in (
    "--count-only", "--count-only --rev 12", "--count-only --limit 3", "--min-mod-rev 10", "--max-mod-rev 10",
    "--min-mod-rev 5 --max-mod-rev 15", "--min-create-rev 8", "--max-create-rev 8", "--min-mod-rev 22 --max-create-rev 5",
    "--min-mod-rev 10 --limit 3", "--max-create-rev 8 --order DESCEND --limit 2", "--min-mod-rev 999",
    "--min-create-rev 5 --keys-only", "--min-mod-rev 22 --rev 24",
)]


def equalised(text):
    """The text with what differs between any two clusters made equal."""
    try:
        return json.dumps(equalise_json(json.loads(text)), indent=1)
    except ValueError:
        pass
    text = re.sub(r'"(ClusterID|MemberID|RaftTerm)" : \d+', r'"\1" : N', text)
    text = re.sub(r'"ts":"[^"]*"', '"ts":"T"', text)
    text = re.sub(r"etcd-endpoints://[0-9a-z-]+/", "etcd-endpoints://X/", text)
    text = re.sub(r"clientv?3?-?/?retry_interceptor\.go:\d+|\"target\":\"[^\"]*\"|endpoint://[^\"\s]*", "X", text)
    text = re.sub(r"127\.0\.0\.1:\d+(,127\.0\.0\.1:\d+)*", "ADDRESS", text)
    return re.sub(r"took = [0-9.]+[mµn]?s", "took = T", text)


def equalise_json(value):
    if isinstance(value, list):
        return [equalise_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: "N" if key in HEADER_IDS else equalise_json(item) for key, item in value.items()}


def split(command):
    """Words of a command line; two blanks at its end stand for an empty last word, one for an empty range key."""
    words = command.split(" ")
    return [word for i, word in enumerate(words) if word or i == len(words) - 1]


class Conformance(ProcessTest):
    """Each case compares its commands on fresh clusters."""

    def compare(self, commands, client=etcdctl):
        ours, real = self.cluster(), self.enter(Etcd())
        for command, stdin in commands:
            with self.subTest(command=command[:80], stdin=stdin):
                expected = client(real.endpoints, *split(command), stdin=stdin)
                got = client(ours.endpoints, *split(command), stdin=stdin)
                self.assertEqual(equalised(got.stdout), equalised(expected.stdout))
                self.assertEqual(equalised(got.stderr), equalised(expected.stderr))
                self.assertEqual(got.returncode, expected.returncode)

    def test_puts_and_gets(self):
        self.compare(BASICS)

    def test_ranges_with_every_flag_and_deletes(self):
        self.compare(RANGE_SETUP + RANGES + DELETES)

    def test_transactions_and_compaction(self):
        self.compare(TXNS + RANGE_SETUP + COMPACTIONS)

    def test_filters_and_counts_through_lashctl(self):
        self.compare(RANGE_SETUP + FILTERS, lashctl)

    def test_requests_over_the_limits(self):
        value = "v" * (1536 * 1024)
        self.compare([("put big", value[:-100]), ("get big --keys-only -w json", None), ("put big", value),
                      ("put big", value + "v" * 600000), ("get big -w json", None)])

    def test_endpoints_and_members(self):
        cluster = self.cluster()
        status = etcdctl(cluster.endpoints, "endpoint", "status", "-w", "json")
        self.assertEqual(status.returncode, 0, status.stderr)
        members = json.loads(etcdctl(cluster.endpoints, "member", "list", "-w", "json").stdout)["members"]
        real = self.enter(Etcd())
        real_status = etcdctl(real.endpoints, "endpoint", "status", "-w", "json")
        keys = set(json.loads(real_status.stdout)[0]["Status"])
        for one in json.loads(status.stdout):
            self.assertEqual(set(one["Status"]), keys)
            self.assertIn(one["Status"]["leader"], [member["ID"] for member in members])
        self.assertEqual(sorted(member["name"] for member in members), ["n1", "n2", "n3"])
        urls = [f"http://{replica.endpoint}" for replica in cluster.replicas]
        self.assertEqual(sorted(member["clientURLs"][0] for member in members), sorted(urls))

    def test_the_shape_of_endpoints_and_members(self):
        """Values differ, but the lines' skeletons must not: what stands between numbers, words and addresses."""
        single, real = self.cluster(size=1), self.enter(Etcd())
        for command in ("endpoint status", "endpoint health", "member list"):
            for shape in ("simple", "table", "json", "fields"):
                self.compare_shape(command, shape, single, real)

    def compare_shape(self, command, shape, cluster, real):
        def skeleton(text):
            lines = [re.sub(r"\s+", " ", re.sub(r"[-+|]{3,}", "-", re.sub(r"[0-9a-zA-Z./:µ]+", "w", line)))
                     for line in text.splitlines()]
            return sorted(set(lines))
        with self.subTest(command=command, shape=shape):
            got = etcdctl(cluster.replicas[0].endpoint, *command.split(), "-w", shape)
            expected = etcdctl(real.endpoints, *command.split(), "-w", shape)
            self.assertEqual(got.returncode, expected.returncode)
            self.assertEqual(skeleton(got.stdout), skeleton(expected.stdout))

    def test_hashes_of_all_members_are_the_same(self):
        """Not etcd's numbers, but its answers otherwise."""
        ours, real = self.cluster(), self.enter(Etcd())
        for command, stdin in RANGE_SETUP + [("compaction 30", None), ("put later 1", None)]:
            for cluster in ours, real:
                self.assertEqual(etcdctl(cluster.endpoints, *split(command), stdin=stdin).returncode, 0)
        revision = json.loads(etcdctl(ours.endpoints, "get", "later", "-w", "json").stdout)["header"]["revision"]
        for member in ours.replicas:  # it waits for this one to have applied all of it
            self.assertEqual(lashctl(member.endpoint, "get", "later", "--print-value-only").stdout, "1\n")
        for wanted in 31, revision - 1, 0:
            mine = json.loads(etcdctl(ours.endpoints, "endpoint", "hashkv", "--rev", str(wanted), "-w", "json").stdout)
            theirs = json.loads(etcdctl(real.endpoints, "endpoint", "hashkv", "--rev", str(wanted), "-w", "json").stdout)
            self.assertEqual(len({one["HashKV"]["hash"] for one in mine}), 1, mine)
            for one in mine:
                self.assertEqual(set(one["HashKV"]), set(theirs[0]["HashKV"]))
                self.assertEqual(one["HashKV"]["compact_revision"], theirs[0]["HashKV"]["compact_revision"])
                self.assertEqual(one["HashKV"]["header"]["revision"], theirs[0]["HashKV"]["header"]["revision"])
        for wanted in 29, revision + 1:
            mine = etcdctl(ours.replicas[0].endpoint, "endpoint", "hashkv", "--rev", str(wanted))
            theirs = etcdctl(real.endpoints, "endpoint", "hashkv", "--rev", str(wanted))
            self.assertEqual(equalised(mine.stderr), equalised(theirs.stderr))
            self.assertEqual(mine.returncode, theirs.returncode)
        said = lashctl(ours.endpoints, "endpoint", "hashkv", "--rev", "30").stdout.splitlines()
        self.assertEqual([line.split(", ")[2] for line in said], ["30"] * 3)
        self.assertEqual(len({line.split(", ")[1] for line in said}), 1)

    def test_health_of_a_cluster_and_of_one_that_lost_its_quorum(self):
        cluster = self.cluster()
        healthy = etcdctl(cluster.endpoints, "endpoint", "health")
        self.assertEqual(healthy.returncode, 0, healthy.stderr)
        for replica in cluster.replicas[1:]:
            replica.kill()
        last = cluster.replicas[0].endpoint
        sick = etcdctl(last, "--command-timeout", "2s", "endpoint", "health")
        self.assertNotEqual(sick.returncode, 0)
        self.assertIn("is unhealthy", sick.stdout + sick.stderr)
        self.assertEqual(etcdctl(last, "get", "x", "--consistency", "s").returncode, 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
