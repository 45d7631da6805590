"""The covariance matrix nearest to an estimate that is not one."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, cg

Floats = NDArray[np.float64]

#: Newton steps; some ten are enough, for 5 sums and for 257.
STEPS = 100
#: How far from the wanted variance the search may end, relative to the largest of them.
TOLERANCE = 1e-10
#: A step is shortened no further than to this.
SHORTEST = 1e-6


def nearest_covariance(estimate: Floats, variances: Floats, sizes: Floats) -> Floats:
    """The positive semidefinite matrix X with given variances that changes an estimate least.

    An estimated covariance, if it is a difference of two, has negative eigenvalues. Cutting them off adds to the
    variances, and what it adds to those of differences between neighbours is many times what there is. With variances
    that stay, what goes is what the negative ones need, spread over all covariances.

    X minimizes the sum of ((X - estimate)_ij / (sizes_i sizes_j))^2. Its dual is one number y_k for each variance: with
    everything divided by sizes X(y) = (estimate + diag(y))_+, where + leaves positive eigenvalues only, and the y with
    the wanted diagonal minimizes |X(y)|^2 / 2 - y variances, which is convex.

    Source: Higham, IMA J. Numer. Anal. 22 (2002) 329, for the problem; Qi and Sun, SIAM J. Matrix Anal. Appl. 28 (2006)
        360, for Newton's method on the dual; Borsdorf and Higham, IMA J. Numer. Anal. 30 (2010) 94, for its scaling.

    Args:
        estimate: symmetric, shape (M, M).
        variances: diagonal of the result, shape (M,); a sum with none has no covariances either.
        sizes: what covariances are measured by, positive where `variances` are, shape (M,).

    Returns:
        The matrix, shape (M, M).

    Example:
        >>> estimate = np.array([[1.0, 1.2], [1.2, 1.0]])
        >>> nearest_covariance(estimate, np.ones(2), np.ones(2)).round(6).tolist()
        [[1.0, 1.0], [1.0, 1.0]]
    """
    found = np.zeros_like(estimate)
    varies = np.flatnonzero(variances > 0)
    if len(varies) == 0:
        return found
    place, scale = np.ix_(varies, varies), sizes[varies]
    scaled = estimate[place] / np.outer(scale, scale)
    found[place] = _unit_sizes((scaled + scaled.T) / 2, variances[varies] / scale**2) * np.outer(scale, scale)
    return found


def _unit_sizes(estimate: Floats, variances: Floats) -> Floats:
    """The same with all sizes 1 and all variances positive."""
    y = variances - np.diag(estimate)
    value, gradient, roots, vectors = _dual(estimate, variances, y)
    for _ in range(STEPS):
        if np.abs(gradient).max() <= TOLERANCE * variances.max():
            break
        step = _newton(gradient, roots, vectors)
        slope, length = float(step @ gradient), 1.0
        while True:
            new = _dual(estimate, variances, y + length * step)
            # Rounding of the value may hide that it falls.
            if new[0] <= value + 1e-4 * length * slope + 1e-14 * abs(value) or length <= SHORTEST:
                break
            length /= 2
        y = y + length * step
        value, gradient, roots, vectors = new
    found = (vectors * np.maximum(roots, 0.0)) @ vectors.T
    # What the search left of the differences; however it ended, the variances are the wanted ones.
    factor = np.sqrt(variances / np.maximum(np.diag(found), TOLERANCE * variances.max()))
    return np.asarray(found * np.outer(factor, factor))


def _dual(estimate: Floats, variances: Floats, y: Floats) -> tuple[float, Floats, Floats, Floats]:
    """The dual at y, its gradient, and eigenvalues and vectors of estimate + diag(y)."""
    roots, vectors = np.linalg.eigh(estimate + np.diag(y))
    kept = np.maximum(roots, 0.0)
    value = float(kept @ kept) / 2 - float(y @ variances)
    return value, np.asarray((vectors**2) @ kept - variances), roots, vectors


def _newton(gradient: Floats, roots: Floats, vectors: Floats) -> Floats:
    """The step that takes the gradient to nothing, with the generalized second derivative of the dual.

    That is h -> diag(Q (w o (Q' diag(h) Q)) Q') for eigenvectors Q, with w = 1 between positive eigenvalues, 0 between
    the others and a / (a - b) between a > 0 and b <= 0.
    """
    kept = roots > 0
    positive = vectors[:, kept]
    weights = roots[kept, None] / (roots[kept, None] - np.minimum(roots, 0.0))
    # Pairs of two positive ones come once here, those of both kinds stand for their mirror images too.
    weights[:, kept] = 0.5

    def times(h: Floats) -> Floats:
        inner = weights * ((positive.T * h.ravel()) @ vectors)
        return np.asarray(2 * ((positive @ inner) * vectors).sum(axis=1))

    size = (len(gradient), len(gradient))
    diagonal = np.maximum(2 * (((positive**2) @ weights) * vectors**2).sum(axis=1), 1e-12)
    about = LinearOperator(size, matvec=lambda h: h.ravel() / diagonal, dtype=np.float64)
    norm = float(np.linalg.norm(gradient))
    # The nearer, the more exact: the convergence is quadratic.
    step, _ = cg(
        LinearOperator(size, matvec=times, dtype=np.float64),
        -gradient,
        rtol=min(0.01, max(0.1 * norm, 1e-9)),
        maxiter=200,
        M=about,
    )
    return np.asarray(step)
