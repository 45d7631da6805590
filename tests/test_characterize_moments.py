"""Means, spreads and their intervals: closed forms, and how often an interval holds the truth."""

import math

import numpy as np
import pytest

from prcim.characterize.statistics.moments import Moments, moments, share_ci95
from prcim.errors import RunError


def test_by_hand() -> None:
    found = moments(np.array([[1.0, np.nan], [2.0, 6.0]]))
    assert (found.n, found.failed, found.low, found.high) == (3, 1, 1.0, 6.0)
    assert found.mean == pytest.approx(3.0)
    assert found.sigma == pytest.approx(math.sqrt((4 + 1 + 9) / 2))
    assert found.rel_sigma == pytest.approx(math.sqrt(7) / 3)
    assert found.mean_ci95 == pytest.approx(
        (3 - 1.959964 * math.sqrt(7 / 3), 3 + 1.959964 * math.sqrt(7 / 3)), abs=1e-6
    )
    # Third moment (-8 - 1 + 27) / 3 over the second, 14 / 3, to 1.5.
    assert found.skew == pytest.approx(6 / (14 / 3) ** 1.5)


def test_a_normal_sample_has_the_known_standard_error() -> None:
    """The error of sigma is sigma / sqrt(2n), of sigma over mean nearly the same where the mean is far from zero."""
    found = moments(np.random.default_rng(1).normal(100.0, 1.0, 20_000))
    error = math.sqrt(1 / (2 * 20_000))
    for value, ends in ((found.sigma, found.sigma_ci95), (found.rel_sigma, found.rel_sigma_ci95)):
        assert math.log(ends[1] / value) == pytest.approx(1.96 * error, rel=0.05)
        assert math.log(value / ends[0]) == pytest.approx(1.96 * error, rel=0.05)


def test_an_exponential_sample_has_the_standard_error_of_its_moments() -> None:
    """Its mean is its sigma, m3 = 2, m4 = 9 in units of it: var(log sigma/mean) = (8 / 4 + 1 - 2) / n = 1 / n."""
    found = moments(np.random.default_rng(3).exponential(size=200_000))
    assert math.log(found.rel_sigma_ci95[1] / found.rel_sigma) == pytest.approx(1.96 / math.sqrt(200_000), rel=0.1)


def samples(distribution: str) -> list[Moments]:
    rng = np.random.default_rng(2)
    drawn = rng.standard_normal((600, 800))
    return [moments(np.exp(0.3 * row) if distribution == "log-normal" else 5 + row) for row in drawn]


@pytest.mark.parametrize(("distribution", "truth"), [("normal", 0.2), ("log-normal", math.sqrt(math.exp(0.3**2) - 1))])
def test_intervals_hold_the_truth_in_95_of_100_samples(distribution: str, truth: float) -> None:
    """Sigma 0.3 of the logarithm is a read current at 0.4 V. 600 samples: a share of 0.95 is seen to 0.009."""
    covered = [found.rel_sigma_ci95[0] <= truth <= found.rel_sigma_ci95[1] for found in samples(distribution)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.027)


def test_a_skewed_sample_is_less_certain_than_a_normal_one() -> None:
    """The normal formula, 1/sqrt(2n), would be 15 % too narrow here."""
    widths = [math.log(found.sigma_ci95[1] / found.sigma) for found in samples("log-normal")]
    assert np.mean(widths) > 1.15 * 1.96 / math.sqrt(2 * 800)


def test_without_spread() -> None:
    found = moments(np.full(5, 2.0))
    assert (found.sigma, found.skew, found.sigma_ci95, found.rel_sigma_ci95) == (0, 0, (0, 0), (0, 0))


def test_a_negative_mean_keeps_the_ends_in_order() -> None:
    found = moments(np.array([-0.2, -0.1, -0.15, -0.12]))
    assert found.rel_sigma_ci95[0] < found.rel_sigma < found.rel_sigma_ci95[1] < 0


@pytest.mark.parametrize("values", [[np.nan, np.nan, 1.0], [np.inf, np.nan]])
def test_too_few_values(values: list[float]) -> None:
    with pytest.raises(RunError, match=f"2 of {len(values)} draws failed; a spread needs at least two that do not"):
        moments(np.array(values))


def test_exact_intervals_of_shares() -> None:
    """None of n: the upper end p has (1 - p)^n = 0.025."""
    low, high = share_ci95(0, 50)
    assert low == 0
    assert (1 - high) ** 50 == pytest.approx(0.025)
    assert share_ci95(50, 50) == pytest.approx((1 - high, 1.0))
    assert share_ci95(5, 50)[0] < 0.1 < share_ci95(5, 50)[1]
