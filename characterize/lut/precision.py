"""How certain a table's figures are: each with its interval and what it rests on."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from prcim.characterize.lut import curve as lut_curve
from prcim.characterize.lut import spread as lut_spread
from prcim.characterize.lut.error_lut import ErrorLUT
from prcim.characterize.statistics.effort import Effort, effort_of
from prcim.characterize.statistics.interval import LEVEL, Interval

Floats = NDArray[np.float64]
Maker = Callable[[ErrorLUT, Effort, float], tuple[Floats, Interval | None]]


@final
@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One kind of figure: at each sum, shape (M,), or of the whole table, shape ().

    Attributes:
        name: what it is.
        unit: V, A, F, J, S (the partial sum), V/S, or 1.
        rests_on: which counts of an `Effort` make it more certain.
        value: the figure.
        low, high: ends of its interval; NaN where the table keeps no spread of it.
    """

    name: str
    unit: str
    rests_on: tuple[str, ...]
    value: Floats
    low: Floats
    high: Floats

    @property
    def width(self) -> Floats:
        """Length of the interval."""
        return np.asarray(self.high - self.low)

    @property
    def relative(self) -> Floats:
        """Half the interval over the figure's size; infinite where the figure is 0 and the interval is not."""
        size = np.abs(self.value)
        return np.divide(self.width / 2, size, out=np.where(self.width > 0, np.inf, 0.0), where=size > 0)

    def as_json(self) -> dict[str, Any]:
        """Plain values; null where there is no interval."""
        ends = [np.where(np.isnan(end), None, end).tolist() for end in (self.low, self.high)]  # type: ignore[call-overload]
        return {
            "unit": self.unit,
            "rests_on": list(self.rests_on),
            "value": self.value.tolist(),
            "low": ends[0],
            "high": ends[1],
        }


#: A table keeps single precision.
SINGLE = 2.0**-23
_SHOTS = ("columns", "patterns")
#: Name -> unit, what it rests on, how it is found.
_FIGURES: dict[str, tuple[str, tuple[str, ...], Maker]] = {
    "transfer_v": ("V", _SHOTS, lut_curve.transfer),
    "slope_v": ("V/S", _SHOTS, lut_curve.slope),
    "sigma_column": ("S", _SHOTS, lut_spread.column_sigma),
    "sigma_pattern": ("S", _SHOTS, lut_spread.pattern_sigma),
    "sigma_read": ("S", _SHOTS, lut_curve.read_noise),
    "sigma_die": ("S", ("dies", *_SHOTS), lut_spread.die_sigma),
    "sigma_total": ("S", (*_SHOTS, "dies"), lut_spread.total_sigma),
    "static_share": ("1", _SHOTS, lut_spread.static_share),
    "energy_j": ("J", _SHOTS, lut_curve.energy),
    "swing_v": ("V", _SHOTS, lut_curve.swing),
    "step_ratio": ("1", _SHOTS, lut_curve.step_ratio),
    "pooled_static_share": ("1", _SHOTS, lut_spread.pooled_share),
    "i_cell_a": ("A", ("cells",), partial(lut_spread.cell_mean, name="i_cell_a")),
    "c_cell_f": ("F", ("cells",), partial(lut_spread.cell_mean, name="c_cell_f")),
    "rel_sigma_cell": ("1", ("cells",), lut_spread.cell_sigma),
}


def estimates(
    lut: ErrorLUT, *, names: tuple[str, ...] | None = None, effort: Effort | None = None, level: float = LEVEL
) -> dict[str, Estimate]:
    """Figures of a table with their intervals.

    Figures of columns and patterns come from the analysis of variance of a balanced one-way layout, those of dies and
    cells from samples. What belongs to the column without mismatch, such as noise in volts, has no spread of its own.

    Args:
        lut: the table.
        names: which figures; all that the table has unless given.
        effort: what to take the intervals for; the table's own numbers unless given. Then the figures are taken as
            true, and the intervals are those that a table of this size would have.
        level: confidence.

    Example:
        >>> from prcim.characterize.lut.file import open_lut
        >>> share = estimates(open_lut("package:8t-64"))["pooled_static_share"]
        >>> bool(share.low < share.value < share.high), share.rests_on
        (True, ('columns', 'patterns'))
    """
    effort = effort_of(lut) if effort is None else effort
    found = {}
    for name in figure_names(lut) if names is None else names:
        unit, rests_on, make = _FIGURES[name]
        value, interval = make(lut, effort, level)
        low, high = interval if interval is not None else Interval(*(np.full(np.shape(value), np.nan),) * 2)
        low, high = _rounded(value, Interval(low, high))
        found[name] = Estimate(name=name, unit=unit, rests_on=rests_on, value=value, low=low, high=high)
    return found


def _rounded(value: Floats, interval: Interval) -> Interval:
    """The interval with the file's rounding; ends of 0 and 1, beyond which a spread or a share cannot lie, stay."""
    low, high = interval
    step = SINGLE * np.abs(value)
    return Interval(np.where(low == 0, 0.0, low - step), np.where(high == 1, 1.0, high + step))


def figure_names(lut: ErrorLUT) -> list[str]:
    """Figures of a table: it has the current of its cells or their capacitance, or, if it was measured, neither."""
    missing = {name for name in ("i_cell_a", "c_cell_f") if name not in lut.meta}
    cells = effort_of(lut).cells >= 2 and "rel_sigma_cell" in lut.meta
    return [
        name
        for name, (_, rests_on, _) in _FIGURES.items()
        if name not in missing and (cells or "cells" not in rests_on)
    ]
