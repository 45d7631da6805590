"""What a technology takes for a transistor, and when the anchors describe it."""

from dataclasses import replace
from typing import Any

import pytest

from prcim.cells.devices.anchors import has_anchors
from prcim.cells.technology import Technology, own_technology
from prcim.errors import InputError
from prcim.spice.library import ModelLibrary

DEVICE = ".subckt {} d g s b w=1 l=0.065 nf=1\n.ends\n"


def technology(text: str, **fields: Any) -> Technology:
    return Technology(library=ModelLibrary(name="user.lib", text=text), nmos="nch", pmos="pch", **fields)


@pytest.mark.parametrize("level", [8, 14, 49, 54])
def test_levels_that_are_bsim(level: int) -> None:
    found = technology(f".model nch nmos level={level}\n.model pch pmos level=54\n")
    assert found.shifts_by_parameter == (level in (14, 54))
    # An instance of either kind must take the parameters.
    found = technology(f".model nch nmos level=54\n.model pch pmos level={level}\n")
    assert found.shifts_by_parameter == (level in (14, 54))


@pytest.mark.parametrize(
    ("card", "has"), [("level=1", "has level 1"), ("level=58", "has level 58"), ("vto=0.4", "does not say its level")]
)
def test_other_levels(card: str, has: str) -> None:
    """To ngspice a card without a level is one of level 1, whose currents mean nothing at 65 nm."""
    for nmos, pmos, name in ((card, "level=54", "nch"), ("level=54", card, "pch")):
        with pytest.raises(InputError, match=rf"user\.lib: model '{name}' {has}; give a BSIM4 card \(level 14 or 54\)"):
            technology(f".model nch nmos {nmos}\n.model pch pmos {pmos}\n")


def test_models_of_the_wrong_type() -> None:
    with pytest.raises(InputError, match="model 'nch' is of type 'pmos', not nmos"):
        technology(".model nch pmos level=54\n.model pch pmos level=54\n")
    with pytest.raises(InputError, match="model 'pch' is of type 'npn', not pmos"):
        technology(".model nch nmos level=54\n.model pch npn level=54\n")


def test_subcircuits() -> None:
    """What is inside is the kit's affair."""
    text = DEVICE.format("nch") + DEVICE.format("pch")
    found = technology(text, subckt=True, size_unit_m=1e-6)
    assert not found.shifts_by_parameter
    with pytest.raises(InputError, match=r"'nch' is a sub-circuit, not a model; set subckt = true \(--subckt\)"):
        technology(text)


@pytest.mark.parametrize(
    ("device", "words"),
    [
        (".subckt pch d g s w=1 l=1\n.ends\n", r"'pch' has the pins d, g, s; it must have four: drain, gate, source"),
        (".subckt pch d g s b e w=1 l=1\n.ends\n", "'pch' has the pins d, g, s, b, e; it must have four"),
        (".subckt pch w=1 l=1\n.ends\n", "'pch' has the pins none; it must have four"),
        (".subckt pch d g s b wf=1 l=1\n.ends\n", "'pch' must take the parameters w and l; it takes: l, wf"),
        (".subckt pch d g s b\n.ends\n", "'pch' must take the parameters w and l; it takes: none"),
        (".model pch pmos level=54\n", "'pch' is a model, not a sub-circuit"),
        ("", "has no sub-circuit 'pch'; it has: nch"),
    ],
)
def test_refused_subcircuits(device: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        technology(DEVICE.format("nch") + device, subckt=True)


@pytest.mark.parametrize("unit_m", [0.0, -1e-6, 10.0, float("nan")])
def test_refused_units(unit_m: float) -> None:
    with pytest.raises(InputError, match=r"size_unit_m is .*; a unit of length lies between 0 and 1 m"):
        technology(DEVICE.format("nch") + DEVICE.format("pch"), subckt=True, size_unit_m=unit_m)


def test_refused_corner() -> None:
    with pytest.raises(InputError, match="corner is 'st'; the corners are: tt, ff, ss, fs, sf"):
        own_technology(corner="st")


def test_anchors_belong_to_one_technology() -> None:
    hp = own_technology(flavour="hp")
    assert has_anchors(hp)
    assert not has_anchors(own_technology(flavour="sram"))
    for change in ({"vdd_v": 1.0}, {"temp_c": 28.0}, {"corner": "ff"}, {"nmos": "prcim65_nmos_sram"}):
        assert not has_anchors(replace(hp, **change))
    assert not has_anchors(replace(hp, library=ModelLibrary(name="prcim65.lib", text=hp.library.text + "*\n")))
