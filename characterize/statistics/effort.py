"""How much was simulated for a table."""

import math
from dataclasses import dataclass, replace
from typing import final

from prcim.characterize.lut.error_lut import ErrorLUT
from prcim.errors import InputError


@final
@dataclass(frozen=True, kw_only=True)
class Effort:
    """Numbers that the intervals of a table's figures rest on.

    Attributes:
        columns: physical columns.
        patterns: input patterns of each column at each sum.
        dies: dies with a shift of their own.
        cells: single cells; 0 where the table does not say.

    Example:
        >>> Effort(columns=128, patterns=4, dies=160, cells=512).changed("columns", 256).columns
        256
    """

    columns: int
    patterns: int
    dies: int
    cells: int

    def changed(self, name: str, count: int) -> "Effort":
        """The same with another number of columns, patterns, dies or cells."""
        return replace(self, **{name: count})

    def scaled(self, factor: float) -> "Effort":
        """So many times the columns, dies and cells, rounded up; patterns as they are."""
        columns, dies, cells = (math.ceil(factor * n) for n in (self.columns, self.dies, self.cells))
        return replace(self, columns=columns, dies=dies, cells=cells)

    def effective_shots(self, static_share: float) -> float:
        """Independent shots that all shots of one sum are worth for its mean.

        C P / (1 + (P - 1) static share): shots of one column share its error, so with many patterns this tends to
        C / static share and no further.
        """
        return self.columns * self.patterns / (1 + (self.patterns - 1) * static_share)


def effort_of(lut: ErrorLUT) -> Effort:
    """What a table rests on: its own arrays, and for cells its plan.

    Raises:
        InputError: it has fewer than two patterns a column, so nothing tells columns and patterns apart.

    Example:
        >>> from prcim.characterize.lut.file import open_lut
        >>> effort_of(open_lut("package:8t-64"))
        Effort(columns=128, patterns=4, dies=160, cells=512)
    """
    columns = len(lut.bank)
    patterns = math.floor(float((lut.count + lut.failed).max()) / columns + 0.5)
    if patterns < 2:
        raise InputError(
            f"table: {float((lut.count + lut.failed).max()):.0f} shots a sum of {columns} columns leave"
            f" {patterns} patterns a column; an interval takes at least 2"
        )
    cells = lut.meta.get("plan", {}).get("sampling", {}).get("cells", 0)
    return Effort(columns=columns, patterns=patterns, dies=len(lut.chip_curves), cells=int(cells))
