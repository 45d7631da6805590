"""The arithmetic of the composed engine, against closed forms; then against whole columns."""

from collections.abc import Sequence

import numpy as np
import pytest

from prcim.cells.mismatch import Mismatch
from prcim.characterize.composed.agreement import agreement
from prcim.characterize.composed.cell_classes import standard
from prcim.characterize.composed.compose import Grid, Line, discharged_v, steady_v
from prcim.characterize.composed.composition import compose, spread_inputs
from prcim.characterize.composed.surface import fit_surface, terms_of
from prcim.characterize.plan import Plan
from prcim.characterize.size import size
from prcim.errors import InputError
from prcim.spice.deck import Deck
from prcim.spice.ngspice import find_ngspice, run_twice
from prcim.spice.outcome import Outcome

GRID = Grid(low_v=0.2, high_v=1.0, points=8)


def resistive_line(conductance_s: np.ndarray, **options: float) -> Line:
    """Cells that are resistors to ground when open, nothing when shut; shape (rows, twins)."""
    on = conductance_s[:, :, None] * GRID.nodes_v
    return Line(on=on, off=np.zeros_like(on), r_row_ohm=options.pop("r_row_ohm", 1e-9), **options)


def random_case(twins: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng((4, twins))
    g_s = rng.uniform(0.2e-6, 2e-6, (12, twins))
    return g_s, rng.choice(np.array([-1, 1], dtype=np.int8), (30, 10))


def opened_s(g_s: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Conductance of every used row, shape (shots, rows), one by one."""
    return np.array(
        [
            [g_s[r, 0] if x > 0 else (g_s[r, 1] if g_s.shape[1] > 1 else 0.0) for r, x in enumerate(row)]
            for row in inputs
        ]
    )


@pytest.mark.parametrize("twins", [1, 2])
def test_steady_resistors_divide(twins: int) -> None:
    g_s, inputs = random_case(twins)
    load_s = 20e-6
    found = steady_v(GRID, resistive_line(g_s), inputs, np.full(8, load_s), 1.0)
    assert found == pytest.approx(load_s / (load_s + opened_s(g_s, inputs).sum(axis=1)), rel=1e-9)


def test_steady_load_that_is_not_straight() -> None:
    """A load of current b (1 - v)^2 against one resistor: the root of a quadratic."""
    g_s, b = np.full((1, 1), 3e-6), 8e-6
    found = steady_v(GRID, resistive_line(g_s), np.ones((1, 1), dtype=np.int8), b * (1 - GRID.nodes_v), 1.0)
    root = ((2 * b + 3e-6) - np.sqrt((2 * b + 3e-6) ** 2 - 4 * b * b)) / (2 * b)
    assert found == pytest.approx([root], rel=1e-9)


def test_steady_wire_is_a_ladder() -> None:
    """Against the ladder's equations, solved as a matrix; the exponential in `lost` is of second order here."""
    g_s, inputs = random_case(2)
    load_s, r_ohm = 20e-6, 100.0
    found = steady_v(GRID, resistive_line(g_s, r_row_ohm=r_ohm), inputs, np.full(8, load_s), 1.0)
    flat = steady_v(GRID, resistive_line(g_s), inputs, np.full(8, load_s), 1.0)
    used = opened_s(g_s, inputs)
    expected = []
    for row in used:
        matrix = np.zeros((len(row) + 1, len(row) + 1))
        matrix[0, 0] = load_s
        for r, g in enumerate(row):
            matrix[r + 1, r + 1] += g
            matrix[np.ix_([r, r + 1], [r, r + 1])] += np.array([[1, -1], [-1, 1]]) / r_ohm
        expected.append(np.linalg.solve(matrix, np.eye(len(row) + 1)[0] * load_s)[0])
    moved = np.array(expected) - flat
    assert np.all(moved > 1e-4)
    assert found - flat == pytest.approx(moved, rel=2e-2, abs=0)


def test_discharge_of_resistors_is_exponential() -> None:
    g_s, inputs = random_case(2)
    t_s, c_f = 1e-9, 50e-15
    line = resistive_line(g_s * t_s, t_s=t_s, own_share=0.01)
    found = discharged_v(GRID, line, inputs, start_v=0.9, lift_v=0.02, c_f=(c_f, 0.0), supply_v=1.0)
    expected = 0.92 * np.exp(-opened_s(g_s, inputs).sum(axis=1) * t_s / c_f) - 0.02
    assert found == pytest.approx(expected, rel=1e-5)


def test_discharge_of_a_capacitance_that_grows() -> None:
    """Constant charge q and C = a + b (1 - v): a d + b d^2 / 2 = q for a drop d from the supply."""
    a_f, b_f, q_c = 50e-15, 30e-15, 10e-15
    line = Line(on=np.full((1, 1, 8), q_c), off=np.zeros((1, 1, 8)), r_row_ohm=1e-9, own_share=0.01, t_s=1e-10)
    one = np.ones((1, 1), dtype=np.int8)
    found = discharged_v(GRID, line, one, start_v=1.0, lift_v=0.0, c_f=(a_f, b_f), supply_v=1.0)
    drop_v = (-a_f + np.sqrt(a_f**2 + 2 * b_f * q_c)) / b_f
    assert found == pytest.approx([1 - drop_v], rel=1e-7)


def test_uniform_wire_moves_no_charge() -> None:
    """Every row draws just what its own capacitance gives: no current passes from row to row."""
    line = Line(on=np.tile(GRID.nodes_v, (10, 1, 1)), off=np.zeros((10, 1, 8)), r_row_ohm=1e-3, own_share=0.1)
    assert line.lost(GRID, np.ones((1, 10), dtype=np.int8), np.array([0.7])) == pytest.approx([0.0], abs=1e-15)


def test_idle_cells_leak() -> None:
    """Rows that carry no weight count as idle, and so does the shut twin."""
    on, off = np.full((4, 2, 8), 5e-6), np.full((4, 2, 8), 1e-6)
    sums = Line(on=on, off=off, r_row_ohm=1.0).sums(np.array([[1, -1, 1]], dtype=np.int8))
    assert sums == pytest.approx(np.full((1, 8), 3 * 5e-6 + 5 * 1e-6), rel=1e-12)


def test_standard_inverts_the_draw() -> None:
    plan = Plan(name="x")
    parts, mismatch = plan.make_cell().parts, Mismatch()
    normal = np.random.default_rng(1).standard_normal((2, 5, len(parts)))
    found = standard(parts, mismatch, *mismatch.scaled(parts, normal))
    assert found == pytest.approx(np.concatenate((normal[0], normal[1]), axis=1), rel=1e-9)


def test_surface_of_an_exponential_with_a_bend() -> None:
    rng = np.random.default_rng(2)

    def truth(z: np.ndarray) -> np.ndarray:
        bend = 0.5 * z[:, :1] - 0.05 * z[:, :1] ** 2 + 0.1 * z[:, 1:2] + 0.02 * z[:, :1] * z[:, 1:2]
        return np.asarray(np.exp(bend))

    z, other = 1.5 * rng.standard_normal((400, 3)), rng.standard_normal((100, 3))
    surface = fit_surface(z, truth(z), terms_of(np.array([1.0, 0.2, 0.0])))
    assert surface.logarithm
    assert surface(other) == pytest.approx(truth(other), rel=1e-9)


def test_surface_of_values_of_both_signs() -> None:
    z = np.random.default_rng(2).standard_normal((100, 1))
    surface = fit_surface(z, z**3 - z, terms_of(np.array([1.0])))
    assert not surface.logarithm
    assert surface(np.array([[2.0]])) == pytest.approx(np.array([[6.0]]), rel=1e-9)


@pytest.mark.parametrize(("n_used", "n_on"), [(8, 0), (8, 3), (8, 8), (63, 17)])
def test_spread_inputs_open_as_many_as_asked(n_used: int, n_on: int) -> None:
    inputs = spread_inputs(n_used, n_on)
    assert (inputs == 1).sum() == n_on
    places = np.flatnonzero(inputs == 1)
    assert n_on < 2 or np.ptp(np.diff(places)) <= 1


def test_agreement_of_a_wider_spread_is_not_good() -> None:
    true = np.random.default_rng(3).standard_normal((50, 5)) * 0.5
    pairs = np.stack((1.03 * true, true), axis=1)
    found = agreement(pairs)
    assert found.spread_ratio == pytest.approx(1.03, rel=1e-9)
    assert found.rms_mac < 0.06
    assert not found.good
    assert agreement(np.stack((true, true), axis=1)).good
    assert not agreement(np.stack((true + 0.07, true), axis=1)).good
    assert not agreement(pairs[:1]).good


SMALL = ["rows=8", "sums=9", "patterns=2", "columns=8", "c_bl_fixed_f=4e-15"]


def serial(decks: Sequence[Deck]) -> list[Outcome]:
    ngspice = find_ngspice()
    return [run_twice(ngspice, deck, 60.0) for deck in decks]


def test_composed_refuses_charge() -> None:
    plan = Plan(name="x").changed([*SMALL, "cell=8t1c", "read.mode=charge", "v_wl_v=1.1", "swing_v=0.3"])
    column, read = size(plan, find_ngspice())
    with pytest.raises(InputError, match="knows steady and pulsed reads"):
        compose(plan, column, read, serial)
