"""The 6T SRAM cell: two inverters and two pass gates, read through the pass gates on both bit lines."""

from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import ClassVar, final

from prcim.cells.cell import Cell
from prcim.cells.devices.part import Part
from prcim.cells.devices.transistor import Transistor


@final
@dataclass(frozen=True, kw_only=True)
class Cell6T(Cell):
    """6T cell; with its word line on, the side that stores 0 pulls its bit line down.

    An input of +1 opens the first twin, -1 the second, so that each row always has one cell on; the sum is the
    difference of the two lines. A bit line that falls too far writes the cells whose word line is on.

    Attributes:
        w_pull_up_m, w_pull_down_m, w_pass_m: widths of the transistors, m.

    Source: widths of published 65 nm cells, 80 / 130..150 / 90..100 nm.

    Example:
        >>> [part.name for part in Cell6T().parts]
        ['pul', 'pur', 'pdl', 'pdr', 'pgl', 'pgr']
    """

    w_pull_up_m: float = 80e-9
    w_pull_down_m: float = 130e-9
    w_pass_m: float = 90e-9

    name: ClassVar[str] = "cell_6t"
    ports: ClassVar[tuple[str, ...]] = ("bl", "blb", "wl", "vdd", "vss")
    bit_lines: ClassVar[tuple[str, ...]] = ("bl", "blb")
    read_path: ClassVar[tuple[str, ...]] = ("w_pass_m", "w_pull_down_m")
    word_lines: ClassVar[tuple[str, ...]] = ("wl",)
    idle: ClassVar[MappingProxyType[str, float]] = MappingProxyType({})
    latch: ClassVar[tuple[str, ...]] = ("q", "qb")

    @cached_property
    def parts(self) -> tuple[Part, ...]:  # noqa: D102
        return latch_parts(self.w_pull_up_m, self.w_pull_down_m, self.w_pass_m)

    def stored_bit(self, weight: int, twin: int) -> int:
        """Inverted: a weight of +1 stores 0, so that the first line falls when the product is +1."""
        return 1 - super().stored_bit(weight, twin)

    def start_v(self, bit: int, vdd_v: float) -> dict[str, float]:  # noqa: D102
        return {"q": vdd_v * bit, "qb": vdd_v * (1 - bit)}


def latch_parts(w_pull_up_m: float, w_pull_down_m: float, w_pass_m: float) -> tuple[Part, ...]:
    """The six transistors that hold a bit, with ports bl, blb, wl, vdd, vss and inner nodes q, qb."""
    return (
        Transistor(name="pul", kind="p", drain="q", gate="qb", source="vdd", w_m=w_pull_up_m),
        Transistor(name="pur", kind="p", drain="qb", gate="q", source="vdd", w_m=w_pull_up_m),
        Transistor(name="pdl", kind="n", drain="q", gate="qb", source="vss", w_m=w_pull_down_m),
        Transistor(name="pdr", kind="n", drain="qb", gate="q", source="vss", w_m=w_pull_down_m),
        Transistor(name="pgl", kind="n", drain="bl", gate="wl", source="q", w_m=w_pass_m),
        Transistor(name="pgr", kind="n", drain="blb", gate="wl", source="qb", w_m=w_pass_m),
    )
