# SPDX-License-Identifier: Apache-2.0
"""lash-linear as a program: its exit codes, and what it prints of a history that is wrong. Its path is the first argument."""
import json
import pathlib
import subprocess
import sys
import unittest

PROGRAM = sys.argv[1]
HISTORIES = pathlib.Path(__file__).parent / "histories"


def line(client, operation, start, end, outcome="ok", key="k", **fields):
    return json.dumps({"client": client, "op": operation, "key": key, "start_ns": start, "end_ns": end,
                       "outcome": outcome, **fields}) + "\n"


def judge(text, *flags):
    return subprocess.run([PROGRAM, *flags, "-"], input=text, capture_output=True, text=True, check=False)


GOOD = line(1, "put", 0, 10, value="a") + line(2, "get", 11, 12, value="a")
STALE = GOOD + line(1, "put", 20, 30, value="b") + line(2, "get", 31, 40, value="a")


class ExitCodes(unittest.TestCase):
    def test_zero_for_a_linearizable_history(self):
        result = judge(GOOD + line(1, "get", 0, 1, key="other", value=None))
        self.assertEqual((result.returncode, result.stdout), (0, "3 operations on 2 keys: linearizable\n"))
        self.assertEqual(judge("").returncode, 0)

    def test_one_for_a_wrong_one_with_the_window_that_shows_it(self):
        many = "".join(line(3, "get", 100 + 2 * i, 101 + 2 * i, key="other", value=None) for i in range(100))
        result = judge(STALE + many)
        self.assertEqual(result.returncode, 1)
        self.assertIn('key "k": NOT linearizable; 2 of its 4 operations show it, beginning with any value:', result.stdout)
        self.assertIn("client 1   put b\n", result.stdout)
        self.assertIn("client 2   get -> a\n", result.stdout)
        self.assertTrue(result.stdout.endswith("104 operations on 2 keys: NOT linearizable (1 keys)\n"))

    def test_two_when_memory_runs_out(self):
        # A thousand concurrent writes, then reads of them in turn that nobody can order.
        writes = "".join(line(i, "put", 0, 1000, value=f"v{i}") for i in range(1000))
        reads = line(0, "get", 2000, 2001, value="v1") + line(0, "get", 2002, 2003, value="v2")
        result = judge(writes + reads, "--memory", "1")
        self.assertEqual(result.returncode, 2)
        self.assertTrue(result.stdout.endswith("unknown (1 keys)\n"), result.stdout)

    def test_two_when_time_runs_out(self):
        writes = "".join(line(i, "put", 0, 1000, value=f"v{i}") for i in range(1000))
        reads = line(0, "get", 2000, 2001, value="v1") + line(0, "get", 2002, 2003, value="v2")
        self.assertEqual(judge(writes + reads, "--timeout", "1").returncode, 2)

    def test_three_for_wrong_usage_and_input(self):
        for arguments in ([], ["--nope"], ["/nonexistent"], ["a", "b"], ["-t", "0", "-"], ["--model", "no", "-"],
                          ["--revision", "-1", "-"]):
            result = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, input="", check=False)
            self.assertEqual(result.returncode, 3, arguments)
            self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.assertEqual(judge("{}\n").returncode, 3)
        self.assertIn("line 2", judge(GOOD.splitlines()[0] + "\ngarbage\n").stderr)

    def test_a_line_is_one_operation_and_no_text_is_cut_short(self):
        one, two = GOOD.splitlines()
        for model in "register", "store":
            for text in (f"{one}{two}\n", f"{one} x\n", line(1, "put", 0, 1, value="a\0b"), line(1, "put", 0, 1, "ok", "k\0", value="a")):
                with self.subTest(text):
                    result = judge(text, "--model", model)
                    self.assertEqual((result.returncode, result.stdout), (3, ""))
                    self.assertIn("line 1: ", result.stderr)
            self.assertEqual(judge(f"{one} \t\r\n\n", "--model", model).returncode, 0)


