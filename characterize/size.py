"""The column and the read of a plan, sized: the load, or the pulse, that gives its swing."""

import numpy as np

from prcim.cells.column import Column
from prcim.cells.devices.part import Part
from prcim.cells.load import load_deck, nmos_switch, pmos_load, resistor_load
from prcim.cells.reads.read import Read
from prcim.cells.reads.steady_read import SteadyRead
from prcim.characterize.disturb_limit import SIGMAS, disturb_limit_v
from prcim.characterize.plan import Plan
from prcim.errors import InputError, RunError
from prcim.spice.deck import Deck
from prcim.spice.ngspice import Ngspice, run_twice
from prcim.spice.outcome import Outcome

#: Stands for no load at all, ohm.
OPEN_OHM = 1e12
#: Drop at which the resistance of a switch is measured, V.
SWITCH_DROP_V = 0.05
#: Narrowest transistor that the model cards cover, m.
W_MIN_M = 80e-9


def size(plan: Plan, ngspice: Ngspice, *, timeout_s: float = 120.0) -> tuple[Column, Read]:
    """Finds what the plan leaves open.

    A steady-state read gets the load with which all cells together pull the line down by the plan's swing, a pulsed
    read the pulse that does. Both are measured on the column without mismatch. The swing of a charge-domain read
    follows from its capacitances.

    Raises:
        InputError: the read is refused; the message names the limit that it breaks.
        RunError: the simulation fails.
    """
    sizing = _Sizing(plan, ngspice, timeout_s)
    match plan.read.mode:
        case "steady":
            return sizing.steady()
        case "pulsed":
            return sizing.pulsed()
        case "charge":
            load = nmos_switch(plan.read.w_switch_m)
            column = plan.make_column(load, sizing.switch_ohm(load, plan.read.v_wl_v / 2))
            return column, plan.make_read()


