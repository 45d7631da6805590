"""The load that gives a column its swing."""

from prcim.characterize.plan import Plan
from prcim.errors import InputError, RunError
from prcim.spice.ngspice import Ngspice, run_twice


def size_load(plan: Plan, ngspice: Ngspice, *, timeout_s: float = 120.0) -> float:
    """The load resistance with which all cells together pull the bit line down by the plan's swing, ohm.

    It is measured on the column without mismatch, with the bit line held at the end of the swing.

    Raises:
        InputError: the read is refused; the message names the limit that it breaks.
        RunError: the simulation fails.
    """
    open_ohm = 1e12
    column, read = plan.make_column(open_ohm), plan.make_read()
    v_bl_v = plan.technology.vdd_v - plan.read.swing_v
    outcome = run_twice(ngspice, read.probe_deck(column, v_bl_v), timeout_s)
    if "i(vprobe)" not in outcome.values:
        raise RunError(f"the column without mismatch cannot be simulated: {outcome.status_or('no convergence')}")
    current_a = -float(outcome.values["i(vprobe)"][0]) + plan.read.swing_v / open_ohm
    limit_v = max(0.2, plan.read.v_wl_v)
    if v_bl_v < limit_v:
        raise InputError(
            f"the bit line falls to {v_bl_v:.3f} V, where the read transistors leave saturation (limit {limit_v:.3f} V,"
            " the larger of 0.2 V and v_wl_v); lower swing_v"
        )
    if not 0 < current_a <= plan.read.i_line_max_a:
        raise InputError(
            f"all cells together draw {current_a * 1e3:.3g} mA; the limit i_line_max_a is"
            f" {plan.read.i_line_max_a * 1e3:.3g} mA; lower v_wl_v or rows"
        )
    return plan.read.swing_v / current_a
