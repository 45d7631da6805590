"""A characterization from the plan to the table: starts, goes on where it was, ends with a file."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, final

import pandas as pd

from prcim.characterize.build import build_luts
from prcim.characterize.chunk import Chunk, chunks, weight
from prcim.characterize.composed.cell_classes import Run
from prcim.characterize.composed.composition import compose
from prcim.characterize.composed.engine import ComposedEngine
from prcim.characterize.engine import Engine, engines
from prcim.characterize.lut.error_lut import ErrorLUT
from prcim.characterize.lut.file import load_luts, save_luts
from prcim.characterize.plan import Plan, plan_id
from prcim.characterize.samples import read_chunk, read_samples, write_chunk
from prcim.errors import InputError, RunError
from prcim.files import lock_folder, write_text
from prcim.spice.deck import Deck
from prcim.spice.ngspice import Ngspice, run_twice
from prcim.spice.outcome import Outcome

#: Called with the work done and the work in all, in reads of whole columns.
Progress = Callable[[int, int], None]


@final
@dataclass(frozen=True, kw_only=True)
class Characterization:
    """What a run leaves.

    Attributes:
        folder: where everything lies.
        luts: the tables, one for each of the plan's conditions, also in `folder`/lut.npz.
        summary: what `folder`/summary.json holds.
    """

    folder: Path
    luts: tuple[ErrorLUT, ...]
    summary: dict[str, Any]

    @property
    def lut(self) -> ErrorLUT:
        """The table at the plan's own conditions."""
        return self.luts[0]


def run_folder(plan: Plan, ngspice: Ngspice, root: Path) -> Path:
    """The folder of a plan's run below `root`: NAME-<first 8 of plan_id>."""
    return root / f"{plan.name}-{plan_id(plan, simulator=f'ngspice-{ngspice.version}')[:8]}"


def run_plan(
    plan: Plan,
    ngspice: Ngspice,
    folder: Path,
    executor: Executor,
    *,
    workers: int,
    progress: Progress = lambda done, total: None,
    timeout_s: float = 120.0,
) -> Characterization:
    """Simulates what is not simulated yet, then makes the table.

    Args:
        plan: what to do.
        ngspice: the simulator.
        folder: where samples and table go; a folder with finished chunks of the same plan is gone on with.
        executor: where chunks are simulated; `worker_setup` should be its initializer.
        workers: how many chunks are in flight at a time.
        progress: called whenever a chunk is done.
        timeout_s: after this time a simulator counts as hanging, s.

    Raises:
        InputError: the read is refused, a sample file is damaged, or another run works in the folder.
        RunError: too many shots fail, ngspice dies or hangs twice in a row, or the disk is full.
    """
    started = time.monotonic()
    identity = plan_id(plan, simulator=f"ngspice-{ngspice.version}")
    with lock_folder(folder):
        for scratch in (folder / "samples").glob(".*.part.parquet"):
            # Half-written by a run that was killed; ours is the only one here.
            scratch.unlink()
        work = chunks(plan)
        found = _found(plan, identity, folder, work)
        _check_failures(found.failures, found.shots_in_all, plan, folder)
        progress(found.weight, found.weight_in_all)
        failures, luts = found.failures, None if found.missing else _finished(folder, identity)
        if luts is None:
            solve = partial(_solve, ngspice, timeout_s)
            at = engines(plan, identity, ngspice, lambda decks: executor.map(solve, decks), timeout_s=timeout_s)

            def maker(point: int) -> Maker:
                own = Maker(engine=at[point])
                return own.composing(lambda decks: executor.map(solve, decks)) if plan.engine == "composed" else own

            def read(point: int) -> dict[str, pd.DataFrame]:
                return read_samples(folder, [chunk for chunk in work if chunk.point == point], plan_id=identity)

            failures = _simulate_missing(plan, found, maker, folder, executor, workers, progress)
            samples = map(read, range(len(plan.conditions)))
            save_luts(build_luts(identity, at, samples, f"ngspice-{ngspice.version}"), folder / "lut.npz")
            # What everybody else will read: single precision, as the file has it.
            luts = load_luts(folder / "lut.npz")
        summary = {
            "plan_id": identity,
            "engine": plan.engine,
            "shots": found.shots_in_all,
            "shots_resumed": found.shots,
            "failures": failures,
            "seconds": round(time.monotonic() - started, 1),
            # The column engine is what others are held against.
            "agreement": luts[0].meta["agreement"],
            "held": luts[0].meta["held"],
            "static_share": luts[0].static_share,
        }
        write_text(folder / "summary.json", json.dumps(summary, indent=2) + "\n")
        return Characterization(folder=folder, luts=luts, summary=summary)


