"""The input vectors that a column is read with."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from prcim.characterize.plan import Plan
from prcim.characterize.streams import Stream


def input_patterns(
    weights: NDArray[np.int8], plan: Plan, index: int, patterns: Iterable[int]
) -> tuple[NDArray[np.int8], NDArray[np.int_]]:
    """Input vectors of one column.

    Pattern p is an order of the rows; at K conducting cells the first K rows of the order conduct. So every vector is
    uniform among those with its K, and neighbouring sums of one pattern differ in few rows, which the solver likes.
    Odd patterns run from the largest sum down: at both ends all patterns meet.

    Args:
        weights: +1 or -1, shape (n_used,).
        plan: gives sums and seed.
        index: the column's number.
        patterns: which of its patterns.

    Returns:
        Inputs, +1 or -1, shape (patterns * sums, n_used); conducting cells, shape (patterns * sums,).
    """
    n_on = np.array(plan.n_on)
    inputs, counts = [], []
    for pattern in patterns:
        rng = np.random.default_rng((plan.seed, Stream.PATTERN, index, pattern))
        rank = rng.permutation(len(weights))
        ordered = n_on if pattern % 2 == 0 else n_on[::-1]
        inputs.append(np.where(rank < ordered[:, None], weights, -weights))
        counts.append(ordered)
    return np.concatenate(inputs, dtype=np.int8), np.concatenate(counts)
