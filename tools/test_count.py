#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""count.py counts what ran: no case is lost, and nothing that went wrong is counted as passed."""
import json
import pathlib
import tempfile
import unittest

import count


def figures(counted):
    return counted.passed, counted.failed, counted.skipped


def cmocka(announced, *lines):
    return "\n".join([f"[==========] Running {announced} test(s).", *lines, ""])


class CountOutput(unittest.TestCase):
    def test_cmocka_cases(self):
        text = cmocka(2, "[ RUN      ] a", "[       OK ] a", "[ RUN      ] b", "[       OK ] b",
                      "[==========] 2 test(s) run.", "[  PASSED  ] 2 test(s).")
        self.assertEqual(figures(count.count_output("t", text, True)), (2, 0, 0))

    def test_several_cmocka_groups(self):
        text = cmocka(1, "[       OK ] a") + cmocka(2, "[       OK ] b", "[  SKIPPED ] c")
        self.assertEqual(figures(count.count_output("t", text, True)), (2, 0, 1))

    def test_a_failed_cmocka_case_counts_once_and_is_named(self):
        text = cmocka(2, "[       OK ] a", "[  FAILED  ] b", "[  PASSED  ] 1 test(s).",
                      "[  FAILED  ] 1 test(s), listed below:", "[  FAILED  ] b")
        counted = count.count_output("t", text, False)
        self.assertEqual(figures(counted), (1, 1, 0))
        self.assertEqual(counted.failures, ["t: b"])

    def test_cases_that_never_ran_because_of_a_crash_have_failed(self):
        self.assertEqual(figures(count.count_output("t", cmocka(5, "[       OK ] a"), False)), (1, 4, 0))

    def test_a_program_that_fails_after_its_cases_has_failed(self):
        counted = count.count_output("t", cmocka(1, "[       OK ] a"), False)
        self.assertEqual(figures(counted), (1, 1, 0))
        self.assertEqual(counted.failures, ["t"])

    def test_a_program_without_any_case_has_failed(self):
        self.assertEqual(figures(count.count_output("t", cmocka(0), True)), (0, 1, 0))

    def test_tap(self):
        text = "1..4\nok 1 - one\nnot ok 2 - two\nok 3 # SKIP no disk\nok 4 four\n"
        counted = count.count_output("t", text, False)
        self.assertEqual(figures(counted), (2, 1, 1))
        self.assertEqual(counted.failures, ["t: two"])

    def test_unittest(self):
        text = "FAIL: test_a (x.Y.test_a)\nRan 4 tests in 0.1s\n\nFAILED (failures=1, skipped=1)\n"
        self.assertEqual(figures(count.count_output("t", text, False)), (2, 1, 1))
        text = "".join(f"FAIL: test_a (x.Y.test_a) [{i}]\n" for i in range(3)) + "ERROR: test_a (x.Z.test_a)\nRan 3 tests in 1s\n"
        self.assertEqual(figures(count.count_output("t", text, False)), (1, 2, 0))
        text = "ERROR: setUpClass (x.Y)\nRan 0 tests in 1s\n\nFAILED (errors=1)\n"
        self.assertEqual(figures(count.count_output("t", text, False)), (0, 1, 0))
        self.assertEqual(figures(count.count_output("t", "Ran 3 tests in 1s\n\nOK\n", True)), (3, 0, 0))
        self.assertEqual(figures(count.count_output("t", "Ran 0 tests in 1s\n\nOK\n", True)), (0, 1, 0))

    def test_a_program_that_says_nothing_is_one_case(self):
        self.assertEqual(figures(count.count_output("t", "", True)), (1, 0, 0))
        self.assertEqual(figures(count.count_output("t", "", False)), (0, 1, 0))


class CountMesonLog(unittest.TestCase):
    def count(self, *tests):
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / "testlog.json"
            path.write_text("".join(json.dumps(test) + "\n" for test in tests))
            return count.count_meson_log(path)

    def test_all_tests_are_added_up(self):
        counted = self.count({"name": "a", "result": "OK", "stderr": cmocka(2, "[       OK ] x", "[       OK ] y")},
                             {"name": "b", "result": "TIMEOUT", "stdout": cmocka(3, "[       OK ] x")},
                             {"name": "c", "result": "FAIL"}, {"name": "d", "result": "SKIP"})
        self.assertEqual(figures(counted), (3, 3, 1))
        self.assertEqual(counted.failures, ["b", "c"])


if __name__ == "__main__":
    unittest.main()
