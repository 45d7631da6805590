"""What tells two tables apart: their plans, their numbers, and whether sampling alone explains these."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from prcim.characterize.lut.error_lut import ErrorLUT, array_names
from prcim.characterize.lut.precision import Estimate, estimates, figure_names
from prcim.characterize.statistics.array_difference import ArrayDifference, array_difference
from prcim.characterize.statistics.interval import LEVEL, normal_factor

Floats = NDArray[np.float64]

#: Two tables of the same truth are called different in at most this share of pairs.
FALSE_ALARMS = 0.01
#: Half of the unit, S, that networks count errors in. With no cell on, sums err by less, and by leakage or rounding.
RESOLUTION = 2.0**-7
#: Figures that are compared; those that follow from others are left out.
COMPARED = ("transfer_v", "slope_v", "sigma_column", "sigma_pattern", "sigma_die", "rel_sigma_cell")
CELL_MEANS = ("i_cell_a", "c_cell_f")


@final
@dataclass(frozen=True, kw_only=True)
class Apart:
    """One figure in both tables.

    Attributes:
        name, mac: the figure; `mac` None for one of the whole table.
        a, b: its values.
        z: difference over its standard error, positive where B is larger.
    """

    name: str
    mac: float | None
    a: float
    b: float
    z: float


@final
@dataclass(frozen=True, kw_only=True)
class Difference:
    """Two tables beside each other.

    Attributes:
        identical: every number and the provenance are the same.
        same_plan: the plans' identities are the same.
        fields: dotted name -> values in A and B of what differs in plans and provenance.
        arrays: differences of arrays; empty where the tables have no sums in common or other rows.
        figures: all figures that were compared, the furthest apart first.
        apart: those of them that differ by more than sampling explains.
        shares_draws: both plans have the same seed, so part of the draws may be the same, and then figures differ less
            than independent tables would.
    """

    identical: bool
    same_plan: bool
    fields: dict[str, tuple[Any, Any]]
    arrays: list[ArrayDifference]
    figures: list[Apart]
    apart: list[Apart]
    shares_draws: bool

    @property
    def agree(self) -> bool | None:
        """Whether sampling explains all differences; None where nothing can be compared."""
        return not self.apart if self.figures else None

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "agree": self.agree, "false_alarms": FALSE_ALARMS}


def difference(a: ErrorLUT, b: ErrorLUT) -> Difference:
    """Compares two tables.

    A difference of two figures has the interval that follows from theirs (Zou, Donner, Statistics in Medicine 27 (2008)
    1693): with x > y it reaches down to x - y - sqrt((x - low_x)^2 + (high_y - y)^2). Each figure is tried at the level
    that keeps all of them together to FALSE_ALARMS (Bonferroni), which holds however correlated they are. Differences
    within RESOLUTION are none.

    Example:
        >>> from prcim.characterize.lut.file import open_lut
        >>> lut = open_lut("package:8t-64")
        >>> found = difference(lut, lut)
        >>> found.identical, found.agree, found.fields
        (True, True, {})
    """
    comparable = (a.rows, a.n_used) == (b.rows, b.n_used)
    common = np.intersect1d(a.mac, b.mac) if comparable else np.array([])
    at = np.searchsorted(a.mac, common), np.searchsorted(b.mac, common)
    figures, apart = _figures(a, b, common, at) if len(common) else ([], [])
    about = [{key: value for key, value in _flat(lut.meta).items() if key != "plan.name"} for lut in (a, b)]
    fields = {
        key: (about[0].get(key), about[1].get(key))
        for key in sorted(about[0].keys() | about[1].keys())
        if about[0].get(key) != about[1].get(key)
    }
    return Difference(
        identical=a.sha256 == b.sha256,
        same_plan=a.plan_id == b.plan_id,
        fields=fields,
        arrays=[array_difference(name, a, b, at) for name in array_names()] if len(common) else [],
        figures=figures,
        apart=apart,
        shares_draws=a.meta.get("plan", {}).get("seed") == b.meta.get("plan", {}).get("seed"),
    )


def _figures(
    a: ErrorLUT, b: ErrorLUT, common: Floats, at: tuple[NDArray[np.intp], NDArray[np.intp]]
) -> tuple[list[Apart], list[Apart]]:
    """All figures that both tables have, and those that differ by more than sampling explains."""
    both = set(figure_names(a)) & set(figure_names(b))
    names = tuple(name for name in (*COMPARED, *CELL_MEANS) if name in both)
    found = [estimates(lut, names=names) for lut in (a, b)]
    count = sum(len(common) if found[0][name].value.ndim else 1 for name in names)
    strict = [estimates(lut, names=names, level=1 - FALSE_ALARMS / count) for lut in (a, b)]
    scored: list[tuple[Apart, bool]] = []
    for name in names:
        usual, wide = (
            [_pick(one[name], index, lut.slope_v[index]) for one, index, lut in zip(pair, at, (a, b), strict=True)]
            for pair in (found, strict)
        )
        z = normal_factor(LEVEL) * _halves(usual[0], usual[1])
        far = np.abs(_halves(wide[0], wide[1])) > 1
        sums = common.tolist() if found[0][name].value.ndim else [None]
        for k, mac in enumerate(sums):
            values = float(usual[0][0][k]), float(usual[1][0][k])
            scored.append((Apart(name=name, mac=mac, a=values[0], b=values[1], z=float(z[k])), bool(far[k])))
    scored.sort(key=lambda pair: -abs(pair[0].z))
    return [figure for figure, _ in scored], [figure for figure, far in scored if far]


def _pick(figure: Estimate, index: NDArray[np.intp], slope_v: Floats) -> tuple[Floats, Floats, Floats]:
    """Value and ends at some sums, or of the whole table; an interval is no finer than what decides anything."""
    if figure.value.ndim == 0:
        return np.atleast_1d(figure.value), np.atleast_1d(figure.low), np.atleast_1d(figure.high)
    step = {"S": RESOLUTION + 0 * slope_v, "V": RESOLUTION * slope_v}.get(figure.unit, 0 * slope_v)
    return figure.value[index], figure.low[index] - step, figure.high[index] + step


def _halves(a: tuple[Floats, Floats, Floats], b: tuple[Floats, Floats, Floats]) -> Floats:
    """B - A in halves of the interval of that difference."""
    half = np.where(b[0] >= a[0], np.hypot(b[0] - b[1], a[2] - a[0]), np.hypot(a[0] - a[1], b[2] - b[0]))
    gap = b[0] - a[0]
    return np.where(gap == 0, 0.0, gap / np.maximum(half, 1e-300))


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as dotted names."""
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= _flat(inner, f"{prefix}{key}.") if isinstance(inner, dict) and inner else {f"{prefix}{key}": inner}
    return flat
