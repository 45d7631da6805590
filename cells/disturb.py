"""Read disturb: how far a bit line may fall before it writes the cells whose word lines are on."""

import numpy as np
from numpy.typing import NDArray

from prcim.cells.bench import SOLVER, Shifts, bench, held, latch_names, pass_gate, waiting_v
from prcim.cells.cell import Cell
from prcim.cells.technology import Technology
from prcim.errors import InputError
from prcim.spice.deck import Deck
from prcim.spice.outcome import Outcome

#: Step of the bit-line voltage, V.
STEP_V = 0.005


def disturbed_bit(cell: Cell) -> int | None:
    """The bit that a falling first bit line can overwrite during a read; None where a read does not touch the latch.

    Example:
        >>> from prcim.cells.cell_6t import Cell6T
        >>> from prcim.cells.cell_8t import Cell8T
        >>> disturbed_bit(Cell6T()), disturbed_bit(Cell8T())
        (1, None)
    """
    node = pass_gate(cell, cell.bit_lines[0])
    return None if not node else int(node == cell.latch[0])


def disturb_deck(technology: Technology, cell: Cell, shifts: Shifts, *, v_wl_v: float) -> Deck:
    """A deck in which the first bit line of many cells falls from the supply to ground, on the side that stores 1.

    The word line is on and the second bit line stays at the supply, where it does most to raise the other node. The
    sweep is a slow read that lasts for ever: a cell that survives it survives every pulse.

    Args:
        technology, cell: the cell.
        shifts: its mismatch.
        v_wl_v: voltage of the word line, V.

    Raises:
        InputError: a read of this cell does not touch its latch.
    """
    bit = disturbed_bit(cell)
    if bit is None:
        raise InputError(f"a read of {cell.name} does not connect its latch with a bit line; nothing is disturbed")
    vdd_v = technology.vdd_v
    level_v = waiting_v(cell, vdd_v, v_bl_v=vdd_v)
    level_v |= {name: v_wl_v * level for name, level in zip(cell.word_lines, cell.levels(1, 0), strict=True)}
    circuit = bench("prcim read disturb", technology, cell, shifts, bit=bit, level_v=level_v)
    sweep = f"dc v{cell.bit_lines[0]} {vdd_v:.9g} 0 {-vdd_v / _steps(vdd_v):.9g}"
    return Deck(netlist=f"{circuit}\n{SOLVER}", save=tuple(latch_names(cell, len(shifts[0]))), analyses=(sweep,))


def trip_voltages(technology: Technology, cell: Cell, outcome: Outcome, *, cells: int) -> NDArray[np.float64] | None:
    """Bit-line voltage at which each cell of `disturb_deck` loses its bit, V, shape (cells,).

    The middle of the step in which it does; minus infinity for a cell that survives a line at ground, plus infinity
    for one that loses its bit with the line at the supply. None when the sweep did not reach its end.
    """
    vdd_v, bit = technology.vdd_v, disturbed_bit(cell)
    points = _steps(vdd_v) + 1
    if bit is None or any(len(outcome.values.get(name, ())) != points for name in latch_names(cell, cells)):
        return None
    alive = held(cell, outcome.values, bit=bit, cells=cells)
    first = np.argmin(alive, axis=1)
    trip_v = vdd_v * (1 - (first - 0.5) / (points - 1))
    trip_v[first == 0] = np.inf
    trip_v[alive.all(axis=1)] = -np.inf
    return trip_v


def _steps(vdd_v: float) -> int:
    return round(vdd_v / STEP_V)
