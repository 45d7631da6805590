"""Where the thresholds of a read-out come from when they are trimmed on each die."""

from dataclasses import dataclass
from typing import final

from prcim.errors import InputError


@final
@dataclass(frozen=True, kw_only=True)
class Trim:
    """Fixed thresholds that are shifted together, once on each die, by a small converter.

    Attributes:
        bits: bits of the converter.
        range_v: largest shift either way, V.

    Example:
        >>> round(Trim(bits=3, range_v=0.07).realised_v(0.033), 6)
        0.03
    """

    bits: int = 6
    range_v: float = 0.1

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 12:
            raise InputError(f"trim_bits is {self.bits}; a trim has 1 to 12 bits")
        if not 0 < self.range_v < 2:
            raise InputError(f"trim_range_v is {self.range_v} V; it must lie between 0 and 2 V")

    @property
    def step_v(self) -> float:
        """Distance of two codes, V."""
        return 2 * self.range_v / ((1 << self.bits) - 1)

    def realised_v(self, wanted_v: float) -> float:
        """The shift that the converter makes when one is wanted: its nearest code."""
        code = round((wanted_v + self.range_v) / self.step_v)
        return min(max(code, 0), (1 << self.bits) - 1) * self.step_v - self.range_v
