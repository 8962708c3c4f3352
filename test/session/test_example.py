#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# The example of a counter with sessions, as three processes. One after another is killed while the other
# two are given a hundred numbers to add: each of them counts, and none twice.
#
# usage: test_example.py SESSIONS
import pathlib
import sys
import tempfile

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "process"), str(TESTS / "node")]
# pylint: disable=wrong-import-position
from harness import Ports  # noqa: E402
from test_counter import Counter, expect  # noqa: E402

ROUNDS = 100


class Member(Counter):
    """A process that may be told something before it has answered."""

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self):
        return int(self.process.stdout.readline())


def main():
    with Ports(3) as ports, tempfile.TemporaryDirectory(prefix="lash-sessions-") as directory:
        members = [Member(sys.argv[1], i + 1, ports, directory) for i in range(3)]
        expect("a first addition", members[0].ask("1"), 1)
        total = 1
        for victim in range(3):
            others = [member for i, member in enumerate(members) if i != victim]
            # two numbers are always under way, one of them when the victim is killed
            for i in range(ROUNDS):
                for member in others:
                    member.tell("1")
                if i == ROUNDS // 2:
                    members[victim].kill()
                total += 2
                expect(f"round {i} without {victim + 1}", max(member.hear() for member in others), total)
            members[victim].start()
            expect("reads after its return", [member.ask("") for member in members], [total] * 3)
        expect("exit codes", [member.end() for member in members], [0] * 3)
    print("three counters agree on", total)


if __name__ == "__main__":
    main()
