"""A physical column: cells on one or two bit lines, with a load at the end of each."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from PySpice.Spice.Netlist import Circuit

from prcim.cells.cell import Cell
from prcim.cells.devices.part import Part
from prcim.cells.devices.passive import Capacitor
from prcim.cells.load import load_subcircuit
from prcim.cells.mismatch import Mismatch
from prcim.cells.technology import Technology
from prcim.errors import InputError


@final
@dataclass(frozen=True, kw_only=True)
class ColumnDraw:
    """What makes one column different from the next.

    Attributes:
        weights: +1 or -1, shape (rows,).
        dvt_v: growth of each threshold's magnitude, V, shape (rows, twins, parts); the first twin is the one that an
            input of +1 opens.
        factor: factor on each value (a transistor's mobility), same shape.
        load_dvt_v, load_factor: the same for the load of each bit line, shape (bit lines, 1).
        held_v: voltages at which sources hold the latches in place of their transistors, V, shape (rows, twins, latch
            nodes), from `rest.py`; None where the cells are whole.
        rest_w: power that these transistors take, W.
    """

    weights: NDArray[np.int8]
    dvt_v: NDArray[np.float64]
    factor: NDArray[np.float64]
    load_dvt_v: NDArray[np.float64]
    load_factor: NDArray[np.float64]
    held_v: NDArray[np.float64] | None = None
    rest_w: float = 0.0


@final
@dataclass(frozen=True, kw_only=True)
class Column:
    """The column as a designer sizes it.

    Attributes:
        technology: transistors, supply, temperature.
        cell: the cell; `cell.twins` of them stand on each row.
        rows: number of rows, which counts weights, not cells.
        n_used: rows that carry a weight; the word lines of the others stay at rest.
        load: what feeds the end of each bit line, see `load.py`.
        load_ohm: resistance of that load, for time constants.
        c_bl_cell_f: bit-line capacitance that each cell adds with its wire, F. Assumption, 0.2..0.4 fF.
        c_bl_fixed_f: capacitance of load and sense amplifier, F. Assumption, 10..30 fF.
        r_bl_row_ohm: bit-line wire resistance from row to row, ohm. Assumption: about 1 um of metal 2.
        r_vss_row_ohm: the same of a ground line along the column; 0 where a mesh makes it negligible.
    """

    technology: Technology
    cell: Cell
    rows: int
    n_used: int
    load: Part
    load_ohm: float
    c_bl_cell_f: float = 0.3e-15
    c_bl_fixed_f: float = 20e-15
    r_bl_row_ohm: float = 2.0
    r_vss_row_ohm: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.rows <= 1024:
            raise InputError(f"rows is {self.rows}; a column has 1 to 1024 rows")
        if not 1 <= self.n_used <= self.rows:
            raise InputError(f"n_used is {self.n_used}; it must lie in 1..rows, and rows is {self.rows}")
        if not self.load_ohm > 0:
            raise InputError(f"load_ohm is {self.load_ohm}; the load must be a positive resistance")
        for name in ("c_bl_cell_f", "c_bl_fixed_f", "r_bl_row_ohm"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is {getattr(self, name)}; it must be positive")
        if not self.r_vss_row_ohm >= 0:
            raise InputError(f"r_vss_row_ohm is {self.r_vss_row_ohm}; it must be 0 or more")

    @property
    def c_bl_f(self) -> float:
        """Capacitance of a whole bit line, F, without that of the cells' transistors."""
        return self.cell.twins * self.rows * self.c_bl_cell_f + self.c_bl_fixed_f

    @property
    def tau_s(self) -> float:
        """Time constant of the bit line with its load, s; without what the transistors add to either.

        The load charges the line and the capacitors of the cells, if they have any; the wire delays its far end by half
        its own resistance times what hangs on it (Elmore's delay).
        """
        cells = self.cell.twins * self.rows
        own_f = sum(part.farad for part in self.cell.parts if isinstance(part, Capacitor))
        wire_f = cells * (self.c_bl_cell_f + own_f)
        return self.load_ohm * (wire_f + self.c_bl_fixed_f) + self.rows * self.r_bl_row_ohm * wire_f / 2

    @property
    def ends(self) -> tuple[str, ...]:
        """Node of each bit line at which load and sense amplifier meet it."""
        return tuple(f"{line}0" for line in self.cell.bit_lines)

    @property
    def places(self) -> list[tuple[int, int]]:
        """(row, twin) of every cell."""
        return [(row, twin) for row in range(self.rows) for twin in range(self.cell.twins)]

    def supplies_v(self, supply_v: float) -> dict[str, float]:
        """Voltage of every source of `circuit` that spends energy, by the vector that holds minus its current.

        Args:
            supply_v: voltage behind the loads, V.
        """
        vdd_v = self.technology.vdd_v
        idle = {f"i(v{port})": level * vdd_v for port, level in self.cell.idle.items() if level > 0}
        return {"i(vload)": supply_v, "i(vcell)": vdd_v, **idle}

    def nominal_draw(self, *, dvt_n_v: float = 0.0, dvt_p_v: float = 0.0) -> ColumnDraw:
        """A column without local mismatch on a die whose thresholds are all shifted alike; all weights +1."""
        by_kind = {"n": dvt_n_v, "p": dvt_p_v}
        shift = np.array([by_kind.get(part.kind, 0.0) for part in self.cell.parts])
        shape = (self.rows, self.cell.twins, len(shift))
        lines = (len(self.cell.bit_lines), 1)
        return ColumnDraw(
            weights=np.ones(self.rows, dtype=np.int8),
            dvt_v=np.broadcast_to(shift, shape),
            factor=np.ones(shape),
            load_dvt_v=np.full(lines, by_kind.get(self.load.kind, 0.0)),
            load_factor=np.ones(lines),
        )

    def draw(self, mismatch: Mismatch, key: tuple[int, ...]) -> ColumnDraw:
        """One physical column: fair weights, every part with its own shift.

        Args:
            mismatch: the spreads.
            key: integers that name the column; the draw depends on nothing else.
        """
        parts, twins = self.cell.parts, self.cell.twins
        dvt_v, factor = mismatch.draw_local(parts, twins * self.rows, (*key, 0))
        shape = (self.rows, twins, len(parts))
        rng = np.random.default_rng((*key, 1))
        weights = (2 * rng.integers(0, 2, self.rows, dtype=np.int8) - 1).astype(np.int8)
        normal = rng.standard_normal((len(self.cell.bit_lines), 2)).T[::-1, :, None]
        load_dvt_v, load_factor = mismatch.scaled((self.load,), normal)
        return ColumnDraw(
            weights=weights,
            dvt_v=dvt_v.reshape(shape),
            factor=factor.reshape(shape),
            load_dvt_v=load_dvt_v,
            load_factor=load_factor,
        )

    def circuit(self, draw: ColumnDraw, title: str, *, supply_v: float) -> Circuit:
        """The column without what a read drives: the word lines (nodes `word_line`) and the load's "control".

        Supplies are separate sources, so that each current can be read: `vload` feeds the loads, `vcell` the cells,
        and each port that idles has its own.

        Args:
            draw: weights and shifts.
            title: first line of the netlist.
            supply_v: voltage behind the loads, at which the lines start, V.
        """
        vdd_v = self.technology.vdd_v
        circuit = Circuit(title)
        circuit.raw_spice += self.technology.preamble
        circuit.subcircuit(self.cell.subcircuit(self.technology, held=draw.held_v is not None))
        circuit.subcircuit(load_subcircuit(self.load, self.technology))
        # The AC part is what a noise analysis refers to; nothing else looks at it.
        circuit.V("load", "vddl", 0, f"dc {supply_v:.6g} ac 1")
        circuit.V("cell", "vdd", 0, vdd_v)
        for port, level in self.cell.idle.items():
            circuit.V(port, port, 0, level * vdd_v)
        for i, line in enumerate(self.cell.bit_lines):
            shift = self.load.parameters(float(draw.load_dvt_v[i, 0]), float(draw.load_factor[i, 0]))
            circuit.X(f"end{line}", "end", self.ends[i], "vddl", "control", "vdd", "0", **shift)
            circuit.C(f"fixed{line}", self.ends[i], 0, self.c_bl_fixed_f)
        for row in range(self.rows):
            self._add_row(circuit, draw, row)
        circuit.raw_spice += self._nodesets(draw, supply_v)
        return circuit

    def _add_row(self, circuit: Circuit, draw: ColumnDraw, row: int) -> None:
        nodes = {**{port: port for port in self.cell.idle}, "vdd": "vdd", "vss": "0"}
        for line in self.cell.bit_lines:
            nodes[line] = f"{line}{row + 1}"
            circuit.R(f"{line}{row}", f"{line}{row}", nodes[line], self.r_bl_row_ohm)
            circuit.C(f"{line}{row}", nodes[line], 0, self.cell.twins * self.c_bl_cell_f)
        if self.r_vss_row_ohm > 0:
            nodes["vss"] = f"vss{row + 1}"
            circuit.R(f"vss{row}", f"vss{row}" if row else "0", nodes["vss"], self.r_vss_row_ohm)
        for twin in range(self.cell.twins):
            for port in self.cell.word_lines:
                nodes[port] = word_line(port, row, twin)
            bit = self.cell.stored_bit(int(draw.weights[row]), twin)
            held_v = None if draw.held_v is None else draw.held_v[row, twin]
            circuit.X(
                instance(row, twin),
                self.cell.name,
                *(nodes[port] for port in self.cell.ports),
                **self.cell.instance(bit, draw.dvt_v[row, twin], draw.factor[row, twin], held_v),
            )

    def _nodesets(self, draw: ColumnDraw, line_v: float) -> str:
        """A starting voltage for every node: without them the solver may rest at a cell's metastable point."""
        start = {f"{line}{row}": line_v for line in self.cell.bit_lines for row in range(self.rows + 1)}
        if self.r_vss_row_ohm > 0:
            start |= {f"vss{row + 1}": 0.0 for row in range(self.rows)}
        for row, twin in self.places:
            bit = self.cell.stored_bit(int(draw.weights[row]), twin)
            for node, value in self.cell.start_v(bit, self.technology.vdd_v).items():
                if draw.held_v is None or node not in self.cell.latch:
                    start[f"x{instance(row, twin)}.{node}"] = value
        return "".join(f".nodeset v({node})={value:.6g}\n" for node, value in start.items())


def instance(row: int, twin: int) -> str:
    """Name of a cell in the netlist, without the leading x: p is opened by an input of +1, n by -1."""
    return f"{'pn'[twin]}{row}"


def word_line(port: str, row: int, twin: int) -> str:
    """Node of a word line."""
    return f"{port}{instance(row, twin)}"
