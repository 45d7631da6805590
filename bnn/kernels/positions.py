"""The loops over positions: 64 of them side by side, for processors that permute bytes; see `vectors`.

They give what the loops of `columns` give. The number of conducting cells at 64 positions is 64 bytes, and so is what a
small table says of each. Tables go by the number of rows that do not conduct, n - K, which is what xor counts.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from prcim.bnn.kernels.compiled import compiled, inlined
from prcim.bnn.kernels.vectors import (
    CHANNELS,
    LANES,
    SCALARS,
    added,
    any_from_128,
    differences,
    drawn,
    loaded,
    looked_up,
    looked_up_in_memory,
    one_more_above,
    stored,
    stored_pairs,
    turned_over,
    zeros,
)

Words = NDArray[np.uint64]
Bytes = NDArray[np.uint8]
Places = NDArray[np.int64]
Integers = NDArray[np.int32]
Floats = NDArray[np.float32]

u8, u16, u32, i16, i32, u64, f32 = np.uint8, np.uint16, np.uint32, np.int16, np.int32, np.uint64, np.float32
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
def _write(sums: NDArray[np.uint16], totals: Floats, start: int, channel: int, scale: Floats) -> None:
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


@inlined
def _by_limits(
    codes: Bytes, draws: Bytes, at: int, inputs: Words, place: int, weights: Words, column: int, width: int,
    tables: Bytes, which: Any, cuts: int, parts: Any,
) -> None:  # fmt: skip
    """Adds the codes of eight channels: that of the draw 0, and one more for each limit that the draw is above."""
    index, values = counted(inputs, place, weights, column, width), loaded(draws, at)
    size = LANES * len(parts)
    if len(parts) == 4 and any_from_128(index):
        code = looked_up(tables, 0, which, column, index, parts)
        for cut in range(1, cuts + 1):
            code = one_more_above(code, values, looked_up(tables, cut * size, which, column, index, parts))
    else:
        # Of a table with 256 entries mostly the first half is enough, at half of the cost.
        code = looked_up(tables, 0, which, column, index, (0, 0))
        for cut in range(1, cuts + 1):
            code = one_more_above(code, values, looked_up(tables, cut * size, which, column, index, (0, 0)))
    added(codes, at, code)


@inlined
def _both_ways(
    codes: Bytes, draws: Bytes, inputs: Words, place: int, weights: Words, column: int, width: int, tables: Bytes,
    cuts: int, parts: Any, by_draw: Bytes, pairs: NDArray[np.uint16], found: Bytes,
) -> None:  # fmt: skip
    """The same of sixteen channels: of eight by limits, of eight by a table in memory, a little of each in turn.

    Limits keep the vector units busy, look-ups the ways to memory; so one takes place in the shadow of the other.
    """
    index, values = counted(inputs, place, weights, column, width), loaded(draws, 0)
    size, half = LANES * len(parts), CHANNELS * LANES
    other = counted(inputs, place, weights, column + CHANNELS, width)
    stored_pairs(pairs, loaded(draws, half), other)
    turns = half // SCALARS
    if len(parts) == 4 and any_from_128(index):
        code = looked_up(tables, 0, None, 0, index, parts)
        for turn in range(max(turns, cuts)):
            if turn < turns:
                looked_up_in_memory(found, by_draw, pairs, turn * SCALARS)
            if turn < cuts:
                code = one_more_above(code, values, looked_up(tables, (turn + 1) * size, None, 0, index, parts))
    else:
        code = looked_up(tables, 0, None, 0, index, (0, 0))
        for turn in range(max(turns, cuts)):
            if turn < turns:
                looked_up_in_memory(found, by_draw, pairs, turn * SCALARS)
            if turn < cuts:
                code = one_more_above(code, values, looked_up(tables, (turn + 1) * size, None, 0, index, (0, 0)))
    added(codes, 0, code)
    added(codes, half, loaded(found, 0))


@compiled
def codes_by_limits(
    words: Words, weights: Words, tables: Bytes, which: Any, cuts: int, parts: Any, by_draw: Bytes, flush: int,
    counters: Words, read: int, key: Words, draw: bool, share: int, first: int, last: int, totals: Floats,
    scale: Floats,
) -> None:  # fmt: skip
    """What the read-outs of all columns of an output add up to, where one draw decides on all errors of a column.

    A code does not fall with its draw. So it is that of the draw 0, and one more for each limit that the draw is above.

    Args:
        words: inputs (M, G, W).
        weights: (blocks of 16 outputs, G, 16, W), flat.
        tables: for each kind of column 1 + `cuts` tables: the code of the draw 0, and the limits; flat.
        which: where the tables of each column begin, (blocks, G, 16), flat; None: all have the same.
        cuts: how many limits.
        parts: a tuple of as many numbers as a table has times 64 bytes.
        by_draw: codes by n - K and draw, the same for all columns, where one look-up in memory costs less than all
            limits; or empty.
        flush: codes that surely fit into a byte when added.
        counters: position and image of each input, (M, 2).
        read, key: number of the read; the key of READ.
        draw: whether there is anything to draw.
        share: into how many parts the blocks of outputs are shared out.
        first, last: which pairs of 64 positions and a part.
        totals: (M, O); sums of codes, less the first number of `scale`, times the second, plus the third.
        scale: three numbers.
    """
    count, groups, width = words.shape
    blocks = -(-totals.shape[1] // WIDE)
    inputs = np.empty(groups * width * LANES, np.uint64)
    fresh = np.empty(2 * LANES, np.uint64)
    keys = rounds(key)
    draws, codes, sums = np.zeros(ROOM, np.uint8), np.zeros(ROOM, np.uint8), np.empty(ROOM, np.uint16)
    pairs, found = np.empty(ROOM // 2, np.uint16), np.empty(ROOM // 2, np.uint8)
    before = -1
    for item in range(first, last):
        start = item // share * LANES
        if start != before:
            before = start
            tile(words, start, 0, groups, inputs)
            for p in range(LANES):
                m = min(start + p, count - 1)
                first_round(fresh, p, counters[m, 0], counters[m, 1])
        for block in range(item % share * blocks // share, (item % share + 1) * blocks // share):
            sums[:] = u16(0)
            for g in range(groups):
                if draw:
                    drawn(draws, fresh, u64(g * blocks + block), u64(read), keys)
                column = (block * groups + g) * WIDE
                if len(by_draw):
                    _both_ways(
                        codes,
                        draws,
                        inputs,
                        g * width,
                        weights,
                        column,
                        width,
                        tables,
                        cuts,
                        parts,
                        by_draw,
                        pairs,
                        found,
                    )
                else:
                    for half in range(2):
                        _by_limits(
                            codes, draws, half * CHANNELS * LANES, inputs, g * width, weights,
                            column + half * CHANNELS, width, tables, which, cuts, parts,
                        )  # fmt: skip
                if (g + 1) % flush == 0 or g + 1 == groups:
                    for p in range(ROOM):
                        sums[p] = u16(sums[p] + u16(codes[p]))
                    codes[:] = u8(0)
            _write(sums, totals, start, block * WIDE, scale)


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
            _write(sums, totals, start, block * WIDE, scale)
