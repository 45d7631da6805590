"""Draws of mismatch: Pelgrom's law, independence, keys. Every seed is fixed; each test states its false-alarm rate."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from prcim.cells.cell_8t import Cell8T
from prcim.cells.column import Column
from prcim.cells.mismatch import Mismatch
from prcim.cells.technology import own_technology
from prcim.cells.transistor import Transistor
from prcim.errors import InputError

CELL = Cell8T()
CELLS = 4000
MISMATCH = Mismatch()
COLUMN = Column(technology=own_technology(), cell=CELL, rows=64, n_used=64, load_ohm=1e4)
#: A deviation that a normal figure exceeds with a probability of 6e-5.
FOUR_SIGMA = 4.0


def device(w_m: float, l_m: float) -> Transistor:
    return Transistor(name="m", kind="n", drain="d", gate="g", source="s", w_m=w_m, l_m=l_m)


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


def test_every_device_is_normal_with_its_own_sigma() -> None:
    """16 KS tests at 1e-5 each and 8 spreads within 4 standard errors: a false alarm in 7e-4."""
    dvt_v, mu = MISMATCH.draw_local(CELL.transistors, CELLS, (7, 1))
    assert dvt_v.shape == mu.shape == (CELLS, len(CELL.transistors))
    for i, t in enumerate(CELL.transistors):
        sigma_v, sigma = MISMATCH.sigma_vt_v(t.w_m, t.l_m), MISMATCH.rel_sigma_beta(t.w_m, t.l_m)
        assert stats.kstest(dvt_v[:, i] / sigma_v, "norm").pvalue > 1e-5
        assert stats.kstest((np.log(mu[:, i]) + sigma**2 / 2) / sigma, "norm").pvalue > 1e-5
        assert abs(dvt_v[:, i].std() / sigma_v - 1) < FOUR_SIGMA / math.sqrt(2 * CELLS)


def test_gain_has_mean_one_and_its_relative_sigma() -> None:
    """17 figures within 4 standard errors: a false alarm in 1e-3."""
    _, mu = MISMATCH.draw_local(CELL.transistors, CELLS, (7, 2))
    sigmas = np.array([MISMATCH.rel_sigma_beta(t.w_m, t.l_m) for t in CELL.transistors])
    # All devices together show that the logarithm lies half a variance low, which a single one hides.
    assert abs((np.log(mu) / sigmas + sigmas / 2).mean()) < FOUR_SIGMA / math.sqrt(mu.size)
    for i, t in enumerate(CELL.transistors):
        sigma = MISMATCH.rel_sigma_beta(t.w_m, t.l_m)
        assert abs(mu[:, i].mean() - 1) < FOUR_SIGMA * sigma / math.sqrt(CELLS)
        assert mu[:, i].std() == pytest.approx(sigma, rel=FOUR_SIGMA / math.sqrt(2 * CELLS) + sigma**2)


def test_no_two_devices_are_alike() -> None:
    """Correlation of every two of 16 figures within 5 standard errors, and between cells: a false alarm in 1e-4."""
    dvt_v, mu = MISMATCH.draw_local(CELL.transistors, CELLS, (7, 3))
    figures = np.hstack([dvt_v, np.log(mu)])
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
        for name in ("weights", "dvt_v", "mu", "load"):
            np.testing.assert_array_equal(getattr(forward[key], name), getattr(backward[key], name))
        assert MISMATCH.draw_global(key) == MISMATCH.draw_global(key)
    loads = {draw.load for draw in forward.values()}
    assert len(loads) == len(keys)
    assert len({draw.dvt_v.tobytes() for draw in forward.values()}) == len(keys)


def test_fewer_cells_of_another_column_do_not_move_a_draw() -> None:
    """Parts of one draw, and draws under neighbouring keys, are unrelated: correlation within 4 standard errors."""
    first, second = (COLUMN.draw(MISMATCH, (1, 1, i)).dvt_v.ravel() for i in (0, 1))
    assert abs(np.corrcoef(first, second)[0, 1]) < FOUR_SIGMA / math.sqrt(first.size)
    twins = COLUMN.draw(MISMATCH, (1, 1, 2)).dvt_v
    assert abs(np.corrcoef(twins[:, 0].ravel(), twins[:, 1].ravel())[0, 1]) < FOUR_SIGMA / math.sqrt(twins.size / 2)


def test_weights_are_fair_and_loads_spread() -> None:
    """Three figures within 4 standard errors: a false alarm in 2e-4."""
    draws = [COLUMN.draw(MISMATCH, (3, 1, i)) for i in range(400)]
    weights = np.array([draw.weights for draw in draws], dtype=np.float64)
    assert set(np.unique(weights)) == {-1.0, 1.0}
    assert abs(weights.mean()) < FOUR_SIGMA / math.sqrt(weights.size)
    loads = np.array([draw.load for draw in draws])
    assert abs(loads.mean() - 1) < FOUR_SIGMA * 0.01 / math.sqrt(len(loads))
    assert loads.std() == pytest.approx(0.01, rel=FOUR_SIGMA / math.sqrt(2 * len(loads)))


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
    dvt_v, mu = none.draw_local(CELL.transistors, 3, (1,))
    assert not dvt_v.any()
    assert (mu == 1).all()
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
