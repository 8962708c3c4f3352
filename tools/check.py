#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make check: builds, tests and checks everything, step by step, and counts.

Every case of every test counts one, every other step counts one. The last line is "N passed, N failed"; the exit
status is 0 when none failed and some passed. Logs are in build/check/.

usage: check.py [lint | STEP...]   (no argument: all steps; lint: those that only read the sources)
"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import tree
from count import count_meson_log, count_output, Count
from runner import Failure, Run, Shell, Step, last_lines

BUILD = tree.ROOT / "build"
CHECK = BUILD / "check"
SANITIZERS = {"asan": "address,undefined", "tsan": "thread"}
# many tests wait more than they compute
WAITING = ("--num-processes", str(os.cpu_count() + 1))
# the layers that have threads, and of the others the tests that start some
THREADED = ("base", "transport", "api", "threads")


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
    for folder in "tools", "bench":
        for name in sorted(path.name for path in (tree.ROOT / folder).glob("test_*.py")):
            total.add(run_and_count(shell, name, f"{folder}/{name}"))
    return total


def run_and_count(shell, name, program):
    """A Python program that counts its cases itself."""
    status = shell.run(sys.executable, program, check=False)
    text = "\n".join(last_lines(shell.log, 100000)).rsplit(f"$ {sys.executable} {program}", 1)[1]
    return count_output(name, text, status == 0)


def instructions(shell):
    """No more instructions per entry than the baseline allows."""
    return run_and_count(shell, "guard", "bench/guard.py")


def tidy(shell):
    configure(shell, BUILD)
    shell.run("ninja", "-C", str(BUILD), "build.ninja")  # so that what meson knows is not of before
    shell.run(sys.executable, "tools/tidy.py")


def code_format(shell):
    shell.run(sys.executable, "tools/format.py")


def configure_sanitized(shell, name):
    configure(shell, CHECK / name, "-Db_lundef=false", "-Doptimization=1", "-Ddebug=false",
              "-Dc_args=-gline-tables-only", "-Db_sanitize=" + SANITIZERS[name], compiler="clang")


def build_asan(shell):
    configure_sanitized(shell, "asan")
    shell.run("ninja", "-C", str(CHECK / "asan"))


def clang_tidy(shell):
    configure_sanitized(shell, "asan")
    shell.run("ninja", "-C", str(CHECK / "asan"), "proto/libproto.a")
    shell.run(sys.executable, "tools/clang_tidy.py", str(CHECK / "asan"))


def asan_tests(shell):
    environment = {
        "ASAN_OPTIONS": "allocator_may_return_null=1:detect_stack_use_after_return=1:strict_string_checks=1",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}
    # what is long searches on one thread, in code that shorter tests run as well
    return meson_test(shell, CHECK / "asan", "--no-suite", "process", "--no-suite", "long", "--timeout-multiplier", "4",
                      *WAITING, environment=environment)


def build_tsan(shell):
    """Only what its tests run."""
    directory = CHECK / "tsan"
    configure_sanitized(shell, "tsan")
    listing = subprocess.run(["meson", "introspect", "--tests", str(directory)], capture_output=True, text=True,
                             check=True)
    programs = {pathlib.Path(test["cmd"][0]) for test in json.loads(listing.stdout)
                if any(suite.rpartition(":")[2] in THREADED for suite in test["suite"])}
    targets = sorted(str(path.relative_to(directory)) for path in programs if path.is_relative_to(directory))
    shell.run("ninja", "-C", str(directory), *targets)


def tsan_tests(shell):
    # clang 14's thread sanitizer cannot live with as much address randomness as newer kernels are set to
    works = subprocess.run(["setarch", "-R", "true"], capture_output=True, check=False).returncode == 0
    environment = {"TSAN_OPTIONS": "allocator_may_return_null=1:halt_on_error=1:second_deadlock_stack=1"}
    suites = [word for suite in THREADED for word in ("--suite", suite)]
    return meson_test(shell, CHECK / "tsan", *suites, "--timeout-multiplier", "8", *WAITING,
                      prefix=("setarch", "-R") if works else (), environment=environment)


def installed_library(shell):
    """What `ninja install` lays down is enough to build and link the examples, with either library."""
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
                  f"for example in counter sessions; do "
                  f"gcc -std=c11 -D_GNU_SOURCE examples/$example.c $flags -o {place}/$example-{mode} && "
                  f"LD_LIBRARY_PATH={place}/{prefix} ldd {place}/$example-{mode} || exit 1; done")
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


def model_checker(shell):
    shell.run(str(BUILD / "lash-check"), "--quiet")


def mutants_sample(shell):
    """A few mutants, others with each commit, each to be found by one of the quicker tiers; `make mutants` scores all against all."""
    commit = subprocess.run(["git", "-C", str(tree.ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    shell.run(sys.executable, "tools/mutants.py", "--jobs", "2", "--sample", "3", "--seed", commit.stdout.strip(),
              "--tiers", "unit,random,check,fuzz,crash", "--once")


def simulator(shell):
    """New seeds: whole clusters for a while, and 200 million events of bare cores, of which 50 million with changes of membership; what fails prints the command that runs it again."""
    shell.run(str(BUILD / "lash-sim"), "soak", "--seconds", "40", "--jobs", "2")
    shell.run(str(BUILD / "lash-sim"), "soak", "--profile", "core", "--events", "150000000", "--jobs", "2")
    shell.run(str(BUILD / "lash-sim"), "soak", "--profile", "membership", "--events", "50000000", "--jobs", "2")


def process_tests(shell):
    return meson_test(shell, BUILD, "--suite", "process", "--num-processes", "1")


STEPS = [
    Step("build with gcc", build_gcc),
    Step("build with clang, ASan and UBSan", build_asan, aside=True),
    Step("build with clang and TSan", build_tsan, aside=True),
    Step("model checker", model_checker, ("build with gcc",), aside=True),
    Step("simulator", simulator, ("build with gcc",), aside=True),
    Step("mutants, a sample", mutants_sample, aside=True),
    Step("clang-tidy", clang_tidy, aside=True),
    Step("unit tests", unit_tests, ("build with gcc",)),
    Step("instruction counts", instructions, ("build with gcc",)),
    Step("tests of the tools", tool_tests),
    Step("house-keeping", tidy),
    Step("format", code_format),
    Step("installed library", installed_library, ("build with gcc",)),
    Step("process tests", process_tests, ("build with gcc",)),
    Step("README's commands", readme_commands),
    Step("unit tests under ASan and UBSan", asan_tests, ("build with clang, ASan and UBSan",)),
    Step("threaded tests under TSan", tsan_tests, ("build with clang and TSan",), aside=True),
]
LINT = ["clang-tidy", "tests of the tools", "house-keeping", "format"]


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
    try:
        total = Run(steps, CHECK).run()
    finally:
        Shell.close()
    print(f"{round(time.monotonic() - begin)} s; logs: build/check/")
    print(f"{total.passed} passed, {total.failed} failed", flush=True)
    return 0 if total.failed == 0 and total.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
