"""Many loads of a bit line side by side: their currents over the line's voltage."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySpice.Spice.Netlist import Circuit

from prcim.cells.benches.bench import SOLVER, Shifts, stepped
from prcim.cells.devices.part import Part
from prcim.cells.load import load_subcircuit
from prcim.cells.technology import Technology
from prcim.spice.deck import Deck
from prcim.spice.outcome import Outcome


def load_deck_of(technology: Technology, load: Part, shifts: Shifts, *, v_line_v: Sequence[float]) -> Deck:
    """A deck with loads that are on, all between the supply and one line.

    Args:
        technology, load: the load.
        shifts: its mismatch, each of shape (loads, 1).
        v_line_v: voltages of the line, V.
    """
    circuit = Circuit("prcim loads of bit lines")
    circuit.raw_spice += technology.preamble
    circuit.subcircuit(load_subcircuit(load, technology))
    on_v = technology.vdd_v if load.kind == "n" else 0.0
    for name, level_v in (("vdd", technology.vdd_v), ("control", on_v), ("point", 0)):
        circuit.V(name, name, 0, level_v)
    for index, (dvt_v, factor) in enumerate(zip(*shifts, strict=True)):
        shift = load.parameters(float(dvt_v[0]), float(factor[0]))
        circuit.X(f"end{index}", "end", f"line{index}", "vdd", "control", "vdd", "0", **shift)
        circuit.V(f"line{index}", f"line{index}", "line", 0)
    save = tuple(f"i(vline{index})" for index in range(len(shifts[0])))
    netlist = f"{circuit}\n{stepped('line', v_line_v)}{SOLVER}"
    return Deck(netlist=netlist, save=save, analyses=(f"dc vpoint 0 {len(v_line_v) - 1} 1",))


def load_curves(outcome: Outcome, loads: int) -> NDArray[np.float64] | None:
    """Currents into the line, A, shape (loads, points); None where the deck was not solved."""
    names = [f"i(vline{index})" for index in range(loads)]
    if not all(name in outcome.values for name in names):
        return None
    return np.array([outcome.values[name] for name in names])
