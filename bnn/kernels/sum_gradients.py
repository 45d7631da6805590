"""Gradients of inputs, weights and thresholds from those of the outputs, where each column passes on its own share.

The work goes by the gradients that are not zero. Behind a pool most are: only the largest of its sums gets one; and the
window of a sign closes on more. What is computed of these few takes less time than a dense product of all.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prcim.bnn.kernels.column_shares import SPAN, TILES, column_shares
from prcim.bnn.kernels.compiled import compiled, inlined
from prcim.bnn.kernels.emitter import LANES
from prcim.bnn.kernels.places import input_places
from prcim.bnn.kernels.signed_sums import WIDTH, add_signed, no_sums, with_value
from prcim.bnn.kernels.threads import share

if TYPE_CHECKING:
    from prcim.bnn.kernels.prepared import Prepared

Words = NDArray[np.uint64]
Floats = NDArray[np.float32]
Indices = NDArray[np.uint32]
Places = NDArray[np.int64]

f32 = np.float32
#: Outputs that are listed together, gradients of inputs, each window's by itself, and of columns, in memory at a time.
LISTED_AT_ONCE, WINDOWS_AT_ONCE, SHARES_AT_ONCE = 1 << 18, 1 << 21, 1 << 18


@compiled
def _listed(
    arriving: Floats, starts: Places, outputs: Indices, ranks: Indices, heads: Places, position: Indices,
    grads: Floats,
) -> None:  # fmt: skip
    """Lists what is not zero, by position, and by span, output and tile.

    Args:
        arriving: gradients of outputs, (M, O).
        starts: where those of each position begin, (M + 1,).
        outputs, ranks: of each, its output, and which it is in the other order.
        heads: where those of each output and tile begin in the other order, (spans, O * TILES + 1).
        position, grads: of each in that order, the position from the beginning of its span, and the gradient.
    """
    count = 0
    for m in range(len(arriving)):
        span, tile = heads[m // SPAN], m // LANES % TILES
        starts[m] = count
        for o in range(arriving.shape[1]):
            if arriving[m, o] != f32(0):
                outputs[count] = o
                span[o * TILES + tile + 1] += 1
                count += 1
    starts[len(arriving)] = count
    begins = np.empty(heads.shape[1], np.int64)
    for number in range(len(heads)):
        span, first = heads[number], number * SPAN
        span[0] = starts[first]
        for k in range(1, len(span)):
            span[k] += span[k - 1]
        begins[:] = span
        for m in range(first, min(first + SPAN, len(arriving))):
            tile = (m - first) // LANES
            for i in range(starts[m], starts[m + 1]):
                rank = begins[outputs[i] * TILES + tile]
                ranks[i], position[rank], grads[rank] = rank, m - first, arriving[m, outputs[i]]
                begins[outputs[i] * TILES + tile] += 1


@inlined
def _add_up(into: Floats, at: int, rows: Words, which: Indices, values: Floats, ranks: Indices) -> Any:
    """Adds rows of signs, each times a value, to what stands from a place on; returns the sum of the values.

    Args:
        into, at: flat, and the place.
        rows: bits, (R, W).
        which: rows.
        values, ranks: the values, and which one belongs to each row.
    """
    total = 0.0
    for word in range(rows.shape[1]):
        sums, total = no_sums(), 0.0
        # Few steps that wait for each other: while the sums are added to, the next value is looked up.
        for i in range(len(which)):
            value = values[ranks[i]]
            total += value
            sums = with_value(sums, rows[which[i], word], value)
        add_signed(into, at + WIDTH * word, sums, f32(total))
    return total


@compiled
def _products(
    words: Words, rows: Words, n: int, begin: int, starts: Places, outputs: Indices, ranks: Indices, heads: Places,
    position: Indices, first: int, last: int, shares: Floats, of_inputs: Floats, of_weights: Floats,
    of_thresholds: NDArray[np.float64],
) -> None:  # fmt: skip
    """Gradients of what belongs to some groups, from those of some positions.

    Args:
        words, rows: inputs (M, G, W) and weights (O, G, W).
        n: inputs of a column.
        begin: the first of the positions.
        starts, outputs, ranks, heads, position: of `_listed`.
        first, last: which groups.
        shares: gradients of the columns, see `column_shares`.
        of_inputs: (T, G, 64 W), with room for inputs that fill no word.
        of_weights, of_thresholds: (O, G, n) and (G, O), to add to.
    """
    channels, width = len(rows), rows.shape[2]
    there, here = np.empty((channels, width), np.uint64), np.empty((SPAN, width), np.uint64)
    found, every = np.empty((channels, WIDTH * width), np.float32), np.arange(shares.shape[1]).astype(np.uint32)
    flat = found.reshape(-1)
    for g in range(first, last):
        there[:] = rows[:, g]
        found[:] = f32(0)
        share = shares[g - first]
        for number in range(len(heads)):
            start = number * SPAN
            stop = min(start + SPAN, len(of_inputs))
            for m in range(start, stop):
                a, b = starts[m], starts[m + 1]
                into = of_inputs[m, g]
                into[:] = f32(0)
                _add_up(into, 0, there, outputs[a:b], share, ranks[a:b])
                here[m - start] = words[begin + m, g]
            for o in range(channels):
                a, b = heads[number, o * TILES], heads[number, (o + 1) * TILES]
                of_thresholds[g, o] -= _add_up(flat, o * WIDTH * width, here, position[a:b], share, every[a:b])
        of_weights[:, g] += found[:, :n]


@compiled
def _put_back(windows: Floats, bases: Places, runs: Places, into: Floats) -> None:
    """Adds what belongs to each window to where it stands.

    Args:
        windows: (M, G * 64 W).
        bases: where the inputs of a position begin, (M,).
        runs: inputs that lie together: the first, where it is from there, and how many, (count, 3).
        into: flat.
    """
    for m in range(len(windows)):
        for r in range(len(runs)):
            first, place, length = runs[r]
            begin = bases[m] + place
            there, part = into[begin : begin + length], windows[m, first : first + length]
            for k in range(len(part)):
                there[k] += part[k]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class _Arrived:
    """Gradients that are not zero, of the outputs of some positions; arrays as for `_listed`."""

    begin: int
    count: int
    starts: Places
    outputs: Indices
    ranks: Indices
    heads: Places
    position: Indices
    grads: Floats

    @staticmethod
    def of(values: Floats, begin: int, end: int) -> "_Arrived":
        """Those of positions from `begin` to `end`, of gradients (M, O)."""
        values = values[begin:end]
        count, outputs = values.shape
        there = int(np.count_nonzero(values))
        starts, heads = np.empty(count + 1, np.int64), np.zeros((-(-count // SPAN), outputs * TILES + 1), np.int64)
        chosen, ranks, position = (np.empty(there, np.uint32) for _ in range(3))
        grads = np.empty(there, np.float32)
        _listed(values, starts, chosen, ranks, heads, position, grads)
        return _Arrived(
            begin=begin, count=count, starts=starts, outputs=chosen, ranks=ranks, heads=heads, position=position,
            grads=grads,
        )  # fmt: skip


def sum_gradients(
    layer: "Prepared", arriving: Tensor, slope: Tensor, x: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, of the weights, and of the thresholds (G, O).

    Args:
        layer: the columns.
        arriving: gradients of the outputs, (M, O).
        slope: by |z| in units of 2^-6; if empty, 1 within the converter's range.
        x, weight: of the layer.
    """
    groups, outputs = layer.layout.groups, layer.outputs
    wide = groups * WIDTH * layer.rows.shape[2]
    of_weights, of_thresholds = np.zeros((outputs, groups, layer.n), np.float32), np.zeros((groups, outputs))
    places = input_places(x, weight, layer.layout, layer.n)
    runs = places.runs(wide // groups)
    of_images = torch.zeros(len(x), *places.sides, x.shape[1])
    flat = of_images.view(-1).numpy()
    positions = max(len(layer.words) // max(len(x), 1), 1)
    at_once = max(min(LISTED_AT_ONCE // outputs, WINDOWS_AT_ONCE // wide) // positions, 1) * positions
    for begin in range(0, len(layer.words), at_once):
        arrived = _Arrived.of(arriving.numpy(), begin, min(begin + at_once, len(layer.words)))
        windows = _of_windows(layer, arrived, slope.numpy(), of_weights, of_thresholds)
        _share_back(windows.reshape(-1, wide), places.bases[begin:], runs, positions, flat)
    return places.cut(of_images, x), _as_weights(of_weights, weight), torch.from_numpy(of_thresholds)


def _of_windows(
    layer: "Prepared", arrived: _Arrived, slope: Floats, of_weights: Floats, of_thresholds: NDArray[np.float64]
) -> Floats:
    """Gradients of the inputs of each window, (T, G, 64 W); adds to those of weights and thresholds."""
    groups, total = layer.layout.groups, len(arrived.grads)
    windows = np.empty((arrived.count, groups, WIDTH * layer.rows.shape[2]), np.float32)

    def work(first: int, last: int) -> None:
        shares = np.empty((min(max(SHARES_AT_ONCE // max(total, 1), 1), last - first), total), np.float32)
        for low in range(first, last, len(shares)):
            high = min(low + len(shares), last)
            listed = (arrived.begin, arrived.count, arrived.heads, arrived.position, arrived.grads)
            column_shares(layer, slope, listed, low, high, shares)
            _products(
                layer.words, layer.rows, layer.n, arrived.begin, arrived.starts, arrived.outputs, arrived.ranks,
                arrived.heads, arrived.position, low, high, shares, windows, of_weights, of_thresholds,
            )  # fmt: skip

    share(work, groups)
    return windows


def _share_back(windows: Floats, bases: Places, runs: Places, positions: int, into: Floats) -> None:
    """Puts windows back, those of an image by one thread."""

    def work(first: int, last: int) -> None:
        part = slice(first * positions, last * positions)
        _put_back(windows[part], bases[part], runs, into)

    share(work, len(windows) // positions)


def _as_weights(columns: NDArray[np.float32], weight: Tensor) -> Tensor:
    """Gradients of columns (O, G, n) in the shape and type of the weights."""
    found = torch.from_numpy(columns)
    if weight.dim() == 2:
        return found.view(weight.shape).to(weight.dtype)
    outputs, channels, *kernel = weight.shape
    return found.view(outputs, *kernel, channels).permute(0, 3, 1, 2).to(weight.dtype).contiguous()
