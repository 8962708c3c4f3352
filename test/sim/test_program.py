# SPDX-License-Identifier: Apache-2.0
"""lash-sim as a program: its options, exit codes and JSON, and the seeds that once failed. Its path is the first argument."""
import json
import pathlib
import subprocess
import sys
import unittest

PROGRAM = sys.argv[1]
SEEDS = pathlib.Path(__file__).with_name("seeds.txt")


def sim(*arguments):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False)


def last_line(result):
    return json.loads(result.stdout.strip().split("\n")[-1])


class Usage(unittest.TestCase):
    def test_help_tells_what_there_is(self):
        for verb in ["", " run", " replay", " soak", " shrink", " bench", " crash"]:
            result = sim(*verb.split(), "--help")
            self.assertEqual((result.returncode, result.stderr), (0, ""), verb)
            self.assertTrue(result.stdout.startswith(f"Usage: lash-sim{verb} "), result.stdout)

    def test_what_makes_no_sense_gets_one_line_and_exit_code_2(self):
        for arguments in [("jump",), ("run", "--fast"), ("run", "--profile", "none"), ("run", "--nodes", "0"),
                          ("run", "--nodes", "10"), ("run", "--without", "rain"), ("run", "--forbid", "drop"), ("run", "--only", "rain:1"),
                          ("run", "--only", "kill"), ("run", "--only", "drop:1"), ("run", "--profile", "core", "--only", "kill:1"),
                          ("run", "now"), ("soak", "--jobs", "0"),
                          ("run", "--seed", "x")]:
            result = sim(*arguments)
            self.assertEqual((result.returncode, result.stdout, result.stderr.count("\n")), (2, "", 1), arguments)
            self.assertTrue(result.stderr.startswith("lash-sim: "), arguments)

    def test_without_a_verb_it_says_which_there_are(self):
        result = sim()
        self.assertEqual(result.returncode, 2)
        self.assertIn("soak", result.stderr)


