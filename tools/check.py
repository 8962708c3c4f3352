#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make check: builds, tests and checks everything, step by step, and counts.

Every case of every test counts one, every other step counts one. The last line is "N passed, N failed"; the exit
status is 0 when none failed and some passed. Logs are in build/check/.

usage: check.py [lint | STEP...]   (no argument: all steps; lint: those that only read the sources)
"""
import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import typing

import tree

BUILD = tree.ROOT / "build"
CHECK = BUILD / "check"
STEP_SECONDS_MAX = 900
HEARTBEAT_SECONDS = 20
TAIL_LINES = 40
SANITIZERS = {"asan": "address,undefined", "tsan": "thread"}


@dataclasses.dataclass
class Count:
    """How many tests a step ran, and the names of those that failed."""
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list = dataclasses.field(default_factory=list)

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.failures += other.failures


class Failure(Exception):
    """A step ended before it could count its tests."""


class Shell:
    """Runs a step's commands one after the other into the step's log."""

    def __init__(self, log, say):
        self.log = log
        self.say = say
        self.end = time.monotonic() + STEP_SECONDS_MAX

    def run(self, *command, cwd=tree.ROOT, environment=None, check=True):
        """Runs a command in a session of its own, so that nothing that it started outlives it."""
        with open(self.log, "a", encoding="utf-8") as log:
            print("$ " + " ".join(command), file=log, flush=True)
            # pylint: disable-next=consider-using-with
            process = subprocess.Popen(command, cwd=cwd, env={**os.environ, **(environment or {})}, stdout=log,
                                       stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)
            try:
                status = self._wait(process)
            finally:
                self._end_session(process)
        if status and check:
            raise Failure(f"{command[0]} ended with status {status}")
        return status

    def _wait(self, process):
        while True:
            try:
                return process.wait(timeout=min(HEARTBEAT_SECONDS, max(self.end - time.monotonic(), 0.1)))
            except subprocess.TimeoutExpired:
                if time.monotonic() >= self.end:
                    raise Failure(f"took longer than {STEP_SECONDS_MAX} s") from None
                self.say("  ... " + (last_lines(self.log, 1) or [""])[0][:100])

    @staticmethod
    def _end_session(process):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def last_lines(path, count):
    with open(path, encoding="utf-8", errors="replace") as log:
        return [line.rstrip() for line in log.readlines()[-count:]]


# ---- Counting tests -------------------------------------------------------------------------------


def count_cmocka(text):
    announced = re.findall(r"^\[=+\] Running (\d+) test", text, re.MULTILINE)
    if not announced:
        return None
    passed = len(re.findall(r"^\[ +OK \] ", text, re.MULTILINE))
    skipped = len(set(re.findall(r"^\[ +SKIPPED +\] (\w+)$", text, re.MULTILINE)))
    failures = sorted(set(re.findall(r"^\[ +FAILED +\] (\w+)$", text, re.MULTILINE)))
    # what was announced and never ran has failed as well
    return Count(passed, max(sum(map(int, announced)) - passed - skipped, len(failures)), skipped, failures)


def count_tap(text):
    results = re.findall(r"^(ok|not ok) \d+ ?-? ?([^#\n]*)(# *SKIP)?", text, re.MULTILINE)
    if not results:
        return None
    failures = [title.strip() for verdict, title, _ in results if verdict == "not ok"]
    skipped = sum(1 for verdict, _, skip in results if verdict == "ok" and skip)
    return Count(len(results) - len(failures) - skipped, len(failures), skipped, failures)


def count_unittest(text):
    ran = re.search(r"^Ran (\d+) tests? in", text, re.MULTILINE)
    if not ran:
        return None
    failures = re.findall(r"^(?:FAIL|ERROR): (\w+)", text, re.MULTILINE)
    skipped = sum(map(int, re.findall(r"skipped=(\d+)", text)))
    return Count(int(ran.group(1)) - len(failures) - skipped, len(failures), skipped, failures)


def count_output(name, text, succeeded):
    """The cases that one test program ran, by its own account; a program that gives none is one case itself."""
    count = count_cmocka(text) or count_tap(text) or count_unittest(text) or Count(1 if succeeded else 0)
    if count.failed == 0 and not succeeded:
        count.failed = 1
    if count.passed + count.failed + count.skipped == 0:
        count.failed = 1
        count.failures = ["no case ran"]
    count.failures = [f"{name}: {failure}" for failure in count.failures] or ([name] if count.failed else [])
    return count


def count_meson_log(path):
    """The cases of all tests in meson's testlog.json."""
    total = Count()
    for line in pathlib.Path(path).read_text(encoding="utf-8", errors="replace").splitlines():
        test = json.loads(line)
        if test["result"] == "SKIP":
            total.skipped += 1
            continue
        text = test.get("stdout", "") + "\n" + test.get("stderr", "")
        total.add(count_output(test["name"], text, test["result"] in ("OK", "EXPECTEDFAIL")))
    return total


