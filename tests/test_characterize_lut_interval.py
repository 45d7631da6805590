"""Intervals in closed form, against definitions, other formulas and draws."""

import numpy as np
import pytest
from scipy import stats

from prcim.characterize.statistics.interval import (
    Interval,
    around,
    between_dof,
    column_variance_interval,
    normal_factor,
    root,
    satterthwaite_dof,
    share_interval,
    student_factor,
    times,
    variance_interval,
    within_dof,
)
from prcim.characterize.statistics.variance import variance_components

SETS = 4000


def test_factors() -> None:
    assert normal_factor(0.95) == pytest.approx(1.959964, abs=1e-6)
    # Tables of Student's t: 9 degrees of freedom, 95 and 99 %.
    assert student_factor(9, 0.95) == pytest.approx(2.262, abs=5e-4)
    assert student_factor(9, 0.99) == pytest.approx(3.250, abs=5e-4)


def test_shapes_of_intervals() -> None:
    low, high = around(np.array([2.0, -1.0]), np.array([0.5, 0.25]))
    assert (low.tolist(), high.tolist()) == ([1.5, -1.25], [2.5, -0.75])
    low, high = times(np.array(3.0), np.array(np.log(2)))
    assert [float(low), float(high)] == pytest.approx([1.5, 6.0])
    low, high = root(Interval(np.array([-1e-9, 4.0]), np.array([1.0, 9.0])))
    assert (low.tolist(), high.tolist()) == ([0.0, 2.0], [1.0, 3.0])


@pytest.mark.parametrize("level", [0.9, 0.95, 0.999])
def test_the_variance_of_a_normal_sample(level: float) -> None:
    """Each end is where a variance that large or small has a tail of half of what is left."""
    low, high = variance_interval(np.array(2.5), 30, level)
    tail = (1 - level) / 2
    assert stats.chi2.sf(30 * 2.5 / low, 30) == pytest.approx(tail)
    assert stats.chi2.cdf(30 * 2.5 / high, 30) == pytest.approx(tail)


def test_a_known_variance_has_no_interval() -> None:
    low, high = variance_interval(np.array([2.0, 3.0]), np.array([np.inf, 10.0]))
    assert low[0] == high[0] == 2.0
    assert low[1] < 3.0 < high[1]


def test_variance_between_columns_from_sums_of_squares() -> None:
    """Williams' interval as he writes it, SSA (1 - F_q / F) / (P chi2_q), with tables read from the other side."""
    squares = 19 * (4 * 3.0 + 2.0)
    ratio = (4 * 3.0 + 2.0) / 2.0
    low, high = column_variance_interval(np.array(3.0), np.array(2.0), patterns=4, dof=(19, 60.0))
    assert low == pytest.approx(squares * (1 - stats.f.isf(0.025, 19, 60) / ratio) / (4 * stats.chi2.isf(0.025, 19)))
    # The lower point of F is one over the upper point of the F with degrees of freedom exchanged.
    point = 1 / stats.f.isf(0.025, 60, 19)
    assert high == pytest.approx(squares * (1 - point / ratio) / (4 * stats.chi2.isf(0.975, 19)))


def test_variance_between_columns_without_residual_is_that_of_a_sample() -> None:
    found = column_variance_interval(np.array(3.0), np.array(0.0), patterns=4, dof=(19, 60.0))
    np.testing.assert_allclose(found, variance_interval(np.array(3.0), 19))


def test_variance_between_columns_may_be_none() -> None:
    """The lower end is 0 where F does not tell columns apart, and the upper end too where they are too alike."""
    low, high = column_variance_interval(
        np.array([-0.2, 0.02, 0.4]), np.ones(3), patterns=4, dof=(19, np.full(3, 60.0))
    )
    ratio = 4 * np.array([-0.2, 0.02, 0.4]) + 1
    np.testing.assert_array_equal(low > 0, ratio > stats.f.ppf(0.975, 19, 60))
    np.testing.assert_array_equal(high > 0, ratio > stats.f.ppf(0.025, 19, 60))
    assert (low > 0).tolist() == [False, False, True]
    assert (high > 0).tolist() == [False, True, True]


