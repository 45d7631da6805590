"""The steady-state read: cells pull against a resistor until the bit line stands still."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from PySpice.Spice.Netlist import Circuit

from prcim.cells.column import BIT_LINE, Column, ColumnDraw, instance, stored_bit, word_line
from prcim.errors import InputError
from prcim.spice.deck import Deck
from prcim.spice.outcome import Outcome

#: Tighter than ngspice's defaults (1e-3, 1 uV, 1 pA), which allow an error of a whole cell on a 0.1 V swing.
SOLVER = ".options reltol=1e-6 vntol=1e-9 abstol=1e-14\n"
#: Word-line edges, s. Assumption: two inverter delays at 65 nm.
EDGE_S = 20e-12
#: From where flicker noise counts as an offset that calibration sees, to beyond the line's bandwidth. Assumption.
NOISE_BAND_HZ = (1e3, 1e12)


@final
@dataclass(frozen=True, kw_only=True)
class SteadyRead:
    """One word-line voltage, one DC operating point a read.

    Why not a pulse: 64 cells at 0.6 uA pull a 60 fF line down by 80 mV in 120 ps, hardly longer than the edges of the
    pulse, and the length that is right for one die is wrong for the next. Against a load the line settles by itself,
    and timing drops out of the error.

    Attributes:
        v_wl_v: voltage of an active read word line, V.
        settle_tau: the read lasts so many time constants of load and line; cells have slower nodes of
            their own, so a transient of the whole column measures what is left.

    Example:
        >>> SteadyRead(v_wl_v=0.4).settle_tau
        7.0
    """

    v_wl_v: float
    settle_tau: float = 7.0

    def __post_init__(self) -> None:
        if not 0 < self.v_wl_v <= 2:
            raise InputError(f"v_wl_v is {self.v_wl_v} V; an active word line needs more than 0 and at most 2 V")
        if self.settle_tau < 5:
            raise InputError(f"settle_tau is {self.settle_tau}; a steady state takes at least 5 time constants")

    def t_read_s(self, column: Column) -> float:
        """Time that one read takes, s."""
        return self.settle_tau * column.tau_s

    def deck(self, column: Column, draw: ColumnDraw, inputs: NDArray[np.int8]) -> Deck:
        """A deck that reads one column once for every input vector.

        The vectors are the points of a DC sweep. Each point starts from the solution before it, so vectors that
        differ in few rows from their neighbours are solved in a third of the time of a fresh operating point, and
        the cells keep their data.

        Args:
            column, draw: the column.
            inputs: +1 or -1, shape (shots, n_used).

        Returns:
            The deck; it keeps the bit line, the load's current and every cell's storage node.
        """
        shots = inputs.shape[0]
        circuit = column.circuit(draw, f"prcim {column.rows}-row column, {shots} steady-state reads")
        circuit.V("shot", "shot", 0, 0)
        active = np.zeros((shots, column.rows, 2), dtype=np.bool_)
        active[:, : column.n_used] = inputs[:, :, None] == np.array([1, -1])
        levels_v = np.where(active, self.v_wl_v, 0.0)
        # As text: PySpice would put braces around the expression.
        drivers = "".join(
            f"b{word_line(row, twin)} {word_line(row, twin)} 0 v=pwl(v(shot),{_corners(levels_v[:, row, twin])})\n"
            for row, twin in _cells(column)
        )
        saved = [f"v({BIT_LINE})", "i(vload)"]
        saved += [f"v(x{instance(row, twin)}.{column.cell.storage})" for row, twin in _cells(column)]
        return Deck(netlist=f"{circuit}\n{drivers}{SOLVER}", save=tuple(saved), analyses=(f"dc vshot 0 {shots - 1} 1",))

    def probe_deck(self, column: Column, v_bl_v: float) -> Deck:
        """A deck that holds the bit line of a column without mismatch at `v_bl_v` with all cells on."""
        circuit = column.circuit(column.nominal_draw(), "prcim current of all cells at a given bit-line voltage")
        circuit.V("probe", BIT_LINE, 0, v_bl_v)
        self._drive(column, circuit, np.ones(column.n_used, dtype=np.int8), pulse=None)
        # The load is there too; its share is known.
        return Deck(netlist=f"{circuit}\n{SOLVER}", save=("i(vprobe)", "i(vload)"), analyses=("op",))

    def noise_deck(self, column: Column, inputs: NDArray[np.int8]) -> Deck:
        """A deck for the noise of the bit line of a column without mismatch, load and cells together.

        Args:
            column: the column.
            inputs: one input vector, shape (n_used,).
        """
        circuit = column.circuit(column.nominal_draw(), "prcim noise of the bit line")
        self._drive(column, circuit, inputs, pulse=None)
        low, high = NOISE_BAND_HZ
        noise = f"noise v({BIT_LINE}) vload dec 5 {low:g} {high:g}"
        return Deck(netlist=f"{circuit}\n{SOLVER}", save=(), analyses=(noise,))

    def transient_deck(self, column: Column, inputs: NDArray[np.int8]) -> Deck:
        """A deck for one whole read in time: word lines up, the line settles, word lines down, the line recovers.

        Args:
            column: the column.
            inputs: one input vector, shape (n_used,).
        """
        circuit = column.circuit(column.nominal_draw(), "prcim one read in time")
        t_read_s = self.t_read_s(column)
        drivers = self._drive(column, circuit, inputs, pulse=t_read_s)
        save = (f"v({BIT_LINE})", "i(vload)", "i(vcell)", *(f"i({name})" for name in drivers))
        step_s, stop_s = t_read_s / 200, 2 * t_read_s
        return Deck(
            netlist=f"{circuit}\n.options reltol=1e-4\n",
            save=save,
            analyses=(f"tran {step_s:.6g} {stop_s:.6g}",),
        )

    def energy_j(self, column: Column, values: Mapping[str, NDArray[np.float64]]) -> float:
        """Energy of the read that `transient_deck` simulated, J.

        Supplies count over the whole read, recovery of the line included. Word-line drivers count until the lines
        fall: what a line gives back then ends in the driver, not in the supply.
        """
        time_s = values["time"]
        vdd_v = column.technology.vdd_v
        energy = sum(-vdd_v * float(np.trapezoid(values[name], time_s)) for name in ("i(vload)", "i(vcell)"))
        up = time_s <= self.t_read_s(column)
        for name, current_a in values.items():
            if name.startswith("i(vrwl"):
                energy -= self.v_wl_v * float(np.trapezoid(current_a[up], time_s[up]))
        return energy

    def _drive(
        self, column: Column, circuit: Circuit, inputs: NDArray[np.int8], pulse: float | None
    ) -> tuple[str, ...]:
        """Adds a source for every word line: steady, or up from time 0 for `pulse` seconds; names those that are on."""
        on = []
        for row, twin in _cells(column):
            node = word_line(row, twin)
            if row >= column.n_used or inputs[row] != (1, -1)[twin]:
                circuit.V(node, node, 0, 0)
                continue
            on.append(f"v{node}")
            if pulse is None:
                circuit.V(node, node, 0, self.v_wl_v)
            else:
                times = (0.0, EDGE_S, pulse, pulse + EDGE_S)
                points = zip(times, (0.0, self.v_wl_v, self.v_wl_v, 0.0), strict=True)
                circuit.V(node, node, 0, "pwl(" + " ".join(f"{t:.6g} {v:.6g}" for t, v in points) + ")")
        return tuple(on)

    def result(
        self, column: Column, draw: ColumnDraw, outcome: Outcome
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """What `deck` measured, up to the first read that did not converge.

        Returns:
            Bit-line voltage, V; current through the load, A; whether every cell still holds its data; each of shape
            (reads that were solved,).
        """
        values = outcome.values
        if not values:
            return np.empty(0), np.empty(0), np.empty(0, dtype=np.bool_)
        stored = np.array([[stored_bit(draw.weights[row], twin)] for row, twin in _cells(column)])
        levels_v = np.array(
            [values[f"v(x{instance(row, twin)}.{column.cell.storage})"] for row, twin in _cells(column)]
        )
        held = np.all(np.abs(levels_v / column.technology.vdd_v - stored) < 0.2, axis=0)
        return values[f"v({BIT_LINE})"], -values["i(vload)"], held


def _cells(column: Column) -> list[tuple[int, int]]:
    """(row, twin) of every cell."""
    return [(row, twin) for row in range(column.rows) for twin in (0, 1)]


def _corners(levels_v: NDArray[np.float64]) -> str:
    """Arguments of pwl() for a voltage that takes these values at 0, 1, 2, ...: only points beside a change."""
    change = np.flatnonzero(np.diff(levels_v))
    points = np.unique(np.concatenate(([0, len(levels_v)], change, change + 1)))
    levels_v = np.append(levels_v, levels_v[-1])
    return ",".join(f"{k},{levels_v[k]:.6g}" for k in points)
