"""Shares of column and pattern: what was put in comes back, as often as it should."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.linalg import expm
from synthetic import World, draw_errors

from prcim.characterize.statistics.variance import shrunken_means, variance_components

COLUMNS, PATTERNS, SETS = 32, 4, 2000
Floats = NDArray[np.float64]


def errors(v_col: float, v_res: float, *, key: int, sets: int = SETS) -> Floats:
    """Normal errors with known variances, shape (columns, patterns, sets); each sum is a data set of its own."""
    rng = np.random.default_rng((30, key))
    column = np.sqrt(v_col) * rng.standard_normal((COLUMNS, 1, sets))
    return np.asarray(column + np.sqrt(v_res) * rng.standard_normal((COLUMNS, PATTERNS, sets)))


def correlated(*, key: int, columns: int = 400, patterns: int = 6) -> tuple[Floats, Floats, Floats]:
    """Errors whose columns and patterns are correlated from sum to sum, and both covariances."""
    rng = np.random.default_rng((31, key))
    sums = np.arange(5)
    a = 2.0 * 0.8 ** np.abs(sums[:, None] - sums)
    b = 1.0 * 0.5 ** np.abs(sums[:, None] - sums)
    shape = (columns, patterns, 5)
    column = rng.standard_normal((columns, 1, 5)) @ np.linalg.cholesky(a).T
    return column + rng.standard_normal(shape) @ np.linalg.cholesky(b).T, a, b


@pytest.mark.parametrize(("v_col", "v_res"), [(1.0, 1.0), (4.0, 0.5), (0.1, 1.0), (0.0, 2.0)])
def test_shares_come_back(v_col: float, v_res: float) -> None:
    """2000 data sets: both means within 4 standard errors, and the coverage of the interval: false alarms 6e-5 each."""
    parts = variance_components(errors(v_col, v_res, key=int(10 * v_col)))
    for found, wanted in ((parts.v_col, v_col), (parts.v_res, v_res)):
        assert abs(found.mean() - wanted) < 4 * found.std() / np.sqrt(SETS)
    # The spread of v_res itself is that of a chi-square.
    assert parts.v_res.std() == pytest.approx(v_res * np.sqrt(2 / (COLUMNS * (PATTERNS - 1))), rel=0.06)
    icc = v_col / (v_col + v_res)
    inside = int(((parts.icc_low <= icc) & (icc <= parts.icc_high)).sum())
    if v_col > 0:
        # Limits below 0 are cut to 0, which loses nothing above it.
        assert stats.binomtest(inside, SETS, 0.95).pvalue > 6e-5
    else:
        assert inside >= 0.96 * SETS


def test_interval_holds_the_estimate() -> None:
    parts = variance_components(errors(1.0, 1.0, key=1))
    assert np.all((parts.icc_low <= parts.icc) & (parts.icc <= parts.icc_high))
    assert np.all((parts.icc_low >= 0) & (parts.icc_high <= 1))
    assert (parts.icc_low < 0.5).mean() > 0.9


def test_agrees_with_a_count_by_hand() -> None:
    """Two columns, two patterns: means 2 and 5, within squares 2 and 8, as any book on analysis of variance says."""
    parts = variance_components(np.array([[[1.0], [3.0]], [[3.0], [7.0]]]))
    assert parts.v_res[0] == pytest.approx((2 + 8) / 2)
    assert parts.v_col[0] == pytest.approx((2 - 5) ** 2 / 2 - 5 / 2)
    # F = MS_between / MS_within = 9 / 5 with 1 and 2 degrees of freedom.
    low, high = (1.8 / stats.f.ppf(p, 1, 2) for p in (0.975, 0.025))
    assert parts.icc_low[0] == pytest.approx(max(0, (low - 1) / (low + 1)))
    assert parts.icc_high[0] == pytest.approx((high - 1) / (high + 1))


def test_shift_and_scale() -> None:
    err = errors(1.0, 0.5, key=2, sets=50)
    plain, other = variance_components(err), variance_components(7 - 3 * err)
    np.testing.assert_allclose(other.covariance_col, 9 * plain.covariance_col, atol=1e-9)
    np.testing.assert_allclose(other.v_res, 9 * plain.v_res)
    np.testing.assert_allclose(other.icc_low, plain.icc_low, atol=1e-9)


def test_covariances_between_sums_come_back() -> None:
    """200 data sets: every entry's mean within 5 standard errors: a false alarm in 1e-5."""
    found = []
    for key in range(200):
        err, a, b = correlated(key=key, columns=30)
        parts = variance_components(err)
        found.append(np.concatenate([parts.covariance_col.ravel(), parts.v_res]))
    wanted = np.concatenate([a.ravel(), np.diag(b)])
    error = np.std(found, axis=0) / np.sqrt(len(found))
    assert np.all(np.abs(np.mean(found, axis=0) - wanted) < 5 * error)