class Runs(unittest.TestCase):
    def test_the_last_line_of_a_run_is_json(self):
        result = sim("run", "--seed", "4", "--events", "20000", "--nodes", "5", "--twice")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        found = last_line(result)
        self.assertEqual((found["seed"], found["nodes"], found["profile"], found["violations"]), (4, 5, "node", 0))
        self.assertGreaterEqual(found["events"], 20000)
        for name in ["simulated_seconds", "commits", "reads", "events_per_second"]:
            self.assertGreater(found[name], 0, name)
        self.assertEqual(len(found["trace_hash"]), 16)
        self.assertIn("power", found["faults"])

    def test_a_replay_gives_the_same_and_an_account_of_it(self):
        arguments = ["--seed", "4", "--events", "3000"]
        run = last_line(sim("run", *arguments))
        result = sim("replay", *arguments, "--trace")
        self.assertEqual(result.returncode, 0)
        self.assertEqual(last_line(result)["trace_hash"], run["trace_hash"])
        for words in ["is leader of term", "sends to n", "gets from n", "APPEND", "is asked for command", "applies",
                      "ends command", "HEAL"]:
            self.assertIn(words, result.stdout)

    def test_an_account_that_is_not_read_to_its_end_is_no_failure(self):
        with subprocess.Popen([PROGRAM, "replay", "--seed", "4", "--events", "20000", "--trace"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, restore_signals=True) as replay:
            self.assertIn("starts", replay.stdout.readline())
            replay.stdout.close()
            self.assertEqual((replay.stderr.read(), replay.wait()), ("", 141))

    def test_so_does_a_replay_of_bare_cores(self):
        arguments = ["--seed", "4", "--events", "5000", "--profile", "core"]
        run = last_line(sim("run", *arguments))
        result = sim("replay", *arguments, "--trace")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual(last_line(result)["trace_hash"], run["trace_hash"])
        for words in ["starts; on its disk", "loses power", "is leader of term", "gets from n", "APPEND", "; entries", "VOTE-REPLY",
                      "write 1: term", "is asked for", "are durable", "reflects index", "after write"]:
            self.assertIn(words, result.stdout)

    def test_kinds_and_faults_can_be_left_out(self):
        found = last_line(sim("run", "--seed", "8", "--events", "20000", "--without", "drop,reset", "--only", "none"))
        self.assertEqual([kind for kind in ["drop", "reset", "kill", "power", "clog"] if found["faults"][kind]], [])

    def test_a_soak_takes_many_seeds_and_the_same_ones_again(self):
        arguments = ["soak", "--seed", "100", "--events", "100000", "--jobs", "2", "--profile", "core"]
        first, second = sim(*arguments), sim(*arguments)
        self.assertEqual(first.returncode, 0, first.stderr)
        one, two = last_line(first), last_line(second)
        self.assertEqual((one["seeds"], one["events"], one["trace_hash"]), (two["seeds"], two["events"], two["trace_hash"]))
        self.assertGreaterEqual(one["events"], 100000)
        self.assertIsNone(one["nodes"])
        self.assertIn("simulated years", first.stderr)

    def test_what_holds_cannot_be_shrunk(self):
        result = sim("shrink", "--seed", "1", "--events", "2000")
        self.assertEqual(result.returncode, 0)
        self.assertIn("nothing to shrink", result.stdout)

    def test_a_bench_measures_all_parts(self):
        found = json.loads(sim("bench", "--events", "16000").stdout)
        for part in ["node_events_per_second", "core_events_per_second", "core_steps_per_second"]:
            self.assertGreater(found[part], 1000)


class Failures(unittest.TestCase):
    """A kind of fault that is forbidden is as good as a broken invariant."""

    RUN = ["--seed", "9", "--events", "20000", "--nodes", "5", "--forbid", "kill"]

    def test_a_failure_tells_what_broke_and_how_to_see_it_again(self):
        result = sim("run", *self.RUN)
        self.assertEqual(result.returncode, 1)
        self.assertEqual((last_line(result)["violations"], last_line(result)["invariant"]), (1, "forbidden"))
        self.assertRegex(result.stderr, r"(?s)^invariant forbidden broken after \d+ events, at [\d.]+ s: kill\nseed 9, commit \S+\n"
                                        r"again: lash-sim replay --seed 9 --events 20000 --nodes 5 --profile node --forbid kill\n$")
        again = result.stderr.split("again: lash-sim ")[1].split()
        self.assertEqual(last_line(sim(*again))["trace_hash"], last_line(result)["trace_hash"])

    def test_it_shrinks_to_the_one_fault_that_matters(self):
        result = sim("shrink", *self.RUN)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertRegex(result.stdout, r"events and 1 faults are left")
        again = result.stderr.split("again: lash-sim ")[1].split()
        self.assertRegex(again[again.index("--only") + 1], r"^kill:\d+$")
        self.assertEqual(last_line(sim(*again))["invariant"], "forbidden")

    def test_a_soak_goes_on_behind_a_failure(self):
        result = sim("soak", "--seed", "5", "--events", "200000", "--jobs", "2", "--profile", "node", "--forbid", "kill")
        self.assertEqual(result.returncode, 1)
        found = last_line(result)
        self.assertGreater(found["seeds"]["count"], 2)
        self.assertGreater(found["violations"], 0)
        self.assertEqual(result.stderr.count("again: "), found["violations"])


    def test_bare_cores_fail_and_shrink_likewise(self):
        result = sim("soak", "--seed", "5", "--events", "60000", "--jobs", "2", "--profile", "core", "--forbid", "power")
        self.assertEqual(result.returncode, 1)
        self.assertGreater(last_line(result)["violations"], 1)
        commands = [rest.splitlines()[0].split() for rest in result.stderr.split("again: lash-sim ")[1:]]
        for again in commands[:3]:
            self.assertEqual(last_line(sim(*again))["invariant"], "forbidden", again)
        shrunk = sim("shrink", *commands[0][1:])
        self.assertEqual(shrunk.returncode, 1, shrunk.stderr)
        self.assertRegex(shrunk.stdout, r"\d+ events are left")
        again = shrunk.stderr.split("again: lash-sim ")[1].split()
        self.assertNotIn("power", again[again.index("--without") + 1].split(","))
        self.assertEqual(last_line(sim(*again))["invariant"], "forbidden")


class Seeds(unittest.TestCase):
    def test_seeds_that_once_failed_hold(self):
        lines = [line.split("#")[0].split() for line in SEEDS.read_text(encoding="utf-8").splitlines()]
        for arguments in filter(None, lines):
            with self.subTest(arguments=arguments):
                result = sim("run", *arguments)
                self.assertEqual(result.returncode, 0, result.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
