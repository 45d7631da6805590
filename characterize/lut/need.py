"""How many more columns, patterns, dies or cells halve an interval."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from prcim.characterize.lut.error_lut import ErrorLUT
from prcim.characterize.lut.precision import Estimate, estimates
from prcim.characterize.statistics.effort import Effort, effort_of

#: What is not reached with so many is not reached.
COUNT_MAX = 10_000_000
#: Sums within so many standard deviations of what fair inputs give: 95 % of reads.
REACH = 2.0


@final
@dataclass(frozen=True, kw_only=True)
class Need:
    """What it takes to halve the interval of one figure.

    Attributes:
        name, unit: of the figure.
        mac: the sum it is taken at; None for a figure of the whole table.
        value, low, high: the figure and its interval.
        rests_on: what there is of each count that it depends on.
        more: how many more of one of them halve the interval, the others as they are; None where no number does.
        limit: the interval's length that is left with any number of them, as a share of now.
        scale: how many times the columns, dies and cells, all together, halve it, in steps of 0.01.
    """

    name: str
    unit: str
    mac: float | None
    value: float
    low: float
    high: float
    rests_on: dict[str, int]
    more: dict[str, int | None]
    limit: dict[str, float]
    scale: float

    @property
    def relative(self) -> float:
        """Half the interval over the figure."""
        return (self.high - self.low) / 2 / abs(self.value)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "relative": self.relative}


def needs(lut: ErrorLUT) -> list[Need]:
    """For each kind of figure the least certain one, relative to its size, with what halves its interval; worst first.

    Figures at sums that fair inputs rarely give are left out, as are those that may be 0: these have no size to be
    relative to.

    Example:
        >>> from prcim.characterize.lut.file import open_lut
        >>> {need.name: need.more for need in needs(open_lut("package:8t-64"))}["sigma_column"]["patterns"] is None
        True
    """
    found = []
    near = np.abs(lut.mac) <= REACH * np.sqrt(lut.n_used)
    for figure in estimates(lut).values():
        known = np.isfinite(figure.relative) & (figure.low > 0) & (figure.width > 0)
        candidates = np.where(known & near if figure.value.ndim else known, figure.relative, -1.0)
        index = int(np.argmax(candidates))
        if candidates.flat[index] > 0:
            found.append(_need(lut, figure, index))
    return sorted(found, key=lambda need: -need.relative)


def maybe_zero(lut: ErrorLUT) -> dict[str, list[float]]:
    """Spreads between columns that may be none: name -> sums."""
    figures = estimates(lut, names=("sigma_column",))
    return {name: lut.mac[(figure.low <= 0) & (figure.high > 0)].tolist() for name, figure in figures.items()}


def _need(lut: ErrorLUT, figure: Estimate, index: int) -> Need:
    effort = effort_of(lut)

    def width(changed: Effort) -> float:
        return float(estimates(lut, names=(figure.name,), effort=changed)[figure.name].width.flat[index])

    half = width(effort) / 2
    more: dict[str, int | None] = {}
    limit: dict[str, float] = {}
    for name in figure.rests_on:
        now = int(getattr(effort, name))
        count = _smallest(lambda n, name=name: width(effort.changed(name, n)) <= half, now)  # type: ignore[misc]
        more[name] = None if count is None else count - now
        limit[name] = width(effort.changed(name, COUNT_MAX)) / (2 * half)
    scale = _smallest(lambda n: width(effort.scaled(n / 100)) <= half, 100)
    return Need(
        name=figure.name,
        unit=figure.unit,
        mac=float(lut.mac[index]) if figure.value.ndim else None,
        value=float(figure.value.flat[index]),
        low=float(figure.low.flat[index]),
        high=float(figure.high.flat[index]),
        rests_on={name: int(getattr(effort, name)) for name in figure.rests_on},
        more=more,
        limit=limit,
        scale=(COUNT_MAX if scale is None else scale) / 100,
    )


def _smallest(enough: Callable[[int], bool], start: int) -> int | None:
    """The smallest number above `start` that is enough, if more is always better."""
    if not enough(COUNT_MAX):
        return None
    low, high = start, 2 * start
    while not enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
