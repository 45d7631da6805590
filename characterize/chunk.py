"""The unit of work: what is simulated together, and written or lost together."""

from dataclasses import dataclass
from typing import Literal, final

from prcim.characterize.plan import Plan

Kind = Literal["reads", "cells", "chips", "checks", "columns"]
#: How many chips, columns, ... make a chunk: some seconds of work, so that little is lost when a run is killed.
SIZES: dict[Kind, int] = {"reads": 1, "cells": 128, "chips": 6, "checks": 4, "columns": 4}
#: The same for reads in time, which take some twenty times as long.
SIZES_IN_TIME: dict[Kind, int] = {**SIZES, "chips": 1, "checks": 1, "columns": 1}
#: Columns that are composed, in a chunk: a second of work, and 5 MB of rows at 65 sums and 8 patterns.
COMPOSED_COLUMNS = 64
#: Reads in a chunk of columns, unless a single column has more: 20 MB of rows.
READS = 2**17
#: Sums at which dies are simulated beside composed columns.
DIE_SUMS, DIE_SUMS_IN_TIME = 9, 5
#: Sums at which each checked column is read.
CHECKED_SUMS = 5


@final
@dataclass(frozen=True, kw_only=True)
class Chunk:
    """A range of one kind of item of a plan; what belongs to a chunk depends on the plan alone.

    Attributes:
        kind: "reads" are single reads of the column without mismatch, in time and with noise; "cells" read currents
            of single cells; "chips" columns without local mismatch on shifted dies; "checks" some reads of a composed
            plan's columns in ngspice, to hold its arithmetic against; "columns" columns with mismatch.
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
            "chips": len(chip_sums(plan, 1)),
            "checks": len(checked_sums(plan)),
            "columns": plan.sampling.sums * plan.sampling.patterns,
        }
        more = len(chip_sums(plan, 0)) - len(chip_sums(plan, 1)) if self.kind == "chips" and self.first == 0 else 0
        return each[self.kind] * (self.last - self.first) + more


def weight(chunk: Chunk, plan: Plan) -> int:
    """How much there is to do in a chunk, in reads of a whole column in ngspice."""
    shots = chunk.shots(plan)
    # A composed read takes about a 200th of the time of one in ngspice.
    return max(shots // 200, 1) if plan.engine == "composed" and chunk.kind == "columns" else shots


def chunks(plan: Plan) -> list[Chunk]:
    """All chunks of a plan, in the order of their work."""
    items: dict[Kind, int] = {
        "reads": len(read_sums(plan)),
        "cells": plan.sampling.cells,
        # One more: the die without a shift.
        "chips": plan.sampling.chips + 1,
        "checks": len(checked_columns(plan)) if plan.engine == "composed" else 0,
        "columns": plan.sampling.columns,
    }
    sizes = dict(SIZES if plan.read.mode == "steady" else SIZES_IN_TIME)
    if plan.engine == "composed":
        sizes["columns"] = COMPOSED_COLUMNS
    sizes["columns"] = max(1, min(sizes["columns"], READS // (plan.sampling.sums * plan.sampling.patterns)))
    return [
        Chunk(kind=kind, first=first, last=min(first + sizes[kind], count), point=point)
        for point in range(len(plan.conditions))
        for kind, count in items.items()
        for first in range(0, count, sizes[kind])
    ]


def read_sums(plan: Plan) -> tuple[int, ...]:
    """Numbers of conducting cells at which noise and energy are simulated: five, from none to all."""
    return tuple(round(i * plan.n_used / 4) for i in range(5))


def chip_sums(plan: Plan, chip: int) -> list[int]:
    """Which of the plan's sums are simulated on a die.

    All of them where columns are simulated too. Beside composed columns that would be most of the work: there dies are
    simulated at a few, and what they differ by from the die without a shift (0, at all sums) is interpolated.
    """
    every = list(range(plan.sampling.sums))
    count = DIE_SUMS if plan.read.mode == "steady" else DIE_SUMS_IN_TIME
    if plan.engine == "column" or chip == 0 or count >= len(every):
        return every
    return [round(i * every[-1] / (count - 1)) for i in range(count)]


def checked_sums(plan: Plan) -> list[int]:
    """Which of the plan's sums are checked: five between the first and the last."""
    last = plan.sampling.sums - 1
    return sorted({round(i * last / (CHECKED_SUMS + 1)) for i in range(1, CHECKED_SUMS + 1)})


def checked_columns(plan: Plan) -> list[int]:
    """Which columns are checked, evenly spread: as many as the plan's number of checked reads takes."""
    count = min(plan.sampling.columns, max(2, round(plan.sampling.checks / len(checked_sums(plan)))))
    return [round(i * (plan.sampling.columns - 1) / (count - 1)) for i in range(count)]
