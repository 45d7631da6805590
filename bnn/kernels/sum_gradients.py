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
    arriving: Floats, starts: Places, outputs: Integers, heads: Places, order: Places, position: Integers
) -> None:
    """Lists what is not zero.

    Args:
        arriving: gradients of outputs, (M, O).
        starts: where those of each position begin, (M + 1,).
        outputs: the output of each.
        heads: where those of each output begin among those of a span, (spans, O + 1).
        order: the same by output, span by span.
        position: the position of each from the beginning of its span, in that order.
    """
    count = 0
    for m in range(len(arriving)):
        starts[m] = count
        span = heads[m // SPAN]
        for o in range(arriving.shape[1]):
            if arriving[m, o] != f32(0):
                outputs[count] = o
                span[o + 1] += 1
                count += 1
    starts[len(arriving)] = count
    for number in range(len(heads)):
        span = heads[number]
        span[0] = starts[number * SPAN]
        for o in range(arriving.shape[1]):
            span[o + 1] += span[o]
        begins = span.copy()
        for m in range(number * SPAN, min((number + 1) * SPAN, len(arriving))):
            for i in range(starts[m], starts[m + 1]):
                o = outputs[i]
                order[begins[o]], position[begins[o]] = i, m - number * SPAN
                begins[o] += 1


@inlined
def _add_up(into: Floats, at: int, rows: Words, which: Integers, values: Floats) -> Any:
    """Adds rows of signs, each times a value, to what stands from a place on; returns the sum of the values."""
    total = 0.0
    for i in range(len(values)):
        total += values[i]
    for word in range(rows.shape[1]):
        sums = no_sums()  # type: ignore[call-arg]
        for i in range(len(values)):
            sums = with_value(sums, rows[which[i], word], values[i])  # type: ignore[call-arg]
        add_signed(into, at + WIDTH * word, sums, f32(total))  # type: ignore[call-arg]
    return total


@compiled
def _gradients(
    words: Words, weights: Words, n: int, tables: Any, base: NDArray[np.uint32], below: Integers, counters: Words,
    patterns: Words, keys: Words, lanes: Any, slope: Floats, low: int, high: int, arriving: Floats, begin: int,
    starts: Places, outputs: Integers, heads: Places, order: Places, position: Integers, rows: Words, first: int,
    last: int, of_inputs: Floats, of_weights: Floats, of_thresholds: NDArray[np.float64],
) -> None:  # fmt: skip
    """Gradients of what belongs to some groups, from those of some positions.

    Args:
        words, weights, n, tables, base, below, counters, patterns, keys, lanes: as for `read_out`.
        slope: by |z|, where there is none less than the last; if empty: one where low <= z < high.
        low, high: that range.
        arriving: gradients of the outputs of these positions, (T, O).
        begin: the first of the positions.
        starts, outputs, heads, order, position: of `_listed`.
        rows: weights (O, G, W).
        first, last: which groups.
        of_inputs: (T, G, 64 W), with room for inputs that fill no word.
        of_weights, of_thresholds: (O, G, n) and (G, O), to add to.
    """
    parts = weights.shape[1]
    fresh, residual, curves = tables
    count, channels = arriving.shape
    nb = len(lanes)
    size = 16 * nb
    blocks = (channels + 15) // 16
    most = i32(len(slope) - 1)
    s, z = np.empty(4 * size, np.uint32), np.empty((TILE, size), np.int32)
    width = rows.shape[2]
    there, here = np.empty((channels, width), np.uint64), np.empty((SPAN, width), np.uint64)
    found, reached = np.empty((channels, WIDTH * width), np.float32), np.empty(TILE, np.int64)
    flat = found.reshape(-1)
    room = 0
    for number in range(len(heads)):
        room = max(room, heads[number, channels] - heads[number, 0])
    values, sorted_ = np.empty(room, np.float32), np.empty(room, np.float32)
    for g in range(first, last):
        there[:] = rows[:, g]
        found[:] = f32(0)
        for number in range(len(heads)):
            from_, to = number * SPAN, min((number + 1) * SPAN, count)
            head = starts[from_]
            for start in range(from_, to, TILE):
                stop = min(start + TILE, to)
                reached[: stop - start] = starts[start:stop]
                for part in range(parts):
                    column_sums(
                        s, z, words, begin + start, begin + stop, g, weights[g, part], n, fresh, residual, curves,
                        base[g, part], below[g, part], g * blocks + part * nb, counters, patterns, keys, lanes,
                    )  # fmt: skip
                    for t in range(stop - start):
                        i, end = reached[t], starts[start + t + 1]
                        while i < end and outputs[i] < (part + 1) * size:
                            o = outputs[i]
                            lane = o - part * size
                            value, grad = z[t, lane % 16 * nb + lane // 16], arriving[start + t, o]
                            if len(slope):
                                values[i - head] = f32(grad * slope[min(abs(value), most)])
                            else:
                                values[i - head] = grad if low <= value < high else f32(0)
                            i += 1
                        reached[t] = i
            for m in range(from_, to):
                into = of_inputs[m, g]
                into[:] = f32(0)
                a, b = starts[m], starts[m + 1]
                _add_up(into, 0, there, outputs[a:b], values[a - head : b - head])
                here[m - from_] = words[begin + m, g]
            for i in range(starts[to] - head):
                sorted_[i] = values[order[head + i] - head]
            for o in range(channels):
                a, b = heads[number, o] - head, heads[number, o + 1] - head
                chosen = position[head + a : head + b]
                of_thresholds[g, o] -= _add_up(flat, o * WIDTH * width, here, chosen, sorted_[a:b])
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
        these = (slopes, -layer.reach, layer.reach, some, begin, *_lists(some), layer.rows)

        def work(g: int, until: int, these: Any = these, into: Any = windows) -> None:
            _gradients(*layer.for_loops(), *these, g, until, into, of_weights, of_thresholds)

        share(work, groups)
        bases = places.bases[begin:end]

        def back(image: int, until: int, bases: Any = bases, windows: Any = windows) -> None:
            part = slice(image * positions, until * positions)
            _put_back(windows[part].reshape(-1, groups * wide), bases[part], runs, flat)

        share(back, images)
    return places.cut(of_images, x), _as_weights(of_weights, weight), torch.from_numpy(of_thresholds)


def _lists(arriving: Floats) -> tuple[Places, Integers, Places, Places, Integers]:
    """What `_listed` makes."""
    count, outputs = arriving.shape
    there = int(np.count_nonzero(arriving))
    starts, heads = np.empty(count + 1, np.int64), np.zeros((-(-count // SPAN), outputs + 1), np.int64)
    chosen, order, position = np.empty(there, np.int32), np.empty(there, np.int64), np.empty(there, np.int32)
    _listed(arriving, starts, chosen, heads, order, position)
    return starts, chosen, heads, order, position


def _as_weights(columns: NDArray[np.float32], weight: Tensor) -> Tensor:
    """Gradients of columns (O, G, n) in the shape and type of the weights."""
    found = torch.from_numpy(columns)
    if weight.dim() == 2:
        return found.view(weight.shape).to(weight.dtype)
    outputs, channels, *kernel = weight.shape
    return found.view(outputs, *kernel, channels).permute(0, 3, 1, 2).to(weight.dtype).contiguous()
