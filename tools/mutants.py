#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make mutants: plants one bug after the other into a copy of the sources, and tells which tier of the tests finds it.

test/mutants/NAME.patch is one bug, with a header above the diff:

    What: the bug in one sentence
    Breaks: invariants, as docs/protocol.md names them
    Layer: core, log, node, transport, session, store or server
    Safety: yes or no
    Tiers: those that are expected to kill it, quickest first

test/mutants/tiers.json says of what a tier consists for a layer: tests of meson, by a pattern of their names, or commands,
whose exit status 1 is a kill and any other than 0 and 1 an error. The sources as they are come first: every part has to
pass on them, else there is no score. Tiers, and the parts of a tier, run from the quickest on, but those first that found the
mutant according to docs/mutants.md; a tier ends with the first part that fails, and fails once more: what does not is no kill.

A mutant of safety has to be killed by two tiers, any other by one. A part that does not end in time is no kill: it is told
apart, and does only for a mutant that is not of safety. In time means a multiple of the processor time that the part takes on
the sources as they are, so that a loaded machine makes no difference; one that waits for ever ends by the clock. Copies are in
build/mutants/. The last line is "N killed, M survived"; the exit status is 1 when one survived or was killed by too few tiers,
and 2 when there is no score: a patch that does not apply or compile, a part that is broken.
"""
import argparse
import collections
import concurrent.futures
import contextlib
import dataclasses
import fcntl
import hashlib
import json
import math
import os
import pathlib
import queue
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import tree

LAYERS = ("core", "log", "node", "transport", "session", "store", "server")
HEADERS = ("What", "Breaks", "Layer", "Safety", "Tiers")
BUILD_SECONDS_MAX = 600
# before a part counts as hung, however quick it was on the unmutated sources: of processor time, and by the clock
PROCESSOR_SECONDS_MIN = 20
CLOCK_SECONDS_MIN = 150
SLOWDOWN_MAX = 10
TESTS_SKIPPED = 77
DATA_BYTES_MAX = 4 << 30  # a mutant may lose a bound
FILE_BYTES_MAX = 4 << 30
OUTPUT_KEPT = 200000
DONE = "docs/mutants.md"


class Trouble(Exception):
    """There is no score."""


# ---- Mutants --------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One patch file."""
    name: str
    path: pathlib.Path
    what: str
    breaks: str
    layer: str
    safety: bool
    tiers: tuple

    @property
    def demanded(self):
        return 2 if self.safety else 1


def read_mutant(path):
    header = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.strip():
            break
        name, _, value = line.partition(":")
        header[name] = value.strip()
    missing = [name for name in HEADERS if not header.get(name)]
    if missing or len(header) != len(HEADERS):
        raise Trouble(f"{path.name}: the header needs {', '.join(HEADERS)} and nothing else")
    if header["Layer"] not in LAYERS or header["Safety"] not in ("yes", "no"):
        raise Trouble(f"{path.name}: unknown layer, or safety neither yes nor no")
    tiers = tuple(tier.strip() for tier in header["Tiers"].split(","))
    mutant = Mutant(path.stem, path, header["What"], header["Breaks"], header["Layer"], header["Safety"] == "yes", tiers)
    if len(set(tiers)) < mutant.demanded:
        raise Trouble(f"{path.name}: {mutant.demanded} different tiers are demanded")
    return mutant


def read_mutants(root):
    return [read_mutant(path) for path in sorted((root / "test/mutants").glob("*.patch"))]


# ---- Scratch copies -------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Ended:
    """A command that is over."""
    status: int  # of the process; None: it did not end by itself
    output: str
    seconds: float
    processor_seconds: float  # of all that it waited for

    def over(self, seconds_max):
        return self.status in (None, -signal.SIGXCPU) or self.processor_seconds >= seconds_max


