"""Columns in ngspice: laws without mismatch, and four rows by hand."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq

from prcim.cells.cell_8t import Cell8T
from prcim.cells.column import BIT_LINE, Column, ColumnDraw, instance, stored_bit, word_line
from prcim.cells.mismatch import Mismatch
from prcim.cells.read_current import read_currents
from prcim.cells.steady_read import SteadyRead
from prcim.cells.technology import own_technology
from prcim.errors import InputError
from prcim.spice.ngspice import Ngspice, find_ngspice
from prcim.spice.outcome import Outcome

#: Eight rows whose bit line has next to no resistance, so that a cell's place does not matter.
COLUMN = Column(technology=own_technology(), cell=Cell8T(), rows=8, n_used=8, load_ohm=33e3, r_bl_row_ohm=1e-3)
READ = SteadyRead(v_wl_v=0.35)

Signs = NDArray[np.int8]


@pytest.fixture(scope="module")
def ngspice() -> Ngspice:
    return find_ngspice()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)


def signs(rng: np.random.Generator, *shape: int) -> Signs:
    return (2 * rng.integers(0, 2, shape) - 1).astype(np.int8)


def bit_line_v(
    ngspice: Ngspice, column: Column, draw: ColumnDraw, inputs: Signs, *, read: SteadyRead = READ
) -> NDArray[np.float64]:
    outcome = ngspice.run(read.deck(column, draw, inputs))
    v_bl_v, i_load_a, held = read.result(column, draw, outcome)
    assert held.all()
    assert len(v_bl_v) == len(inputs)
    np.testing.assert_allclose(column.technology.vdd_v - i_load_a * column.load_ohm * draw.load, v_bl_v, atol=1e-6)
    return v_bl_v


def in_order(weights: Signs, n_on: list[int], order: NDArray[np.int_]) -> Signs:
    """Inputs with which the first K rows of an order conduct, for each K."""
    rank = np.argsort(order)
    return np.array([np.where(rank < k, weights, -weights) for k in n_on], dtype=np.int8)


def test_without_mismatch_only_the_number_of_cells_counts(ngspice: Ngspice, rng: np.random.Generator) -> None:
    found = []
    for weights in signs(rng, 3, 8):
        draw = replace(COLUMN.nominal_draw(), weights=weights)
        for _ in range(2):
            inputs = in_order(weights, list(range(9)), rng.permutation(8))
            found.append(bit_line_v(ngspice, COLUMN, draw, inputs))
    table = np.array(found)
    # The wire of 8 mOhm in all drops 0.03 uV.
    assert np.ptp(table, axis=0).max() < 1e-6
    assert np.all(np.diff(table.mean(axis=0)) < -5e-3)


def test_wire_resistance_makes_the_place_matter(ngspice: Ngspice) -> None:
    column = replace(COLUMN, r_bl_row_ohm=200.0)
    draw = column.nominal_draw()
    near, far = np.full((2, 8), -1, dtype=np.int8)
    near[:2], far[-2:] = 1, 1
    near_v, far_v = bit_line_v(ngspice, column, draw, np.array([near, far]))
    # A cell at the far end sees a lower voltage and pulls less; the load then drops less.
    assert 1e-6 < far_v - near_v < 1e-3


def test_each_further_cell_lowers_the_bit_line(ngspice: Ngspice, rng: np.random.Generator) -> None:
    """Whatever the mismatch, since no cell pushes."""
    mismatch = Mismatch(a_vt_v_m=5e-9)
    for index in range(4):
        draw = COLUMN.draw(mismatch, (20, index))
        inputs = in_order(draw.weights, list(range(9)), rng.permutation(8))
        assert np.all(np.diff(bit_line_v(ngspice, COLUMN, draw, inputs)) < -1e-5)


def test_weights_and_inputs_can_change_places(ngspice: Ngspice, rng: np.random.Generator) -> None:
    first, second = signs(rng, 2, 8)
    nominal = COLUMN.nominal_draw()
    one = bit_line_v(ngspice, COLUMN, replace(nominal, weights=first), second[None])
    other = bit_line_v(ngspice, COLUMN, replace(nominal, weights=second), first[None])
    both = bit_line_v(ngspice, COLUMN, replace(nominal, weights=-first), -second[None])
    np.testing.assert_allclose(one, other, atol=1e-6)
    np.testing.assert_allclose(one, both, atol=1e-6)


def test_sweep_gives_what_single_reads_give(ngspice: Ngspice, rng: np.random.Generator) -> None:
    """Each point of a sweep starts from its neighbour's solution and must not depend on it."""
    draw = COLUMN.draw(Mismatch(), (20, 9))
    inputs = signs(rng, 5, 8)
    together = bit_line_v(ngspice, COLUMN, draw, inputs)
    backwards = bit_line_v(ngspice, COLUMN, draw, inputs[::-1])[::-1]
    alone = [bit_line_v(ngspice, COLUMN, draw, row[None])[0] for row in inputs]
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_allclose(together, backwards, atol=1e-6)


