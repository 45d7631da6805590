"""Static noise margins: squares that can be drawn by hand, and latches that flip at the noise which they promise."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PySpice.Spice.Netlist import SubCircuit

from prcim.cells.benches.bench import SOLVER, Shifts, bench, held, latch_names, waiting_v
from prcim.cells.benches.butterfly import Curves, butterfly_curves, butterfly_deck, noise_margins, opened
from prcim.cells.cell import Cell
from prcim.cells.cell_1t1r import Cell1T1R
from prcim.cells.cell_6t import Cell6T
from prcim.cells.cell_8t import Cell8T
from prcim.cells.cell_8t1c import Cell8T1C
from prcim.cells.devices.part import Part
from prcim.cells.devices.transistor import Transistor
from prcim.cells.mismatch import Mismatch
from prcim.cells.technology import own_technology
from prcim.errors import InputError
from prcim.spice.deck import Deck
from prcim.spice.ngspice import find_ngspice

TECHNOLOGY = own_technology(flavour="hp")
VDD_V = TECHNOLOGY.vdd_v
CELL = Cell6T()
Floats = NDArray[np.float64]


def margins_by(input_v: list[float], true_v: list[float], false_v: list[float]) -> list[float]:
    curves = Curves(input_v=np.array(input_v), true_v=np.array([true_v]), false_v=np.array([false_v]))
    first, second = noise_margins(curves)[0].tolist()
    return [first, second]


@pytest.mark.parametrize("at", [0.5, 0.3, 0.6])
def test_ideal_inverters(at: float) -> None:
    """Two steps at the same voltage leave rectangles of at x (1 - at); a square has the shorter side."""
    step = [at - 1e-9, at + 1e-9]
    found = margins_by([0, *step, 1], [1, 1, 0, 0], [1, 1, 0, 0])
    assert found == pytest.approx([min(at, 1 - at)] * 2, abs=1e-6)


@pytest.mark.parametrize("knee", [0.1, 0.3, 0.45])
def test_inverters_of_three_straight_lines(knee: float) -> None:
    """High until `knee`, low from 1 - knee: with a gain above 1 the square's corners are the knees of both curves."""
    output = [1.0, 1.0, 0.0, 0.0]
    assert margins_by([0, knee, 1 - knee, 1], output, output) == pytest.approx([knee, knee], abs=1e-12)


def test_unequal_inverters() -> None:
    """By hand. The half that drives the false node falls from 0.3 to 0.8 V, the other from 0.25 to 0.6 V.

    First lobe: the corner (0, 0.6) has x - y = -0.6; the other curve, y = 1.6 - 2x, is there at (1/3, 14/15): a side of
    1/3, more than the 0.3 at the corner (0.3, 1). Second lobe: the corner (1, 0.25) has x - y = 0.75; the other curve
    is there at (2.35/3, 0.1/3): a side of 0.65/3, more than the 0.2 at the corner (0.8, 0).
    """
    input_v = [0.0, 0.25, 0.3, 0.6, 0.8, 1.0]
    true_v = np.interp(input_v, [0.25, 0.6], [1.0, 0.0]).tolist()
    false_v = np.interp(input_v, [0.3, 0.8], [1.0, 0.0]).tolist()
    assert margins_by(input_v, true_v, false_v) == pytest.approx([1 / 3, 0.65 / 3], abs=1e-12)
    # The other way round the lobes change places.
    assert margins_by(input_v, false_v, true_v) == pytest.approx([0.65 / 3, 1 / 3], abs=1e-12)


def test_a_state_that_is_not_there_has_a_negative_margin() -> None:
    """A half that never lets go of 1: the cell can only store 0, and 0.5 V of help would be needed for a 1."""
    first, second = margins_by([0, 0.4, 0.6, 1], [1, 1, 0, 0], [1, 1, 1, 1])
    assert first == pytest.approx(0.5, abs=1e-12)
    assert second == pytest.approx(-0.5, abs=1e-12)


def nominal(cell: Cell) -> Shifts:
    return np.zeros((1, len(cell.parts))), np.ones((1, len(cell.parts)))


def curves_of(cell: Cell, shifts: Shifts, v_wl_v: float | None) -> Curves:
    cells = len(shifts[0])
    outcome = find_ngspice().run(butterfly_deck(TECHNOLOGY, cell, shifts, v_wl_v=v_wl_v))
    curves = butterfly_curves(TECHNOLOGY, cell, outcome, cells=cells)
    assert curves is not None, outcome.status
    return curves


def margins(cell: Cell, shifts: Shifts, v_wl_v: float | None) -> Floats:
    return noise_margins(curves_of(cell, shifts, v_wl_v))


@pytest.mark.parametrize("cell", [Cell6T(), Cell8T(), Cell8T1C()], ids=lambda cell: cell.name)
def test_a_read_weakens_only_a_latch_that_it_touches(cell: Cell) -> None:
    at_rest = margins(cell, nominal(cell), None)
    read = [margins(cell, nominal(cell), v_wl_v) for v_wl_v in (0.6, 1.1)]
    # Without mismatch the two halves are one.
    for found in (at_rest, *read):
        assert found[0, 0] == pytest.approx(found[0, 1], abs=1e-9)
    if isinstance(cell, Cell6T):
        assert 0.05 < read[1].min() < read[0].min() - 0.05 < at_rest.min() - 0.1
    else:
        np.testing.assert_allclose(read, [at_rest, at_rest], atol=1e-6)
    # No margin is above half the supply.
    assert 0.2 < at_rest.min() < VDD_V / 2


