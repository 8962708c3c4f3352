# SPDX-License-Identifier: Apache-2.0
"""lash-bench as a program: short runs whose figures make sense, wrong flags, and nothing left behind."""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "process"))
# pylint: disable-next=wrong-import-position
from harness import BUILD, HOST, Etcd, Ports, ProcessTest, lashctl, wait_until  # noqa: E402

PROGRAM = str(BUILD / "lash-bench")
SECONDS = 60
RUNS_MAX = 5
CREWS_AND_DISK = ["commit", "disk", "floor"]
SERVERS = ["get", "put", "txn"]


def bench(*arguments):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=SECONDS, check=False)


def parents():
    """The parent of each process that lives."""
    found = {}
    for status in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = status.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue  # it has ended meanwhile
        if state != "Z":
            found[int(status.parent.name)] = int(parent)
    return found


def children_of(pid):
    return [child for child, parent in parents().items() if parent == pid]


class BenchTest(ProcessTest):
    """A test with a directory of its own for the bench's files."""

    def setUp(self):
        self.directory = self.enter(tempfile.TemporaryDirectory(prefix="lash-bench-test-"))

    def measured(self, *arguments):
        """The JSON of a run that must succeed. One sync of a busy disk can outlast a short run: then it is run again."""
        for _ in range(RUNS_MAX):
            done = bench(*arguments)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(os.listdir(self.directory), [])
            result = json.loads(done.stdout.splitlines()[-1])
            if result.get("operations") != 0:
                break
        return result

    def check_latency(self, result):
        self.assertGreater(result["p50_us"], 0)
        self.assertLessEqual(result["p50_us"], result["p99_us"])
        self.assertLessEqual(result["p99_us"], result["p999_us"])
        self.assertLessEqual(result["p999_us"], result["max_us"])

    def check_load(self, result, name, clients, value, seconds):
        self.assertEqual((result["bench"], result["clients"], result["value"]), (name, clients, value))
        self.assertGreater(result["operations"], 0)
        self.assertGreaterEqual(result["seconds"], seconds * 0.9)
        self.assertAlmostEqual(result["ops_per_second"] * result["seconds"], result["operations"],
                               delta=result["operations"] * 0.01)
        self.check_latency(result)


class Crews(BenchTest):
    """commit and floor."""

    def check_crew(self, name, replicas, clients, value):
        result = self.measured(name, "--replicas", str(replicas), "--clients", str(clients), "--value", str(value),
                               "--seconds", "1", "--warm-up", "0.2", "--dir", self.directory)
        self.check_load(result, name, clients, value, 1)
        self.assertEqual(result["replicas"], replicas)
        for field in ("cpu_us_per_op", "waits_per_op", "fsyncs_per_second", "fsync_p50_us", "max_rss"):
            self.assertGreater(result[field], 0, field)
        self.assertLessEqual(result["fsync_p50_us"], result["fsync_p99_us"])
        if result["syscalls_per_op"] is not None:
            self.assertGreater(result["syscalls_per_op"], 0)
        if result["bytes_written_per_op"]:  # nothing is counted where files are in memory
            self.assertGreater(result["bytes_written_per_op"], value)
        return result

    def check_syncs_of_a_majority(self, result):
        """The members are not measured at exactly the same moments: some operations are only seen by some."""
        syncs = result["fsyncs_per_second"] * result["seconds"]
        self.assertGreater(syncs, 1.5 * (result["operations"] - 20))

    def test_commit_with_one_client_syncs_on_a_majority_for_each_operation(self):
        result = self.check_crew("commit", 3, 1, 256)
        self.check_syncs_of_a_majority(result)

    def test_commit_with_many_clients_shares_syncs(self):
        result = self.check_crew("commit", 3, 256, 16)
        self.assertLess(result["fsyncs_per_second"], result["ops_per_second"])

    def test_commit_on_a_single_replica(self):
        self.check_crew("commit", 1, 4, 1000)

    def test_floor_with_one_client_syncs_on_a_majority_for_each_operation(self):
        result = self.check_crew("floor", 3, 1, 256)
        self.check_syncs_of_a_majority(result)

    def test_floor_with_many_clients_shares_syncs(self):
        result = self.check_crew("floor", 5, 256, 16)
        self.assertLess(result["fsyncs_per_second"], result["ops_per_second"])

    def test_floor_on_a_single_member(self):
        self.check_crew("floor", 1, 4, 1000)


