"""What a memory cell is to a column."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PySpice.Spice.Netlist import SubCircuit

from prcim.cells.technology import Technology
from prcim.cells.transistor import Transistor


class Cell(ABC):
    """A cell as a PySpice sub-circuit whose transistors each take a threshold shift and a mobility factor.

    A column puts two of them, twins that store a weight and its inverse, on every row.

    Attributes:
        name: name in the registry and of the sub-circuit.
        ports: nodes of the sub-circuit, in order.
        read_bit_line, read_word_line: the two ports of a read.
        storage: the inner node whose voltage is the stored bit.
    """

    name: ClassVar[str]
    ports: ClassVar[tuple[str, ...]]
    read_bit_line: ClassVar[str]
    read_word_line: ClassVar[str]
    storage: ClassVar[str]

    @property
    @abstractmethod
    def transistors(self) -> tuple[Transistor, ...]:
        """All transistors of the cell."""

    @abstractmethod
    def start_v(self, bit: int, vdd_v: float) -> dict[str, float]:
        """Starting voltage of every node inside the cell when it stores `bit`, V: inner node -> voltage."""

    def subcircuit(self, technology: Technology) -> SubCircuit:
        """The sub-circuit, with parameters `dvt_NAME` (V) and `mu_NAME` (factor) for each transistor NAME."""
        parameters: dict[str, float] = {}
        for t in self.transistors:
            parameters[f"dvt_{t.name}"] = 0.0
            parameters[f"mu_{t.name}"] = 1.0
        circuit = SubCircuit(self.name, *self.ports, **parameters)
        for t in self.transistors:
            # BSIM4 adds delvto to VTH0, which is negative in a P device: there a larger magnitude is a minus.
            sign = "" if t.kind == "n" else "-"
            circuit.M(
                t.name,
                t.drain,
                t.gate,
                t.source,
                t.bulk,
                model=technology.model(t.kind),
                raw_spice=f"w={t.w_m:.6g} l={t.l_m:.6g} delvto={{{sign}dvt_{t.name}}} mulu0={{mu_{t.name}}}",
            )
        return circuit

    def shifts(self, dvt_v: NDArray[np.float64], mu: NDArray[np.float64]) -> dict[str, str]:
        """Parameters of one instance of `subcircuit`.

        Args:
            dvt_v: growth of each threshold's magnitude, V, shape (transistors,).
            mu: factor on each mobility, shape (transistors,).
        """
        values: dict[str, str] = {}
        for t, dvt, factor in zip(self.transistors, dvt_v, mu, strict=True):
            values[f"dvt_{t.name}"] = f"{dvt:.6g}"
            values[f"mu_{t.name}"] = f"{factor:.6g}"
        return values