def test_a_read_margin_rises_with_the_beta_ratio() -> None:
    cells = [Cell6T(w_pull_down_m=ratio * 90e-9) for ratio in (1.0, 1.3, 1.6, 2.0)]
    found = [margins(cell, nominal(cell), VDD_V).min() for cell in cells]
    assert np.all(np.diff(found) > 0.005)


def test_swapping_left_and_right_swaps_the_lobes() -> None:
    dvt_v, factor = Mismatch().draw_local(CELL.parts, 5, (3,))
    swap = [1, 0, 3, 2, 5, 4]
    assert [CELL.parts[i].name for i in swap] == ["pur", "pul", "pdr", "pdl", "pgr", "pgl"]
    found = margins(CELL, (dvt_v, factor), VDD_V)
    mirrored = margins(CELL, (dvt_v[:, swap], factor[:, swap]), VDD_V)
    np.testing.assert_allclose(mirrored, found[:, ::-1], atol=1e-7)
    assert np.all(np.abs(found[:, 0] - found[:, 1]) > 1e-3)


def test_spread_falls_with_the_root_of_the_area() -> None:
    """Four times as wide: the same curves, half the threshold spread, half the spread of the margin."""
    widths = {"w_pull_up_m": 80e-9, "w_pull_down_m": 130e-9, "w_pass_m": 90e-9}
    sigmas = []
    for factor in (1.0, 4.0):
        cell = Cell6T(**{name: factor * width for name, width in widths.items()})
        sigmas.append(margins(cell, Mismatch().draw_local(cell.parts, 60, (4,)), VDD_V).min(axis=1).std())
    # The smaller of two lobes is not linear in the shifts, and 5 nm of each edge carries no current.
    assert sigmas[1] / sigmas[0] == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize("v_wl_v", [0.0, 1.1])
@pytest.mark.parametrize("bit", [0, 1])
def test_a_closed_latch_rests_where_the_curves_cross(bit: int, v_wl_v: float) -> None:
    """Opening the latch changes nothing about its halves: what a closed cell settles at lies on both curves."""
    shifts = Mismatch().draw_local(CELL.parts, 10, (5,))
    level_v = waiting_v(CELL, VDD_V, v_bl_v=VDD_V) | {"wl": v_wl_v}
    circuit = bench("closed", TECHNOLOGY, CELL, shifts, bit=bit, level_v=level_v)
    names = latch_names(CELL, 10)
    values = find_ngspice().run(Deck(netlist=f"{circuit}\n{SOLVER}", save=tuple(names), analyses=("op",))).values
    assert held(CELL, values, bit=bit, cells=10).all()
    true_v, false_v = np.array([values[name][0] for name in names]).reshape(10, 2).T
    curves = curves_of(CELL, shifts, v_wl_v or None)
    for i in range(10):
        assert np.interp(true_v[i], curves.input_v, curves.false_v[i]) == pytest.approx(false_v[i], abs=1e-3)
        assert np.interp(false_v[i], curves.input_v, curves.true_v[i]) == pytest.approx(true_v[i], abs=1e-3)


def noisy(part: Part) -> Part:
    """A part whose gate hangs on a latch node through a source."""
    return replace(part, gate=f"n{part.gate}") if isinstance(part, Transistor) and part.gate in CELL.latch else part


@pytest.mark.parametrize("cell_index", range(3))
@pytest.mark.parametrize("bit", [0, 1])
def test_a_latch_flips_at_the_noise_that_its_margin_promises(bit: int, cell_index: int) -> None:
    """The definition, without any square: two sources against the stored state, raised until the closed latch flips."""
    dvt_v, factor = (shift[cell_index : cell_index + 1] for shift in Mismatch().draw_local(CELL.parts, 3, (6,)))
    parts = [noisy(part) for part in CELL.parts]
    parameters = {name: value for part in parts for name, value in part.parameters(0.0, 1.0).items()}
    changed = SubCircuit("noisy", *CELL.ports, "nq", "nqb", **parameters)
    for part in parts:
        part.add_to(changed, TECHNOLOGY)
    level_v = waiting_v(CELL, VDD_V, v_bl_v=VDD_V) | {"wl": VDD_V}
    circuit = bench("noisy", TECHNOLOGY, CELL, (dvt_v, factor), bit=bit, level_v=level_v, subcircuit=changed)
    sign = 1 if bit else -1
    noise = f"vnoise noise 0 0\neq x0.q nq noise 0 {sign}\neqb nqb x0.qb noise 0 {sign}\n"
    deck = Deck(
        netlist=f"{circuit}\n{noise}{SOLVER}", save=tuple(latch_names(CELL, 1)), analyses=("dc vnoise 0 0.3 0.0005",)
    )
    alive = held(CELL, find_ngspice().run(deck).values, bit=bit, cells=1)[0]
    assert alive[0]
    assert not alive[-1]
    flips_v = 0.0005 * int(np.argmin(alive))
    assert margins(CELL, (dvt_v, factor), VDD_V)[0, bit] == pytest.approx(flips_v, abs=1.5e-3)


def test_a_cell_without_a_latch_has_no_margin() -> None:
    with pytest.raises(InputError, match="cell_1t1r has no latch, so there is no noise margin to measure"):
        opened(Cell1T1R(), TECHNOLOGY)


def test_a_sweep_that_stopped_has_no_curves() -> None:
    deck = butterfly_deck(TECHNOLOGY, CELL, nominal(CELL), v_wl_v=None)
    half = replace(deck, analyses=("dc vpoint 0 50 1",))
    assert butterfly_curves(TECHNOLOGY, CELL, find_ngspice().run(half), cells=1) is None
