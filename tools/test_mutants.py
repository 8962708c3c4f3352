#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""mutants.py on a small project: what is found, what is not, and what is no score at all are told apart."""
import pathlib
import shutil
import tempfile
import time
import unittest

import mutants

LIMIT_C = """\
int limit_of(int size) {
    if (size < 1)
        return 0;
    if (size > 100)
        return 100;
    return size;
}
"""

# When the limit of 7 is 8, it waits for ever, as a broken program may; when it is 9, it computes for ever; when it is 10,
# it fails every other time.
TEST_C = """\
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
int limit_of(int size);
int main(void) {
    while (limit_of(7) == 8)
        pause();
    while (limit_of(7) == 9)
        continue;
    if (limit_of(7) == 10 && remove("failed") == 0)
        return 0;
    if (limit_of(7) == 10)
        fopen("failed", "w");
    if (limit_of(200) == 100 && limit_of(7) == 7)
        return 0;
    printf("[  FAILED  ] limits_hold\\nseed 42\\n");
    return 1;
}
"""

OTHER_C = """\
int limit_of(int size);
int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1)
        return 3;
    return limit_of(200) == 100 ? 0 : 1;
}
"""

MESON = """\
project('small', 'c')
limit = static_library('limit', 'limit.c')
test('small-test', executable('small_test', 'test.c', link_with: limit))
executable('other', 'other.c', link_with: limit)
"""

OPTIONS = "option('core_asserts', type: 'boolean', value: true)\n"

TIERS = '{"unit": {"core": {"tests": ["small-.*"]}}, "other": {"core": {"commands": ["other"]}}}'


def patch(old, new, safety="no", tiers="unit", what="A limit is wrong."):
    """A mutant of one line of limit.c."""
    lines = LIMIT_C.splitlines()
    at = lines.index(old)
    hunk = [f"@@ -{at},3 +{at},3 @@", " " + lines[at - 1], "-" + old, "+" + new, " " + lines[at + 1]]
    return "\n".join([f"What: {what}", "Breaks: L1", "Layer: core", f"Safety: {safety}", f"Tiers: {tiers}", "",
                      "--- a/limit.c", "+++ b/limit.c", *hunk, ""])


TOO_HIGH = patch("        return 100;", "        return 101;")
UNSEEN = patch("        return 0;", "        return 1;")
HANGS = patch("    return size;", "    return size + 1;")
SPINS = patch("    return size;", "    return size + 2;")
FAILS_NOW_AND_THEN = patch("    return size;", "    return size + 3;")

PAGE = """\
before
<!-- score, assertions on: begin -->
| mutant | the bug | breaks | found by | commit |
|---|---|---|---|---|
| high | A limit is wrong | L1 | {} | earlier |
| gone | It is no more | L1 | unit: small-test (limits_hold), 0.1 s | earlier |
<!-- score, assertions on: end -->
behind
"""


