"""Intervals in closed form for means, variances and their shares, from what a balanced one-way layout leaves.

C columns with P patterns each give two mean squares: between columns, MSB = P v_col + v_res with C - 1 degrees of
freedom, and within them, MSW = v_res with C (P - 1). All formulas assume normal errors; `within_dof` corrects for
tails.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, norm, t
from scipy.stats import f as fisher

Floats = NDArray[np.float64]

#: What is usual.
LEVEL = 0.95


class Interval(NamedTuple):
    """Both ends, of any shape."""

    low: Floats
    high: Floats


def around(value: Floats, half_width: Floats) -> Interval:
    """An interval that is symmetric about its estimate."""
    return Interval(np.asarray(value - half_width), np.asarray(value + half_width))


def times(value: Floats, log_half_width: Floats) -> Interval:
    """An interval that is symmetric on a logarithmic scale; for a figure that is not negative."""
    return Interval(np.asarray(value * np.exp(-log_half_width)), np.asarray(value * np.exp(log_half_width)))


def normal_factor(level: float) -> float:
    """Half-width in standard errors that are known."""
    return float(norm.ppf((1 + level) / 2))


def student_factor(dof: float, level: float) -> float:
    """Half-width in standard errors that were themselves estimated (Student's t)."""
    return float(t.ppf((1 + level) / 2, dof))


def root(variance: Interval) -> Interval:
    """The interval of a standard deviation from that of its variance."""
    return Interval(np.sqrt(np.maximum(variance.low, 0.0)), np.sqrt(np.maximum(variance.high, 0.0)))


def variance_interval(variance: Floats, dof: Floats | float, level: float = LEVEL) -> Interval:
    """Interval of the variance of a normal sample, exact (chi-square).

    Example:
        >>> low, high = variance_interval(np.array(1.0), 100)
        >>> round(float(low), 3), round(float(high), 3)
        (0.772, 1.347)
    """
    # What is known has infinitely many.
    known, finite = np.isinf(dof), np.where(np.isinf(dof), 1.0, dof)
    upper, lower = (finite * variance / chi2.ppf((1 + sign * level) / 2, finite) for sign in (1, -1))
    return Interval(np.where(known, variance, upper), np.where(known, variance, lower))


def column_variance_interval(
    v_col: Floats, v_res: Floats, *, patterns: int, dof: tuple[float, Floats | float], level: float = LEVEL
) -> Interval:
    """Interval of the variance between columns; its lower end is 0 where it may be none.

    Source: Williams, Biometrika 49 (1962) 278, and Tukey, Biometrics 7 (1951) 33, as in Searle, Casella, McCulloch,
        Variance Components, 1992, section 3.6: confidence at least 2 level - 1, in simulations close to `level`.

    Args:
        v_col, v_res: estimates of the variance between columns and between the patterns of one.
        patterns: P.
        dof: degrees of freedom of MSB and of MSW.
        level: confidence.
    """
    n1, n2 = dof
    between = patterns * v_col + v_res
    tails = (1 + level) / 2, (1 - level) / 2
    # With F = MSB / MSW: n1 MSB (1 - F_q / F) / (P chi2_q).
    low, high = (
        n1 * np.maximum(between - fisher.ppf(q, n1, n2) * v_res, 0.0) / (patterns * chi2.ppf(q, n1)) for q in tails
    )
    return Interval(np.asarray(low), np.asarray(high))


def share_interval(
    between: Floats, within: Floats, *, patterns: int, dof: tuple[float, Floats | float], level: float = LEVEL
) -> Interval:
    """Interval of v_col / (v_col + v_res) from both mean squares, exact where these are (Fisher's F).

    Source: Searle, Casella, McCulloch, Variance Components, 1992, section 3.6.

    Args:
        between, within: mean squares MSB and MSW.
        patterns: P.
        dof: their degrees of freedom.
        level: confidence.
    """
    ratio = np.divide(between, within, out=np.full_like(between, np.inf), where=within > 0)
    low, high = (ratio / fisher.ppf(q, *dof) for q in ((1 + level) / 2, (1 - level) / 2))
    with np.errstate(invalid="ignore"):
        low, high = (np.where(np.isinf(x), 1.0, (x - 1) / (x + patterns - 1)) for x in (low, high))
    # Nothing varies: then the share may be anything.
    nothing = (within <= 0) & (between <= 0)
    return Interval(np.where(nothing, 0.0, np.clip(low, 0.0, 1.0)), np.where(nothing, 1.0, np.clip(high, 0.0, 1.0)))


def satterthwaite_dof(total: Floats | float, *terms: tuple[Floats | float, Floats | float]) -> Floats:
    """Degrees of freedom of a variance that independent estimates add up to.

    Source: Satterthwaite, Biometrics Bulletin 2 (1946) 110.

    Args:
        total: the variance.
        terms: its uncertain parts, each (size, degrees of freedom); what else there is in it is known.

    Example:
        >>> float(satterthwaite_dof(2.0, (1.0, 10.0), (1.0, 10.0)))
        20.0
    """
    parts = [np.asarray(size, dtype=np.float64) ** 2 / dof for size, dof in terms]
    spread, square = np.broadcast_arrays(np.asarray(sum(parts)), np.asarray(total, dtype=np.float64) ** 2)
    return np.asarray(np.divide(square, spread, out=np.full(spread.shape, np.inf), where=spread > 0))


def between_dof(excess: float, *, columns: int) -> float:
    """Degrees of freedom of MSB when columns are not quite normal: 2 / (2 / (C - 1) + excess / C).

    Source: the variance of a sample's variance; as used by Box, Biometrika 40 (1953) 318.

    Args:
        excess: kurtosis - 3 of the columns' errors; below 0 it counts as 0.
        columns: C.
    """
    return 2 / (2 / (columns - 1) + max(excess, 0.0) / columns)


def within_dof(excess: Floats | float, *, columns: int, patterns: int) -> Floats:
    """Degrees of freedom of MSW when patterns are not quite normal.

    A column with some large cells has a larger spread between its patterns than another: then all patterns together
    have a tail. If patterns are normal within each column, and the variances of columns have the squared relative
    spread H, that tail is an excess of 3 H, and conditioning on the columns gives MSW the relative variance
    2 (1 + H) / (C (P - 1)) + H / C. H = 0 gives C (P - 1) degrees of freedom. Assumption: the whole excess is of this
    kind, which is the less certain case.

    Args:
        excess: kurtosis - 3 of all residuals; below 0 it counts as 0.
        columns, patterns: how many of each.
    """
    share = np.maximum(np.asarray(excess, dtype=np.float64), 0.0) / 3
    return np.asarray(2 / (2 * (1 + share) / (columns * (patterns - 1)) + share / columns))
