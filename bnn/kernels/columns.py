"""The loops: columns of packed bits with their errors and read-outs, in the integers of `prcim.bnn.column_sum`.

A part of 8 * NB output channels is computed at a time, in the order of `packing.to_lanes`, so that each step is a loop
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
def _ones(context: Any, word: Any) -> Any:
    """Number of one bits in a word."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        return builder.ctpop(arguments[0])

    return numba.types.uint64(numba.types.uint64), generate


@inlined
def _philox(a: Any, b: Any, c: Any, d: Any, keys: Words) -> Any:
    for i in range(10):
        p0, p1 = a * _M0, c * _M1
        a, b, c, d = (p1 >> _HALF) ^ b ^ keys[i, 0], p1 & _LOW, (p0 >> _HALF) ^ d ^ keys[i, 1], p0 & _LOW
    return a, b, c, d


@inlined
def _draw(first: int, b: Any, c: Any, d: Any, keys: Words, s: Indices, to: int, lanes: Any) -> None:
    """Indices of a table by K, at the start of `s`, and by the top 8 bits of a draw."""
    nb = len(lanes)
    for j in range(nb):
        w0, w1, w2, w3 = _philox(u64(first + j), b, c, d, keys)
        w0, w1, w2, w3 = u32(w0), u32(w1), u32(w2), u32(w3)
        s[to + j] = u32(u32(s[j] << u32(8)) | u32(u32(w0 >> u32(8)) & u32(255)))
        s[to + nb + j] = u32(u32(s[nb + j] << u32(8)) | u32(w0 >> u32(24)))
        s[to + 2 * nb + j] = u32(u32(s[2 * nb + j] << u32(8)) | u32(u32(w1 >> u32(8)) & u32(255)))
        s[to + 3 * nb + j] = u32(u32(s[3 * nb + j] << u32(8)) | u32(w1 >> u32(24)))
        s[to + 4 * nb + j] = u32(u32(s[4 * nb + j] << u32(8)) | u32(u32(w2 >> u32(8)) & u32(255)))
        s[to + 5 * nb + j] = u32(u32(s[5 * nb + j] << u32(8)) | u32(w2 >> u32(24)))
        s[to + 6 * nb + j] = u32(u32(s[6 * nb + j] << u32(8)) | u32(u32(w3 >> u32(8)) & u32(255)))
        s[to + 7 * nb + j] = u32(u32(s[7 * nb + j] << u32(8)) | u32(w3 >> u32(24)))


@inlined
def _sums(
    s: Indices, z: Integers, x: Words, weights: Words, part: int, n: int, tables: Any, base: Indices, below: Integers,
    first: int, read: Words, patterns: Words, g: int, keys: Words, lanes: Any,
) -> None:  # fmt: skip
    """S + error - threshold of the columns of one group and part, in the last fifth of `z`, which is `s` as signed."""
    fresh, residual, curves = tables
    size = 8 * len(lanes)
    to = 4 * size
    word, row = x[0], weights[0, part]
    for j in range(size):
        s[j] = u32(u32(n) - u32(_ones(word ^ row[j])))  # type: ignore[call-arg]
    for v in range(1, len(x)):
        word, row = x[v], weights[v, part]
        for j in range(size):
            s[j] = u32(s[j] - u32(_ones(word ^ row[j])))  # type: ignore[call-arg]
    if len(fresh):
        _draw(first, read[0], read[1], read[2], keys[0], s, size, lanes)
    if len(residual):
        _draw(first, patterns[g, 0], patterns[g, 1], u64(0), keys[1], s, 2 * size, lanes)
    if len(curves):
        for j in range(size):
            s[3 * size + j] = u32(base[j] + s[j])
    # One look-up after another in a single loop: each is a load, and the loads of neighbours go on at the same time.
    if len(residual):
        for j in range(size):
            error = i32(i32(fresh[s[size + j]]) + i32(residual[s[2 * size + j]]))
            z[to + j] = i32(error + i32(curves[s[3 * size + j]]))
    elif len(fresh):
        for j in range(size):
            z[to + j] = i32(fresh[s[size + j]])
    elif len(curves):
        for j in range(size):
            z[to + j] = i32(curves[s[3 * size + j]])
    else:
        for j in range(size):
            z[to + j] = i32(0)
    for j in range(size):
        z[to + j] = i32(i32(z[to + j] + i32(z[j] << i32(7))) - below[j])


