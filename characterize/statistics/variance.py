"""How much of the error belongs to the column and how much to the pattern."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f as fisher

from prcim.characterize.statistics.nearest_covariance import nearest_covariance

#: What is so small a part of a variance is none.
NONE = 1e-6


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

    Each sum has its own variance v_col. The covariances are the estimated ones as far as a covariance matrix can have
    them with these variances; each counts by its standard error, which is about that of the product of both sums'
    means. That the variances stay is what keeps differences between neighbouring sums, in which an offset common to
    all sums cancels, near theirs: see `nearest_covariance`.

    The map is the linear one that moves the means least, sums measured by what patterns add to their means: a mean
    that patterns do not blur stays, so curves follow the columns that they come from. With Z the means and X = F F'
    the covariance wanted, both in these units, it gives the polar factor of Z F, times F'. That is F (F' A F)^-1/2 F'
    for covariance A of the means, also where A or X are singular.

    Source: Dowson and Landau, J. Multivariate Anal. 12 (1982) 450, for the map.

    Args:
        err: errors, shape (columns, patterns, M).
        components: their variance components.

    Returns:
        One curve a column, shape (columns, M); at a sum where no variance lasts, all at the mean.
    """
    means = err.mean(axis=1)
    centre = means.mean(axis=0)
    centred = means - centre
    covariance = centred.T @ centred / (len(means) - 1)
    size = np.sqrt(np.diag(covariance))
    wanted = np.where(components.v_col > NONE * size**2, components.v_col, 0.0)
    found = nearest_covariance(components.covariance_col, wanted, size)
    blur = np.sqrt(components.v_res / err.shape[1] + NONE * size**2)
    unit = np.where(size > 0, blur, 1.0)
    factor = _factor(found / np.outer(unit, unit))
    left, values, right = np.linalg.svd((centred / unit) @ factor, full_matrices=False)
    kept = values > NONE**2 * values.max(initial=0.0)
    moved = np.sqrt(len(means) - 1) * left[:, kept] @ right[kept] @ factor.T * unit
    return np.asarray(centre + moved)


def _factor(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """F with F F' = covariance, as many columns as that has rank."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > NONE**2 * values.max(initial=0.0)
    return np.asarray(vectors[:, kept] * np.sqrt(values[kept]))
