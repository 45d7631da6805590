"""The section of a plan that names transistors."""

from pathlib import Path
from typing import Any

import pytest

from prcim.cells.technology import Technology, own_technology
from prcim.characterize.plan import make_plan, plan_id
from prcim.errors import InputError
from prcim.spice.library import read_library

KITS = Path(__file__).parent / "kits"
KIT = KITS / "wrapped" / "kit.lib"
FIELDS: dict[str, Any] = {
    "models": str(KIT),
    "nmos": "kit_nfet",
    "pmos": "kit_pfet",
    "section": "tt",
    "subckt": True,
    "size_unit_m": 1e-6,
}


def technology(**fields: Any) -> Technology:
    return make_plan({"name": "own", "technology": fields}, origin="test").make_technology()


def test_every_field_reaches_the_technology() -> None:
    assert technology() == own_technology()
    assert technology(flavour="hp", vdd_v=1.0, temp_c=85, corner="fs") == own_technology(
        flavour="hp", vdd_v=1.0, temp_c=85, corner="fs"
    )
    kit = Technology(library=read_library(KIT, "tt"), nmos="kit_nfet", pmos="kit_pfet", subckt=True, size_unit_m=1e-6)
    assert technology(**FIELDS) == kit
    for name, value in {"vdd_v": 1.0, "temp_c": 85.0, "corner": "ss", "size_unit_m": 1e-3}.items():
        assert getattr(technology(**FIELDS | {name: value}), name) == value
    assert technology(**FIELDS | {"section": "ss"}).library == read_library(KIT, "ss")
    plain = technology(models=str(KITS / "bsim3.lib"), nmos="nch", pmos="pch")
    assert (plain.subckt, plain.size_unit_m, plain.corner) == (False, 1.0, "tt")


def test_every_field_of_a_kit_is_part_of_the_identity() -> None:
    plans = [FIELDS, *(FIELDS | {name: value} for name, value in (("section", "ss"), ("size_unit_m", 1e-3)))]
    plans += [{"models": str(KITS / "bsim3.lib"), "nmos": "nch", "pmos": "pch"}]
    plans += [plans[-1] | {"corner": "ff"}]
    ids = [plan_id(make_plan({"name": "own", "technology": p}, origin="test"), simulator="s") for p in plans]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"models": str(KIT)}, "models, nmos and pmos belong together: give all three or none"),
        ({"section": "tt"}, "section, subckt and size_unit_m say how to read models: give models, nmos and pmos too"),
        ({"subckt": True}, "section, subckt and size_unit_m say how to read models"),
        ({"size_unit_m": 1e-6}, "section, subckt and size_unit_m say how to read models"),
        ({"corner": "st"}, r"technology\.corner: Input should be 'tt', 'ff', 'ss', 'fs' or 'sf' \(got 'st'\)"),
        (FIELDS | {"size_unit_m": -1}, r"technology\.size_unit_m: Input should be greater than 0 \(got -1\)"),
        (FIELDS | {"size_unit_m": 2}, r"technology\.size_unit_m: Input should be less than or equal to 1"),
        (FIELDS | {"section": None}, r"kit\.lib has sections: tt, ss, devices; choose one with section"),
        (FIELDS | {"subckt": False}, "'kit_nfet' is a sub-circuit, not a model"),
        (FIELDS | {"pmos": "pfet"}, "has no sub-circuit 'pfet'; it has: kit_nfet, kit_pfet"),
    ],
)
def test_refused_fields(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        technology(**fields)