@final
@dataclass(frozen=True, kw_only=True)
class Maker:
    """What makes the rows of one of the plan's conditions: ngspice, and arithmetic where columns are composed."""

    engine: Engine
    composed: ComposedEngine | None = None

    def composing(self, run: Run) -> "Maker":
        """The same with a composition of its columns, which takes some simulations of its own."""
        engine = self.engine
        composition = compose(engine.plan, engine.column, engine.read, run, hold=engine.held.used)
        composed = ComposedEngine(plan=engine.plan, plan_id=engine.plan_id, composition=composition, cost=engine.cost)
        return replace(self, composed=composed)

    def make(self, chunk: Chunk) -> pd.DataFrame:
        """The rows of a chunk."""
        if self.composed is not None and chunk.kind == "columns":
            return self.composed.simulate(chunk)
        return self.engine.simulate(chunk)


@final
@dataclass(frozen=True, kw_only=True)
class Found:
    """What earlier runs left: chunks without a file; of those with one the shots, their weight, those that failed."""

    missing: tuple[Chunk, ...]
    shots: int
    weight: int
    failures: int
    shots_in_all: int
    weight_in_all: int


def _found(plan: Plan, identity: str, folder: Path, work: list[Chunk]) -> Found:
    """Reads every file once, since a damaged one must be named before anything is simulated."""
    missing = []
    shots = done = failures = shots_in_all = weight_in_all = 0
    for chunk in work:
        rows = read_chunk(folder, chunk, plan_id=identity)
        shots_in_all += chunk.shots(plan)
        weight_in_all += weight(chunk, plan)
        if rows is None:
            missing.append(chunk)
        else:
            shots += chunk.shots(plan)
            done += weight(chunk, plan)
            failures += _failures(rows)
    return Found(
        missing=tuple(missing),
        shots=shots,
        weight=done,
        failures=failures,
        shots_in_all=shots_in_all,
        weight_in_all=weight_in_all,
    )


def _finished(folder: Path, identity: str) -> tuple[ErrorLUT, ...] | None:
    """The tables of a run that got to its end; None if there are none, or others, or damaged ones."""
    try:
        luts = load_luts(folder / "lut.npz")
    except InputError:
        return None
    return luts if luts[0].plan_id == identity else None


def _solve(ngspice: Ngspice, timeout_s: float, deck: Deck) -> Outcome:
    return run_twice(ngspice, deck, timeout_s)


def _made(missing: Sequence[Chunk], maker: Callable[[int], Maker]) -> Iterator[tuple[Chunk, Maker]]:
    """Each chunk and its maker. One is made when the one before has no more chunks: all together would take memory."""
    for point, some in groupby(missing, lambda chunk: chunk.point):
        its = maker(point)
        for chunk in some:
            yield chunk, its


def _simulate_missing(
    plan: Plan,
    found: Found,
    maker: Callable[[int], Maker],
    folder: Path,
    executor: Executor,
    workers: int,
    progress: Progress,
) -> int:
    """Simulates the chunks that have no file; returns how many shots failed, those of earlier runs included."""
    done, failures = found.weight, found.failures
    pending: dict[Future[pd.DataFrame], Chunk] = {}
    queue = _made(found.missing, maker)
    while True:
        for chunk, its in queue:
            pending[executor.submit(its.make, chunk)] = chunk
            # Two a worker: none waits, and little is queued when something goes wrong.
            if len(pending) >= 2 * workers:
                break
        if not pending:
            return failures
        finished, _ = wait(pending, return_when=FIRST_COMPLETED)
        for future in finished:
            chunk = pending.pop(future)
            rows = future.result()
            for name, deck in rows.attrs.get("decks", {}).items():
                write_text(folder / "failed" / name, deck)
            write_chunk(folder, chunk, rows)
            done += weight(chunk, plan)
            failures += _failures(rows)
            _check_failures(failures, found.shots_in_all, plan, folder)
            progress(done, found.weight_in_all)


def _failures(rows: pd.DataFrame) -> int:
    return int((rows["status"] != "ok").sum())


def _check_failures(failures: int, total: int, plan: Plan, folder: Path) -> None:
    limit = plan.sampling.failures_max
    if failures > limit * total:
        raise RunError(
            f"{failures} of {total} shots failed, more than the allowed share {limit:g}; there is no table. The column"
            f" `status` of {folder / 'samples'}/*.parquet says why; failures_max raises the limit"
        )