def test_bank_has_the_covariance_of_the_columns() -> None:
    err, _, _ = correlated(key=1)
    parts = variance_components(err)
    assert np.linalg.eigvalsh(parts.covariance_col).min() > 0
    bank = shrunken_means(err, parts)
    np.testing.assert_allclose(np.cov(bank.T), parts.covariance_col, rtol=1e-9)
    np.testing.assert_allclose(bank.mean(axis=0), err.mean(axis=(0, 1)), atol=1e-12)
    # Raw means would carry a share of the patterns' variance.
    raw = err.mean(axis=1)
    assert np.all(np.var(raw, axis=0, ddof=1) > 1.03 * parts.v_col)
    # Each curve stays close to its column's own.
    assert np.all([np.corrcoef(bank[:, k], raw[:, k])[0, 1] for k in range(5)] > np.float64(0.98))


def test_bank_and_residual_reproduce_total_variance_and_static_share() -> None:
    """The law of a table, exact up to degrees of freedom: bank + residual has the variance of the errors."""
    err, _, _ = correlated(key=2)
    parts = variance_components(err)
    bank = shrunken_means(err, parts)
    patterns = err.shape[1]
    residual = (err - err.mean(axis=1, keepdims=True)) * np.sqrt(patterns / (patterns - 1))
    v_bank, v_residual = bank.var(axis=0, ddof=1), (residual**2).mean(axis=(0, 1))
    np.testing.assert_allclose(v_bank + v_residual, parts.v_col + parts.v_res)
    np.testing.assert_allclose(v_bank / (v_bank + v_residual), parts.icc)
    np.testing.assert_allclose(v_bank + v_residual, err.reshape(-1, 5).var(axis=0), rtol=0.01)


def test_bank_where_patterns_hide_the_columns() -> None:
    """Without a lasting part the estimate is not positive; the bank then has no more variance than the estimate."""
    rng = np.random.default_rng(32)
    err = rng.standard_normal((16, 2, 9))
    parts = variance_components(err)
    assert np.linalg.eigvalsh(parts.covariance_col).min() < 0
    bank = shrunken_means(err, parts)
    assert np.all(np.isfinite(bank))
    assert bank.var(axis=0, ddof=1).sum() < err.mean(axis=1).var(axis=0, ddof=1).sum()


@pytest.mark.parametrize("sums", [3, 40])
def test_bank_with_more_sums_than_columns(sums: int) -> None:
    err = errors(1.0, 0.01, key=3, sets=sums)[:12]
    bank = shrunken_means(err, variance_components(err))
    assert bank.shape == (12, sums)
    np.testing.assert_allclose(bank, err.mean(axis=1), atol=0.15)


def test_without_any_variance() -> None:
    parts = variance_components(np.ones((8, 4, 3)))
    assert not parts.icc.any()
    assert not parts.v_col.any()
    assert np.all(np.isfinite([parts.icc_low, parts.icc_high]))
    np.testing.assert_array_equal(shrunken_means(np.ones((8, 4, 3)), parts), np.ones((8, 3)))


