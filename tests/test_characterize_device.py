"""The project's own cards against the anchors of a 65 nm process, and the bench that measures them."""

from dataclasses import asdict
from functools import cache
from typing import Any, Literal

import numpy as np
import pytest

from prcim.cells.benches.device import DeviceFigures, device_figures
from prcim.cells.devices import anchors as anchors_module
from prcim.cells.devices.corner import CORNERS
from prcim.cells.technology import Technology, own_technology
from prcim.characterize.design.device import measure_device
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


@cache
def figures(kind: Kind, **point: Any) -> DeviceFigures:
    return measure_device(own_technology(**point), kind, find_ngspice())


@pytest.mark.parametrize("kind", ["n", "p"])
def test_own_cards_meet_the_anchors(kind: Kind) -> None:
    """The gate is 5 % for Ion and SS, 15 % for DIBL and a factor of 1.5 for Ioff; the cards are nearer than that."""
    found = asdict(figures(kind, flavour="hp"))
    assert found.keys() == LIMITS.keys()
    for name, limit in LIMITS.items():
        assert found[name] == pytest.approx(ANCHORS[kind][name], rel=limit, abs=0), name


def test_what_is_printed_beside_the_figures() -> None:
    assert {kind: asdict(anchors) for kind, anchors in anchors_module.ANCHORS.items()} == ANCHORS


@pytest.mark.parametrize("kind", ["n", "p"])
def test_the_sram_flavour_is_0_15_v_higher(kind: Kind) -> None:
    fast, slow = (figures(kind, flavour=flavour) for flavour in ("hp", "sram"))
    assert slow.vth_sat_v - fast.vth_sat_v == pytest.approx(0.15, abs=0.015)
    assert slow.ioff_a_per_m < 0.03 * fast.ioff_a_per_m


@pytest.mark.parametrize("flavour", ["hp", "sram"])
@pytest.mark.parametrize("kind", ["n", "p"])
def test_heat_lowers_threshold_and_drive_and_raises_leakage(kind: Kind, flavour: str) -> None:
    found = [figures(kind, flavour=flavour, temp_c=t) for t in (-40.0, 0.0, 27.0, 85.0, 125.0)]
    assert np.all(np.diff([f.vth_lin_v for f in found]) < 0)
    assert np.all(np.diff([f.ion_a_per_m for f in found]) < 0)
    assert np.all(np.diff([f.ioff_a_per_m for f in found]) > 0)
    assert np.all(np.diff([f.ss_v_per_dec for f in found]) > 0)
    # The swing is n kT/q ln 10: in proportion to the absolute temperature but for the slope of n.
    ratio = found[-1].ss_v_per_dec / found[0].ss_v_per_dec
    assert ratio == pytest.approx((273.15 + 125) / (273.15 - 40), rel=0.05)


@pytest.mark.parametrize("flavour", ["hp", "sram"])
@pytest.mark.parametrize("temp_c", [-40.0, 27.0, 125.0])
@pytest.mark.parametrize("kind", ["n", "p"])
def test_corners(kind: Kind, temp_c: float, flavour: str) -> None:
    """The first letter is for N, the second for P; what a kind does depends on its own letter alone."""
    found = {c: figures(kind, flavour=flavour, temp_c=temp_c, corner=c) for c in CORNERS}
    order = ["ss", "tt", "ff"]
    assert np.all(np.diff([found[c].ion_a_per_m for c in order]) > 0)
    assert np.all(np.diff([found[c].ioff_a_per_m for c in order]) > 0)
    assert np.all(np.diff([found[c].vth_sat_v for c in order]) < 0)
    fast, slow = ("fs", "sf") if kind == "n" else ("sf", "fs")
    assert (found[fast], found[slow]) == (found["ff"], found["ss"])


@pytest.mark.parametrize("kind", ["n", "p"])
def test_a_corner_moves_the_threshold_by_its_shift(kind: Kind) -> None:
    """By 45 mV and a little more, since mobility is lower too, by 5 % and by what it loses with the threshold."""
    typical, slow = (figures(kind, flavour="hp", corner=corner) for corner in ("tt", "ss"))
    assert 0.045 < slow.vth_lin_v - typical.vth_lin_v < 0.052


@pytest.mark.parametrize("kind", ["n", "p"])
def test_supply_raises_drive_and_leakage(kind: Kind) -> None:
    found = [figures(kind, flavour="hp", vdd_v=vdd_v) for vdd_v in (0.5, 0.8, 1.0, 1.1, 1.2)]
    assert np.all(np.diff([f.ion_a_per_m for f in found]) > 0)
    assert np.all(np.diff([f.ioff_a_per_m for f in found]) > 0)
    # At a drain voltage of 50 mV the supply plays no part.
    assert np.ptp([f.vth_lin_v for f in found]) < 1e-4


def test_a_card_that_never_conducts_is_refused() -> None:
    with pytest.raises(InputError, match="misses the 1e-07 A at which the threshold is defined"):
        device_figures(np.full(9, 1e-12), np.full(9, 1e-12), vdd_v=1.0, w_m=1e-6, l_m=1e-6)


def test_a_card_that_ngspice_does_not_understand() -> None:
    text = ".model n nmos level=54 version=4.5 toxe=-1e-9\n.model p pmos level=54\n"
    library = ModelLibrary(name="x", text=text)
    with pytest.raises(RunError, match="the n-channel transistor cannot be simulated: failed: "):
        measure_device(Technology(library=library, nmos="n", pmos="p"), "n", find_ngspice())
