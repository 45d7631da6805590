"""The operator `prcim::column_sum` for layers: their errors and reads as plain tensors and numbers."""

import torch
from torch import Tensor

from prcim.bnn.kernels.operator import column_sum
from prcim.bnn.kernels.prepared import Layout
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
    keys = (0, 0, 0, 0)
    empty = torch.zeros(0, dtype=torch.int32)
    terms = (empty, empty, empty, empty, empty)
    if errors is not None and reads is not None:
        found = errors.terms
        terms = (found.fresh, found.residual, found.curves, found.column, found.offsets)
        keys = found.keys
        sizes = {found.fresh.shape[0], found.residual.shape[0], found.curves.shape[1]} - {0}
        if sizes != {n + 1} or errors.columns != (groups, len(weight)) or len(reads.images) != len(x):
            raise InputError(
                f"{len(x)} inputs to {groups} x {len(weight)} columns of {n} rows, but errors of"
                f" {' x '.join(str(size) for size in errors.columns)} columns of {max(sizes) - 1} rows and"
                f" {len(reads.images)} images; make the errors for this layer with chip.layer"
            )
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
