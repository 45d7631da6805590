"""One transistor of a cell: what it is, how large, where it is connected."""

from dataclasses import dataclass
from typing import Literal

from prcim.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Transistor:
    """A MOSFET inside a cell's sub-circuit.

    Attributes:
        name: unique in the cell, lower case letters and digits.
        kind: "n" or "p".
        drain, gate, source: node names of the sub-circuit. The bulk is `vss` for "n" and `vdd` for "p".
        w_m: drawn gate width, m.
        l_m: drawn gate length, m.
    """

    name: str
    kind: Literal["n", "p"]
    drain: str
    gate: str
    source: str
    w_m: float
    l_m: float = 65e-9

    def __post_init__(self) -> None:
        if not (self.name.isalnum() and self.name.islower()):
            raise InputError(f"transistor name {self.name!r} must be lower case letters and digits")
        if not (0 < self.w_m < 1e-3 and 0 < self.l_m < 1e-3):
            raise InputError(f"transistor {self.name}: width {self.w_m} m and length {self.l_m} m must lie in 0..1 mm")

    @property
    def bulk(self) -> str:
        """Node of the bulk."""
        return "vss" if self.kind == "n" else "vdd"
