#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make bench: Lash and its peers on this machine, in turn, A B A B, so that what drifts drifts for both.

usage: run.py [--quick] [--rows NAME,...] [--pairs N] [--seconds S] [--minutes M] [--out DIRECTORY]

Builds all, measures the rows of bench/rows.py and then how cost grows, and writes results.md, results.json and plots into
DIRECTORY (bench; with --quick build/bench). It ends within --minutes, and says which pairs there was no time for. --quick: one
pair of a second for each row, little data and no plots but the ratios': whether everything works, and no figures.
"""
import argparse
import dataclasses
import datetime
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import plot
import programs
import results
from rows import ROWS, SWEEPS, Outcome


@dataclasses.dataclass
class Settings:
    """How much of everything."""
    pairs: int = 5
    seconds: float = 5
    warm_up: float = 1
    gap_seconds: float = 8
    puts: int = 1000000
    keys: int = 100000
    data_bytes: int = 2 << 30


QUICK = Settings(pairs=1, seconds=1, warm_up=0.3, gap_seconds=6, puts=5000, keys=1000, data_bytes=8 << 20)
# what is no reason to measure nothing else
FAILURES = (programs.Trouble, subprocess.SubprocessError, OSError)


class Clock:
    """How much of the time is left."""

    def __init__(self, minutes):
        self.began = time.monotonic()
        self.seconds = minutes * 60

    def spent(self):
        return time.monotonic() - self.began

    def over(self):
        return self.spent() >= self.seconds

    def say(self, text):
        spent = int(self.spent())
        print(f"[{spent // 60:3}:{spent % 60:02}] {text}", flush=True)


def measure_row(row, settings, clock, label):
    outcome = Outcome(row)
    try:
        with row.begin(settings) as measure:
            while len(outcome.pairs) < settings.pairs:
                if clock.over():
                    outcome.trouble = f"no time for more than {len(outcome.pairs)} of {settings.pairs} pairs"
                    break
                pair = measure()
                outcome.pairs.append(pair)
                clock.say(f"{label} {row.name} {len(outcome.pairs)}/{settings.pairs}: "
                          f"Lash {results.figure(row.ours(pair[0]))} {row.unit}, {row.against} "
                          f"{results.figure(row.theirs(pair[1]))} {row.unit}, ratio {row.ratio(pair):.3g}")
    except FAILURES as trouble:
        outcome.trouble = str(trouble)
    if outcome.trouble:
        clock.say(f"{label} {row.name}: {outcome.trouble}")
    return outcome


def measure_sweep(sweep, settings, clock):
    """{program: [(x, figure)]}."""
    series = {}
    for value in sweep.values:
        for name in sweep.names:
            if clock.over():
                return series
            try:
                result = sweep.measure(name, value, settings)
            except FAILURES as trouble:
                clock.say(f"{sweep.name}, {name} at {value}: {trouble}")
                continue
            series.setdefault(name, []).append((value, result))
            clock.say(f"{sweep.name}: {name} at {value}: {results.figure(result)} {sweep.y_title}")
    return series


def draw(out, outcomes, settings, clock, sweeps):
    """Write the plots; {title: path relative to `out`}."""
    drawn = {}
    folder = out / "plots"
    folder.mkdir(parents=True, exist_ok=True)
    bars = results.ratios(outcomes)
    if bars:
        (folder / "ratios.svg").write_text(bars)
        drawn["Ratios"] = "plots/ratios.svg"
    for sweep in sweeps:
        series = measure_sweep(sweep, settings, clock)
        if series:
            (folder / f"{sweep.name}.svg").write_text(plot.lines(sweep.title, sweep.x_title, sweep.y_title, series))
            drawn[sweep.title] = f"plots/{sweep.name}.svg"
    return drawn


def write(out, outcomes, plots, about):
    (out / "results.md").write_text(results.document(outcomes, plots, about))
    (out / "results.json").write_text(json.dumps(
        {**about, "rows": {outcome.row.name: {"pairs": outcome.pairs, "trouble": outcome.trouble} for outcome in outcomes}},
        indent=1) + "\n")


def choose_rows(names):
    known = {row.name: row for row in ROWS}
    unknown = set(names) - set(known)
    if unknown:
        raise SystemExit(f"run.py: no such row: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return [known[name] for name in names] or ROWS


def arguments_of(words):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rows", default="", help="only these")
    parser.add_argument("--pairs", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--minutes", type=float, default=90)
    parser.add_argument("--out", type=pathlib.Path)
    arguments = parser.parse_args(words)
    arguments.rows = choose_rows([name for name in arguments.rows.split(",") if name])
    arguments.settings = QUICK if arguments.quick else Settings()
    for name in ("pairs", "seconds"):
        if getattr(arguments, name):
            setattr(arguments.settings, name, getattr(arguments, name))
    arguments.out = arguments.out or (programs.BUILD / "bench" if arguments.quick else programs.ROOT / "bench")
    return arguments


def main():
    arguments = arguments_of(sys.argv[1:])
    # on a disk: where temporary files are in memory a sync costs nothing
    tempfile.tempdir = os.environ.get("TMPDIR", "/var/tmp")
    os.environ["TMPDIR"] = tempfile.tempdir
    clock = Clock(arguments.minutes)
    about = {"command": "bench/run.py " + " ".join(sys.argv[1:]), "machine": programs.machine(tempfile.tempdir),
             "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")}
    programs.build(clock.say)
    about["versions"] = programs.versions()
    about["settings"] = {**programs.SETTINGS, "amounts": dataclasses.asdict(arguments.settings)}
    outcomes = [measure_row(row, arguments.settings, clock, f"{number}/{len(arguments.rows)}")
                for number, row in enumerate(arguments.rows, 1)]
    plots = draw(arguments.out, outcomes, arguments.settings, clock, [] if arguments.quick else SWEEPS)
    about["minutes"] = clock.spent() / 60
    write(arguments.out, outcomes, plots, about)
    clock.say(f"written: {arguments.out / 'results.md'}")
    print("\n".join(results.table(outcomes)))
    return 1 if any(not outcome.pairs for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
