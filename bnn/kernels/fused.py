"""The operator `prcim::column_sum` for layers: their errors and reads as plain tensors and numbers."""

import importlib.util

import torch
from torch import Tensor

from prcim.bnn.kernels.columns import MAJORITY
from prcim.bnn.kernels.operator import column_sum, prepared
from prcim.bnn.kernels.prepared import Layout
from prcim.bnn.noise import LayerErrors, Reads
from prcim.errors import InputError

#: Whether GPUs have a kernel. Triton itself is imported when a tensor on one is met.
HAS_TRITON = importlib.util.find_spec("triton") is not None


def has_kernel(x: Tensor) -> bool:
    """Whether there is a kernel for the tensor's device and type: not in double precision, on GPUs only with Triton."""
    if x.dtype not in (torch.float32, torch.bfloat16, torch.float16):
        return False
    return x.device.type == "cpu" or (x.device.type == "cuda" and HAS_TRITON)


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
    padding: int = 0,
    bits: int = 0,
    step: int = 2,
    begin: int = 0,
    straight: bool = False,
) -> Tensor:
    """Read-outs of columns, added over the columns of each output.

    Args:
        x, weight, threshold, errors, reads, groups, stride, padding: as for `prcim.bnn.column_sum.majority_sum`; the
            threshold of a converter is empty.
        mode: MAJORITY, CODE or FLASH of `prcim.bnn.kernels.columns`.
        bits, step, begin: of a converter: bits, step in S, first threshold in S.
        straight: whether votes pass gradients straight through their window.

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
    terms, keys = _terms(x, (groups, len(weight)), n, errors, reads)
    images = _images(x, reads)
    layout = Layout(
        groups=groups,
        stride=stride,
        padding=padding,
        mode=mode,
        bits=bits,
        step=step,
        begin=begin,
        read=0 if reads is None else reads.read,
        keys=keys,
        straight=straight,
    )
    total: Tensor = column_sum(x, weight, threshold, *terms, images, layout.as_numbers())
    return total


def fused_moments(
    x: Tensor,
    weight: Tensor,
    errors: LayerErrors | None,
    reads: Reads | None,
    *,
    groups: int,
    stride: int = 1,
    padding: int = 0,
) -> Tensor:
    """Sums of S + error and of its square over images and positions, in units of 2^-6, int64, (2, G, O).

    Args:
        x, weight, errors, reads, groups, stride, padding: as for `fused_sum`.
    """
    terms, keys = _terms(x, (groups, len(weight)), weight[0].numel() // groups, errors, reads)
    read = 0 if reads is None else reads.read
    layout = Layout(
        groups=groups, stride=stride, padding=padding, mode=MAJORITY, bits=0, step=2, begin=0, read=read, keys=keys
    )
    return prepared(x, weight, torch.zeros(0), *terms, _images(x, reads), layout).moments()


def _images(x: Tensor, reads: Reads | None) -> Tensor:
    return torch.zeros(len(x), dtype=torch.int64, device=x.device) if reads is None else reads.images.to(x.device)


def _terms(
    x: Tensor, columns: tuple[int, int], n: int, errors: LayerErrors | None, reads: Reads | None
) -> tuple[tuple[Tensor, Tensor, Tensor, Tensor, Tensor], tuple[int, int, int, int]]:
    """Tables and keys of the errors of some columns, on the device of x, empty if there are none."""
    empty, count = torch.zeros(0, dtype=torch.int32, device=x.device), len(x)
    if errors is None or reads is None:
        return (empty, empty, empty, empty, empty), (0, 0, 0, 0)
    if errors.cells is not None:
        raise InputError("the loops do not know errors of single cells; call majority_sum or code_sum, which do")
    found = errors.terms
    sizes = {found.fresh.shape[0], found.residual.shape[0], found.curves.shape[1]} - {0}
    if sizes != {n + 1} or errors.columns != columns or len(reads.images) != count:
        raise InputError(
            f"{count} inputs to {columns[0]} x {columns[1]} columns of {n} rows, but errors of"
            f" {' x '.join(str(size) for size in errors.columns)} columns of {max(sizes) - 1} rows and"
            f" {len(reads.images)} images; make the errors for this layer with chip.layer"
        )
    tables = (_narrow(table, x.device) for table in (found.fresh, found.residual, found.curves))
    fresh, residual, curves = (table.to(x.device) for table in tables)
    return (fresh, residual, curves, found.column.to(x.device), found.offsets.to(x.device)), found.keys


def _narrow(table: Tensor, device: torch.device) -> Tensor:
    """A table that travels to another device in 16 bits if it fits: half of the cache to look it up in."""
    limit = torch.iinfo(torch.int16)
    # A graph must not depend on values.
    if table.device.type == device.type or not table.numel() or torch.compiler.is_compiling():
        return table
    return table.to(torch.int16) if limit.min <= int(table.min()) and int(table.max()) <= limit.max else table
