"""Resistors and capacitors: their values in ngspice, their spread, what is refused."""

import math
import re
from typing import Any

import numpy as np
import pytest
from PySpice.Spice.Netlist import SubCircuit

from prcim.cells.cell_1t1r import Cell1T1R
from prcim.cells.cell_8t1c import Cell8T1C
from prcim.cells.devices.part import Part
from prcim.cells.devices.passive import Capacitor, Resistor
from prcim.cells.mismatch import Mismatch
from prcim.cells.technology import own_technology
from prcim.errors import InputError
from prcim.spice.deck import Deck
from prcim.spice.ngspice import Ngspice, find_ngspice

RESISTOR = Resistor(name="r1", plus="a", minus="b", ohm=4e3, spread=0.1)
CAPACITOR = Capacitor(name="c1", plus="a", minus="b", farad=4e-15, spread=0.02)


@pytest.fixture(scope="module")
def ngspice() -> Ngspice:
    return find_ngspice()


def divider_v(ngspice: Ngspice, part: Part, analysis: str, factor: float, **more: str) -> float:
    """Voltage, or real part of it, across a part that hangs at 1 V behind 4 kOhm."""
    circuit = SubCircuit("one", "a", "b", **{**dict.fromkeys(more, "1"), **part.parameters(0.0, 1.0)})
    part.add_to(circuit, own_technology())
    given = " ".join(f"{name}={value}" for name, value in {**more, **part.parameters(0.0, factor)}.items())
    netlist = f"* one part\n{circuit}\nv1 in 0 dc 1 ac 1\nr1 in m 4k\nx1 m 0 one {given}\n"
    values = ngspice.run(Deck(netlist=netlist, save=("v(m)",), analyses=(analysis,))).values
    return float(values["v(m)"][0])


@pytest.mark.parametrize("factor", [1.0, 0.8, 1.3])
def test_resistance(ngspice: Ngspice, factor: float) -> None:
    wanted = factor / (1 + factor)
    assert divider_v(ngspice, RESISTOR, "op", factor) == pytest.approx(wanted, rel=1e-5)
    by_name = Resistor(name="cell", plus="a", minus="b", ohm="r_state", spread=0.1)
    assert divider_v(ngspice, by_name, "op", factor, r_state="4000") == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("factor", [1.0, 0.8, 1.3])
def test_capacitance(ngspice: Ngspice, factor: float) -> None:
    """At the frequency at which 4 fF have 4 kOhm: 1 / (1 + j f) has the real part 1 / (1 + f^2)."""
    f_hz = 1 / (2 * math.pi * 4e3 * 4e-15)
    found = divider_v(ngspice, CAPACITOR, f"ac lin 1 {f_hz:.9g} {f_hz:.9g}", factor)
    assert found == pytest.approx(1 / (1 + factor**2), rel=1e-4)


@pytest.mark.parametrize("part", [RESISTOR, CAPACITOR])
def test_spread(part: Part) -> None:
    """Log-normal with the mean 1; 20,000 draws, 4 standard errors."""
    assert part.sigma_vt_v(Mismatch()) == 0
    assert part.kind == ""
    dvt_v, factor = Mismatch().draw_local((part,), 20000, (30, 1))
    sigma = part.rel_sigma(Mismatch())
    assert not dvt_v.any()
    assert factor.mean() == pytest.approx(1, abs=4 * sigma / math.sqrt(20000))
    assert np.log(factor).std() == pytest.approx(sigma, rel=4 / math.sqrt(40000))


def test_spreads_of_cells() -> None:
    """A cell's parts take the spread that the cell states."""
    ((resistor, _), (*_, capacitor)) = Cell1T1R(r_spread=0.3).parts, Cell8T1C(c_spread=0.05).parts
    assert resistor.rel_sigma(Mismatch()) == 0.3
    assert capacitor.rel_sigma(Mismatch()) == 0.05


@pytest.mark.parametrize(
    ("kind", "field", "value", "words"),
    [
        (Resistor, "ohm", 0.0, "r1: ohm is 0.0; it must be a positive resistance"),
        (Resistor, "ohm", -1.0, "r1: ohm is -1.0"),
        (Resistor, "ohm", math.inf, "r1: ohm is inf"),
        (Resistor, "ohm", math.nan, "r1: ohm is nan"),
        (Resistor, "spread", -0.1, "r1: spread is -0.1; a relative spread lies in 0..2"),
        (Resistor, "spread", math.nan, "r1: spread is nan"),
        (Resistor, "name", "R1", "part name 'R1' must be lower case letters and digits"),
        (Resistor, "name", "r 1", "part name 'r 1' must be lower case"),
        (Resistor, "name", "", "part name '' must be lower case"),
        (Capacitor, "farad", 0.0, "r1: farad is 0.0; it must be a positive capacitance"),
        (Capacitor, "farad", math.nan, "r1: farad is nan"),
        (Capacitor, "farad", 1.0, "r1: farad is 1.0"),
        (Capacitor, "spread", 2.0, "r1: spread is 2.0; a relative spread lies in 0..2"),
    ],
)
def test_refused(kind: type[Part], field: str, value: Any, words: str) -> None:
    good: dict[str, Any] = {"name": "r1", "plus": "a", "minus": "b", "spread": 0.1}
    good |= {"ohm": 1e3} if kind is Resistor else {"farad": 1e-15}
    kind(**good)
    with pytest.raises(InputError, match=re.escape(words)):
        kind(**good | {field: value})


@pytest.mark.parametrize(
    ("r_on_ohm", "r_off_ohm"), [(0.0, 1e6), (1e6, 1e6), (2e6, 1e6), (math.nan, 1e6), (1e4, math.inf)]
)
def test_refused_resistances_of_a_cell(r_on_ohm: float, r_off_ohm: float) -> None:
    with pytest.raises(InputError, match=f"r_on_ohm is {r_on_ohm}, r_off_ohm is {r_off_ohm}; want 0 < r_on < r_off <"):
        Cell1T1R(r_on_ohm=r_on_ohm, r_off_ohm=r_off_ohm)
