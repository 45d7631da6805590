"""Codes where one draw decides on all errors of a column: by limits of the draw, 64 positions side by side."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from prcim.bnn.kernels.compiled import compiled, inlined
from prcim.bnn.kernels.drawn import drawn
from prcim.bnn.kernels.emitter import CHANNELS, LANES
from prcim.bnn.kernels.positions import ROOM, WIDE, counted, first_round, rounds, tile, written
from prcim.bnn.kernels.vectors import (
    SCALARS,
    added,
    any_from_128,
    loaded,
    looked_up,
    looked_up_in_memory,
    one_more_above,
    stored_pairs,
)

Words = NDArray[np.uint64]
Bytes = NDArray[np.uint8]
Places = NDArray[np.int64]
Integers = NDArray[np.int32]
Floats = NDArray[np.float32]

u8, u16, i32, u64, f32 = np.uint8, np.uint16, np.int32, np.uint64, np.float32


@inlined
def _limited(tables: Bytes, which: Any, column: int, index: Any, values: Any, cuts: int, size: int, parts: Any) -> Any:
    """The code of the draw 0, and one more for each limit that the draw is above."""
    code = looked_up(tables, 0, which, column, index, parts)
    for cut in range(1, cuts + 1):
        code = one_more_above(code, values, looked_up(tables, cut * size, which, column, index, parts))
    return code


@inlined
def _limited_and_looked_up(
    tables: Bytes, index: Any, values: Any, cuts: int, size: int, parts: Any, by_draw: Bytes,
    pairs: NDArray[np.uint16], found: Bytes,
) -> Any:  # fmt: skip
    """The same for columns of one kind, and a few look-ups of other channels after each limit."""
    turns = CHANNELS * LANES // SCALARS
    code = looked_up(tables, 0, None, 0, index, parts)
    for turn in range(max(turns, cuts)):
        if turn < turns:
            looked_up_in_memory(found, by_draw, pairs, turn * SCALARS)
        if turn < cuts:
            code = one_more_above(code, values, looked_up(tables, (turn + 1) * size, None, 0, index, parts))
    return code


@inlined
def _by_limits(
    codes: Bytes, draws: Bytes, at: int, inputs: Words, place: int, weights: Words, column: int, width: int,
    tables: Bytes, which: Any, cuts: int, parts: Any,
) -> None:  # fmt: skip
    """Adds the codes of eight channels."""
    index, values = counted(inputs, place, weights, column, width), loaded(draws, at)
    size = LANES * len(parts)
    if len(parts) == 4 and any_from_128(index):
        added(codes, at, _limited(tables, which, column, index, values, cuts, size, parts))
    else:
        # Of a table with 256 entries mostly the first half is enough, at half of the cost.
        added(codes, at, _limited(tables, which, column, index, values, cuts, size, (0, 0)))


@inlined
def _both_ways(
    codes: Bytes, draws: Bytes, inputs: Words, place: int, weights: Words, column: int, width: int, tables: Bytes,
    cuts: int, parts: Any, by_draw: Bytes, pairs: NDArray[np.uint16], found: Bytes,
) -> None:  # fmt: skip
    """The same of sixteen channels: of eight by limits, of eight by a table in memory.

    Limits keep the vector units busy, look-ups the ways to memory; so one takes place in the shadow of the other.
    """
    index, values = counted(inputs, place, weights, column, width), loaded(draws, 0)
    size, half = LANES * len(parts), CHANNELS * LANES
    stored_pairs(pairs, loaded(draws, half), counted(inputs, place, weights, column + CHANNELS, width))
    if len(parts) == 4 and any_from_128(index):
        added(codes, 0, _limited_and_looked_up(tables, index, values, cuts, size, parts, by_draw, pairs, found))
    else:
        added(codes, 0, _limited_and_looked_up(tables, index, values, cuts, size, (0, 0), by_draw, pairs, found))
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
            written(sums, totals, start, block * WIDE, scale)
