#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each rule of tidy.py finds what it is there for, and leaves alone what is well."""
import json
import pathlib
import tempfile
import unittest

import tidy
from tidy import Source

SPDX = "/* SPDX-License-Identifier: Apache-2.0\n *\n * The file's job.\n */\n"


def found(rule, text, path="src/node/node.c"):
    """[(line, message)] of one rule on one text."""
    return list(tidy.RULES[rule](Source(path, text)))


def lines_found(rule, text, path="src/node/node.c"):
    return [line for line, _ in found(rule, text, path)]


class Licence(unittest.TestCase):
    def test_a_c_file_begins_with_the_licence_line(self):
        self.assertEqual(found("licence", SPDX), [])
        self.assertEqual(lines_found("licence", "\n" + SPDX), [1])
        self.assertEqual(lines_found("licence", ""), [1])

    def test_a_script_has_it_below_the_interpreter(self):
        self.assertEqual(found("licence", "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n", "tools/a.sh"), [])
        self.assertEqual(lines_found("licence", "#!/bin/sh\necho\n", "tools/a.sh"), [1])

    def test_a_document_needs_none(self):
        self.assertEqual(found("licence", "# Lash\n", "README.md"), [])


class WhiteSpace(unittest.TestCase):
    def test_at_the_end_of_a_line_and_of_the_file(self):
        self.assertEqual(found("white-space", "a\nb\n"), [])
        self.assertEqual(lines_found("white-space", "a \nb\t\n"), [1, 2, 2])
        self.assertEqual(lines_found("white-space", "a\nb"), [2])
        self.assertEqual(lines_found("white-space", "a\n\n"), [2])

    def test_a_makefile_needs_tabs(self):
        self.assertEqual(found("white-space", "a:\n\tb\n", "Makefile"), [])
        self.assertEqual(lines_found("white-space", "a:\n\tb\n", "a/b.c"), [2])


class Markers(unittest.TestCase):
    def test_markers_in_any_file(self):
        for marker in "TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK":
            self.assertEqual(lines_found("marker", f"fine\n/* {marker}: later */\n"), [2])
            self.assertEqual(lines_found("marker", f"{marker}\n", "docs/a.md"), [1])

    def test_words_that_contain_one_are_fine(self):
        self.assertEqual(found("marker", "todos hackers XXXX mkstemp(\"aXXXXXX\")\n"), [])


class Lengths(unittest.TestCase):
    def function(self, lines, head="static int f(int a) {"):
        return head + "\n" + "    a++;\n" * (lines - 2) + "}\n"

    def test_a_file_beyond_the_limit(self):
        self.assertEqual(found("file-length", "x\n" * 800), [])
        self.assertEqual(lines_found("file-length", "x\n" * 801), [800])
        self.assertEqual(found("file-length", "x\n" * 801, "docs/a.md"), [])

    def test_a_function_beyond_the_limit(self):
        self.assertEqual(found("function-length", self.function(70)), [])
        self.assertEqual(found("function-length", "int x;\n\n" + self.function(71)),
                         [(3, "f has 71 lines; 70 is the most")])

    def test_a_head_of_several_lines_counts(self):
        head = "static int\nf(int a,\n  int b) {"
        self.assertEqual(found("function-length", self.function(68, head)), [])
        self.assertEqual(lines_found("function-length", self.function(69, head)), [1])

    def test_functions_after_structures_tables_and_linkage(self):
        before = ("extern \"C\" {\n#define LOOP(x) \\\n    do { \\\n    } while (0)\nstruct a {\n    int b;\n};\n"
                  "static const struct a table[] = {\n    {1},\n    {(2)},\n};\nint c(void);\n")
        text = before + self.function(71, "__attribute__((format(printf, 1, 2))) int g(int a) {") + "}\n"
        self.assertEqual(found("function-length", text), [(13, "g has 71 lines; 70 is the most")])

    def test_braces_in_strings_and_comments_do_not_count(self):
        text = "int f(void) {\n    /* { */\n    g(\"{\", '{'); // {\n}\n" + self.function(70)
        self.assertEqual(found("function-length", text), [])

    def test_a_long_table_is_no_function(self):
        self.assertEqual(found("function-length", "static int table[] = {\n" + "    1,\n" * 100 + "};\n"), [])

    def test_python_functions_count_too(self):
        text = "class A:\n    def f(self):\n" + "        pass\n" * 70
        self.assertEqual(lines_found("function-length", text, "tools/a.py"), [2])