# ---- Steps ----------------------------------------------------------------------------------------


def configure(shell, directory, *options, compiler="gcc"):
    shell.run("tools/configure.sh", str(directory), *options, environment={"CC": compiler})


def meson_test(shell, directory, *options, prefix=(), environment=None):
    """Builds what the selected tests need, runs them and counts their cases."""
    log = pathlib.Path(directory) / "meson-logs/testlog.json"
    log.unlink(missing_ok=True)
    status = shell.run(*prefix, "meson", "test", "-C", str(directory), "--print-errorlogs", *options,
                       check=False, environment=environment)
    if not log.exists():
        raise Failure("meson ran no test")
    count = count_meson_log(log)
    if status and count.failed == 0:
        raise Failure(f"meson test ended with status {status}")
    return count


def build_gcc(shell):
    configure(shell, BUILD)
    shell.run("ninja", "-C", str(BUILD))


def unit_tests(shell):
    return meson_test(shell, BUILD, "--no-suite", "process")


def tool_tests(shell):
    total = Count()
    for name in sorted(path.name for path in (tree.ROOT / "tools").glob("test_*.py")):
        status = shell.run(sys.executable, "tools/" + name, check=False)
        text = "\n".join(last_lines(shell.log, 100000)).rsplit(f"$ {sys.executable} tools/{name}", 1)[1]
        total.add(count_output(name, text, status == 0))
    return total


def tidy(shell):
    configure(shell, BUILD)
    shell.run("ninja", "-C", str(BUILD), "build.ninja")  # so that what meson knows is not of before
    shell.run(sys.executable, "tools/tidy.py")


def code_format(shell):
    shell.run(sys.executable, "tools/format.py")


def configure_sanitized(shell, name):
    configure(shell, CHECK / name, "-Db_lundef=false", "-Doptimization=1", "-Db_sanitize=" + SANITIZERS[name],
              compiler="clang")


def build_asan(shell):
    configure_sanitized(shell, "asan")
    shell.run("ninja", "-C", str(CHECK / "asan"))


def clang_tidy(shell):
    configure_sanitized(shell, "asan")
    shell.run("ninja", "-C", str(CHECK / "asan"), "proto/libproto.a")
    shell.run(sys.executable, "tools/clang_tidy.py", str(CHECK / "asan"))


