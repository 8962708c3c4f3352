# SPDX-License-Identifier: Apache-2.0
"""lash-linear as a program: its exit codes, and what it prints of a history that is wrong. Its path is the first argument."""
import json
import subprocess
import sys
import unittest

PROGRAM = sys.argv[1]


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

    def test_two_for_wrong_usage_and_input(self):
        for arguments in ([], ["--nope"], ["/nonexistent"], ["a", "b"], ["-t", "0", "-"]):
            result = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, input="", check=False)
            self.assertEqual(result.returncode, 2, arguments)
            self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.assertEqual(judge("{}\n").returncode, 2)
        self.assertIn("line 2", judge(GOOD.splitlines()[0] + "\ngarbage\n").stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
