"""One steady-state read in time: how far the line settles, and what the whole read costs."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from prcim.cells.column import Column, ColumnDraw, word_line
from prcim.cells.reads.read import EDGE_S, word_line_sources
from prcim.cells.reads.steady_read import SteadyRead
from prcim.spice.deck import Deck
from prcim.spice.outcome import Outcome


@final
@dataclass(frozen=True, kw_only=True)
class Settled:
    """What a read in time gave.

    Attributes:
        v_bl_v: what the read-out sees when it looks, V.
        energy_j: energy of the whole read from all supplies and word-line drivers, J.
    """

    v_bl_v: float
    energy_j: float


def settling_deck(read: SteadyRead, column: Column, draw: ColumnDraw, inputs: NDArray[np.int8]) -> Deck:
    """A deck for one read of a column in time: word lines up, the line settles, down, the line recovers.

    Args:
        read, column, draw: what is read and how.
        inputs: one input vector, shape (n_used,).
    """
    vdd_v, t_s = column.technology.vdd_v, read.t_settle_s(column)
    circuit = column.circuit(draw, "prcim one read in time", supply_v=vdd_v)
    circuit.V("control", "control", 0, 0)
    drivers = word_line_sources(column, read.v_wl_v, inputs, times_s=(0.0, EDGE_S, t_s, t_s + EDGE_S))
    saved = [f"v({end})" for end in column.ends] + [*column.supplies_v(vdd_v)]
    saved += [f"i(v{word_line(port, *place)})" for place in column.places for port in column.cell.word_lines]
    return Deck(
        netlist=f"{circuit}\n{drivers}.options reltol=1e-4\n",
        save=tuple(saved),
        analyses=(f"tran {t_s / 200:.6g} {read.t_read_s(column):.6g}",),
    )


def settled(read: SteadyRead, column: Column, outcome: Outcome) -> Settled | None:
    """What `settling_deck` measured; None where the transient stopped early.

    Supplies count over the whole read, recovery of the line included. Word-line drivers count until the lines fall:
    what a line gives back then ends in the driver, not in the supply.
    """
    values = outcome.values
    time_s = values.get("time", np.zeros(1))
    # A transient that gives up half-way leaves the points that it reached.
    if not outcome.ok or time_s[-1] < 0.99 * read.t_read_s(column):
        return None
    t_s = read.t_settle_s(column)
    supplies_v = column.supplies_v(column.technology.vdd_v)
    up = time_s <= t_s
    energy_j = 0.0
    for name, current_a in values.items():
        if name in supplies_v:
            energy_j -= supplies_v[name] * float(np.trapezoid(current_a, time_s))
        elif name.startswith("i("):
            energy_j -= read.v_wl_v * float(np.trapezoid(current_a[up], time_s[up]))
    ends_v = [float(np.interp(t_s, time_s, values[f"v({end})"])) for end in column.ends]
    return Settled(v_bl_v=ends_v[0] - sum(ends_v[1:]), energy_j=energy_j)
