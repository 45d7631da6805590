"""`make bench`: runs the suites one after the other and writes what each found to build/bench/NAME.json.

A suite is a module `benchmarks.NAME` with a function `measure(*, only, quick, say)` that yields or returns the entries
of its file, each a mapping with at least `name`, `ratio`, `a_s`, `b_s`, `n` (see `measurement.py`). `only` is the
beginning of the names that are wanted ("" for all), `say` takes a line of progress.
"""

import argparse
import importlib
import json
import os
import sys
import time
from pathlib import Path

from benchmarks.machine import ROOT, machine
from prcim.errors import PrcimError

#: Set to one before any suite loads NumPy or torch: a figure is for one core.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
SUITES = {
    "engines": "whole columns and composed ones against a PySpice deck and one ngspice process a shot",
    "growth": "memory and seconds of composed runs as columns and rows grow",
    "kernels": "noise kernels of the network against plain torch",
    "peers": "a layer on columns against the noisy layer of aihwkit-lightning",
    "roof": "what the steps of a noise kernel cost, in cycles of a core",
    "sums": "seconds of a layer from 10^6 to 10^9 partial sums",
}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Times prcim against the obvious way, side by side in one run."
    )
    known = "; ".join(f"{name}: {what}" for name, what in SUITES.items())
    parser.add_argument("suites", nargs="*", help=f"which suites, default all. {known}", metavar="SUITE")
    parser.add_argument("--only", default="", metavar="START", help="only names that begin so, as column/8t")
    parser.add_argument("--quick", action="store_true", help="few repetitions: shows that it works, not how fast")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench", metavar="DIR", help="default build/bench")
    parser.add_argument("--keep", action="store_true", help="also write benchmarks/results/SUITE.json, to be committed")
    options = parser.parse_args(arguments)
    for name in options.suites:
        if name not in SUITES:
            parser.error(f"there is no suite {name!r}; the suites are: {', '.join(SUITES)}")
    for variable in THREADS:
        os.environ.setdefault(variable, "1")
    options.out.mkdir(parents=True, exist_ok=True)
    print_line(f"machine: {json.dumps(about := machine())}")
    (options.out / "machine.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    for name in options.suites or SUITES:
        started = time.monotonic()
        try:
            suite = importlib.import_module(f"benchmarks.{name}")
            entries = []
            for entry in suite.measure(only=options.only, quick=options.quick, say=print_line):
                entries.append(entry)
                print_line(f"{name}: {json.dumps(entry)}")
                # As far as it is: an interrupted run leaves what it measured.
                (options.out / f"{name}.json").write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
        except PrcimError as error:
            print_line(f"{name}: {error}")
            return 1
        print_line(f"{name}: {len(entries)} entries in {time.monotonic() - started:.0f} s")
        if entries and options.keep:
            kept = ROOT / "benchmarks" / "results" / f"{name}.json"
            kept.write_text(json.dumps({"machine": about, name: entries}, indent=1) + "\n", encoding="utf-8")
    return 0


def print_line(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
