# SPDX-License-Identifier: Apache-2.0
"""Counts the cases that test programs ran, by their own account."""
import dataclasses
import json
import pathlib
import re


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
    # a case that failed more than once, in subtests or while it was torn down, is one
    cases = dict.fromkeys(re.findall(r"^(?:FAIL|ERROR): (\w+ \([^)]*\))", text, re.MULTILINE))
    failures = [case.split()[0] for case in cases]
    skipped = sum(map(int, re.findall(r"skipped=(\d+)", text)))
    # a class that could not be set up is a failure, and none of its cases ran
    return Count(max(int(ran.group(1)) - len(failures) - skipped, 0), len(failures), skipped, failures)


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
