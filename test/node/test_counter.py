#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# The example of a replicated counter, as three processes: what is added on any of
# them is seen on all, also after one was killed and started again.
#
# usage: test_counter.py COUNTER
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "process"))
# pylint: disable-next=wrong-import-position
from harness import Ports  # noqa: E402


class Counter:
    """One process."""

    def __init__(self, program, number, ports, directory):
        self.command = [program, str(number), *map(str, ports), os.path.join(directory, str(number))]
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self):
        self.process.stdin.close()
        return self.process.wait()


def expect(what, actual, expected):
    if actual != expected:
        sys.exit(f"{what}: {actual} instead of {expected}")


def main():
    program = sys.argv[1]
    with Ports(3) as ports, tempfile.TemporaryDirectory(prefix="lash-counter-") as directory:
        counters = [Counter(program, i + 1, ports, directory) for i in range(3)]
        total = 0
        for i in range(60):
            total += i
            expect(f"addition {i}", counters[i % 3].ask(str(i)), total)
        expect("reads", [counter.ask("") for counter in counters], [total] * 3)

        for victim in range(3):
            for _ in range(2):
                expect("an addition before a snapshot", counters[victim].ask("1"), total + 1)
                total += 1
                expect("a snapshot", counters[victim].ask("snapshot"), total)
            counters[victim].kill()
            others = [counter for i, counter in enumerate(counters) if i != victim]
            expect("read without one", others[1].ask(""), total)
            expect("addition without one", others[0].ask("5"), total + 5)
            total += 5
            counters[victim].start()
            expect("reads after its return", [counter.ask("") for counter in counters], [total] * 3)
        expect("exit codes", [counter.end() for counter in counters], [0] * 3)
    print("three counters agree on", total)


if __name__ == "__main__":
    main()
