"""What stands between the supply and the end of a bit line: a load that stays on, or a switch that sets the line.

Each is a `Part` with the nodes "line", "supply" and "control"; the read drives the control.
"""

from PySpice.Spice.Netlist import Circuit, SubCircuit

from prcim.cells.devices.part import Part
from prcim.cells.devices.passive import Resistor
from prcim.cells.devices.transistor import Transistor
from prcim.cells.technology import Technology
from prcim.spice.deck import Deck

#: Ports of the sub-circuit that holds a load.
END_PORTS = ("line", "supply", "control", "vdd", "vss")


def resistor_load(ohm: float, *, rel_sigma: float = 0.01) -> Part:
    """A resistor.

    Args:
        ohm: resistance.
        rel_sigma: relative spread from column to column. Assumption: 1 % is usual for an unsilicided poly resistor of
            some um2.
    """
    return Resistor(name="load", plus="supply", minus="line", ohm=ohm, spread=rel_sigma)


def pmos_load(w_m: float) -> Part:
    """A PMOS transistor: on throughout a steady-state read, and the precharge switch of a pulsed one."""
    return Transistor(name="load", kind="p", drain="line", gate="control", source="supply", w_m=w_m)


def nmos_switch(w_m: float) -> Part:
    """An NMOS switch, which sets a charge-domain line to a voltage well below the supply."""
    return Transistor(name="load", kind="n", drain="line", gate="control", source="supply", w_m=w_m)


def load_subcircuit(load: Part, technology: Technology) -> SubCircuit:
    """The load as a sub-circuit named `end`, with the parameters that shift it."""
    circuit = SubCircuit("end", *END_PORTS, **load.parameters(0.0, 1.0))
    load.add_to(circuit, technology)
    return circuit


def load_deck(technology: Technology, load: Part, *, supply_v: float, drop_v: float) -> Deck:
    """A deck that measures a load that is on, with a voltage across it.

    Args:
        technology, load: what is measured.
        supply_v: voltage behind it, V.
        drop_v: how far the line is below that, V.

    Returns:
        The deck; `i(vline)` is its current, A.
    """
    circuit = Circuit("prcim load of a bit line")
    circuit.raw_spice += technology.preamble
    circuit.subcircuit(load_subcircuit(load, technology))
    on_v = technology.vdd_v if load.kind == "n" else 0.0
    for name, level_v in (("supply", supply_v), ("line", supply_v - drop_v), ("control", on_v)):
        circuit.V(name, name, 0, level_v)
    circuit.V("dd", "vdd", 0, technology.vdd_v)
    circuit.X("end", "end", "line", "supply", "control", "vdd", "0")
    return Deck(netlist=f"{circuit}\n.options reltol=1e-6 abstol=1e-14\n", save=("i(vline)",), analyses=("op",))
