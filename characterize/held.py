"""Whether sources may hold the latches of a plan's cells: some reads of drawn columns both ways, once a plan."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from prcim.cells.column import Column, ColumnDraw
from prcim.cells.reads.read import Read, Shots
from prcim.cells.rest import held, rest_deck
from prcim.characterize.composed.cell_classes import Run
from prcim.characterize.patterns import input_patterns
from prcim.characterize.plan import Plan
from prcim.characterize.streams import Stream
from prcim.characterize.transfer import TransferCurve

#: What holding may move a read by, in S; one conducting cell is 2.
MOVED_MAX_MAC = 0.01
#: Columns that are read both ways, reads of each, and numbers of conducting cells that a voltage becomes a sum by.
COLUMNS, READS, CURVE_POINTS = 4, 3, 5


@final
@dataclass(frozen=True, kw_only=True)
class Held:
    """What holding the latches does to reads.

    Attributes:
        n: reads that were made both ways; 0 where cells have nothing to hold.
        max_mac: largest difference, in S; None where there is none.
    """

    n: int = 0
    max_mac: float | None = None

    @property
    def used(self) -> bool:
        """Whether columns are simulated so; otherwise their cells are whole."""
        return self.max_mac is not None and self.max_mac < MOVED_MAX_MAC

    @property
    def meta(self) -> dict[str, Any]:
        """For the table's meta data."""
        max_mac = None if self.max_mac is None else float(f"{self.max_mac:.2g}")
        return {"n": self.n, "max_mac": max_mac, "used": self.used}


#: Cells are whole.
WHOLE = Held()


def draws_at_rest(column: Column, draws: Sequence[ColumnDraw], run: Run) -> list[ColumnDraw]:
    """The draws with their latches held where each is at rest; whole where there is nothing to hold.

    Args:
        column, draws: the columns.
        run: runs decks.
    """
    decks = [deck for draw in draws if (deck := rest_deck(column, draw)) is not None]
    if not decks:
        return list(draws)
    return [held(column, draw, outcome) for draw, outcome in zip(draws, run(decks), strict=True)]


def compare_held(plan: Plan, column: Column, read: Read, run: Run) -> Held:
    """Reads some of a plan's columns with whole cells and with held ones, at sums between all off and all on.

    Reads that fail with whole cells say nothing; columns in which latches cannot be held are not.

    Args:
        plan, column, read: what `size` made of the plan.
        run: runs decks.
    """
    draws = [column.draw(plan.make_mismatch(), (plan.seed, Stream.COLUMN, i)) for i in range(COLUMNS)]
    # The column without mismatch comes last: from its voltages to sums.
    *rests, nominal = draws_at_rest(column, [*draws, column.nominal_draw()], run)
    if nominal.held_v is None:
        return WHOLE
    n_on = np.unique(np.round(np.linspace(0, plan.n_used, CURVE_POINTS)).astype(int))
    jobs = [(nominal, np.where(np.arange(plan.n_used) < n_on[:, None], 1, -1).astype(np.int8))]
    for index, (draw, rest) in enumerate(zip(draws, rests, strict=True)):
        inputs = _inputs(plan, draw, index)
        jobs += [(draw, inputs), (rest, inputs)]
    read = read.brief
    outcomes = run([read.deck(column, *job) for job in jobs])
    curve, *shots = [read.result(column, *job, outcome) for job, outcome in zip(jobs, outcomes, strict=True)]
    if len(curve.held) < len(n_on):
        return WHOLE
    transfer = TransferCurve(mac=2.0 * n_on - plan.n_used, v_bl_v=curve.v_bl_v)
    moved = np.concatenate([_moved(transfer, *pair) for pair in zip(shots[::2], shots[1::2], strict=True)])
    return Held(n=len(moved), max_mac=float(moved.max())) if len(moved) else WHOLE


def _inputs(plan: Plan, draw: ColumnDraw, index: int) -> NDArray[np.int8]:
    """Inputs of one column, each column's at other sums."""
    inputs, _ = input_patterns(draw.weights[: plan.n_used], plan, index, [0])
    share = (np.arange(READS) + (index + 1) / COLUMNS) / READS
    return np.asarray(inputs[np.unique(np.round(share * (plan.sampling.sums - 1)).astype(int))])


def _moved(transfer: TransferCurve, whole: Shots, rest: Shots) -> NDArray[np.float64]:
    count = min(len(whole.held), len(rest.held))
    good = whole.held[:count] & rest.held[:count]
    sums = [transfer.mac_at(shots.v_bl_v[:count][good]) for shots in (whole, rest)]
    return np.asarray(np.abs(sums[0] - sums[1]))
