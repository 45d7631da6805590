"""Design points: columns and comparators, from mild to severe."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from prcim.bnn.tables import UNIT, integer_tables
from prcim.cells.readouts.readout import SenseAmplifier
from prcim.characterize.lut.error_lut import ErrorLUT


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class DesignPoint:
    """A column and its comparator, with a table of its own.

    Attributes:
        lut: the column's table.
        amplifier: the comparator.
    """

    lut: ErrorLUT
    amplifier: SenseAmplifier

    @property
    def label(self) -> str:
        """Word-line voltage, swing and width of the input pair."""
        read = self.lut.meta["plan"]["read"]
        return f"V_WL {read['v_wl_v']:.2f} V, swing {read['swing_v']:.2f} V, pair {self.amplifier.w_m * 1e6:g} um"

    @property
    def severity(self) -> float:
        """Standard deviation of everything that a threshold at S = 0 sees, over sqrt(n), the spread of S itself."""
        total = integer_tables(self.lut, self.amplifier).total[self.lut.n_used // 2]
        return float(total.double().std()) / UNIT / math.sqrt(self.lut.n_used)


def design_points(lut: ErrorLUT, others: Sequence[ErrorLUT], amplifier: SenseAmplifier) -> tuple[DesignPoint, ...]:
    """The points of a severity sweep: the table with wider comparators, and other tables with this one.

    Returns:
        Points in the order of their severity.
    """
    points = [
        DesignPoint(lut=lut, amplifier=dataclasses.replace(amplifier, w_m=amplifier.w_m * factor))
        for factor in (1, 2, 4, 16)
    ]
    points += [DesignPoint(lut=other, amplifier=amplifier) for other in others]
    order = np.argsort([point.severity for point in points])
    return tuple(points[i] for i in order)
