"""The project's own cards against the anchors of a 65 nm process, and the bench that measures them."""

from dataclasses import asdict
from typing import Literal

import numpy as np
import pytest

from prcim.cells.device import device_figures
from prcim.cells.technology import Technology, own_technology
from prcim.characterize.device import measure_device
from prcim.errors import InputError, RunError
from prcim.spice.library import ModelLibrary
from prcim.spice.ngspice import find_ngspice

Kind = Literal["n", "p"]
#: W = 1 um, L = 65 nm, 1.1 V, 27 degrees: reference card of a 65 nm-class bulk process.
ANCHORS: dict[Kind, dict[str, float]] = {
    "n": {
        "ion_a_per_m": 1148.0,
        "ioff_a_per_m": 67e-3,
        "dibl_v_per_v": 0.130,
        "ss_v_per_dec": 0.090,
        "vth_lin_v": 0.270,
        "vth_sat_v": 0.133,
    },
    "p": {
        "ion_a_per_m": 531.0,
        "ioff_a_per_m": 48e-3,
        "dibl_v_per_v": 0.169,
        "ss_v_per_dec": 0.088,
        "vth_lin_v": 0.327,
        "vth_sat_v": 0.150,
    },
}
LIMITS = {
    "ion_a_per_m": 0.05,
    "ioff_a_per_m": 0.10,
    "dibl_v_per_v": 0.03,
    "ss_v_per_dec": 0.02,
    "vth_lin_v": 0.02,
    "vth_sat_v": 0.03,
}


@pytest.mark.parametrize("kind", ["n", "p"])
def test_own_cards_meet_the_anchors(kind: Kind) -> None:
    found = asdict(measure_device(own_technology(flavour="hp"), kind, find_ngspice()))
    assert found.keys() == LIMITS.keys()
    for name, limit in LIMITS.items():
        assert found[name] == pytest.approx(ANCHORS[kind][name], rel=limit, abs=0), name


@pytest.mark.parametrize("kind", ["n", "p"])
def test_the_sram_flavour_is_0_15_v_higher(kind: Kind) -> None:
    fast, slow = (measure_device(own_technology(flavour=f), kind, find_ngspice()) for f in ("hp", "sram"))
    assert slow.vth_sat_v - fast.vth_sat_v == pytest.approx(0.15, abs=0.015)
    assert slow.ioff_a_per_m < 0.03 * fast.ioff_a_per_m


@pytest.mark.parametrize("kind", ["n", "p"])
def test_heat_lowers_threshold_and_drive_and_raises_leakage(kind: Kind) -> None:
    figures = [measure_device(own_technology(temp_c=t), kind, find_ngspice()) for t in (-40.0, 27.0, 125.0)]
    assert np.all(np.diff([f.vth_lin_v for f in figures]) < 0)
    assert np.all(np.diff([f.ion_a_per_m for f in figures]) < 0)
    assert np.all(np.diff([f.ioff_a_per_m for f in figures]) > 0)
    assert np.all(np.diff([f.ss_v_per_dec for f in figures]) > 0)


def test_a_card_that_never_conducts_is_refused() -> None:
    with pytest.raises(InputError, match="misses the 1e-07 A at which the threshold is defined"):
        device_figures(np.full(9, 1e-12), np.full(9, 1e-12), vdd_v=1.0, w_m=1e-6, l_m=1e-6)


def test_a_card_that_ngspice_does_not_understand() -> None:
    library = ModelLibrary(name="x", text=".model n npn\n.model p pnp\n")
    with pytest.raises(RunError, match="the n-channel transistor cannot be simulated: failed: "):
        measure_device(Technology(library=library, nmos="n", pmos="p"), "n", find_ngspice())
