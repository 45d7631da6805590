"""Gradients of inputs, weights and thresholds from those of the outputs, where each column passes on its own share.

The work goes by the gradients that are not zero. Behind a pool most are: only the largest of its sums gets one; and the
window of a sign closes on more. What is computed of these few takes less time than a dense product of all.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prcim.bnn.kernels.columns import TILE, column_sums
from prcim.bnn.kernels.compiled import compiled, inlined
from prcim.bnn.kernels.places import input_places
from prcim.bnn.kernels.signed_sums import WIDTH, add_signed, no_sums, with_value
from prcim.bnn.kernels.threads import share

if TYPE_CHECKING:
    from prcim.bnn.kernels.prepared import Prepared

Words = NDArray[np.uint64]
Floats = NDArray[np.float32]
Integers = NDArray[np.int32]
Places = NDArray[np.int64]

i32, f32 = np.int32, np.float32
#: Positions between whose gradients and inputs the weights' are added up.
SPAN = 8 * TILE
#: Gradients of inputs, each window's by itself, in memory at a time.
AT_ONCE = 1 << 22


@compiled
def _listed(
    arriving: Floats, parts: int, blocks: int, starts: Places, grads: Floats, outputs: Integers, lanes: Integers,
    heads: Places, order: Integers, position: Integers,
) -> None:  # fmt: skip
    """Lists what is not zero.

    Args:
        arriving: gradients of outputs, (M, O).
        parts, blocks: of the outputs, see `to_lanes`.
        starts: where those of each position and part begin, (M * parts + 1,).
        grads, outputs, lanes: each of them, its output, and where that is in its part.
        heads: where those of each output begin among those of a span, (spans, O + 1).
        order: the same by output, span by span, counted from the beginning of the span.
        position: the position of each, counted so too, in that order.
    """
    channels = arriving.shape[1]
    size = 16 * blocks
    count = 0
    for m in range(len(arriving)):
        span = heads[m // SPAN]
        for part in range(parts):
            starts[m * parts + part] = count
            for o in range(part * size, min((part + 1) * size, channels)):
                if arriving[m, o] != f32(0):
                    lane = o - part * size
                    grads[count], outputs[count] = arriving[m, o], o
                    lanes[count] = lane % 16 * blocks + lane // 16
                    span[o + 1] += 1
                    count += 1
    starts[len(arriving) * parts] = count
    begins = np.empty(channels + 1, np.int64)
    for number in range(len(heads)):
        span, first = heads[number], number * SPAN
        head = starts[first * parts]
        span[0] = head
        for o in range(channels):
            span[o + 1] += span[o]
        begins[:] = span
        for m in range(first, min(first + SPAN, len(arriving))):
            for i in range(starts[m * parts], starts[(m + 1) * parts]):
                o = outputs[i]
                order[begins[o]], position[begins[o]] = i - head, m - first
                begins[o] += 1


@inlined
def _total(values: Floats) -> Any:
    """The sum of some values; four sums side by side, each of which waits for itself only."""
    a = b = c = d = 0.0
    fours = len(values) // 4 * 4
    for i in range(0, fours, 4):
        a, b, c, d = a + values[i], b + values[i + 1], c + values[i + 2], d + values[i + 3]
    for i in range(fours, len(values)):
        a += values[i]
    return (a + b) + (c + d)


@inlined
def _add_up(into: Floats, at: int, rows: Words, which: Integers, values: Floats, total: Any) -> None:
    """Adds rows of signs, each times a value, to what stands from a place on."""
    for word in range(rows.shape[1]):
        sums = no_sums()  # type: ignore[call-arg]
        for i in range(len(values)):
            sums = with_value(sums, rows[which[i], word], values[i])  # type: ignore[call-arg]
        add_signed(into, at + WIDTH * word, sums, f32(total))  # type: ignore[call-arg]


@compiled
def _gradients(
    words: Words, weights: Words, n: int, tables: Any, base: NDArray[np.uint32], below: Integers, counters: Words,
    patterns: Words, keys: Words, lanes: Any, slope: Floats, low: int, high: int, begin: int, count: int,
    starts: Places, grads: Floats, outputs: Integers, places: Integers, heads: Places, order: Integers,
    position: Integers, rows: Words, first: int, last: int, of_inputs: Floats, of_weights: Floats,
    of_thresholds: NDArray[np.float64],
) -> None:  # fmt: skip
    """Gradients of what belongs to some groups, from those of some positions.

    Args:
        words, weights, n, tables, base, below, counters, patterns, keys, lanes: as for `read_out`.
        slope: by |z|, where there is none less than the last; if empty: one where low <= z < high.
        low, high: that range.
        begin, count: the first of the positions, and how many there are.
        starts, grads, outputs, places, heads, order, position: of `_listed`, where `places` are its lanes.
        rows: weights (O, G, W).
        first, last: which groups.
        of_inputs: (T, G, 64 W), with room for inputs that fill no word.
        of_weights, of_thresholds: (O, G, n) and (G, O), to add to.
    """
    parts = weights.shape[1]
    fresh, residual, curves = tables
    channels, width = len(rows), rows.shape[2]
    nb = len(lanes)
    size = 16 * nb
    blocks = (channels + 15) // 16
    most = i32(len(slope) - 1)
    s, z = np.empty(4 * size, np.uint32), np.empty((TILE, size), np.int32)
    there, here = np.empty((channels, width), np.uint64), np.empty((SPAN, width), np.uint64)
    found = np.empty((channels, WIDTH * width), np.float32)
    flat = found.reshape(-1)
    room = 0
    for number in range(len(heads)):
        room = max(room, heads[number, channels] - heads[number, 0])
    values, sorted_ = np.empty(room, np.float32), np.empty(SPAN, np.float32)
    for g in range(first, last):
        there[:] = rows[:, g]
        found[:] = f32(0)
        for number in range(len(heads)):
            from_, to = number * SPAN, min((number + 1) * SPAN, count)
            head = starts[from_ * parts]
            for start in range(from_, to, TILE):
                stop = min(start + TILE, to)
                for part in range(parts):
                    column_sums(
                        s, z, words, begin + start, begin + stop, g, weights[g, part], n, fresh, residual, curves,
                        base[g, part], below[g, part], g * blocks + part * nb, counters, patterns, keys, lanes,
                    )  # fmt: skip
                    for m in range(start, stop):
                        a, b = starts[m * parts + part], starts[m * parts + part + 1]
                        grad, place, share, sums = grads[a:b], places[a:b], values[a - head : b - head], z[m - start]
                        if len(slope):
                            for i in range(len(grad)):
                                share[i] = f32(grad[i] * slope[min(abs(sums[place[i]]), most)])
                        else:
                            for i in range(len(grad)):
                                share[i] = grad[i] if low <= sums[place[i]] < high else f32(0)
            for m in range(from_, to):
                into = of_inputs[m, g]
                into[:] = f32(0)
                a, b = starts[m * parts], starts[(m + 1) * parts]
                share = values[a - head : b - head]
                _add_up(into, 0, there, outputs[a:b], share, _total(share))
                here[m - from_] = words[begin + m, g]
            for o in range(channels):
                a, b = heads[number, o], heads[number, o + 1]
                share, these = sorted_[: b - a], order[a:b]
                for i in range(b - a):
                    share[i] = values[these[i]]
                total = _total(share)
                of_thresholds[g, o] -= total
                _add_up(flat, o * WIDTH * width, here, position[a:b], share, total)
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
    groups, n, outputs = layer.layout.groups, layer.n, layer.outputs
    wide = WIDTH * layer.rows.shape[2]
    of_weights = np.zeros((outputs, groups, n), np.float32)
    of_thresholds = np.zeros((groups, outputs))
    places = input_places(x, weight, layer.layout, n)
    runs = places.runs(wide)
    of_images = torch.zeros(len(x), *places.sides, x.shape[1])
    values, flat, slopes = arriving.numpy(), of_images.view(-1).numpy(), slope.numpy()
    positions = len(layer.words) // max(len(x), 1)
    at_once = max(AT_ONCE // (positions * groups * n), 1)
    for first in range(0, len(x), at_once):
        images = min(at_once, len(x) - first)
        begin, end = first * positions, (first + images) * positions
        windows = np.empty((end - begin, groups, wide), np.float32)
        some = values[begin:end]
        these = (slopes, -layer.reach, layer.reach, begin, len(some), *_lists(some, layer.lanes), layer.rows)

        def work(g: int, until: int, these: Any = these, into: Any = windows) -> None:
            _gradients(*layer.for_loops(), *these, g, until, into, of_weights, of_thresholds)

        share(work, groups)
        bases = places.bases[begin:end]

        def back(image: int, until: int, bases: Any = bases, windows: Any = windows) -> None:
            part = slice(image * positions, until * positions)
            _put_back(windows[part].reshape(-1, groups * wide), bases[part], runs, flat)

        share(back, images)
    return places.cut(of_images, x), _as_weights(of_weights, weight), torch.from_numpy(of_thresholds)


def _lists(arriving: Floats, lanes: tuple[int, int]) -> tuple[NDArray[Any], ...]:
    """What `_listed` makes; `lanes` are the parts of the outputs and the blocks of a part."""
    count, outputs = arriving.shape
    there = int(np.count_nonzero(arriving))
    starts, heads = np.empty(count * lanes[0] + 1, np.int64), np.zeros((-(-count // SPAN), outputs + 1), np.int64)
    chosen, places, order, position = (np.empty(there, np.int32) for _ in range(4))
    grads = np.empty(there, np.float32)
    _listed(arriving, *lanes, starts, grads, chosen, places, heads, order, position)
    return starts, grads, chosen, places, heads, order, position


def _as_weights(columns: NDArray[np.float32], weight: Tensor) -> Tensor:
    """Gradients of columns (O, G, n) in the shape and type of the weights."""
    found = torch.from_numpy(columns)
    if weight.dim() == 2:
        return found.view(weight.shape).to(weight.dtype)
    outputs, channels, *kernel = weight.shape
    return found.view(outputs, *kernel, channels).permute(0, 3, 1, 2).to(weight.dtype).contiguous()