class BannedCalls(unittest.TestCase):
    def test_calls_without_bounds_or_errors(self):
        for name in "strcpy", "strcat", "sprintf", "gets", "strtok", "atoi", "rand", "sleep", "usleep", "nanosleep":
            self.assertEqual(lines_found("banned-call", f"void f(void) {{\n    {name}(a);\n}}\n"), [2], name)
            self.assertEqual(lines_found("banned-call", f"{name} (a);\n", "test/node/test_a.c"), [1], name)

    def test_allocation_only_through_base(self):
        for name in "malloc", "calloc", "realloc", "free", "strdup":
            self.assertEqual(lines_found("banned-call", f"{name}(a);\n"), [1], name)
            self.assertEqual(found("banned-call", f"{name}(a);\n", "src/base/buf.c"), [], name)
            self.assertEqual(found("banned-call", f"{name}(a);\n", "test/node/test_a.c"), [], name)

    def test_other_names_members_comments_and_strings_are_fine(self):
        text = "my_free(a); mem_alloc(1); a->free(a); a.free(a); strtok_r(a); /* free(a) */ b(\"free(a)\");\n"
        self.assertEqual(found("banned-call", text), [])


class CommentedOutCode(unittest.TestCase):
    def test_statements_in_comments(self):
        for code in ("return x;", "if (x) {", "x = 1;", "count += 2;", "list_push(list, node);", "} else {",
                     "struct a b = c;", "for (;;) {", "#include <a.h>", "a->b = c;"):
            self.assertEqual(lines_found("commented-out", f"int y;\n/* {code} */\n"), [2], code)
            self.assertEqual(lines_found("commented-out", f"int y;\n    // {code}\n"), [2], code)
            self.assertEqual(lines_found("commented-out", f"int y;\n/* So.\n * {code}\n */\n"), [3], code)

    def test_if_zero(self):
        self.assertEqual(lines_found("commented-out", "int x;\n#if 0\nint y;\n#endif\n"), [2])

    def test_prose_and_indented_examples_are_fine(self):
        for prose in ("returns x; y stays", "return to sender.", "0: none;", "for all j (and i);", "see f(x);  or g",
                      "  log_info(\"a\");", "as lash_open() does", "n = 3 wins"):
            self.assertEqual(found("commented-out", f"/* {prose} */\n"), [], prose)


class Layers(unittest.TestCase):
    def test_the_core_is_pure(self):
        path = "src/raft/raft.c"
        for header in "<stdio.h>", "<stdlib.h>", "<time.h>", "<uv.h>", '"base/buf.h"', '"storage/log.h"':
            self.assertEqual(lines_found("layer", f"#include {header}\n", path), [1], header)
        for header in "<stdint.h>", "<string.h>", '"base/assert.h"', '"lash/raft.h"', '"raft/quorum.h"':
            self.assertEqual(found("layer", f"#include {header}\n", path), [], header)

    def test_each_layer_uses_what_its_row_allows(self):
        good = {"src/storage/a.c": ["<stdio.h>", '"base/buf.h"', '"storage/vfs.h"', '"lash/raft.h"'],
                "src/transport/a.c": ["<uv.h>", "<openssl/ssl.h>", '"base/list.h"'],
                "src/node/a.c": ["<uv.h>", '"storage/log.h"', '"transport/transport.h"', '"lash/raft.h"'],
                "src/store/a.c": ["<lmdb.h>", '"lash/node.h"'],
                "src/api/a.c": ["<nghttp2/nghttp2.h>", '"kv.pb-c.h"', '"store/store.h"'],
                "src/lashd/a.c": ["<popt.h>", '"api/api.h"'], "include/lash/a.h": ["<stdint.h>", '"lash/error.h"'],
                "examples/a.c": ['"lash/node.h"', "<stdio.h>"], "test/node/a.c": ["<cmocka.h>", '"local.h"']}
        bad = {"src/base/a.c": ['"raft/raft.h"', "<uv.h>"], "src/storage/a.c": ["<uv.h>", '"transport/transport.h"'],
               "src/transport/a.c": ['"storage/frame.h"', '"node/node.h"'], "src/node/a.c": ['"store/store.h"'],
               "src/store/a.c": ['"node/inside.h"', "<uv.h>"], "src/api/a.c": ['"node/inside.h"', "<lmdb.h>"],
               "include/lash/a.h": ["<stdio.h>", '"base/buf.h"'], "examples/a.c": ['"base/buf.h"'],
               "src/node/b.c": ["<cmocka.h>", '"local.h"', '"../storage/log.h"']}
        for cases, expected in (good, []), (bad, [1]):
            for path, headers in cases.items():
                for header in headers:
                    self.assertEqual(lines_found("layer", f"#include {header}\n", path), expected, (path, header))

    def test_a_file_outside_all_layers(self):
        self.assertEqual(lines_found("layer", "int x;\n", "src/misc/a.c"), [1])