def run_session(command, seconds_max, processor_seconds_max=None, **options):
    """Run in a session of its own, all of which ends with it, and which cannot take the machine's memory or disk."""
    limits = [f"--data={DATA_BYTES_MAX}", f"--fsize={FILE_BYTES_MAX}"]
    if processor_seconds_max:
        limits.append(f"--cpu={math.ceil(processor_seconds_max)}:{math.ceil(processor_seconds_max) + 1}")
    start = time.monotonic()
    with tempfile.TemporaryFile() as output:
        # pylint: disable-next=consider-using-with
        process = subprocess.Popen(["prlimit", *limits, *command], stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=subprocess.STDOUT, start_new_session=True, **options)
        watched = os.pidfd_open(process.pid)
        in_time = False
        try:
            poll = select.poll()
            poll.register(watched, select.POLLIN)
            in_time = bool(poll.poll(seconds_max * 1000))
        finally:
            os.close(watched)
            os.killpg(process.pid, signal.SIGKILL)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(max(0, os.fstat(output.fileno()).st_size - OUTPUT_KEPT))
        text = output.read().decode("utf-8", "replace")
    return Ended(process.returncode if in_time else None, text, time.monotonic() - start, usage.ru_utime + usage.ru_stime)


class Scratch:
    """A copy of the sources with a build directory, which is kept from mutant to mutant."""

    def __init__(self, root, place, options, lock):
        self.root = root
        self.lock = lock
        self.source = place / "source"
        self.build = place / "build"
        self.options = options
        self.environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(place), "TMPDIR": str(place / "tmp")}

    def prepare(self):
        """Make the copy equal to the sources; what is equal already keeps its time, so that it is not compiled anew."""
        wanted = set(tree.files(self.root))
        for path in list(self.source.rglob("*")):
            if path.is_file() and str(path.relative_to(self.source)) not in wanted:
                path.unlink()
        for name in wanted:
            self.restore(name)
        pathlib.Path(self.environment["TMPDIR"]).mkdir(parents=True, exist_ok=True)
        if not (self.build / "build.ninja").exists():
            shutil.rmtree(self.build, ignore_errors=True)
            self.demand(["meson", "setup", str(self.build), str(self.source), "-Doptimization=1", "-Ddebug=false",
                         *self.options])
        self.demand(["ninja", "-C", str(self.build), "build.ninja"])

    def restore(self, name):
        here, there = self.source / name, self.root / name
        if not here.exists() or here.read_bytes() != there.read_bytes():
            here.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(there, here)
            shutil.copymode(there, here)

    def demand(self, command):
        ended = run_session(command, BUILD_SECONDS_MAX, cwd=self.source, env=self.environment)
        if ended.status != 0:
            raise Trouble(f"{' '.join(command)}:\n{ended.output}")
        return ended.output

    @contextlib.contextmanager
    def planted(self, mutant):
        """The copy with the mutant in it; afterwards it is as before, whatever has happened to the sources since."""
        patch = mutant.path.read_text(encoding="utf-8")
        before = {}
        for name in re.findall(r"^\+\+\+ b/(\S+)", patch, re.MULTILINE):
            path = self.source / name
            before[path] = path.read_bytes() if path.exists() else b""
        self.demand(["git", "apply", "--whitespace=nowarn", str(mutant.path.resolve())])
        try:
            yield
        finally:
            for path, content in before.items():
                path.write_bytes(content)

    def compile(self, targets):
        self.demand(["ninja", "-C", str(self.build), *targets])

    def introspect(self, what):
        """What meson wrote when it configured; printed it would be longer than what is kept of an output."""
        return json.loads((self.build / f"meson-info/intro-{what}.json").read_text(encoding="utf-8"))


# ---- Tiers ----------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Part:
    """One program that a tier runs. Paths are relative to the build directory of a scratch copy."""
    name: str
    command: tuple  # with {build} and {source} for the scratch copy's
    environment: tuple
    targets: tuple  # for ninja
    alone: bool  # must not run beside others
    any_status: bool  # every exit status but 0 is a kill, not only 1


def as_template(text, scratch):
    for place, word in (scratch.build, "{build}"), (scratch.source, "{source}"):
        text = text.replace(os.path.relpath(place, scratch.build) + "/", word + "/").replace(str(place), word)
    return text


def from_template(text, scratch):
    return text.replace("{build}", str(scratch.build)).replace("{source}", str(scratch.source))


