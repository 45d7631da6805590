"""How much of the error belongs to the column and how much to the pattern."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f as fisher


@final
@dataclass(frozen=True, kw_only=True)
class VarianceComponents:
    """One-way random-effects analysis at each partial sum.

    Attributes:
        v_col: variance between columns, shape (M,). An estimate, so it can be slightly negative where there is none.
        v_res: variance between the patterns of one column, shape (M,).
        covariance_col: covariance of the columns' own curves between sums, shape (M, M).
        icc_low, icc_high: exact 95 % interval of the static share, shape (M,).

    Source: the analysis of variance of a balanced one-way layout; the interval is the exact one from the F
        distribution (Searle, Casella, McCulloch, Variance Components, 1992, section 3.6).
    """

    v_col: NDArray[np.float64]
    v_res: NDArray[np.float64]
    covariance_col: NDArray[np.float64]
    icc_low: NDArray[np.float64]
    icc_high: NDArray[np.float64]

    @property
    def icc(self) -> NDArray[np.float64]:
        """Static share of the variance, shape (M,); 0 where there is no variance at all."""
        v_col = np.maximum(self.v_col, 0.0)
        total = v_col + self.v_res
        return np.divide(v_col, total, out=np.zeros_like(total), where=total > 0)


def variance_components(err: NDArray[np.float64]) -> VarianceComponents:
    """Splits errors into a part of the column and a part of the pattern.

    Patterns may be correlated from sum to sum (they are: neighbouring sums share most rows), so the whole within
    covariance is taken off the covariance of the column means, not only its diagonal.

    Args:
        err: errors, shape (columns, patterns, M).

    Returns:
        The components.
    """
    columns, patterns, _ = err.shape
    means = err.mean(axis=1)
    within = (err - means[:, None, :]).reshape(columns * patterns, -1)
    covariance_res = within.T @ within / (columns * (patterns - 1))
    centred = means - means.mean(axis=0)
    covariance_means = centred.T @ centred / (columns - 1)
    covariance_col = covariance_means - covariance_res / patterns
    v_res = np.diag(covariance_res).copy()
    between = patterns * np.diag(covariance_means)
    ratio = np.divide(between, v_res, out=np.full_like(v_res, np.inf), where=v_res > 0)
    degrees = (columns - 1, columns * (patterns - 1))
    # Nothing varies: then the share may be anything.
    nothing = (v_res <= 0) & (between <= 0)
    low = ratio / fisher.ppf(0.975, *degrees)
    high = ratio / fisher.ppf(0.025, *degrees)
    with np.errstate(invalid="ignore"):
        icc_low = np.where(np.isinf(low), 1.0, (low - 1) / (low + patterns - 1))
        icc_high = np.where(np.isinf(high), 1.0, (high - 1) / (high + patterns - 1))
    return VarianceComponents(
        v_col=np.diag(covariance_col).copy(),
        v_res=v_res,
        covariance_col=covariance_col,
        icc_low=np.where(nothing, 0.0, np.clip(icc_low, 0.0, 1.0)),
        icc_high=np.clip(icc_high, 0.0, 1.0),
    )


def shrunken_means(err: NDArray[np.float64], components: VarianceComponents) -> NDArray[np.float64]:
    """Curves of the columns whose covariance is that of the columns, without the share that patterns add to a mean.

    The map is the linear one that moves the means least: with covariance A of the means and B wanted,
    A^-1/2 (A^1/2 B A^1/2)^1/2 A^-1/2.

    Args:
        err: errors, shape (columns, patterns, M).
        components: their variance components.

    Returns:
        One curve a column, shape (columns, M).
    """
    means = err.mean(axis=1)
    centre = means.mean(axis=0)
    centred = means - centre
    covariance = centred.T @ centred / (len(means) - 1)
    root, inverse = _root(covariance), _root(covariance, inverse=True)
    transport = inverse @ _root(root @ components.covariance_col @ root) @ inverse
    moved = centred @ transport
    # What was negative by estimation was cut off, which adds to the variances: each sum gets its own back.
    now = moved.std(axis=0, ddof=1)
    scale = np.divide(np.sqrt(np.maximum(components.v_col, 0.0)), now, out=np.zeros_like(now), where=now > 0)
    return np.asarray(centre + moved * scale)


def _root(matrix: NDArray[np.float64], *, inverse: bool = False) -> NDArray[np.float64]:
    """Symmetric square root, or its pseudo-inverse; eigenvalues that are negative by estimation count as none."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    kept = np.maximum(values, 0.0)
    if inverse:
        floor = 1e-10 * max(float(kept.max(initial=0.0)), 1e-300)
        scale = np.where(kept > floor, 1 / np.sqrt(np.maximum(kept, floor)), 0.0)
    else:
        scale = np.sqrt(kept)
    return np.asarray((vectors * scale) @ vectors.T)
