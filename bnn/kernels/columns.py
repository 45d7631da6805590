"""The loops: columns of packed bits with their errors and read-outs, in the integers of `prcim.bnn.column_sum`.

A part of 16 * NB output channels is computed at a time, in the order of `packing.to_lanes`, so that each step is a loop
over neighbouring numbers. Integers are cast at each step: Numba would go on in 64 bits, at half the speed.
"""

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic
from numpy.typing import NDArray

from prcim.bnn.kernels.compiled import compiled, inlined

Words = NDArray[np.uint64]
Indices = NDArray[np.uint32]
Integers = NDArray[np.int32]
Floats = NDArray[np.float32]

u32, i32, u64, f32 = np.uint32, np.int32, np.uint64, np.float32
_M0, _M1, _W0, _W1 = u64(0xD2511F53), u64(0xCD9E8D57), u64(0x9E3779B9), u64(0xBB67AE85)
_LOW, _HALF = u64(0xFFFFFFFF), u64(32)
#: Positions whose sums are kept while the groups are gone through.
TILE = 16
MAJORITY, CODE, FLASH = 0, 1, 2


@intrinsic
def ones(context: Any, word: Any) -> Any:
    """Number of one bits in a word."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        return builder.ctpop(arguments[0])

    return numba.types.uint64(numba.types.uint64), generate


@inlined
def philox_words(a: Any, b: Any, c: Any, d: Any, k0: Any, k1: Any) -> Any:
    """`prcim.bnn.philox.philox` on 64-bit integers."""
    for _ in range(7):
        p0, p1 = (a & _LOW) * _M0, (c & _LOW) * _M1
        a, b, c, d = (p1 >> _HALF) ^ b ^ k0, p1, (p0 >> _HALF) ^ d ^ k1, p0
        k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
    return u32(a), u32(b), u32(c), u32(d)


@inlined
def _indices(s: Indices, counts: int, to: int, step: int, word: Any) -> None:
    """Where to look up errors of four channels: K on top of one byte of a word each."""
    s[to] = u32(u32(s[counts] << u32(8)) | u32(word & u32(255)))
    s[to + step] = u32(u32(s[counts + step] << u32(8)) | u32(u32(word >> u32(8)) & u32(255)))
    s[to + 2 * step] = u32(u32(s[counts + 2 * step] << u32(8)) | u32(u32(word >> u32(16)) & u32(255)))
    s[to + 3 * step] = u32(u32(s[counts + 3 * step] << u32(8)) | u32(word >> u32(24)))


@compiled
def column_sums(
    s: Indices, z: Integers, words: Words, start: int, stop: int, g: int, rows: Words, n: int, fresh: NDArray[Any],
    residual: NDArray[Any], curves: NDArray[Any], base: Indices, below: Integers, first: int, counters: Words,
    patterns: Words, keys: Words, lanes: Any,
) -> None:  # fmt: skip
    """S + error - threshold of one group and part at some positions.

    Args:
        s: room for K and three indices.
        z: what is found, by position from `start`.
        start, stop: which positions.
        g, rows, base, below: the group; its weights, curves and thresholds.
        first: counter of the part's first sixteen channels.
        words, n, fresh, residual, curves, counters, patterns, keys, lanes: as for `read_out`.
    """
    nb = len(lanes)
    size = 16 * nb
    i1, i2, i3 = size, 2 * size, 3 * size
    # Each step is a loop of its own, so that it becomes one of vector instructions; look-ups, which do not, share one.
    for t in range(stop - start):
        m = start + t
        word = words[m, g, 0]
        for j in range(size):
            s[j] = u32(u32(n) - u32(ones(word ^ rows[0, j])))  # type: ignore[call-arg]
        for v in range(1, len(rows)):
            word = words[m, g, v]
            for j in range(size):
                s[j] = u32(s[j] - u32(ones(word ^ rows[v, j])))  # type: ignore[call-arg]
        if len(fresh):
            c1, c2, c3, k0, k1 = counters[m, 0], counters[m, 1], counters[m, 2], keys[0, 0], keys[0, 1]
            for j in range(nb):
                w0, w1, w2, w3 = philox_words(u64(first + j), c1, c2, c3, k0, k1)
                _indices(s, j, i1 + j, nb, w0)
                _indices(s, 4 * nb + j, i1 + 4 * nb + j, nb, w1)
                _indices(s, 8 * nb + j, i1 + 8 * nb + j, nb, w2)
                _indices(s, 12 * nb + j, i1 + 12 * nb + j, nb, w3)
        if len(residual):
            c1, c2, k0, k1 = patterns[0, m, g], patterns[1, m, g], keys[1, 0], keys[1, 1]
            for j in range(nb):
                w0, w1, w2, w3 = philox_words(u64(first + j), c1, c2, u64(0), k0, k1)
                _indices(s, j, i2 + j, nb, w0)
                _indices(s, 4 * nb + j, i2 + 4 * nb + j, nb, w1)
                _indices(s, 8 * nb + j, i2 + 8 * nb + j, nb, w2)
                _indices(s, 12 * nb + j, i2 + 12 * nb + j, nb, w3)
        if len(curves):
            for j in range(size):
                s[i3 + j] = u32(base[j] + s[j])
        if len(residual):
            for j in range(size):
                error = i32(i32(fresh[s[i1 + j]]) + i32(residual[s[i2 + j]]))
                z[t, j] = i32(error + i32(curves[s[i3 + j]]))
        elif len(fresh):
            for j in range(size):
                z[t, j] = i32(fresh[s[i1 + j]])
        elif len(curves):
            for j in range(size):
                z[t, j] = i32(curves[s[i3 + j]])
        else:
            for j in range(size):
                z[t, j] = i32(0)
        for j in range(size):
            z[t, j] = i32(i32(z[t, j] + i32(i32(s[j]) << i32(7))) - below[j])


@compiled
def read_out(
    words: Words, weights: Words, n: int, tables: Any, base: Indices, below: Integers, comparators: Integers,
    counters: Words, patterns: Words, keys: Words, mode: int, step: int, half: int, bias: int, lanes: Any, first: int,
    last: int, totals: Floats,
) -> None:  # fmt: skip
    """What the read-outs of all columns of an output add up to.

    Args:
        words: inputs (M, G, W).
        weights: (G, parts, W, 16 NB).
        n: inputs of a column.
        tables: errors by K and READ draw, by K and RESIDUAL draw, and curves over K, flat; those not used are empty.
        base: where the curve of each column begins, (G, parts, 16 NB).
        below: threshold + 64 n of each column, its offset taken off, (G, parts, 16 NB).
        comparators: of a flash converter, thresholds from the first one on, (count, G, parts, 16 NB).
        counters: position, image and read of each input, (M, 3).
        patterns: digests, (2, M, G); without residual they are not read.
        keys: of READ and RESIDUAL, (2, 2).
        mode: MAJORITY, CODE or FLASH.
        step, half: of the converter, in units of 2 in S; half of the number of its codes.
        bias: added to the number of a code, so that a conversion to integers rounds down.
        lanes: a tuple of NB numbers, whose length is a constant to the compiler.
        first, last: which pairs of a tile of positions and a part of channels.
        totals: (M, O); number of votes +1, or sum of `number + bias`.
    """
    count, groups = words.shape[:2]
    parts = weights.shape[1]
    fresh, residual, curves = tables
    nb = len(lanes)
    size = 16 * nb
    outputs = totals.shape[1]
    blocks = (outputs + 15) // 16
    s = np.empty(4 * size, np.uint32)
    z = np.empty((TILE, size), np.int32)
    sums = np.empty((TILE, size), np.int32)
    inverse = f32(f32(1) / f32(step))
    lift = f32(f32(bias * step) + f32(0.5))
    low, high = i32(bias - half), i32(bias + half - 1)
    for item in range(first, last):
        part, start = item % parts, item // parts * TILE
        stop = min(start + TILE, count)
        sums[:] = i32(0)
        for g in range(groups):
            column_sums(
                s, z, words, start, stop, g, weights[g, part], n, fresh, residual, curves, base[g, part],
                below[g, part], g * blocks + part * nb, counters, patterns, keys, lanes,
            )  # fmt: skip
            if mode == MAJORITY:
                for t in range(stop - start):
                    for j in range(size):
                        sums[t, j] = i32(sums[t, j] + (i32(1) if z[t, j] >= i32(0) else i32(0)))
            elif mode == CODE:
                for t in range(stop - start):
                    for j in range(size):
                        # Thresholds are multiples of 128 = 2 in S apart from the first.
                        q = i32(f32(f32(i32(z[t, j] >> i32(7))) + lift) * inverse)
                        q = q if q > low else low
                        q = q if q < high else high
                        sums[t, j] = i32(sums[t, j] + q)
            else:
                sums[: stop - start] += low
                for c in range(len(comparators)):
                    threshold = comparators[c, g, part]
                    for t in range(stop - start):
                        for j in range(size):
                            sums[t, j] = i32(sums[t, j] + (i32(1) if z[t, j] >= threshold[j] else i32(0)))
        for m in range(start, stop):
            for j in range(nb):
                for k in range(16):
                    o = part * size + 16 * j + k
                    if o < outputs:
                        totals[m, o] = f32(sums[m - start, k * nb + j])


@compiled
def moments(
    words: Words, weights: Words, n: int, tables: Any, base: Indices, below: Integers, counters: Words,
    patterns: Words, keys: Words, lanes: Any, outputs: int, first: int, last: int, found: NDArray[np.int64],
) -> None:  # fmt: skip
    """Sums of z and of its square over all positions, `found` (2, G, O); arguments as for `read_out`.

    Args:
        first, last: which pairs of a group and a part of channels.
    """
    parts = weights.shape[1]
    fresh, residual, curves = tables
    nb = len(lanes)
    size = 16 * nb
    blocks = (outputs + 15) // 16
    s = np.empty(4 * size, np.uint32)
    z = np.empty((TILE, size), np.int32)
    total, square = np.empty(size, np.int64), np.empty(size, np.int64)
    for item in range(first, last):
        g, part = item // parts, item % parts
        total[:] = square[:] = 0
        for start in range(0, len(words), TILE):
            stop = min(start + TILE, len(words))
            column_sums(
                s, z, words, start, stop, g, weights[g, part], n, fresh, residual, curves, base[g, part],
                below[g, part], g * blocks + part * nb, counters, patterns, keys, lanes,
            )  # fmt: skip
            for t in range(stop - start):
                for j in range(size):
                    value = np.int64(z[t, j])
                    total[j] += value
                    square[j] += value * value
        for j in range(size):
            o = part * size + 16 * (j % nb) + j // nb
            if o < outputs:
                found[0, g, o], found[1, g, o] = total[j], square[j]


@compiled
def clipped(
    words: Words, weights: Words, n: int, tables: Any, base: Indices, below: Integers, counters: Words,
    patterns: Words, keys: Words, lanes: Any, reach: int, outputs: int, items: NDArray[np.int64],
    found: NDArray[np.int64],
) -> int:  # fmt: skip
    """Position, group and output of each sum beyond -reach <= z < reach; other arguments as for `read_out`.

    Args:
        items: pairs of a tile of positions and a part of channels to look through.
        found: room for what is found, (count, 3).

    Returns:
        How many there are, as far as there is room and one more.
    """
    parts = weights.shape[1]
    fresh, residual, curves = tables
    nb = len(lanes)
    size = 16 * nb
    blocks = (outputs + 15) // 16
    s = np.empty(4 * size, np.uint32)
    z = np.empty((TILE, size), np.int32)
    most = np.empty(size, np.int32)
    count = 0
    for item in items:
        part, start = item % parts, item // parts * TILE
        stop = min(start + TILE, len(words))
        for g in range(words.shape[1]):
            column_sums(
                s, z, words, start, stop, g, weights[g, part], n, fresh, residual, curves, base[g, part],
                below[g, part], g * blocks + part * nb, counters, patterns, keys, lanes,
            )  # fmt: skip
            most[:] = i32(0)
            for t in range(stop - start):
                for j in range(size):
                    # z from 0 on, -1 - z below.
                    distance = i32(z[t, j] ^ i32(z[t, j] >> i32(31)))
                    most[j] = distance if distance > most[j] else most[j]
            if most.max() < reach:
                continue
            for t in range(stop - start):
                for j in range(size):
                    o = part * size + 16 * (j % nb) + j // nb
                    if o < outputs and not -reach <= z[t, j] < reach:
                        if count == len(found):
                            return count + 1
                        found[count, 0], found[count, 1], found[count, 2] = start + t, g, o
                        count += 1
    return count


@compiled
def digests(words: Words, patterns: Words, first: int, last: int) -> None:
    """The digest of each input word, as `prcim.bnn.keys.digest`: words (M, G, W) -> (2, M, G)."""
    groups, count = words.shape[1:]
    # Slices that begin at zero: an index that might be negative would be checked, one number at a time.
    rows = words[first:last].reshape(-1, count)
    low, high = patterns[0, first:last].reshape(-1), patterns[1, first:last].reshape(-1)
    low[:] = high[:] = u64(0)
    for v in range(count):
        for r in range((last - first) * groups):
            word = rows[r, v]
            a, b, _, _ = philox_words(word, word >> _HALF, low[r], high[r], u64(0), u64(0))
            low[r], high[r] = u64(a), u64(b)