def clean_path(word):
    return os.path.normpath(word) if word.startswith("/") and os.path.lexists(word) else word


def test_parts(scratch, pattern):
    """The tests of meson whose names match."""
    files = {target["id"]: target["filename"] for target in scratch.introspect("targets")}
    parts = []
    for test in scratch.introspect("tests"):
        if not re.fullmatch(pattern, test["name"]):
            continue
        targets = [os.path.relpath(file, scratch.build) for need in test["depends"] for file in files[need]]
        parts.append(Part(test["name"], tuple(as_template(clean_path(word), scratch) for word in test["cmd"]),
                          tuple((name, as_template(value, scratch)) for name, value in test["env"].items()),
                          tuple(targets), not test["is_parallel"], True))
    if not parts:
        raise Trouble(f"tiers.json: no test is called {pattern}")
    return parts


def expand(text):
    """`run {1..3}` are the three commands run 1, run 2 and run 3."""
    found = re.search(r"\{(\d+)\.\.(\d+)\}", text)
    if not found:
        return [text]
    numbers = range(int(found.group(1)), int(found.group(2)) + 1)
    return [text[:found.start()] + str(number) + text[found.end():] for number in numbers]


def tier_parts(scratch, definition):
    parts = [part for pattern in definition.get("tests", []) for part in test_parts(scratch, pattern)]
    for command in (one for commands in definition.get("commands", []) for one in expand(commands)):
        program, *arguments = command.split()
        parts.append(Part(command, ("{build}/" + program, *arguments), (), (program,), False, False))
    return parts


def read_tiers(root):
    return json.loads((root / "test/mutants/tiers.json").read_text(encoding="utf-8"))


# ---- Running parts --------------------------------------------------------------------------------


@dataclasses.dataclass
class Outcome:
    """What a part, or a tier, did: verdict is passed, killed, hung, or unsteady: it failed, but not once more."""
    verdict: str
    tier: str = ""
    part: str = ""
    seconds: float = 0.0
    how: str = ""  # the case, the assertion, the seed: whatever the output names
    processor_seconds: float = 0.0


ALONE = threading.Lock()


def describe(output, status):
    """What the output says of the failure, in a few words."""
    words = []
    for pattern, form in ((r"^\[ +FAILED +\] (\w+)$", "{}"), (r"^(?:FAIL|ERROR): (\w+)", "{}"), (r"^not ok \d+ -? ?(.+)$", "{}"),
                          (r"^replay: \S*/(\S+)$", "input {}"), (r"(src/\w+/\w+\.[ch]:\d+): assertion", "assertion at {}"),
                          (r"\b([ELCSRDXP]\d)\b[^\n]*(?:violat|fail|broken)", "{}"), (r"\bseed[ =:\"]+(\d+)", "seed {}")):
        found = re.findall(pattern, output, re.MULTILINE)
        word = form.format(found[-1 if form == "input {}" else 0]) if found else None
        if word and word not in words:
            words.append(word)
    if not words:
        words.append(f"signal {-status}" if status and status < 0 else f"status {status}")
    return ", ".join(words)


@dataclasses.dataclass(frozen=True)
class Limits:
    """Beyond which a part counts as hung."""
    processor_seconds: float
    seconds: float


def limits_of(control):
    """From what the part took on the sources as they are."""
    return Limits(max(PROCESSOR_SECONDS_MIN, SLOWDOWN_MAX * control.processor_seconds),
                  max(CLOCK_SECONDS_MIN, SLOWDOWN_MAX * control.seconds))


def run_part(scratch, part, limits):
    command = [from_template(word, scratch) for word in part.command]
    environment = {**scratch.environment, **{name: from_template(value, scratch) for name, value in part.environment}}
    with ALONE if part.alone else contextlib.nullcontext():
        ended = run_session(command, limits.seconds, limits.processor_seconds, cwd=scratch.build, env=environment)

    def outcome(verdict, how=""):
        return Outcome(verdict, part=part.name, seconds=ended.seconds, how=how, processor_seconds=ended.processor_seconds)
    if ended.status == 0:
        return outcome("passed")
    if ended.over(limits.processor_seconds) and not re.search(r"^\[ +FAILED +\]", ended.output, re.MULTILINE):
        return outcome("hung", f"more than {limits.seconds:.0f} s" if ended.status is None else
                       f"more than {limits.processor_seconds:.0f} s of processor time")
    if not part.any_status and ended.status is not None and ended.status > 1:
        raise Trouble(f"{part.name} ended with status {ended.status}:\n{ended.output[-2000:]}")
    return outcome("killed", describe(ended.output, ended.status))


