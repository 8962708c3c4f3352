#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make fuzz: runs every fuzz target for a bounded time, beginning with its corpus and the seeds.

What is found new is kept in build/fuzz/found/TARGET/, for the next run. An input that breaks a promise is kept in
build/fuzz/crashes/, and the command that replays it is printed; the exit status is 1 then. FUZZ_SECONDS (30) is the time for each
target.

usage: fuzz.py [--merge] [TARGET...]   (--merge: write what covers most with least back into fuzz/corpus/)
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

import tree

BUILD = tree.ROOT / "build/fuzz"
CORPUS = tree.ROOT / "fuzz/corpus"
OPTIONS = ["-Dfuzz=true", "-Db_sanitize=address,undefined", "-Db_lundef=false", "-Doptimization=1"]
INPUT_SECONDS_MAX = 10
MERGE_INPUTS_MAX = 60


def build():
    subprocess.run(["tools/configure.sh", str(BUILD), *OPTIONS], cwd=tree.ROOT, env={**os.environ, "CC": "clang"}, check=True)
    subprocess.run(["ninja", "-C", str(BUILD), "--quiet", "fuzz"], check=True)
    subprocess.run([str(BUILD / "fuzz/fuzz_seeds"), str(BUILD / "seeds")], check=True)


def folders(target):
    """Where inputs of a target are; libFuzzer writes to the first."""
    found = BUILD / "found" / target
    found.mkdir(parents=True, exist_ok=True)
    return [str(folder) for folder in (found, CORPUS / target, BUILD / "seeds" / target) if folder.is_dir()]


def last_state(log):
    """libFuzzer's last line of progress, in short."""
    states = re.findall(r"^#(\d+).*?cov: (\d+).*?exec/s: (\d+)", log, re.MULTILINE)
    runs, edges, speed = states[-1] if states else ("0", "0", "0")
    return f"{runs} inputs, {speed} a second, {edges} edges"


def run(target, seconds):
    """True when the target held."""
    crashes = BUILD / "crashes"
    crashes.mkdir(exist_ok=True)
    program = BUILD / "fuzz" / f"fuzz_{target}"
    command = [str(program), f"-max_total_time={seconds}", f"-timeout={INPUT_SECONDS_MAX}", "-rss_limit_mb=2048",
               f"-artifact_prefix={crashes}/{target}-", *folders(target)]
    log = BUILD / f"{target}.log"
    with open(log, "w", encoding="utf-8") as out:
        status = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False).returncode
    text = log.read_text(encoding="utf-8", errors="replace")
    if status == 0:
        print(f"fuzz {target}: ok, {last_state(text)}", flush=True)
        return True
    print(f"fuzz {target}: FAILED after {last_state(text)}; log: {log.relative_to(tree.ROOT)}")
    artifact = re.findall(r"Test unit written to (\S+)", text)
    for line in [line for line in text.splitlines() if re.search(r"invariant broken|ERROR:|runtime error|SUMMARY", line)][:5]:
        print("    " + line)
    if artifact:
        path = pathlib.Path(artifact[-1])
        print(f"    the input: {path.relative_to(tree.ROOT)}")
        print(f"    again: {program.relative_to(tree.ROOT)} {path.relative_to(tree.ROOT)}", flush=True)
    return False


def merge(target):
    """The smallest inputs that cover what all of a target's cover, the first few dozen by size, become its corpus."""
    merged = BUILD / "merged" / target
    shutil.rmtree(merged, ignore_errors=True)
    merged.mkdir(parents=True)
    subprocess.run([str(BUILD / "fuzz" / f"fuzz_{target}"), "-merge=1", "-use_value_profile=0", str(merged), *folders(target)], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    place = CORPUS / target
    place.mkdir(parents=True, exist_ok=True)
    for old in place.iterdir():
        if not old.name.startswith("regression-"):
            old.unlink()
    kept = sorted(merged.iterdir(), key=lambda path: (path.stat().st_size, path.name))
    step = max(1, -(-len(kept) // MERGE_INPUTS_MAX))
    for path in kept[::step]:
        shutil.copy(path, place / path.name[:16])
    print(f"fuzz {target}: {len(list(place.iterdir()))} inputs in {place.relative_to(tree.ROOT)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description="runs the fuzz targets")
    parser.add_argument("--merge", action="store_true", help="write the smallest inputs back into fuzz/corpus/")
    parser.add_argument("targets", nargs="*")
    arguments = parser.parse_args()
    seconds = int(os.environ.get("FUZZ_SECONDS", "30"))
    targets = sorted(path.name for path in CORPUS.iterdir() if path.is_dir())
    unknown = set(arguments.targets) - set(targets)
    if unknown:
        sys.exit(f"fuzz.py: no such target: {', '.join(sorted(unknown))}; targets: {', '.join(targets)}")
    build()
    chosen = arguments.targets or targets
    if arguments.merge:
        for target in chosen:
            merge(target)
        return 0
    print(f"fuzz: {len(chosen)} targets, {seconds} s each", flush=True)
    failed = [target for target in chosen if not run(target, seconds)]
    print(f"fuzz: {len(chosen) - len(failed)} targets held, {len(failed)} failed" + (": " + ", ".join(failed) if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
