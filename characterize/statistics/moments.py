"""Mean and spread of a sample with their intervals."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, norm

from prcim.errors import RunError

#: Half-width of a 95 % interval in standard errors.
Z95 = float(norm.ppf(0.975))


@final
@dataclass(frozen=True, kw_only=True)
class Moments:
    """A sample of one figure.

    Attributes:
        n: values that were measured.
        failed: values that were not (the simulator gave up, or the cell lost its bit); they are in no other figure.
        mean, sigma: mean and standard deviation.
        low, high: smallest and largest value.
        skew: third moment over the third power of sigma; 0 for a normal distribution.
        mean_ci95, sigma_ci95, rel_sigma_ci95: 95 % intervals of mean, sigma, and sigma over mean.
    """

    n: int
    failed: int
    mean: float
    sigma: float
    low: float
    high: float
    skew: float
    mean_ci95: tuple[float, float]
    sigma_ci95: tuple[float, float]
    rel_sigma_ci95: tuple[float, float]

    @property
    def rel_sigma(self) -> float:
        """Standard deviation over mean."""
        return self.sigma / self.mean


def moments(values: NDArray[np.float64]) -> Moments:
    """Moments of a sample in which NaN marks what failed.

    Read currents are skewed, up to log-normal, and the sigma of a skewed sample is less certain than that of a normal
    one. So the intervals come from the delta method on the logarithm, with the sample's own third and fourth moments:
    var(log sigma) = (m4 / m2^2 - 1) / 4n, and var(log sigma/mean) has m2 / (n mean^2) - m3 / (n mean m2) on top.

    Args:
        values: the sample, any shape.

    Raises:
        RunError: fewer than two values were measured.

    Example:
        >>> found = moments(np.array([1.0, 2.0, 3.0, np.nan]))
        >>> found.n, found.failed, found.mean, found.sigma, found.rel_sigma
        (3, 1, 2.0, 1.0, 0.5)
    """
    good = values[np.isfinite(values)].ravel()
    n = good.size
    if n < 2:
        raise RunError(f"{values.size - n} of {values.size} draws failed; a spread needs at least two that do not")
    mean, sigma = float(good.mean()), float(good.std(ddof=1))
    centred = good - mean
    m2, m3, m4 = (float(np.mean(centred**k)) for k in (2, 3, 4))
    log_variance = (m4 / m2**2 - 1) / (4 * n) if m2 > 0 else 0.0
    both = max(log_variance + m2 / (n * mean**2) - m3 / (n * mean * m2), 0.0) if m2 > 0 and mean else 0.0
    error = Z95 * sigma / math.sqrt(n)
    return Moments(
        n=n,
        failed=values.size - n,
        mean=mean,
        sigma=sigma,
        low=float(good.min()),
        high=float(good.max()),
        skew=m3 / m2**1.5 if m2 > 0 else 0.0,
        mean_ci95=(mean - error, mean + error),
        sigma_ci95=_around(sigma, log_variance),
        rel_sigma_ci95=_around(sigma / mean if mean else math.nan, both),
    )


def share_ci95(count: int, n: int) -> tuple[float, float]:
    """Exact 95 % interval of a share (Clopper, Pearson, 1934).

    Example:
        >>> low, high = share_ci95(0, 1000)
        >>> low, round(high, 4)
        (0.0, 0.0037)
    """
    interval = binomtest(count, n).proportion_ci(method="exact")
    return float(interval.low), float(interval.high)


def _around(value: float, log_variance: float) -> tuple[float, float]:
    factor = math.exp(Z95 * math.sqrt(log_variance))
    ends = value / factor, value * factor
    return min(ends), max(ends)