def test_at_one_end_all_patterns_are_the_same() -> None:
    """At K = N every row conducts: all variance lasts."""
    err = np.broadcast_to(np.random.default_rng(33).standard_normal((8, 1, 2)), (8, 4, 2))
    parts = variance_components(err)
    assert parts.icc.tolist() == parts.icc_low.tolist() == parts.icc_high.tolist() == [1, 1]


def test_static_share_of_single_ended_cells_is_k_over_n() -> None:
    """E = sum over conducting rows of 2 d: the interval holds K/N in 95 % of 300 sets, a false alarm in 1e-4 each."""
    rng = np.random.default_rng(34)
    rows, sets = 16, 300
    n_on = np.array([4, 8, 12])
    inside = np.zeros(3)
    for _ in range(sets):
        cell = rng.standard_normal((COLUMNS, 1, rows))
        rank = rng.permuted(np.broadcast_to(np.arange(rows), (COLUMNS, PATTERNS, rows)), axis=2)
        err = np.stack([(2 * cell * (rank < k)).sum(axis=2) for k in n_on], axis=2)
        parts = variance_components(err)
        inside += (parts.icc_low <= n_on / rows) & (n_on / rows <= parts.icc_high)
    for count in inside:
        # The residual of a pattern is not quite normal, so the coverage need not be exact: 91 to 98 %.
        assert 0.91 * sets < count < 0.985 * sets


@dataclass(frozen=True, kw_only=True)
class Known:
    """Shots of columns of 64 single-ended cells at all 65 sums, and what is behind them."""

    world: World
    err: Floats
    truth: Floats
    curves: Floats

    @property
    def neighbours(self) -> float:
        """Variance of the difference between a column's errors at neighbouring sums: an offset leaves it alone."""
        return 4 * self.world.sigma**2 / self.world.n


def single_ended(key: int, *, columns: int, patterns: int, offset: float = 0.0) -> Known:
    """A cell conducts in K / 64 of all patterns: its column errs by K / 64 of the sum of its cells' errors."""
    world = World(n=64, sums=65, columns=columns, patterns=patterns, sigma=0.12, offset=offset)
    err = draw_errors(world, np.random.default_rng((95, key)))
    plain = draw_errors(dataclasses.replace(world, offset=0.0), np.random.default_rng((95, key)))
    # With all cells on, patterns agree; what all sums share is the offset, which alone is left with none on.
    curves = plain[:, 0, -1:] * world.n_on / world.n + (err - plain)[:, 0]
    truth = 4 * world.sigma**2 * np.outer(world.n_on, world.n_on) / world.n + offset**2
    return Known(world=world, err=err, truth=truth, curves=curves)


def neighbours(covariance: Floats) -> Floats:
    """Variance of the differences between neighbouring sums."""
    difference = np.diff(np.eye(len(covariance)), axis=0)
    return np.asarray(np.diag(difference @ covariance @ difference.T))


