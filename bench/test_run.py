#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What make bench makes of its pairs: ratios, verdicts, tables, and an end in time."""
import contextlib
import io
import unittest
import xml.etree.ElementTree as tree

import results
import rows
import run
from programs import Trouble


def row(pairs, more_is_better=True, least=2.0, aim=4.0):
    """A row that measures what is given, or raises it."""
    given = iter(pairs)

    @contextlib.contextmanager
    def begin(settings):
        del settings

        def measure():
            pair = next(given)
            if isinstance(pair, Exception):
                raise pair
            return tuple({"x": value, "command": "do it"} for value in pair)
        yield measure
    return rows.Row("name", "some text", "other", begin, rows.field("x"), rows.field("x"), "/s", more_is_better, least, aim)


def measured(pairs, minutes=10, **more):
    with contextlib.redirect_stdout(io.StringIO()):
        return run.measure_row(row(pairs, **more), run.Settings(pairs=len(pairs)), run.Clock(minutes), "1/1")


class Rows(unittest.TestCase):
    def test_medians_and_the_least_and_greatest_ratio(self):
        outcome = measured([(10, 5), (30, 10), (90, 10)])
        self.assertEqual(outcome.figures(), (30, 10, 2, 3, 9))
        self.assertEqual(outcome.verdict(), "reached")

    def test_verdicts(self):
        for ours, more, least, aim, verdict in ((8, True, 2, 4, "aim reached"), (4, True, 2, 4, "aim reached"),
                                                (2, True, 2, 4, "reached"), (1, True, 2, 4, "missed"),
                                                (1, False, 2, 1.5, "aim reached"), (2, False, 2, 1.5, "reached"),
                                                (3, False, 2, 1.5, "missed"), (3, False, None, None, "-")):
            outcome = measured([(ours, 1)], more_is_better=more, least=least, aim=aim)
            self.assertEqual(outcome.verdict(), verdict, (ours, more))

    def test_what_goes_wrong_is_told_and_what_was_measured_kept(self):
        outcome = measured([(4, 1), Trouble("the peer fell over")])
        self.assertEqual((len(outcome.pairs), outcome.trouble), (1, "the peer fell over"))

    def test_no_pair_begins_when_the_time_is_over(self):
        outcome = measured([(4, 1)], minutes=0)
        self.assertEqual((outcome.pairs, outcome.verdict()), ([], "not measured"))
        self.assertIn("no time", outcome.trouble)

    def test_rows_have_names_of_their_own_and_aims_beyond_what_is_wanted_at_least(self):
        self.assertEqual(len({one.name for one in rows.ROWS}), len(rows.ROWS))
        for one in rows.ROWS:
            self.assertTrue(one.least is None or one.meets(one.aim, one.least), one.name)

    def test_rows_can_be_chosen(self):
        self.assertEqual([one.name for one in run.choose_rows(["put", "floor"])], ["put", "floor"])
        with self.assertRaises(SystemExit):
            run.choose_rows(["nonsense"])


class Documents(unittest.TestCase):
    def test_everything_is_in_it(self):
        outcomes = [measured([(30, 10)]), measured([Trouble("no disk")])]
        text = results.document(outcomes, {"Ratios": "plots/ratios.svg"},
                                {"command": "run", "date": "today", "minutes": 2, "machine": {"kernel": "6"},
                                 "versions": {"etcd": "v3"}, "settings": {"etcd": "as it comes"}})
        for part in ("| some text | other | 30 /s | 10 /s | **3** (3 to 3) | 1 | >= 2 | >= 4 | reached |", "not measured",
                     "no disk", "`do it`", "v3", "as it comes", "![Ratios](plots/ratios.svg)"):
            self.assertIn(part, text)

    def test_ratios_are_drawn_as_far_as_there_are_some(self):
        self.assertIsNone(results.ratios([measured([Trouble("x")])]))
        tree.fromstring(results.ratios([measured([(30, 10)])]))


if __name__ == "__main__":
    unittest.main()
