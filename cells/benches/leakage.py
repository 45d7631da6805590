"""What a cell draws while nobody reads or writes it."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from prcim.cells.benches.bench import SOLVER, Shifts, bench, waiting_v
from prcim.cells.cell import Cell
from prcim.cells.technology import Technology
from prcim.spice.deck import Deck
from prcim.spice.outcome import Outcome

Terminal = Literal["supply", "bit_lines", "others"]


def leakage_deck(technology: Technology, cell: Cell, shifts: Shifts, *, bit: int) -> Deck:
    """A deck with many cells at rest, all bit lines at the supply, each with sources of its own."""
    level_v = waiting_v(cell, technology.vdd_v, v_bl_v=technology.vdd_v)
    own = tuple(level_v)
    circuit = bench("prcim leakage", technology, cell, shifts, bit=bit, level_v=level_v, own=own)
    save = tuple(f"i(v{port}{index})" for index in range(len(shifts[0])) for port in own)
    return Deck(netlist=f"{circuit}\n{SOLVER}", save=save, analyses=("op",))


def leakage_currents(
    technology: Technology, cell: Cell, outcome: Outcome, *, cells: int
) -> dict[Terminal, NDArray[np.float64]] | None:
    """Currents that flow into each cell of `leakage_deck`, A, each of shape (cells,); None where the run failed.

    Returns:
        "supply", "bit_lines" (those that a read senses) and "others" (word lines, write bit lines). A bit line at the
        supply feeds a node at ground through a pass gate that is off, so the three together are what a cell costs.
    """
    ports = tuple(waiting_v(cell, technology.vdd_v, v_bl_v=technology.vdd_v))
    groups: dict[Terminal, list[str]] = {
        "supply": ["vdd"],
        "bit_lines": list(cell.bit_lines),
        "others": [port for port in ports if port != "vdd" and port not in cell.bit_lines],
    }
    values = outcome.values
    if not values:
        return None
    return {
        name: np.array([-sum(values[f"i(v{port}{i})"][0] for port in group) for i in range(cells)])
        for name, group in groups.items()
    }
