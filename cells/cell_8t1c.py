"""The charge-domain 8T1C cell: an XNOR of stored bit and input that moves one plate of a capacitor."""

from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import ClassVar, final

from prcim.cells.cell import Cell
from prcim.cells.cell_6t import latch_parts
from prcim.cells.devices.part import Part
from prcim.cells.devices.passive import Capacitor
from prcim.cells.devices.transistor import Transistor


@final
@dataclass(frozen=True, kw_only=True)
class Cell8T1C(Cell):
    """A latch whose two nodes choose which of two multiply word lines reaches the capacitor of the bit line.

    One cell holds a weight: an input of +1 raises the first word line and grounds the second, -1 does the opposite, and
    a row that is not used leaves both at half the level, as all are before the read.

    Attributes:
        w_pull_up_m, w_pull_down_m, w_pass_m: widths of the latch, m.
        w_select_m: width of the two transistors that choose the word line, m.
        c_f: capacitor, F. Assumption: some fF of fringe capacitance above the cell.
        c_spread: its relative spread. Assumption: 1 % for a metal capacitor of this size.

    Source: the cell of the charge-sharing macros C3SRAM and CAP-RAM (65 nm).

    Example:
        >>> Cell8T1C().levels(1, 0), Cell8T1C().levels(0, 0)
        ((1.0, 0.0), (0.5, 0.5))
    """

    w_pull_up_m: float = 80e-9
    w_pull_down_m: float = 130e-9
    w_pass_m: float = 90e-9
    w_select_m: float = 120e-9
    c_f: float = 4e-15
    c_spread: float = 0.01

    name: ClassVar[str] = "cell_8t1c"
    ports: ClassVar[tuple[str, ...]] = ("mbl", "mwl", "mwlb", "wl", "bl", "blb", "vdd", "vss")
    bit_lines: ClassVar[tuple[str, ...]] = ("mbl",)
    read_path: ClassVar[tuple[str, ...]] = ("w_select_m",)
    word_lines: ClassVar[tuple[str, ...]] = ("mwl", "mwlb")
    idle: ClassVar[MappingProxyType[str, float]] = MappingProxyType({"bl": 1.0, "blb": 1.0, "wl": 0.0})
    twins: ClassVar[int] = 1
    latch: ClassVar[tuple[str, ...]] = ("q", "qb")
    keepers: ClassVar[tuple[str, ...]] = ("pul", "pur", "pdl", "pdr", "pgl", "pgr")
    reads: ClassVar[tuple[str, ...]] = ("charge",)

    @cached_property
    def parts(self) -> tuple[Part, ...]:  # noqa: D102
        return (
            *latch_parts(self.w_pull_up_m, self.w_pull_down_m, self.w_pass_m),
            Transistor(name="sel", kind="n", drain="mwl", gate="q", source="plate", w_m=self.w_select_m),
            Transistor(name="selb", kind="n", drain="mwlb", gate="qb", source="plate", w_m=self.w_select_m),
            Capacitor(name="cell", plus="plate", minus="mbl", farad=self.c_f, spread=self.c_spread),
        )

    def stored_bit(self, weight: int, twin: int) -> int:
        """Inverted: the line falls when the product is +1."""
        return int(weight < 0)

    def levels(self, x: int, twin: int) -> tuple[float, ...]:
        """Both word lines of the one cell, see above."""
        return (1.0, 0.0) if x > 0 else (0.0, 1.0) if x < 0 else (0.5, 0.5)

    def start_v(self, bit: int, vdd_v: float) -> dict[str, float]:  # noqa: D102
        return {"q": vdd_v * bit, "qb": vdd_v * (1 - bit), "plate": 0.0}
