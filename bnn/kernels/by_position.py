"""The columns of a layer for the loops over positions."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from prcim.bnn.kernels.code_tables import TABLE, CodeTables, code_tables
from prcim.bnn.kernels.codes_by_errors import codes_by_errors
from prcim.bnn.kernels.codes_by_limits import codes_by_limits
from prcim.bnn.kernels.columns import MAJORITY
from prcim.bnn.kernels.emitter import LANES
from prcim.bnn.kernels.packing import to_blocks
from prcim.bnn.kernels.positions import WIDE
from prcim.bnn.kernels.threads import share

if TYPE_CHECKING:
    from prcim.bnn.kernels.prepared import Prepared

Floats = NDArray[np.float32]
#: Pairs of 64 positions and some channels that keep a thread busy to the end.
ITEMS = 16


def codes_by_position(layer: "Prepared", mode: int, step: int, half: int, scale: Floats) -> Floats | None:
    """Sums of codes, counted from 0, of the columns of each output, scaled, (M, O).

    Args:
        layer: the columns.
        mode: MAJORITY or CODE.
        step, half: of the converter, in units of 2 in S; half of the number of its codes.
        scale: what to take off, to multiply by, and to add, (3,).

    Returns:
        None: there are too many rows, codes or limits for these loops.
    """
    fresh, residual, _ = layer.tables
    codes = 2 if mode == MAJORITY else 2 * half
    if layer.n >= 2 * TABLE or codes > 256 or (codes - 1) * layer.rows.shape[1] > np.iinfo(np.uint16).max:
        return None
    if len(residual):
        return _by_errors(layer, mode, step, half, scale) if fresh.dtype == np.int16 else None
    errors = layer.errors_of_one_draw()
    if errors is None:
        return None
    steps = np.arange(1 - half, half, dtype=np.int32) * (128 * step) if mode != MAJORITY else np.zeros(1, np.int32)
    tables = code_tables(errors, layer.below, steps)
    return None if tables is None else _by_limits(layer, tables, scale, draw=len(fresh) > 0, most=codes - 1)


def _by_limits(layer: "Prepared", made: CodeTables, scale: Floats, *, draw: bool, most: int) -> Floats:
    found, parts, size = _output(layer)
    which = None if len(made.tables) == size * (1 + made.cuts) else to_blocks(made.which * size * (1 + made.cuts))
    weights = to_blocks(layer.rows.transpose(1, 0, 2))

    def work(first: int, last: int) -> None:
        codes_by_limits(
            layer.words, weights, made.tables, which, made.cuts, (0,) * (size // LANES), made.by_draw, 255 // most,
            layer.counters, layer.read, layer.keys[0], draw, parts, first, last, found, scale,
        )  # fmt: skip

    share(work, -(-len(found) // LANES) * parts)
    return found


def _by_errors(layer: "Prepared", mode: int, step: int, half: int, scale: Floats) -> Floats:
    found, parts, size = _output(layer)
    fresh, residual, curves = layer.tables
    rows = layer.n + 1
    new, lasting = (table.reshape(rows, -1)[::-1].ravel() for table in (fresh, residual))
    planes = np.zeros((len(curves) // rows, 2, size), np.uint8)
    # The low bytes of each curve, and its high bytes.
    by_curve = curves.reshape(-1, rows)[:, ::-1].view(np.uint16)
    planes[:, 0, :rows], planes[:, 1, :rows] = by_curve & 255, by_curve >> 8
    flat, converts = planes.ravel(), int(mode != MAJORITY)
    which, below = to_blocks(layer.column * (2 * size)), to_blocks(layer.below)
    weights, patterns = to_blocks(layer.rows.transpose(1, 0, 2)), layer.patterns

    def work(first: int, last: int) -> None:
        codes_by_errors(
            layer.words, weights, layer.n, new, lasting, flat, which, below, converts, step, half,
            (0,) * (size // LANES), layer.counters, patterns, layer.read, layer.keys[0], layer.keys[1], parts, first,
            last, found, scale,
        )  # fmt: skip

    share(work, -(-len(found) // LANES) * parts)
    return found


def _output(layer: "Prepared") -> tuple[Floats, int, int]:
    """Room for the sums, into how many parts their channels are shared out, and entries of a table."""
    found = np.empty((len(layer.words), layer.outputs), np.float32)
    tiles, threads = -(-len(found) // LANES), torch.get_num_threads()
    parts = 1 if threads == 1 else min(-(-ITEMS * threads // max(tiles, 1)), -(-layer.outputs // WIDE))
    return found, max(parts, 1), TABLE if layer.n < TABLE else 2 * TABLE
