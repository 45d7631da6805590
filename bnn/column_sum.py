"""Partial sums on columns, with their errors and their read-out: the definition that faster kernels are held to.

Inputs of a convolution are ordered by place in the window first (row, then column) and channel last, so that the rows
of a column are neighbouring channels; positions of the window are counted row by row.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from prcim.bnn.binarize import Gradient, vote_slope
from prcim.bnn.cell_loop import summed
from prcim.bnn.kernels.columns import CODE, FLASH, MAJORITY
from prcim.bnn.kernels.fused import fused_sum, has_kernel
from prcim.bnn.noise import LayerErrors, Reads
from prcim.bnn.tables import UNIT
from prcim.bnn.windows import padded
from prcim.bnn.windows import patches as patches
from prcim.cells.readouts.readout import Adc

#: Partial sums that the plain definition has in memory at a time.
_READS_AT_ONCE = 1 << 22


def partial_sums(x: Tensor, weight: Tensor) -> Tensor:
    """S of every column: x (..., G, n) and weight (O, G, n), both +-1, give (..., G, O); exact in float32 at least."""
    wide = torch.promote_types(x.dtype, torch.float32)
    with torch.autocast(x.device.type, enabled=False):
        sums = torch.einsum("bgn,ogn->bgo", x.flatten(0, -3).to(wide), weight.to(wide))
    return sums.reshape(*x.shape[:-1], len(weight))


def majority_sum(
    x: Tensor,
    weight: Tensor,
    threshold: Tensor,
    errors: LayerErrors | None,
    reads: Reads | None,
    *,
    stride: int = 1,
    padding: int = 0,
    gradient: Gradient = "smoothed",
    fused: bool = True,
) -> Tensor:
    """Votes of one-bit columns, added over the columns of each output.

    Args:
        x: +-1, (B, inputs), or (B, C, H, W).
        weight: +-1, (O, inputs), or (O, C, k, k).
        threshold: of each column, midway between sums, shape (G, O); inputs are cut into G columns.
        errors: of the layer's columns; none: there are no errors.
        reads: which images these are.
        stride, padding: of a convolution; beyond the edge all is -1.
        gradient: what each vote passes back, as for `vote_slope` with a width of sqrt(n).
        fused: by the kernel where there is one for device and errors; else by `MajoritySum`, which gives the same.

    Returns:
        (B, O), or (B, O, H', W'); integers in the type of `x`.
    """
    groups = len(threshold)
    if fused and has_kernel(x) and not has_cells(errors):
        straight = gradient == "straight"
        return fused_sum(
            x,
            weight,
            threshold,
            errors,
            reads,
            mode=MAJORITY,
            groups=groups,
            stride=stride,
            padding=padding,
            straight=straight,
        )
    x = padded(_as_the_operator(x), padding)
    columns = cut_weight(weight, groups).to(x.dtype)

    def votes(part: Tensor, some: Reads | None) -> Tensor:
        found: Tensor = MajoritySum.apply(part, columns, threshold, errors, some, gradient, fused)  # type: ignore[no-untyped-call]
        return found

    return _by_portions(votes, x, weight, reads, groups, stride)


def code_sum(
    x: Tensor,
    weight: Tensor,
    adc: Adc,
    errors: LayerErrors | None,
    reads: Reads | None,
    *,
    groups: int,
    stride: int = 1,
    padding: int = 0,
    fused: bool = True,
) -> Tensor:
    """Codes of an ADC, added over the columns of each output; arguments as for `majority_sum`.

    Example:
        >>> code_sum(torch.ones(1, 128), torch.ones(1, 128), Adc(bits=7, step=2), None, None, groups=2)
        tensor([[128.]])
    """
    if fused and has_kernel(x) and not has_cells(errors):
        mode = FLASH if adc.kind == "flash" else CODE
        begin = adc.first_threshold(weight[0].numel() // groups)
        return fused_sum(
            x, weight, x.new_empty(0), errors, reads, mode=mode, groups=groups, stride=stride, padding=padding,
            bits=adc.bits, step=adc.step, begin=begin,
        )  # fmt: skip
    x = padded(_as_the_operator(x), padding)
    columns = cut_weight(weight, groups).to(x.dtype)

    def codes(part: Tensor, some: Reads | None) -> Tensor:
        found: Tensor = CodeSum.apply(part, columns, adc, errors, some, fused)  # type: ignore[no-untyped-call]
        return found

    return _by_portions(codes, x, weight, reads, groups, stride)


def _as_the_operator(x: Tensor) -> Tensor:
    """The input in single precision under autocast: a narrow type would round sums."""
    return x.float() if torch.is_autocast_enabled(x.device.type) and x.dtype != torch.float64 else x


def cut_weight(weight: Tensor, groups: int) -> Tensor:
    """Weights (O, inputs) or (O, C, k, k) by column, (O, G, n)."""
    if weight.dim() == 4:
        weight = weight.permute(0, 2, 3, 1).flatten(1)
    return weight.reshape(len(weight), groups, -1)


def _by_portions(
    function: Callable[[Tensor, Reads | None], Tensor],
    x: Tensor,
    weight: Tensor,
    reads: Reads | None,
    groups: int,
    stride: int,
) -> Tensor:
    """The function of (B, G, n) or (B, P, G, n), some images at a time: memory does not grow with the batch."""
    sides = tuple((length - weight.shape[-1]) // stride + 1 for length in x.shape[2:])
    count = max(_READS_AT_ONCE // (groups * len(weight) * math.prod(sides)), 1)
    parts = []
    for first in range(0, len(x), count):
        part = x[first : first + count]
        if x.dim() == 4:
            part = patches(part, kernel=weight.shape[-1], stride=stride)
        some = None if reads is None else Reads(images=reads.images[first : first + count], read=reads.read)
        parts.append(function(part.reshape(*part.shape[:-1], groups, -1), some))
    total = torch.cat(parts)
    return total.transpose(1, 2).reshape(len(x), -1, *sides) if x.dim() == 4 else total


def has_cells(errors: LayerErrors | None) -> bool:
    """Whether single cells err, which no kernel knows: their errors are products with the weights."""
    return errors is not None and errors.cells is not None


def noisy_sums(
    mac: Tensor,
    x: Tensor,
    errors: LayerErrors | None,
    reads: Reads | None,
    weight: Tensor | None = None,
    *,
    fused: bool = False,
) -> Tensor:
    """S with its errors, int32 in units of 2^-6, shape of `mac`.

    Args:
        mac: S, (..., G, O).
        x: +-1, (..., G, n).
        errors, reads: as for `majority_sum`.
        weight: +-1, (O, G, n); where single cells err.
        fused: with single cells, by a loop where there is one for the device, which gives the same.
    """
    if errors is not None and errors.cells is not None and weight is None:
        raise TypeError("errors of single cells need the weights")
    if fused and has_cells(errors) and x.device.type == "cpu":
        assert errors is not None
        assert weight is not None
        return mac.to(torch.int32) * UNIT if reads is None else summed(mac, x, weight, errors, reads)
    exact = mac.to(torch.int32)
    if errors is None or reads is None:
        return exact * UNIT
    n_on = (exact.to(torch.int64) + x.shape[-1]) >> 1
    found = exact * UNIT
    if errors.cells is not None and weight is not None:
        found += errors.cells.sums(x, weight, n_on)
    return found + errors(n_on, x, reads)


class MajoritySum(torch.autograd.Function):
    """Votes of one-bit columns, summed over the groups of an output.

    Forward: `sum_g sign(S + error - threshold)`, in integers. Backward: each vote's gradient is that of the sum, times
    `vote_slope` at S + error with a width of sqrt(n), the spread of S itself. Errors are held there, those of single
    cells too: it is the weights without errors that inputs and votes meet.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        threshold: Tensor,
        errors: LayerErrors | None,
        reads: Reads | None,
        gradient: Gradient = "smoothed",
        fused: bool = False,
    ) -> Tensor:
        """Args: x (..., G, n), weight (O, G, n), both +-1; threshold (G, O), midway between sums. -> (..., O)."""
        ctx.gradient = gradient
        z = (
            noisy_sums(partial_sums(x, weight), x, errors, reads, weight, fused=fused)
            - threshold.to(torch.int32) * UNIT
        )
        ctx.save_for_backward(x, weight, z)
        votes = 2 * (z >= 0).sum(-2) - z.shape[-2]
        return votes.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of x, weight and threshold."""
        x, weight, z = ctx.saved_tensors
        slope = vote_slope(z.to(x.dtype) / UNIT, math.sqrt(x.shape[-1]), ctx.gradient)
        grad_mac = grad[0][..., None, :] * slope
        grad_x, grad_weight = _product_gradients(x, weight, grad_mac)
        return grad_x, grad_weight, -grad_mac.flatten(0, -3).sum(0), None, None, None, None


class CodeSum(torch.autograd.Function):
    """Codes of n-bit read-outs, summed over the groups of an output.

    Forward: `sum_g level[clip(floor((S + error - first threshold) / step))]`, in integers; with a comparator for each
    threshold, the number of thresholds that S + error + its own offset reaches. Backward: the gradient of
    the sum passes to every column whose code is not at the end of its range, by the weights without errors.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        adc: Adc,
        errors: LayerErrors | None,
        reads: Reads | None,
        fused: bool = False,
    ) -> Tensor:
        """Args: x (..., G, n), weight (O, G, n), both +-1. -> (..., O)."""
        n_used = x.shape[-1]
        z = (
            noisy_sums(partial_sums(x, weight), x, errors, reads, weight, fused=fused)
            - adc.first_threshold(n_used) * UNIT
        )
        half = 2**adc.bits // 2
        number = torch.div(z, adc.step * UNIT, rounding_mode="floor")
        ctx.save_for_backward(x, weight, (number >= -half) & (number < half))
        number = number.clamp(-half, half - 1)
        if errors is not None and errors.offsets is not None:
            number = torch.full_like(z, -half)
            for j, offset in enumerate(errors.offsets.to(z.device)):
                number += z + offset >= (j - half + 1) * adc.step * UNIT
        code = adc.first_threshold(n_used) + adc.step // 2 + adc.step * number
        return code.to(torch.int32).sum(-2).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of x and weight."""
        x, weight, inside = ctx.saved_tensors
        grad_x, grad_weight = _product_gradients(x, weight, grad[0][..., None, :] * inside)
        return grad_x, grad_weight, None, None, None, None


def _product_gradients(x: Tensor, weight: Tensor, grad_mac: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of x (..., G, n) and weight (O, G, n) from that of the partial sums (..., G, O)."""
    flat = grad_mac.flatten(0, -3)
    grad_x = torch.einsum("bgo,ogn->bgn", flat, weight).reshape(x.shape)
    return grad_x, torch.einsum("bgo,bgn->ogn", flat, x.flatten(0, -3))