class Tiers:
    """The parts of each tier and layer, which have passed on the unmutated sources, with what they took there."""

    def __init__(self, scratch, definitions, wanted, say):
        self.parts = {}
        self.controls = {}
        for tier, layer in wanted:
            parts = tier_parts(scratch, definitions[tier][layer])
            scratch.compile(sorted({target for part in parts for target in part.targets}))
            for part in parts:
                if part not in self.controls:
                    self.control(scratch, part, say)
            self.parts[tier, layer] = [part for part in parts if self.controls[part]]

    def control(self, scratch, part, say):
        outcome = run_part(scratch, part, Limits(BUILD_SECONDS_MAX, BUILD_SECONDS_MAX))
        self.controls[part] = None
        if outcome.verdict == "killed" and outcome.how == f"status {TESTS_SKIPPED}":
            say(f"  {part.name} is skipped on this machine")
            return
        if outcome.verdict != "passed":
            raise Trouble(f"{part.name} fails on the sources as they are ({outcome.how}): there is no score")
        say(f"  {part.name} passes in {outcome.seconds:.1f} s, {outcome.processor_seconds:.1f} s of processor time")
        self.controls[part] = outcome

    def seconds(self, part):
        return self.controls[part].seconds

    def order(self, mutant, chosen, killers):
        """The tiers in which to try them: those that are known to find it, then the quickest."""
        def rank(tier):
            return (mutant.name, tier) not in killers, sum(map(self.seconds, self.parts[tier, mutant.layer]))
        return sorted(chosen, key=rank)

    def run_twice(self, scratch, part):
        """A test that fails now and then, on a busy machine perhaps, is no judge of anything."""
        found = run_part(scratch, part, limits_of(self.controls[part]))
        if found.verdict == "killed" and run_part(scratch, part, limits_of(self.controls[part])).verdict == "passed":
            found.verdict = "unsteady"
        return found

    def run(self, scratch, tier, layer, killer, compiled):
        """The outcome of one tier for what is in the scratch copy; `compiled` gathers the targets."""
        outcome = Outcome("passed", tier)
        total = processor = 0.0
        for part in sorted(self.parts[tier, layer], key=lambda part: (part.name != killer, self.seconds(part))):
            if not compiled.issuperset(part.targets):
                scratch.compile(part.targets)
                compiled.update(part.targets)
            found = self.run_twice(scratch, part)
            total += found.seconds
            processor += found.processor_seconds
            if found.verdict != "passed":
                outcome = found
            if found.verdict == "killed":
                break
        outcome.tier = tier
        outcome.seconds = total
        outcome.processor_seconds = processor
        return outcome


# ---- The score ------------------------------------------------------------------------------------


@dataclasses.dataclass
class Score:
    """What became of one mutant."""
    mutant: Mutant
    outcomes: list
    demanded: int
    commit: str
    trouble: str = ""

    @property
    def kills(self):
        return [outcome for outcome in self.outcomes if outcome.verdict == "killed"]

    @property
    def hangs(self):
        return [outcome for outcome in self.outcomes if outcome.verdict == "hung"]

    @property
    def verdict(self):
        if self.trouble:
            return "ERROR"
        if len(self.kills) >= self.demanded:
            return "killed"
        if self.kills:
            return "TOO FEW TIERS"
        return "HUNG" if self.hangs else "SURVIVED"

    @property
    def found(self):
        return self.verdict == "killed" or (self.verdict == "HUNG" and not self.mutant.safety)


@dataclasses.dataclass(frozen=True)
class Rules:
    """How a run scores."""
    everything: bool  # go on when a mutant was killed often enough
    once: bool  # let one tier do
    killers: dict  # what found a mutant before: (mutant, tier) to the part


