"""What each column passes on of the gradient of its output: by the slope of its vote, or all within its range.

It is computed where a gradient arrives, and listed as these are: by span of positions, output, and tile of a span.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from prcim.bnn.kernels.columns import column_sums
from prcim.bnn.kernels.compiled import compiled, inlined
from prcim.bnn.kernels.drawn import drawn
from prcim.bnn.kernels.emitter import CHANNELS, LANES, has_byte_permutations
from prcim.bnn.kernels.packing import to_blocks
from prcim.bnn.kernels.positions import ROOM, WIDE, counted, first_round, rounds, tile
from prcim.bnn.kernels.vectors import loaded, stored, stored_pairs

if TYPE_CHECKING:
    from prcim.bnn.kernels.prepared import Prepared

Words = NDArray[np.uint64]
Floats = NDArray[np.float32]
Integers = NDArray[np.int32]
Indices = NDArray[np.uint32]
Places = NDArray[np.int64]

i32, u32, u64, f32 = np.int32, np.uint32, np.uint64, np.float32
#: Tiles of 64 positions in a span.
TILES = 4
SPAN = TILES * LANES


@inlined
def _passed(sums: Integers, grads: Floats, slope: Floats, low: int, high: int, into: Floats) -> None:
    """What columns pass on, from their sums, errors included and thresholds taken off, and what arrives."""
    if len(slope):
        most = i32(len(slope) - 1)
        for i in range(len(grads)):
            into[i] = f32(grads[i] * slope[u32(min(abs(sums[i]), most))])
    else:
        for i in range(len(grads)):
            into[i] = grads[i] if low <= sums[i] < high else f32(0)


@compiled
def _by_channel(
    words: Words, weights: Words, n: int, tables: Any, base: NDArray[np.uint32], below: Integers, counters: Words,
    patterns: Words, keys: Words, lanes: Any, slope: Floats, low: int, high: int, begin: int, count: int,
    heads: Places, position: Indices, grads: Floats, first: int, last: int, shares: Floats,
) -> None:  # fmt: skip
    """For any processor.

    Args:
        words, weights, n, tables, base, below, counters, patterns, keys, lanes: as for `read_out`.
        slope: by |z|, where there is none less than the last; if empty: one where low <= z < high.
        low, high: that range.
        begin, count: the first position, and how many there are.
        heads: where those of each output and tile begin, (spans, O * TILES + 1).
        position, grads: of each, from the beginning of its span, and what arrives there.
        first, last: which groups.
        shares: (groups, count of all that arrive).
    """
    parts = weights.shape[1]
    fresh, residual, curves = tables
    nb = len(lanes)
    size = 16 * nb
    channels = heads.shape[1] // TILES
    blocks = (channels + 15) // 16
    s, z, sums = np.empty(4 * size, np.uint32), np.empty((LANES, size), np.int32), np.empty(LANES, np.int32)
    for start in range(0, count, LANES):
        head, number = heads[start // SPAN], start // LANES % TILES
        for g in range(first, last):
            into = shares[g - first]
            for part in range(parts):
                column_sums(
                    s, z, words, begin + start, begin + min(start + LANES, count), g, weights[g, part], n, fresh,
                    residual, curves, base[g, part], below[g, part], g * blocks + part * nb, counters, patterns, keys,
                    lanes,
                )  # fmt: skip
                for o in range(part * size, min((part + 1) * size, channels)):
                    lane = (o - part * size) % 16 * nb + (o - part * size) // 16
                    a, b = head[o * TILES + number], head[o * TILES + number + 1]
                    for i in range(a, b):
                        sums[i - a] = z[position[i] & 63, lane]
                    _passed(sums, grads[a:b], slope, low, high, into[a:b])


@compiled
def _by_position(
    words: Words, weights: Words, n: int, fresh: Integers, residual: NDArray[Any], curves: NDArray[Any],
    column: Integers, below: Integers, counters: Words, patterns: Words, keys: Words, draw: bool, slope: Floats,
    low: int, high: int, begin: int, count: int, heads: Places, position: Indices, grads: Floats, first: int,
    last: int, shares: Floats,
) -> None:  # fmt: skip
    """For processors that permute bytes: 64 positions side by side, errors looked up only where a gradient arrives.

    Args:
        words, n, counters, patterns, keys: as for `read_out`.
        weights: as for `codes_by_limits`.
        fresh: 128 K and the error, by n - K and draw, flat.
        residual: errors by n - K and draw, flat.
        curves: flat; those of n - K.
        column: where the curve of each column begins, (G, O).
        below: as for `Prepared`, (G, O).
        draw: whether there is a READ draw.
        slope, low, high, begin, count, heads, position, grads, first, last, shares: as for `_by_channel`.
    """
    groups, width = words.shape[1:]
    channels = heads.shape[1] // TILES
    blocks = -(-channels // WIDE)
    inputs = np.empty((last - first) * width * LANES, np.uint64)
    new, lasting = np.empty(2 * LANES, np.uint64), np.empty(2 * LANES, np.uint64)
    new_keys, lasting_keys = rounds(keys[0]), rounds(keys[1])
    draws, repeated, apart = np.zeros(ROOM, np.uint8), np.zeros(ROOM, np.uint8), np.empty(ROOM, np.uint8)
    at_fresh, at_residual = np.empty(ROOM, np.uint16), np.empty(ROOM, np.uint16)
    sums = np.empty(LANES, np.int32)
    some = words[begin : begin + count]
    for start in range(0, count, LANES):
        head, number = heads[start // SPAN], start // LANES % TILES
        tile(some, start, first, last, inputs)
        for p in range(LANES):
            m = begin + min(start + p, count - 1)
            first_round(new, p, counters[m, 0], counters[m, 1])
        for g in range(first, last):
            into = shares[g - first]
            if len(residual):
                for p in range(LANES):
                    m = begin + min(start + p, count - 1)
                    first_round(lasting, p, patterns[0, m, g], patterns[1, m, g])
            for block in range(blocks):
                if draw:
                    drawn(draws, new, u64(g * blocks + block), counters[begin, 2], new_keys)
                if len(residual):
                    drawn(repeated, lasting, u64(g * blocks + block), u64(0), lasting_keys)
                for half in range(2):
                    at, place = half * CHANNELS * LANES, (block * groups + g) * WIDE + half * CHANNELS
                    index = counted(inputs, (g - first) * width, weights, place, width)
                    stored(apart, at, index)
                    stored_pairs(at_fresh[at:], loaded(draws, at), index)
                    if len(residual):
                        stored_pairs(at_residual[at:], loaded(repeated, at), index)
                for c in range(min(WIDE, channels - block * WIDE)):
                    o, here = block * WIDE + c, slice(c * LANES, (c + 1) * LANES)
                    a, b = head[o * TILES + number], head[o * TILES + number + 1]
                    reach, places = i32(below[g, o]), position[a:b]
                    pairs = at_fresh[here]
                    for i in range(len(places)):
                        sums[i] = i32(fresh[pairs[places[i] & u32(63)]] - reach)
                    if len(residual):
                        pairs = at_residual[here]
                        for i in range(len(places)):
                            sums[i] = i32(sums[i] + i32(residual[pairs[places[i] & u32(63)]]))
                    if len(curves):
                        curve = curves[column[g, o] if len(column) else 0 :]
                        rows = apart[here]
                        for i in range(len(places)):
                            sums[i] = i32(sums[i] + i32(curve[rows[places[i] & u32(63)]]))
                    _passed(sums, grads[a:b], slope, low, high, into[a:b])


def column_shares(layer: "Prepared", slope: Floats, listed: Any, first: int, last: int, shares: Floats) -> None:
    """What each column of some groups passes on.

    Args:
        layer: the columns.
        slope: by |z| in units of 2^-6; if empty, 1 within the converter's range.
        listed: first position, count of positions, and `heads`, `position` and `grads` as for `_by_channel`.
        first, last: which groups.
        shares: what is found, (last - first, count of all that arrive).
    """
    rest = (slope, -layer.reach, layer.reach, *listed, first, last, shares)
    if not has_byte_permutations() or layer.n >= 256:
        _by_channel(*layer.for_loops(), *rest)
        return
    rows = layer.n + 1
    fresh, residual, curves = (
        table.reshape(-1, rows, width) for table, width in zip(layer.tables, (256, 256, 1), strict=True)
    )
    # By rows that do not conduct, which is what xor counts.
    sums = 128 * np.arange(rows, dtype=np.int32)[:, None] + (fresh[0] if len(fresh) else np.zeros(256, np.int32))
    column = layer.column * rows if len(layer.column) else np.zeros((0, 0), np.int64)
    _by_position(
        layer.words, to_blocks(layer.rows.transpose(1, 0, 2)), layer.n, sums[::-1].ravel(),
        residual[:, ::-1].ravel(), curves[:, ::-1].ravel(), column.astype(np.int32), layer.below, layer.counters,
        layer.patterns, layer.keys, len(fresh) > 0, *rest,
    )  # fmt: skip