class Project(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory()  # pylint: disable=consider-using-with
        cls.addClassCleanup(directory.cleanup)
        cls.root = pathlib.Path(directory.name)

    def setUp(self):
        """The project anew; its copies and their build directories stay, as they would."""
        self.said = []
        shutil.rmtree(self.root / "test", ignore_errors=True)
        for name, text in {"limit.c": LIMIT_C, "test.c": TEST_C, "other.c": OTHER_C, "meson.build": MESON,
                           "meson_options.txt": OPTIONS, "test/mutants/tiers.json": TIERS}.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def plant(self, **texts):
        for name, text in texts.items():
            (self.root / f"test/mutants/{name}.patch").write_text(text)

    def score(self, *words):
        return mutants.run(["--root", str(self.root), *words], self.said.append)

    def heard(self, words):
        return any(words in line for line in self.said)

    def assert_no_score(self, words, *arguments):
        with self.assertRaises(mutants.Trouble) as caught:
            self.score(*arguments)
        self.assertIn(words, str(caught.exception))


class Scores(Project):
    def test_a_mutant_that_a_tier_finds_is_killed(self):
        self.plant(high=TOO_HIGH)
        self.assertEqual(self.score(), 0)
        self.assertEqual(self.said[-1], "1 killed, 0 survived")
        self.assertTrue(self.heard("small-test (limits_hold, seed 42)"))

    def test_a_mutant_that_nothing_finds_survives(self):
        self.plant(high=TOO_HIGH, low=UNSEEN)
        self.assertEqual(self.score("--jobs", "2"), 1)
        self.assertEqual(self.said[-1], "1 killed, 1 survived")
        self.assertIn("SURVIVED: low", self.said)

    def test_a_mutant_of_safety_needs_two_tiers(self):
        self.plant(both=TOO_HIGH.replace("Safety: no", "Safety: yes").replace("Tiers: unit", "Tiers: unit, other"),
                   one=HANGS.replace("return size + 1", "return size - 1").replace("Safety: no", "Safety: yes")
                   .replace("Tiers: unit", "Tiers: unit, other"))
        self.assertEqual(self.score(), 1)
        self.assertIn("TOO FEW TIERS: one", self.said)
        self.assertTrue(self.heard("killed both"))

    def test_one_chosen_tier_cannot_kill_twice(self):
        self.plant(both=TOO_HIGH.replace("Safety: no", "Safety: yes").replace("Tiers: unit", "Tiers: unit, other"))
        self.assertEqual(self.score("--tiers", "other"), 0)

    def test_a_mutant_that_hangs_is_no_kill_and_of_safety_not_even_found(self):
        mutants.CLOCK_SECONDS_MIN, before = 1, mutants.CLOCK_SECONDS_MIN
        self.addCleanup(setattr, mutants, "CLOCK_SECONDS_MIN", before)
        self.plant(hangs=HANGS)
        self.assertEqual(self.score(), 0)
        self.assertIn("HUNG: hangs", self.said)
        self.assertEqual(self.said[-1], "0 killed, 0 survived")
        self.plant(hangs=HANGS.replace("Safety: no", "Safety: yes").replace("Tiers: unit", "Tiers: unit, other"))
        self.assertEqual(self.score(), 1)

    def test_one_that_computes_for_ever_hangs_by_its_processor_time(self):
        mutants.PROCESSOR_SECONDS_MIN, before = 1, mutants.PROCESSOR_SECONDS_MIN
        self.addCleanup(setattr, mutants, "PROCESSOR_SECONDS_MIN", before)
        self.plant(spins=SPINS)
        self.assertEqual(self.score(), 0)
        self.assertIn("HUNG: spins", self.said)

    def test_what_does_not_fail_again_is_no_kill(self):
        self.plant(unsteady=FAILS_NOW_AND_THEN)
        self.assertEqual(self.score(), 1)
        self.assertIn("SURVIVED: unsteady", self.said)
        self.assertTrue(self.heard(" s: unsteady"))

    def test_the_tier_that_found_it_before_comes_first(self):
        page = self.root / mutants.DONE
        page.parent.mkdir(exist_ok=True)
        self.addCleanup(shutil.rmtree, page.parent)
        self.plant(high=TOO_HIGH.replace("Tiers: unit", "Tiers: unit, other"))
        for tier, part in ("unit", "small-test"), ("other", "other"):
            page.write_text(PAGE.format(f"{tier}: {part} (status 1), 0.1 s"))
            self.assertEqual(self.score(), 0)
            self.assertRegex(self.said[-2], rf"^\[1/1\] killed high: {tier} [\d.]+ s: {part} \([^;]*$")

    def test_a_run_that_was_ended_is_resumed(self):
        self.plant(high=TOO_HIGH)
        self.assertEqual(self.score(), 0)
        (self.root / "limit.c").write_text("int;;")
        self.assertEqual(self.score("--resume"), 0)
        self.assertEqual(self.said[-1], "1 killed, 0 survived")
        self.plant(low=UNSEEN)
        self.assert_no_score("ninja", "--resume")
        self.assertEqual(self.score("--kept"), 0)
        self.assertIn("not scored yet: low", self.said)

    def test_the_sources_are_as_before(self):
        self.plant(high=TOO_HIGH, low=UNSEEN)
        self.score()
        copy = self.root / "build/mutants/0/source/limit.c"
        self.assertEqual(copy.read_text(), LIMIT_C)
        self.assertEqual((self.root / "limit.c").read_text(), LIMIT_C)

    def test_a_mutant_does_not_outlive_its_turn_in_the_copy(self):
        self.plant(a_high=TOO_HIGH, b_low=UNSEEN)
        self.score()
        self.assertIn("SURVIVED: b_low", self.said)

    def test_a_copy_follows_the_sources(self):
        self.plant(low=UNSEEN)
        self.assertEqual(self.score(), 1)
        (self.root / "test.c").write_text(TEST_C.replace("limit_of(7) == 7", "limit_of(-1) == 0"))
        self.assertEqual(self.score(), 0)

    def test_a_sample_follows_its_seed(self):
        self.plant(**{f"mutant{i}": TOO_HIGH for i in range(20)})
        drawn = [[mutant.name for mutant in mutants.choose(mutants.read_mutants(self.root), mutants.parse(words.split()))]
                 for words in ("--sample 3 --seed a", "--sample 3 --seed a", "--sample 3 --seed b")]
        self.assertEqual(drawn[0], drawn[1])
        self.assertNotEqual(drawn[0], drawn[2])
        self.assertEqual(len(drawn[2]), 3)

    def test_the_table_stands_between_its_marks(self):
        page = self.root / "page.md"
        page.write_text("before\n<!-- score, assertions on: begin -->OUTDATED<!-- score, assertions on: end -->\nbehind\n")
        self.plant(high=TOO_HIGH, low=UNSEEN)
        self.score("--table", str(page))
        text = page.read_text()
        self.assertRegex(text, r"\| high \| A limit is wrong \| L1 \| unit: small-test \(limits_hold, seed 42\), [\d.]+ s \| a tree")
        self.assertIn("| low | A limit is wrong | L1 | nothing | a tree without history |", text)
        self.assertIn("2 mutants, the core's assertions on: 1 killed, 1 survived.", text)
        self.assertTrue(text.startswith("before\n") and text.endswith("behind\n") and "OUTDATED" not in text)

    def test_rows_of_mutants_that_were_not_scored_stay_with_their_commit(self):
        page = self.root / "page.md"
        page.write_text(PAGE.format("unit: small-test (limits_hold), 0.1 s"))
        self.plant(high=TOO_HIGH, low=UNSEEN)
        self.score("--only", "low", "--table", str(page))
        text = page.read_text()
        self.assertIn("2 mutants, the core's assertions on: 1 killed, 1 survived.", text)
        self.assertIn("| high | A limit is wrong | L1 | unit: small-test (limits_hold), 0.1 s | earlier |\n", text)
        self.assertIn("| low | A limit is wrong | L1 | nothing | a tree without history |\n", text)
        self.assertNotIn("gone", text)

    def test_asserts_off_is_a_build_of_its_own(self):
        self.plant(high=TOO_HIGH)
        self.assertEqual(self.score("--asserts", "both"), 0)
        self.assertEqual(self.said.count("1 killed, 0 survived"), 2)
        self.assertTrue((self.root / "build/mutants/0-asserts-off/build/build.ninja").exists())


class Words(unittest.TestCase):
    def test_the_last_input_is_the_one_that_failed(self):
        self.assertEqual(mutants.describe("replay: /a/first\nx\nreplay: /a/second\n", 1), "input second")

    def test_a_long_output_takes_no_long_time(self):
        """In which nothing is found: at 200,000 lines a pattern that begins anywhere and reaches anywhere would take days."""
        before = time.process_time()
        self.assertEqual(mutants.describe("no word\n" * 200000, 3), "status 3")
        self.assertLess(time.process_time() - before, 60)


class NoScores(Project):
    def test_a_patch_that_does_not_apply(self):
        self.plant(high=TOO_HIGH, stray=TOO_HIGH.replace("-        return 100;", "-        return 99;"))
        self.assertEqual(self.score(), 2)
        self.assertIn("ERROR: stray", self.said)
        self.assertEqual(self.said[-1], "1 killed, 0 survived")

    def test_a_mutant_that_does_not_compile(self):
        self.plant(broken=patch("        return 100;", "        return hundred;"))
        self.assertEqual(self.score(), 2)
        self.assertIn("ERROR: broken", self.said)

    def test_a_tier_that_fails_on_the_sources_as_they_are(self):
        self.plant(high=TOO_HIGH)
        (self.root / "limit.c").write_text("\n" + LIMIT_C.replace("size > 100", "size > 300"))
        self.assert_no_score("small-test fails on the sources as they are")

    def test_a_command_with_a_status_that_is_no_verdict(self):
        self.plant(high=TOO_HIGH.replace("Tiers: unit", "Tiers: other"))
        (self.root / "test/mutants/tiers.json").write_text(TIERS.replace('"other"]', '"other 1"]'))
        self.assert_no_score("ended with status 3")

    def test_sources_that_do_not_compile(self):
        self.plant(high=TOO_HIGH)
        (self.root / "limit.c").write_text("int;;")
        self.assert_no_score("ninja")

    def test_a_header_that_lacks_something(self):
        for old, new in (("Breaks: L1\n", ""), ("Layer: core", "Layer: cellar"), ("Safety: no", "Safety: perhaps"),
                         ("Safety: no", "Safety: yes"), ("Breaks:", "Brakes: L1\nBreaks:")):
            self.plant(high=TOO_HIGH.replace(old, new))
            self.assert_no_score("high.patch")

    def test_an_unknown_tier(self):
        self.plant(high=TOO_HIGH.replace("Tiers: unit", "Tiers: magic"))
        self.assert_no_score("no tier magic")

    def test_an_unknown_mutant(self):
        self.plant(high=TOO_HIGH)
        self.assert_no_score("no such mutant: low", "--only", "low")
        self.assert_no_score("none of the mutants", "--tiers", "check")

    def test_a_pattern_that_no_test_matches(self):
        self.plant(high=TOO_HIGH)
        (self.root / "test/mutants/tiers.json").write_text(TIERS.replace("small-", "large-"))
        self.assert_no_score("no test is called")


class OurMutants(unittest.TestCase):
    def test_all_apply_to_the_sources(self):
        found = mutants.read_mutants(mutants.tree.ROOT)
        self.assertGreaterEqual(len(found), 60)
        stray = []
        for mutant in found:
            command = ["git", "-C", str(mutants.tree.ROOT), "apply", "--check", str(mutant.path)]
            if mutants.run_session(command, 60).status != 0:
                stray.append(mutant.name)
        self.assertEqual(stray, [], "these patches no longer apply; make them anew")

    def test_their_tiers_are_known(self):
        everything = mutants.parse([])
        self.assertTrue(mutants.plan(mutants.read_mutants(mutants.tree.ROOT), mutants.read_tiers(mutants.tree.ROOT),
                                     everything))


if __name__ == "__main__":
    unittest.main()
