"""A column at rest: the voltages at which its latches hold their bits, so that sources can hold them instead.

Most of the time that a read of whole 8T cells takes goes into six transistors that do nothing in it. Their operating
point is found once a column; then a deck needs the other two only.
"""

from dataclasses import replace

import numpy as np
from PySpice.Spice.Netlist import Circuit, SubCircuit

from prcim.cells.column import Column, ColumnDraw, instance
from prcim.cells.reads.read import data_held
from prcim.spice.deck import Deck
from prcim.spice.outcome import Outcome

#: As tight as a steady-state read.
SOLVER = ".options reltol=1e-6 vntol=1e-9 abstol=1e-14\n"
#: How far a latch that nobody reads may be from its bit, as a fraction of the supply.
MARGIN = 0.25


def rest_deck(column: Column, draw: ColumnDraw) -> Deck | None:
    """A deck for the operating point of all keepers of a column; None where its cells have none.

    They hang between the supply, ground and the ports that idle, and see nothing of a read.

    Assumption: the gates that they drive take no current, as in the project's own cards, where gates do not tunnel.

    Args:
        column, draw: the column.
    """
    cell, technology = column.cell, column.technology
    keepers = [(i, part) for i, part in enumerate(cell.parts) if part.name in cell.keepers]
    if not keepers:
        return None
    ports = (*cell.idle, *cell.latch, "vdd", "vss")
    parameters = {name: value for _, part in keepers for name, value in part.parameters(0.0, 1.0).items()}
    latch = SubCircuit("keepers", *ports, **parameters)
    for _, part in keepers:
        part.add_to(latch, technology)
    circuit = Circuit(f"prcim {column.rows}-row column at rest")
    circuit.raw_spice += technology.preamble
    circuit.subcircuit(latch)
    circuit.V("cell", "vdd", 0, technology.vdd_v)
    for port, level in cell.idle.items():
        circuit.V(port, port, 0, level * technology.vdd_v)
    start = ""
    for row, twin in column.places:
        name = instance(row, twin)
        nodes = {node: f"{node}{name}" for node in cell.latch}
        shifts: dict[str, str] = {}
        for i, part in keepers:
            shifts.update(part.parameters(float(draw.dvt_v[row, twin, i]), float(draw.factor[row, twin, i])))
        circuit.X(name, "keepers", *(nodes.get(port, "0" if port == "vss" else port) for port in ports), **shifts)
        bit = cell.stored_bit(int(draw.weights[row]), twin)
        begin_v = cell.start_v(bit, technology.vdd_v)
        start += "".join(f".nodeset v({nodes[node]})={begin_v[node]:.6g}\n" for node in cell.latch)
    saved = (*_supplies_v(column), *(f"v({node})" for node in _nodes(column)))
    return Deck(netlist=f"{circuit}\n{start}{SOLVER}", save=saved, analyses=("op",))


def held(column: Column, draw: ColumnDraw, outcome: Outcome) -> ColumnDraw:
    """The draw with its latches held where `rest_deck` found them.

    Where it found nothing, or a latch that does not hold its bit, the draw stays as it is: a read of the whole cells
    will say what is wrong with them.
    """
    values = outcome.values
    if not outcome.ok or not values:
        return draw
    latch_v = np.array([values[f"v({node})"][0] for node in _nodes(column)])
    if not data_held(column, draw, latch_v[:, None], MARGIN)[0]:
        return draw
    rest_w = -sum(volts * float(values[name][0]) for name, volts in _supplies_v(column).items())
    shape = (column.rows, column.cell.twins, len(column.cell.latch))
    return replace(draw, held_v=latch_v.reshape(shape), rest_w=rest_w)


def _supplies_v(column: Column) -> dict[str, float]:
    """Those of the column's sources that keepers hang on."""
    supplies_v = column.supplies_v(0.0)
    del supplies_v["i(vload)"]
    return supplies_v


def _nodes(column: Column) -> list[str]:
    return [f"{node}{instance(row, twin)}" for row, twin in column.places for node in column.cell.latch]
