"""Signs as bits: +1 is a one. Bit i of word j is input 64 j + i of a column; bits beyond the last input are zero."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from prcim.bnn.kernels.compiled import compiled

Words = NDArray[np.uint64]
Floats = NDArray[np.float32]

_ONE, _ZERO = np.uint64(1), np.uint64(0)


@compiled
def pack_rows(x: Floats, words: Words, first: int, last: int) -> None:
    """Inputs that lie side by side: x (R, groups * n) -> words (R, groups, ceil(n / 64)), rows `first` to `last`."""
    groups, count = words.shape[1:]
    n = x.shape[1] // groups
    for r in range(first, last):
        for g in range(groups):
            for w in range(count):
                start = g * n + 64 * w
                size = min(64, n - 64 * w)
                word = _ZERO
                if size == 64:
                    part = x[r, start : start + 64]
                    for i in range(64):
                        word |= np.uint64(part[i] > 0) << np.uint64(i)
                else:
                    for i in range(size):
                        word |= np.uint64(x[r, start + i] > 0) << np.uint64(i)
                words[r, g, w] = word


@compiled
def pack_images(x: Floats, words: Words, first: int, last: int) -> None:
    """Channels that lie apart: x (B, C, pixels) -> words (B, pixels, ceil(C / 64)), images `first` to `last`."""
    _, channels, pixels = x.shape
    word = np.empty(pixels, np.uint64)
    for b in range(first, last):
        for w in range(words.shape[2]):
            word[:] = _ZERO
            for c in range(64 * w, min(channels, 64 * w + 64)):
                bit, row = np.uint64(c - 64 * w), x[b, c]
                for p in range(pixels):
                    word[p] |= np.uint64(row[p] > 0) << bit
            for p in range(pixels):
                words[b, p, w] = word[p]


@compiled
def cut_windows(
    pixels: Words, channels: int, kernel: int, stride: int, n: int, words: Words, first: int, last: int
) -> None:
    """Columns of a convolution: pixels (B, H, W, ceil(C / 64)) -> words (B, H', W', G, ceil(n / 64)).

    A column's inputs run on from one place of the window to the next, channel last.
    """
    _, high, wide, groups, count = words.shape
    # Whole words: those of a place follow each other, and those of the places in a row of the window too.
    if channels % 64 == 0 and n % 64 == 0:
        run = kernel * pixels.shape[3]
        flat = words.reshape(words.shape[0], high, wide, groups * count)
        for b in range(first, last):
            for y in range(high):
                for k in range(kernel):
                    row = pixels[b, y * stride + k].reshape(-1)
                    for x in range(wide):
                        for i in range(run):
                            flat[b, y, x, k * run + i] = row[x * stride * pixels.shape[3] + i]
        return
    for b in range(first, last):
        for y in range(high):
            for x in range(wide):
                for g in range(groups):
                    for w in range(count):
                        start = g * n + 64 * w
                        size = min(64, n - 64 * w)
                        word, done = _ZERO, 0
                        while done < size:
                            place, c = divmod(start + done, channels)
                            row = pixels[b, y * stride + place // kernel, x * stride + place % kernel]
                            take = min(size - done, channels - c)
                            shift = np.uint64(c % 64)
                            bits = row[c // 64] >> shift
                            if c % 64 and c // 64 + 1 < len(row):
                                bits |= row[c // 64 + 1] << (np.uint64(64) - shift)
                            if take < 64:
                                bits &= (_ONE << np.uint64(take)) - _ONE
                            word |= bits << np.uint64(done)
                            done += take
                        words[b, y, x, g, w] = word


def words_for(count: int) -> int:
    """Words that `count` bits take."""
    return -(-count // 64)


def to_lanes(values: NDArray[Any], blocks: int) -> NDArray[Any]:
    """Channels in the order in which they are computed: (..., O) -> (..., parts, 16 * blocks), zeros for what is left.

    One call of the generator serves sixteen neighbouring channels, so a part of 16 * `blocks` channels has the first of
    each sixteen side by side, then the second of each, and so on.

    Example:
        >>> to_lanes(np.arange(33), 2)[:, :8]
        array([[ 0, 16,  1, 17,  2, 18,  3, 19],
               [32,  0,  0,  0,  0,  0,  0,  0]])
    """
    size = 16 * blocks
    *leading, channels = values.shape
    parts = -(-channels // size)
    padded = np.zeros((*leading, parts * size), values.dtype)
    padded[..., :channels] = values
    lanes = padded.reshape(*leading, parts, blocks, 16).swapaxes(-1, -2)
    return np.ascontiguousarray(lanes).reshape(*leading, parts, size)


def to_blocks(values: NDArray[Any]) -> NDArray[Any]:
    """Values (G, O) or (G, O, W) as (blocks of 16 outputs, G, 16) or with W, flat, zeros for what is left.

    Example:
        >>> to_blocks(np.arange(1, 5).reshape(2, 2))[[0, 1, 2, 16, 17]]
        array([1, 2, 0, 3, 4])
    """
    groups, outputs, *rest = values.shape
    blocks = -(-outputs // 16)
    # What belongs together is moved as one piece: many times faster than number by number.
    pieces = values.view(f"V{values.dtype.itemsize * rest[0]}")[..., 0] if rest else values
    padded = np.zeros((groups, blocks * 16), pieces.dtype)
    padded[:, :outputs] = pieces
    moved = np.ascontiguousarray(padded.reshape(groups, blocks, 16).swapaxes(0, 1))
    return moved.view(values.dtype).ravel()
