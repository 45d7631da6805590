"""Draws of mismatch: Pelgrom's law, independence, keys. Every seed is fixed; each test states its false-alarm rate."""

import hashlib
import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rooms import python
from scipy import stats

from prcim.cells.cell import Cell
from prcim.cells.cell_1t1r import Cell1T1R
from prcim.cells.cell_6t import Cell6T
from prcim.cells.cell_8t import Cell8T
from prcim.cells.cell_8t1c import Cell8T1C
from prcim.cells.column import Column
from prcim.cells.devices.part import Part
from prcim.cells.devices.passive import Capacitor, Resistor
from prcim.cells.devices.transistor import Transistor
from prcim.cells.load import pmos_load, resistor_load
from prcim.cells.mismatch import Mismatch
from prcim.cells.technology import own_technology
from prcim.errors import InputError

CELL = Cell8T()
CELLS = 4000
MISMATCH = Mismatch()
COLUMN = Column(
    technology=own_technology(), cell=CELL, rows=64, n_used=64, load=resistor_load(1e4, rel_sigma=0.01), load_ohm=1e4
)
#: A deviation that a normal figure exceeds with a probability of 6e-5.
FOUR_SIGMA = 4.0


def device(w_m: float, l_m: float) -> Transistor:
    return Transistor(name="m", kind="n", drain="d", gate="g", source="s", w_m=w_m, l_m=l_m)


def spreads(part: Part) -> tuple[float, float]:
    """Threshold spread, V, and relative spread of the value of one part, by the formulas."""
    if isinstance(part, Transistor):
        root = math.sqrt(2 * part.w_m * part.l_m)
        return 3.5e-9 / root, 1e-8 / root
    assert isinstance(part, Resistor | Capacitor)
    return 0.0, part.spread


@given(w_m=st.floats(1e-8, 1e-5), l_m=st.floats(1e-8, 1e-5), factor=st.floats(0.1, 10))
@settings(derandomize=True, deadline=None)
def test_sigma_follows_the_gate_area(w_m: float, l_m: float, factor: float) -> None:
    sigma_v = MISMATCH.sigma_vt_v(w_m, l_m)
    assert sigma_v == pytest.approx(3.5e-9 / math.sqrt(2 * w_m * l_m))
    assert MISMATCH.sigma_vt_v(factor * w_m, l_m) == pytest.approx(sigma_v / math.sqrt(factor))
    assert MISMATCH.sigma_vt_v(l_m, w_m) == pytest.approx(sigma_v)
    # The pair convention: A itself over the root of the area is the spread of a difference.
    assert MISMATCH.pair_sigma_vt_v(w_m, l_m) == pytest.approx(3.5e-9 / math.sqrt(w_m * l_m))
    assert MISMATCH.rel_sigma_beta(w_m, l_m) == pytest.approx(1e-8 / math.sqrt(2 * w_m * l_m))


@pytest.mark.parametrize(("w_nm", "sigma_mv"), [(90, 32.4), (130, 26.9), (150, 25.1), (200, 21.7)])
def test_published_figures(w_nm: float, sigma_mv: float) -> None:
    assert MISMATCH.sigma_vt_v(w_nm * 1e-9, 65e-9) == pytest.approx(sigma_mv * 1e-3, abs=0.06e-3)


@pytest.mark.parametrize("cell", [Cell6T(), CELL, Cell8T1C(), Cell1T1R()], ids=lambda cell: cell.name)
def test_every_part_is_normal_with_its_own_sigma(cell: Cell) -> None:
    """For each cell at most 18 KS tests at 1e-5 and 9 spreads within 4 standard errors: a false alarm in 8e-4."""
    dvt_v, factor = MISMATCH.draw_local(cell.parts, CELLS, (7, 1))
    assert dvt_v.shape == factor.shape == (CELLS, len(cell.parts))
    for i, part in enumerate(cell.parts):
        sigma_v, sigma = spreads(part)
        assert stats.kstest((np.log(factor[:, i]) + sigma**2 / 2) / sigma, "norm").pvalue > 1e-5
        if sigma_v == 0:
            assert not dvt_v[:, i].any()
            continue
        assert stats.kstest(dvt_v[:, i] / sigma_v, "norm").pvalue > 1e-5
        assert abs(dvt_v[:, i].std() / sigma_v - 1) < FOUR_SIGMA / math.sqrt(2 * CELLS)


