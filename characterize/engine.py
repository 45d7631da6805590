"""The `column` engine: whole columns in ngspice, every transistor of every cell."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from prcim.cells.column import BIT_LINE, Column, ColumnDraw
from prcim.cells.read_current import read_currents
from prcim.cells.steady_read import SteadyRead
from prcim.characterize.chunk import Chunk, read_sums
from prcim.characterize.plan import Plan
from prcim.errors import InputError, RunError
from prcim.spice.deck import Deck
from prcim.spice.ngspice import Ngspice
from prcim.spice.outcome import Outcome

#: Random streams; each item of a stream has a key of its own, so no draw depends on another.
COLUMN_STREAM, PATTERN_STREAM, CHIP_STREAM, CELL_STREAM = 1, 2, 3, 4


@final
@dataclass(frozen=True, kw_only=True)
class Engine:
    """One plan, ready to simulate.

    Attributes:
        plan: what to simulate.
        plan_id: its identity, written into every row.
        ngspice: the simulator.
        load_ohm: the load that gives the plan's swing, from `size_load`.
        timeout_s: after this time a simulator counts as hanging, s.
    """

    plan: Plan
    plan_id: str
    ngspice: Ngspice
    load_ohm: float
    timeout_s: float = 120.0

    def simulate(self, chunk: Chunk) -> pd.DataFrame:
        """Simulates one chunk.

        Returns:
            One row a shot, with the columns that the README lists. A shot that does not converge, or in which a cell
            loses its data, is a row too; its status says so.

        Raises:
            RunError: ngspice was killed or hangs, twice in a row. That says nothing about the circuit, so there are
                no rows; the same call can be made again.
        """
        rows: Iterator[dict[str, Any]]
        match chunk.kind:
            case "reads":
                rows = self._reads(chunk)
            case "cells":
                rows = self._cells(chunk)
            case "chips":
                rows = self._chips(chunk)
            case "columns":
                rows = self._columns(chunk)
        return pd.DataFrame([{"plan_id": self.plan_id, "kind": chunk.kind, **row} for row in rows])

    @property
    def column(self) -> Column:
        """The column with its load."""
        return self.plan.make_column(self.load_ohm)

    def _columns(self, chunk: Chunk) -> Iterator[dict[str, Any]]:
        column, plan = self.column, self.plan
        for index in range(chunk.first, chunk.last):
            draw = column.draw(plan.make_mismatch(), (plan.seed, COLUMN_STREAM, index))
            patterns, n_on = input_patterns(draw.weights[: plan.n_used], plan, index)
            yield from self._steady_rows(column, draw, patterns, n_on, chip=-1, column_index=index)

    def _chips(self, chunk: Chunk) -> Iterator[dict[str, Any]]:
        column, plan = self.column, self.plan
        for chip in range(chunk.first, chunk.last):
            dvt_n_v, dvt_p_v = plan.make_mismatch().draw_global((plan.seed, CHIP_STREAM, chip))
            # Chip 0 is the die without any shift, to compare with.
            draw = column.nominal_draw(dvt_n_v=dvt_n_v, dvt_p_v=dvt_p_v) if chip else column.nominal_draw()
            n_on = np.array(plan.n_on)
            inputs = np.where(np.arange(plan.n_used) < n_on[:, None], 1, -1).astype(np.int8)
            yield from self._steady_rows(column, draw, inputs, n_on, chip=chip, column_index=-1)

    def _steady_rows(
        self,
        column: Column,
        draw: ColumnDraw,
        inputs: NDArray[np.int8],
        n_on: NDArray[np.int_],
        *,
        chip: int,
        column_index: int,
    ) -> Iterator[dict[str, Any]]:
        sums = self.plan.sampling.sums
        solved = list(self._steady(self.plan.make_read(), column, draw, inputs))
        for shot, (v_bl_v, i_load_a, status, seconds) in enumerate(solved):
            yield {
                "chip": chip,
                "column": column_index,
                "pattern": shot // sums,
                "mac": int(2 * n_on[shot] - self.plan.n_used),
                "v_bl_v": v_bl_v,
                "i_load_a": i_load_a,
                "status": status,
                "seconds": seconds,
            }

    def _steady(
        self, read: SteadyRead, column: Column, draw: ColumnDraw, inputs: NDArray[np.int8]
    ) -> Iterator[tuple[float, float, str, float]]:
        """Voltage, current, status and seconds of each read. A sweep that stops half-way is halved and done again."""
        shots = len(inputs)
        outcome = self._run(read.deck(column, draw, inputs))
        v_bl_v, i_load_a, held = read.result(column, draw, outcome)
        if len(v_bl_v) < shots and shots > 1:
            yield from self._steady(read, column, draw, inputs[: shots // 2])
            yield from self._steady(read, column, draw, inputs[shots // 2 :])
            return
        if len(v_bl_v) < shots:
            yield float("nan"), float("nan"), outcome.status_or("failed: no convergence"), outcome.seconds
            return
        for k in range(shots):
            status = "ok" if held[k] else "failed: a cell lost its data or never held it"
            yield float(v_bl_v[k]), float(i_load_a[k]), status, outcome.seconds / shots

    def _cells(self, chunk: Chunk) -> Iterator[dict[str, Any]]:
        """Read currents of single cells, at the bit-line voltage in the middle of the swing."""
        plan, column = self.plan, self.column
        v_bl_v = plan.technology.vdd_v - plan.read.swing_v / 2
        count = chunk.last - chunk.first
        shifts = plan.make_mismatch().draw_local(column.cell.transistors, count, (plan.seed, CELL_STREAM, chunk.first))
        deck, names = read_currents(column.technology, column.cell, shifts, v_wl_v=plan.read.v_wl_v, v_bl_v=v_bl_v)
        outcome = self._run(deck)
        for index, name in enumerate(names):
            found = outcome.values.get(name)
            yield {
                "cell": chunk.first + index,
                "v_bl_v": v_bl_v,
                "i_cell_a": float("nan") if found is None else float(-found[0]),
                "status": outcome.status if found is not None else outcome.status_or("failed: no convergence"),
                "seconds": outcome.seconds / count,
            }

    def _reads(self, chunk: Chunk) -> Iterator[dict[str, Any]]:
        """Noise, energy and settling of the column without mismatch."""
        plan, column, read = self.plan, self.column, self.plan.make_read()
        for index in range(chunk.first, chunk.last):
            n_on = read_sums(plan)[index]
            inputs = np.where(np.arange(plan.n_used) < n_on, 1, -1).astype(np.int8)
            noise = self._run(read.noise_deck(column, inputs))
            transient = self._run(read.transient_deck(column, inputs))
            noise_v = [values[0] for name, values in noise.values.items() if "onoise_total" in name]
            row = {"mac": 2 * n_on - plan.n_used, "status": "ok", "seconds": noise.seconds + transient.seconds}
            time_s = transient.values.get("time", np.zeros(1))
            # A transient that gives up half-way leaves the points that it reached.
            if noise_v and transient.ok and time_s[-1] > 1.99 * read.t_read_s(column):
                row["noise_v"] = float(noise_v[0])
                row["energy_j"] = read.energy_j(column, transient.values)
                row["v_end_v"] = float(
                    np.interp(read.t_read_s(column), transient.values["time"], transient.values[f"v({BIT_LINE})"])
                )
            else:
                row["status"] = noise.status_or(transient.status_or("failed: the transient did not reach its end"))
            yield row

    def _run(self, deck: Deck) -> Outcome:
        return run_twice(self.ngspice, deck, self.timeout_s)


def run_twice(ngspice: Ngspice, deck: Deck, timeout_s: float) -> Outcome:
    """Runs a deck, and once more if the first run was cut off from outside.

    Raises:
        RunError: it was cut off both times.
    """
    outcome = ngspice.run(deck, timeout_s=timeout_s)
    if outcome.interrupted:
        outcome = ngspice.run(deck, timeout_s=timeout_s)
    if outcome.interrupted:
        raise RunError(f"{outcome.status}, twice; finished chunks are kept: run the same command again to go on")
    return outcome


def size_load(plan: Plan, ngspice: Ngspice, *, timeout_s: float = 120.0) -> float:
    """The load resistance with which all cells together pull the bit line down by the plan's swing, ohm.

    It is measured on the column without mismatch, with the bit line held at the end of the swing.

    Raises:
        InputError: the read is refused; the message names the limit that it breaks.
        RunError: the simulation fails.
    """
    placeholder_ohm = 1e12
    column, read = plan.make_column(placeholder_ohm), plan.make_read()
    v_bl_v = plan.technology.vdd_v - plan.read.swing_v
    outcome = run_twice(ngspice, read.probe_deck(column, v_bl_v), timeout_s)
    if "i(vprobe)" not in outcome.values:
        raise RunError(f"the column without mismatch cannot be simulated: {outcome.status_or('no convergence')}")
    current_a = -float(outcome.values["i(vprobe)"][0]) + plan.read.swing_v / placeholder_ohm
    limit_v = max(0.2, plan.read.v_wl_v)
    if v_bl_v < limit_v:
        raise InputError(
            f"the bit line falls to {v_bl_v:.3f} V, where the read transistors leave saturation (limit {limit_v:.3f} V,"
            " the larger of 0.2 V and v_wl_v); lower swing_v"
        )
    if not 0 < current_a <= plan.read.i_line_max_a:
        raise InputError(
            f"all cells together draw {current_a * 1e3:.3g} mA; the limit i_line_max_a is"
            f" {plan.read.i_line_max_a * 1e3:.3g} mA; lower v_wl_v or rows"
        )
    return plan.read.swing_v / current_a


def input_patterns(weights: NDArray[np.int8], plan: Plan, index: int) -> tuple[NDArray[np.int8], NDArray[np.int_]]:
    """The input vectors of one column.

    Pattern p is an order of the rows; at K conducting cells the first K rows of the order conduct. So every vector is
    uniform among those with its K, and neighbouring sums of one pattern differ in few rows, which the solver likes.
    Odd patterns run from the largest sum down: at both ends all patterns meet.

    Args:
        weights: +1 or -1, shape (n_used,).
        plan: gives sums, patterns and seed.
        index: the column's number.

    Returns:
        Inputs, +1 or -1, shape (patterns * sums, n_used); conducting cells, shape (patterns * sums,).
    """
    n_on = np.array(plan.n_on)
    inputs, counts = [], []
    for pattern in range(plan.sampling.patterns):
        rng = np.random.default_rng((plan.seed, PATTERN_STREAM, index, pattern))
        rank = rng.permutation(len(weights))
        ordered = n_on if pattern % 2 == 0 else n_on[::-1]
        inputs.append(np.where(rank < ordered[:, None], weights, -weights))
        counts.append(ordered)
    return np.concatenate(inputs).astype(np.int8), np.concatenate(counts)
