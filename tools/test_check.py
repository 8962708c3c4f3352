#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check.py counts what ran: no case is lost, and nothing that went wrong is counted as passed."""
import json
import pathlib
import sys
import tempfile
import time
import unittest

import check


def figures(count):
    return count.passed, count.failed, count.skipped


def cmocka(announced, *lines):
    return "\n".join([f"[==========] Running {announced} test(s).", *lines, ""])


class CountOutput(unittest.TestCase):
    def test_cmocka_cases(self):
        text = cmocka(2, "[ RUN      ] a", "[       OK ] a", "[ RUN      ] b", "[       OK ] b",
                      "[==========] 2 test(s) run.", "[  PASSED  ] 2 test(s).")
        self.assertEqual(figures(check.count_output("t", text, True)), (2, 0, 0))

    def test_several_cmocka_groups(self):
        text = cmocka(1, "[       OK ] a") + cmocka(2, "[       OK ] b", "[  SKIPPED ] c")
        self.assertEqual(figures(check.count_output("t", text, True)), (2, 0, 1))

    def test_a_failed_cmocka_case_counts_once_and_is_named(self):
        text = cmocka(2, "[       OK ] a", "[  FAILED  ] b", "[  PASSED  ] 1 test(s).",
                      "[  FAILED  ] 1 test(s), listed below:", "[  FAILED  ] b")
        count = check.count_output("t", text, False)
        self.assertEqual(figures(count), (1, 1, 0))
        self.assertEqual(count.failures, ["t: b"])

    def test_cases_that_never_ran_because_of_a_crash_have_failed(self):
        self.assertEqual(figures(check.count_output("t", cmocka(5, "[       OK ] a"), False)), (1, 4, 0))

    def test_a_program_that_fails_after_its_cases_has_failed(self):
        count = check.count_output("t", cmocka(1, "[       OK ] a"), False)
        self.assertEqual(figures(count), (1, 1, 0))
        self.assertEqual(count.failures, ["t"])

    def test_a_program_without_any_case_has_failed(self):
        self.assertEqual(figures(check.count_output("t", cmocka(0), True)), (0, 1, 0))

    def test_tap(self):
        text = "1..4\nok 1 - one\nnot ok 2 - two\nok 3 # SKIP no disk\nok 4 four\n"
        count = check.count_output("t", text, False)
        self.assertEqual(figures(count), (2, 1, 1))
        self.assertEqual(count.failures, ["t: two"])

    def test_unittest(self):
        text = "FAIL: test_a (x.Y.test_a)\nRan 4 tests in 0.1s\n\nFAILED (failures=1, skipped=1)\n"
        self.assertEqual(figures(check.count_output("t", text, False)), (2, 1, 1))
        self.assertEqual(figures(check.count_output("t", "Ran 3 tests in 1s\n\nOK\n", True)), (3, 0, 0))
        self.assertEqual(figures(check.count_output("t", "Ran 0 tests in 1s\n\nOK\n", True)), (0, 1, 0))

    def test_a_program_that_says_nothing_is_one_case(self):
        self.assertEqual(figures(check.count_output("t", "", True)), (1, 0, 0))
        self.assertEqual(figures(check.count_output("t", "", False)), (0, 1, 0))


class CountMesonLog(unittest.TestCase):
    def count(self, *tests):
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / "testlog.json"
            path.write_text("".join(json.dumps(test) + "\n" for test in tests))
            return check.count_meson_log(path)

    def test_all_tests_are_added_up(self):
        count = self.count({"name": "a", "result": "OK", "stderr": cmocka(2, "[       OK ] x", "[       OK ] y")},
                           {"name": "b", "result": "TIMEOUT", "stdout": cmocka(3, "[       OK ] x")},
                           {"name": "c", "result": "FAIL"}, {"name": "d", "result": "SKIP"})
        self.assertEqual(figures(count), (3, 3, 1))
        self.assertEqual(count.failures, ["b", "c"])


class Steps(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()  # pylint: disable=consider-using-with
        self.addCleanup(self.directory.cleanup)
        self.log = pathlib.Path(self.directory.name) / "log"
        self.said = []
        self.shell = check.Shell(self.log, self.said.append)

    def test_output_goes_to_the_log_below_the_command(self):
        self.shell.run("echo", "hello")
        self.assertEqual(self.log.read_text(), "$ echo hello\nhello\n")

    def test_a_failing_command_fails_the_step(self):
        with self.assertRaises(check.Failure):
            self.shell.run("false")
        self.assertEqual(self.shell.run("false", check=False), 1)

    def test_a_command_gets_no_input(self):
        self.assertEqual(self.shell.run("sh", "-c", "! read line"), 0)

    def test_a_step_that_takes_too_long_is_ended(self):
        self.shell.end = time.monotonic()
        with self.assertRaises(check.Failure):
            self.shell.run(sys.executable, "-c", "import signal; signal.pause()")

    def test_nothing_outlives_its_command(self):
        self.shell.run("sh", "-c", "sleep 1000 & echo $!")
        pid = self.log.read_text().split()[-1]
        state = pathlib.Path(f"/proc/{pid}/stat")
        deadline = time.monotonic() + 10
        while state.exists() and state.read_text().split()[2] != "Z":
            self.assertLess(time.monotonic(), deadline)

    def test_steps_are_chosen_by_name(self):
        self.assertEqual(check.select_steps([]), check.STEPS)
        self.assertEqual([step.name for step in check.select_steps(["lint"])], check.LINT)
        with self.assertRaises(SystemExit):
            check.select_steps(["no such step"])

    def test_what_a_step_needs_comes_before_it(self):
        names = [step.name for step in check.STEPS]
        self.assertEqual(len(names), len(set(names)))
        for step in check.STEPS:
            for need in step.needs:
                self.assertLess(names.index(need), names.index(step.name))


if __name__ == "__main__":
    unittest.main()
