#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""configure.sh sets a directory up once for each set of options, and leaves alone what somebody else set up."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parent / "configure.sh"
MESON = """#!/bin/sh
echo "$*" >>"$CALLS"
[ "$1" = setup ] && mkdir -p "$2/meson-private" && touch "$2/build.ninja"
"""


class Configure(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.root)
        (self.root / "tools").mkdir()
        shutil.copy(SCRIPT, self.root / "tools")
        (self.root / "bin").mkdir()
        (self.root / "bin/meson").write_text(MESON, encoding="utf-8")
        (self.root / "bin/meson").chmod(0o755)

    def configure(self, *options, compiler="gcc", directory="build"):
        environment = dict(os.environ, PATH=f"{self.root / 'bin'}:{os.environ['PATH']}", CC=compiler,
                           CALLS=str(self.root / "calls"))
        subprocess.run(["sh", self.root / "tools/configure.sh", directory, *options], env=environment, check=True,
                       stdout=subprocess.DEVNULL)

    def calls(self):
        path = self.root / "calls"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def test_the_same_options_configure_once(self):
        self.configure("-Da=1", "-Db=2")
        self.configure("-Da=1", "-Db=2")
        self.assertEqual(self.calls(), ["setup build -Da=1 -Db=2"])

    def test_other_options_or_another_compiler_configure_anew(self):
        self.configure("-Da=1")
        private = self.root / "build/meson-private/cmd_line.txt"
        private.write_text("a=1", encoding="utf-8")
        self.configure()
        self.assertFalse(private.exists(), "what was asked for before still counts")
        self.configure(compiler="clang")
        self.assertEqual(self.calls(), ["setup build -Da=1", "setup build", "setup build"])

    def test_what_was_built_stays(self):
        self.configure("-Da=1")
        (self.root / "build/check").mkdir()
        self.configure("-Da=2")
        self.assertTrue((self.root / "build/check").is_dir())

    def test_a_directory_that_somebody_else_set_up_is_left_alone(self):
        (self.root / "own").mkdir()
        (self.root / "own/build.ninja").touch()
        self.configure("-Da=1", directory="own")
        self.assertEqual(self.calls(), [])


if __name__ == "__main__":
    unittest.main()
