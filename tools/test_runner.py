#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""runner.py runs every step once, in an order that its needs allow, and leaves nothing behind."""
import pathlib
import sys
import tempfile
import threading
import time
import unittest
from unittest import mock

import runner
from count import Count


class Shells(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()  # pylint: disable=consider-using-with
        self.addCleanup(self.directory.cleanup)
        self.log = pathlib.Path(self.directory.name) / "log"
        self.said = []
        self.shell = runner.Shell(self.log, self.said.append)

    def test_output_goes_to_the_log_below_the_command(self):
        self.shell.run("echo", "hello")
        self.assertEqual(self.log.read_text(), "$ echo hello\nhello\n")

    def test_a_failing_command_fails_the_step(self):
        with self.assertRaises(runner.Failure):
            self.shell.run("false")
        self.assertEqual(self.shell.run("false", check=False), 1)

    def test_a_command_gets_no_input(self):
        self.assertEqual(self.shell.run("sh", "-c", "! read line"), 0)

    def test_a_step_that_takes_too_long_is_ended(self):
        self.shell.end = time.monotonic()
        with self.assertRaises(runner.Failure):
            self.shell.run(sys.executable, "-c", "import signal; signal.pause()")

    def test_nothing_outlives_its_command(self):
        self.shell.run("sh", "-c", "sleep 1000 & echo $!")
        pid = self.log.read_text().split()[-1]
        state = pathlib.Path(f"/proc/{pid}/stat")
        deadline = time.monotonic() + 10
        while state.exists() and state.read_text().split()[2] != "Z":
            self.assertLess(time.monotonic(), deadline)

    def test_nothing_starts_or_goes_on_after_the_end(self):
        with mock.patch.multiple(runner.Shell, sessions=set(), closed=False):
            lane = threading.Thread(target=self.shell.run, args=("sleep", "1000"), kwargs={"check": False})
            lane.start()
            deadline = time.monotonic() + 10
            while not runner.Shell.sessions:
                self.assertLess(time.monotonic(), deadline)
            runner.Shell.close()
            lane.join(10)
            self.assertFalse(lane.is_alive())
            with self.assertRaises(runner.Failure):
                self.shell.run("true")


class Runs(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()  # pylint: disable=consider-using-with
        self.addCleanup(self.directory.cleanup)
        self.ran = []

    def step(self, name, *needs, aside=False, count=None, wait=None, ends=None):
        def run(shell):
            if wait:
                self.assertTrue(wait.wait(10))
            self.ran.append((name, shell.prefix != ()))
            if ends:
                ends.set()
            return count
        return runner.Step(name, run, needs, aside)

    def run_steps(self, *steps):
        with mock.patch("builtins.print"):
            total = runner.Run(list(steps), self.directory.name).run()
        return total.passed, total.failed

    def test_steps_run_in_order_and_count_one_each_or_what_they_say(self):
        figures = self.run_steps(self.step("a"), self.step("b", count=Count(passed=5)), self.step("c"))
        self.assertEqual(figures, (7, 0))
        self.assertEqual(self.ran, [("a", False), ("b", False), ("c", False)])

    def test_steps_aside_run_beside_the_others_and_give_way(self):
        first, second = threading.Event(), threading.Event()
        figures = self.run_steps(self.step("timed", wait=first, ends=second),
                                 self.step("aside", aside=True, ends=first),
                                 self.step("last", aside=True, wait=second))
        self.assertEqual(figures, (3, 0))
        self.assertEqual(self.ran, [("aside", True), ("timed", False), ("last", True)])

    def test_a_step_waits_for_what_it_needs_in_the_other_lane(self):
        figures = self.run_steps(self.step("build"), self.step("search", "build", aside=True),
                                 self.step("test", "search"))
        self.assertEqual(figures, (3, 0))
        self.assertEqual([name for name, _ in self.ran], ["build", "search", "test"])

    def test_a_step_fails_with_what_it_needs(self):
        figures = self.run_steps(self.step("build", aside=True, count=Count(failed=2)), self.step("test", "build"),
                                 self.step("other"))
        self.assertEqual(figures, (1, 3))
        self.assertEqual(self.ran[-1], ("other", False))

    def test_a_step_that_cannot_count_has_failed(self):
        def fail(shell):
            shell.run("false")
        self.assertEqual(self.run_steps(runner.Step("fails", fail)), (0, 1))

    def test_a_step_that_goes_wrong_itself_ends_neither_its_lane_nor_the_wait_for_those_behind_it(self):
        def stumble(shell):
            shell.run("no-such-program")
        figures = self.run_steps(runner.Step("stumbles", stumble, aside=True), self.step("build", aside=True),
                                 self.step("test", "build"), runner.Step("stumbles, too", stumble), self.step("last"))
        self.assertEqual(figures, (3, 2))

    def test_a_need_that_was_not_asked_for_is_taken_as_met(self):
        self.assertEqual(self.run_steps(self.step("test", "build")), (1, 0))


if __name__ == "__main__":
    unittest.main()
