"""Many cells side by side, none in the other's way: the test bench of everything that is measured on single cells."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PySpice.Spice.Netlist import Circuit, SubCircuit

from prcim.cells.cell import Cell
from prcim.cells.devices.transistor import Transistor
from prcim.cells.technology import Technology

#: Growth of threshold magnitudes, V, and factors on values, each of shape (cells, parts).
Shifts = tuple[NDArray[np.float64], NDArray[np.float64]]
#: Cells in one deck: its time grows with the square of their number.
DECK_CELLS = 100
#: Precision of a DC solution: a read current of 1 uA to 1 pA, a bit-line voltage to 1 nV.
SOLVER = ".options reltol=1e-6 vntol=1e-9 abstol=1e-14\n"


def bench(
    title: str,
    technology: Technology,
    cell: Cell,
    shifts: Shifts,
    *,
    bit: int,
    level_v: Mapping[str, float],
    own: Collection[str] = (),
    subcircuit: SubCircuit | None = None,
) -> Circuit:
    """A circuit with cells that share their sources, except where they need one each.

    Instance i is `x<i>`; a shared port is the node of its name, an own one has the instance's number behind it, and so
    has its source. Every inner node has a `.nodeset` from which the cell stores its bit.

    Args:
        title: first line of the deck.
        technology, cell: the cell.
        shifts: the mismatch.
        bit: what all cells store.
        level_v: voltage of each port, V. A port without one, own or shared, is left to the caller; "vss" is ground.
        own: ports at which every cell has a source of its own, so that its current can be told from the others'.
        subcircuit: a changed sub-circuit of the cell; its ports beyond the cell's own are shared and left to the
            caller.
    """
    subcircuit = subcircuit or cell.subcircuit(technology)
    ports = [str(node) for node in subcircuit.external_nodes]
    circuit = Circuit(title)
    circuit.raw_spice += technology.preamble
    circuit.subcircuit(subcircuit)
    for port, volts in level_v.items():
        if port not in own:
            circuit.V(port, port, 0, f"{volts:.9g}")
    start_v = cell.start_v(bit, technology.vdd_v)
    for index, (dvt_v, factor) in enumerate(zip(*shifts, strict=True)):
        nodes = {"vss": "0"} | {port: f"{port}{index}" for port in own}
        for port in (port for port in own if port in level_v):
            circuit.V(nodes[port], nodes[port], 0, f"{level_v[port]:.9g}")
        circuit.X(str(index), subcircuit.name, *(nodes.get(p, p) for p in ports), **cell.instance(bit, dvt_v, factor))
        circuit.raw_spice += "".join(f".nodeset v(x{index}.{node})={v:.6g}\n" for node, v in start_v.items())
    return circuit


def waiting_v(cell: Cell, vdd_v: float, *, v_bl_v: float) -> dict[str, float]:
    """Voltage of every port of a cell whose row is not used, V; "vss" is not among them.

    Example:
        >>> from prcim.cells.cell_6t import Cell6T
        >>> waiting_v(Cell6T(), 1.1, v_bl_v=0.9)
        {'vdd': 1.1, 'bl': 0.9, 'blb': 0.9, 'wl': 0.0}
    """
    words = dict(zip(cell.word_lines, (level * vdd_v for level in cell.levels(0, 0)), strict=True))
    idle = {port: share * vdd_v for port, share in cell.idle.items()}
    return {"vdd": vdd_v, **dict.fromkeys(cell.bit_lines, v_bl_v), **words, **idle}


def stepped(node: str, level_v: Sequence[float]) -> str:
    """A source that takes the given voltages when the source `vpoint` is swept over 0, 1, 2, ...

    As text: PySpice would put braces around the expression.
    """
    corners = ",".join(f"{k},{volts:.9g}" for k, volts in enumerate([*level_v, level_v[-1]]))
    return f"b{node} {node} 0 v=pwl(v(point),{corners})\n"


def pass_gate(cell: Cell, port: str) -> str:
    """The latch node that a word line connects with a port; "" where none does.

    Example:
        >>> from prcim.cells.cell_6t import Cell6T
        >>> pass_gate(Cell6T(), "blb")
        'qb'
    """
    for part in cell.parts:
        if isinstance(part, Transistor) and part.gate in cell.word_lines:
            ends = {part.drain, part.source}
            if port in ends and ends & set(cell.latch):
                return (ends & set(cell.latch)).pop()
    return ""


def held(cell: Cell, values: Mapping[str, NDArray[np.float64]], *, bit: int, cells: int) -> NDArray[np.bool_]:
    """Whether each cell still stores its bit at each point of a sweep that kept its latch nodes, shape (cells, points).

    The node that stores 1 must lie above the other. Always true where there is no latch.
    """
    points = len(next(iter(values.values()), ()))
    if not cell.latch:
        return np.ones((cells, points), dtype=np.bool_)
    sides = [np.array([values[f"v(x{i}.{node})"] for i in range(cells)]) for node in cell.latch]
    above: NDArray[np.bool_] = sides[0] > sides[1] if bit else sides[1] > sides[0]
    return above


def latch_names(cell: Cell, cells: int) -> list[str]:
    """Names of the vectors that `held` looks at."""
    return [f"v(x{index}.{node})" for index in range(cells) for node in cell.latch]
