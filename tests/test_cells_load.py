"""What stands at the end of a bit line, alone in ngspice."""

from dataclasses import replace

import numpy as np
import pytest

from prcim.cells.devices.part import Part
from prcim.cells.load import END_PORTS, load_deck, load_subcircuit, nmos_switch, pmos_load, resistor_load
from prcim.cells.mismatch import Mismatch
from prcim.cells.technology import own_technology
from prcim.spice.ngspice import Ngspice, find_ngspice

TECHNOLOGY = own_technology()
LOADS = {"resistor": resistor_load(1e3), "pmos": pmos_load(1e-6), "nmos": nmos_switch(1e-6)}


@pytest.fixture(scope="module")
def ngspice() -> Ngspice:
    return find_ngspice()


def current_a(
    ngspice: Ngspice, load: Part, drop_v: float, *, supply_v: float = 1.1, dvt_v: float = 0.0, factor: float = 1.0
) -> float:
    deck = load_deck(TECHNOLOGY, load, supply_v=supply_v, drop_v=drop_v)
    line = "Xend line supply control vdd 0 end"
    assert deck.netlist.count(line) == 1
    given = " ".join(f"{name}={value}" for name, value in load.parameters(dvt_v, factor).items())
    return float(
        ngspice.run(replace(deck, netlist=deck.netlist.replace(line, f"{line} {given}"))).values["i(vline)"][0]
    )


@pytest.mark.parametrize("drop_v", [-0.1, 0.0, 0.05, 1.1])
def test_resistor_obeys_ohm(ngspice: Ngspice, drop_v: float) -> None:
    assert current_a(ngspice, LOADS["resistor"], drop_v) == pytest.approx(drop_v / 1e3, rel=1e-6, abs=1e-12)
    assert current_a(ngspice, LOADS["resistor"], drop_v, factor=1.25) == pytest.approx(
        drop_v / 1250, rel=1e-6, abs=1e-12
    )


@pytest.mark.parametrize(("name", "supply_v"), [("pmos", 1.1), ("nmos", 0.2)])
def test_switch_that_is_on(ngspice: Ngspice, name: str, supply_v: float) -> None:
    """Zero at zero, rising, ever less steep; proportional to the width; either way round; weaker with its threshold."""
    load = LOADS[name]
    drops_v = np.array([0.0, 0.02, 0.05, 0.1, 0.2])
    found_a = np.array([current_a(ngspice, load, float(drop_v), supply_v=supply_v) for drop_v in drops_v])
    assert abs(found_a[0]) < 1e-12
    slopes = np.diff(found_a) / np.diff(drops_v)
    assert slopes.min() > 0
    if name == "pmos":
        assert np.all(np.diff(slopes) < 0)
    # About a kilo-ohm and half of one for a micrometre.
    assert 0.3e-3 < slopes[0] < 4e-3
    assert current_a(ngspice, load, -0.02, supply_v=supply_v) == pytest.approx(-found_a[1], rel=0.1)
    wide = replace(load, w_m=3e-6)  # type: ignore[type-var]
    assert current_a(ngspice, wide, 0.05, supply_v=supply_v) == pytest.approx(3 * found_a[2], rel=0.03)
    for shift in ({"dvt_v": 0.03}, {"factor": 0.9}):
        weaker_a = current_a(ngspice, load, 0.05, supply_v=supply_v, **shift)
        assert 0.8 * found_a[2] < weaker_a < 0.98 * found_a[2]


@pytest.mark.parametrize("name", LOADS)
def test_subcircuit(name: str) -> None:
    """The column connects a load by the order of its nodes."""
    load = LOADS[name]
    circuit = load_subcircuit(load, TECHNOLOGY)
    assert circuit.name == "end"
    assert tuple(circuit.external_nodes) == END_PORTS == ("line", "supply", "control", "vdd", "vss")
    assert all(f"{key}={value}" in str(circuit) for key, value in load.parameters(0.0, 1.0).items())


def test_spreads() -> None:
    mismatch = Mismatch()
    assert resistor_load(1e3).rel_sigma(mismatch) == 0.01
    assert resistor_load(1e3, rel_sigma=0.05).rel_sigma(mismatch) == 0.05
    assert resistor_load(1e3).sigma_vt_v(mismatch) == 0
    assert [LOADS[name].kind for name in LOADS] == ["", "p", "n"]
    for load in (pmos_load(1e-6), nmos_switch(1e-6)):
        assert load.sigma_vt_v(mismatch) == pytest.approx(3.5e-9 / np.sqrt(2 * 1e-6 * 65e-9), rel=1e-9)
        assert load.rel_sigma(mismatch) == pytest.approx(1e-8 / np.sqrt(2 * 1e-6 * 65e-9), rel=1e-9)
