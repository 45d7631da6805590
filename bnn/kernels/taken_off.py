"""What columns that clip have passed in the gradients of a product is taken off again, one by one.

The code of a column at the end of its converter's range passes nothing. Few are: so the gradients are those of the
product, and the loops here find those few and take them off.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prcim.bnn.kernels.code_tables import TABLE, code_tables
from prcim.bnn.kernels.compiled import compiled
from prcim.bnn.kernels.drawn import drawn
from prcim.bnn.kernels.emitter import CHANNELS, LANES
from prcim.bnn.kernels.packing import to_blocks
from prcim.bnn.kernels.places import input_places
from prcim.bnn.kernels.positions import WIDE, counted, first_round, rounds, tile
from prcim.bnn.kernels.threads import share
from prcim.bnn.kernels.vectors import loaded, looked_up, one_more_above, signs_taken_off, stored_masks

if TYPE_CHECKING:
    from prcim.bnn.kernels.prepared import Prepared

Words = NDArray[np.uint64]
Floats = NDArray[np.float32]
u64, f32 = np.uint64, np.float32


#: Offsets of what lies together.
_NOTHING = np.zeros(1, np.int64)


@compiled
def _place(bit: Any) -> int:
    """Number of the only bit that is set."""
    place = 0
    for shift in (32, 16, 8, 4, 2, 1):
        if bit >> u64(shift):
            bit >>= u64(shift)
            place += shift
    return place


@compiled
def _add(
    into: Floats, base: int, offsets: NDArray[np.int64], together: bool, bits: Words, n: int, value: Any
) -> None:  # fmt: skip
    """Subtracts a value where a bit is set, adds it elsewhere."""
    for v in range(len(bits)):
        word, size = bits[v], min(64, n - 64 * v)
        if together and size == 64:
            signs_taken_off(into, base + offsets[0] + 64 * v, word, value)
        elif together:
            start = base + offsets[0] + 64 * v
            for i in range(size):
                into[start + i] -= value if (word >> u64(i)) & u64(1) else -value
        else:
            for i in range(size):
                into[base + offsets[64 * v + i]] -= value if (word >> u64(i)) & u64(1) else -value


@compiled
def _take_off(
    words: Words, weights: Words, rows: Words, n: int, tables: NDArray[np.uint8], cuts: int, parts: Any,
    counters: Words, read: int, key: Words, draw: bool, arriving: Floats, begin: int, end: int, first: int, last: int,
    bases: NDArray[np.int64], offsets: NDArray[np.int64], of_inputs: Floats, of_weights: Floats,
) -> None:  # fmt: skip
    """Takes what clipped columns passed off the gradients, or off one of them: the other is empty.

    Args:
        words, weights, tables, cuts, parts, counters, read, key, draw: as for `codes_by_limits`; the codes are 0, 1
            and 2: below the range, in it, above it.
        rows: weights (O, G, W).
        n: inputs of a column.
        arriving: gradients of the outputs (M, O).
        begin, end: positions.
        first, last: blocks of 16 outputs.
        bases: where the inputs of a position begin, (M,).
        offsets: where the inputs of a column are from there, (G, n).
        of_inputs, of_weights: the gradients, flat; that of weights (O, G, n).
    """
    count, groups, width = words.shape
    outputs = arriving.shape[1]
    blocks = -(-outputs // WIDE)
    size = LANES * len(parts)
    inputs = np.empty(groups * width * LANES, np.uint64)
    fresh = np.empty(2 * LANES, np.uint64)
    keys = rounds(key)
    draws, masks = np.zeros(WIDE * LANES, np.uint8), np.empty(CHANNELS, np.uint64)
    for start in range(begin, end, LANES):
        tile(words, start, 0, groups, inputs)
        for p in range(LANES):
            m = min(start + p, count - 1)
            first_round(fresh, p, counters[m, 0], counters[m, 1])
        used = ~u64(0) if end - start >= LANES else (u64(1) << u64(end - start)) - u64(1)
        for block in range(first, last):
            for g in range(groups):
                if draw:
                    drawn(draws, fresh, u64(g * blocks + block), u64(read), keys)
                together = offsets[g, n - 1] - offsets[g, 0] == n - 1
                for half in range(2):
                    column = (block * groups + g) * WIDE + half * CHANNELS
                    index = counted(inputs, g * width, weights, column, width)
                    values = loaded(draws, half * CHANNELS * LANES)
                    code = looked_up(tables, 0, None, 0, index, parts)
                    for cut in range(1, cuts + 1):
                        code = one_more_above(code, values, looked_up(tables, cut * size, None, 0, index, parts))
                    stored_masks(masks, code)
                    for c in range(min(CHANNELS, outputs - block * WIDE - half * CHANNELS)):
                        left, o = masks[c] & used, block * WIDE + half * CHANNELS + c
                        while left:
                            lowest = left & (~left + u64(1))
                            left ^= lowest
                            m = start + _place(lowest)
                            value = arriving[m, o]
                            if value == f32(0):
                                continue
                            if len(of_inputs):
                                _add(of_inputs, bases[m], offsets[g], together, rows[o, g], n, value)
                            if len(of_weights):
                                _add(of_weights, (o * groups + g) * n, _NOTHING, True, words[m, g], n, value)


def take_off_clipped(
    layer: "Prepared", arriving: Tensor, x: Tensor, weight: Tensor, grad_x: Tensor, grad_weight: Tensor
) -> bool:
    """Takes what clipped columns passed off the gradients of x and weight.

    Args:
        layer: the columns; their errors come from one draw.
        arriving: gradients of the outputs, (M, O).
        x, weight: of the layer.
        grad_x, grad_weight: those of the product.

    Returns:
        Whether these loops can do it; if not, nothing has changed.
    """
    # Beyond every sum it is all the same how far the range reaches.
    reach = min(layer.reach, 1 << 28)
    errors = layer.errors_of_one_draw()
    if errors is None or len(np.unique(layer.below)) > 1:
        return False
    made = code_tables(errors, layer.below, np.array([-reach, reach], np.int32))
    if made is None or len(made.tables) > (1 + made.cuts) * 2 * TABLE:
        return False
    groups, outputs = layer.below.shape
    size = len(made.tables) // (1 + made.cuts)
    weights, values = to_blocks(layer.rows.transpose(1, 0, 2)), arriving.numpy()
    places = input_places(x, weight, layer.layout, layer.n)
    blocks, positions = -(-outputs // WIDE), len(layer.words) // max(len(x), 1)

    # Channels last, as a column's inputs lie.
    last = grad_x if grad_x.dim() == 2 else grad_x.permute(0, 2, 3, 1)
    edge = layer.layout.padding
    in_place = last.is_contiguous() and last.dtype == torch.float32 and not edge
    found = last if in_place else torch.zeros(len(x), *places.sides, last.shape[-1])
    of_weights = torch.zeros(outputs, groups * layer.n)
    flat_x, flat_weights, none = found.view(-1).numpy(), of_weights.view(-1).numpy(), np.empty(0, np.float32)

    def work(begin: int, end: int, first: int, last: int, *into: Floats) -> None:
        _take_off(
            layer.words, weights, layer.rows, layer.n, made.tables, made.cuts, (0,) * (size // LANES), layer.counters,
            layer.read, layer.keys[0], errors.shape[1] > 1, values, begin, end, first, last, places.bases,
            places.offsets, *into,
        )  # fmt: skip

    if torch.get_num_threads() == 1:
        work(0, len(layer.words), 0, blocks, flat_x, flat_weights)
    else:
        # Of images' gradients and of outputs' each thread has its own, so that all sums have one order.
        least = -(-LANES // max(positions, 1))
        share(lambda a, b: work(a * positions, b * positions, 0, blocks, flat_x, none), len(x), least=least)
        share(lambda a, b: work(0, len(layer.words), a, b, none, flat_weights), blocks)
    if not in_place:
        grad_x += places.cut(found, x)
    taps = of_weights
    if weight.dim() == 4:
        taps = of_weights.view(outputs, *weight.shape[2:], weight.shape[1]).permute(0, 3, 1, 2)
    grad_weight += taps.to(grad_weight.dtype)
    return True
