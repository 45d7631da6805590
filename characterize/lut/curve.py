"""Intervals of what a table's transfer curve says: voltages, slopes, swing, steps, energy."""

import numpy as np
from numpy.typing import NDArray

from prcim.characterize.lut.dof import between_squares
from prcim.characterize.lut.error_lut import ErrorLUT
from prcim.characterize.statistics.effort import Effort
from prcim.characterize.statistics.interval import Interval, around, student_factor

Floats = NDArray[np.float64]


def error_of_mean(lut: ErrorLUT, effort: Effort) -> Floats:
    """Standard error of the mean of all shots of a sum, in S, shape (M,)."""
    return np.sqrt(between_squares(lut, effort) / (effort.columns * effort.patterns))


def covariances(lut: ErrorLUT) -> tuple[Floats, Floats]:
    """Covariance between sums of the columns' own errors and of what patterns add, S^2, both of shape (M, M).

    The first is the bank's. The table keeps the second's diagonal. Patterns are orders of the rows of which the first K
    conduct, so residuals at K < L of n cells have the correlation sqrt(K (n - L) / (L (n - K))) of a sample without
    replacement.
    """
    n = lut.n_used
    n_on = (n + lut.mac) / 2
    inner = (n_on > 0) & (n_on < n)
    odds = np.where(inner, n_on / np.where(inner, n - n_on, 1.0), 1.0)
    correlation = np.sqrt(np.minimum.outer(odds, odds) / np.maximum.outer(odds, odds))
    # At both ends there is one pattern only.
    alone = np.outer(~inner, ~inner) & ~np.eye(len(n_on), dtype=bool)
    correlation[np.outer(inner, ~inner) | np.outer(~inner, inner) | alone] = 0.0
    return np.cov(lut.bank.T), np.asarray(correlation * np.sqrt(np.outer(lut.v_res, lut.v_res)))


def transfer(lut: ErrorLUT, effort: Effort, level: float) -> tuple[Floats, Interval]:
    """Mean voltage at each sum: Student's interval of a mean over columns."""
    error_v = error_of_mean(lut, effort) * lut.slope_v
    return lut.transfer_v, around(lut.transfer_v, student_factor(effort.columns - 1, level) * error_v)


def slope(lut: ErrorLUT, effort: Effort, level: float) -> tuple[Floats, Interval]:
    """Volts for one unit of S: a difference of neighbouring voltages, whose errors are correlated."""
    factor = student_factor(effort.columns - 1, level)
    return lut.slope_v, around(lut.slope_v, factor * relative_slope_error(lut, effort) * lut.slope_v)


def relative_slope_error(lut: ErrorLUT, effort: Effort) -> Floats:
    """Standard error of each slope, relative to it, shape (M,)."""
    return _standard_error(lut, effort, np.asarray(np.gradient(np.eye(len(lut.mac)), lut.mac, axis=0))) / lut.slope_v


def swing(lut: ErrorLUT, effort: Effort, level: float) -> tuple[Floats, Interval]:
    """Volts between the first and the last sum."""
    ends = np.zeros(len(lut.mac))
    ends[0], ends[-1] = 1.0, -1.0
    swing_v = np.asarray(lut.transfer_v @ ends)
    return swing_v, around(swing_v, student_factor(effort.columns - 1, level) * _standard_error(lut, effort, ends))


def step_ratio(lut: ErrorLUT, effort: Effort, level: float) -> tuple[Floats, Interval]:
    """Smallest step over the largest.

    Which steps these are is itself uncertain, so the interval is the one that follows from intervals of all steps that
    hold together (Bonferroni): where steps are nearly equal it is wide, and the estimate sits low in it.
    """
    steps = np.diff(np.eye(len(lut.mac)), axis=0) / np.diff(lut.mac)[:, None]
    size = np.abs(steps @ lut.transfer_v)
    factor = student_factor(effort.columns - 1, 1 - (1 - level) / len(size))
    log_half = factor * _standard_error(lut, effort, steps) / size
    small, large = size * np.exp(-log_half), size * np.exp(log_half)
    ends = small.min() / large.max(), min(large.min() / small.max(), 1.0)
    return np.asarray(size.min() / size.max()), Interval(*(np.asarray(end) for end in ends))


def energy(lut: ErrorLUT, effort: Effort, level: float) -> tuple[Floats, Interval]:
    """Mean energy of a read."""
    half = student_factor(effort.columns - 1, level) / np.sqrt(effort.columns)
    return lut.energy_j, around(lut.energy_j, half * lut.energy_sd_j)


def read_noise(lut: ErrorLUT, effort: Effort, level: float) -> tuple[Floats, Interval]:
    """Noise of a read in S. Its volts are those of the column without mismatch; what is uncertain is the slope."""
    _, (low, high) = slope(lut, effort, level)
    volts = lut.read_sigma * lut.slope_v
    # A slope that may be nothing at all is no slope; ten times less is as far as this goes.
    return lut.read_sigma, Interval(volts / high, volts / np.maximum(low, lut.slope_v / 10))


def _standard_error(lut: ErrorLUT, effort: Effort, weights: Floats) -> Floats:
    """Of weighted sums of the curve's points, V; weights of shape (..., M)."""
    column, residual = covariances(lut)
    scale = np.outer(lut.slope_v, lut.slope_v) / effort.columns
    covariance_v2 = (column + residual / effort.patterns) * scale
    return np.asarray(np.sqrt(np.maximum(np.einsum("...i,ij,...j", weights, covariance_v2, weights), 0.0)))
