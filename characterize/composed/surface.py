"""A smooth function of a cell's mismatch, fitted to simulated cells and evaluated for any number of others."""

from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import final

import numpy as np
from numpy.typing import NDArray

#: Degree of the polynomial in the shifts that matter.
DEGREE = 4
#: A shift whose two standard deviations move the result by more than this share gets all degrees, one below by less
#: than the second none at all.
STRONG, WEAK = 1e-3, 1e-5
#: At most so many shifts get all degrees: 126 terms of degree 4.
STRONG_MAX = 5


@final
@dataclass(frozen=True, kw_only=True)
class Surface:
    """A polynomial in standard normal shifts, of the logarithm of a value wherever all values are positive.

    Attributes:
        terms: each term as the indices of its factors; () is the constant.
        coefficients: shape (terms, points).
        logarithm: whether it is the logarithm that is a polynomial.
        scale: what a value is divided by before.
    """

    terms: tuple[tuple[int, ...], ...]
    coefficients: NDArray[np.float64]
    logarithm: bool
    scale: float

    def __call__(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values at shifts of shape (cells, shifts), shape (cells, points)."""
        found = _features(z, self.terms) @ self.coefficients
        return np.asarray(self.scale * (np.exp(found) if self.logarithm else found))


def terms_of(effect: NDArray[np.float64], *, degree: int = DEGREE) -> tuple[tuple[int, ...], ...]:
    """Terms of a polynomial in which shifts count as far as they matter.

    Args:
        effect: by which share two standard deviations of each shift move the result, shape (shifts,).
        degree: of the terms in the shifts that matter.

    Example:
        >>> terms_of(np.array([0.5, 1e-4, 0.0]), degree=2)
        ((), (0,), (0, 0), (1,))
    """
    order = [int(i) for i in np.argsort(-effect, kind="stable")]
    strong = [i for i in order if effect[i] > STRONG][:STRONG_MAX]
    weak = [i for i in order if effect[i] > WEAK and i not in strong]
    products = [term for d in range(degree + 1) for term in combinations_with_replacement(strong, d)]
    return (*products, *((i,) for i in weak))


def fit_surface(z: NDArray[np.float64], values: NDArray[np.float64], terms: tuple[tuple[int, ...], ...]) -> Surface:
    """The least-squares fit.

    Args:
        z: shifts in standard deviations, shape (cells, shifts).
        values: shape (cells, points).
        terms: from `terms_of`.

    Example:
        >>> z = np.random.default_rng(1).standard_normal((50, 1))
        >>> surface = fit_surface(z, np.exp(2 + 0.5 * z), terms_of(np.array([1.0])))
        >>> surface(np.array([[2.0]])).round(3).tolist()
        [[20.086]]
    """
    logarithm = bool((values > 0).all())
    scale = float(np.abs(values).max()) or 1.0
    wanted = np.log(values / scale) if logarithm else values / scale
    coefficients, *_ = np.linalg.lstsq(_features(z, terms), wanted, rcond=None)
    return Surface(
        terms=terms, coefficients=np.asarray(coefficients, dtype=np.float64), logarithm=logarithm, scale=scale
    )


def _features(z: NDArray[np.float64], terms: tuple[tuple[int, ...], ...]) -> NDArray[np.float64]:
    """Every term, shape (cells, terms); each product is that of its first factors times the last."""
    known: dict[tuple[int, ...], NDArray[np.float64]] = {(): np.ones(len(z))}
    for term in terms:
        if term:
            known[term] = known[term[:-1]] * z[:, term[-1]]
    return np.stack([known[term] for term in terms], axis=1)