def test_unused_rows_only_leak(ngspice: Ngspice) -> None:
    inputs = in_order(np.ones(4, dtype=np.int8), [0, 2, 4], np.arange(4))
    small, large = (replace(COLUMN, rows=rows, n_used=4) for rows in (4, 8))
    alone_v = bit_line_v(ngspice, small, small.nominal_draw(), inputs)
    more_v = bit_line_v(ngspice, large, large.nominal_draw(), inputs)
    # Eight cells that are off, at most the leakage of one that stores 1 each; about 0.1 nA against 600 nA.
    deck, (name,) = read_currents(
        COLUMN.technology, COLUMN.cell, (np.zeros((1, 8)), np.ones((1, 8))), v_wl_v=0.0, v_bl_v=1.1
    )
    leakage_v = 8 * -ngspice.run(deck).values[name][0] * COLUMN.load_ohm
    assert leakage_v < 1e-3
    assert np.all(alone_v - more_v > 0)
    assert np.all(alone_v - more_v < leakage_v)


@pytest.mark.parametrize("index", range(2))
def test_four_rows_by_hand(ngspice: Ngspice, rng: np.random.Generator, index: int) -> None:
    """The load line: V = VDD - R sum I(V), with the current of each cell from a deck of its own."""
    column = replace(COLUMN, rows=4, n_used=4, load_ohm=2.5e3)
    read = SteadyRead(v_wl_v=0.6)
    draw = column.draw(Mismatch(), (20, 30, index))
    # The twin that conducts at x w = +1 holds the 1: the first at weight +1, the second at weight -1.
    holds_one = np.where(draw.weights > 0, 0, 1)
    shifts = draw.dvt_v[np.arange(4), holds_one], draw.mu[np.arange(4), holds_one]
    grid_v = np.linspace(0.8, 1.1, 7)
    points = []
    for v_bl_v in grid_v:
        deck, names = read_currents(column.technology, column.cell, shifts, v_wl_v=0.6, v_bl_v=v_bl_v)
        values = ngspice.run(deck).values
        points.append([-values[name][0] for name in names])
    cell_a = CubicSpline(grid_v, np.array(points))
    inputs = signs(rng, 6, 4)
    for x, found_v in zip(inputs, bit_line_v(ngspice, column, draw, inputs, read=read), strict=True):
        on = x * draw.weights > 0

        def excess_v(v_bl_v: float, on: NDArray[np.bool_] = on) -> float:
            return float(v_bl_v - 1.1 + column.load_ohm * draw.load * cell_a(v_bl_v)[on].sum())

        assert found_v == pytest.approx(brentq(excess_v, 0.8, 1.1), abs=1e-4)
        # The tolerance is far below one cell.
        assert on.sum() == 0 or 1.1 - found_v > 0.01 * on.sum()


def test_lost_data_is_seen() -> None:
    column = replace(COLUMN, rows=2, n_used=2)
    draw = replace(column.nominal_draw(), weights=np.array([1, -1], dtype=np.int8))
    good = {"v(xp0.q)": 1.1, "v(xn0.q)": 0.0, "v(xp1.q)": 0.0, "v(xn1.q)": 1.1}
    for lost in ({}, {"v(xp1.q)": 1.1}, {"v(xn1.q)": 0.5}):
        levels = good | lost | {f"v({BIT_LINE})": 1.0, "i(vload)": -1e-6}
        plot = {name: np.array([level, good.get(name, level)]) for name, level in levels.items()}
        outcome = Outcome(status="ok", plots=(plot,), seconds=0.0, log="")
        _, i_load_a, held = READ.result(column, draw, outcome)
        assert held.tolist() == [not lost, True]
        assert i_load_a.tolist() == [1e-6, 1e-6]
    assert [len(part) for part in READ.result(column, draw, replace(outcome, plots=()))] == [0, 0, 0]


def test_twins_store_a_weight_and_its_inverse() -> None:
    assert [[stored_bit(weight, twin) for twin in (0, 1)] for weight in (1, -1)] == [[1, 0], [0, 1]]
    names = {function(row, twin) for function in (instance, word_line) for row in range(9) for twin in (0, 1)}
    assert len(names) == 36
    assert COLUMN.c_bl_f == pytest.approx(16 * 0.3e-15 + 20e-15, rel=1e-9, abs=0)
    assert COLUMN.tau_s == pytest.approx(33e3 * 24.8e-15, rel=1e-9, abs=0)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("rows", 0, r"rows is 0; a column has 1 to 1024 rows"),
        ("rows", 1025, r"rows is 1025"),
        ("n_used", 0, r"n_used is 0; it must lie in 1\.\.rows, and rows is 8"),
        ("n_used", 9, r"n_used is 9; it must lie in 1\.\.rows"),
        ("load_ohm", 0.0, r"load_ohm is 0\.0; the load must be a positive resistance"),
        ("load_ohm", float("nan"), r"load_ohm is nan"),
    ],
)
def test_refused_columns(field: str, value: float, words: str) -> None:
    with pytest.raises(InputError, match=words):
        replace(COLUMN, **{field: value})  # type: ignore[arg-type]
