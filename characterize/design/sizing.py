"""What a designer asks first: spread, swing, disturb and energy of one design point, in a second or two."""

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from prcim.cells.benches.bench import DECK_CELLS
from prcim.cells.benches.disturb import disturbed_bit
from prcim.cells.column import Column
from prcim.cells.devices.passive import Capacitor
from prcim.cells.readouts.readout import SenseAmplifier
from prcim.cells.reads.read import Read
from prcim.characterize.design.cell_bench import CellBench, Task
from prcim.characterize.plan import Plan
from prcim.characterize.read_cost import read_cost
from prcim.characterize.size import size
from prcim.characterize.statistics.moments import moments
from prcim.errors import InputError, RunError
from prcim.spice.deck import Deck
from prcim.spice.ngspice import Ngspice, run_twice
from prcim.spice.outcome import Outcome


@final
@dataclass(frozen=True, kw_only=True)
class SizingPoint:
    """Figures of one design point; those that do not apply are None.

    Attributes:
        refused: why the read is refused; empty when it works. A refused point has the cell's figures alone.
        cells: number of cells drawn, `failed` of which could not be simulated.
        i_cell_a: mean read current of a cell with its bit line at the supply, A.
        rel_sigma, rel_sigma_ci95: relative spread of what a cell adds, and its 95 % interval.
        swing_v: how far the column without mismatch moves from the first sum to the last, V.
        step_v: how far one unit of S moves it at S = 0, V.
        step_ratio: last step of the transfer curve over the first.
        sigma_cells, sigma_amplifier: error of a sum at S = 0 from the cells and from the amplifier's offset, in S. The
            first is the small-error estimate: sqrt(2 n) times the relative spread where one line counts the cells that
            conduct, sqrt(n) where every cell pushes one way or the other.
        severity: both together over sqrt(n), the spread of S itself.
        t_read_s, energy_j: duration of a read and its energy at S = 0, reference and decision included.
        low_v: lowest voltage of a bit line, V.
        trip_v, trip_sigma_v: bit-line voltage at which a cell is overwritten, mean and spread, V; below ground where no
            line can do it. None where a read does not touch the latch.
        margin_sigma: (low_v - trip_v) / trip_sigma_v.
    """

    refused: str
    cells: int
    failed: int
    i_cell_a: float | None
    rel_sigma: float
    rel_sigma_ci95: tuple[float, float]
    swing_v: float | None = None
    step_v: float | None = None
    step_ratio: float | None = None
    sigma_cells: float | None = None
    sigma_amplifier: float | None = None
    severity: float | None = None
    t_read_s: float | None = None
    energy_j: float | None = None
    low_v: float | None = None
    trip_v: float | None = None
    trip_sigma_v: float | None = None
    margin_sigma: float | None = None


def size_point(
    plan: Plan, ngspice: Ngspice, *, cells: int = 200, amplifier: SenseAmplifier | None = None, timeout_s: float = 120.0
) -> SizingPoint:
    """Measures one design point.

    Args:
        plan: column, read, mismatch; its sampling is not used.
        ngspice: the simulator.
        cells: cells to draw for the spread.
        amplifier: the comparator at the end of the column; 1 um wide unless given.
        timeout_s: after this time a simulator counts as hanging, s.

    Raises:
        RunError: the column without mismatch, or most of its cells, cannot be simulated.
    """
    return _Sizer(plan, ngspice, cells, amplifier or SenseAmplifier(), timeout_s).point()


