"""The `column` engine: whole columns in ngspice, every transistor of every cell."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from prcim.cells.benches.read_current import read_currents
from prcim.cells.column import Column, ColumnDraw
from prcim.cells.devices.passive import Capacitor
from prcim.cells.reads.charge_read import ChargeRead
from prcim.cells.reads.pulsed_read import PulsedRead
from prcim.cells.reads.read import Read
from prcim.cells.reads.steady_read import SteadyRead
from prcim.characterize.chunk import Chunk, checked_columns, checked_sums, chip_sums, read_sums
from prcim.characterize.composed.cell_classes import Run
from prcim.characterize.held import WHOLE, Held, compare_held, draws_at_rest
from prcim.characterize.patterns import input_patterns
from prcim.characterize.plan import Plan
from prcim.characterize.read_cost import ReadCost, read_cost
from prcim.characterize.size import size
from prcim.characterize.streams import Stream
from prcim.spice.deck import Deck
from prcim.spice.ladder import climb
from prcim.spice.ngspice import Ngspice, run_twice
from prcim.spice.outcome import Outcome

LOST = "failed: a cell lost its data or never held it"


class Shot(NamedTuple):
    """One read: what it gave, how long it took, and its deck where it could not be solved."""

    v_bl_v: float
    energy_j: float
    status: str
    seconds: float
    deck: str = ""


@final
@dataclass(frozen=True, kw_only=True)
class Engine:
    """One plan, ready to simulate.

    Attributes:
        plan: what to simulate.
        plan_id: its identity, written into every row.
        ngspice: the simulator.
        column, read: what the plan describes, from `size`.
        cost: what is added to the energy of every shot, from `read_cost`.
        held: whether sources may hold the latches of columns, from `compare_held`.
        timeout_s: after this time a simulator counts as hanging, s.
    """

    plan: Plan
    plan_id: str
    ngspice: Ngspice
    column: Column
    read: Read
    cost: ReadCost
    held: Held = WHOLE
    timeout_s: float = 120.0

    def simulate(self, chunk: Chunk) -> pd.DataFrame:
        """Simulates one chunk.

        Returns:
            One row a shot, with the columns that the README lists. A shot that does not converge, or in which a cell
            loses its data, is a row too; its status says so. The attribute `decks` holds the decks that could not be
            solved: name of a file -> text.

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
            case "checks":
                rows = self._checks(chunk)
            case "columns":
                rows = self._columns(chunk)
        common = {"plan_id": self.plan_id, "kind": chunk.kind, "point": chunk.point}
        found = [{**common, **row} for row in rows]
        decks = {}
        for index, row in enumerate(found):
            if text := row.pop("deck", ""):
                file = f"{chunk.name}-{index}.cir"
                decks[file] = text
                row["status"] = f"{row['status']}; its deck is failed/{file}"
        frame = pd.DataFrame(found)
        frame.attrs["decks"] = decks
        return frame

    def _columns(self, chunk: Chunk) -> Iterator[dict[str, Any]]:
        plan = self.plan
        for index in range(chunk.first, chunk.last):
            draw = self.column.draw(plan.make_mismatch(), (plan.seed, Stream.COLUMN, index))
            inputs, n_on = input_patterns(draw.weights[: plan.n_used], plan, index, range(plan.sampling.patterns))
            pattern = np.arange(len(inputs)) // plan.sampling.sums
            yield from self._rows(draw, inputs, n_on, pattern, chip=-1, column_index=index)

    def _checks(self, chunk: Chunk) -> Iterator[dict[str, Any]]:
        """One pattern of each checked column at a few sums: voltages, to hold the arithmetic's rows against."""
        plan, sums = self.plan, checked_sums(self.plan)
        brief = replace(self, read=self.read.brief)
        for index in checked_columns(plan)[chunk.first : chunk.last]:
            draw = self.column.draw(plan.make_mismatch(), (plan.seed, Stream.COLUMN, index))
            number = index % plan.sampling.patterns
            inputs, n_on = input_patterns(draw.weights[: plan.n_used], plan, index, [number])
            # Odd patterns run from the largest sum down.
            some = [k if number % 2 == 0 else plan.sampling.sums - 1 - k for k in sums]
            pattern = np.full(len(some), number)
            for row in brief._rows(draw, inputs[some], n_on[some], pattern, chip=-1, column_index=index):
                del row["energy_j"]
                yield row

    def _chips(self, chunk: Chunk) -> Iterator[dict[str, Any]]:
        plan = self.plan
        for chip in range(chunk.first, chunk.last):
            dvt_n_v, dvt_p_v = plan.make_mismatch().draw_global((plan.seed, Stream.CHIP, chip))
            # Chip 0 is the die without any shift, to compare with.
            shift = {"dvt_n_v": dvt_n_v, "dvt_p_v": dvt_p_v} if chip else {}
            n_on = np.array(plan.n_on)[chip_sums(plan, chip)]
            inputs = np.where(np.arange(plan.n_used) < n_on[:, None], 1, -1).astype(np.int8)
            pattern = np.zeros(len(inputs), dtype=int)
            yield from self._rows(self.column.nominal_draw(**shift), inputs, n_on, pattern, chip=chip, column_index=-1)

    def _rows(
        self,
        draw: ColumnDraw,
        inputs: NDArray[np.int8],
        n_on: NDArray[np.int_],
        pattern: NDArray[np.int_],
        *,
        chip: int,
        column_index: int,
    ) -> Iterator[dict[str, Any]]:
        limit = self.read.shots_per_deck
        if self.held.used:
            (draw,) = draws_at_rest(self.column, [draw], lambda decks: map(self._run, decks))
        shots = [
            shot for first in range(0, len(inputs), limit) for shot in self._shots(draw, inputs[first : first + limit])
        ]
        added_j = self.cost.added_j(n_on)
        for index, shot in enumerate(shots):
            yield {
                "chip": chip,
                "column": column_index,
                "pattern": int(pattern[index]),
                "mac": int(2 * n_on[index] - self.plan.n_used),
                **shot._replace(energy_j=shot.energy_j + float(added_j[index]))._asdict(),
            }

    def _shots(self, draw: ColumnDraw, inputs: NDArray[np.int8]) -> Iterator[Shot]:
        """Each read.

        A deck that stops half-way is halved and done again, a single read with the options of the ladder. Reads that
        follow the loss of a cell's data and that the read says nothing of are halved too, on fresh columns: a column
        that never holds its data costs n log n reads.
        """
        count = len(inputs)
        deck = self.read.deck(self.column, draw, inputs)
        outcome = self._run(deck)
        shots = self.read.result(self.column, draw, inputs, outcome)
        if count == 1 and not len(shots.held):
            outcome, deck = climb(self.ngspice, deck, self.timeout_s)
            shots = self.read.result(self.column, draw, inputs, outcome)
        solved = len(shots.held)
        if solved == count or (solved and not shots.held[-1]):
            for v_bl_v, energy_j, held in zip(shots.v_bl_v, shots.energy_j, shots.held, strict=True):
                yield Shot(float(v_bl_v), float(energy_j), "ok" if held else LOST, outcome.seconds / solved)
            rest = inputs[solved:]
        elif count > 1:
            rest = inputs
        else:
            status = outcome.status_or("failed: no convergence")
            yield Shot(float("nan"), float("nan"), status, outcome.seconds, deck.text)
            return
        half = (len(rest) + 1) // 2
        for part in (rest[:half], rest[half:]):
            if len(part):
                yield from self._shots(draw, part)

    def _cells(self, chunk: Chunk) -> Iterator[dict[str, Any]]:
        """What single cells contribute: the read current in the middle of the swing, or the capacitor."""
        plan, parts = self.plan, self.column.cell.parts
        mismatch = plan.make_mismatch()
        draws = [mismatch.draw_local(parts, 1, (plan.seed, Stream.CELL, i)) for i in range(chunk.first, chunk.last)]
        shifts = (np.concatenate([dvt_v for dvt_v, _ in draws]), np.concatenate([factor for _, factor in draws]))
        if self.read.name == "charge":
            # Nothing to simulate: a cell's charge is as far off as its capacitor.
            index, part = next((i, part) for i, part in enumerate(parts) if isinstance(part, Capacitor))
            for cell, factor in enumerate(shifts[1][:, index]):
                yield {
                    "cell": chunk.first + cell,
                    "v_bl_v": float("nan"),
                    "c_cell_f": float(part.farad * factor),
                    "status": "ok",
                    "seconds": 0.0,
                }
            return
        v_bl_v = plan.technology.vdd_v - plan.read.swing_v / 2
        technology, cell_type = self.column.technology, self.column.cell
        deck, names = read_currents(technology, cell_type, shifts, v_wl_v=plan.read.v_wl_v, v_bl_v=v_bl_v)
        outcome = self._run(deck)
        for cell, name in enumerate(names):
            found = outcome.values.get(name)
            yield {
                "cell": chunk.first + cell,
                "v_bl_v": v_bl_v,
                "i_cell_a": float("nan") if found is None else float(-found[0]),
                "status": outcome.status if found is not None else outcome.status_or("failed: no convergence"),
                "seconds": outcome.seconds / len(names),
            }

    def _reads(self, chunk: Chunk) -> Iterator[dict[str, Any]]:
        """Noise and final voltage of single reads of the column without mismatch."""
        plan = self.plan
        for index in range(chunk.first, chunk.last):
            n_on = read_sums(plan)[index]
            inputs = np.where(np.arange(plan.n_used) < n_on, 1, -1).astype(np.int8)
            noise = self._run(self.read.noise_deck(self.column, inputs))
            noise_v = self.read.noise_v(self.column, noise)
            row = {"mac": 2 * n_on - plan.n_used, "status": "ok", "seconds": noise.seconds}
            if noise_v is None:
                yield {**row, "status": noise.status_or("failed: no noise")}
                continue
            yield {**row, "noise_v": noise_v, **self._end(inputs, n_on)}

    def _end(self, inputs: NDArray[np.int8], n_on: int) -> dict[str, Any]:
        """Where the line of the column without mismatch is in the end."""
        if isinstance(self.read, SteadyRead):
            return {"v_end_v": self.cost.v_end_v[self.cost.n_on.index(n_on)]}
        (shot,) = self._shots(self.column.nominal_draw(), inputs[None])
        v_end_v = shot.v_bl_v
        if isinstance(self.read, ChargeRead) and shot.status == "ok":
            # The plates go on settling: twice the time shows by how much.
            longer = replace(self, read=replace(self.read, t_settle_s=2 * self.read.t_settle_s))
            (later,) = longer._shots(self.column.nominal_draw(), inputs[None])
            v_end_v, shot = later.v_bl_v, shot._replace(status=later.status)
        return {"v_end_v": v_end_v, "status": shot.status}

    def _run(self, deck: Deck) -> Outcome:
        return run_twice(self.ngspice, deck, self.timeout_s)


def engines(plan: Plan, plan_id: str, ngspice: Ngspice, run: Run, *, timeout_s: float = 120.0) -> tuple[Engine, ...]:
    """An engine for every one of the plan's conditions: the same column, load, pulse and mismatch at each.

    Args:
        plan: what to simulate.
        plan_id: its identity.
        ngspice: the simulator.
        run: runs decks that do not depend on each other.
        timeout_s: after this time a simulator counts as hanging, s.

    Raises:
        InputError: the read is refused.
        RunError: the column without mismatch, or the comparator, cannot be simulated.
    """
    column, read = size(plan, ngspice, timeout_s=timeout_s)
    found = []
    for point in range(len(plan.conditions)):
        here = plan.at(point) if point else plan
        its_column = replace(column, technology=here.make_technology())
        its_read = here.make_read(read.t_pulse_s if isinstance(read, PulsedRead) else 0.0)
        found.append(
            Engine(
                plan=here,
                plan_id=plan_id,
                ngspice=ngspice,
                column=its_column,
                read=its_read,
                cost=read_cost(here, its_column, its_read, run, n_on=read_sums(here)),
                held=compare_held(here, its_column, its_read, run),
                timeout_s=timeout_s,
            )
        )
    return tuple(found)
