"""The current that one cell draws when it is read: what a column adds up."""

from collections.abc import Sequence

from PySpice.Spice.Netlist import Circuit

from prcim.cells.benches.bench import SOLVER, Shifts, bench, latch_names, stepped, waiting_v
from prcim.cells.cell import Cell
from prcim.cells.technology import Technology
from prcim.errors import InputError
from prcim.spice.deck import Deck


def read_currents(
    technology: Technology, cell: Cell, shifts: Shifts, *, v_wl_v: float, v_bl_v: float, weight: int = 1
) -> tuple[Deck, list[str]]:
    """A deck with many cells, each on a first bit line of its own that is held at a voltage.

    Each is the first twin of its weight and sees an input of +1; with a weight of +1 it is the cell that conducts.

    Args:
        technology, cell: the cell.
        shifts: its mismatch.
        v_wl_v: active level of the word lines, V.
        v_bl_v: voltage of all bit lines, V.
        weight: +1 or -1.

    Returns:
        The deck, and for each cell the name of the vector that holds minus its current, A.

    Raises:
        InputError: the cell moves charge and draws no current.
    """
    circuit, levels = _bench(technology, cell, shifts, v_bl_v=v_bl_v, weight=weight)
    for name, level in levels.items():
        circuit.V(name, name, 0, f"{level * v_wl_v:.9g}")
    names = _names(cell, len(shifts[0]))
    return Deck(netlist=f"{circuit}\n{SOLVER}", save=tuple(names), analyses=("op",)), names


def read_current_sweep(
    technology: Technology,
    cell: Cell,
    shifts: Shifts,
    *,
    v_wl_v: Sequence[float],
    v_bl_v: float,
    weight: int = 1,
) -> tuple[Deck, list[str]]:
    """The same at several levels of the word lines, as one sweep: point k of each vector belongs to `v_wl_v[k]`.

    The deck keeps the nodes of every latch too, for `held`.
    """
    circuit, levels = _bench(technology, cell, shifts, v_bl_v=v_bl_v, weight=weight)
    circuit.V("point", "point", 0, 0)
    drivers = "".join(stepped(name, [level * v for v in v_wl_v]) for name, level in levels.items())
    names = _names(cell, len(shifts[0]))
    save = (*names, *latch_names(cell, len(shifts[0])))
    sweep = f"dc vpoint 0 {len(v_wl_v) - 1} 1"
    return Deck(netlist=f"{circuit}\n{drivers}{SOLVER}", save=save, analyses=(sweep,)), names


def _bench(
    technology: Technology, cell: Cell, shifts: Shifts, *, v_bl_v: float, weight: int
) -> tuple[Circuit, dict[str, float]]:
    """The bench without its word lines, and their levels as fractions of the active one."""
    if "steady" not in cell.reads and "pulsed" not in cell.reads:
        raise InputError(f"{cell.name} is read by {', '.join(cell.reads)}; it draws no current that could be measured")
    level_v = waiting_v(cell, technology.vdd_v, v_bl_v=v_bl_v)
    levels = dict(zip(cell.word_lines, cell.levels(1, 0), strict=True))
    for name in levels:
        del level_v[name]
    own = cell.bit_lines[:1]
    title = "prcim read currents of single cells"
    bit = cell.stored_bit(weight, 0)
    return bench(title, technology, cell, shifts, bit=bit, level_v=level_v, own=own), levels


def _names(cell: Cell, cells: int) -> list[str]:
    return [f"i(v{cell.bit_lines[0]}{index})" for index in range(cells)]