class Store(unittest.TestCase):
    """Histories of the whole store, written by hand: each bad one breaks one rule."""

    def judge(self, path, *flags):
        return subprocess.run([PROGRAM, "--model", "store", *flags, str(path)], capture_output=True, text=True, check=False)

    def test_good_histories_are_linearizable(self):
        paths = sorted(HISTORIES.glob("good-*.jsonl"))
        self.assertGreaterEqual(len(paths), 9)
        for path in paths:
            with self.subTest(path.name):
                result = self.judge(path)
                self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
                self.assertTrue(result.stdout.endswith(" operations on the store: linearizable\n"), result.stdout)

    def test_bad_histories_are_not(self):
        paths = sorted(HISTORIES.glob("bad-*.jsonl"))
        self.assertGreaterEqual(len(paths), 27)
        for path in paths:
            with self.subTest(path.name):
                result = self.judge(path)
                self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
                self.assertTrue(result.stdout.endswith(" operations on the store: NOT linearizable\n"), result.stdout)

    def test_what_shows_it_is_told(self):
        output = self.judge(HISTORIES / "bad-stale-read.jsonl").stdout
        self.assertIn("at most 1 of 3 operations judged together find a place, up to revision 2; then", output)
        self.assertIn("client 1    put a=y -> at revision 3\n      but then this could not have answered at its revision:\n",
                      output)
        self.assertIn("client 2    range a -> a=x@2 at revision 2\n", output)
        output = self.judge(HISTORIES / "bad-deletion-of-more-than-there-was.jsonl").stdout
        self.assertIn("but another number of keys is deleted\n", output)

    def test_the_store_need_not_begin_at_revision_one(self):
        text = line(1, "put", 0, 1, value="x", revision=102)
        self.assertEqual(judge(text, "--model", "store").returncode, 1)
        self.assertEqual(judge(text, "--model", "store", "--revision", "101").returncode, 0)

    def test_two_when_time_or_memory_runs_out(self):
        # Nobody tells revisions: a thousand concurrent writes, then reads that no order gives.
        writes = "".join(line(i, "put", 0, 1000, value=f"v{i}") for i in range(1000))
        reads = line(0, "get", 2000, 2001, value="v1") + line(0, "get", 2002, 2003, value="v2")
        for flags in (["--memory", "1"], ["--timeout", "1"]):
            result = judge(writes + reads, "--model", "store", *flags)
            self.assertEqual(result.returncode, 2, result.stdout)
            self.assertTrue(result.stdout.endswith("unknown: time or memory ran out\n"), result.stdout)

    def test_the_registers_leave_out_what_they_do_not_know(self):
        text = GOOD + line(1, "delete", 50, 60, key="multi", deleted=0)
        result = judge(text)
        self.assertEqual(result.returncode, 0)
        self.assertIn("1 operations that only --model=store knows are left out\n", result.stdout)

    def test_the_registers_do_not_judge_keys_that_it_writes(self):
        writes = [{"op": "delete", "key": "k"}, {"op": "delete", "key": "a", "range_end": "l"}, {"op": "delete", "key": "a", "range_end": "\0"},
                  {"op": "txn", "success": [], "failure": [{"op": "txn", "success": [{"op": "put", "key": "k", "value": "x"}]}]}]
        others = [{"op": "delete", "key": "a", "range_end": "k"}, {"op": "delete", "key": "l", "range_end": "\0"}, {"op": "range", "key": "k"},
                  {"op": "delete", "key": "k", "outcome": "fail"}]
        for request, code in [(request, 3) for request in writes] + [(request, 0) for request in others]:
            with self.subTest(request):
                result = judge(GOOD + json.dumps({"outcome": "unknown", "client": 3, "start_ns": 1, "end_ns": 2, **request}) + "\n")
                self.assertEqual(result.returncode, code, result.stderr)
                self.assertEqual("line 3: " in result.stderr, code == 3)

    def test_three_for_what_cannot_be_read(self):
        whole = json.loads(line(1, "txn", 0, 1, compare=[], success=[], failure=[], succeeded=True, answers=[]))
        self.assertEqual(judge(json.dumps(whole) + "\n", "--model", "store").returncode, 0)
        for change in ({"op": "watch"}, {"succeeded": None}, {"answers": [{}]}, {"success": [{"op": "get", "key": "a"}]},
                       {"compare": [{"key": "a", "target": "lease", "result": "=", "value": 1}]}, {"success": {}},
                       {"success": [1]}, {"revision": -1}, {"start_ns": 2}, {"client": "me"}, {"outcome": "so"}):
            with self.subTest(change):
                result = judge(json.dumps({**whole, **change}) + "\n", "--model", "store")
                self.assertEqual(result.returncode, 3, result.stdout)
                self.assertIn("line 1: ", result.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