class Servers(BenchTest):
    """put, get and txn."""

    FLAGS = ["--clients", "32", "--connections", "3", "--keys", "50", "--value", "100", "--seconds", "1",
             "--warm-up", "0.2"]

    def test_each_kind_against_one_lashd(self):
        cluster = self.cluster(size=1)
        for name in SERVERS:
            result = self.measured(name, "--endpoints", cluster.endpoints, *self.FLAGS)
            self.check_load(result, name, 32, 100, 1)
            self.assertGreater(result["generator_busy"], 0)
            count = lashctl(cluster.endpoints, "get", "bench/", "--prefix", "--count-only", "-w", "fields").stdout
            self.assertIn('"Count" : 50\n', count)
        value = lashctl(cluster.endpoints, "get", "bench/0000000007", "--print-value-only", "--hex").stdout
        self.assertEqual(value.count("\\x"), 100)

    def lashctl_bench(self, cluster, name, *flags):
        """What a run prints that must succeed; again for as long as a busy disk lets no operation through."""
        for _ in range(RUNS_MAX):
            done = lashctl(cluster.endpoints, "bench", name, "--clients", "32", "--keys", "50", "--duration", "1s", *flags)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            if not re.search(r'^0 operations|"operations": 0,', done.stdout):
                break
        return done.stdout

    def test_lashctl_measures_likewise(self):
        cluster = self.cluster(size=1)
        for name in SERVERS:
            result = json.loads(self.lashctl_bench(cluster, name, "-w", "json"))
            self.assertEqual(result["failures"], 0)
            self.check_latency(result)
            text = self.lashctl_bench(cluster, name)
            shares = [float(share) for share in re.findall(r"^  within .* ([0-9.]+) %$", text, re.MULTILINE)]
            self.assertAlmostEqual(sum(shares), 100, delta=1)

    def test_lashctl_refuses_wrong_flags_in_a_line(self):
        for flags, status in ((["--clients", "0"], 128), (["--duration", "0s"], 128), (["word"], 128),
                              (["-w", "table"], 4), (["--nope"], 1)):
            done = lashctl("127.0.0.1:1", "bench", "put", *flags)
            self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (status, "", 1), flags)

    def test_connections_spread_over_the_endpoints(self):
        cluster = self.cluster(size=3)
        result = self.measured("put", "--endpoints", cluster.endpoints, *self.FLAGS)
        self.check_load(result, "put", 32, 100, 1)

    def test_a_server_that_is_not_there_is_named(self):
        endpoint = f"{HOST}:{self.enter(Ports(1))[0]}"
        done = bench("put", "--endpoints", endpoint, *self.FLAGS)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn(endpoint, done.stderr)
        self.assertEqual(bench("put", "--endpoints", ",", *self.FLAGS).stderr, "lash-bench: --endpoints names none\n")

    def test_a_server_that_goes_away_ends_the_run(self):
        cluster = self.cluster(size=1)
        with subprocess.Popen([PROGRAM, "put", "--endpoints", cluster.endpoints, "--seconds", "1000"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            self.addCleanup(process.kill)
            wait_until(lambda: lashctl(cluster.endpoints, "get", "bench/", "--prefix", "--keys-only").stdout.strip(),
                       SECONDS, "nothing was put")
            cluster.replicas[0].kill()
            output, errors = process.communicate(timeout=SECONDS)
        self.assertEqual((process.returncode, output), (1, ""))
        self.assertIn(cluster.endpoints, errors)
        self.assertEqual(errors.count("\n"), 1)

    def test_a_killed_leader_is_a_gap_of_an_election(self):
        cluster = self.cluster(size=3)
        first = cluster.wait_for_leader()
        endpoints = [first.endpoint] + [replica.endpoint for replica in cluster.replicas if replica is not first]
        with subprocess.Popen([PROGRAM, "gap", "--endpoints", ",".join(endpoints), "--seconds", "6", "--warm-up", "0"],
                              stdout=subprocess.PIPE, text=True) as process:
            self.addCleanup(process.kill)
            wait_until(lambda: lashctl(cluster.endpoints, "get", "bench/gap", "--keys-only").stdout.strip(), SECONDS,
                       "nothing was put")
            killed = cluster.wait_for_leader()
            killed.kill()
            output = process.communicate(timeout=SECONDS)[0]
        self.assertEqual(process.returncode, 0)
        result = json.loads(output.splitlines()[-1])
        self.assertGreater(result["operations"], 10)
        if killed is first: # with whom the client is; elsewhere a quick election may be over before a put has failed
            self.assertGreater(result["failures"], 0)
        self.assertGreater(result["longest_gap_ms"], 20)

    def test_watchers_each_get_the_events_of_an_etcd(self):
        oracle = self.enter(Etcd())
        result = self.measured("watch", "--endpoints", oracle.endpoints, *self.FLAGS)
        self.check_load(result, "watch", 32, 100, 1)
        self.assertGreater(result["puts_per_second"], 0)
        # three watchers, and the pacer's puts besides
        self.assertGreater(result["ops_per_second"], result["puts_per_second"])

    def test_a_watch_that_ends_is_said(self):
        endpoint = f"{HOST}:{self.enter(Ports(1))[0]}"
        done = bench("watch", "--endpoints", endpoint, *self.FLAGS)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn(endpoint, done.stderr)

    def test_a_gap_without_a_server_is_a_failure(self):
        endpoint = f"{HOST}:{self.enter(Ports(1))[0]}"
        done = bench("gap", "--endpoints", endpoint, "--seconds", "0.3", "--warm-up", "0")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("not one put was answered", done.stderr)

    def test_calls_that_fail_are_counted_and_their_text_said(self):
        cluster = self.cluster(size=1, flags=["--max-request-bytes", "1024"])
        done = bench("put", "--endpoints", cluster.endpoints, *self.FLAGS, "--value", "5000")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, r"lash-bench: \d+ operations failed: etcdserver: request is too large\n")

    def test_a_signal_ends_it_at_once(self):
        cluster = self.cluster(size=1)
        with subprocess.Popen([PROGRAM, "get", "--endpoints", cluster.endpoints, "--keys", "10", "--seconds", "1000"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            self.addCleanup(process.kill)
            wait_until(lambda: lashctl(cluster.endpoints, "get", "bench/", "--prefix", "--keys-only").stdout.strip(),
                       SECONDS, "nothing was put")
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.communicate(timeout=SECONDS), ("", ""))
        self.assertEqual(process.returncode, 130)


class Disk(BenchTest):
    """disk."""

    def test_each_way_takes_time(self):
        result = self.measured("disk", "--seconds", "1", "--dir", self.directory)
        for way in ("append_256", "append_4096", "append_256_fresh", "append_4096_fresh", "round_trip"):
            self.assertGreater(result[way + "_p50_us"], 0, way)
            self.assertLessEqual(result[way + "_p50_us"], result[way + "_p99_us"], way)


class Ends(BenchTest):
    """How it ends otherwise."""

    def test_help_says_what_is_counted(self):
        self.assertEqual(bench("--help").returncode, 0)
        for name in CREWS_AND_DISK + SERVERS:
            done = bench(name, "--help")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("--seconds", done.stdout)
            self.assertIn("JSON", done.stdout)

    def test_wrong_usage_is_one_line_and_two(self):
        for arguments in (["nonsense"], ["commit", "--nonsense"], ["commit", "--clients", "0"], ["commit", "word"],
                          ["floor", "--replicas", "10"], ["floor", "--seconds", "much"], ["disk", "--clients", "1"],
                          ["disk", "--seconds", "0"], ["commit", "--value"], ["put", "--keys", "0"], ["get", "--dir", "."],
                          ["txn", "--connections", "x"]):
            done = bench(*arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""), arguments)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)

    def test_a_place_without_room_for_files_is_said(self):
        for name in CREWS_AND_DISK:
            done = bench(name, "--seconds", "1", "--dir", self.directory + "/none")
            self.assertEqual((done.returncode, done.stdout), (1, ""), name)
            self.assertIn(self.directory + "/none", done.stderr)

    def begin(self, name):
        """A long run whose processes are all there; it and its children."""
        # pylint: disable-next=consider-using-with
        process = subprocess.Popen([PROGRAM, name, "--seconds", "1000", "--dir", self.directory],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        expected = 1 if name == "disk" else 3
        wait_until(lambda: len(children_of(process.pid)) == expected, SECONDS, "the processes have not started")
        return process, children_of(process.pid)

    def test_a_signal_leaves_nothing_behind(self):
        for name, number in (("commit", signal.SIGTERM), ("floor", signal.SIGINT), ("disk", signal.SIGINT)):
            process, children = self.begin(name)
            process.send_signal(number)
            self.assertEqual(process.wait(timeout=SECONDS), 128 + number, name)
            self.assertEqual(process.stderr.read(), b"", name)
            self.assertEqual(set(children) & set(parents()), set(), name)
            self.assertEqual(os.listdir(self.directory), [], name)

    def test_children_end_with_a_parent_that_was_killed(self):
        process, children = self.begin("commit")
        process.kill()
        process.wait()
        wait_until(lambda: not set(children) & set(parents()), SECONDS, "the children live on")

    def test_a_member_that_ends_ends_the_run(self):
        process, children = self.begin("commit")
        os.kill(children[1], signal.SIGKILL)
        self.assertEqual(process.wait(timeout=SECONDS), 1)
        self.assertIn(b"ended early", process.stderr.read())
        self.assertEqual(os.listdir(self.directory), [])


if __name__ == "__main__":
    unittest.main()