@pytest.mark.parametrize("offset", [0.0, 5.0])
@pytest.mark.parametrize(("columns", "patterns"), [(20, 2), (128, 4), (512, 8)])
def test_bank_has_the_variance_of_columns_at_every_sum(columns: int, patterns: int, offset: float) -> None:
    """Of 65 sums' estimated covariances half of the eigenvalues are negative, which must not add variance anywhere."""
    known = single_ended(0, columns=columns, patterns=patterns, offset=offset)
    parts = variance_components(known.err)
    assert np.linalg.eigvalsh(parts.covariance_col)[20] < 0
    bank = shrunken_means(known.err, parts)
    np.testing.assert_allclose(bank.var(axis=0, ddof=1), np.maximum(parts.v_col, 0), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(bank.mean(axis=0), known.err.mean(axis=(0, 1)), atol=1e-12)


@pytest.mark.parametrize("offset", [0.0, 5.0])
def test_bank_has_the_covariances_of_columns(offset: float) -> None:
    """Covariances of 12 sets against the truth, in standard errors of a sample covariance of the means.

    Their root mean square over sets is 1 if the estimate has no other error; entries are so correlated that it
    scatters by 0.15, so that 1.6 is 4 of these: a false alarm in 3e-5. None may be off by more than 6.
    """
    squares, bias = [], []
    for key in range(12):
        known = single_ended(key, columns=128, patterns=4, offset=offset)
        found = np.cov(shrunken_means(known.err, variance_components(known.err)).T)
        means = known.truth + np.diag(known.world.v_res) / 4
        error = np.sqrt((np.outer(np.diag(means), np.diag(means)) + known.truth**2) / 127)[2:, 2:]
        z = (found - known.truth)[2:, 2:] / error
        squares.append(z**2)
        bias.append(z)
    assert np.sqrt(np.mean(squares)) < 1.6
    assert np.abs(bias).max() < 6
    # A lasting error of a whole standard error would be one of the method.
    assert np.abs(np.mean(bias, axis=0)).max() < 1.6


@pytest.mark.parametrize(("columns", "patterns", "excess"), [(128, 4, 1.5), (1024, 8, 0.3)])
@pytest.mark.parametrize("offset", [0.0, 5.0])
def test_an_offset_common_to_all_sums_makes_no_slope(columns: int, patterns: int, excess: float, offset: float) -> None:
    """Differences of neighbours have the columns' own variance, of which means over patterns have 33 and 9 times.

    Cutting negative eigenvalues off leaves 9 and 2.3 times, scaling each sum after that 14 and 3.2 times. The estimate
    itself scatters by 0.3 and 0.06 of the truth: `excess` is what a positive matrix costs, and 3 of these or more.
    """
    known = single_ended(1, columns=columns, patterns=patterns, offset=offset)
    bank = shrunken_means(known.err, variance_components(known.err))
    found = neighbours(np.cov(bank.T))[4:-4].mean() / known.neighbours
    assert 0.6 < found < 1 + excess
    raw = neighbours(np.cov(known.err.mean(axis=1).T))[4:-4].mean() / known.neighbours
    assert raw > 5 * found
    # The slope over all sums, which the sum of the cells alone makes: a chi-square of as many columns.
    mac = known.world.mac
    slope = float(np.var(bank @ mac / (mac @ mac), ddof=1))
    assert slope == pytest.approx(known.neighbours / 4, rel=4.5 * np.sqrt(2 / columns))


@pytest.mark.parametrize("offset", [0.0, 5.0])
def test_curves_of_the_bank_are_nearer_to_their_columns_than_means(offset: float) -> None:
    known = single_ended(2, columns=512, patterns=8, offset=offset)
    bank = shrunken_means(known.err, variance_components(known.err))
    off, raw = ((x - known.curves)[:, 2:-2].std(axis=0) for x in (bank, known.err.mean(axis=1)))
    assert np.all(off < 0.4 * raw)
    assert off.mean() < 0.15 * raw.mean()


def test_the_map_moves_the_means_least() -> None:
    """No other curves with the same covariance are nearer: rotations of the bank among columns all lie further away."""
    err, _, _ = correlated(key=3, columns=12)
    err = err * np.arange(1, 6)
    parts = variance_components(err)
    means, bank = err.mean(axis=1), shrunken_means(err, parts)
    # Sums count by what patterns add to them.
    least = ((bank - means) ** 2 / parts.v_res).sum()
    rng = np.random.default_rng(36)
    centre, spread = bank.mean(axis=0), bank - bank.mean(axis=0)
    for size in (1e-2, 0.1, 1.0):
        for _ in range(20):
            skew = size * rng.standard_normal((12, 12))
            skew -= skew.mean(axis=0)
            skew -= skew.mean(axis=1, keepdims=True)
            rotation = expm(skew - skew.T)
            other = centre + rotation @ spread
            np.testing.assert_allclose(np.cov(other.T), np.cov(bank.T), atol=1e-9)
            assert ((other - means) ** 2 / parts.v_res).sum() > least


def test_the_same_bytes_again() -> None:
    known = single_ended(3, columns=64, patterns=4)
    banks = [shrunken_means(known.err.copy(), variance_components(known.err)) for _ in range(2)]
    assert banks[0].tobytes() == banks[1].tobytes()
