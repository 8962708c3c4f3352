# SPDX-License-Identifier: Apache-2.0
"""lash-check as a program: its options, exit codes and last line. Its path is the first argument."""
import json
import subprocess
import sys
import unittest

PROGRAM = sys.argv[1]


def check(*flags):
    return subprocess.run([PROGRAM, *flags], capture_output=True, text=True, check=False)


def last_line(result):
    return json.loads(result.stdout.splitlines()[-1])


class Results(unittest.TestCase):
    def test_zero_and_all_held_when_every_state_was_visited(self):
        result = check("--bound", "small", "--scenario", "figure-8")
        summary = last_line(result)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertTrue(summary["complete"])
        self.assertIsNone(summary["violation"])
        self.assertGreater(summary["transitions"], summary["states"])
        self.assertGreater(summary["depth"], 10)
        self.assertGreater(summary["states_per_second"], 0)
        self.assertLess(summary["collision_probability"], 1e-6)
        self.assertEqual([one["name"] for one in summary["scenarios"]], ["figure-8"])
        self.assertIn("complete, all invariants held", result.stdout)

    def test_the_numbers_do_not_depend_on_the_number_of_processes(self):
        one, two = (last_line(check("--bound", "small", "--jobs", jobs, "--states", "10000")) for jobs in "13")
        self.assertEqual([(s["name"], s["states"]) for s in one["scenarios"]],
                         [(s["name"], s["states"]) for s in two["scenarios"]])

    def test_three_and_incomplete_when_it_was_cut_short(self):
        for flags in (["--states", "100"], ["--minutes", "0.00001"]):
            result = check("--bound", "default", "--scenario", "log", *flags)
            self.assertEqual(result.returncode, 3, result.stdout + result.stderr)
            self.assertFalse(last_line(result)["complete"])
            self.assertIsNone(last_line(result)["violation"])
            self.assertIn("INCOMPLETE", result.stdout)
            self.assertNotIn("all invariants held", result.stdout)

    def test_a_given_depth_is_a_bound_like_others(self):
        result = check("--bound", "small", "--scenario", "log", "--depth", "5")
        self.assertEqual((result.returncode, last_line(result)["depth"]), (0, 5))
        self.assertIn("every state within 5 steps", result.stdout)
        one = last_line(result)["scenarios"][0]
        self.assertEqual((one["complete_to_depth"], one["complete"]), (5, True))
        self.assertTrue(0 < one["frontier"] < one["states"])

    def test_a_search_cut_short_says_to_which_depth_it_got(self):
        result = check("--bound", "small", "--scenario", "everything", "--depth", "9", "--states", "500")
        one = last_line(result)["scenarios"][0]
        self.assertEqual((result.returncode, one["complete"]), (3, False))
        self.assertTrue(0 < one["complete_to_depth"] < 9)
        self.assertIn(f"every state within {one['complete_to_depth']} steps", result.stdout)
        within = last_line(check("--scenario", "everything", "--depth", str(one["complete_to_depth"])))["states"]
        self.assertTrue(within <= one["states"])

    def test_the_bounds_of_everything_hold_all_that_can_happen(self):
        plain = last_line(check("--bound", "small", "--scenario", "everything"))["states"]
        for bound in "terms", "entries", "crashes", "reads", "heartbeats", "writes", "late":
            fewer = last_line(check("--bound", "small", "--scenario", "everything", f"--{bound}",
                                    "1" if bound in ("terms", "entries", "crashes", "writes") else "0"))["states"]
            self.assertLess(fewer, plain, bound)

    def test_flags_take_the_place_of_the_scenarios_bounds(self):
        fewer = last_line(check("--bound", "small", "--scenario", "log", "--entries", "0", "--timeouts", "1"))
        plain = last_line(check("--bound", "small", "--scenario", "log", "--entries", "0", "--timeouts", "1",
                                "--no-symmetry"))
        self.assertLess(fewer["states"], plain["states"])
        self.assertLessEqual(plain["states"], 6 * fewer["states"])

    def test_the_list_names_what_can_be_searched(self):
        result = check("--list")
        self.assertEqual(result.returncode, 0)
        for name in "elections", "log", "figure-7", "figure-8":
            self.assertIn(name, result.stdout)


class Usage(unittest.TestCase):
    def test_two_with_one_line_that_says_what_is_wrong(self):
        for flags in (["--bogus"], ["--bound", "huge"], ["--scenario", "none"], ["--nodes", "0"], ["--nodes", "6"],
                      ["--terms", "9"], ["--messages", "0"], ["--messages", "25"], ["--reads", "4"], ["--writes", "5"],
                      ["--entries", "-5"], ["--jobs", "0"], ["--memory", "0"], ["--minutes", "-1"], ["--states", "x"],
                      ["argument"]):
            result = check(*flags)
            self.assertEqual(result.returncode, 2, flags)
            self.assertEqual(result.stdout, "", flags)
            self.assertRegex(result.stderr, r"^lash-check: [^\n]+\n$", flags)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
