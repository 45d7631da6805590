"""The operator `prcim::column_sum` for layers: their errors and reads as plain tensors and numbers."""

import torch
from torch import Tensor

from prcim.bnn.kernels.columns import MAJORITY
from prcim.bnn.kernels.operator import column_sum
from prcim.bnn.kernels.prepared import Layout, Prepared
from prcim.bnn.noise import LayerErrors, Reads
from prcim.errors import InputError


def has_kernel(x: Tensor) -> bool:
    """Whether there is a kernel for the tensor's device and type; double precision has none."""
    return x.device.type == "cpu" and x.dtype in (torch.float32, torch.bfloat16, torch.float16)


def fused_sum(
    x: Tensor,
    weight: Tensor,
    threshold: Tensor,
    errors: LayerErrors | None,
    reads: Reads | None,
    *,
    mode: int,
    groups: int,
    stride: int,
    bits: int = 0,
    step: int = 2,
    begin: int = 0,
) -> Tensor:
    """Read-outs of columns, added over the columns of each output.

    Args:
        x, weight, threshold, errors, reads, groups, stride: as for `prcim.bnn.column_sum.majority_sum`; the threshold
            of a converter is empty.
        mode: MAJORITY, CODE or FLASH of `prcim.bnn.kernels.columns`.
        bits, step, begin: of a converter: bits, step in S, first threshold in S.

    Raises:
        InputError: the inputs cannot be cut so, or the errors are those of other columns.
    """
    inputs = weight[0].numel()
    n, left = divmod(inputs, groups)
    if left or x.shape[1] != weight.shape[1]:
        raise InputError(
            f"inputs {tuple(x.shape)} and weights {tuple(weight.shape)} cannot be cut into {groups} columns an output;"
            " both need the same channels, and their number times the window a multiple of the columns"
        )
    terms, keys = _terms(len(x), (groups, len(weight)), n, errors, reads)
    images = torch.zeros(len(x), dtype=torch.int64) if reads is None else reads.images
    layout = Layout(
        groups=groups,
        stride=stride,
        mode=mode,
        bits=bits,
        step=step,
        begin=begin,
        read=0 if reads is None else reads.read,
        keys=keys,
    )
    total: Tensor = column_sum(x, weight, threshold, *terms, images, layout.as_numbers())
    return total


def fused_moments(x: Tensor, weight: Tensor, errors: LayerErrors | None, reads: Reads | None) -> Tensor:
    """Sums of S + error and of its square over images and positions, in units of 2^-6, int64, (2, G, O).

    Args:
        x: +-1, (B, G, n) or (B, P, G, n).
        weight: +-1, (O, G, n).
        errors, reads: as for `fused_sum`.
    """
    outputs, groups, n = weight.shape
    terms, keys = _terms(len(x), (groups, outputs), n, errors, reads)
    images = torch.zeros(len(x), dtype=torch.int64) if reads is None else reads.images
    read = 0 if reads is None else reads.read
    layout = Layout(groups=groups, stride=1, mode=MAJORITY, bits=0, step=2, begin=0, read=read, keys=keys)
    places = x.reshape(len(x), -1, groups * n).permute(0, 2, 1)[..., None]
    columns = weight.reshape(outputs, -1, 1, 1)
    return Prepared(places.float(), columns.float(), torch.zeros(0), *terms, images, layout).moments()


def _terms(
    count: int, columns: tuple[int, int], n: int, errors: LayerErrors | None, reads: Reads | None
) -> tuple[tuple[Tensor, Tensor, Tensor, Tensor, Tensor], tuple[int, int, int, int]]:
    """Tables and keys of the errors of some columns, empty if there are none."""
    empty = torch.zeros(0, dtype=torch.int32)
    if errors is None or reads is None:
        return (empty, empty, empty, empty, empty), (0, 0, 0, 0)
    found = errors.terms
    sizes = {found.fresh.shape[0], found.residual.shape[0], found.curves.shape[1]} - {0}
    if sizes != {n + 1} or errors.columns != columns or len(reads.images) != count:
        raise InputError(
            f"{count} inputs to {columns[0]} x {columns[1]} columns of {n} rows, but errors of"
            f" {' x '.join(str(size) for size in errors.columns)} columns of {max(sizes) - 1} rows and"
            f" {len(reads.images)} images; make the errors for this layer with chip.layer"
        )
    return (found.fresh, found.residual, found.curves, found.column, found.offsets), found.keys
