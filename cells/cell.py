"""What a memory cell is to a column."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PySpice.Spice.Netlist import SubCircuit

from prcim.cells.devices.part import Part
from prcim.cells.technology import Technology


class Cell(ABC):
    """A cell as a PySpice sub-circuit whose parts can each be shifted.

    A weight of +-1 takes `twins` cells on one row. An input of +1 or -1 sets the word lines of all of them; what the
    cells then do to the bit lines lowers the voltage of the first line against the second (against ground where there
    is one line only) with every product that is +1.

    Attributes:
        name: name of the sub-circuit.
        ports: nodes of the sub-circuit, in order; "vdd" and "vss" are among them.
        bit_lines: the one or two ports that a read senses.
        word_lines: the ports that an input drives.
        idle: where the other ports wait during a read: port -> fraction of the supply.
        twins: cells that a weight takes.
        latch: the two inner nodes that hold the bit, true one first; empty where something else holds it.
        keepers: names of the parts that keep the latch's nodes where they are and do nothing else in a read. A deck may
            hold these nodes with sources instead, see `rest.py`; empty where reads go through the latch.
        read_path: sizes of the transistors that a read goes through, the one next to the bit line first.
        reads: names of the reads that make sense of this cell, see `read.py`.
    """

    name: ClassVar[str]
    ports: ClassVar[tuple[str, ...]]
    bit_lines: ClassVar[tuple[str, ...]]
    word_lines: ClassVar[tuple[str, ...]]
    idle: ClassVar[Mapping[str, float]]
    twins: ClassVar[int] = 2
    latch: ClassVar[tuple[str, ...]] = ()
    keepers: ClassVar[tuple[str, ...]] = ()
    read_path: ClassVar[tuple[str, ...]]
    reads: ClassVar[tuple[str, ...]] = ("steady", "pulsed")

    @property
    @abstractmethod
    def parts(self) -> tuple[Part, ...]:
        """All parts of the cell."""

    @abstractmethod
    def start_v(self, bit: int, vdd_v: float) -> dict[str, float]:
        """Starting voltage of every node inside the cell when it stores `bit`, V: inner node -> voltage."""

    def stored_bit(self, weight: int, twin: int) -> int:
        """The bit that a twin stores: weight +1 is (1, 0), weight -1 is (0, 1)."""
        return int((weight > 0) != bool(twin))

    def levels(self, x: int, twin: int) -> tuple[float, ...]:
        """Level of each word line for an input of +1, -1 or 0 (row not used), as a fraction of the active level.

        The first twin is opened by +1, the second by -1.
        """
        return (1.0 if x == (1, -1)[twin] else 0.0,)

    def state(self, bit: int) -> Mapping[str, str]:
        """Parameters of the sub-circuit by which an instance stores a bit; none where the latch does."""
        return {}

    def subcircuit(self, technology: Technology, *, held: bool = False) -> SubCircuit:
        """The sub-circuit, with the parameters of `state` and those of every part.

        Args:
            technology: transistors.
            held: whether sources hold the latch in place of the keepers; their parameters are `hold_q` and the like.
        """
        parts = [part for part in self.parts if not held or part.name not in self.keepers]
        parameters = dict(self.state(1))
        for part in parts:
            parameters.update(part.parameters(0.0, 1.0))
        if held:
            parameters.update({f"hold_{node}": "0" for node in self.latch})
        circuit = SubCircuit(self.name, *self.ports, **parameters)
        for part in parts:
            part.add_to(circuit, technology)
        if held:
            circuit.raw_spice += "".join(f"vhold{node} {node} 0 {{hold_{node}}}\n" for node in self.latch)
        return circuit

    def instance(
        self,
        bit: int,
        dvt_v: NDArray[np.float64],
        factor: NDArray[np.float64],
        held_v: NDArray[np.float64] | None = None,
    ) -> dict[str, str]:
        """Parameters of one instance of `subcircuit`.

        Args:
            bit: what it stores.
            dvt_v: growth of each threshold's magnitude, V, shape (parts,).
            factor: factor on each value, shape (parts,).
            held_v: voltages at which sources hold the latch, V, shape (latch nodes,); None where its parts do.
        """
        values = dict(self.state(bit))
        for part, dvt, value in zip(self.parts, dvt_v, factor, strict=True):
            if held_v is None or part.name not in self.keepers:
                values.update(part.parameters(dvt, value))
        if held_v is not None:
            values.update({f"hold_{node}": f"{v:.9g}" for node, v in zip(self.latch, held_v, strict=True)})
        return values
