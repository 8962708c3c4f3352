# SPDX-License-Identifier: Apache-2.0
"""Runs the steps of a check: one after another, with those that time does not matter to beside them, niced."""
import dataclasses
import os
import pathlib
import re
import signal
import subprocess
import threading
import time
import traceback
import typing

import tree
from count import Count

STEP_SECONDS_MAX = 900
HEARTBEAT_SECONDS = 20
TAIL_LINES = 40


class Failure(Exception):
    """A step ended before it could count its tests."""


@dataclasses.dataclass
class Step:
    """`run` gets a Shell and returns a Count, or None when the step is one test by itself.

    A step waits for those that it needs, and fails with them. Steps `aside` run one after another beside the
    others, with what those leave of the processors: compilers, linters and searches, nothing that time matters to."""
    name: str
    run: typing.Callable
    needs: tuple = ()
    aside: bool = False


class Shell:
    """Runs a step's commands one after the other into the step's log."""

    sessions = set()  # process groups under way, of all shells
    closed = False  # nothing is to be started any more
    lock = threading.Lock()

    def __init__(self, log, say, prefix=()):
        self.log = log
        self.say = say
        self.prefix = prefix
        self.end = time.monotonic() + STEP_SECONDS_MAX

    def run(self, *command, cwd=tree.ROOT, environment=None, check=True):
        """Runs a command in a session of its own, so that nothing that it started outlives it."""
        with open(self.log, "a", encoding="utf-8") as log:
            print("$ " + " ".join(command), file=log, flush=True)
            process = self._start([*self.prefix, *command], cwd=cwd, env={**os.environ, **(environment or {})},
                                  stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
            try:
                status = self._wait(process)
            finally:
                self._end_session(process)
        if status and check:
            raise Failure(f"{command[0]} ended with status {status}")
        return status

    @classmethod
    def close(cls):
        """Ends the commands under way and lets none start."""
        with cls.lock:
            cls.closed = True
            for group in cls.sessions:
                cls._kill(group)

    @classmethod
    def _start(cls, command, **options):
        with cls.lock:
            if cls.closed:
                raise Failure("the check was ended")
            # pylint: disable-next=consider-using-with
            process = subprocess.Popen(command, start_new_session=True, **options)
            cls.sessions.add(process.pid)
            return process

    def _wait(self, process):
        while True:
            try:
                return process.wait(timeout=min(HEARTBEAT_SECONDS, max(self.end - time.monotonic(), 0.1)))
            except subprocess.TimeoutExpired:
                if time.monotonic() >= self.end:
                    raise Failure(f"took longer than {STEP_SECONDS_MAX} s") from None
                self.say("  ... " + (last_lines(self.log, 1) or [""])[0][:100])

    @staticmethod
    def _kill(group):
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            pass

    @classmethod
    def _end_session(cls, process):
        with cls.lock:
            cls._kill(process.pid)
            cls.sessions.discard(process.pid)
        process.wait()


def last_lines(path, count):
    with open(path, encoding="utf-8", errors="replace") as log:
        return [line.rstrip() for line in log.readlines()[-count:]]


class Run:
    """One pass over some steps."""

    def __init__(self, steps, folder):
        self.steps = steps
        self.folder = pathlib.Path(folder)
        self.ended = {step.name: threading.Event() for step in steps}
        self.failed = set()
        self.total = Count()
        self.lock = threading.Lock()

    def run(self):
        """Runs all steps and returns the count of all their tests."""
        beside = threading.Thread(target=self._lane, args=(True,), daemon=True)
        beside.start()
        self._lane(False)
        beside.join()
        return self.total

    def _lane(self, aside):
        for number, step in enumerate(self.steps, 1):
            if step.aside == aside:
                self._step(step, f"[{number:2}/{len(self.steps)}]")

    def _step(self, step, label):
        """Runs one step, whatever happens in it, once those that it needs have ended."""
        for need in step.needs:
            if need in self.ended:
                self.ended[need].wait()
        missing = ", ".join(sorted(self.failed & set(step.needs)))
        count = Count(failed=1)
        try:
            if missing:
                print(f"{label} {step.name}: FAILED, because of {missing}", flush=True)
            else:
                count = self._run(step, label)
        finally:
            with self.lock:
                self.total.add(count)
                if count.failed:
                    self.failed.add(step.name)
            self.ended[step.name].set()

    def _run(self, step, label):
        """Says how the step went and returns its count."""
        begin = time.monotonic()
        log = self.folder / (re.sub(r"\W+", "-", step.name).lower() + ".log")
        log.write_text("")

        def say(text):
            print(f"{label} {text}", flush=True)

        say(f"{step.name} ...")
        try:
            count = step.run(Shell(log, say, ("nice", "-n", "19") if step.aside else ())) or Count(passed=1)
        except Failure as failure:
            count = Count(failed=1, failures=[str(failure)])
        except Exception:  # pylint: disable=broad-exception-caught
            # a mistake of the step's own must not end its lane: other steps come behind it, and may be waited for
            count = Count(failed=1, failures=traceback.format_exc().splitlines())
        seconds = round(time.monotonic() - begin)
        skipped = f", {count.skipped} skipped" if count.skipped else ""
        if count.failed == 0:
            say(f"{step.name}: ok, {count.passed} passed{skipped}, {seconds} s")
            return count
        lines = [f"{step.name}: FAILED, {count.passed} passed, {count.failed} failed{skipped}, {seconds} s; log: {log}"]
        lines += [f"    {line}" for line in count.failures]
        lines += [f"    | {line}" for line in last_lines(log, TAIL_LINES)]
        say("\n".join(lines))
        return count