def score_mutant(scratch, tiers, mutant, chosen, rules, commit):
    demanded = 1 if rules.once else min(mutant.demanded, len(chosen))
    score = Score(mutant, [], demanded, commit)
    compiled = set()
    try:
        with scratch.planted(mutant):
            for tier in tiers.order(mutant, chosen, rules.killers):
                score.outcomes.append(tiers.run(scratch, tier, mutant.layer, rules.killers.get((mutant.name, tier)), compiled))
                if len(score.kills) >= demanded and not rules.everything:
                    break
    except Trouble as trouble:
        score.trouble = str(trouble)
    return score


def say_score(score, done, total, say):
    told = "; ".join(f"{outcome.tier} {outcome.seconds:.1f} s: " +
                     (f"{outcome.part} ({outcome.how})" if outcome.verdict == "killed" else outcome.verdict)
                     for outcome in score.outcomes)
    say(f"[{done}/{total}] {score.verdict} {score.mutant.name}: {told or 'nothing was run'}")
    if score.trouble:
        say("    " + score.trouble[-3000:].replace("\n", "\n    "))


class Kept:
    """Scores of earlier runs, each kept as soon as it is known, so that a run that was ended can be resumed."""

    def __init__(self, path, commit, resume):
        self.path = path
        self.commit = commit
        self.all = {}
        if resume and path.exists():
            self.all = json.loads(path.read_text(encoding="utf-8"))

    def key(self, mutant, chosen):
        content = hashlib.sha256(mutant.path.read_bytes()).hexdigest()
        return f"{mutant.name} {content[:16]} {self.commit} {','.join(chosen)}"

    def find(self, mutant, chosen):
        found = self.all.get(self.key(mutant, chosen))
        return found and Score(mutant, [Outcome(**outcome) for outcome in found["outcomes"]], found["demanded"], self.commit)

    def put(self, score, chosen):
        if score.trouble:
            return
        self.all[self.key(score.mutant, chosen)] = {"outcomes": [dataclasses.asdict(outcome) for outcome in score.outcomes],
                                                    "demanded": score.demanded}
        self.path.write_text(json.dumps(self.all, indent=1), encoding="utf-8")


def score_all(place, rules, work, tiers, kept, say):
    """Score the (mutant, tiers) of `work` on as many copies as there are jobs."""
    scratches = queue.SimpleQueue()
    for scratch in place:
        scratches.put(scratch)
    done = 0
    lock = threading.Lock()

    def one(item):
        nonlocal done
        mutant, chosen = item
        scratch = scratches.get()
        try:
            score = score_mutant(scratch, tiers, mutant, chosen, rules, kept.commit)
        finally:
            scratches.put(scratch)
        with lock:
            done += 1
            kept.put(score, chosen)
            say_score(score, done, len(work), say)
        return score

    with concurrent.futures.ThreadPoolExecutor(len(place)) as pool:
        return list(pool.map(one, work))


# ---- The table ------------------------------------------------------------------------------------


def state_of(root):
    listing = subprocess.run(["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"], check=False,
                             capture_output=True, text=True)
    return listing.stdout.strip() or "a tree without history"


COLUMNS = ("mutant", "the bug", "breaks", "found by", "commit")
KILL = re.compile(r"(\w+): (.+) \([^()]*\), [\d.]+ s")


def cell(outcome):
    return f"{outcome.tier}: {outcome.part} ({outcome.how}), {outcome.seconds:.1f} s" if outcome.verdict == "killed" else \
        f"{outcome.tier}: {outcome.verdict}, {outcome.seconds:.1f} s"


def row(score):
    mutant = score.mutant
    found = "<br>".join(cell(outcome) for outcome in score.outcomes if outcome.verdict != "passed") or "nothing"
    return (f"{mutant.name}{' (safety)' if mutant.safety else ''}", mutant.what.rstrip("."), mutant.breaks,
            found.replace("|", "/"), score.commit)


