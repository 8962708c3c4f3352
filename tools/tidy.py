#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The house keeps itself: rules on the sources that no compiler checks.

Layers of includes (docs/architecture.md), lengths of functions and files, leftover markers, banned calls, dead files,
licence lines, white space, commented-out code. Prints one line per finding and fails when there is one.

usage: tidy.py [--build DIRECTORY]   (a configured build directory, which knows what is compiled; default: build)
"""
import argparse
import ast
import json
import pathlib
import re
import sys

import tree

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 800

# (path, rule): why. Only shrinks: an entry that is not needed any more is a finding itself.
EXCEPTIONS = {}

# ---- Layers ---------------------------------------------------------------------------------------

FREESTANDING = {"stdbool.h", "stddef.h", "stdint.h", "stdalign.h", "stdarg.h", "stdnoreturn.h", "limits.h", "float.h",
                "iso646.h"}
LIBRARIES = {"uv.h": "libuv", "uv/": "libuv", "openssl/": "openssl", "lmdb.h": "lmdb", "nghttp2/": "nghttp2",
             "protobuf-c/": "protobuf-c", "popt.h": "popt", "raft.h": "libraft", "raft/uv.h": "libraft", "json-c/": "json-c", "json.h": "json-c",
             "cmocka.h": "cmocka", "isa-l/": "isa-l"}
FOLDERS = ["lash", "base", "raft", "storage", "transport", "node", "session", "store", "api", "proto", "lashctl", "linear", "check",
           "sim"]
ALL_LAYERS = set(FOLDERS) - {"lashctl", "linear", "check", "sim"} | {"freestanding", "libc", "libuv", "openssl", "lmdb", "nghttp2", "protobuf-c", "popt",
                             "json-c"}
C_AND_BASE = {"lash", "base", "freestanding", "libc"}
NODE = C_AND_BASE | {"raft", "storage", "transport", "node", "libuv", "openssl"}

# What files below a folder may include: folders, libraries, or single headers.
MAY_INCLUDE = {
    "include/lash/": {"lash", "freestanding"},
    "src/base/": C_AND_BASE | {"isa-l"},
    "src/raft/": {"lash", "raft", "base/assert.h", "freestanding", "string.h"},
    "src/storage/": C_AND_BASE | {"storage"},
    "src/transport/": C_AND_BASE | {"transport", "libuv", "openssl"},
    "src/node/": NODE,
    "src/session/": C_AND_BASE | {"session", "raft/random.h"},
    "src/store/": C_AND_BASE | {"store", "lmdb"},
    "src/api/": C_AND_BASE | {"store", "api", "proto", "libuv", "nghttp2", "openssl", "protobuf-c", "json-c"},
    "src/lashd/": ALL_LAYERS | {"lashd"},
    "src/lashctl/": ALL_LAYERS | {"lashctl", "lashd"},
    "src/linear/": C_AND_BASE | {"linear", "json-c", "popt"},
    "src/check/": C_AND_BASE | {"raft", "check", "popt"},
    "src/sim/": ALL_LAYERS | {"sim"},
    "src/bench/": ALL_LAYERS | {"lashctl", "bench"},
    "bench/peers/": C_AND_BASE | {"lashctl", "bench", "popt", "libuv", "libraft"},
    "examples/": {"lash", "freestanding", "libc"},
    "test/": ALL_LAYERS | {"lashctl", "lashd", "linear", "check", "sim", "cmocka"},
    "fuzz/": ALL_LAYERS | {"lashctl", "lashd", "linear", "sim"},
    "tools/": {"freestanding"},
}

# ---- Calls ----------------------------------------------------------------------------------------

UNBOUNDED = "writes without a bound"
NO_ERRORS = "cannot tell an error"
MEMORY = "use base/buf.h, whose allocations tests can make fail"
SLEEP = "a sleep hides a race; wait for what is awaited"
BANNED_CALLS = {
    "strcpy": UNBOUNDED, "strcat": UNBOUNDED, "sprintf": UNBOUNDED, "vsprintf": UNBOUNDED, "gets": UNBOUNDED,
    "stpcpy": UNBOUNDED, "strtok": "keeps hidden state", "rand": "use a seeded generator of your own",
    "srand": "use a seeded generator of your own", "atoi": NO_ERRORS, "atol": NO_ERRORS, "atoll": NO_ERRORS,
    "atof": NO_ERRORS, "sleep": SLEEP, "usleep": SLEEP, "nanosleep": SLEEP, "clock_nanosleep": SLEEP, "uv_sleep": SLEEP,
}
BANNED_OUTSIDE_BASE = {name: MEMORY for name in
                       ["malloc", "calloc", "realloc", "reallocarray", "free", "strdup", "strndup", "asprintf",
                        "vasprintf", "aligned_alloc", "posix_memalign", "memalign"]}

# In two halves, so that this file does not find itself.
MARKERS = re.compile(r"\b(TO" "DO|FIX" "ME|X" "XX|HA" "CK)\\b")

COMMENTED_OUT = re.compile(
    r"""^(?:
        (?:if|for|while|switch)\s*\(.*\)\s*\{ |              # a statement's head
        \}?\s*else\b.*\{ |
        return\b[^.]*; |
        (?:[\w*]+\s+)*[\w.\[\]>*-]+\s*[-+|&]?=\s*[^=].*; |   # an assignment
        [a-z_]\w*\(.*\); |                                   # a call
        \#\s*(?:include|define|if|ifdef|endif)\b.*
    )$""", re.VERBOSE)

NOT_CODE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


class Source:
    """A file, with what the rules ask of it."""

    def __init__(self, path, text):
        self.path = path
        self.lines = text.splitlines()
        self.text = text
        self.is_c = path.endswith((".c", ".h"))
        self.code = self._without_comments_and_strings(text) if self.is_c else ""

    @staticmethod
    def _without_comments_and_strings(text):
        """The same characters at the same places, but what is no code is blank."""
        return NOT_CODE.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)

    def line_of(self, offset):
        return self.text.count("\n", 0, offset) + 1

    def comment_lines(self):
        """(line number, text) of each line within comments, without their decoration."""
        for match in NOT_CODE.finditer(self.text):
            if not match.group().startswith("/"):
                continue
            for offset, line in enumerate(match.group().split("\n")):
                line = re.sub(r"^\s*(//|/\*|\*/?) ?", "", line)
                yield self.line_of(match.start()) + offset, re.sub(r"\s*\*/$", "", line).rstrip()

    def includes(self):
        """(line number, header, whether it was quoted)."""
        for number, line in enumerate(self.lines, 1):
            match = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
            if match:
                yield number, match.group(2), match.group(1) == '"'

    def functions(self):
        """(name, first line, last line) of each function that a C file defines."""
        code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda match: re.sub(r"[^\n]", " ", match.group()), self.code,
                      flags=re.MULTILINE)
        code = re.sub(r"\bextern\s+\{", lambda match: " " * len(match.group()), code)
        depth = begin = 0
        head = None
        for match in re.finditer(r"[{};]", code):
            if match.group() == "{":
                if depth == 0:
                    head = self._function_head(code, begin, match.start())
                depth += 1
                continue
            if match.group() == "}":
                depth = max(depth - 1, 0)
            if depth == 0:
                if head and match.group() == "}":
                    yield head[0], head[1], self.line_of(match.start())
                begin, head = match.end(), None

    def _function_head(self, code, begin, end):
        head = code[begin:end]
        if not head.rstrip().endswith(")") or "=" in head:
            return None
        name = re.search(r"(\w+)\s*\(", re.sub(r"__attribute__\s*\(\(.*?\)\)", "", head, flags=re.DOTALL))
        first = begin + len(head) - len(head.lstrip())
        return (name.group(1), self.line_of(first)) if name else None


# ---- Rules: each yields (line, message) for one source ----------------------------------------------


def rule_licence(source):
    head = source.lines[:2] if source.lines and source.lines[0].startswith("#!") else source.lines[:1]
    if source.path.endswith((".c", ".h")):
        good = head and head[0] == "/* SPDX-License-Identifier: Apache-2.0"
    elif source.path.endswith((".py", ".sh", ".proto", "meson.build", "meson_options.txt", "Makefile", ".ci/run")):
        good = any("SPDX-License-Identifier: Apache-2.0" in line for line in head)
    else:
        good = True
    if not good:
        yield 1, "the first line is not the SPDX licence line"


def rule_white_space(source):
    for number, line in enumerate(source.lines, 1):
        if line != line.rstrip():
            yield number, "white space at the end of the line"
        if "\t" in line and source.path.endswith((".c", ".h", ".py", ".sh", ".proto", "meson.build")):
            yield number, "a tab"
    if source.text and not source.text.endswith("\n"):
        yield len(source.lines), "no newline at the end"
    if source.text.endswith("\n\n"):
        yield len(source.lines), "empty lines at the end"


def rule_markers(source):
    for number, line in enumerate(source.lines, 1):
        if MARKERS.search(line):
            yield number, "a leftover marker"


def rule_file_length(source):
    if source.path.endswith((".c", ".h", ".py", ".sh")) and len(source.lines) > FILE_LINES_MAX:
        yield FILE_LINES_MAX, f"{len(source.lines)} lines; {FILE_LINES_MAX} is the most: make two files of it"


def rule_function_length(source):
    if source.is_c:
        functions = source.functions()
    elif source.path.endswith(".py"):
        functions = ((node.name, node.lineno, node.end_lineno) for node in ast.walk(ast.parse(source.text))
                     if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
    else:
        functions = ()
    for name, first, last in functions:
        if last - first + 1 > FUNCTION_LINES_MAX:
            yield first, f"{name} has {last - first + 1} lines; {FUNCTION_LINES_MAX} is the most"


def rule_banned_calls(source):
    if not source.is_c:
        return
    banned = dict(BANNED_CALLS)
    # the simulated world's memory is not the program's, and must not fail with it
    if source.path.startswith("src/") and not source.path.startswith(("src/base/", "src/sim/")):
        banned.update(BANNED_OUTSIDE_BASE)
    for match in re.finditer(r"(?<![\w.])(?<!->)(" + "|".join(banned) + r")\s*\(", source.code):
        yield source.line_of(match.start()), f"calls {match.group(1)}: {banned[match.group(1)]}"


def rule_commented_out_code(source):
    if not source.is_c:
        return
    for number, text in source.comment_lines():
        if COMMENTED_OUT.match(text):
            yield number, "commented-out code"
    for match in re.finditer(r"^\s*#\s*if\s+0\b", source.code, re.MULTILINE):
        yield source.line_of(match.start() + 1), "code switched off by #if 0"


def layer_of_include(header, quoted):
    """Folder, library, or "libc"."""
    if header.endswith(".pb-c.h"):
        return "proto"
    if quoted:
        return header.split("/")[0]
    for prefix, library in LIBRARIES.items():
        if header == prefix or (prefix.endswith("/") and header.startswith(prefix)):
            return library
    return "freestanding" if header in FREESTANDING else "libc"


def rule_layers(source):
    allowed = next((may for folder, may in MAY_INCLUDE.items() if source.path.startswith(folder)), None)
    if not source.is_c:
        return
    if allowed is None:
        yield 1, "lies in no layer's folder"
        return
    for number, header, quoted in source.includes():
        if quoted and "/" not in header and not header.endswith(".pb-c.h"):
            if not source.path.startswith(("test/", "examples/", "fuzz/")):
                yield number, f'"{header}": name headers from the roots include/ and src/'
        elif ".." in header.split("/"):
            yield number, f'"{header}": name headers from the roots include/ and src/'
        elif layer_of_include(header, quoted) not in allowed and header not in allowed:
            yield number, f"{source.path.rsplit('/', 1)[0]} may not include {header}"


RULES = {
    "licence": rule_licence,
    "white-space": rule_white_space,
    "marker": rule_markers,
    "file-length": rule_file_length,
    "function-length": rule_function_length,
    "banned-call": rule_banned_calls,
    "commented-out": rule_commented_out_code,
    "layer": rule_layers,
}

# ---- Dead files: what nothing compiles, includes, runs or names -------------------------------------


# Headers that stand in for the C library's where a test compiles without it.
STAND_INS = "test/freestanding/include/"
# Compiled only where the library of another implementation is there.
OPTIONAL = "bench/peers/"


def resolve_include(source, header, paths):
    folder = source.path.rsplit("/", 1)[0]
    candidates = (f"include/{header}", f"src/{header}", f"{folder}/{header}")
    return next((path for path in candidates if path in paths), None)


def dead_headers(sources):
    paths = {source.path for source in sources}
    included = {resolve_include(source, header, paths) for source in sources if source.is_c
                for _, header, _ in source.includes()}
    for path in sorted(paths):
        if path.endswith(".h") and not path.startswith(STAND_INS) and path not in included:
            yield path, "no file includes this header"


def dead_c_files(sources, build):
    """`build`: {"compiled": paths, "tested": paths that a registered test's program is made of, "commands": text}."""
    for source in sources:
        name = source.path.rsplit("/", 1)[-1]
        if source.path.endswith(".c"):
            if source.path not in build["compiled"] and not source.path.startswith(OPTIONAL):
                yield source.path, "no meson.build compiles this file"
            elif name.startswith("test_") and source.path not in build["tested"]:
                yield source.path, "no registered test runs this file"
        elif re.fullmatch(r"test/(.*/)?test_\w+\.(py|sh)", source.path) and name not in build["commands"]:
            yield source.path, "no registered test runs this file"


def dead_tools(sources):
    """Each file of tools/ is named by another file: the Makefile, a meson.build, a tool. Tests are found by name."""
    for source in sources:
        name = source.path.rsplit("/", 1)[-1]
        if not source.path.startswith("tools/") or re.fullmatch(r"test_\w+\.py", name):
            continue
        words = [name, f"import {name[:-3]}\n"] if name.endswith(".py") else [name]
        if not any(word in other.text for other in sources if other is not source for word in words):
            yield source.path, "no other file names this one"


def read_build(root, directory):
    """What meson knows of the build at `directory`."""
    def load(name):
        return json.loads((pathlib.Path(directory) / "meson-info" / name).read_text())

    def relative(path):
        path = pathlib.Path(path)
        return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)

    commands = [" ".join(test["cmd"]) for test in load("intro-tests.json")]
    programs = {word for command in commands for word in command.split()}
    compiled, tested = set(), set()
    for target in load("intro-targets.json"):
        sources = {relative(path) for group in target["target_sources"] for path in group.get("sources", [])}
        compiled |= sources
        if programs & set(target["filename"]):
            tested |= sources
    return {"compiled": compiled, "tested": tested, "commands": "\n".join(commands)}


# ---- The whole ------------------------------------------------------------------------------------


def findings_of(sources, build):
    """All (path, line, rule, message), exceptions not yet taken into account."""
    for source in sources:
        for name, rule in RULES.items():
            for line, message in rule(source):
                yield source.path, line, name, message
    for dead in dead_headers(sources), dead_c_files(sources, build), dead_tools(sources):
        for path, message in dead:
            yield path, 1, "dead-file", message


def without_exceptions(findings, exceptions):
    needed = set()
    for finding in findings:
        if (finding[0], finding[2]) in exceptions:
            needed.add((finding[0], finding[2]))
        else:
            yield finding
    for path, rule in sorted(set(exceptions) - needed):
        yield path, 1, rule, "is on the list of exceptions and needs to be no more: take it off"


def read_sources(root):
    """Every text file but the licence and the fuzzers' inputs."""
    sources = []
    for path in tree.files(root):
        if path.startswith("fuzz/corpus/"):
            continue
        data = (root / path).read_bytes()
        if path != "LICENSE" and b"\0" not in data:
            sources.append(Source(path, data.decode()))
    return sources


def main():
    parser = argparse.ArgumentParser(description="checks the rules of the house")
    parser.add_argument("--build", default=str(tree.ROOT / "build"), help="a configured build directory")
    arguments = parser.parse_args()
    sources = read_sources(tree.ROOT)
    build = read_build(tree.ROOT, arguments.build)
    findings = sorted(without_exceptions(findings_of(sources, build), EXCEPTIONS))
    for path, line, rule, message in findings:
        print(f"{path}:{line}: {message} [{rule}]")
    print(f"tidy: {len(sources)} files, {len(findings)} findings")
    return 1 if findings or not sources else 0


if __name__ == "__main__":
    sys.exit(main())