def test_factor_has_mean_one_and_its_relative_sigma() -> None:
    """21 figures within 4 standard errors: a false alarm in 1.3e-3."""
    parts = (*CELL.parts, *Cell1T1R().parts)
    _, factor = MISMATCH.draw_local(parts, CELLS, (7, 2))
    sigmas = np.array([spreads(part)[1] for part in parts])
    # All devices together show that the logarithm lies half a variance low, which a single one hides.
    assert abs((np.log(factor) / sigmas + sigmas / 2).mean()) < FOUR_SIGMA / math.sqrt(factor.size)
    for i, sigma in enumerate(sigmas):
        assert abs(factor[:, i].mean() - 1) < FOUR_SIGMA * sigma / math.sqrt(CELLS)
        assert factor[:, i].std() == pytest.approx(sigma, rel=FOUR_SIGMA / math.sqrt(2 * CELLS) + sigma**2)


def test_no_two_devices_are_alike() -> None:
    """Correlation of every two of 16 figures within 5 standard errors, and between cells: a false alarm in 1e-4."""
    dvt_v, factor = MISMATCH.draw_local(CELL.parts, CELLS, (7, 3))
    figures = np.hstack([dvt_v, np.log(factor)])
    off_diagonal = np.corrcoef(figures.T) - np.eye(figures.shape[1])
    assert np.abs(off_diagonal).max() < 5 / math.sqrt(CELLS)
    neighbours = [np.corrcoef(figures[:-1, i], figures[1:, i])[0, 1] for i in range(figures.shape[1])]
    assert np.abs(neighbours).max() < 5 / math.sqrt(CELLS)


def test_larger_gates_vary_less() -> None:
    """Ratios of sample spreads within 4 standard errors: a false alarm in 2e-4."""
    sizes = [(80e-9, 65e-9), (320e-9, 65e-9), (320e-9, 260e-9)]
    dvt_v, _ = MISMATCH.draw_local(tuple(device(*size) for size in sizes), CELLS, (7, 4))
    for large, small in pairwise(dvt_v.std(axis=0)):
        assert large / small == pytest.approx(2, rel=FOUR_SIGMA / math.sqrt(CELLS))


def test_same_key_same_draw_whatever_came_before() -> None:
    keys = [(1, 1, i) for i in range(5)]
    forward = {key: COLUMN.draw(MISMATCH, key) for key in keys}
    backward = {key: COLUMN.draw(MISMATCH, key) for key in reversed(keys)}
    for key in keys:
        for name in ("weights", "dvt_v", "factor", "load_dvt_v", "load_factor"):
            np.testing.assert_array_equal(getattr(forward[key], name), getattr(backward[key], name))
        assert MISMATCH.draw_global(key) == MISMATCH.draw_global(key)
    for name in ("weights", "dvt_v", "factor", "load_factor"):
        assert len({getattr(draw, name).tobytes() for draw in forward.values()}) == len(keys)


def test_another_process_draws_the_same() -> None:
    code = (
        "import hashlib; from prcim.cells.cell_8t import Cell8T; from prcim.cells.mismatch import Mismatch\n"
        "dvt_v, factor = Mismatch().draw_local(Cell8T().parts, 100, (7, 5))\n"
        "print(hashlib.sha256(dvt_v.tobytes() + factor.tobytes()).hexdigest(), *Mismatch().draw_global((7, 5)))"
    )
    dvt_v, factor = MISMATCH.draw_local(CELL.parts, 100, (7, 5))
    expected = hashlib.sha256(dvt_v.tobytes() + factor.tobytes()).hexdigest()
    assert python(code) == [expected, *(str(shift_v) for shift_v in MISMATCH.draw_global((7, 5)))]


def test_what_is_drawn_apart_is_unrelated() -> None:
    """Parts of one draw, and draws under neighbouring keys, are unrelated: correlation within 4 standard errors."""
    first, second = (COLUMN.draw(MISMATCH, (1, 1, i)).dvt_v.ravel() for i in (0, 1))
    assert abs(np.corrcoef(first, second)[0, 1]) < FOUR_SIGMA / math.sqrt(first.size)
    twins = COLUMN.draw(MISMATCH, (1, 1, 2)).dvt_v
    assert abs(np.corrcoef(twins[:, 0].ravel(), twins[:, 1].ravel())[0, 1]) < FOUR_SIGMA / math.sqrt(twins.size / 2)


def test_the_die_and_its_columns_are_unrelated() -> None:
    """Correlation of a die's shift with two of its first cell's, by Fisher's z within 4 standard errors: in 3e-4."""
    dies = np.array([MISMATCH.draw_global((1, 3, i)) for i in range(1000)])
    cells = np.array([MISMATCH.draw_local(CELL.parts, 1, (1, 1, i))[0][0, :2] for i in range(1000)])
    found = np.corrcoef(dies.T, cells.T)[:2, 2:]
    assert np.abs(np.arctanh(found)).max() < FOUR_SIGMA / math.sqrt(997)


def test_weights_are_fair() -> None:
    """Within 4 standard errors: a false alarm in 6e-5."""
    weights = np.array([COLUMN.draw(MISMATCH, (3, 1, i)).weights for i in range(400)], dtype=np.float64)
    assert set(np.unique(weights)) == {-1.0, 1.0}
    assert abs(weights.mean()) < FOUR_SIGMA / math.sqrt(weights.size)


