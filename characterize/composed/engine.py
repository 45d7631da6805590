"""The `composed` engine: columns by arithmetic from the curves of simulated cells, checked against whole columns."""

import time
from dataclasses import dataclass
from typing import final

import numpy as np
import pandas as pd

from prcim.cells.column import ColumnDraw
from prcim.characterize.chunk import Chunk
from prcim.characterize.composed.composition import Composition
from prcim.characterize.patterns import input_patterns
from prcim.characterize.plan import Plan
from prcim.characterize.read_cost import ReadCost
from prcim.characterize.streams import Stream

#: Inputs of cells that are composed at a time, whole patterns of one column: tens of megabytes of curves.
INPUTS_AT_ONCE = 2**18
BEYOND = "failed: the bit line leaves the range of the cells' curves"


@final
@dataclass(frozen=True, kw_only=True)
class ComposedEngine:
    """One plan, ready to compose. It can be sent to workers.

    Attributes:
        plan: what to compute.
        plan_id: its identity, written into every row.
        composition: from `compose`.
        cost: what is added to the energy of every shot.
    """

    plan: Plan
    plan_id: str
    composition: Composition
    cost: ReadCost

    def simulate(self, chunk: Chunk) -> pd.DataFrame:
        """Composes the columns of one chunk; the rows are those of the column engine."""
        frames = [self._column(index) for index in range(chunk.first, chunk.last)]
        frame = pd.concat(frames, ignore_index=True)
        frame.insert(0, "plan_id", self.plan_id)
        frame.insert(1, "kind", chunk.kind)
        frame.insert(2, "point", chunk.point)
        return frame

    def _column(self, index: int) -> pd.DataFrame:
        plan = self.plan
        draw = self.composition.column.draw(plan.make_mismatch(), (plan.seed, Stream.COLUMN, index))
        step = max(1, INPUTS_AT_ONCE // (plan.sampling.sums * plan.n_used))
        parts = [
            self._patterns(index, draw, range(first, min(first + step, plan.sampling.patterns)))
            for first in range(0, plan.sampling.patterns, step)
        ]
        return pd.concat(parts)

    def _patterns(self, index: int, draw: ColumnDraw, patterns: range) -> pd.DataFrame:
        started = time.perf_counter()
        plan = self.plan
        inputs, n_on = input_patterns(draw.weights[: plan.n_used], plan, index, patterns)
        v_bl_v, energy_j, inside = self.composition.shots(draw, inputs)
        return pd.DataFrame(
            {
                "chip": -1,
                "column": index,
                "pattern": np.repeat(patterns, plan.sampling.sums),
                "mac": 2 * n_on - plan.n_used,
                "v_bl_v": v_bl_v,
                "energy_j": energy_j + self.cost.added_j(n_on),
                "status": np.where(inside, "ok", BEYOND),
                "seconds": (time.perf_counter() - started) / len(inputs),
            }
        )
