"""A physical column: twin cells on one read bit line, with a load at its end."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from PySpice.Spice.Netlist import Circuit

from prcim.cells.cell import Cell
from prcim.cells.mismatch import Mismatch
from prcim.cells.technology import Technology
from prcim.errors import InputError

#: The node at which load and sense amplifier meet the bit line.
BIT_LINE = "rbl0"


@final
@dataclass(frozen=True, kw_only=True)
class ColumnDraw:
    """What makes one column different from the next.

    Attributes:
        weights: +1 or -1, shape (rows,).
        dvt_v: growth of each threshold's magnitude, V, shape (rows, 2, transistors); the twin that stores the weight
            comes first, the one that stores its inverse second.
        mu: factor on each mobility, same shape.
        load: factor on the load resistance.
    """

    weights: NDArray[np.int8]
    dvt_v: NDArray[np.float64]
    mu: NDArray[np.float64]
    load: float = 1.0


@final
@dataclass(frozen=True, kw_only=True)
class Column:
    """The column as a designer sizes it.

    Attributes:
        technology: transistors, supply, temperature.
        cell: the cell; two of them, twins, stand on each row.
        rows: number of rows, which counts weights, not cells.
        n_used: rows that carry a weight; the word lines of the others stay off.
        load_ohm: resistor from the supply to the end of the bit line.
        load_rel_sigma: relative spread of that resistor from column to column. An assumption: 1 % is usual for an
            unsilicided poly resistor of some um2.
        c_bl_cell_f: bit-line capacitance that each cell adds with its wire, F. Assumption, 0.2..0.4 fF.
        c_bl_fixed_f: capacitance of load and sense amplifier, F. Assumption, 10..30 fF.
        r_bl_row_ohm: bit-line wire resistance from row to row, ohm. Assumption: about 1 um of metal 2.
    """

    technology: Technology
    cell: Cell
    rows: int
    n_used: int
    load_ohm: float
    load_rel_sigma: float = 0.01
    c_bl_cell_f: float = 0.3e-15
    c_bl_fixed_f: float = 20e-15
    r_bl_row_ohm: float = 2.0

    def __post_init__(self) -> None:
        if not 1 <= self.rows <= 1024:
            raise InputError(f"rows is {self.rows}; a column has 1 to 1024 rows")
        if not 1 <= self.n_used <= self.rows:
            raise InputError(f"n_used is {self.n_used}; it must lie in 1..rows, and rows is {self.rows}")
        if not self.load_ohm > 0:
            raise InputError(f"load_ohm is {self.load_ohm}; the load must be a positive resistance")

    @property
    def c_bl_f(self) -> float:
        """Capacitance of the whole bit line, F; two cells stand on each row."""
        return 2 * self.rows * self.c_bl_cell_f + self.c_bl_fixed_f

    @property
    def tau_s(self) -> float:
        """Time constant of the bit line with its load, s; without what the transistors add to either."""
        return self.load_ohm * self.c_bl_f

    def nominal_draw(self, *, dvt_n_v: float = 0.0, dvt_p_v: float = 0.0) -> ColumnDraw:
        """A column without local mismatch on a die whose thresholds are all shifted alike; all weights +1."""
        kinds = [t.kind for t in self.cell.transistors]
        shift = np.array([dvt_n_v if kind == "n" else dvt_p_v for kind in kinds])
        shape = (self.rows, 2, len(kinds))
        return ColumnDraw(
            weights=np.ones(self.rows, dtype=np.int8), dvt_v=np.broadcast_to(shift, shape), mu=np.ones(shape)
        )

    def draw(self, mismatch: Mismatch, key: tuple[int, ...]) -> ColumnDraw:
        """One physical column: fair weights, every transistor with its own shift.

        Args:
            mismatch: the spreads.
            key: integers that name the column; the draw depends on nothing else.
        """
        transistors = self.cell.transistors
        dvt_v, mu = mismatch.draw_local(transistors, 2 * self.rows, (*key, 0))
        shape = (self.rows, 2, len(transistors))
        rng = np.random.default_rng((*key, 1))
        weights = (2 * rng.integers(0, 2, self.rows, dtype=np.int8) - 1).astype(np.int8)
        load = 1.0 + self.load_rel_sigma * float(rng.standard_normal())
        return ColumnDraw(weights=weights, dvt_v=dvt_v.reshape(shape), mu=mu.reshape(shape), load=load)

    def circuit(self, draw: ColumnDraw, title: str) -> Circuit:
        """The column without its word-line drivers, which a read adds at the nodes of `word_line`.

        Supplies are separate sources, so that each current can be read: `vload` feeds the load, `vcell` the cells.
        """
        vdd_v = self.technology.vdd_v
        circuit = Circuit(title)
        circuit.raw_spice += self.technology.preamble
        circuit.subcircuit(self.cell.subcircuit(self.technology))
        # The AC part is what a noise analysis refers to; nothing else looks at it.
        circuit.V("load", "vddl", 0, f"dc {vdd_v:.6g} ac 1")
        circuit.V("cell", "vdd", 0, vdd_v)
        # Between writes the write bit lines wait at the supply, the write word line at ground.
        circuit.V("bl", "bl", 0, vdd_v)
        circuit.V("blb", "blb", 0, vdd_v)
        circuit.V("wl", "wl", 0, 0)
        circuit.R("load", "vddl", BIT_LINE, self.load_ohm * draw.load)
        circuit.C("fixed", BIT_LINE, 0, self.c_bl_fixed_f)
        shared = {"wl": "wl", "bl": "bl", "blb": "blb", "vdd": "vdd", "vss": "0"}
        for row in range(self.rows):
            line = f"rbl{row + 1}"
            circuit.R(f"bl{row}", f"rbl{row}", line, self.r_bl_row_ohm)
            circuit.C(f"bl{row}", line, 0, 2 * self.c_bl_cell_f)
            for twin in (0, 1):
                nodes = {**shared, self.cell.read_bit_line: line, self.cell.read_word_line: word_line(row, twin)}
                circuit.X(
                    instance(row, twin),
                    self.cell.name,
                    *(nodes[port] for port in self.cell.ports),
                    **self.cell.shifts(draw.dvt_v[row, twin], draw.mu[row, twin]),
                )
        circuit.raw_spice += self._nodesets(draw)
        return circuit

    def _nodesets(self, draw: ColumnDraw) -> str:
        """A starting voltage for every node: without them the solver may rest at a cell's metastable point."""
        vdd_v = self.technology.vdd_v
        lines = [f".nodeset v(rbl{row})={vdd_v:.6g}" for row in range(self.rows + 1)]
        for row in range(self.rows):
            for twin in (0, 1):
                for node, value in self.cell.start_v(stored_bit(draw.weights[row], twin), vdd_v).items():
                    lines.append(f".nodeset v(x{instance(row, twin)}.{node})={value:.6g}")
        return "\n".join(lines) + "\n"


def instance(row: int, twin: int) -> str:
    """Name of a cell in the netlist, without the leading x: p holds the weight, n its inverse."""
    return f"{'pn'[twin]}{row}"


def word_line(row: int, twin: int) -> str:
    """Node of a read word line."""
    return f"rwl{'pn'[twin]}{row}"


def stored_bit(weight: int, twin: int) -> int:
    """The bit that a twin stores: weight +1 is (1, 0), weight -1 is (0, 1)."""
    return int((weight > 0) != bool(twin))
