"""Process corners: where a whole die may lie."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import final

from prcim.errors import InputError

#: Threshold shift of a slow die, V, and factor on its mobility. Assumption: three sigma of the die's spread of 15 mV,
#: and 5 % of mobility. A fast die has the opposite and the inverse.
SLOW_V, SLOW_FACTOR = 0.045, 0.95


@final
@dataclass(frozen=True, kw_only=True)
class Shift:
    """What all transistors of one kind have in common.

    Attributes:
        dvt_v: growth of the threshold's magnitude, V.
        factor: factor on the mobility.
    """

    dvt_v: float = 0.0
    factor: float = 1.0


_SPEEDS = MappingProxyType(
    {"t": Shift(), "s": Shift(dvt_v=SLOW_V, factor=SLOW_FACTOR), "f": Shift(dvt_v=-SLOW_V, factor=1 / SLOW_FACTOR)}
)
#: Names of the corners: speed of N, then of P devices.
CORNERS = ("tt", "ff", "ss", "fs", "sf")


def corner_shift(corner: str, kind: str) -> Shift:
    """Shift of the "n" or "p" devices at a corner.

    Raises:
        InputError: there is no such corner.

    Example:
        >>> corner_shift("fs", "n").dvt_v, corner_shift("fs", "p").dvt_v
        (-0.045, 0.045)
    """
    if corner not in CORNERS:
        raise InputError(f"corner is {corner!r}; the corners are: {', '.join(CORNERS)}")
    return _SPEEDS[corner[0 if kind == "n" else 1]]
