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
from prcim.characterize.patterns import input_patterns
from prcim.characterize.plan import Plan
from prcim.characterize.streams import Stream
from prcim.spice.deck import Deck
from prcim.spice.ngspice import Ngspice, run_twice
from prcim.spice.outcome import Outcome


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
            draw = column.draw(plan.make_mismatch(), (plan.seed, Stream.COLUMN, index))
            patterns, n_on = input_patterns(draw.weights[: plan.n_used], plan, index)
            yield from self._steady_rows(column, draw, patterns, n_on, chip=-1, column_index=index)

    def _chips(self, chunk: Chunk) -> Iterator[dict[str, Any]]:
        column, plan = self.column, self.plan
        for chip in range(chunk.first, chunk.last):
            dvt_n_v, dvt_p_v = plan.make_mismatch().draw_global((plan.seed, Stream.CHIP, chip))
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
        mismatch, transistors = plan.make_mismatch(), column.cell.transistors
        draws = [
            mismatch.draw_local(transistors, 1, (plan.seed, Stream.CELL, i)) for i in range(chunk.first, chunk.last)
        ]
        shifts = (np.concatenate([dvt_v for dvt_v, _ in draws]), np.concatenate([mu for _, mu in draws]))
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
