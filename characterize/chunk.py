"""The unit of work: what is simulated together, and written or lost together."""

from dataclasses import dataclass
from typing import Literal, final

from prcim.characterize.plan import Plan

Kind = Literal["reads", "cells", "chips", "columns"]
#: How many chips, columns, ... make a chunk: some seconds of work, so that little is lost when a run is killed.
SIZES: dict[Kind, int] = {"reads": 1, "cells": 128, "chips": 6, "columns": 4}
#: The same for reads in time, which take some twenty times as long.
SIZES_IN_TIME: dict[Kind, int] = {**SIZES, "chips": 1, "columns": 1}


@final
@dataclass(frozen=True, kw_only=True)
class Chunk:
    """A range of one kind of item of a plan; what belongs to a chunk depends on the plan alone.

    Attributes:
        kind: "reads" are single reads of the column without mismatch, in time and with noise; "cells" read currents
            of single cells; "chips" columns without local mismatch on shifted dies; "columns" columns with mismatch.
        first, last: range of items, last excluded.
        point: which of the plan's conditions they are simulated under.

    Example:
        >>> Chunk(kind="columns", first=0, last=4).name
        'columns-00000-00004'
    """

    kind: Kind
    first: int
    last: int
    point: int = 0

    @property
    def name(self) -> str:
        """Name of the chunk's file, without suffix."""
        at = f"-p{self.point:03d}" if self.point else ""
        return f"{self.kind}{at}-{self.first:05d}-{self.last:05d}"

    def shots(self, plan: Plan) -> int:
        """Number of simulated reads in the chunk; a cell counts as one."""
        each = {
            "reads": 1,
            "cells": 1,
            "chips": plan.sampling.sums,
            "columns": plan.sampling.sums * plan.sampling.patterns,
        }
        return each[self.kind] * (self.last - self.first)


def chunks(plan: Plan) -> list[Chunk]:
    """All chunks of a plan, in the order of their work."""
    items: dict[Kind, int] = {
        "reads": len(read_sums(plan)),
        "cells": plan.sampling.cells,
        # One more: the die without a shift.
        "chips": plan.sampling.chips + 1,
        "columns": plan.sampling.columns,
    }
    sizes = SIZES if plan.read.mode == "steady" else SIZES_IN_TIME
    return [
        Chunk(kind=kind, first=first, last=min(first + sizes[kind], count), point=point)
        for point in range(len(plan.conditions))
        for kind, count in items.items()
        for first in range(0, count, sizes[kind])
    ]


def read_sums(plan: Plan) -> tuple[int, ...]:
    """Numbers of conducting cells at which noise and energy are simulated: five, from none to all."""
    return tuple(round(i * plan.n_used / 4) for i in range(5))
