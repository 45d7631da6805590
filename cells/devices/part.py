"""One element of a cell: what it adds to a netlist, and how much two of a kind differ."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

from PySpice.Spice.Netlist import Netlist

from prcim.errors import InputError

if TYPE_CHECKING:
    from prcim.cells.mismatch import Mismatch
    from prcim.cells.technology import Technology


class Part(ABC):
    """A transistor, a resistor, a capacitor inside a sub-circuit.

    Every part can be shifted in two ways: its threshold grows (transistors only), and its value is multiplied.

    Attributes:
        name: unique in the sub-circuit, lower case letters and digits.
        kind: "n" or "p" for a transistor, "" for all else, which a die's threshold shift does not reach.
    """

    name: str
    kind: str

    @abstractmethod
    def sigma_vt_v(self, mismatch: "Mismatch") -> float:
        """Spread of the threshold, V; 0 where there is none."""

    @abstractmethod
    def rel_sigma(self, mismatch: "Mismatch") -> float:
        """Relative spread of the value: of a transistor's gain, of a resistance, of a capacitance."""

    @abstractmethod
    def parameters(self, dvt_v: float, factor: float) -> Mapping[str, str]:
        """Parameters that shift this part in one instance of the sub-circuit.

        Args:
            dvt_v: growth of the threshold's magnitude, V.
            factor: factor on the value.
        """

    @abstractmethod
    def add_to(self, circuit: Netlist, technology: "Technology") -> None:
        """Adds the part to a sub-circuit that has `parameters`."""


def checked_name(name: str) -> str:
    """The name itself, after checking that a netlist can hold it.

    Raises:
        InputError: it has other characters than lower case letters and digits.
    """
    if not (name.isascii() and name.isalnum() and name.islower()):
        raise InputError(f"part name {name!r} must be lower case letters and digits")
    return name
