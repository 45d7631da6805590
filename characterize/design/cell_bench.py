"""Runs the decks of single cells: a range of draws in, a figure for each draw out."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

from prcim.cells.benches.bench import DECK_CELLS, Shifts, held
from prcim.cells.benches.butterfly import Curves, butterfly_curves, butterfly_deck, noise_margins
from prcim.cells.benches.disturb import disturb_deck, trip_voltages
from prcim.cells.benches.leakage import leakage_currents, leakage_deck
from prcim.cells.benches.read_current import read_current_sweep
from prcim.cells.cell import Cell
from prcim.cells.mismatch import Mismatch
from prcim.cells.technology import Technology
from prcim.characterize.streams import Stream
from prcim.errors import RunError
from prcim.spice.deck import Deck
from prcim.spice.ngspice import Ngspice, run_twice
from prcim.spice.outcome import Outcome

#: Figures of the cells of one deck, shape (cells, figures); NaN where one failed.
Figures = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True)
class Task:
    """What is measured on one deck of cells.

    Attributes:
        kind: "read", "margins", "trip" or "leakage".
        deck: number of the deck: its cells have the same mismatch in whatever is measured on them.
        cells: how many of its cells.
        v_wl_v: levels of the word line, V; empty for a cell at rest.
        bit: weight (+1, -1) of a read; stored bit for leakage.
        a_beta_m: gain coefficient that takes the place of the bench's; None to keep it.
    """

    kind: Literal["read", "margins", "trip", "leakage"]
    deck: int = 0
    cells: int = 1
    v_wl_v: tuple[float, ...] = ()
    bit: int = 1
    a_beta_m: float | None = None


@final
@dataclass(frozen=True, kw_only=True)
class CellBench:
    """A cell, ready to be measured.

    Attributes:
        technology, cell, mismatch: the cell.
        ngspice: the simulator.
        seed: seed of every draw.
        timeout_s: after this time a simulator counts as hanging, s.
    """

    technology: Technology
    cell: Cell
    mismatch: Mismatch
    ngspice: Ngspice
    seed: int = 1
    timeout_s: float = 120.0

    def measure(self, task: Task) -> Figures:
        """What a task asks for.

        Returns:
            For "read" the current at each level of the word line, A; for "margins" the two noise margins, V; for "trip"
            the trip voltage, V; for "leakage" the currents from supply, bit lines and others, A.

        Raises:
            RunError: ngspice was killed or hangs, twice in a row.
        """
        return self._halving(task, self.shifts(task.deck, task.cells, a_beta_m=task.a_beta_m))

    def nominal(self, task: Task) -> Figures:
        """The same for one cell without mismatch."""
        return self._halving(task, self.no_shifts)

    def require(self) -> None:
        """Checks that a cell without mismatch can be simulated at all.

        Raises:
            RunError: it cannot; the message has the simulator's words.
        """
        outcome = self._run(leakage_deck(self.technology, self.cell, self.no_shifts, bit=1))
        if not outcome.values:
            raise RunError(f"{self.cell.name} cannot be simulated: {outcome.status_or('no result')}")

    @property
    def no_shifts(self) -> Shifts:
        """One cell without mismatch."""
        shape = (1, len(self.cell.parts))
        return np.zeros(shape), np.ones(shape)

    def shifts(self, deck: int, cells: int, *, a_beta_m: float | None = None) -> Shifts:
        """Mismatch of the first cells of a deck; of a cell it depends on nothing but seed, deck and place."""
        mismatch = self.mismatch
        if a_beta_m is not None:
            mismatch = replace(mismatch, a_beta_m=a_beta_m)
        dvt_v, factor = mismatch.draw_local(self.cell.parts, DECK_CELLS, (self.seed, Stream.BENCH, deck))
        return dvt_v[:cells], factor[:cells]

    def curves(self, shifts: Shifts, v_wl_v: float | None) -> Curves | None:
        """Transfer curves of opened latches, for a picture; None where the simulator gave up."""
        outcome = self._run(butterfly_deck(self.technology, self.cell, shifts, v_wl_v=v_wl_v))
        return butterfly_curves(self.technology, self.cell, outcome, cells=len(shifts[0]))

    def _halving(self, task: Task, shifts: Shifts) -> Figures:
        """Measures; a deck that the simulator gives up is done again in halves, down to the cells that it cannot do."""
        method: Callable[[Task, Shifts], Figures | None] = getattr(self, f"_{task.kind}")
        found = method(task, shifts)
        if found is not None:
            return found
        cells = len(shifts[0])
        if cells == 1:
            return np.full((1, _WIDTH[task.kind] or len(task.v_wl_v)), np.nan)
        half = cells // 2
        parts = [(shifts[0][:half], shifts[1][:half]), (shifts[0][half:], shifts[1][half:])]
        return np.concatenate([self._halving(task, part) for part in parts])

    def _read(self, task: Task, shifts: Shifts) -> Figures | None:
        v_bl_v, cells = self.technology.vdd_v, len(shifts[0])
        deck, names = read_current_sweep(
            self.technology, self.cell, shifts, v_wl_v=task.v_wl_v, v_bl_v=v_bl_v, weight=task.bit
        )
        values = self._run(deck).values
        if any(len(values.get(name, ())) < len(task.v_wl_v) for name in names):
            return None
        bit = self.cell.stored_bit(task.bit, 0)
        kept = held(self.cell, values, bit=bit, cells=cells)
        return np.where(kept, -np.array([values[name] for name in names]), np.nan)

    def _margins(self, task: Task, shifts: Shifts) -> Figures | None:
        curves = self.curves(shifts, task.v_wl_v[0] if task.v_wl_v else None)
        return None if curves is None else noise_margins(curves)

    def _trip(self, task: Task, shifts: Shifts) -> Figures | None:
        outcome = self._run(disturb_deck(self.technology, self.cell, shifts, v_wl_v=task.v_wl_v[0]))
        found = trip_voltages(self.cell, outcome, cells=len(shifts[0]))
        return None if found is None else found[:, None]

    def _leakage(self, task: Task, shifts: Shifts) -> Figures | None:
        outcome = self._run(leakage_deck(self.technology, self.cell, shifts, bit=task.bit))
        found = leakage_currents(self.technology, self.cell, outcome, cells=len(shifts[0]))
        return None if found is None else np.stack(list(found.values()), axis=1)

    def _run(self, deck: Deck) -> Outcome:
        return run_twice(self.ngspice, deck, self.timeout_s)


#: Figures that a kind of task gives for each cell; 0: one for each level of the word line.
_WIDTH = {"read": 0, "margins": 2, "trip": 1, "leakage": 3}
