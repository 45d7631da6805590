"""Latches held by sources: at the voltages of the whole column, with the same reads, energy and lost data."""

import re
from dataclasses import replace

import numpy as np
import pytest
from columns import CASES, Case, conducting, shots, step_v

from prcim.cells.column import ColumnDraw
from prcim.cells.mismatch import Mismatch
from prcim.cells.reads.read import latch_nodes
from prcim.cells.rest import held, rest_deck
from prcim.spice.ngspice import Ngspice, find_ngspice
from prcim.spice.outcome import Outcome

#: Cells whose latch no read goes through.
HELD = ("8t-steady", "8t-pulsed", "8t1c-charge")


@pytest.fixture(scope="module")
def ngspice() -> Ngspice:
    return find_ngspice()


def drawn(case: Case, *, a_vt_v_m: float = 3.5e-9) -> ColumnDraw:
    return case.column.draw(Mismatch(a_vt_v_m=a_vt_v_m), (7, 1))


def at_rest(ngspice: Ngspice, case: Case, draw: ColumnDraw) -> ColumnDraw:
    deck = rest_deck(case.column, draw)
    assert deck is not None
    return held(case.column, draw, ngspice.run(deck))


@pytest.mark.parametrize("name", HELD)
def test_latches_rest_where_those_of_the_whole_column_do(ngspice: Ngspice, name: str) -> None:
    """Wide mismatch, so that each latch rests somewhere else."""
    case = CASES[name]
    draw = drawn(case, a_vt_v_m=8e-9)
    inputs = conducting(case.column.n_used, [2])
    deck = case.read.deck(case.column, draw, inputs)
    values = ngspice.run(deck).values
    whole_v = np.array([values[f"v({node})"][0] for node in latch_nodes(case.column, draw)])
    rest = at_rest(ngspice, case, draw)
    assert rest.held_v is not None
    np.testing.assert_allclose(rest.held_v.ravel(), whole_v, atol=2e-6)
    high_v = rest.held_v[rest.held_v > 0.5]
    assert np.ptp(high_v) > 3e-6
    assert not latch_nodes(case.column, rest)
    text = str(case.column.circuit(rest, "the column with held latches", supply_v=1.1)).lower()
    for node, wanted_v in zip(case.column.cell.latch, np.moveaxis(rest.held_v, -1, 0), strict=True):
        found_v = [float(v) for v in re.findall(rf"^x[pn]\d.* hold_{node}=(\S+)", text, re.MULTILINE)]
        np.testing.assert_allclose(found_v, wanted_v.ravel(), atol=1e-8)


@pytest.mark.parametrize("name", HELD)
def test_reads_and_their_energy_are_the_same(ngspice: Ngspice, name: str) -> None:
    case = CASES[name]
    draw = drawn(case)
    inputs = np.where(np.arange(case.column.n_used) < np.array([[1], [3], [6]]), draw.weights, -draw.weights)
    rest = at_rest(ngspice, case, draw)
    whole, reduced = (shots(ngspice, case, each, inputs.astype(np.int8)) for each in (draw, rest))
    one_v = abs(step_v(case, ngspice)) / 2
    np.testing.assert_allclose(reduced.v_bl_v, whole.v_bl_v, atol=0.01 * one_v)
    np.testing.assert_allclose(reduced.energy_j, whole.energy_j, rtol=1e-3)
    without = shots(ngspice, case, replace(rest, rest_w=0.0), inputs.astype(np.int8))
    assert np.all(without.energy_j < reduced.energy_j)


@pytest.mark.parametrize("name", HELD)
def test_keepers_are_left_out(ngspice: Ngspice, name: str) -> None:
    case = CASES[name]
    inputs = conducting(case.column.n_used, [2])
    text = case.read.deck(case.column, at_rest(ngspice, case, drawn(case)), inputs).netlist.lower()
    assert not [part for part in case.column.cell.keepers if f"\nm{part} " in text]
    kept = [part.name for part in case.column.cell.parts if part.name not in case.column.cell.keepers]
    assert all(f"\nm{name} " in text or f"\nc{name} " in text for name in kept)


def test_rest_power_is_what_the_keepers_take(ngspice: Ngspice) -> None:
    """The supplies of a column with all word lines down give it, but for what the load gives to leaking read stacks."""
    case = CASES["8t-steady"]
    draw = drawn(case)
    deck = case.read.deck(case.column, draw, np.full((1, case.column.n_used), -1, dtype=np.int8))
    values = ngspice.run(deck).values
    sources = case.column.supplies_v(case.column.technology.vdd_v)
    wanted_w = -sum(volts * values[name][0] for name, volts in sources.items() if name != "i(vload)")
    assert at_rest(ngspice, case, draw).rest_w == pytest.approx(wanted_w, rel=0.01)


def test_latch_that_does_not_hold_leaves_the_cells_whole(ngspice: Ngspice) -> None:
    """One pull-up too weak for its leakage: the read of whole cells says what is lost."""
    case = CASES["8t-pulsed"]
    draw = drawn(case)
    dvt_v = draw.dvt_v.copy()
    dvt_v[2, 0, :2], dvt_v[2, 0, 2:4] = 2.0, -0.5
    broken = replace(draw, dvt_v=dvt_v)
    assert at_rest(ngspice, case, broken) is broken
    assert at_rest(ngspice, case, draw).held_v is not None


def test_without_an_operating_point_the_cells_stay_whole() -> None:
    case = CASES["8t-pulsed"]
    draw = drawn(case)
    nothing = Outcome(status="failed: no convergence", plots=(), seconds=0.1, log="")
    assert held(case.column, draw, nothing) is draw


@pytest.mark.parametrize("name", ["6t-steady", "6t-pulsed", "1t1r-pulsed"])
def test_cells_that_are_read_through_what_holds_them_have_nothing_to_hold(name: str) -> None:
    case = CASES[name]
    assert rest_deck(case.column, drawn(case)) is None
