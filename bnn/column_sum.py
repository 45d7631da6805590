"""Partial sums on columns, with their errors and their read-out: the definition that faster kernels are held to."""

import math
from typing import Any

import torch
from torch import Tensor

from prcim.bnn.binarize import expected_sign_slope
from prcim.bnn.noise import LayerErrors, Reads
from prcim.bnn.tables import UNIT
from prcim.cells.readout import Adc


def partial_sums(x: Tensor, weight: Tensor) -> Tensor:
    """S of every column: x (B, G, n) and weight (O, G, n), both +-1, give (B, G, O); exact in float32."""
    return torch.einsum("bgn,ogn->bgo", x, weight)


def noisy_sums(mac: Tensor, x: Tensor, errors: LayerErrors | None, reads: Reads | None) -> Tensor:
    """S with its errors, int32 in units of 2^-6, shape of `mac`."""
    exact = mac.to(torch.int32)
    if errors is None or reads is None:
        return exact * UNIT
    n_on = (exact.to(torch.int64) + x.shape[-1]) >> 1
    return exact * UNIT + errors(n_on, x, reads)


class MajoritySum(torch.autograd.Function):
    """Votes of one-bit columns, summed over the groups of an output.

    Forward: `sum_g sign(S + error - threshold)`, in integers. Backward: each vote's gradient is that of the sum, times
    the slope of the expected sign at S + error with a width of sqrt(n), the spread of S itself.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, threshold: Tensor, errors: LayerErrors | None, reads: Reads | None
    ) -> Tensor:
        """Args: x (B, G, n), weight (O, G, n), both +-1; threshold (G, O), integers midway between sums. -> (B, O)."""
        z = noisy_sums(partial_sums(x, weight), x, errors, reads) - threshold.to(torch.int32) * UNIT
        ctx.save_for_backward(x, weight, z)
        votes = torch.where(z >= 0, 1, -1).to(torch.int32).sum(1)
        return votes.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of x, weight and threshold."""
        x, weight, z = ctx.saved_tensors
        slope = expected_sign_slope(z.to(x.dtype) / UNIT, math.sqrt(x.shape[-1]))
        grad_mac = grad[0][:, None, :] * slope
        grad_x = torch.einsum("bgo,ogn->bgn", grad_mac, weight)
        grad_weight = torch.einsum("bgo,bgn->ogn", grad_mac, x)
        return grad_x, grad_weight, -grad_mac.sum(0), None, None


class CodeSum(torch.autograd.Function):
    """Codes of n-bit read-outs, summed over the groups of an output.

    Forward: `sum_g level[clip(floor((S + error - first threshold) / step))]`, in integers; with a comparator for each
    threshold, the number of thresholds that S + error + its own offset reaches. Backward: the gradient of
    the sum passes to every column whose code is not at the end of its range.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, adc: Adc, errors: LayerErrors | None, reads: Reads | None
    ) -> Tensor:
        """Args: x (B, G, n), weight (O, G, n), both +-1. -> (B, O)."""
        n_used = x.shape[-1]
        z = noisy_sums(partial_sums(x, weight), x, errors, reads) - adc.first_threshold(n_used) * UNIT
        half = 2**adc.bits // 2
        number = torch.div(z, adc.step * UNIT, rounding_mode="floor")
        ctx.save_for_backward(x, weight, (number >= -half) & (number < half))
        number = number.clamp(-half, half - 1)
        if errors is not None and errors.offsets is not None:
            number = torch.full_like(z, -half)
            for j, offset in enumerate(errors.offsets):
                number += z + offset >= (j - half + 1) * adc.step * UNIT
        code = adc.first_threshold(n_used) + adc.step // 2 + adc.step * number
        return code.to(torch.int32).sum(1).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of x and weight."""
        x, weight, inside = ctx.saved_tensors
        grad_mac = grad[0][:, None, :] * inside
        grad_x = torch.einsum("bgo,ogn->bgn", grad_mac, weight)
        grad_weight = torch.einsum("bgo,bgn->ogn", grad_mac, x)
        return grad_x, grad_weight, None, None, None
