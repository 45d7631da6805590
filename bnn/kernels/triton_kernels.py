"""The loops for GPUs, in Triton: packing, digests, and columns with their errors and read-out in one pass.

A program computes a tile of `BM` positions and 16 `NB` channels. One call of Philox gives the draws of a block of 16
channels; of a product's result a thread holds two neighbouring columns of every eight. So columns of a tile are in the
order of pairs of channels: the first pair of every block, then the second of every block, and so on. With four blocks a
thread then has all channels of one, and draws meet sums without a word between threads.
"""

import triton
import triton.language as tl

from prcim.bnn import philox

_ROUNDS = tl.constexpr(philox.ROUNDS)
VOTES, CODES, FLASHES, VOTE_GRADIENTS, CODE_GRADIENTS, MOMENTS, CLIPPED = (tl.constexpr(number) for number in range(7))


@triton.jit
def pack(
    x: tl.tensor, packed: tl.tensor, count: int, channels: int, pixels: int, width: int, image_stride: int,
    channel_stride: int, row_stride: int, pixel_stride: int, BP: tl.constexpr, BC: tl.constexpr,
) -> None:  # fmt: skip
    """Signs as int8, +1 or -1, channel last: x (B, C, H, W) with any strides -> packed (B * H * W, C).

    Args:
        x, packed: pointers.
        count, channels, pixels, width: B * H * W, C, H * W, W.
        image_stride, channel_stride, row_stride, pixel_stride: of x.
        BP, BC: pixels and channels of a program.
    """
    p = (tl.program_id(0) * BP + tl.arange(0, BP)).to(tl.int64)
    c = tl.program_id(1) * BC + tl.arange(0, BC)
    at = p // pixels * image_stride + p % pixels // width * row_stride + p % width * pixel_stride
    inside = (p < count)[:, None] & (c < channels)[None, :]
    values = tl.load(x + at[:, None] + c[None, :].to(tl.int64) * channel_stride, mask=inside, other=0.0)
    signs = tl.where(values > 0, 1, -1).to(tl.int8)
    tl.store(packed + p[:, None] * channels + c[None, :], signs, mask=inside)