def read_rows(text):
    """The rows of a table, by the mutants' names."""
    rows = [tuple(word.strip() for word in line.strip("|").split("|")) for line in text.splitlines() if line.startswith("| ")]
    return {cells[0].split()[0]: cells for cells in rows if len(cells) == len(COLUMNS) and cells != COLUMNS}


def kills_of(cells):
    """The tiers that found the mutant, with what failed."""
    return [found.groups() for found in map(KILL.fullmatch, cells[3].split("<br>")) if found]


def verdict_of(cells, mutant):
    kills = len(kills_of(cells))
    if kills >= mutant.demanded:
        return "killed"
    if kills:
        return "killed by too few tiers"
    return "hung" if ": hung, " in cells[3] else "survived"


def known_killers(root):
    """What found which mutant when the table was made: {(mutant, tier): part}."""
    page = root / DONE
    rows = read_rows(page.read_text(encoding="utf-8")) if page.exists() else {}
    return {(name, tier): part for name, cells in rows.items() for tier, part in kills_of(cells)}


def table(rows, mutants, asserts):
    there = [(mutant, rows[mutant.name]) for layer in LAYERS for mutant in mutants
             if mutant.layer == layer and mutant.name in rows]
    counts = collections.Counter(verdict_of(cells, mutant) for mutant, cells in there)
    told = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
    return [f"{len(there)} mutants, the core's assertions {asserts}: {told}.", "",
            f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|", *(f"| {' | '.join(cells)} |" for _, cells in there)]


def write_table(path, scores, mutants, asserts):
    """Put the scores into the part of the file between the two marks for this kind of score. Rows of other mutants stay, as long as
    there are these mutants."""
    begin, end = f"<!-- score, assertions {asserts}: begin -->", f"<!-- score, assertions {asserts}: end -->"
    text = path.read_text(encoding="utf-8")
    if begin not in text or end not in text:
        raise Trouble(f"{path} has no place for the table: {begin} and {end}")
    head, rest = text.split(begin, 1)
    before, tail = rest.split(end, 1)
    rows = {**read_rows(before), **{score.mutant.name: row(score) for score in scores if not score.trouble}}
    path.write_text("\n".join([head + begin, "", *table(rows, mutants, asserts), "", end + tail]), encoding="utf-8")


# ---- The program ----------------------------------------------------------------------------------


def parse(words):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--root", type=pathlib.Path, default=tree.ROOT, help="of the sources")
    parser.add_argument("--jobs", type=int, default=1, help="copies of the sources that are worked on at once")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="mutants to score")
    parser.add_argument("--layers", default="", help="those of these layers, separated by commas")
    parser.add_argument("--sample", type=int, metavar="K", help="score K of them")
    parser.add_argument("--seed", default="", help="by which they are drawn")
    parser.add_argument("--tiers", default="", help="run these tiers only, separated by commas")
    parser.add_argument("--once", action="store_true", help="let one tier do, for mutants of safety, too")
    parser.add_argument("--all-tiers", action="store_true", help="go on when a mutant was killed often enough")
    parser.add_argument("--asserts", choices=("on", "off", "both"), default="on", help="off: core mutants, without its assertions")
    parser.add_argument("--resume", action="store_true", help="keep what earlier runs found for the same commit")
    parser.add_argument("--kept", action="store_true", help="run nothing: tell only what earlier runs found for this commit")
    parser.add_argument("--table", type=pathlib.Path, metavar="FILE", help="put the scores into the table in this file")
    return parser.parse_args(words)


def choose(mutants, arguments, asserts="on"):
    if arguments.only:
        unknown = set(arguments.only) - {mutant.name for mutant in mutants}
        if unknown:
            raise Trouble(f"no such mutant: {', '.join(sorted(unknown))}")
        mutants = [mutant for mutant in mutants if mutant.name in arguments.only]
    layers = arguments.layers.split(",") if arguments.layers else LAYERS
    mutants = [mutant for mutant in mutants if mutant.layer in layers and (asserts == "on" or mutant.layer == "core")]
    if arguments.sample is not None and arguments.sample < len(mutants):
        # by the names' hashes, so that a mutant more does not change all that is drawn
        def rank(mutant):
            return hashlib.sha256(f"{arguments.seed} {mutant.name}".encode()).digest()
        mutants = sorted(sorted(mutants, key=rank)[:arguments.sample], key=lambda mutant: mutant.name)
    if not mutants:
        raise Trouble("there is no such mutant")
    return mutants


