"""Codes where a read and its pattern both draw and each column has its curve, 64 positions side by side."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from prcim.bnn.kernels.compiled import compiled
from prcim.bnn.kernels.drawn import drawn
from prcim.bnn.kernels.emitter import CHANNELS, LANES
from prcim.bnn.kernels.positions import ROOM, WIDE, counted, first_round, rounds, tile, written
from prcim.bnn.kernels.vectors import (
    loaded,
    looked_up,
    stored,
    stored_pairs,
)

Words = NDArray[np.uint64]
Bytes = NDArray[np.uint8]
Places = NDArray[np.int64]
Integers = NDArray[np.int32]
Floats = NDArray[np.float32]

u8, u16, i32, u64, f32 = np.uint8, np.uint16, np.int32, np.uint64, np.float32


@compiled
def codes_by_errors(
    words: Words, weights: Words, n: int, fresh: NDArray[np.int16], residual: NDArray[np.int16], curves: Bytes,
    which: Places, below: Integers, mode: int, step: int, half: int, parts: Any, counters: Words, patterns: Words,
    read: int, key: Words, other: Words, share: int, first: int, last: int, totals: Floats,
    scale: Floats,
) -> None:  # fmt: skip
    """The same where a read and its pattern both draw, and each column has its curve.

    Args:
        words, weights, parts, counters, read, key, share, first, last, totals, scale: as for
            `codes_by_limits`.
        n: inputs of a column.
        fresh, residual: errors by n - K and a draw, flat.
        curves: the low bytes of each curve by n - K, and its high bytes; flat.
        which: where the curve of each column begins, (blocks, G, 16), flat.
        below: what 128 K + error must reach for the middle code, or for a vote, (blocks, G, 16), flat.
        mode: whether there is a converter; else a comparator.
        step, half: of the converter, in units of 2 in S; half of the number of its codes.
        patterns: digests, (2, M, G).
        other: the key of RESIDUAL.
    """
    count, groups, width = words.shape
    blocks = -(-totals.shape[1] // WIDE)
    size = LANES * len(parts)
    inputs = np.empty(groups * width * LANES, np.uint64)
    new, lasting = np.empty(2 * LANES, np.uint64), np.empty(2 * LANES, np.uint64)
    keys, others = rounds(key), rounds(other)
    draws, repeated, sums = np.empty(ROOM, np.uint8), np.empty(ROOM, np.uint8), np.empty(ROOM, np.uint16)
    rows = np.empty(CHANNELS * LANES, np.uint8)
    at_fresh, at_residual = np.empty(CHANNELS * LANES, np.uint16), np.empty(CHANNELS * LANES, np.uint16)
    curve, error = np.empty(CHANNELS * LANES, np.int16), np.empty(CHANNELS * LANES, np.int32)
    inverse, lift = f32(f32(1) / f32(step)), f32(f32(half * step) + f32(0.5))
    # Below so many units of 2 in S every code is the first, above as many the last.
    low, high = i32(-half * step), i32(half * step - 1)
    before = -1
    for item in range(first, last):
        start = item // share * LANES
        if start != before:
            before = start
            tile(words, start, 0, groups, inputs)
            for p in range(LANES):
                m = min(start + p, count - 1)
                first_round(new, p, counters[m, 0], counters[m, 1])
        for block in range(item % share * blocks // share, (item % share + 1) * blocks // share):
            sums[:] = u16(0)
            for g in range(groups):
                for p in range(LANES):
                    m = min(start + p, count - 1)
                    first_round(lasting, p, patterns[0, m, g], patterns[1, m, g])
                drawn(draws, new, u64(g * blocks + block), u64(read), keys)
                drawn(repeated, lasting, u64(g * blocks + block), u64(0), others)
                for part in range(2):
                    at, column = part * CHANNELS * LANES, (block * groups + g) * WIDE + part * CHANNELS
                    index = counted(inputs, g * width, weights, column, width)
                    stored(rows, 0, index)
                    stored_pairs(at_fresh, loaded(draws, at), index)
                    stored_pairs(at_residual, loaded(repeated, at), index)
                    lower = looked_up(curves, 0, which, column, index, parts)
                    upper = looked_up(curves, size, which, column, index, parts)
                    stored_pairs(curve, lower, upper)
                    for p in range(CHANNELS * LANES):
                        error[p] = i32(i32(fresh[at_fresh[p]]) + i32(residual[at_residual[p]]))
                    for c in range(CHANNELS):
                        reach = i32(128 * n - below[column + c])
                        for p in range(c * LANES, (c + 1) * LANES):
                            z = i32(i32(error[p] + i32(curve[p])) + i32(reach - i32(i32(rows[p]) << i32(7))))
                            if mode == 0:
                                sums[at + p] = u16(sums[at + p] + (u16(1) if z >= i32(0) else u16(0)))
                            else:
                                # Thresholds are multiples of 128 = 2 in S apart from the first.
                                q = i32(z >> i32(7))
                                q = q if q > low else low
                                q = q if q < high else high
                                sums[at + p] = u16(sums[at + p] + u16(i32(f32(f32(q) + lift) * inverse)))
            written(sums, totals, start, block * WIDE, scale)
