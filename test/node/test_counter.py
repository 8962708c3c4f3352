#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# The example of a replicated counter, as three processes: what is added on any of
# them is seen on all, also after one was killed and started again.
#
# usage: test_counter.py COUNTER
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile


def free_ports(count):
    """Ports that were free a moment ago."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


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
    ports = free_ports(3)
    with tempfile.TemporaryDirectory(prefix="lash-counter-") as directory:
        counters = [Counter(program, i + 1, ports, directory) for i in range(3)]
        total = 0
        for i in range(60):
            total += i
            expect(f"addition {i}", counters[i % 3].ask(str(i)), total)
        expect("reads", [counter.ask("") for counter in counters], [total] * 3)

        for victim in range(3):
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
