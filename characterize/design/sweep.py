"""A sweep of design points: which plans a few lists of values stand for."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from prcim.characterize.plan import Plan
from prcim.errors import InputError

#: Short names of what is swept most: the plan's own key, and the unit of the short one.
SHORT = {"vwl": ("v_wl_v", 1.0), "swing": ("swing_v", 1.0), "vdd": ("vdd_v", 1.0), "temp": ("temp_c", 1.0)}
#: Most points in one sweep: a guard against a typing error.
POINTS_MAX = 10_000


@final
@dataclass(frozen=True, kw_only=True)
class Axis:
    """One quantity and its values.

    Attributes:
        name: "vwl", "swing" (V), "w" (nm, width of the transistor next to the bit line; the others of the read path
            keep their ratio to it), or any key of a plan.
        values: as text, as they are written into a plan.

    Example:
        >>> axis("vwl=0.4:0.5:0.05").values
        ('0.4', '0.45', '0.5')
    """

    name: str
    values: tuple[str, ...]

    def settings(self, plan: Plan, value: str) -> list[str]:
        """What one value changes in a plan.

        Raises:
            InputError: a width is not a number.
        """
        if self.name == "w":
            cell = plan.make_cell()
            sizes = [getattr(cell, size) for size in cell.read_path]
            factor = _number(value, self.name) * 1e-9 / sizes[0]
            return [f"sizes.{size}={was * factor:.6g}" for size, was in zip(cell.read_path, sizes, strict=True)]
        if self.name in SHORT:
            key, unit = SHORT[self.name]
            return [f"{key}={_number(value, self.name) * unit:.9g}"]
        return [f"{self.name}={value}"]


def axis(text: str) -> Axis:
    """An axis from "name=1,2,3" or "name=first:last:step".

    Raises:
        InputError: it has neither form.
    """
    name, equals, listed = text.partition("=")
    name = name.strip()
    values: list[str] = [value.strip() for value in listed.split(",")]
    if not equals or not name or not all(values):
        raise InputError(f"sweep {text!r} is not of the form name=1,2,3 or name=first:last:step")
    if ":" in listed:
        parts = listed.split(":")
        if len(parts) != 3:
            raise InputError(f"sweep {text!r} is not of the form name=first:last:step")
        first, last, step = (_number(part, name) for part in parts)
        if not step or (last - first) / step < 0:
            raise InputError(f"sweep {text!r} never gets from {first:g} to {last:g} in steps of {step:g}")
        count = math.floor((last - first) / step + 1e-9) + 1
        if count > POINTS_MAX:
            raise InputError(f"sweep {text!r} has {count} values; at most {POINTS_MAX} are allowed")
        values = [f"{first + k * step:.9g}" for k in range(count)]
    return Axis(name=name, values=tuple(values))


def design_points(plan: Plan, axes: Sequence[Axis]) -> list[tuple[tuple[str, ...], Plan]]:
    """Every combination of values, with the plan that has them.

    Raises:
        InputError: an axis is there twice, names no key of a plan, or has a value that is not allowed.
    """
    names = [one.name for one in axes]
    if len(set(names)) < len(names):
        raise InputError(f"a quantity is swept twice: {', '.join(names)}")
    if math.prod(len(one.values) for one in axes) > POINTS_MAX:
        raise InputError(f"the sweep has more than {POINTS_MAX} points; shorten its lists")
    points = []
    for values in itertools.product(*(one.values for one in axes)):
        settings = [s for one, value in zip(axes, values, strict=True) for s in one.settings(plan, value)]
        points.append((values, plan.changed(settings)))
    return points


def _number(text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"sweep of {name}: {text!r} is not a number") from None
    if not math.isfinite(value):
        raise InputError(f"sweep of {name}: {text!r} is not a finite number")
    return value
