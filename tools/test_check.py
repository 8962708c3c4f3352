#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check.py's steps can be chosen, and can all run."""
import unittest

import check


class Steps(unittest.TestCase):
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
