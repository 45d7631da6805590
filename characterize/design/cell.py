"""Measures what a single cell is worth: read current, noise margins, read disturb, leakage, with their spreads."""

from collections.abc import Callable
from concurrent.futures import Executor, Future, as_completed
from dataclasses import replace

import numpy as np

from prcim.cells.benches.bench import DECK_CELLS
from prcim.cells.benches.disturb import disturbed_bit
from prcim.cells.cell import Cell
from prcim.characterize.design.cell_bench import CellBench, Figures, Task
from prcim.characterize.design.cell_result import CellFigures, DisturbPoint, Leakage, Margin, ReadPoint
from prcim.characterize.statistics.moments import moments, share_ci95
from prcim.errors import InputError

#: Word-line levels at which a cell is measured unless told otherwise, V.
V_WL_V = (0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1)
#: Pelgrom coefficients of the gain for a second and third table of the read current, m.
A_BETAS_M = (1e-8, 2e-8)


def draws_current(cell: Cell) -> bool:
    """Whether a read of the cell is a current."""
    return bool({"steady", "pulsed"} & set(cell.reads))


def measure_cell(
    bench: CellBench,
    executor: Executor,
    *,
    v_wl_v: tuple[float, ...] | None = None,
    draws: int = 2000,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> CellFigures:
    """Measures everything that makes sense of a cell.

    Args:
        bench: the cell and its conditions.
        executor: where the decks run.
        v_wl_v: levels of the word line, V; those of `V_WL_V` up to the supply unless given.
        draws: cells with a mismatch of their own.
        progress: called with decks done and decks in all.

    Raises:
        InputError: a level or the number of draws makes no sense.
        RunError: ngspice cannot simulate the cell.
    """
    vdd_v = bench.technology.vdd_v
    levels = v_wl_v if v_wl_v is not None else tuple(v for v in V_WL_V if v <= vdd_v) or (vdd_v,)
    if not levels or not all(0 < v <= 2 for v in levels):
        raise InputError(f"word-line levels are {levels} V; each must lie above 0 and be at most 2 V")
    if not 16 <= draws <= 1_000_000:
        raise InputError(f"draws is {draws}; a spread takes 16 to 1000000 draws")
    bench.require()
    wanted = _wanted(bench.cell, levels, vdd_v)
    found = _run(bench, wanted, executor, draws, progress)

    def read(name: str) -> tuple[ReadPoint, ...]:
        currents = found.get(name)
        if currents is None:
            return ()
        return tuple(ReadPoint(v_wl_v=v, current_a=moments(i)) for v, i in zip(levels, currents.T, strict=True))

    def margin(name: str) -> Margin | None:
        if name not in found:
            return None
        nominal_v = float(bench.nominal(wanted[name]).min())
        level = wanted[name].v_wl_v
        return Margin(
            v_wl_v=level[0] if level else None, nominal_v=nominal_v, margin_v=moments(found[name].min(axis=1))
        )

    return CellFigures(
        bench=bench,
        draws=draws,
        read=read("read"),
        read_with_gain={a: read(f"read {a}") for a in A_BETAS_M if f"read {a}" in found},
        read_off=read("off"),
        snm_read=margin("snm read"),
        snm_hold=margin("snm hold"),
        disturb=tuple(_disturb(bench, wanted[f"trip {v}"], found[f"trip {v}"]) for v in levels if f"trip {v}" in found),
        leakage=tuple(_leakage(bench, wanted[f"leak {bit}"], found[f"leak {bit}"]) for bit in (0, 1)),
    )


def _wanted(cell: Cell, levels: tuple[float, ...], vdd_v: float) -> dict[str, Task]:
    """A task for each measurement that makes sense of the cell."""
    tasks = {f"leak {bit}": Task(kind="leakage", bit=bit) for bit in (0, 1)}
    if draws_current(cell):
        tasks["read"] = Task(kind="read", v_wl_v=levels, a_beta_m=0.0)
        tasks["off"] = Task(kind="read", v_wl_v=levels, a_beta_m=0.0, bit=-1)
        for a_beta_m in A_BETAS_M:
            tasks[f"read {a_beta_m}"] = Task(kind="read", v_wl_v=levels, a_beta_m=a_beta_m)
    if cell.latch:
        tasks["snm hold"] = Task(kind="margins")
        tasks["snm read"] = Task(kind="margins", v_wl_v=(vdd_v,))
    if disturbed_bit(cell) is not None:
        tasks |= {f"trip {v}": Task(kind="trip", v_wl_v=(v,)) for v in levels if v <= vdd_v}
    return tasks


def _run(
    bench: CellBench,
    wanted: dict[str, Task],
    executor: Executor,
    draws: int,
    progress: Callable[[int, int], None],
) -> dict[str, Figures]:
    """Figures of all cells for each task, shape (draws, figures)."""
    futures: dict[Future[Figures], tuple[str, int]] = {}
    for name, task in wanted.items():
        for deck, first in enumerate(range(0, draws, DECK_CELLS)):
            part = replace(task, deck=deck, cells=min(DECK_CELLS, draws - first))
            futures[executor.submit(bench.measure, part)] = (name, deck)
    found: dict[tuple[str, int], Figures] = {}
    progress(0, len(futures))
    for future in as_completed(futures):
        found[futures[future]] = future.result()
        progress(len(found), len(futures))
    decks = range(-(-draws // DECK_CELLS))
    return {name: np.concatenate([found[name, deck] for deck in decks]) for name in wanted}


def _disturb(bench: CellBench, task: Task, found: Figures) -> DisturbPoint:
    trip_v = moments(found)
    # A cell that is lost at once has no trip voltage; lost it is.
    good = found[~np.isnan(found)]
    lost = {}
    for line_v in (step / 10 for step in range(int(10 * bench.technology.vdd_v + 1e-9) + 1)):
        count = int(np.count_nonzero(good > line_v))
        lost[line_v] = (count / good.size, share_ci95(count, good.size))
    nominal_v = float(bench.nominal(task)[0, 0])
    return DisturbPoint(v_wl_v=task.v_wl_v[0], nominal_v=nominal_v, trip_v=trip_v, lost=lost)


def _leakage(bench: CellBench, task: Task, found: Figures) -> Leakage:
    total_a = found.sum(axis=1)
    total = moments(total_a)
    supply_a, bit_lines_a, others_a = np.nanmean(found, axis=0).tolist()
    return Leakage(
        bit=task.bit,
        total_a=total,
        p99_a=float(np.nanquantile(total_a, 0.99)),
        nominal_a=float(bench.nominal(task).sum()),
        supply_a=supply_a,
        bit_lines_a=bit_lines_a,
        others_a=others_a,
    )
