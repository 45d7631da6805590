"""Resistors and capacitors of a cell or of a column's end."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from PySpice.Spice.Netlist import Netlist

from prcim.cells.devices.part import Part, checked_name
from prcim.cells.mismatch import Mismatch
from prcim.cells.technology import Technology
from prcim.errors import InputError


@dataclass(frozen=True, kw_only=True)
class _Passive(Part):
    name: str
    plus: str
    minus: str
    spread: float
    kind: str = field(default="", init=False, repr=False)

    def __post_init__(self) -> None:
        checked_name(self.name)
        if not 0 <= self.spread < 2:
            raise InputError(f"{self.name}: spread is {self.spread}; a relative spread lies in 0..2")

    def sigma_vt_v(self, mismatch: Mismatch) -> float:
        return 0.0

    def rel_sigma(self, mismatch: Mismatch) -> float:
        return self.spread

    def parameters(self, dvt_v: float, factor: float) -> Mapping[str, str]:
        return {f"f_{self.name}": f"{factor:.6g}"}


@final
@dataclass(frozen=True, kw_only=True)
class Resistor(_Passive):
    """A resistor.

    Attributes:
        name: unique in the sub-circuit.
        plus, minus: nodes.
        ohm: resistance, or the name of a sub-circuit parameter that holds it.
        spread: relative spread from one to the next.
    """

    ohm: float | str

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.ohm, str) and not 0 < self.ohm < math.inf:
            raise InputError(f"{self.name}: ohm is {self.ohm}; it must be a positive resistance")

    def add_to(self, circuit: Netlist, technology: Technology) -> None:  # noqa: D102
        value = self.ohm if isinstance(self.ohm, str) else f"{self.ohm:.9g}"
        circuit.raw_spice += f"r{self.name} {self.plus} {self.minus} {{{value}*f_{self.name}}}\n"


@final
@dataclass(frozen=True, kw_only=True)
class Capacitor(_Passive):
    """A capacitor.

    Attributes:
        name: unique in the sub-circuit.
        plus, minus: nodes.
        farad: capacitance.
        spread: relative spread from one to the next.
    """

    farad: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.farad < 1:
            raise InputError(f"{self.name}: farad is {self.farad}; it must be a positive capacitance")

    def add_to(self, circuit: Netlist, technology: Technology) -> None:  # noqa: D102
        circuit.raw_spice += f"c{self.name} {self.plus} {self.minus} {{{self.farad:.6g}*f_{self.name}}}\n"
