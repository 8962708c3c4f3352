#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Instructions of fixed pieces of work, counted by valgrind's callgrind: exact where times drift with the machine.

usage: guard.py           compare with bench/baseline.json; fails when a count is more than 5 % above it
       guard.py --renew   write what is counted now as the new baseline, for a commit that says why

A workload is run twice, and what the runs differ by is divided by how many pieces of work more the second one did; so
start and end cancel out. Counts depend on the compiler: the baseline names the one that it holds for. Needs
build/test/guard/guard, built by it, and valgrind. Results are lines of TAP.
"""
import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("LASH_BUILD", ROOT / "build"))
BASELINE = ROOT / "bench/baseline.json"
ALLOWED = 1.05
RENEW = "python3 bench/guard.py --renew"


class Trouble(Exception):
    """Why nothing could be compared."""


@dataclasses.dataclass
class Work:
    """A workload of build/test/guard/guard: what one piece is, how often it is done, and of how many units it is."""
    name: str
    unit: str
    few: int
    many: int
    units: int = 1
    skip: tuple = ()  # numbers of threads that are not counted


WORKS = [
    Work("core", "entry committed by three bare cores", 50, 350),
    Work("decode", "entry of 256 bytes in a received frame of 64", 20, 120, 64),
    Work("append", "frame of 16 entries of 256 bytes, encoded, appended and synced", 20, 120),
    Work("single", "entry committed alone by three replicas", 20, 120),
    Work("batch", "entry committed in batches of 64 by three replicas", 10, 60, 64),
    Work("put", "put through the API, its client and the log left out", 200, 2000, 1, (1,)),
    Work("get", "linearizable get through the API, 64 at a time, their clients left out", 640, 6400, 1, (1,)),
]


def total_of(texts):
    """The sum of what callgrind's files, one a thread, say that they hold in all."""
    totals = [re.search(r"^totals: (\d+)", text, re.MULTILINE) for text in texts]
    if not totals or None in totals:
        raise Trouble("callgrind wrote no totals")
    return sum(int(total.group(1)) for total in totals)


def per_unit(work, few, many):
    return round((many - few) / (work.many - work.few) / work.units)


def count_instructions(work, times):
    with tempfile.TemporaryDirectory(prefix="lash-guard-") as directory:
        out = pathlib.Path(directory) / "out"
        done = subprocess.run(["valgrind", "-q", "--tool=callgrind", "--separate-threads=yes",
                               f"--callgrind-out-file={out}", str(BUILD / "test/guard/guard"), work.name, str(times)],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise Trouble(f"guard {work.name} {times}: {done.stderr.strip()}")
        files = [path for path in pathlib.Path(directory).glob("out-*") if int(path.name[4:]) not in work.skip]
        return total_of([path.read_text() for path in files])


def count_all():
    """Instructions per unit of each workload."""
    runs = [(work, times) for work in WORKS for times in (work.few, work.many)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        totals = list(pool.map(lambda run: count_instructions(*run), runs))
    return {work.name: per_unit(work, *totals[2 * i:2 * i + 2]) for i, work in enumerate(WORKS)}


def compiler():
    """What built the build directory, by whatever name it was called."""
    try:
        commands = json.loads((BUILD / "compile_commands.json").read_text())
    except OSError as error:
        raise Trouble(f"{error.filename}: {error.strerror}") from None
    words = shlex.split(commands[0]["command"])
    program = words[1] if "ccache" in words[0] else words[0]
    line = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    return line.removeprefix(pathlib.Path(program).name).strip()


def judge(baseline, counts):
    """(name, whether it is well, text) of each workload."""
    for work in WORKS:
        before, now = baseline.get(work.name), counts[work.name]
        if before is None:
            yield work.name, False, f"is not in the baseline; {RENEW}"
            continue
        text = f"{now} instructions per {work.unit}, {100 * (now / before - 1):+.1f} % of {before}"
        if now > before * ALLOWED:
            text += f": too many; make it cheaper, or say in a commit why it is worth it, with {RENEW}"
        elif now * ALLOWED < before:
            text += f"; keep what was won: {RENEW}"
        yield work.name, now <= before * ALLOWED, text


def compare():
    baseline = json.loads(BASELINE.read_text())
    if compiler() != baseline["compiler"]:
        raise Trouble(f"the baseline is of \"{baseline['compiler']}\", and this build of \"{compiler()}\": counts of two "
                      f"compilers tell nothing; at the commit before yours run {RENEW}, and then compare")
    failed = 0
    for number, (name, well, text) in enumerate(judge(baseline["instructions"], count_all()), 1):
        print(f"{'ok' if well else 'not ok'} {number} - {name}: {text}", flush=True)
        failed += not well
    return 1 if failed else 0


def renew():
    counts = count_all()
    BASELINE.write_text(json.dumps({"compiler": compiler(), "instructions": counts}, indent=2) + "\n")
    for work in WORKS:
        print(f"{work.name}: {counts[work.name]} per {work.unit}")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--renew", action="store_true", help="write the baseline")
    try:
        return renew() if parser.parse_args().renew else compare()
    except Trouble as trouble:
        print(f"not ok 1 - {trouble}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
