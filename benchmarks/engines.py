"""The engines against the obvious way: a PySpice deck of the whole column and one ngspice process for every shot.

Seconds are processor time (user and system, simulators included) of one column on one core, at 65 sums and 8 patterns,
whatever its rows. The obvious way uses the same read and the same options of the solver; it is timed on single shots
spread over the sums, and multiplied, since a whole column would take minutes.

`column` is that engine, its preparation included as a share of 4,096 columns. `composed` is a whole run of 4,096
columns, divided by them: preparation, reads, cells, dies, checks, composed columns, table. Of its chunks some of each
kind are timed and multiplied by the reads that they hold; notes have the parts.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.measurement import Measurement, cpu_s, median, timed
from benchmarks.table_time import table_s
from prcim.characterize.chunk import Chunk, chunks
from prcim.characterize.engine import engines
from prcim.characterize.patterns import input_patterns
from prcim.characterize.plan import Plan, named_plan
from prcim.characterize.run import Maker
from prcim.characterize.streams import Stream
from prcim.cli.workers import usable_cores, worker_pool
from prcim.spice.deck import Deck
from prcim.spice.ngspice import find_ngspice, run_twice
from prcim.spice.outcome import Outcome

TIMEOUT_S = 600.0
#: Single shots of the obvious way, and columns of the column engine, by rows.
SHOTS, COLUMNS = {64: 9, 128: 5, 256: 3}, {64: 3, 128: 2, 256: 1}
#: Chunks of each kind that stand for all of them; of dies, checks and columns so many more where rows are few.
CHUNKS, MORE = {"reads": 1, "cells": 1, "chips": 1, "checks": 1, "columns": 1}, {64: 2, 128: 1, 256: 0}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a ratio is about."""

    cell: str
    rows: int
    mode: str

    def name(self, engine: str) -> str:
        return f"{engine}/{self.cell}/r{self.rows}/{self.mode}"

    @property
    def plan(self) -> Plan:
        """The named plan; for 256 rows that of 128 with twice the rows."""
        suffix = "" if self.mode == "steady" else "-pulsed"
        return named_plan(f"{self.cell}-{min(self.rows, 128)}{suffix}").changed([f"rows={self.rows}"])


#: The quickest first, so that a run which is stopped leaves most.
SETTINGS = [
    Setting(cell=cell, rows=rows, mode=mode)
    for rows in (64, 128, 256)
    for mode in ("steady", "pulsed")
    for cell in ("8t", "6t")
]


def measure(*, only: str, quick: bool, say: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """The entries of build/bench/engines.json; one setting a core at a time."""
    jobs = []
    for setting in SETTINGS:
        wanted = [engine for engine in ("column", "composed") if setting.name(engine).startswith(only)]
        if wanted:
            jobs.append((setting, wanted, quick))
    if not jobs:
        return
    cores = usable_cores()
    say(f"engines: {len(jobs)} settings on {cores} cores, one each")
    with worker_pool(cores) as pool:
        table = None
        if any("composed" in wanted for _, wanted, _ in jobs):
            table = pool.submit(table_s, named_plan("8t-64").changed(["columns=256"] if quick else []))
        for job, found in [(job, pool.submit(_measured, *job)) for job in jobs]:
            for measurement in found.result():
                yield _whole(measurement, job[0].plan, table).entry


def _measured(setting: Setting, wanted: list[str], quick: bool) -> list[Measurement]:
    bench = _Bench(setting, quick)
    return [bench.column() if engine == "column" else bench.composed() for engine in wanted]


def _whole(found: Measurement, plan: Plan, table: Future[float] | None) -> Measurement:
    """A composed run with the table at its end."""
    if table is None or not found.name.startswith("composed"):
        return found
    seconds = table.result()
    notes = {**found.notes, "table_s": float(f"{seconds:.3g}")}
    return replace(found, b_s=found.b_s + seconds / plan.sampling.columns, notes=notes)


class _Bench:
    def __init__(self, setting: Setting, quick: bool) -> None:
        self.setting, self.rows, self.quick, self.plan = setting, setting.rows, quick, setting.plan
        self.ngspice = find_ngspice()
        before = cpu_s()
        (self.engine,) = engines(self.plan, "0" * 64, self.ngspice, self.run, timeout_s=TIMEOUT_S)
        self.preparation_s = cpu_s() - before
        self.reads = self.plan.sampling.sums * self.plan.sampling.patterns
        shots = [timed(self.obvious, i) for i in range(1 if quick else SHOTS[self.rows])]
        self.shots, self.obvious_s = len(shots), median(shots)

    def run(self, decks: Sequence[Deck]) -> list[Outcome]:
        return [run_twice(self.ngspice, deck, TIMEOUT_S) for deck in decks]

    def obvious(self, index: int) -> None:
        """One read of a drawn column, in a deck and a process of its own."""
        plan, column, read = self.plan, self.engine.column, self.engine.read
        draw = column.draw(plan.make_mismatch(), (plan.seed, Stream.COLUMN, index))
        inputs, _ = input_patterns(draw.weights[: plan.n_used], plan, index, range(plan.sampling.patterns))
        # Sums a golden section apart, so that however few there are they cover the range.
        one = inputs[[int(plan.sampling.sums * ((0.5 + 0.618034 * index) % 1))]]
        shots = read.result(column, draw, one, run_twice(self.ngspice, read.deck(column, draw, one), TIMEOUT_S))
        assert len(shots.v_bl_v) == 1

    def column(self) -> Measurement:
        """Columns by the column engine; of reads in time those of one deck, multiplied."""
        engine, plan, limit = self.engine, self.plan, self.engine.read.shots_per_deck
        if limit < self.reads or self.quick:
            plan = plan.changed([f"sums={4 if self.rows > 128 else 8}", "patterns=2"])
        times = self.reads / (plan.sampling.sums * plan.sampling.patterns)
        some = replace(engine, plan=plan)
        columns = [Chunk(kind="columns", first=i, last=i + 1) for i in range(1 if self.quick else COLUMNS[self.rows])]
        spent = [times * timed(some.simulate, chunk) for chunk in columns]
        held = {"held_max_mac": engine.held.meta["max_mac"]} if engine.held.n else {}
        b_s = median(spent) + self.preparation_s / self.plan.sampling.columns
        return self.measurement("column", b_s, len(spent), held)

    def composed(self) -> Measurement:
        """A run without its table."""
        plan = self.plan
        before = cpu_s()
        maker = Maker(engine=self.engine).composing(self.run)
        parts = {"preparation": self.preparation_s + cpu_s() - before}
        for kind, least in CHUNKS.items():
            count = least + (MORE[self.rows] if kind in ("chips", "checks", "columns") else 0)
            every = [chunk for chunk in chunks(plan) if chunk.kind == kind]
            # Not the first: the die without a shift has more sums than others.
            some = every[1 : 1 + (1 if self.quick else count)]
            spent = sum(timed(maker.make, chunk) for chunk in some)
            parts[kind] = spent * sum(c.shots(plan) for c in every) / sum(c.shots(plan) for c in some)
        notes = {f"{name}_s": float(f"{seconds:.3g}") for name, seconds in parts.items()}
        return self.measurement("composed", sum(parts.values()) / plan.sampling.columns, 1, notes)

    def measurement(self, engine: str, b_s: float, n: int, notes: dict[str, Any]) -> Measurement:
        a_s = self.obvious_s * self.reads
        notes = {"shots": self.shots, **notes}
        return Measurement(name=self.setting.name(engine), a_s=a_s, b_s=b_s, n=n, notes=notes)
