"""Partial sums of columns whose cells err on their own, put together from matrix products in one loop.

It gives what `prcim.bnn.column_sum.noisy_sums` gives, bit for bit.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prcim.bnn.kernels.columns import philox_words
from prcim.bnn.kernels.compiled import compiled
from prcim.bnn.kernels.threads import share
from prcim.bnn.noise import LayerErrors, Reads

u64, i64, i32 = np.uint64, np.int64, np.int32


@compiled
def _add_up(
    mac: NDArray[Any], on: NDArray[Any], rest: NDArray[Any], sums: NDArray[np.int64], gain: NDArray[np.int64],
    shift: int, curve: NDArray[np.int32], offset: NDArray[np.int32], fresh: NDArray[np.int32],
    counters: NDArray[np.uint64], key: NDArray[np.uint64], first: int, last: int, z: NDArray[np.int32],
) -> None:  # fmt: skip
    """S with its errors.

    Args:
        mac: S, (M, G, O).
        on, rest: products of inputs with the errors that act while weight times input is +1, and -1, (M, G, O); `rest`
            is empty where there are none.
        sums: of both errors over rows, (2, G, O).
        gain, shift: as in `CellErrors`.
        curve, offset: over K, and of each comparator, (G, O).
        fresh: by K and draw.
        counters: position, image and read of each.
        key: of READ.
        first, last: which of M.
        z: what is found, (M, G, O).
    """
    _, groups, outputs = mac.shape
    n, half = len(curve) - 1, i64(1) << i64(shift - 1)
    wide = (outputs + 15) // 16
    bytes_ = np.empty(16, np.uint8)
    for m in range(first, last):
        for g in range(groups):
            for block in range(wide):
                w0, w1, w2, w3 = philox_words(
                    u64(g * wide + block), counters[m, 0], counters[m, 1], counters[m, 2], key[0], key[1]
                )
                for j in range(4):
                    bytes_[j] = w0 >> (8 * j) & 255
                    bytes_[4 + j] = w1 >> (8 * j) & 255
                    bytes_[8 + j] = w2 >> (8 * j) & 255
                    bytes_[12 + j] = w3 >> (8 * j) & 255
                begin = 16 * block
                for j in range(min(16, outputs - begin)):
                    o = begin + j
                    s = i32(mac[m, g, o])
                    k = (s + n) >> 1
                    error = gain[0, k] * (i64(on[m, g, o]) + sums[0, g, o]) + half
                    if len(rest):
                        error += gain[1, k] * (i64(rest[m, g, o]) + sums[1, g, o])
                    z[m, g, o] = i32(64 * s + i32(error >> shift) + curve[k] + offset[g, o] + fresh[k, bytes_[j]])


def summed(mac: Tensor, x: Tensor, weight: Tensor, errors: LayerErrors, reads: Reads) -> Tensor:
    """S with its errors, as of `noisy_sums`, on a CPU.

    Args:
        mac: S, (B, G, O) or (B, P, G, O).
        x: +-1, (B, G, n) or (B, P, G, n).
        weight: +-1, (O, G, n).
        errors: with those of cells.
        reads: which images these are.
    """
    cells, terms = errors.cells, errors.terms
    assert cells is not None
    products, sums = cells.products(x, weight)
    shape = (-1, *mac.shape[-2:])
    flat = mac.reshape(shape).contiguous().numpy()
    on, *more = (product.numpy() for product in products)
    positions = mac[0, ..., 0, 0].numel() if len(mac) else 1
    counters = np.empty((len(flat), 3), np.uint64)
    counters[:, 0] = np.tile(np.arange(positions), len(mac))
    counters[:, 1] = np.repeat(reads.images.numpy(), positions)
    counters[:, 2] = reads.read
    offset = terms.offsets[0] if len(terms.offsets) == 1 else torch.zeros(mac.shape[-2:], dtype=torch.int32)
    z = np.empty(flat.shape, np.int32)
    given = (
        flat, on, more[0] if more else np.empty((0, 0, 0), on.dtype), sums.numpy(), cells.gain.numpy(), cells.shift,
        terms.curves[0].contiguous().numpy(), offset.contiguous().numpy(), terms.fresh.contiguous().numpy(), counters,
        np.array(terms.keys[:2], np.uint64),
    )  # fmt: skip
    share(lambda first, last: _add_up(*given, first, last, z), len(flat), least=64)
    return torch.from_numpy(z).reshape(mac.shape)
