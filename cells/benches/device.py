"""A single transistor on a test bench, to see what a model card says."""

from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray
from PySpice.Spice.Netlist import Circuit, SubCircuit

from prcim.cells.devices.transistor import Transistor
from prcim.cells.technology import Technology
from prcim.errors import InputError
from prcim.spice.deck import Deck

#: Drain voltage of the linear region, V.
LINEAR_V = 0.05
#: The solver's usual leak of 1 pS between drain and source is a fifth of the off-current of a cold SRAM transistor.
SOLVER = ".options reltol=1e-6 vntol=1e-9 abstol=1e-16 gmin=1e-18\n"
#: Threshold by constant current: 100 nA * W / L.
CRITERION_A = 100e-9


@final
@dataclass(frozen=True, kw_only=True)
class DeviceFigures:
    """What describes a transistor.

    Attributes:
        ion_a_per_m: drain current for each metre of width with gate and drain at the supply, A/m.
        ioff_a_per_m: the same with the gate off, A/m.
        dibl_v_per_v: fall of the threshold for each volt of drain voltage.
        ss_v_per_dec: gate voltage for a decade of current, from 0 to 50 mV, at a drain voltage of 50 mV.
        vth_lin_v, vth_sat_v: magnitude of the threshold by constant current (100 nA W / L) at a drain voltage of
            50 mV and of the supply, V.
    """

    ion_a_per_m: float
    ioff_a_per_m: float
    dibl_v_per_v: float
    ss_v_per_dec: float
    vth_lin_v: float
    vth_sat_v: float


def device_deck(
    technology: Technology, kind: Literal["n", "p"], *, w_m: float, l_m: float, dvt_v: float = 0.0, factor: float = 1.0
) -> Deck:
    """A deck that sweeps the gate of one transistor at two drain voltages, the transistor as it is in a cell.

    Args:
        technology: cards, corner, supply, temperature.
        kind: "n" or "p".
        w_m, l_m: size, m.
        dvt_v, factor: mismatch, added to what the corner does.

    Returns:
        The deck; `i(vlin)` and `i(vsat)` are minus the drain currents at 50 mV and at the supply (plus for "p").
    """
    part = Transistor(name="m", kind=kind, drain="drain", gate="gate", source="source", w_m=w_m, l_m=l_m)
    device = SubCircuit("device", "drain", "gate", "source", part.bulk, **part.parameters(0.0, 1.0))
    part.add_to(device, technology)
    sign = 1 if kind == "n" else -1
    circuit = Circuit(f"prcim {kind}-channel transistor")
    circuit.raw_spice += technology.preamble + SOLVER
    circuit.subcircuit(device)
    circuit.V("gate", "gate", 0, 0)
    for name, drain_v in (("lin", LINEAR_V), ("sat", technology.vdd_v)):
        circuit.V(name, name, 0, sign * drain_v)
        circuit.X(name, "device", name, "gate", 0, 0, **part.parameters(dvt_v, factor))
    stop_v = sign * technology.vdd_v
    sweep = f"dc vgate 0 {stop_v:.6g} {stop_v / round(technology.vdd_v / 0.005):.6g}"
    return Deck(netlist=f"{circuit}\n", save=("i(vlin)", "i(vsat)"), analyses=(sweep,))


def device_figures(
    lin_a: NDArray[np.float64], sat_a: NDArray[np.float64], *, vdd_v: float, w_m: float, l_m: float
) -> DeviceFigures:
    """Figures from two gate sweeps.

    Args:
        lin_a, sat_a: magnitudes of the drain current at evenly spaced gate voltages from 0 to the supply, A.
        vdd_v: supply, V.
        w_m, l_m: size of the transistor, m.

    Raises:
        InputError: the transistor never reaches the current at which the threshold is defined.

    Example:
        >>> gate_v = np.linspace(0, 1, 201)
        >>> ideal_a = 1e-9 * 10 ** (gate_v / 0.1)
        >>> figures = device_figures(ideal_a, ideal_a, vdd_v=1.0, w_m=1e-6, l_m=1e-7)
        >>> round(figures.ss_v_per_dec, 4), round(figures.vth_lin_v, 4), round(figures.dibl_v_per_v, 4)
        (0.1, 0.3, 0.0)
    """
    gate_v = np.linspace(0, vdd_v, len(lin_a))
    wanted = np.log(CRITERION_A * w_m / l_m)
    thresholds = []
    for current_a in (lin_a, sat_a):
        log_a = np.log(np.maximum(current_a, 1e-30))
        if not log_a[0] < wanted < log_a[-1]:
            raise InputError(
                f"the drain current runs from {current_a[0]:.2g} to {current_a[-1]:.2g} A and misses the"
                f" {np.exp(wanted):.2g} A at which the threshold is defined; look at the model card and at vdd_v"
            )
        above = int(np.argmax(log_a >= wanted))
        pair = slice(above - 1, above + 1)
        thresholds.append(float(np.interp(wanted, log_a[pair], gate_v[pair])))
    if not lin_a[0] > 0:
        raise InputError("the drain current with the gate off is zero: the model has no subthreshold current")
    decades = float(np.log10(np.interp(0.05, gate_v, lin_a) / lin_a[0]))
    return DeviceFigures(
        ion_a_per_m=float(sat_a[-1]) / w_m,
        ioff_a_per_m=float(sat_a[0]) / w_m,
        dibl_v_per_v=(thresholds[0] - thresholds[1]) / (vdd_v - LINEAR_V),
        ss_v_per_dec=0.05 / decades,
        vth_lin_v=thresholds[0],
        vth_sat_v=thresholds[1],
    )
