"""A cell of another memory: one transistor and one programmable resistor."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import ClassVar, final

from prcim.cells.cell import Cell
from prcim.cells.devices.part import Part
from prcim.cells.devices.passive import Resistor
from prcim.cells.devices.transistor import Transistor
from prcim.errors import InputError


@final
@dataclass(frozen=True, kw_only=True)
class Cell1T1R(Cell):
    """1T1R cell: the bit is a resistance, low for 1, high for 0; twins as with the 8T cell.

    Attributes:
        w_access_m: width of the access transistor, m.
        r_on_ohm, r_off_ohm: resistance of the two states, ohm. Assumption: a filamentary oxide memory.
        r_spread: relative spread of either, log-normal. Assumption: 5..20 % is reported for such memories.

    Example:
        >>> Cell1T1R().state(0)
        {'r_state': '1e+06'}
    """

    w_access_m: float = 200e-9
    r_on_ohm: float = 2e4
    r_off_ohm: float = 1e6
    r_spread: float = 0.1

    name: ClassVar[str] = "cell_1t1r"
    ports: ClassVar[tuple[str, ...]] = ("bl", "wl", "vdd", "vss")
    bit_lines: ClassVar[tuple[str, ...]] = ("bl",)
    read_path: ClassVar[tuple[str, ...]] = ("w_access_m",)
    word_lines: ClassVar[tuple[str, ...]] = ("wl",)
    idle: ClassVar[MappingProxyType[str, float]] = MappingProxyType({})

    def __post_init__(self) -> None:
        if not 0 < self.r_on_ohm < self.r_off_ohm < math.inf:
            raise InputError(
                f"r_on_ohm is {self.r_on_ohm}, r_off_ohm is {self.r_off_ohm}; want 0 < r_on < r_off < infinity"
            )

    @cached_property
    def parts(self) -> tuple[Part, ...]:  # noqa: D102
        return (
            Resistor(name="cell", plus="bl", minus="mid", ohm="r_state", spread=self.r_spread),
            Transistor(name="acc", kind="n", drain="mid", gate="wl", source="vss", w_m=self.w_access_m),
        )

    def state(self, bit: int) -> Mapping[str, str]:
        """The resistance."""
        return {"r_state": f"{self.r_on_ohm if bit else self.r_off_ohm:.6g}"}

    def start_v(self, bit: int, vdd_v: float) -> dict[str, float]:  # noqa: D102
        return {"mid": vdd_v}