@compiled
def read_out(
    words: Words, weights: Words, n: int, tables: Any, base: Indices, below: Integers, comparators: Integers,
    counters: Words, patterns: Words, keys: Words, mode: int, step: int, half: int, bias: int, lanes: Any, first: int,
    last: int, totals: Floats,
) -> None:  # fmt: skip
    """What the read-outs of all columns of an output add up to.

    Args:
        words: inputs (M, G, W).
        weights: (G, W, parts, 8 NB).
        n: inputs of a column.
        tables: errors by K and READ draw, by K and RESIDUAL draw, and curves over K, flat; those not used are empty.
        base: where the curve of each column begins, (G, parts, 8 NB).
        below: threshold + 64 n of each column, its offset taken off, (G, parts, 8 NB).
        comparators: of a flash converter, thresholds from the first one on, (count, G, parts, 8 NB).
        counters: position, image and read of each input, (M, 3).
        patterns: digests, (M, G, 2); without residual they are not read.
        keys: of READ and RESIDUAL for each round, (2, 10, 2).
        mode: MAJORITY, CODE or FLASH.
        step, half: of the converter, in units of 2 in S; half of the number of its codes.
        bias: added to the number of a code, so that a conversion to integers rounds down.
        lanes: a tuple of NB numbers, whose length is a constant to the compiler.
        first, last: which pairs of a tile of positions and a part of channels.
        totals: (M, O); number of votes +1, or sum of `number + bias`.
    """
    count, groups = words.shape[:2]
    parts = weights.shape[2]
    nb = len(lanes)
    to = 32 * nb
    outputs = totals.shape[1]
    blocks = (outputs + 7) // 8
    s = np.empty(40 * nb, np.uint32)
    z = s.view(np.int32)
    sums = np.empty((TILE, 8 * nb), np.int32)
    inverse = f32(f32(1) / f32(step))
    lift = f32(f32(bias * step) + f32(0.5))
    low, high = i32(bias - half), i32(bias + half - 1)
    for item in range(first, last):
        part, start = item % parts, item // parts * TILE
        stop = min(start + TILE, count)
        sums[:] = i32(0)
        for g in range(groups):
            for m in range(start, stop):
                _sums(
                    s, z, words[m, g], weights[g], part, n, tables, base[g, part], below[g, part],
                    g * blocks + part * nb, counters[m], patterns[m], g, keys, lanes,
                )  # fmt: skip
                total = sums[m - start]
                if mode == MAJORITY:
                    for j in range(8 * nb):
                        total[j] = i32(total[j] + (i32(1) if z[to + j] >= i32(0) else i32(0)))
                elif mode == CODE:
                    for j in range(8 * nb):
                        # Thresholds are multiples of 128 = 2 in S apart from the first.
                        q = i32(f32(f32(i32(z[to + j] >> i32(7))) + lift) * inverse)
                        q = q if q > low else low
                        q = q if q < high else high
                        total[j] = i32(total[j] + q)
                else:
                    for j in range(8 * nb):
                        total[j] = i32(total[j] + low)
                    for c in range(len(comparators)):
                        threshold = comparators[c, g, part]
                        for j in range(8 * nb):
                            total[j] = i32(total[j] + (i32(1) if z[to + j] >= threshold[j] else i32(0)))
        for m in range(start, stop):
            for j in range(nb):
                for k in range(8):
                    o = part * 8 * nb + 8 * j + k
                    if o < outputs:
                        totals[m, o] = f32(sums[m - start, k * nb + j])


@compiled
def gradients(
    words: Words, weights: Words, n: int, tables: Any, base: Indices, below: Integers,
    counters: Words, patterns: Words, keys: Words, slope: Floats, low: int, high: int, lanes: Any, first: int,
    last: int, arriving: Floats, begin: int, leaving: Floats,
) -> None:  # fmt: skip
    """Gradient of every partial sum from that of its output.

    Args:
        words, weights, n, tables, base, below, counters, patterns, keys, lanes: as for `read_out`.
        slope: by |z|, where there is none less than the last; if empty: one where low <= z < high.
        low, high: that range.
        first, last: which positions.
        arriving: gradients of the outputs (M, O).
        begin: the position that `leaving` begins with.
        leaving: gradients of the partial sums (positions, G, O).
    """
    parts = weights.shape[2]
    groups, outputs = leaving.shape[1:]
    nb = len(lanes)
    to = 32 * nb
    blocks = (outputs + 7) // 8
    s = np.empty(40 * nb, np.uint32)
    z = s.view(np.int32)
    most = i32(len(slope) - 1)
    for m in range(first, last):
        for g in range(groups):
            for part in range(parts):
                _sums(
                    s, z, words[m, g], weights[g], part, n, tables, base[g, part], below[g, part],
                    g * blocks + part * nb, counters[m], patterns[m], g, keys, lanes,
                )  # fmt: skip
                row = leaving[m - begin, g]
                for j in range(nb):
                    for k in range(8):
                        o = part * 8 * nb + 8 * j + k
                        if o < outputs:
                            value = z[to + k * nb + j]
                            if len(slope):
                                row[o] = f32(arriving[m, o] * slope[min(abs(value), most)])
                            else:
                                row[o] = arriving[m, o] if low <= value < high else f32(0)


@compiled
def digests(words: Words, patterns: Words, first: int, last: int) -> None:
    """The digest of each input word, as `prcim.bnn.keys.digest`: words (M, G, W) -> (M, G, 2)."""
    keys = np.empty((10, 2), np.uint64)
    for i in range(10):
        keys[i, 0], keys[i, 1] = u64(i) * _W0 & _LOW, u64(i) * _W1 & _LOW
    for m in range(first, last):
        for g in range(words.shape[1]):
            low = high = u64(0)
            for v in range(words.shape[2]):
                word = words[m, g, v]
                low, high, _, _ = _philox(word & _LOW, word >> _HALF, low, high, keys)
            patterns[m, g, 0], patterns[m, g, 1] = low, high