@triton.jit
def _starts(m: tl.tensor, positions: int, wide: int, image_size: int, down: int, across: int) -> tl.tensor:
    """Where the window of each position begins in the packed inputs."""
    p = m % positions
    return (m // positions).to(tl.int64) * image_size + p // wide * down + p % wide * across


@triton.jit
def _rows(
    x: tl.tensor, start: tl.tensor, here: tl.tensor, g: tl.tensor, i: tl.tensor, run: int, row_size: int,
    N: tl.constexpr,
) -> tl.tensor:  # fmt: skip
    """Inputs i of a group at some positions; beyond the last one zeros."""
    k = g * N + i
    at = start[:, None] + (k // run * row_size + k % run)[None, :]
    return tl.load(x + at, mask=here[:, None] & (i < N)[None, :], other=0)


@triton.jit
def _word(
    x: tl.tensor, start: tl.tensor, here: tl.tensor, g: tl.tensor, first: tl.constexpr, run: int, row_size: int,
    N: tl.constexpr,
) -> tl.tensor:  # fmt: skip
    """Inputs `first` to `first + 32` of a group at some positions as the bits of a word."""
    bit = tl.arange(0, 32)
    ones = (_rows(x, start, here, g, first + bit, run, row_size, N) > 0).to(tl.int32)
    return tl.sum(ones << bit[None, :], 1).to(tl.uint32, bitcast=True)


@triton.jit
def digests(
    x: tl.tensor, patterns: tl.tensor, count: int, positions: int, wide: int, image_size: int, down: int, across: int,
    run: int, row_size: int, groups: int, N: tl.constexpr, BM: tl.constexpr,
) -> None:  # fmt: skip
    """The digest of each column's input, as `prcim.bnn.keys.digest`: patterns (M, G, 2).

    Args:
        x, patterns: pointers; packed inputs.
        count, positions, wide, image_size, down, across, run, row_size, groups, N: as for `columns`.
        BM: positions of a program.
    """
    m, g = tl.program_id(0) * BM + tl.arange(0, BM), tl.program_id(1)
    start = _starts(m, positions, wide, image_size, down, across)
    here = m < count
    low = tl.zeros((BM,), tl.uint32)
    high = tl.zeros((BM,), tl.uint32)
    for v in tl.static_range((N + 63) // 64):
        word0 = _word(x, start, here, g, 64 * v, run, row_size, N)
        word1 = _word(x, start, here, g, 64 * v + 32, run, row_size, N)
        low, high, _, _ = tl.philox(0, word0, word1, low, high, _ROUNDS)
    place = (m.to(tl.int64) * groups + g) * 2
    tl.store(patterns + place, low.to(tl.int32, bitcast=True), mask=here)
    tl.store(patterns + place + 1, high.to(tl.int32, bitcast=True), mask=here)


@triton.jit
def _more(
    mac: tl.tensor, x: tl.tensor, weight: tl.tensor, start: tl.tensor, here: tl.tensor, o: tl.tensor, g: tl.tensor,
    first: int, groups: int, outputs: int, run: int, row_size: int, N: tl.constexpr, BK: tl.constexpr,
) -> tl.tensor:  # fmt: skip
    """Partial sums and what the group's inputs `first` to `first + BK` add to them."""
    i = first + tl.arange(0, BK)
    rows = _rows(x, start, here, g, i, run, row_size, N)
    at = o[None, :].to(tl.int64) * (groups * N) + (g * N + i)[:, None]
    lines = tl.load(weight + at, mask=(o < outputs)[None, :] & (i < N)[:, None], other=0)
    return tl.dot(rows, lines, acc=mac, out_dtype=tl.int32)


@triton.jit
def _in_order(v: tl.tensor, BM: tl.constexpr, NB: tl.constexpr) -> tl.tensor:
    """The columns of a tile as channels follow each other, (BM, 16 NB)."""
    return tl.reshape(tl.permute(tl.reshape(v, (BM, 8, NB, 2)), (0, 2, 1, 3)), (BM, 16 * NB))


@triton.jit
def _draws(
    key_low: tl.tensor, key_high: tl.tensor, c0: tl.tensor, c1: tl.tensor, c2: tl.tensor, c3: int, BM: tl.constexpr,
    NB: tl.constexpr,
) -> tl.tensor:  # fmt: skip
    """The sixteen 8-bit draws of each counter, (BM, 16 NB), for the columns of a tile."""
    key = (key_high.to(tl.uint32, bitcast=True).to(tl.uint64) << 32) | key_low.to(tl.uint32, bitcast=True)
    w0, w1, w2, w3 = tl.philox(key, c0, c1, c2, c3, _ROUNDS)
    # Each join puts a bit of the draw's number behind the axes: bits 2 and 3, that of the word; 0 and 1, of its byte.
    words = tl.join(tl.join(w0, w1), tl.join(w2, w3))
    draws = tl.join(tl.join(words, words >> 8), tl.join(words >> 16, words >> 24)) & 255
    return tl.reshape(tl.permute(draws, (0, 3, 2, 5, 1, 4)), (BM, 16 * NB)).to(tl.int32)


@triton.jit
def _look_up(table: tl.tensor, index: tl.tensor, BITS: tl.constexpr) -> tl.tensor:
    """Entries of a table of int16 or int32.

    A load as Triton makes it is laid out anew among threads, which here is twice the work of the load itself; so a GPU
    gets the instruction (BITS of an entry). Without it, BITS 0, it is Triton's load.
    """
    if BITS == 16:
        at = (table + index).to(tl.int64)
        return tl.inline_asm_elementwise("ld.global.nc.s16 $0, [$1];", "=r,l", [at], tl.int32, is_pure=True, pack=1)
    elif BITS == 32:
        at = (table + index).to(tl.int64)
        return tl.inline_asm_elementwise("ld.global.nc.s32 $0, [$1];", "=r,l", [at], tl.int32, is_pure=True, pack=1)
    else:
        return tl.load(table + index).to(tl.int32)


@triton.jit(
    do_not_specialize=["first", "last", "share", "read", "key0", "key1", "key2", "key3", "gain", "lift", "most"]
)
def columns(
    x: tl.tensor, weight: tl.tensor, fresh: tl.tensor, residual: tl.tensor, curves: tl.tensor, base: tl.tensor,
    below: tl.tensor, comparators: tl.tensor, images: tl.tensor, patterns: tl.tensor, arriving: tl.tensor,
    slope: tl.tensor, out: tl.tensor, first: int, last: int, positions: int, wide: int, image_size: int, down: int,
    across: int, run: int, row_size: int, groups: int, outputs: int, share: int, read: int, key0: int, key1: int,
    key2: int, key3: int, gain: int, lift: int, thresholds: int, most: int, MODE: tl.constexpr, N: tl.constexpr,
    STEP: tl.constexpr, HALF: tl.constexpr, FRESH: tl.constexpr, RESIDUAL: tl.constexpr, CURVES: tl.constexpr,
    FRESH_BITS: tl.constexpr, RESIDUAL_BITS: tl.constexpr, CURVES_BITS: tl.constexpr, BASE: tl.constexpr,
    SPLIT: tl.constexpr, BM: tl.constexpr, NB: tl.constexpr, BK: tl.constexpr,
) -> None:  # fmt: skip
    """S + error - threshold of a tile of positions and channels, and what MODE makes of it.

    Args:
        x: inputs as `pack` leaves them.
        weight: (O, inputs), int8, the order of a window's inputs.
        fresh, residual: errors by K and draw, (N + 1, 256); not read without FRESH, RESIDUAL.
        curves: over K; not read without CURVES.
        base: where the curve of each column begins, (G, O); without BASE that is 0.
        below: threshold less offset of each column, (G, O), in units of 2^-6.
        comparators: thresholds of FLASHES from the first one on, (thresholds, G, O).
        images: (B,).
        patterns: digests, (M, G, 2); not read without RESIDUAL.
        arriving: of gradients: those of the outputs, (M, O).
        slope: of VOTE_GRADIENTS: by |z|, up to number `most` from which on it is that one's.
        out: of VOTES, CODES, FLASHES: (M, O), float32; int32 counts to be added up, with SPLIT. Of gradients: those of
            the sums, (last - first, G, O), float32. Of MOMENTS: sums of z and of its square, (2, G, O), int64. Of
            CLIPPED: how many sums lie beyond a converter's range, then position, group and output of each as far as
            there is room, int64, (1 + 3 `most`).
        first, last: which positions.
        positions, wide: of an image, and of a row of them.
        image_size, down, across: inputs from one image, row of positions, position to the next.
        run, row_size: inputs that follow each other in a window, and from where they begin to where the next ones do.
        groups, outputs: G and O.
        share: groups of a program.
        read, key0, key1, key2, key3: counter and keys of READ and RESIDUAL, as int32.
        gain, lift: the output is gain * count + lift.
        thresholds, most: see above.
        N: inputs of a column.
        STEP, HALF: of a converter, in units of 2 in S; half of the number of its codes.
        BM, NB, BK: tile of positions, of blocks of sixteen channels, of inputs.
    """
    tiles = tl.cdiv(outputs, 16 * NB)
    tile = tl.program_id(0) % tiles
    block = tile * NB + tl.arange(0, NB)
    c = tl.arange(0, 16 * NB)
    # The channel of each column of the tile, and channels as they are in memory.
    o = (tile * NB + c // 2 % NB) * 16 + c // (2 * NB) * 2 + c % 2
    ordered = (tile * (16 * NB) + c)[None, :]
    m = first + tl.program_id(0) // tiles * BM + tl.arange(0, BM)
    here = m < last
    inside = here[:, None] & (ordered < outputs)
    row = m[:, None].to(tl.int64)
    start = _starts(m, positions, wide, image_size, down, across)
    position = (m % positions).to(tl.uint32)[:, None]
    image = tl.load(images + m // positions, mask=here, other=0).to(tl.uint32)[:, None]
    blocks = (outputs + 15) // 16
    low: tl.constexpr = -HALF * STEP
    high: tl.constexpr = HALF * STEP - 1
    # Row K of a table begins at 256 K = 128 S + 128 N.
    middle_fresh, middle_residual = fresh + 128 * N, residual + 128 * N
    counts = tl.zeros((BM, 16 * NB), tl.int32)
    for g in range(tl.program_id(1) * share, tl.minimum((tl.program_id(1) + 1) * share, groups)):
        mac = tl.zeros((BM, 16 * NB), tl.int32)
        if N <= 2 * BK:
            for chunk in tl.static_range((N + BK - 1) // BK):
                mac = _more(mac, x, weight, start, here, o, g, chunk * BK, groups, outputs, run, row_size, N, BK)
        else:
            for chunk in range((N + BK - 1) // BK):
                mac = _more(mac, x, weight, start, here, o, g, chunk * BK, groups, outputs, run, row_size, N, BK)
        column = g * outputs + o
        z = mac * 64 - tl.load(below + column, mask=o < outputs, other=0)[None, :]
        word = (g * blocks + block).to(tl.uint32)[None, :]
        if FRESH:
            draws = _draws(key0, key1, word, position, image, read, BM, NB)
            z += _look_up(middle_fresh, mac * 128 + draws, FRESH_BITS)
        if RESIDUAL:
            pattern = patterns + (row * groups + g) * 2
            d0 = tl.load(pattern, mask=here[:, None], other=0)
            d1 = tl.load(pattern + 1, mask=here[:, None], other=0)
            draws = _draws(key2, key3, word, d0, d1, 0, BM, NB)
            z += _look_up(middle_residual, mac * 128 + draws, RESIDUAL_BITS)
        if CURVES:
            n_on = (mac + N) >> 1
            if BASE:
                n_on += tl.load(base + column, mask=o < outputs, other=0)[None, :]
            z += _look_up(curves, n_on, CURVES_BITS)
        if MODE == VOTES:
            counts += (z >= 0).to(tl.int32)
        elif MODE == CODES:
            # Thresholds are multiples of 128 = 2 in S apart from the first.
            counts += (tl.minimum(tl.maximum(z >> 7, low), high) - low) // STEP
        elif MODE == FLASHES:
            for j in range(thresholds):
                limit = tl.load(comparators + (j * groups * outputs + column), mask=o < outputs, other=0)
                counts += (z >= limit[None, :]).to(tl.int32)
        elif MODE == MOMENTS:
            value = tl.where(here[:, None], z, 0).to(tl.int64)
            tl.atomic_add(out + column, tl.sum(value, 0), mask=o < outputs)
            tl.atomic_add(out + groups * outputs + column, tl.sum(value * value, 0), mask=o < outputs)
        elif MODE == CLIPPED:
            beyond = ((z >> 7 < low) | (z >> 7 > high)) & here[:, None] & (o < outputs)[None, :]
            slot = tl.atomic_add(out + mac * 0, tl.full((BM, 16 * NB), 1, tl.int64), mask=beyond)
            room = beyond & (slot < most)
            place = out + 1 + slot * 3
            tl.store(place, row + slot * 0, mask=room)
            tl.store(place + 1, g + slot * 0, mask=room)
            tl.store(place + 2, o[None, :] + slot * 0, mask=room)
        else:
            grad = tl.load(arriving + row * outputs + ordered, mask=inside, other=0.0)
            if MODE == VOTE_GRADIENTS:
                factor = tl.load(slope + tl.minimum(tl.abs(z), most))
            else:
                factor = ((z >> 7 >= low) & (z >> 7 <= high)).to(tl.float32)
            place = ((row - first) * groups + g) * outputs + ordered
            tl.store(out + place, grad * _in_order(factor, BM, NB), mask=inside)
    if MODE == VOTES or MODE == CODES or MODE == FLASHES:  # noqa: SIM109 - Triton has no `in`
        total = _in_order(counts, BM, NB)
        if SPLIT:
            tl.atomic_add(out + row * outputs + ordered, total, mask=inside)
        else:
            found = (total.to(tl.int64) * gain + lift).to(tl.float32)
            tl.store(out + row * outputs + ordered, found, mask=inside)
