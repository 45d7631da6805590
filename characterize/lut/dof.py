"""Degrees of freedom of a table's variances: between columns, between patterns, between dies."""

import numpy as np
from numpy.typing import NDArray

from prcim.characterize.lut.error_lut import ErrorLUT, binomial_weights
from prcim.characterize.statistics.effort import Effort
from prcim.characterize.statistics.interval import between_dof, satterthwaite_dof, within_dof

Floats = NDArray[np.float64]


def between_squares(lut: ErrorLUT, effort: Effort) -> Floats:
    """Mean square between columns at each sum, P v_col + v_res, shape (M,)."""
    return np.asarray(np.maximum(effort.patterns * lut.v_col + lut.v_res, 0.0))


def column_dof(lut: ErrorLUT, effort: Effort) -> float:
    """Of the mean square between columns, with the tail that the bank has at sums that fair inputs give."""
    n = len(lut.bank)
    if n < 4:
        return effort.columns - 1.0
    weights = binomial_weights(lut.n_used, lut.mac) * (lut.v_col > 0)
    # Without the bias of small samples (Joanes, Gill, The Statistician 47 (1998) 183).
    excess = (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * excess_kurtosis(lut.bank.T) + 6)
    return between_dof(float(weights @ excess / max(weights.sum(), 1e-300)), columns=effort.columns)


def pattern_dof(lut: ErrorLUT, effort: Effort) -> Floats:
    """Of the mean square within columns at each sum, shape (M,), with the tail of the residuals."""
    return within_dof(excess_kurtosis(lut.residual_q), columns=effort.columns, patterns=effort.patterns)


def shots(lut: ErrorLUT, effort: Effort) -> tuple[tuple[Floats, float], tuple[Floats, Floats]]:
    """v_col + v_res as two independent parts, each (size, degrees of freedom), sizes of shape (M,)."""
    p = effort.patterns
    within = lut.v_res * (p - 1) / p
    return (between_squares(lut, effort) / p, column_dof(lut, effort)), (within, pattern_dof(lut, effort))


def die_variance(lut: ErrorLUT) -> Floats:
    """Variance between dies at each sum, shape (M,).

    The replica columns of the first half of dies come from the first half of the bank, those of the second from the
    second. A difference between the means of these halves is no difference between dies, so it is left out.
    """
    half = len(lut.chip_curves) // 2
    if replicas(lut) == 0 or half < 2:
        return np.asarray(lut.chip_curves.var(axis=0, ddof=1))
    parts = lut.chip_curves[:half], lut.chip_curves[half:]
    squares = sum(((part - part.mean(axis=0)) ** 2).sum(axis=0) for part in parts)
    return np.asarray(squares / (len(lut.chip_curves) - 2))


def die_dof(lut: ErrorLUT, effort: Effort) -> Floats:
    """Degrees of freedom of the variance between dies, shape (M,).

    Replica columns are drawn from the bank, so their part of the variance is as uncertain as the bank's own.
    """
    variance = die_variance(lut)
    alone = effort.dies - 1.0
    if replicas(lut) == 0:
        return np.full(len(variance), alone)
    parts = [(np.minimum(size / replicas(lut), variance), dof) for size, dof in shots(lut, effort)]
    return satterthwaite_dof(variance, (variance, alone), *parts)


def replicas(lut: ErrorLUT) -> int:
    """Columns in each die's reference; 0 where it is none of columns."""
    reference = lut.meta.get("plan", {}).get("reference", {})
    return int(reference["replicas"]) if reference.get("kind") == "replica" else 0


def excess_kurtosis(values: Floats) -> Floats:
    """Fourth moment over the squared second, less the 3 of a normal distribution, of each row; 0 without variance.

    The 256 quantiles of a table leave out what lies beyond 1/512, so a heavy tail counts a little less than it is.
    """
    centred = values - values.mean(axis=-1, keepdims=True)
    second = (centred**2).mean(axis=-1)
    fourth = (centred**4).mean(axis=-1)
    return np.asarray(np.divide(fourth, second**2, out=np.full_like(second, 3.0), where=second > 0) - 3)
