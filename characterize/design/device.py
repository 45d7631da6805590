"""Figures of a technology's transistors, measured in ngspice."""

from typing import Literal

import numpy as np

from prcim.cells.benches.device import DeviceFigures, device_deck, device_figures
from prcim.cells.technology import Technology
from prcim.errors import RunError
from prcim.spice.ngspice import Ngspice, run_twice


def measure_device(
    technology: Technology,
    kind: Literal["n", "p"],
    ngspice: Ngspice,
    *,
    w_m: float = 1e-6,
    l_m: float = 65e-9,
    timeout_s: float = 60.0,
) -> DeviceFigures:
    """Measures one kind of transistor.

    Raises:
        RunError: ngspice cannot simulate it; the message has the simulator's words.
        InputError: its currents are not those of a transistor.
    """
    outcome = run_twice(ngspice, device_deck(technology, kind, w_m=w_m, l_m=l_m), timeout_s)
    if "i(vsat)" not in outcome.values:
        raise RunError(f"the {kind}-channel transistor cannot be simulated: {outcome.status_or('no result')}")
    lin_a, sat_a = np.abs(outcome.values["i(vlin)"]), np.abs(outcome.values["i(vsat)"])
    return device_figures(lin_a, sat_a, vdd_v=technology.vdd_v, w_m=w_m, l_m=l_m)
