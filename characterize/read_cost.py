"""What a read costs beyond what its own simulation shows: word lines, reference, comparator."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from prcim.cells.column import Column
from prcim.cells.readouts.offset_search import OffsetSearch
from prcim.cells.reads.read import Read
from prcim.cells.reads.settling import settled, settling_deck
from prcim.cells.reads.steady_read import SteadyRead
from prcim.characterize.composed.cell_classes import Run
from prcim.characterize.plan import Plan
from prcim.errors import RunError

Floats = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True)
class ReadCost:
    """What is added to the energy of every shot.

    The shot of a steady-state read is an operating point: its word lines, and what the cells' own capacitance and
    leakage take during the recovery, come from reads of the column without mismatch in time. Of a column with mismatch
    they differ by less than 1 % of a read's energy (`tests/test_characterize_read_cost.py`). A shot in time has both.

    Attributes:
        n_on: numbers of conducting cells at which the column without mismatch was read, rising.
        beyond_j: what a read in time takes beyond a shot, J, same length.
        v_end_v: where the line is when the read-out looks, V, same length; empty where every shot says so.
        reference_j: a column's share of the reads of the replica columns, J. Fixed and trimmed thresholds are voltages
            from elsewhere, which cost nothing here.
        decision_j: one decision of the comparator, clock included, J.

    Example:
        >>> cost = ReadCost(n_on=(0, 8), beyond_j=(1e-15, 2e-15), reference_j=1e-15, decision_j=20e-15)
        >>> cost.added_j(np.array([4])).round(18)
        array([2.25e-14])
    """

    n_on: tuple[int, ...]
    beyond_j: tuple[float, ...]
    v_end_v: tuple[float, ...] = ()
    reference_j: float
    decision_j: float

    def added_j(self, n_on: NDArray[np.int_]) -> Floats:
        """Energy that comes to that of a shot, J, shape of `n_on`."""
        return np.interp(n_on, self.n_on, self.beyond_j) + self.reference_j + self.decision_j


def read_cost(plan: Plan, column: Column, read: Read, run: Run, *, n_on: Sequence[int]) -> ReadCost:
    """Simulates what is not in a shot.

    Args:
        plan: says what the reference and the comparator are.
        column, read: what `size` made of the plan.
        run: runs decks.
        n_on: numbers of conducting cells to look at, rising; the reference's columns are read at the middle one.

    Raises:
        RunError: the column without mismatch, or the comparator, cannot be simulated.
    """
    n_on = tuple(dict.fromkeys(n_on))
    middle = len(n_on) // 2
    draw = column.nominal_draw()
    inputs = np.where(np.arange(column.n_used) < np.array(n_on)[:, None], 1, -1).astype(np.int8)
    steady = isinstance(read, SteadyRead)
    # A shot in time costs as much as all operating points, and has nothing beyond it.
    at = inputs if steady else inputs[middle : middle + 1]
    decks = [read.deck(column, draw, at)]
    if isinstance(read, SteadyRead):
        decks += [settling_deck(read, column, draw, one) for one in inputs]
    first, *in_time = run(decks)
    shots = read.result(column, draw, at, first)
    if len(shots.held) < len(at) or not shots.held.all():
        why = first.status_or("no convergence, or a cell lost its data")
        raise RunError(f"the column without mismatch cannot be read: {why}")
    beyond_j, v_end_v = np.zeros(len(n_on)), np.zeros(0)
    read_j = float(shots.energy_j[-1])
    if isinstance(read, SteadyRead):
        found = [settled(read, column, outcome) for outcome in in_time]
        known = [one for one in found if one is not None]
        if len(known) < len(n_on):
            why = in_time[found.index(None)].status_or("the transient ended early")
            raise RunError(f"a read of the column without mismatch in time cannot be simulated: {why}")
        beyond_j = np.array([one.energy_j for one in known]) - shots.energy_j
        v_end_v = np.array([one.v_bl_v for one in known])
        read_j = known[middle].energy_j
    reference = plan.reference
    share = reference.replicas / reference.shared_by if reference.kind == "replica" else 0.0
    # Charge may leave a line anywhere; other reads have theirs between the supply and the swing below it.
    vcm_v = plan.technology.vdd_v - plan.read.swing_v / 2
    if plan.read.mode == "charge":
        vcm_v = float(shots.v_bl_v[-1])
    return ReadCost(
        n_on=n_on,
        beyond_j=tuple(beyond_j.tolist()),
        v_end_v=tuple(v_end_v.tolist()),
        reference_j=share * read_j,
        decision_j=_decision_j(plan, vcm_v, run),
    )


def _decision_j(plan: Plan, vcm_v: float, run: Run) -> float:
    """Energy of one cycle of a comparator without mismatch, at differences of 10 mV either way, J."""
    amplifier = plan.make_comparator()
    search = OffsetSearch(technology=plan.make_technology(), amplifier=amplifier, vcm_v=vcm_v)
    parts = len(amplifier.parts)
    (outcome,) = run([search.deck(np.zeros((1, parts)), np.ones((1, parts)))])
    energy_j = search.result(outcome, 1).energy_j
    if not np.isfinite(energy_j):
        why = outcome.status_or("no convergence")
        raise RunError(
            f"the comparator cannot be simulated: {why}; comparator.w_in_m and comparator.l_m may be sizes that the"
            " model cards do not cover"
        )
    return energy_j
