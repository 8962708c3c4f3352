#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that all C files have the house's format (.clang-format), or with --write gives it to them."""
import subprocess
import sys

import tree


def main():
    mode = ["-i"] if sys.argv[1:] == ["--write"] else ["--dry-run", "--Werror", "--ferror-limit=3"]
    names = tree.c_files()
    status = subprocess.run(["clang-format", *mode, *names], cwd=tree.ROOT, check=False).returncode
    print(f"format: {len(names)} files, {'not all well' if status else 'all well'}")
    return status if names else 1


if __name__ == "__main__":
    sys.exit(main())
