#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs clang-tidy over every C file that a build directory of clang's compiles, on all cores.

usage: clang_tidy.py BUILD_DIRECTORY [FILE...]   (no files: all of src/, test/, examples/ and fuzz/)
"""
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys

import tree

OURS = ("src/", "test/", "examples/", "fuzz/")
# Nodes that the analyzer visits of one function: fewer than its default, so that a few functions do not take half of the time.
ANALYZER_NODES_MAX = 50000


def our_files(directory):
    """Longest first, so that no core ends up alone with the longest."""
    commands = json.loads((pathlib.Path(directory) / "compile_commands.json").read_text())
    paths = {(pathlib.Path(command["directory"]) / command["file"]).resolve() for command in commands}
    ours = {path for path in paths
            if path.is_relative_to(tree.ROOT) and str(path.relative_to(tree.ROOT)).startswith(OURS)}
    return sorted(ours, key=lambda path: (-path.stat().st_size, path))


def judge(directory, path):
    analyzer = [f"--extra-arg={word}" for word in ("-Xclang", "-analyzer-config", "-Xclang",
                                                   f"max-nodes={ANALYZER_NODES_MAX}")]
    result = subprocess.run(["clang-tidy", "--quiet", "-p", directory, *analyzer, str(path)], capture_output=True,
                            text=True, stdin=subprocess.DEVNULL, check=False)
    findings = result.stdout.strip()
    if result.returncode and not findings:
        findings = result.stderr.strip()
    return result.returncode, findings


def main():
    directory = sys.argv[1]
    paths = [pathlib.Path(name).resolve() for name in sys.argv[2:]] or our_files(directory)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, (status, findings) in zip(paths, pool.map(lambda path: judge(directory, path), paths)):
            print(f"{path.relative_to(tree.ROOT)}: {'FAILED' if status else 'ok'}", flush=True)
            if status:
                failed += 1
                print(findings, flush=True)
    print(f"clang-tidy: {len(paths)} files, {failed} failed")
    return 1 if failed or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
