"""The steady-state read: cells pull against a load until the bit lines stand still."""

import math
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from prcim.cells.column import Column, ColumnDraw, word_line
from prcim.cells.reads.read import (
    NO_SHOTS,
    Read,
    Shots,
    data_held,
    latch_nodes,
    levels_by_shot,
    word_levels,
    word_line_sources,
)
from prcim.errors import InputError
from prcim.spice.deck import Deck
from prcim.spice.outcome import Outcome

#: Tighter than ngspice's defaults (1e-3, 1 uV, 1 pA), which allow an error of a whole cell on a 0.1 V swing.
SOLVER = ".options reltol=1e-6 vntol=1e-9 abstol=1e-14\n"
#: From where flicker noise counts as an offset that calibration sees, to beyond the line's bandwidth. Assumption.
NOISE_BAND_HZ = (1e3, 1e12)
#: How far a latch may be from its bit, as a fraction of the supply: an open 6T cell lifts its low node.
MARGIN = 0.4


@final
@dataclass(frozen=True, kw_only=True)
class SteadyRead(Read):
    """One word-line voltage, one DC operating point a read.

    Why not a pulse: 64 cells at 0.6 uA pull a 60 fF line down by 80 mV in 120 ps, hardly longer than the edges of the
    pulse, and the length that is right for one die is wrong for the next. Against a load the line settles by itself,
    and timing drops out of the error.

    Attributes:
        v_wl_v: voltage of an active word line, V.
        settle_tau: the read lasts so many time constants of load and line; cells have slower nodes of
            their own, so a transient of the whole column measures what is left.

    Example:
        >>> SteadyRead(v_wl_v=0.4).settle_tau
        7.0
    """

    v_wl_v: float
    settle_tau: float = 7.0

    name: ClassVar[str] = "steady"
    loads: ClassVar[tuple[str, ...]] = ("", "p")
    # A sweep costs the same a point however long it is.
    shots_per_deck: ClassVar[int] = 512

    def __post_init__(self) -> None:
        self.check_word_line()
        if not 5 <= self.settle_tau < math.inf:
            raise InputError(f"settle_tau is {self.settle_tau}; a steady state takes at least 5 time constants")

    def t_settle_s(self, column: Column) -> float:
        """Time from the word lines' rise until the read-out looks, s."""
        return self.settle_tau * column.tau_s

    def t_read_s(self, column: Column) -> float:
        """As long again for the line to recover."""
        return 2 * self.t_settle_s(column)

    def deck(self, column: Column, draw: ColumnDraw, inputs: NDArray[np.int8]) -> Deck:
        """A deck that reads one column once for every input vector.

        The vectors are the points of a DC sweep. Each point starts from the solution before it, so vectors that
        differ in few rows from their neighbours are solved in a third of the time of a fresh operating point, and
        the cells keep their data.
        """
        self.check(column)
        title = f"prcim {column.rows}-row column, {len(inputs)} steady-state reads"
        circuit = column.circuit(draw, title, supply_v=column.technology.vdd_v)
        circuit.V("control", "control", 0, 0)
        circuit.V("shot", "shot", 0, 0)
        levels_v = self.v_wl_v * word_levels(column, inputs)
        # As text: PySpice would put braces around the expression.
        drivers = "".join(
            f"b{node} {node} 0 v={levels_by_shot(levels_v[:, row, twin, i])}\n"
            for row, twin in column.places
            for i, node in enumerate(word_line(port, row, twin) for port in column.cell.word_lines)
        )
        saved = [f"v({end})" for end in column.ends] + [*column.supplies_v(column.technology.vdd_v)]
        saved += [f"v({node})" for node in latch_nodes(column, draw)]
        sweep = f"dc vshot 0 {len(inputs) - 1} 1"
        return Deck(netlist=f"{circuit}\n{drivers}{SOLVER}", save=tuple(saved), analyses=(sweep,))

    def result(self, column: Column, draw: ColumnDraw, inputs: NDArray[np.int8], outcome: Outcome) -> Shots:
        """What `deck` measured; after a read in which a cell lost its data there are no others.

        A latch that has flipped stays so in the points that follow, which would be reads of other data.

        The energy is that of the operating point until the read-out looks. It holds the recovery too: the load gives
        less while the line falls, and just that much more while it comes back. Word lines, the cells' own capacitance
        and leakage during the recovery are left out; `settling.py` has them for single reads.
        """
        values = outcome.values
        if not values:
            return NO_SHOTS
        supplies_v = column.supplies_v(column.technology.vdd_v)
        lines_v = np.array([values[f"v({end})"] for end in column.ends])
        latch_v = np.array([values[f"v({node})"] for node in latch_nodes(column, draw)])
        power_w = draw.rest_w - np.sum([volts * values[name] for name, volts in supplies_v.items()], axis=0)
        held = data_held(column, draw, latch_v, MARGIN) if len(latch_v) else np.ones(lines_v.shape[1], dtype=np.bool_)
        known = len(held) if held.all() else int(np.argmin(held)) + 1
        return Shots(
            v_bl_v=(lines_v[0] - lines_v[1:].sum(axis=0))[:known],
            energy_j=(power_w * self.t_settle_s(column))[:known],
            held=held[:known],
        )

    def probe_deck(self, column: Column, v_bl_v: float) -> Deck:
        """A deck that holds the first line of a column without mismatch at `v_bl_v` with all its cells on.

        The other line, if there is one, stays at the supply.
        """
        vdd_v = column.technology.vdd_v
        circuit = column.circuit(column.nominal_draw(), "prcim current of all cells", supply_v=vdd_v)
        circuit.V("control", "control", 0, vdd_v)
        circuit.V("probe", column.ends[0], 0, v_bl_v)
        for end in column.ends[1:]:
            circuit.V(f"rest{end}", end, 0, vdd_v)
        drivers = word_line_sources(column, self.v_wl_v, np.ones(column.n_used, dtype=np.int8))
        saved = ("i(vprobe)", "i(vload)", *(f"v({node})" for node in latch_nodes(column, column.nominal_draw())))
        return Deck(netlist=f"{circuit}\n{drivers}{SOLVER}", save=saved, analyses=("op",))

    def noise_deck(self, column: Column, inputs: NDArray[np.int8]) -> Deck:
        """A deck for the noise of the bit lines, load and cells together."""
        vdd_v = column.technology.vdd_v
        circuit = column.circuit(column.nominal_draw(), "prcim noise of the bit line", supply_v=vdd_v)
        circuit.V("control", "control", 0, 0)
        low, high = NOISE_BAND_HZ
        noise = f"noise v({','.join(column.ends)}) vload dec 5 {low:g} {high:g}"
        netlist = f"{circuit}\n{word_line_sources(column, self.v_wl_v, inputs)}{SOLVER}"
        return Deck(netlist=netlist, save=(), analyses=(noise,))

    def noise_v(self, column: Column, outcome: Outcome) -> float | None:
        """The integrated noise at the output."""
        found = [values[0] for name, values in outcome.values.items() if "onoise_total" in name]
        return float(found[0]) if found else None
