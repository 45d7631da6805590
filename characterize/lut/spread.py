"""Intervals of a table's spreads: of columns, patterns, dies and cells, and of the share that lasts."""

import math

import numpy as np
from numpy.typing import NDArray

from prcim.characterize.lut.curve import covariances, relative_slope_error
from prcim.characterize.lut.dof import (
    between_squares,
    column_dof,
    die_dof,
    die_variance,
    pattern_dof,
    replicas,
    shots,
)
from prcim.characterize.lut.error_lut import ErrorLUT, binomial_weights
from prcim.characterize.lut.total import mean_square_inverse, total_moments
from prcim.characterize.statistics.effort import Effort
from prcim.characterize.statistics.interval import (
    Interval,
    around,
    column_variance_interval,
    normal_factor,
    root,
    satterthwaite_dof,
    share_interval,
    times,
    variance_interval,
)

Floats = NDArray[np.float64]


def column_sigma(lut: ErrorLUT, effort: Effort, level: float) -> tuple[Floats, Interval]:
    """Spread between columns (Williams, Tukey)."""
    dof = column_dof(lut, effort), pattern_dof(lut, effort)
    interval = column_variance_interval(lut.v_col, lut.v_res, patterns=effort.patterns, dof=dof, level=level)
    return np.sqrt(np.maximum(lut.v_col, 0.0)), root(interval)


def pattern_sigma(lut: ErrorLUT, effort: Effort, level: float) -> tuple[Floats, Interval]:
    """Spread between patterns of a column: chi-square."""
    return np.sqrt(lut.v_res), root(variance_interval(lut.v_res, pattern_dof(lut, effort), level))


def die_sigma(lut: ErrorLUT, effort: Effort, level: float) -> tuple[Floats, Interval]:
    """Spread between dies, their reference included: chi-square."""
    variance = die_variance(lut)
    return np.sqrt(variance), root(variance_interval(variance, die_dof(lut, effort), level))


def total_sigma(lut: ErrorLUT, effort: Effort, level: float) -> tuple[Floats, Interval]:
    """Spread of everything (Satterthwaite)."""
    variance = total_moments(lut)[1]
    # The bank stands in it twice where dies have replicas of its columns.
    twice = float((lut.chip_cell_gain**2).mean()) + (1 / replicas(lut) if replicas(lut) else 0.0)
    bank = [(twice * size, dof) for size, dof in shots(lut, effort)]
    # A read's noise in volts is known. A relative standard error r of the slope makes one of 2 r in its square: as much
    # as 1 / 2 r^2 degrees of freedom.
    slope_error = relative_slope_error(lut, effort)
    read = mean_square_inverse(lut.chip_volt_gain) * lut.read_sigma**2, 1 / (2 * np.maximum(slope_error, 1e-9) ** 2)
    dof = satterthwaite_dof(variance, *bank, (die_variance(lut), effort.dies - 1.0), read)
    return np.sqrt(variance), root(variance_interval(variance, dof, level))


def static_share(lut: ErrorLUT, effort: Effort, level: float) -> tuple[Floats, Interval]:
    """Share of the variance that lasts: the interval that the file holds at 95 %, with room for tails.

    The file's is exact for normal errors. Cells with a log-normal current leave a tail at sums where few of them
    conduct, or few do not: with a spread of 55 % the exact one holds 87 % there.
    """
    dof = column_dof(lut, effort), pattern_dof(lut, effort)
    between = between_squares(lut, effort)
    return lut.icc, share_interval(between, lut.v_res, patterns=effort.patterns, dof=dof, level=level)


def pooled_share(lut: ErrorLUT, effort: Effort, level: float) -> tuple[Floats, Interval]:
    """Static share pooled over sums with the weights of fair inputs, as at one sum but with pooled mean squares.

    Mean squares at two sums have the covariance 2 c^2 / degrees of freedom, c being the covariance of the errors behind
    them. So a weighted mean of mean squares has as many degrees of freedom as these correlations leave.
    """
    weights = binomial_weights(lut.n_used, lut.mac)
    p = effort.patterns
    column, residual = covariances(lut)
    dof = []
    for covariance, single in (
        (p * column + residual, column_dof(lut, effort)),
        (residual, float(weights @ pattern_dof(lut, effort))),
    ):
        spread = float(weights @ covariance**2 @ weights)
        dof.append(single * float(weights @ np.diag(covariance)) ** 2 / spread if spread > 0 else single)
    squares = (np.asarray(weights @ x) for x in (between_squares(lut, effort), lut.v_res))
    return np.asarray(lut.static_share), share_interval(*squares, patterns=p, dof=(dof[0], dof[1]), level=level)


def cell_mean(lut: ErrorLUT, effort: Effort, level: float, *, name: str) -> tuple[Floats, Interval]:
    """Mean current or capacitance of single cells."""
    mean = np.asarray(lut.meta[name], dtype=np.float64)
    return mean, around(mean, normal_factor(level) * mean * lut.meta["rel_sigma_cell"] / np.sqrt(effort.cells))


def cell_sigma(lut: ErrorLUT, effort: Effort, level: float) -> tuple[Floats, Interval]:
    """Their relative spread: delta method on the logarithm with the cells' own higher moments, as in `moments`.

    A few hundred cells do not show their own tail, and 256 quantiles less so; the fourth moment is taken for at least
    that of a log-normal distribution as skewed as they are.
    """
    value = np.asarray(lut.meta["rel_sigma_cell"], dtype=np.float64)
    centred = lut.cell_q - lut.cell_q.mean()
    m2, m3, m4 = (float((centred**k).mean()) for k in (2, 3, 4))
    if m2 <= 0:
        return value, Interval(value, value)
    skew = m3 / m2**1.5
    # A log-normal variable of relative spread u has the skewness u^3 + 3 u and, with w = 1 + u^2, this kurtosis.
    w = 1 + (2 * math.sinh(math.asinh(skew / 2) / 3)) ** 2
    kurtosis = max(m4 / m2**2, w**4 + 2 * w**3 + 3 * w**2 - 3)
    variance = max((kurtosis - 1) / 4 + m2 - m3 / m2, 0.0) / effort.cells
    return value, times(value, np.asarray(normal_factor(level) * np.sqrt(variance)))