class DeadFiles(unittest.TestCase):
    def test_a_header_that_no_one_includes(self):
        sources = [Source("src/base/a.h", ""), Source("src/base/b.h", ""), Source("test/base/c.h", ""),
                   Source("include/lash/d.h", ""), Source("test/freestanding/include/string.h", ""),
                   Source("test/base/test_a.c", '#include "base/a.h"\n#include "c.h"\n#include "lash/d.h"\n')]
        self.assertEqual([path for path, _ in tidy.dead_headers(sources)], ["src/base/b.h"])

    def test_a_c_file_that_nothing_compiles_or_no_test_runs(self):
        build = {"compiled": {"src/a.c", "test/x/test_a.c", "test/x/test_b.c"}, "tested": {"test/x/test_a.c"},
                 "commands": "python3 /lash/test/x/test_run.py"}
        paths = ["src/a.c", "src/b.c", "test/x/test_a.c", "test/x/test_b.c", "test/x/test_run.py",
                 "test/x/test_gone.py", "test/x/helper.py"]
        self.assertEqual([path for path, _ in tidy.dead_c_files([Source(path, "") for path in paths], build)],
                         ["src/b.c", "test/x/test_b.c", "test/x/test_gone.py"])

    def test_a_tool_that_nothing_names(self):
        sources = [Source("Makefile", "x:\n\ttools/a.sh\n"), Source("tools/a.sh", ""), Source("tools/b.sh", "b.sh"),
                   Source("tools/c.py", ""), Source("tools/d.py", "import c\n"), Source("README.md", "tools/d.py"),
                   Source("tools/test_c.py", "")]
        self.assertEqual([path for path, _ in tidy.dead_tools(sources)], ["tools/b.sh"])

    def test_what_meson_knows_is_read(self):
        with tempfile.TemporaryDirectory() as directory:
            info = pathlib.Path(directory) / "meson-info"
            info.mkdir()
            (info / "intro-tests.json").write_text(json.dumps([{"cmd": ["/b/test_a", "-v"]}]))
            (info / "intro-targets.json").write_text(json.dumps([
                {"filename": ["/b/test_a"], "target_sources": [{"sources": ["/r/test/test_a.c"]}, {}]},
                {"filename": ["/b/lashd"], "target_sources": [{"sources": ["/r/src/main.c", "/b/gen.c"]}]}]))
            build = tidy.read_build(pathlib.Path("/r"), directory)
        self.assertEqual(build["compiled"], {"test/test_a.c", "src/main.c", "/b/gen.c"})
        self.assertEqual(build["tested"], {"test/test_a.c"})
        self.assertEqual(build["commands"], "/b/test_a -v")


class Exceptions(unittest.TestCase):
    FINDINGS = [("src/a.c", 3, "layer", "message"), ("src/a.c", 9, "marker", "message")]

    def test_an_exception_silences_its_rule_in_its_file(self):
        left = list(tidy.without_exceptions(self.FINDINGS, {("src/a.c", "layer"): "why"}))
        self.assertEqual(left, self.FINDINGS[1:])

    def test_an_exception_that_is_not_needed_is_a_finding(self):
        left = list(tidy.without_exceptions(self.FINDINGS, {("src/b.c", "layer"): "why"}))
        self.assertEqual(left[:2], self.FINDINGS)
        self.assertEqual([(path, rule) for path, _, rule, _ in left[2:]], [("src/b.c", "layer")])


class TheWhole(unittest.TestCase):
    def test_every_rule_is_run(self):
        marker = "TO" + "DO"
        text = "#include <stdio.h>\n/* x = 1; */\nint f(void) {\n" + f"    free(a); // {marker} \n" * 800 + "}\n"
        bad = Source("src/raft/a.c", text)
        build = {"compiled": set(), "tested": set(), "commands": ""}
        self.assertEqual({rule for _, _, rule, _ in tidy.findings_of([bad], build)}, set(tidy.RULES) | {"dead-file"})


if __name__ == "__main__":
    unittest.main()
