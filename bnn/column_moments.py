"""Mean and variance of the sums of each column over a batch, errors included."""

import math
from typing import Any

import torch
from torch import Tensor

from prcim.bnn.column_sum import has_cells, noisy_sums, partial_sums
from prcim.bnn.kernels.fused import fused_moments, has_kernel
from prcim.bnn.noise import LayerErrors, Reads
from prcim.bnn.tables import UNIT

#: Partial sums in memory at a time.
_READS_AT_ONCE = 1 << 22
#: Added to a variance, as a batch norm does, so that a column that never changes has a spread.
EPS = 1e-3
#: In training errors are looked at in so many reads of a column and in so many images, at least.
SAMPLE_READS, SAMPLE_IMAGES = 2048, 16


class ColumnMoments(torch.autograd.Function):
    """Mean and variance of S + error of each column, over images and positions.

    Forward: those of S from the products of inputs, w' E[x x'] w, in which no order of summation matters; and what
    errors add to both, from the first images. Backward: those of S, with the error held.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, errors: LayerErrors | None, reads: Reads | None, images: int
    ) -> tuple[Tensor, Tensor]:
        """Args: x (B, G, n) or (B, P, G, n), weight (O, G, n), both +-1; images with errors. -> two of (G, O)."""
        flat = x.flatten(0, -3)
        total, second = flat.double().sum(0), _second(flat)
        columns = weight.double()
        mean = torch.einsum("gn,ogn->go", total, columns) / len(flat)
        square = torch.einsum("ogn,gnm,ogm->go", columns, second, columns) / len(flat)
        exact_mean, var = mean, square - mean**2
        if errors is not None and reads is not None:
            some = Reads(images=reads.images[:images], read=reads.read)
            more_mean, more_var = _added(x[:images], weight, errors, some)
            mean, var = mean + more_mean, (var + more_var).clamp_min(0.0)
        ctx.save_for_backward(x, weight, total.to(x.dtype), second.to(x.dtype), exact_mean.to(x.dtype))
        return mean.to(x.dtype), (var + EPS).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of x and weight."""
        x, weight, total, second, mean = ctx.saved_tensors
        flat = x.flatten(0, -3)
        grad_mean, grad_var = grad[0] / len(flat), 2 * grad[1] / len(flat)
        # d mean / d S_i = 1 / N, d var / d S_i = 2 (S_i - mean) / N, and S is linear in both factors.
        constant = grad_mean - grad_var * mean
        # Two factors at a time: of three, `einsum` would first make the outer product of the two that share no rows.
        scaled = grad_var.t()[..., None] * weight
        grad_weight = constant.t()[..., None] * total + torch.einsum("ogm,gmn->ogn", scaled, second)
        both = torch.einsum("ogn,ogm->gnm", weight, scaled)
        grad_x = torch.einsum("go,ogn->gn", constant, weight) + torch.einsum("bgm,gnm->bgn", flat, both)
        return grad_x.reshape(x.shape), grad_weight, None, None, None


def column_moments(
    x: Tensor, weight: Tensor, errors: LayerErrors | None, reads: Reads | None, *, sample: bool = False
) -> tuple[Tensor, Tensor]:
    """Mean and variance of each column's sums in S, shape (G, O) each.

    Args:
        x, weight, errors, reads: as for `ColumnMoments.forward`.
        sample: look at errors in some of the images only, `SAMPLE_IMAGES` or as many as give `SAMPLE_READS`.
    """
    places = math.prod(x.shape[1:-2])
    images = max(SAMPLE_IMAGES, -(-SAMPLE_READS // places)) if sample else len(x)
    mean, var = ColumnMoments.apply(x, weight, errors, reads, images)  # type: ignore[no-untyped-call]
    return mean, var


def _second(flat: Tensor) -> Tensor:
    """Sum over reads of x x' in each group, (G, n, n) in float64; exact, since parts stay below 2^24."""
    parts = flat.split(1 << 20)
    return torch.stack([torch.einsum("bgn,bgm->gnm", part, part).double() for part in parts]).sum(0)


def _added(x: Tensor, weight: Tensor, errors: LayerErrors, reads: Reads) -> tuple[Tensor, Tensor]:
    """What errors add to mean and variance in some images, (G, O) each; in integers of 2^-6 until the end."""
    count = x[..., 0, 0].numel()
    if has_kernel(x) and not has_cells(errors):
        sums = torch.cat([fused_moments(x, weight, some, reads) for some in (None, errors)])
    else:
        sums = _plain_sums(x, weight, errors, reads)
    exact_mean, exact_square, mean, square = sums.double() / count
    return (mean - exact_mean) / UNIT, (square - mean**2 - exact_square + exact_mean**2) / UNIT**2


def _plain_sums(x: Tensor, weight: Tensor, errors: LayerErrors, reads: Reads) -> Tensor:
    """Sums over reads of S, S^2, S + error, (S + error)^2, in units of 2^-6, int64, (4, G, O)."""
    sums = torch.zeros(4, weight.shape[1], len(weight), dtype=torch.int64, device=x.device)
    size = max(_READS_AT_ONCE // (len(weight) * math.prod(x.shape[1:-1])), 1)
    for first in range(0, len(x), size):
        part = x[first : first + size]
        some = Reads(images=reads.images[first : first + size], read=reads.read)
        exact = partial_sums(part, weight)
        noisy = noisy_sums(exact, part, errors, some, weight, fused=True).to(torch.int64).flatten(0, -3)
        exact = UNIT * exact.to(torch.int64).flatten(0, -3)
        sums += torch.stack([exact.sum(0), (exact**2).sum(0), noisy.sum(0), (noisy**2).sum(0)])
    return sums