def asan_tests(shell):
    return meson_test(shell, CHECK / "asan", "--no-suite", "process", "--timeout-multiplier", "4", environment={
        "ASAN_OPTIONS": "allocator_may_return_null=1:detect_stack_use_after_return=1:strict_string_checks=1",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"})


def tsan_tests(shell):
    configure_sanitized(shell, "tsan")
    # clang 14's thread sanitizer cannot live with as much address randomness as newer kernels are set to
    works = subprocess.run(["setarch", "-R", "true"], capture_output=True, check=False).returncode == 0
    environment = {"TSAN_OPTIONS": "allocator_may_return_null=1:halt_on_error=1:second_deadlock_stack=1"}
    # the layers that have threads, and of the others the tests that start some
    suites = [word for suite in ("base", "transport", "node", "api", "threads") for word in ("--suite", suite)]
    return meson_test(shell, CHECK / "tsan", *suites, "--timeout-multiplier", "8",
                      prefix=("setarch", "-R") if works else (), environment=environment)


def installed_library(shell):
    """What `ninja install` lays down is enough to build and link the example, with either library."""
    place = CHECK / "installed"
    shutil.rmtree(place, ignore_errors=True)
    shell.run("meson", "install", "-C", str(BUILD), "--no-rebuild", "--destdir", str(place))
    config = next(place.rglob("lash.pc"), None)
    if config is None:
        raise Failure("no lash.pc was installed")
    prefix = config.parent.parent.relative_to(place)
    environment = {"PKG_CONFIG_PATH": str(config.parent)}
    for mode, link in ("shared", ""), ("static", "--static"):
        script = (f"flags=$(pkg-config {link} --define-variable=prefix={place}/usr/local --cflags --libs lash) && "
                  f"{'flags=$(echo $flags | sed s,-llash,-l:liblash.a,) && ' if link else ''}"
                  f"gcc -std=c11 -D_GNU_SOURCE examples/counter.c $flags -o {place}/counter-{mode} && "
                  f"LD_LIBRARY_PATH={place}/{prefix} ldd {place}/counter-{mode}")
        shell.run("sh", "-euc", script, environment=environment)


def readme_commands(shell):
    """Does what the README says, in a fresh clone: `make up`, every block marked ```sh check, `make down`."""
    readme = tree.ROOT / "README.md"
    if not readme.exists():
        raise Failure("there is no README.md")
    blocks = re.findall(r"^```sh check\n(.*?)^```", readme.read_text(), re.DOTALL | re.MULTILINE)
    if not blocks:
        raise Failure("README.md has no block marked ```sh check")
    place = CHECK / "readme"
    shutil.rmtree(place, ignore_errors=True)
    shell.run("git", "clone", "-q", str(tree.ROOT), str(place))
    for name in tree.files():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(tree.ROOT / name, place / name)
    try:
        shell.run("make", "up", cwd=place)
        for block in blocks:
            shell.run("sh", "-euc", block, cwd=place)
    finally:
        shell.run("make", "down", cwd=place)


def process_tests(shell):
    return meson_test(shell, BUILD, "--suite", "process", "--num-processes", "1")


@dataclasses.dataclass
class Step:
    """`run` returns a Count, or None when the step is one test by itself."""
    name: str
    run: typing.Callable
    needs: tuple = ()


STEPS = [
    Step("build with gcc", build_gcc),
    Step("unit tests", unit_tests, ("build with gcc",)),
    Step("tests of the tools", tool_tests),
    Step("house-keeping", tidy),
    Step("format", code_format),
    Step("clang-tidy", clang_tidy),
    Step("build with clang, ASan and UBSan", build_asan),
    Step("unit tests under ASan and UBSan", asan_tests, ("build with clang, ASan and UBSan",)),
    Step("threaded tests under clang and TSan", tsan_tests),
    Step("installed library", installed_library, ("build with gcc",)),
    Step("README's commands", readme_commands),
    Step("process tests", process_tests, ("build with gcc",)),
]
LINT = ["tests of the tools", "house-keeping", "format", "clang-tidy"]


def run_step(step, label):
    """Runs one step, says how it went, and returns its count."""
    begin = time.monotonic()
    log = CHECK / (re.sub(r"\W+", "-", step.name).lower() + ".log")
    log.write_text("")

    def say(text):
        print(f"{label} {text}", flush=True)

    say(f"{step.name} ...")
    try:
        count = step.run(Shell(log, say)) or Count(passed=1)
    except Failure as failure:
        count = Count(failed=1, failures=[str(failure)])
    seconds = round(time.monotonic() - begin)
    skipped = f", {count.skipped} skipped" if count.skipped else ""
    if count.failed == 0:
        say(f"{step.name}: ok, {count.passed} passed{skipped}, {seconds} s")
        return count
    say(f"{step.name}: FAILED, {count.passed} passed, {count.failed} failed{skipped}, {seconds} s; "
        f"log: {log.relative_to(tree.ROOT)}")
    print("\n".join(f"    {line}" for line in count.failures), flush=True)
    print("\n".join(f"    | {line}" for line in last_lines(log, TAIL_LINES)), flush=True)
    return count


def select_steps(words):
    names = LINT if words == ["lint"] else words
    unknown = set(names) - {step.name for step in STEPS}
    if unknown:
        sys.exit(f"check.py: no such step: {', '.join(sorted(unknown))}; steps: " + ", ".join(s.name for s in STEPS))
    return [step for step in STEPS if not names or step.name in names]


def main():
    if os.environ.get("LASH_CHECK"):
        sys.exit("check.py: running within itself")
    os.environ["LASH_CHECK"] = "1"
    # ended from outside: leave by way of what ends the commands under way
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("check.py: ended by a signal"))
    # where setup.sh puts programs that are not to be installed
    os.environ["PATH"] += os.pathsep + str(BUILD / "tools/usr/bin")
    CHECK.mkdir(parents=True, exist_ok=True)
    steps = select_steps(sys.argv[1:])
    begin = time.monotonic()
    total = Count()
    bad = set()
    for number, step in enumerate(steps, 1):
        label = f"[{number:2}/{len(steps)}]"
        if bad & set(step.needs):
            print(f"{label} {step.name}: FAILED, because of {', '.join(bad & set(step.needs))}", flush=True)
            count = Count(failed=1)
        else:
            count = run_step(step, label)
        if count.failed:
            bad.add(step.name)
        total.add(count)
    print(f"{round(time.monotonic() - begin)} s; logs: build/check/")
    print(f"{total.passed} passed, {total.failed} failed", flush=True)
    return 0 if total.failed == 0 and total.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