def test_static_share_is_the_one_that_tables_keep() -> None:
    rng = np.random.default_rng(70)
    err = rng.standard_normal((24, 1, 50)) + rng.standard_normal((24, 3, 50))
    parts = variance_components(err)
    between = 3 * parts.v_col + parts.v_res
    low, high = share_interval(between, parts.v_res, patterns=3, dof=(23, 48))
    np.testing.assert_allclose(low, parts.icc_low, atol=1e-12)
    np.testing.assert_allclose(high, parts.icc_high, atol=1e-12)
    wide = share_interval(between, parts.v_res, patterns=3, dof=(23, 48), level=0.999)
    assert np.all(wide.low <= low)
    assert np.all(wide.high >= high)
    assert wide.high.mean() > high.mean() + 0.05


def test_static_share_at_its_ends() -> None:
    found = share_interval(np.array([0.0, 1.0]), np.array([0.0, 0.0]), patterns=3, dof=(9, 20))
    assert found.low.tolist() == [0.0, 1.0]
    assert found.high.tolist() == [1.0, 1.0]


def test_degrees_of_freedom_of_sums() -> None:
    assert satterthwaite_dof(7.0, (7.0, 12.0)) == pytest.approx(12)
    assert satterthwaite_dof(3.0, (1.0, 10.0), (2.0, 20.0)) == pytest.approx(9 / (1 / 10 + 4 / 20))
    # What is known dilutes the uncertainty; nothing uncertain leaves none.
    assert satterthwaite_dof(6.0, (1.0, 10.0), (2.0, 20.0)) == pytest.approx(36 / (1 / 10 + 4 / 20))
    assert satterthwaite_dof(6.0, (0.0, 10.0)) == np.inf
    assert satterthwaite_dof(np.array([1.0, 2.0]), (np.array([1.0, 2.0]), 5.0)).tolist() == pytest.approx([5, 5])


def test_a_sum_of_mean_squares_has_the_variance_that_its_degrees_of_freedom_say() -> None:
    """2 / dof is the squared relative spread of a variance; 40,000 draws know theirs to 1 %: within 4 of that."""
    rng = np.random.default_rng(71)
    total = 3.0 * rng.chisquare(8, 40_000) / 8 + 1.5 * rng.chisquare(60, 40_000) / 60
    wanted = 2 / satterthwaite_dof(4.5, (3.0, 8.0), (1.5, 60.0))
    assert total.var() / 4.5**2 == pytest.approx(float(wanted), rel=0.04)


def test_normal_patterns_and_columns_have_the_usual_degrees_of_freedom() -> None:
    assert within_dof(0.0, columns=20, patterns=4) == pytest.approx(60)
    assert within_dof(-0.5, columns=20, patterns=4) == pytest.approx(60)
    assert between_dof(0.0, columns=20) == pytest.approx(19)
    assert between_dof(-1.2, columns=20) == pytest.approx(19)


def test_columns_with_spreads_of_their_own() -> None:
    """Variances of columns are gamma with squared relative spread 0.25: an excess of 0.75. False alarm 1e-4 at 9 %."""
    rng = np.random.default_rng(72)
    columns, patterns, share = 20, 4, 0.25
    variance = rng.gamma(1 / share, share, (SETS, columns, 1))
    err = np.sqrt(variance) * rng.standard_normal((SETS, columns, patterns))
    excess = (err**4).mean() / (err**2).mean() ** 2 - 3
    assert excess == pytest.approx(3 * share, rel=0.1)
    found = err.var(axis=2, ddof=1).mean(axis=1).var()
    assert found == pytest.approx(float(2 / within_dof(3 * share, columns=columns, patterns=patterns)), rel=0.09)
    # Normal ones would be a third less uncertain.
    assert found > 1.4 * 2 / (columns * (patterns - 1))


def test_columns_with_a_tail() -> None:
    """Exponential columns have an excess of 6: their variance is four times as uncertain. False alarm 1e-4 at 20 %."""
    found = np.random.default_rng(73).exponential(size=(4 * SETS, 40)).var(axis=1, ddof=1).var()
    assert found == pytest.approx(2 / between_dof(6.0, columns=40), rel=0.2)
