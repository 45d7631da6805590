"""Sums of inputs and of their products over all reads, from bits: mean and variance of columns follow from them."""

import numpy as np
from numpy.typing import NDArray

from prcim.bnn.kernels.columns import ones
from prcim.bnn.kernels.compiled import compiled
from prcim.bnn.kernels.threads import share

Words = NDArray[np.uint64]
Counts = NDArray[np.int64]

u64 = np.uint64
#: Words of 64 positions each that are compared at a time: rows of 64 of them fit into the first cache.
CHUNK = 64


@compiled
def _transposed(square: Words) -> None:
    """Makes bit k of word i of what is bit i of word k, of 64 words: blocks change places, half as large each time."""
    mask, size = u64(0xFFFFFFFF), 32
    while size:
        for start in range(0, 64, 2 * size):
            upper, lower = square[start : start + size], square[start + size : start + 2 * size]
            for k in range(size):
                moved = ((upper[k] >> u64(size)) ^ lower[k]) & mask
                lower[k] ^= moved
                upper[k] ^= moved << u64(size)
        size >>= 1
        mask ^= mask << u64(size)


@compiled
def _differences(words: Words, n: int, found: Counts, first: int, last: int) -> None:
    """Counts the positions at which two inputs of a column differ, and those at which one is +1.

    Args:
        words: inputs (M, G, W).
        n: inputs of a column.
        found: (G, n, n + 1), of which the part above the diagonal is written, and in the last place the ones.
        first, last: which groups.
    """
    count, width = len(words), words.shape[2]
    bits, square = np.empty((64 * width, CHUNK), np.uint64), np.empty(64, np.uint64)
    for g in range(first, last):
        found[g] = 0
        for start in range(0, count, 64 * CHUNK):
            used = min(CHUNK, (count - start + 63) // 64)
            for c in range(used):
                begin = start + 64 * c
                inside = min(64, count - begin)
                for v in range(width):
                    square[inside:] = u64(0)
                    for p in range(inside):
                        square[p] = words[begin + p, g, v]
                    _transposed(square)
                    bits[64 * v : 64 * v + 64, c] = square
            for i in range(n):
                row, total = bits[i, :used], u64(0)
                for c in range(used):
                    total += ones(row[c])  # type: ignore[call-arg]
                found[g, i, n] += np.int64(total)
                for k in range(i + 1, n):
                    other, total = bits[k, :used], u64(0)
                    for c in range(used):
                        total += ones(row[c] ^ other[c])  # type: ignore[call-arg]
                    found[g, i, k] += np.int64(total)


def input_moments(words: Words, n: int) -> tuple[Counts, Counts]:
    """Sums over all positions of x and of x x' in each group, (G, n) and (G, n, n), exact.

    Args:
        words: inputs as bits, (M, G, W).
        n: inputs of a column.

    Example:
        >>> total, second = input_moments(np.array([[[1]], [[2]], [[3]]], np.uint64), 2)
        >>> total.tolist(), second.tolist()
        ([[1, 1]], [[[3, -1], [-1, 3]]])
    """
    found = np.empty((words.shape[1], n, n + 1), np.int64)
    share(lambda first, last: _differences(words, n, found, first, last), len(found))
    upper = found[:, :, :n]
    return 2 * found[:, :, n] - len(words), len(words) - 2 * (upper + upper.swapaxes(1, 2))
