"""Read disturb: how far a bit line may fall before it writes the cells whose word lines are on."""

import numpy as np
from numpy.typing import NDArray

from prcim.cells.benches.bench import SOLVER, Shifts, bench, pass_gate, waiting_v
from prcim.cells.cell import Cell
from prcim.cells.mismatch import Mismatch
from prcim.cells.technology import Technology
from prcim.errors import InputError
from prcim.spice.deck import Deck
from prcim.spice.outcome import Outcome

#: Range of the node that stores 1, as fractions of the supply; the point of no return lies inside.
START, STOP, STEPS = 0.96, 0.36, 60
#: Gain by which the bit line follows, ohm: an error of 1 nA, where the cell's currents are microamperes.
GAIN_OHM = 1e9
#: Where the solver looks for the first bit-line voltage: this far below the word line, V.
BELOW_V = 0.5


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
    """A deck that finds the bit-line voltages at which many cells lose their bits.

    The word line is on, the second bit line stays at the supply, where it does most to raise the other node. To sweep
    the bit line down would not do: Newton's method fails at the first cell that flips, and starts all cells anew.
    Here the node that stores 1 is lowered step by step and each cell's own bit line is moved to where the node needs no
    current, so that every point has one solution. That voltage has a minimum: from there on the node falls by itself.

    It is a read that lasts for ever; a cell that survives it survives every pulse. A trip voltage below ground belongs
    to a cell that no bit line between ground and the supply can disturb.

    Args:
        technology, cell: the cell.
        shifts: its mismatch.
        v_wl_v: voltage of the word line, V.

    Raises:
        InputError: a read of this cell does not touch its latch, or the word line is above the supply.
    """
    line, bit = cell.bit_lines[0], disturbed_bit(cell)
    if bit is None:
        raise InputError(f"a read of {cell.name} does not connect its latch with a bit line; it disturbs nothing")
    vdd_v, node = technology.vdd_v, pass_gate(cell, line)
    if not 0 < v_wl_v <= vdd_v + 1e-9:
        raise InputError(
            f"v_wl_v is {v_wl_v} V at a supply of {vdd_v} V; read disturb is known for word lines up to the supply"
        )
    level_v = waiting_v(cell, vdd_v, v_bl_v=vdd_v)
    level_v |= {name: v_wl_v * level for name, level in zip(cell.word_lines, cell.levels(1, 0), strict=True)}
    # The nodesets of the bench are those of a cell at rest; a later one of the same node counts.
    start_v = START * vdd_v
    del level_v[line]
    circuit = bench("prcim read disturb", technology, cell, shifts, bit=bit, level_v=level_v, own=(line,))
    circuit.V("high", "high", 0, f"{start_v:.9g}")
    cells = range(len(shifts[0]))
    followers = "".join(
        f"vf{i} x{i}.{node} high 0\nhf{i} {line}{i} 0 vf{i} {-GAIN_OHM:g}\n"
        f".nodeset v(x{i}.{node})={start_v:.6g} v({line}{i})={v_wl_v - BELOW_V:.6g}\n"
        for i in cells
    )
    step_v = (STOP - START) / STEPS * vdd_v
    return Deck(
        netlist=f"{circuit}\n{followers}{SOLVER}",
        save=tuple(f"v({line}{i})" for i in cells),
        # Half a step more, or rounding may cost the last point.
        analyses=(f"dc vhigh {start_v:.9g} {STOP * vdd_v + step_v / 2:.9g} {step_v:.9g}",),
    )


def trip_voltages(cell: Cell, outcome: Outcome, *, cells: int) -> NDArray[np.float64] | None:
    """Bit-line voltage at which each cell of `disturb_deck` loses its bit, V, shape (cells,): the first minimum.

    Infinite for a cell whose bit is gone as soon as its node leaves the supply; NaN where there was no minimum. None
    when the sweep did not reach its end.
    """
    lines = [outcome.values.get(f"v({cell.bit_lines[0]}{i})", np.empty(0)) for i in range(cells)]
    if any(len(line) < STEPS for line in lines):
        return None
    line_v = np.array(lines)
    rises = np.diff(line_v, axis=1) > 0
    lowest_v = line_v[np.arange(cells), rises.argmax(axis=1)]
    found: NDArray[np.float64] = np.where(rises[:, 0], np.inf, np.where(rises.any(axis=1), lowest_v, np.nan))
    return found


def one_by_one(cell: Cell, mismatch: Mismatch) -> Shifts:
    """Shifts of 1 + 4 T cells: none, then each part's threshold and value up and down by one standard deviation."""
    parts = len(cell.parts)
    normal = np.zeros((2, 1 + 4 * parts, parts))
    for part in range(parts):
        for kind in (0, 1):
            first = 1 + 4 * part + 2 * kind
            normal[kind, first, part], normal[kind, first + 1, part] = 1, -1
    return mismatch.scaled(cell.parts, normal)


def first_order(trip_v: NDArray[np.float64]) -> tuple[float, float]:
    """Nominal value and standard deviation from what `one_by_one` gave, by linear propagation of every shift."""
    up, down = trip_v[1::2], trip_v[2::2]
    return float(trip_v[0]), float(np.sqrt(np.sum(((up - down) / 2) ** 2)))
