"""The `composed` engine: columns by arithmetic from the curves of simulated cells, checked against whole columns."""

import time
from dataclasses import dataclass
from typing import final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from prcim.cells.read import Read
from prcim.characterize.cell_classes import Run
from prcim.characterize.chunk import Chunk
from prcim.characterize.composition import Composition
from prcim.characterize.patterns import input_patterns
from prcim.characterize.plan import Plan
from prcim.characterize.streams import Stream

#: Columns in a chunk: a second of work, and 5 MB of rows at 65 sums and 8 patterns.
COLUMNS_PER_CHUNK = 64
BEYOND = "failed: the bit line leaves the range of the cells' curves"
#: Sums at which a run checks itself; the spread at each is a statistic of its own.
CHECKED_SUMS = 5
#: What a run may be off: rms and largest difference in S, and share by which its spread differs.
RMS_MAX, LARGEST_MAX, SPREAD_MAX = 0.06, 0.3, 0.02


@final
@dataclass(frozen=True, kw_only=True)
class ComposedEngine:
    """One plan, ready to compose. It can be sent to workers.

    Attributes:
        plan: what to compute.
        plan_id: its identity, written into every row.
        composition: from `compose`.
    """

    plan: Plan
    plan_id: str
    composition: Composition

    def simulate(self, chunk: Chunk) -> pd.DataFrame:
        """Composes the columns of one chunk; the rows are those of the column engine."""
        frames = [self._column(index) for index in range(chunk.first, chunk.last)]
        frame = pd.concat(frames, ignore_index=True)
        frame.insert(0, "plan_id", self.plan_id)
        frame.insert(1, "kind", chunk.kind)
        return frame

    def _column(self, index: int) -> pd.DataFrame:
        started = time.perf_counter()
        plan = self.plan
        draw = self.composition.column.draw(plan.make_mismatch(), (plan.seed, Stream.COLUMN, index))
        inputs, n_on = input_patterns(draw.weights[: plan.n_used], plan, index)
        v_bl_v, energy_j, inside = self.composition.shots(draw, inputs)
        return pd.DataFrame(
            {
                "chip": -1,
                "column": index,
                "pattern": np.arange(len(inputs)) // plan.sampling.sums,
                "mac": 2 * n_on - plan.n_used,
                "v_bl_v": v_bl_v,
                "energy_j": energy_j,
                "status": np.where(inside, "ok", BEYOND),
                "seconds": (time.perf_counter() - started) / len(inputs),
            }
        )


@final
@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far composed reads are from the column engine's on the same draws.

    Attributes:
        n: reads compared.
        rms_mac, max_mac: difference of their errors, in S.
        spread_ratio: standard deviation of errors over columns, composed over simulated, from the variances of all
            checked sums together.
    """

    n: int
    rms_mac: float
    max_mac: float
    spread_ratio: float

    @property
    def good(self) -> bool:
        """Whether a table may be made."""
        close = self.rms_mac <= RMS_MAX and self.max_mac <= LARGEST_MAX
        return close and abs(self.spread_ratio - 1) <= SPREAD_MAX


def check(engine: ComposedEngine, read: Read, run: Run, *, shots: int = 200) -> Agreement:
    """Puts a sample of the engine's own reads through ngspice.

    Columns are spread over the plan; of each, one pattern is read at a few sums, by which the sample tells whether
    errors spread alike.

    Args:
        engine: what is checked.
        read: the read, as the column engine does it.
        run: runs decks.
        shots: how many reads.
    """
    plan, column = engine.plan, engine.composition.column
    sums = np.unique(np.linspace(0, plan.sampling.sums - 1, CHECKED_SUMS + 2).round().astype(int)[1:-1])
    count = min(plan.sampling.columns, max(1, shots // len(sums)))
    chosen = np.unique(np.linspace(0, plan.sampling.columns - 1, count).round().astype(int))
    jobs: list[tuple[int, NDArray[np.int8]]] = []
    decks = []
    for index in chosen:
        draw = column.draw(plan.make_mismatch(), (plan.seed, Stream.COLUMN, int(index)))
        inputs, n_on = input_patterns(draw.weights[: plan.n_used], plan, int(index))
        first = int(index) % plan.sampling.patterns * plan.sampling.sums
        some = inputs[first : first + plan.sampling.sums][np.argsort(n_on[first : first + plan.sampling.sums])][sums]
        jobs.append((int(index), some))
        decks.append(read.deck(column, draw, some))
    pairs: list[NDArray[np.float64]] = []
    transfer = engine.composition.transfer
    for (index, inputs), outcome in zip(jobs, run(decks), strict=True):
        draw = column.draw(plan.make_mismatch(), (plan.seed, Stream.COLUMN, index))
        true = read.result(column, draw, inputs, outcome)
        if len(true.held) == len(inputs) and true.held.all():
            composed_v, _, _ = engine.composition.shots(draw, inputs)
            pairs.append(np.array([transfer.mac_at(composed_v), transfer.mac_at(true.v_bl_v)]))
    return agreement(np.array(pairs))


def agreement(pairs: NDArray[np.float64]) -> Agreement:
    """The agreement of sums, shape (columns, 2, sums): composed, simulated.

    Example:
        >>> agreement(np.array([[[1.0, 5.0], [1.1, 5.0]], [[3.0, 9.0], [3.1, 9.0]]])).rms_mac.__round__(4)
        0.0707
    """
    if len(pairs) < 2:
        nan = float("nan")
        return Agreement(n=0, rms_mac=nan, max_mac=nan, spread_ratio=nan)
    off = pairs[:, 0] - pairs[:, 1]
    variance = pairs.var(axis=0, ddof=1).sum(axis=1)
    return Agreement(
        n=off.size,
        rms_mac=float(np.sqrt(np.mean(off**2))),
        max_mac=float(np.abs(off).max()),
        spread_ratio=float(np.sqrt(variance[0] / variance[1])) if variance[1] > 0 else 1.0,
    )
