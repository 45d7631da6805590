"""The current that one cell draws when it is read: what a column adds up."""

import numpy as np
from numpy.typing import NDArray
from PySpice.Spice.Netlist import Circuit

from prcim.cells.cell import Cell
from prcim.cells.technology import Technology
from prcim.spice.deck import Deck

#: As for a whole column.
SOLVER = ".options reltol=1e-6 vntol=1e-9 abstol=1e-15\n"


def read_currents(
    technology: Technology,
    cell: Cell,
    shifts: tuple[NDArray[np.float64], NDArray[np.float64]],
    *,
    v_wl_v: float,
    v_bl_v: float,
) -> tuple[Deck, list[str]]:
    """A deck with many cells that store 1, each on a bit line of its own that is held at a voltage.

    Args:
        technology, cell: the cell.
        shifts: growth of threshold magnitudes, V, and mobility factors, each of shape (cells, transistors).
        v_wl_v: voltage of the read word line, V.
        v_bl_v: voltage of the read bit line, V.

    Returns:
        The deck, and for each cell the name of the vector that holds minus its current, A.
    """
    vdd_v = technology.vdd_v
    circuit = Circuit("prcim read currents of single cells")
    circuit.raw_spice += technology.preamble
    circuit.subcircuit(cell.subcircuit(technology))
    for name, level_v in (("vdd", vdd_v), ("bl", vdd_v), ("blb", vdd_v), ("wl", 0.0), ("rwl", v_wl_v)):
        circuit.V(name, name, 0, level_v)
    shared = {"wl": "wl", "bl": "bl", "blb": "blb", "vdd": "vdd", "vss": "0", cell.read_word_line: "rwl"}
    for index, (dvt_v, mu) in enumerate(zip(*shifts, strict=True)):
        line = f"rbl{index}"
        circuit.V(line, line, 0, v_bl_v)
        nodes = {**shared, cell.read_bit_line: line}
        circuit.X(
            str(index),
            cell.name,
            *(nodes[port] for port in cell.ports),
            **cell.shifts(dvt_v, mu),
        )
        circuit.raw_spice += "".join(
            f".nodeset v(x{index}.{node})={value:.6g}\n" for node, value in cell.start_v(1, vdd_v).items()
        )
    names = [f"i(vrbl{index})" for index in range(len(shifts[0]))]
    return Deck(netlist=f"{circuit}\n{SOLVER}", save=tuple(names), analyses=("op",)), names
