"""The nearest covariance matrix: published examples, the conditions that only the optimum meets, what must not move."""

import numpy as np
import pytest
from numpy.typing import NDArray

from prcim.characterize.statistics import nearest_covariance as nearest_module
from prcim.characterize.statistics.nearest_covariance import nearest_covariance

Floats = NDArray[np.float64]
ONES = np.ones(4)


def not_one(key: int, sums: int, *, rank: int = 3, noise: float = 0.3) -> Floats:
    """A covariance of small rank and a symmetric matrix of noise."""
    rng = np.random.default_rng((96, key))
    factor = rng.standard_normal((sums, rank))
    error = rng.standard_normal((sums, sums)) * noise
    return np.asarray(factor @ factor.T + (error + error.T) / 2)


def test_published_examples() -> None:
    """Higham 2002, section 5: the second difference of four points, and three points that cannot all be so alike."""
    second = 2 * np.eye(4) - np.eye(4, k=1) - np.eye(4, k=-1)
    wanted = [
        [1.0, -0.8084, 0.1916, 0.1068],
        [-0.8084, 1.0, -0.6562, 0.1916],
        [0.1916, -0.6562, 1.0, -0.8084],
        [0.1068, 0.1916, -0.8084, 1.0],
    ]
    np.testing.assert_allclose(nearest_covariance(second, ONES, ONES), wanted, atol=5e-5)
    alike = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    wanted = [[1.0, 0.7607, 0.1573], [0.7607, 1.0, 0.7607], [0.1573, 0.7607, 1.0]]
    np.testing.assert_allclose(nearest_covariance(alike, ONES[:3], ONES[:3]), wanted, atol=5e-5)


@pytest.mark.parametrize("sums", [2, 5, 65])
@pytest.mark.parametrize("key", range(5))
def test_only_the_optimum_is_like_this(key: int, sums: int) -> None:
    """The problem is convex: what meets Karush's, Kuhn's and Tucker's conditions is its solution.

    X has the variances and no negative eigenvalue; with some y, X - estimate - diag(y) has none either and is
    orthogonal to X.
    """
    rng = np.random.default_rng((97, key))
    variances, sizes = rng.uniform(0.01, 4, sums), rng.uniform(0.5, 2, sums)
    both = np.outer(sizes, sizes)
    estimate = not_one(key, sums, noise=3.0 if sums == 2 else 0.3)
    found = nearest_covariance(estimate, variances, sizes)
    np.testing.assert_allclose(np.diag(found), variances, rtol=1e-12)
    scaled, off = found / both, (found - estimate) / both
    scale = float(np.linalg.eigvalsh(scaled)[-1])
    assert np.linalg.eigvalsh(scaled)[0] > -1e-12 * scale
    y = np.diag(off @ scaled) / np.diag(scaled)
    slack = off - np.diag(y)
    assert np.linalg.eigvalsh(slack)[0] > -1e-6 * np.abs(off).max()
    assert np.abs(slack @ scaled).max() < 1e-6 * scale * np.abs(off).max()


def test_what_is_a_covariance_stays() -> None:
    estimate = not_one(0, 20, rank=30, noise=0.0)
    found = nearest_covariance(estimate, np.diag(estimate), np.ones(20))
    np.testing.assert_allclose(found, estimate, atol=1e-8)


def test_units_of_a_sum_do_not_matter() -> None:
    """Sums measured in other units, sizes with them: the same matrix in those units."""
    estimate, units = not_one(1, 12), np.random.default_rng(98).uniform(0.01, 100, 12)
    variances, sizes = np.diag(estimate).copy(), np.linspace(1, 3, 12)
    found = nearest_covariance(estimate, variances, sizes)
    other = nearest_covariance(estimate * np.outer(units, units), variances * units**2, sizes * units)
    np.testing.assert_allclose(other / np.outer(units, units), found, atol=1e-9)


def test_what_is_known_well_moves_less() -> None:
    """A sum of a hundredth of the size keeps its covariances at the cost of the others'."""
    alike = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    off = np.abs(nearest_covariance(alike, np.ones(3), np.array([0.01, 1.0, 1.0])) - alike)
    assert off[0].max() < 0.01
    assert off[1, 2] > 0.5


def test_a_sum_without_variance_has_no_covariance() -> None:
    estimate = not_one(2, 6)
    variances = np.diag(estimate).copy()
    variances[[1, 4]] = 0.0
    kept = [0, 2, 3, 5]
    found = nearest_covariance(estimate, variances, np.where(variances > 0, 1.0, 0.0))
    assert not found[[1, 4]].any()
    assert not found[:, [1, 4]].any()
    rest = nearest_covariance(estimate[np.ix_(kept, kept)], variances[kept], np.ones(4))
    np.testing.assert_array_equal(found[np.ix_(kept, kept)], rest)
    assert not nearest_covariance(estimate, np.zeros(6), np.zeros(6)).any()


def test_a_variance_that_is_almost_nothing() -> None:
    """One sum of 30 has a millionth of the others' variance but covariances like theirs: they go, the others stay."""
    estimate = not_one(3, 30, rank=40, noise=0.0)
    variances = np.diag(estimate).copy()
    variances[7] = 1e-6 * variances.mean()
    found = nearest_covariance(estimate, variances, np.ones(30))
    np.testing.assert_allclose(np.diag(found), variances, rtol=1e-12)
    others = np.arange(30) != 7
    np.testing.assert_allclose(found[np.ix_(others, others)], estimate[np.ix_(others, others)], atol=1e-2)
    assert np.abs(found[7, others]).max() < 2e-3 * variances.max()


def test_a_search_that_is_cut_short_still_keeps_the_variances(monkeypatch: pytest.MonkeyPatch) -> None:
    estimate, variances = not_one(4, 65), np.linspace(0.1, 3, 65)
    best = nearest_covariance(estimate, variances, np.ones(65))
    monkeypatch.setattr(nearest_module, "STEPS", 2)
    found = nearest_covariance(estimate, variances, np.ones(65))
    np.testing.assert_allclose(np.diag(found), variances, rtol=1e-12)
    assert np.linalg.eigvalsh(found)[0] > -1e-12 * variances.sum()
    assert ((found - estimate) ** 2).sum() > ((best - estimate) ** 2).sum()