def plan(mutants, definitions, arguments):
    """The mutants to score, each with the tiers to run on it."""
    allowed = set(arguments.tiers.split(",")) if arguments.tiers else None
    work = []
    for mutant in mutants:
        unknown = [tier for tier in mutant.tiers if mutant.layer not in definitions.get(tier, {}) and allowed is None]
        if unknown:
            raise Trouble(f"{mutant.name}: layer {mutant.layer} has no tier {', '.join(unknown)} in tiers.json")
        chosen = tuple(tier for tier in mutant.tiers if allowed is None or tier in allowed)
        if chosen:
            work.append((mutant, chosen))
    if not work:
        raise Trouble("none of the mutants has any of these tiers")
    return work


def claim(root, count, kind, options):
    """Copies that no other run of this program works on. A lock ends with the process that holds it."""
    place = []
    for number in range(100):
        folder = root / "build/mutants" / f"{number}{kind}"
        folder.mkdir(parents=True, exist_ok=True)
        # pylint: disable-next=consider-using-with
        lock = open(folder / "lock", "w", encoding="utf-8")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        place.append(Scratch(root, folder, options, lock))
        if len(place) == count:
            break
    return place


def run(words, say):
    arguments = parse(words)
    modes = ("on", "off") if arguments.asserts == "both" else (arguments.asserts,)
    root = arguments.root.resolve()
    commit = state_of(root)  # before the table is written into it
    return max(run_mode(root, commit, arguments, asserts, say) for asserts in modes)


def run_mode(root, commit, arguments, asserts, say):
    mutants = read_mutants(root)
    work = plan(choose(mutants, arguments, asserts), read_tiers(root), arguments)
    kind = "" if asserts == "on" else "-asserts-off"
    kept = Kept(root / f"build/mutants/kept{kind}.json", commit, arguments.resume or arguments.kept)
    scores = [score for score in (kept.find(mutant, chosen) for mutant, chosen in work) if score]
    work = [(mutant, chosen) for mutant, chosen in work if not kept.find(mutant, chosen)]
    say(f"{len(work)} mutants, the core's assertions {asserts}; first the sources as they are ({kept.commit})")
    if work and not arguments.kept:
        scores += score_work(root, arguments, asserts, work, kept, say)
    elif work:
        say(f"not scored yet: {', '.join(mutant.name for mutant, _ in work)}")
    if arguments.table:
        write_table(arguments.table, scores, mutants, asserts)
    return finish(scores, say)


def score_work(root, arguments, asserts, work, kept, say):
    options = ["-Dcore_asserts=false"] if asserts == "off" else []
    kind = "" if asserts == "on" else "-asserts-off"
    wanted = sorted({(tier, mutant.layer) for mutant, chosen in work for tier in chosen})
    rules = Rules(arguments.all_tiers, arguments.once, known_killers(root))
    place = claim(root, min(max(arguments.jobs, 1), len(work)), kind, options)
    try:
        for scratch in place:
            scratch.prepare()
        return score_all(place, rules, work, Tiers(place[0], read_tiers(root), wanted, say), kept, say)
    finally:
        for scratch in place:
            scratch.lock.close()


def finish(scores, say):
    by_verdict = collections.defaultdict(list)
    for score in scores:
        by_verdict[score.verdict].append(score.mutant.name)
    for verdict, names in sorted(by_verdict.items()):
        if verdict != "killed":
            say(f"{verdict}: {', '.join(names)}")
    killed = len(by_verdict["killed"]) + len(by_verdict["TOO FEW TIERS"])
    say(f"{killed} killed, {len(by_verdict['SURVIVED'])} survived")
    if by_verdict["ERROR"]:
        return 2
    return 0 if all(score.found for score in scores) else 1


def main(words):
    try:
        return run(words, lambda line: print(line, flush=True))
    except Trouble as trouble:
        print(f"mutants.py: {trouble}", file=sys.stderr, flush=True)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