class _Sizer:
    def __init__(self, plan: Plan, ngspice: Ngspice, cells: int, amplifier: SenseAmplifier, timeout_s: float) -> None:
        sizes = plan.comparator.model_copy(update={"w_in_m": amplifier.w_m})
        self.plan = plan.model_copy(update={"comparator": sizes})
        self.ngspice, self.cells, self.amplifier = ngspice, cells, amplifier
        self.timeout_s = timeout_s
        self.mismatch = plan.make_mismatch()
        self.bench = CellBench(
            technology=plan.make_technology(),
            cell=plan.make_cell(),
            mismatch=self.mismatch,
            ngspice=ngspice,
            seed=plan.seed,
            timeout_s=timeout_s,
        )

    def point(self) -> SizingPoint:
        figures = self.cell_figures()
        try:
            column, read = size(self.plan, self.ngspice, timeout_s=self.timeout_s)
        except InputError as error:
            return SizingPoint(refused=str(error), **figures)
        return SizingPoint(
            refused="", **figures, **self.column_figures(column, read, figures["rel_sigma"]), **self.disturb_figures()
        )

    def cell_figures(self) -> dict[str, Any]:
        """Spread of what a cell adds: its current with the line at the supply, or its capacitor."""
        charge = self.plan.read.mode == "charge"
        if charge:
            index = next(i for i, part in enumerate(self.bench.cell.parts) if isinstance(part, Capacitor))
            value = np.concatenate([self.bench.shifts(deck, count)[1][:, index] for deck, count in self.decks()])
        else:
            v_wl_v = (self.plan.read.v_wl_v,)
            tasks = [Task(kind="read", deck=deck, cells=count, v_wl_v=v_wl_v) for deck, count in self.decks()]
            value = np.concatenate([self.bench.measure(task) for task in tasks])
        found = moments(value)
        return {
            "cells": self.cells,
            "failed": found.failed,
            "i_cell_a": None if charge else found.mean,
            "rel_sigma": found.rel_sigma,
            "rel_sigma_ci95": found.rel_sigma_ci95,
        }

    def decks(self) -> list[tuple[int, int]]:
        """Number and size of each deck of cells."""
        starts = range(0, self.cells, DECK_CELLS)
        return [(deck, min(DECK_CELLS, self.cells - first)) for deck, first in enumerate(starts)]

    def column_figures(self, column: Column, read: Read, rel_sigma: float) -> dict[str, Any]:
        """Transfer, time and energy of the column without mismatch, and what cells and amplifier make of it."""
        n, middle = column.n_used, column.n_used // 2
        n_on = np.unique([0, 1, middle - 1, middle, middle + 1, n - 1, n])
        inputs = np.where(np.arange(n) < n_on[:, None], 1, -1).astype(np.int8)
        draw = column.nominal_draw()
        shots = read.result(column, draw, inputs, self.run(read.deck(column, draw, inputs)))
        if len(shots.v_bl_v) < len(n_on) or not shots.held.all():
            raise RunError("the column without mismatch cannot be read: the solver stopped, or a cell lost its data")
        v = dict(zip(n_on.tolist(), shots.v_bl_v.tolist(), strict=True))
        step_v = (v[middle - 1] - v[middle + 1]) / 4
        counts = len(column.ends) == 1 and self.plan.read.mode != "charge"
        sigma_cells = math.sqrt((2 if counts else 1) * n) * rel_sigma
        sigma_amplifier = self.amplifier.offset_sigma_v(self.mismatch) / step_v
        at = n_on.tolist().index(middle)
        cost = read_cost(self.plan, column, read, lambda decks: [self.run(deck) for deck in decks], n_on=(middle,))
        return {
            "swing_v": v[0] - v[n],
            "step_v": step_v,
            "step_ratio": (v[n - 1] - v[n]) / (v[0] - v[1]),
            "sigma_cells": sigma_cells,
            "sigma_amplifier": sigma_amplifier,
            "severity": math.hypot(sigma_cells, sigma_amplifier) / math.sqrt(n),
            "t_read_s": read.t_read_s(column),
            "energy_j": float(shots.energy_j[at] + cost.added_j(np.array(middle))),
        }

    def disturb_figures(self) -> dict[str, Any]:
        """How far the lowest bit line stays above the voltage that overwrites a cell."""
        if disturbed_bit(self.bench.cell) is None:
            return {}
        low_v = self.plan.technology.vdd_v - self.plan.read.swing_v
        deck, count = self.decks()[0]
        trip_v = self.bench.measure(Task(kind="trip", deck=deck, cells=count, v_wl_v=(self.plan.read.v_wl_v,)))
        found = moments(trip_v)
        return {
            "low_v": low_v,
            "trip_v": found.mean,
            "trip_sigma_v": found.sigma,
            "margin_sigma": (low_v - found.mean) / found.sigma,
        }

    def run(self, deck: Deck) -> Outcome:
        return run_twice(self.ngspice, deck, self.timeout_s)
