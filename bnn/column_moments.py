"""Mean and variance of the sums of each column over a batch, errors included."""

import math
from typing import Any

import torch
from torch import Tensor

from prcim.bnn.column_sum import noisy_sums, partial_sums
from prcim.bnn.noise import LayerErrors, Reads
from prcim.bnn.tables import UNIT

#: Partial sums in memory at a time.
_READS_AT_ONCE = 1 << 22
#: Added to a variance, as a batch norm does, so that a column that never changes has a spread.
EPS = 1e-3


class ColumnMoments(torch.autograd.Function):
    """Mean and variance of S + error of each column, over images and positions.

    Forward: in integers of 2^-6, so that no order of summation matters. Backward: those of S, with the error held.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, errors: LayerErrors | None, reads: Reads | None
    ) -> tuple[Tensor, Tensor]:
        """Args: x (B, G, n) or (B, P, G, n), weight (O, G, n), both +-1. -> two of (G, O)."""
        count = x[..., 0, 0].numel()
        total = torch.zeros(weight.shape[1], len(weight), dtype=torch.int64, device=x.device)
        square = torch.zeros_like(total)
        size = max(_READS_AT_ONCE // (len(weight) * math.prod(x.shape[1:-1])), 1)
        for first in range(0, len(x), size):
            part = slice(first, first + size)
            some = None if reads is None else Reads(images=reads.images[part], read=reads.read)
            z = noisy_sums(partial_sums(x[part], weight), x[part], errors, some).to(torch.int64).flatten(0, -3)
            total += z.sum(0)
            square += (z * z).sum(0)
        mean = total.double() / count
        var = square.double() / count - mean**2
        ctx.save_for_backward(x, weight, mean.to(x.dtype) / UNIT)
        return (mean / UNIT).to(x.dtype), (var / UNIT**2 + EPS).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of x and weight."""
        x, weight, mean = ctx.saved_tensors
        flat = x.flatten(0, -3)
        grad_mean, grad_var = grad[0] / len(flat), 2 * grad[1] / len(flat)
        # d mean / d S_i = 1 / N, d var / d S_i = 2 (S_i - mean) / N, and S is linear in both factors.
        constant = grad_mean - grad_var * mean
        second = torch.einsum("bgn,bgm->gnm", flat, flat)
        grad_weight = constant.t()[..., None] * flat.sum(0) + torch.einsum("go,gnm,ogm->ogn", grad_var, second, weight)
        both = torch.einsum("ogn,go,ogm->gnm", weight, grad_var, weight)
        grad_x = torch.einsum("go,ogn->gn", constant, weight) + torch.einsum("bgm,gnm->bgn", flat, both)
        return grad_x.reshape(x.shape), grad_weight, None, None


def column_moments(x: Tensor, weight: Tensor, errors: LayerErrors | None, reads: Reads | None) -> tuple[Tensor, Tensor]:
    """Mean and variance of each column's sums in S, shape (G, O) each; arguments as for `ColumnMoments.forward`."""
    mean, var = ColumnMoments.apply(x, weight, errors, reads)  # type: ignore[no-untyped-call]
    return mean, var