@pytest.mark.parametrize("load", [resistor_load(1e4, rel_sigma=0.01), pmos_load(300e-9)], ids=["resistor", "pmos"])
@pytest.mark.parametrize("cell", [CELL, Cell6T()], ids=lambda cell: cell.name)
def test_loads_spread(load: Part, cell: Cell) -> None:
    """At most four KS tests at 1e-5 and five figures within 4 standard errors: a false alarm in 4e-4."""
    column = replace(COLUMN, cell=cell, load=load, rows=2, n_used=2)
    draws = [column.draw(MISMATCH, (3, 1, i)) for i in range(400)]
    sigma_v, sigma = spreads(load)
    dvt_v = np.array([draw.load_dvt_v[:, 0] for draw in draws])
    factor = np.array([draw.load_factor[:, 0] for draw in draws])
    assert dvt_v.shape == factor.shape == (400, len(cell.bit_lines))
    for line in range(len(cell.bit_lines)):
        normal = (np.log(factor[:, line]) + sigma**2 / 2) / sigma
        assert stats.kstest(normal, "norm").pvalue > 1e-5
        assert normal.std() == pytest.approx(1, rel=FOUR_SIGMA / math.sqrt(800))
        if sigma_v > 0:
            assert stats.kstest(dvt_v[:, line] / sigma_v, "norm").pvalue > 1e-5
            assert abs(np.arctanh(np.corrcoef(dvt_v[:, line], normal)[0, 1])) < FOUR_SIGMA / math.sqrt(397)
        else:
            assert not dvt_v.any()
    if len(cell.bit_lines) == 2:
        assert abs(np.arctanh(np.corrcoef(factor.T)[0, 1])) < FOUR_SIGMA / math.sqrt(397)


def test_a_die_shifts_transistors_by_their_kind_and_nothing_else() -> None:
    for cell in (CELL, Cell1T1R()):
        column = replace(COLUMN, cell=cell, load=pmos_load(300e-9), rows=2, n_used=2)
        draw = column.nominal_draw(dvt_n_v=0.01, dvt_p_v=-0.02)
        expected_v = [{"n": 0.01, "p": -0.02, "": 0.0}[part.kind] for part in cell.parts]
        np.testing.assert_array_equal(draw.dvt_v, np.broadcast_to(expected_v, draw.dvt_v.shape))
        assert (draw.factor == 1).all()
        assert (draw.load_dvt_v == -0.02).all()
    assert not replace(COLUMN, load=resistor_load(1e4)).nominal_draw(dvt_n_v=0.01, dvt_p_v=0.01).load_dvt_v.any()


@pytest.mark.parametrize("correlation", [-1.0, 0.0, 0.5, 1.0])
def test_global_shift(correlation: float) -> None:
    """Two spreads and Fisher's z of the correlation within 4 standard errors, two KS at 1e-5: a false alarm in 2e-4."""
    mismatch = Mismatch(global_correlation=correlation)
    n, p = np.array([mismatch.draw_global((5, 3, i)) for i in range(2000)]).T
    for shift_v in (n, p):
        assert stats.kstest(shift_v / 0.015, "norm").pvalue > 1e-5
        assert shift_v.std() == pytest.approx(0.015, rel=FOUR_SIGMA / math.sqrt(4000))
    found = np.corrcoef(n, p)[0, 1]
    if abs(correlation) == 1:
        assert found == pytest.approx(correlation)
    else:
        assert abs(np.arctanh(found) - np.arctanh(correlation)) < FOUR_SIGMA / math.sqrt(len(n) - 3)


def test_no_spread_no_difference() -> None:
    none = Mismatch(a_vt_v_m=0, a_beta_m=0, global_sigma_vt_v=0)
    dvt_v, factor = none.draw_local(CELL.parts, 3, (1,))
    assert not dvt_v.any()
    assert (factor == 1).all()
    assert none.draw_global((1,)) == (0, 0)


@pytest.mark.parametrize("name", ["a_vt_v_m", "a_beta_m", "global_sigma_vt_v"])
@pytest.mark.parametrize("value", [-1e-12, 3.5, math.nan])
def test_refused_spreads(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"mismatch {name} is .*; it must be a spread in SI units"):
        Mismatch(**{name: value})


def test_refused_correlation_and_area() -> None:
    with pytest.raises(InputError, match=r"global_correlation is 1\.1; it must lie in -1\.\.1"):
        Mismatch(global_correlation=1.1)
    for size in ((0.0, 65e-9), (65e-9, -1e-9)):
        with pytest.raises(InputError, match="gate area needs a positive width and length"):
            MISMATCH.sigma_vt_v(*size)
