"""A user's own model files in a column: a card in the public PTM style, BSIM3 cards, sub-circuits with sections."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from prcim.cells.cell_6t import Cell6T
from prcim.cells.cell_8t import Cell8T
from prcim.cells.column import Column, ColumnDraw
from prcim.cells.devices.part import Part
from prcim.cells.load import pmos_load, resistor_load
from prcim.cells.mismatch import Mismatch
from prcim.cells.reads.steady_read import SteadyRead
from prcim.cells.technology import Technology, own_technology
from prcim.spice.library import read_library
from prcim.spice.ngspice import find_ngspice

KITS = Path(__file__).parent / "kits"
ROWS = 4
READ = SteadyRead(v_wl_v=0.35)
#: Every sum of four products once.
PRODUCTS = np.array([[1] * k + [-1] * (ROWS - k) for k in range(ROWS + 1)], dtype=np.int8)


def wrapped(section: str) -> Technology:
    library = read_library(KITS / "wrapped" / "kit.lib", section)
    return Technology(library=library, nmos="kit_nfet", pmos="kit_pfet", subckt=True, size_unit_m=1e-6)


OWN = own_technology(flavour="hp")
TECHNOLOGIES = {
    "ptm": Technology(library=read_library(KITS / "ptm_style.pm"), nmos="nmos", pmos="pmos"),
    "bsim3": Technology(library=read_library(KITS / "bsim3.lib"), nmos="nch", pmos="pch"),
    "kit": wrapped("tt"),
    "gates": replace(OWN, gate_sources=True),
}


def column(technology: Technology, *, load: Part | None = None, cell: Cell8T | Cell6T | None = None) -> Column:
    load = load or resistor_load(33e3)
    return Column(technology=technology, cell=cell or Cell8T(), rows=ROWS, n_used=ROWS, load=load, load_ohm=33e3)


def lines_v(where: Column, draw: ColumnDraw) -> NDArray[np.float64]:
    """What the read-out sees at every sum, V."""
    inputs = PRODUCTS * draw.weights
    outcome = find_ngspice().run(READ.deck(where, draw, inputs))
    assert outcome.ok, outcome.status
    shots = READ.result(where, draw, inputs, outcome)
    assert shots.held.tolist() == [True] * len(inputs)
    return shots.v_bl_v


@pytest.mark.parametrize("name", TECHNOLOGIES)
def test_a_column_reads(name: str) -> None:
    """The line starts near the supply and falls with every product that is +1, with and without mismatch."""
    where = column(TECHNOLOGIES[name])
    for draw in (where.nominal_draw(), where.draw(Mismatch(), (1, 2, 3))):
        found_v = lines_v(where, draw)
        assert 1.09 < found_v[0] < 1.1
        assert np.all(np.diff(found_v) < -0.03)
        assert found_v[-1] > 0.5


@pytest.mark.parametrize("name", TECHNOLOGIES)
def test_shifts_reach_the_transistors_of_a_column(name: str) -> None:
    """A higher threshold or a lower gain lifts the line, by as much as the transistor limits the current.

    The upper read transistor is under-driven and does so by millivolts, the lower one is fully on and does so by
    tenths; the latch not at all.
    """
    where = column(TECHNOLOGIES[name])
    base = where.nominal_draw()
    base_v = lines_v(where, base)
    least_v = {"ra": 3e-3, "rd": 2e-4}
    for i, part in enumerate(where.cell.parts):
        dvt_v, factor = np.zeros_like(base.dvt_v), np.ones_like(base.factor)
        dvt_v[..., i], factor[..., i] = 0.03, 0.9
        for draw in (replace(base, dvt_v=dvt_v), replace(base, factor=factor)):
            change_v = lines_v(where, draw)[1:] - base_v[1:]
            if part.name in least_v:
                assert np.all(change_v > least_v[part.name])
            else:
                assert np.abs(change_v).max() < 2e-6


@pytest.mark.parametrize("name", TECHNOLOGIES)
def test_a_differential_column_and_a_transistor_as_load(name: str) -> None:
    """6T without mismatch is odd in the sum, to what the closed cells' drops along the line leave: 0.1 mV."""
    found_v = lines_v(where := column(TECHNOLOGIES[name], load=pmos_load(200e-9), cell=Cell6T()), where.nominal_draw())
    np.testing.assert_allclose(found_v, -found_v[::-1], atol=1e-4)
    assert np.all(np.diff(found_v) < -0.01)


def test_a_slow_section_and_a_slow_corner_lift_the_line() -> None:
    typical, section = column(wrapped("tt")), column(wrapped("ss"))
    corner = column(replace(wrapped("tt"), corner="ss"))
    found_v = [lines_v(where, where.nominal_draw()) for where in (typical, section, corner)]
    assert np.all(found_v[1] > found_v[0])
    # 40 mV in the section, 45 mV and 5 % in the corner.
    assert np.all(found_v[2] > found_v[1])


def test_two_ways_to_shift_give_the_same_column() -> None:
    """Threshold shifts by `delvto` and by a source at the gate: within 1 % of the swing; without mismatch equal."""
    by_parameter, by_source = column(OWN), column(TECHNOLOGIES["gates"])
    np.testing.assert_allclose(
        lines_v(by_source, by_source.nominal_draw()), lines_v(by_parameter, by_parameter.nominal_draw()), atol=1e-6
    )
    for index in range(3):
        draw = by_source.draw(Mismatch(a_beta_m=0), (1, 2, index))
        first_v, second_v = lines_v(by_parameter, draw), lines_v(by_source, draw)
        assert np.abs(first_v - second_v).max() < 0.01 * np.ptp(first_v)
        assert np.abs(first_v - second_v).max() > 1e-5
