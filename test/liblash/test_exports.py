#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a program that links liblash can see is what the public headers declare: no more, no less.

usage: test_exports.py HEADER_DIRECTORY SHARED_LIBRARY STATIC_LIBRARY
"""
import pathlib
import re
import subprocess
import sys


def declared(header_directory):
    names = set()
    for header in pathlib.Path(header_directory).glob("*.h"):
        text = re.sub(r"/\*.*?\*/|^#[^\n]*", "", header.read_text(), flags=re.DOTALL | re.MULTILINE)
        names.update(re.findall(r"\bLASH_PUBLIC\s[^;]*?\b(\w+)\(", text))
    return names


def defined(*nm):
    output = subprocess.run(["nm", "--defined-only", *nm], capture_output=True, text=True, check=True).stdout
    return {line.split()[2] for line in output.splitlines() if len(line.split()) == 3}


def main():
    header_directory, shared, static = sys.argv[1:]
    public = declared(header_directory)
    failures = []
    if len(public) < 2:
        failures.append("found no declarations in " + header_directory)
    for library, names in (shared, defined("-D", shared)), (static, defined("-g", static)):
        failures += [f"{library} lacks {name}" for name in sorted(public - names)]
        failures += [f"{library} shows {name}, which no public header declares" for name in sorted(names - public)]
    print("\n".join(failures) or f"both libraries show exactly {len(public)} functions")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
