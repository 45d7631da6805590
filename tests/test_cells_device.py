"""A shift of a transistor by the model's own parameters, and by a source at the gate and a mirror at the drain."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from prcim.cells.benches.device import device_deck
from prcim.cells.technology import Technology, own_technology
from prcim.spice.library import ModelLibrary, read_library
from prcim.spice.ngspice import find_ngspice

Kind = Literal["n", "p"]
KITS = Path(__file__).parent / "kits"
HP = own_technology(flavour="hp")
BSIM3 = Technology(library=read_library(KITS / "bsim3.lib"), nmos="nch", pmos="pch")
KIT = Technology(
    library=read_library(KITS / "wrapped" / "kit.lib", "tt"),
    nmos="kit_nfet",
    pmos="kit_pfet",
    subckt=True,
    size_unit_m=1e-6,
)
#: The step of the gate sweep, V.
STEP_V = 0.005


def currents_a(
    technology: Technology, kind: Kind, *, dvt_v: float = 0.0, factor: float = 1.0, w_m: float = 1e-6
) -> NDArray[np.float64]:
    """Magnitude of the drain current at two drain voltages, A, shape (2, gate voltages)."""
    deck = device_deck(technology, kind, w_m=w_m, l_m=65e-9, dvt_v=dvt_v, factor=factor)
    outcome = find_ngspice().run(deck)
    assert outcome.ok, outcome.status
    return np.abs([outcome.values["i(vlin)"], outcome.values["i(vsat)"]])


def simplified(**figures: str) -> Technology:
    """The high-performance cards with some parameters changed."""
    text = HP.library.text
    for name, value in figures.items():
        text, count = re.subn(rf"\b{name} = \S+", f"{name} = {value}", text)
        assert count == 4
    return replace(HP, library=ModelLibrary(name="simplified", text=text))


@pytest.mark.parametrize("kind", ["n", "p"])
@pytest.mark.parametrize("technology", [replace(HP, gate_sources=True), BSIM3, KIT], ids=["bsim4", "bsim3", "kit"])
def test_a_source_at_the_gate_moves_the_curve_along_the_gate_voltage(technology: Technology, kind: Kind) -> None:
    """Exactly, whatever the model: 30 mV are six steps of the sweep."""
    steps = 6
    base_a, weak_a = currents_a(technology, kind), currents_a(technology, kind, dvt_v=steps * STEP_V)
    np.testing.assert_allclose(weak_a[:, steps:], base_a[:, :-steps], rtol=1e-6)
    strong_a = currents_a(technology, kind, dvt_v=-steps * STEP_V)
    np.testing.assert_allclose(strong_a[:, :-steps], base_a[:, steps:], rtol=1e-6)


@pytest.mark.parametrize("kind", ["n", "p"])
@pytest.mark.parametrize("technology", [replace(HP, gate_sources=True), BSIM3, KIT], ids=["bsim4", "bsim3", "kit"])
def test_the_mirror_multiplies_the_current(technology: Technology, kind: Kind) -> None:
    base_a = currents_a(technology, kind)
    for factor in (0.8, 1.25):
        np.testing.assert_allclose(currents_a(technology, kind, factor=factor), factor * base_a, rtol=1e-6)


@pytest.mark.parametrize("kind", ["n", "p"])
@pytest.mark.parametrize("dvt_v", [0.03, -0.03])
def test_a_source_at_the_gate_does_what_delvto_does(kind: Kind, dvt_v: float) -> None:
    """Equal to 1e-5 where mobility does not depend on the threshold.

    On the project's cards, where `ua` and `ub` make it do so, the current differs by up to 3 % (N) and 5 % (P) after
    30 mV, which halve the current below threshold.
    """
    for technology, rtol in ((simplified(ua="0", ub="0"), 1e-5), (HP, {"n": 0.035, "p": 0.05}[kind])):
        by_parameter_a = currents_a(technology, kind, dvt_v=dvt_v)
        by_source_a = currents_a(replace(technology, gate_sources=True), kind, dvt_v=dvt_v)
        np.testing.assert_allclose(by_source_a, by_parameter_a, rtol=rtol)
    assert by_parameter_a[0, 0] / currents_a(HP, kind)[0, 0] == pytest.approx(0.46 ** np.sign(dvt_v), rel=0.1)


@pytest.mark.parametrize("kind", ["n", "p"])
def test_mobility_is_less_than_current(kind: Kind) -> None:
    """`mulu0` acts on the mobility, the mirror on the current.

    That is the same only where neither the drift velocity nor the resistance of source and drain limits the current.
    On the project's cards 10 % more mobility is 1 % (N) and 5 % (P) more current at full drive.
    """
    free = simplified(ua="0", ub="0", rdsw="0", vsat="1e8")
    by_mobility_a = currents_a(free, kind, factor=1.1)
    by_mirror_a = currents_a(replace(free, gate_sources=True), kind, factor=1.1)
    np.testing.assert_allclose(by_mobility_a, by_mirror_a, rtol=1e-3)
    growth = currents_a(HP, kind, factor=1.1) / currents_a(HP, kind) - 1
    assert np.all((growth > 0) & (growth < 0.1))
    assert growth[1, -1] == pytest.approx({"n": 0.0104, "p": 0.0477}[kind], rel=0.1)
    # Below threshold, where nothing else limits it, mobility is current.
    assert growth[0, 0] > 0.08


@pytest.mark.parametrize("kind", ["n", "p"])
@pytest.mark.parametrize("gate_sources", [False, True])
def test_corner_and_mismatch_add_up(kind: Kind, gate_sources: bool) -> None:
    technology = replace(HP, gate_sources=gate_sources)
    base_a = currents_a(technology, kind)
    for corner, dvt_v, factor in (("ss", 0.045, 0.95), ("ff", -0.045, 1 / 0.95)):
        at = replace(technology, corner=corner)
        both_a = currents_a(at, kind, dvt_v=0.03, factor=1.1)
        together_a = currents_a(technology, kind, dvt_v=dvt_v + 0.03, factor=1.1 * factor)
        np.testing.assert_allclose(both_a, together_a, rtol=1e-5)
        alone_a = currents_a(at, kind)
        assert np.all((alone_a < base_a) if corner == "ss" else (alone_a > base_a))
        assert not np.allclose(both_a, alone_a, rtol=0.01)


@pytest.mark.parametrize("kind", ["n", "p"])
def test_no_shift_no_difference(kind: Kind) -> None:
    np.testing.assert_allclose(currents_a(replace(HP, gate_sources=True), kind), currents_a(HP, kind), rtol=1e-9)


@pytest.mark.parametrize("kind", ["n", "p"])
def test_a_wrapper_changes_nothing(kind: Kind) -> None:
    """The project's cards inside of sub-circuits that count in micrometres."""
    wrap = ".subckt {0}x d g s b w=1 l=1\nm1 d g s b {0} w={{w*1u}} l={{l*1u}}\n.ends\n"
    wrapped = replace(
        HP,
        library=ModelLibrary(name="wrapped", text=HP.library.text + wrap.format(HP.nmos) + wrap.format(HP.pmos)),
        nmos=f"{HP.nmos}x",
        pmos=f"{HP.pmos}x",
        subckt=True,
        size_unit_m=1e-6,
    )
    plain = replace(HP, gate_sources=True)
    for w_m in (1e-6, 90e-9):
        shifts = {"dvt_v": 0.02, "factor": 0.9, "w_m": w_m}
        np.testing.assert_allclose(currents_a(wrapped, kind, **shifts), currents_a(plain, kind, **shifts), rtol=1e-9)


def test_a_binned_kit() -> None:
    """Cards for ranges of width under one name; the simulator picks the one that fits the instance."""
    text = HP.library.text
    cards = {card.split()[0]: card for card in text.split("\n.model ")[1:]}
    for kind in "np":
        for flavour, limits in (("hp", "wmin=1e-8 wmax=5e-7"), ("sram", "wmin=5e-7 wmax=1e-5")):
            name = f"prcim65_{kind}mos_{flavour}"
            card = cards[name].replace(name, f"{kind}ch.{flavour == 'sram':d}").split("\n*\n")[0]
            text += f"\n.model {card}\n+ lmin=1e-8 lmax=1e-6 {limits}\n"
    binned = replace(HP, library=ModelLibrary(name="binned", text=text), nmos="nch", pmos="pch")
    for w_m, flavour in ((90e-9, "hp"), (1e-6, "sram")):
        expected_a = currents_a(own_technology(flavour=flavour), "n", w_m=w_m)
        np.testing.assert_allclose(currents_a(binned, "n", w_m=w_m), expected_a, rtol=1e-9)
