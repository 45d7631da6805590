"""The 8T SRAM cell: six transistors that hold a bit, two that read it without touching it."""

from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import ClassVar, final

from prcim.cells.cell import Cell
from prcim.cells.cell_6t import latch_parts
from prcim.cells.devices.part import Part
from prcim.cells.devices.transistor import Transistor


@final
@dataclass(frozen=True, kw_only=True)
class Cell8T(Cell):
    """8T cell with a decoupled read port: `q` drives the lower read transistor, the read word line the upper one.

    The cell pulls current from the read bit line when its read word line is on and it stores 1.

    Attributes:
        w_pull_up_m, w_pull_down_m, w_pass_m: widths of the six transistors that hold the bit, m.
        w_driver_m, w_access_m: widths of the lower and the upper read transistor, m.

    Source: widths of published 65 nm cells, 80 / 130..150 / 90..100 nm, read stack 120 nm.

    Example:
        >>> [part.name for part in Cell8T().parts]
        ['pul', 'pur', 'pdl', 'pdr', 'pgl', 'pgr', 'rd', 'ra']
    """

    w_pull_up_m: float = 80e-9
    w_pull_down_m: float = 130e-9
    w_pass_m: float = 90e-9
    w_driver_m: float = 120e-9
    w_access_m: float = 120e-9

    name: ClassVar[str] = "cell_8t"
    ports: ClassVar[tuple[str, ...]] = ("rbl", "rwl", "wl", "bl", "blb", "vdd", "vss")
    bit_lines: ClassVar[tuple[str, ...]] = ("rbl",)
    read_path: ClassVar[tuple[str, ...]] = ("w_access_m", "w_driver_m")
    word_lines: ClassVar[tuple[str, ...]] = ("rwl",)
    # Between writes the write bit lines wait at the supply, the write word line at ground.
    idle: ClassVar[MappingProxyType[str, float]] = MappingProxyType({"bl": 1.0, "blb": 1.0, "wl": 0.0})
    latch: ClassVar[tuple[str, ...]] = ("q", "qb")
    keepers: ClassVar[tuple[str, ...]] = ("pul", "pur", "pdl", "pdr", "pgl", "pgr")

    @cached_property
    def parts(self) -> tuple[Part, ...]:  # noqa: D102
        return (
            *latch_parts(self.w_pull_up_m, self.w_pull_down_m, self.w_pass_m),
            Transistor(name="rd", kind="n", drain="mid", gate="q", source="vss", w_m=self.w_driver_m),
            Transistor(name="ra", kind="n", drain="rbl", gate="rwl", source="mid", w_m=self.w_access_m),
        )

    def start_v(self, bit: int, vdd_v: float) -> dict[str, float]:  # noqa: D102
        # With q low, mid hangs between two transistors that are off, and Newton's method goes round in circles from
        # a start at 0 V; from half the supply it converges in 14 steps.
        return {"q": vdd_v * bit, "qb": vdd_v * (1 - bit), "mid": 0.0 if bit else vdd_v / 2}
