#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""guard.py judges counts as it says."""
import unittest

import guard

COUNTS = {work.name: 1000 for work in guard.WORKS}


def verdicts(baseline, counts):
    return {name: (well, text) for name, well, text in guard.judge(baseline, counts)}


class Judgement(unittest.TestCase):
    def test_the_same_counts_are_well(self):
        self.assertTrue(all(well for well, _ in verdicts(COUNTS, COUNTS).values()))

    def test_five_per_cent_more_are_well_and_one_more_is_not(self):
        self.assertTrue(verdicts(COUNTS, {**COUNTS, "core": 1050})["core"][0])
        well, text = verdicts(COUNTS, {**COUNTS, "core": 1051})["core"]
        self.assertFalse(well)
        self.assertIn("+5.1 %", text)
        self.assertIn(guard.RENEW, text)

    def test_what_was_won_is_to_be_kept(self):
        well, text = verdicts(COUNTS, {**COUNTS, "put": 900})["put"]
        self.assertTrue(well)
        self.assertIn("keep what was won", text)

    def test_what_the_baseline_lacks_fails(self):
        self.assertFalse(verdicts({}, COUNTS)["append"][0])


class Totals(unittest.TestCase):
    def test_threads_are_added_up(self):
        self.assertEqual(guard.total_of(["x\ntotals: 12\n", "totals: 30\n"]), 42)

    def test_a_file_without_a_total_is_trouble(self):
        for texts in ([], ["totals: 1\n", "nothing\n"]):
            with self.assertRaises(guard.Trouble):
                guard.total_of(texts)

    def test_what_two_runs_share_cancels_out(self):
        work = guard.Work("x", "x", 10, 20, 4)
        self.assertEqual(guard.per_unit(work, 500, 900), 10)


if __name__ == "__main__":
    unittest.main()
