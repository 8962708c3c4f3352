#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The core compiles without a C library, and needs nothing but memcpy and its kin and lash_assert_failed.

For this machine with the compiler given, and for WebAssembly where there is a clang that can.

usage: test_freestanding.py COMPILER
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SOURCES = sorted((ROOT / "src/raft").glob("*.c"))
MAY_NEED = {"memcpy", "memmove", "memset", "memcmp", "lash_assert_failed"}
COMPILER = sys.argv.pop(1) if len(sys.argv) > 1 else "cc"


def compile_core(compiler, directory, *options):
    """Compiles the core's files with no headers but the compiler's own and ours; returns the object files."""
    own_headers = subprocess.run([compiler, "-print-file-name=include"], capture_output=True, text=True,
                                 check=True).stdout.strip()
    objects = []
    for source in SOURCES:
        objects.append(str(pathlib.Path(directory) / (source.stem + ".o")))
        subprocess.run([compiler, *options, "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-ffreestanding",
                        "-nostdinc", "-isystem", own_headers, "-isystem", str(ROOT / "test/freestanding/include"),
                        "-I", str(ROOT / "include"), "-I", str(ROOT / "src"), "-c", str(source), "-o", objects[-1]],
                       check=True)
    return objects


class Freestanding(unittest.TestCase):
    def setUp(self):
        self.assertGreater(len(SOURCES), 0, "found no sources of the core")

    def test_the_core_needs_nothing_from_outside(self):
        with tempfile.TemporaryDirectory() as directory:
            joined = directory + "/core.o"
            objects = compile_core(COMPILER, directory)
            subprocess.run([COMPILER, "-r", "-nostdlib", "-o", joined, *objects], check=True)
            listing = subprocess.run(["nm", "--undefined-only", joined], capture_output=True, text=True, check=True)
        needed = {line.split()[-1] for line in listing.stdout.splitlines()}
        self.assertEqual(needed - MAY_NEED, set())

    @unittest.skipUnless(shutil.which("clang"), "there is no clang")
    def test_the_core_compiles_to_webassembly(self):
        with tempfile.TemporaryDirectory() as directory:
            for path in compile_core("clang", directory, "--target=wasm32"):
                self.assertEqual(pathlib.Path(path).read_bytes()[:4], b"\0asm")


if __name__ == "__main__":
    unittest.main()
