#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""plot.py draws well-formed SVG with everything in it and inside of it."""
import unittest
import xml.etree.ElementTree as tree

import plot

SVG = "{http://www.w3.org/2000/svg}"


class Plots(unittest.TestCase):
    def test_each_point_is_drawn_within_the_frame(self):
        series = {"a < b": [(1, 10), (1000, 2e6)], "c": [(8, 500)]}
        root = tree.fromstring(plot.lines("throughput & more", "clients", "a second", series))
        circles = [circle for circle in root.iter(SVG + "circle") if circle.get("r") == "3.5"]
        self.assertEqual(len(circles), 3)
        for circle in circles:
            self.assertTrue(plot.LEFT <= float(circle.get("cx")) <= plot.WIDTH - plot.RIGHT)
            self.assertTrue(plot.TOP <= float(circle.get("cy")) <= plot.HEIGHT - plot.BOTTOM)
        self.assertIn("a < b", [one.text for one in root.iter(SVG + "text")])

    def test_larger_is_higher_and_further_to_the_right(self):
        root = tree.fromstring(plot.lines("t", "x", "y", {"a": [(1, 1), (10, 5)]}, y_logarithmic=False))
        first, second = [(float(c.get("cx")), float(c.get("cy"))) for c in root.iter(SVG + "circle") if c.get("r") == "3.5"]
        self.assertLess(first[0], second[0])
        self.assertGreater(first[1], second[1])

    def test_a_bar_ends_at_its_median(self):
        root = tree.fromstring(plot.bars("t", [("a", 0.5, 10, 20, 6), ("b", 0.1, 0.2, 0.3, 0.5)]))
        bars = [rect for rect in root.iter(SVG + "rect") if rect.get("fill") == plot.COLOURS[0]]
        self.assertEqual(len(bars), 2)
        self.assertGreater(float(bars[0].get("width")), float(bars[1].get("width")))

    def test_what_a_logarithm_cannot_show_is_refused(self):
        with self.assertRaises(ValueError):
            plot.lines("t", "x", "y", {"a": [(0, 1)]})

    def test_numbers_are_short(self):
        self.assertEqual([plot.number(value) for value in (1.5e6, 20000, 3, 0.25, 2e9)], ["1.5M", "20k", "3", "0.25", "2G"])


if __name__ == "__main__":
    unittest.main()