class _Sizing:
    def __init__(self, plan: Plan, ngspice: Ngspice, timeout_s: float) -> None:
        self.plan, self.ngspice, self.timeout_s = plan, ngspice, timeout_s
        self.technology = plan.make_technology()
        self.swing_v = plan.read.swing_v

    def steady(self) -> tuple[Column, Read]:
        current_a = self.line_current_a(self.swing_v)
        ohm = self.swing_v / current_a
        if self.plan.read.load == "resistor":
            load = resistor_load(ohm, rel_sigma=self.plan.mismatch.load_rel_sigma)
        else:
            load = self.pmos(current_a)
        return self.plan.make_column(load, ohm), self.plan.make_read()

    def pulsed(self) -> tuple[Column, Read]:
        plan = self.plan
        load = pmos_load(plan.read.w_switch_m)
        column = plan.make_column(load, self.switch_ohm(load, self.technology.vdd_v))
        self.line_current_a(self.swing_v)
        t_pulse_s = column.c_bl_f * self.swing_v / self.line_current_a(self.swing_v / 2)
        # The cells' own capacitance and what the switch takes along when it goes off: the drop is linear in the length,
        # but not proportional to it.
        first_v = self.pulsed_drop_v(column, t_pulse_s)
        second_s = t_pulse_s * max(2 - first_v / self.swing_v, 0.5)
        second_v = self.pulsed_drop_v(column, second_s)
        if second_v != first_v:
            t_pulse_s = second_s + (self.swing_v - second_v) * (second_s - t_pulse_s) / (second_v - first_v)
        return column, plan.make_read(t_pulse_s)

    def pulsed_drop_v(self, column: Column, t_pulse_s: float) -> float:
        """How far the first line falls below the supply when all cells pull, or below the other line."""
        read = self.plan.make_read(t_pulse_s)
        draw, ones = column.nominal_draw(), np.ones((1, self.plan.n_used), dtype=np.int8)
        shots = read.result(column, draw, ones, self.run(read.deck(column, draw, ones)))
        if not len(shots.v_bl_v):
            raise RunError("the pulsed read of the column without mismatch cannot be simulated")
        rest_v = self.technology.vdd_v if len(column.ends) == 1 else 0.0
        return rest_v - float(shots.v_bl_v[0])

    def line_current_a(self, drop_v: float) -> float:
        """Current of all cells on one line that is held so far below the supply, A; refuses what the line forbids."""
        plan, v_bl_v = self.plan, self.technology.vdd_v - drop_v
        column = plan.make_column(resistor_load(OPEN_OHM), OPEN_OHM)
        outcome = self.run(SteadyRead(v_wl_v=plan.read.v_wl_v).probe_deck(column, v_bl_v))
        if "i(vprobe)" not in outcome.values:
            raise RunError(f"the column without mismatch cannot be simulated: {outcome.status_or('no convergence')}")
        current_a = -float(outcome.values["i(vprobe)"][0]) + drop_v / OPEN_OHM
        self.check_line(v_bl_v)
        if not 0 < current_a <= plan.read.i_line_max_a:
            raise InputError(
                f"all cells together draw {current_a * 1e3:.3g} mA; the limit i_line_max_a is"
                f" {plan.read.i_line_max_a * 1e3:.3g} mA; lower v_wl_v or rows"
            )
        return current_a

    def check_line(self, v_bl_v: float) -> None:
        """Refuses a bit line so low that cells leave saturation, or lose their data to it."""
        plan = self.plan
        # Below the gate's voltage less a threshold the access transistor is a resistor. Assumption: 0.25 V.
        limit_v = max(0.2, plan.read.v_wl_v - 0.25)
        if v_bl_v < limit_v:
            raise InputError(
                f"the bit line falls to {v_bl_v:.3f} V, where the read transistors leave saturation (limit"
                f" {limit_v:.3f} V, the larger of 0.2 V and v_wl_v - 0.25 V); lower swing_v"
            )
        disturb_v = disturb_limit_v(
            self.technology,
            plan.make_cell(),
            plan.make_mismatch(),
            self.ngspice,
            v_wl_v=plan.read.v_wl_v,
            timeout_s=self.timeout_s,
        )
        if disturb_v is not None and v_bl_v < disturb_v:
            raise InputError(
                f"the bit line falls to {v_bl_v:.3f} V, where it overwrites cells (limit {disturb_v:.3f} V, {SIGMAS:g}"
                " sigma above the voltage at which a cell without mismatch loses its bit); lower swing_v or v_wl_v"
            )

    def pmos(self, current_a: float) -> Part:
        """The PMOS that carries a current at a drop of the whole swing: current is linear in width."""
        widths = np.array([0.5e-6, 1e-6])
        found_a = [self.load_current_a(pmos_load(w), self.technology.vdd_v, self.swing_v) for w in widths]
        slope = (found_a[1] - found_a[0]) / (widths[1] - widths[0])
        w_m = widths[0] + (current_a - found_a[0]) / slope
        if w_m < W_MIN_M:
            raise InputError(
                f"a PMOS load for {current_a * 1e6:.3g} uA at {self.swing_v:g} V would be {w_m * 1e9:.0f} nm wide, less"
                f" than {W_MIN_M * 1e9:.0f} nm; raise v_wl_v or rows, lower swing_v, or take a resistor"
            )
        return pmos_load(float(w_m))

    def switch_ohm(self, load: Part, supply_v: float) -> float:
        """On-resistance of a switch."""
        return SWITCH_DROP_V / self.load_current_a(load, supply_v, SWITCH_DROP_V)

    def load_current_a(self, load: Part, supply_v: float, drop_v: float) -> float:
        outcome = self.run(load_deck(self.technology, load, supply_v=supply_v, drop_v=drop_v))
        if "i(vline)" not in outcome.values:
            raise RunError(f"the load of the bit line cannot be simulated: {outcome.status_or('no convergence')}")
        return float(outcome.values["i(vline)"][0])

    def run(self, deck: Deck) -> Outcome:
        return run_twice(self.ngspice, deck, self.timeout_s)
