"""What the loops over positions share: 64 of them side by side, for processors that permute bytes; see `vectors`.

The number of conducting cells at 64 positions is 64 bytes, and so is what a small table says of each. Tables go by the
number of rows that do not conduct, n - K, which is what xor counts.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from prcim.bnn.kernels.compiled import compiled, inlined
from prcim.bnn.kernels.emitter import CHANNELS, LANES
from prcim.bnn.kernels.vectors import differences, turned_over, zeros

Words = NDArray[np.uint64]
Floats = NDArray[np.float32]

u64, f32 = np.uint64, np.float32
#: Channels that one call of the generator serves, and what there is room for of them at 64 positions.
WIDE = 2 * CHANNELS
ROOM = WIDE * LANES


@inlined
def first_round(counters: Words, p: int, c1: Any, c2: Any) -> None:
    """What `drawn` wants of a position's counter, from its words 1 and 2."""
    product = u64(c2 * u64(0xCD9E8D57))
    counters[p], counters[LANES + p] = (product >> u64(32)) ^ c1, product & u64(0xFFFFFFFF)


@compiled
def rounds(key: Words) -> Words:
    """The keys of the seven rounds of Philox."""
    keys = np.empty(14, np.uint64)
    k0, k1 = key[0], key[1]
    for turn in range(7):
        keys[2 * turn], keys[2 * turn + 1] = k0, k1
        k0, k1 = (k0 + u64(0x9E3779B9)) & u64(0xFFFFFFFF), (k1 + u64(0xBB67AE85)) & u64(0xFFFFFFFF)
    return keys


@compiled
def tile(words: Words, start: int, first: int, last: int, inputs: Words) -> None:
    """Words of 64 positions from `start` on, of some groups, in the order of `differences`; after the end the last."""
    count, _, width = words.shape
    for p in range(LANES):
        m = min(start + p, count - 1)
        for g in range(first, last):
            for v in range(width):
                inputs[((g - first) * width + v) * LANES + p % 8 * 8 + p // 8] = words[m, g, v]


@inlined
def counted(inputs: Words, place: int, weights: Words, column: int, width: int) -> Any:
    """How many rows do not conduct, of eight channels from `column` on at 64 positions.

    Args:
        inputs, place: words of the positions, and which is the first of the column's group.
        weights: as for `codes_by_limits`.
        column: first of the channels.
        width: words of a column.
    """
    if width % 2:
        index = differences(zeros(), inputs, place * LANES, weights, column * width, width, (0,))
    else:
        index = differences(zeros(), inputs, place * LANES, weights, column * width, width, (0, 0))
    for v in range(2 - width % 2, width, 2):
        index = differences(index, inputs, (place + v) * LANES, weights, column * width + v, width, (0, 0))
    return index


@compiled
def written(sums: NDArray[np.uint16], totals: Floats, start: int, channel: int, scale: Floats) -> None:
    """Sums of some channels at 64 positions into the rows of an output, as `codes_by_limits` says."""
    stop, used = min(start + LANES, len(totals)), min(WIDE, totals.shape[1] - channel)
    bias, factor, middle = scale[0], scale[1], scale[2]
    flat, outputs, whole = totals.reshape(-1), totals.shape[1], 0
    if used == WIDE:
        whole = (stop - start) // WIDE * WIDE
        for p in range(0, whole, WIDE):
            turned_over(flat, (start + p) * outputs + channel, outputs, sums, p, scale)
    for m in range(start + whole, stop):
        for c in range(used):
            totals[m, channel + c] = f32(f32(sums[c * LANES + m - start]) - bias) * factor + middle
