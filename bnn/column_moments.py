"""Mean and variance of the sums of each column over a batch, errors included."""

import math
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from prcim.bnn.column_sum import cut_weight, has_cells, noisy_sums, partial_sums
from prcim.bnn.kernels.fused import fused_moments, has_kernel
from prcim.bnn.kernels.input_moments import input_moments
from prcim.bnn.kernels.prepared import input_words
from prcim.bnn.noise import LayerErrors, Reads
from prcim.bnn.tables import UNIT
from prcim.bnn.windows import fold, padded, patches

#: Partial sums in memory at a time.
_READS_AT_ONCE = 1 << 22
#: Integers below are exact in single precision.
_SINGLE = 1 << 24
#: Added to a variance, as a batch norm does, so that a column that never changes has a spread.
EPS = 1e-3
#: In training errors are looked at in so many reads of a column and in so many images, at least.
SAMPLE_READS, SAMPLE_IMAGES = 2048, 16


@final
@dataclass(frozen=True, kw_only=True)
class Window:
    """How a layer's inputs are cut into columns.

    Attributes:
        groups: columns of an output.
        kernel, stride, padding: of a convolution; beyond the edge all is -1.
    """

    groups: int
    kernel: int = 1
    stride: int = 1
    padding: int = 0

    def rows(self, x: Tensor) -> Tensor:
        """What stands on the rows of each column at every position, (M, G, n)."""
        if x.dim() == 4:
            x = patches(padded(x, self.padding), kernel=self.kernel, stride=self.stride).flatten(0, 1)
        return x.reshape(len(x), self.groups, -1)

    def positions(self, x: Tensor) -> int:
        """Of an image."""
        return math.prod((side + 2 * self.padding - self.kernel) // self.stride + 1 for side in x.shape[2:])


class ColumnMoments(torch.autograd.Function):
    """Mean and variance of S + error of each column, over images and positions.

    Forward: those of S from the products of inputs, w' E[x x'] w, in which no order of summation matters; and what
    errors add to both, from the first images. Backward: those of S, with the error held.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        errors: LayerErrors | None,
        reads: Reads | None,
        window: Window,
        images: int,
    ) -> tuple[Tensor, Tensor]:
        """Args: x and weight as for `majority_sum`; images that errors are looked at in. -> two of (G, O)."""
        columns = cut_weight(weight, window.groups)
        total, second, count = _input_moments(x, weight, window)
        exact_mean, exact_square = _of_columns(total, second, columns, count)
        mean, var = exact_mean, exact_square - exact_mean**2
        if errors is not None and reads is not None:
            some = Reads(images=reads.images[:images], read=reads.read)
            exact = (exact_mean, exact_square) if images >= len(x) else None
            more_mean, more_var = _added(x[:images], weight, errors, some, window, exact)
            mean, var = mean + more_mean, (var + more_var).clamp_min(0.0)
        ctx.window = window
        ctx.save_for_backward(x, weight, total.to(x.dtype), second.to(x.dtype), exact_mean.to(x.dtype))
        return mean.to(x.dtype), (var + EPS).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of x and weight."""
        x, weight, total, second, mean = ctx.saved_tensors
        window: Window = ctx.window
        columns = cut_weight(weight, window.groups)
        count = len(x) * window.positions(x)
        grad_mean, grad_var = grad[0] / count, 2 * grad[1] / count
        # d mean / d S_i = 1 / N, d var / d S_i = 2 (S_i - mean) / N, and S is linear in both factors.
        constant = grad_mean - grad_var * mean
        # Two factors at a time: of three, `einsum` would first make the outer product of the two that share no rows.
        scaled = grad_var.t()[..., None] * columns
        grad_columns = constant.t()[..., None] * total + torch.einsum("ogm,gmn->ogn", scaled, second)
        slope = torch.einsum("ogn,ogm->gmn", columns, scaled)
        start = torch.einsum("go,ogn->gn", constant, columns)
        if x.dim() == 2:
            rows = x.reshape(len(x), window.groups, -1)
            return (
                (start + torch.einsum("bgm,gmn->bgn", rows, slope)).reshape(x.shape),
                _as(grad_columns, weight),
                *_NONE,
            )
        return _of_images(x, start, slope, window), _as(grad_columns, weight), *_NONE


_NONE = (None,) * 4


def column_moments(
    x: Tensor, weight: Tensor, errors: LayerErrors | None, reads: Reads | None, window: Window, *, sample: bool = False
) -> tuple[Tensor, Tensor]:
    """Mean and variance of each column's sums in S, shape (G, O) each.

    Args:
        x, weight, errors, reads: as for `prcim.bnn.column_sum.majority_sum`.
        window: how the inputs are cut into columns.
        sample: look at errors in some of the images only, `SAMPLE_IMAGES` or as many as give `SAMPLE_READS`.
    """
    images = max(SAMPLE_IMAGES, -(-SAMPLE_READS // window.positions(x))) if sample else len(x)
    mean, var = ColumnMoments.apply(x, weight, errors, reads, window, images)  # type: ignore[no-untyped-call]
    return mean, var


def _input_moments(x: Tensor, weight: Tensor, window: Window) -> tuple[Tensor, Tensor, int]:
    """Sums over reads of x and of x x' in each group, (G, n) and (G, n, n) in float64, exact; and how many reads."""
    if has_kernel(x) and x.device.type == "cpu":
        words = input_words(x.float(), weight, window.groups, stride=window.stride, padding=window.padding)
        total, second = input_moments(words, weight[0].numel() // window.groups)
        return torch.from_numpy(total).double(), torch.from_numpy(second).double(), len(words)
    rows = window.rows(x)
    # Exact, since parts stay below 2^24.
    parts = [torch.einsum("bgn,bgm->gnm", part, part).double() for part in rows.split(1 << 20)]
    return rows.double().sum(0), torch.stack(parts).sum(0), len(rows)


def _of_columns(total: Tensor, second: Tensor, columns: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Means of S and of its square in float64, (G, O), from the sums of inputs and of their products."""
    # Sums of integers: exact in whatever type holds the largest that there can be.
    exact = columns.shape[-1] ** 2 * count < _SINGLE
    total, second, columns = (values.float() if exact else values.double() for values in (total, second, columns))
    first = torch.einsum("gn,ogn->go", total, columns)
    square = (torch.einsum("ogn,gnm->ogm", columns, second) * columns).sum(-1).t()
    return first.double() / count, square.double() / count


def _of_images(x: Tensor, start: Tensor, slope: Tensor, window: Window) -> Tensor:
    """Gradient of images, start + x slope at every place of every window, added up where it stands.

    Args:
        x: (B, C, H, W).
        start: (G, n).
        slope: (G, n, n).
        window: of the layer.
    """
    channels, (groups, n) = x.shape[1], start.shape
    kernel = window.kernel
    if channels % n:
        # A column takes inputs of more than one place of its window.
        found = torch.zeros_like(padded(x, window.padding))
        at_once = max(_READS_AT_ONCE // (window.positions(x) * groups * n), 1)
        for first in range(0, len(x), at_once):
            rows = window.rows(x[first : first + at_once])
            values = start + torch.einsum("bgm,gmn->bgn", rows, slope)
            fold(values, found[first : first + at_once], kernel=kernel, stride=window.stride)
        edge = window.padding
        return found[:, :, edge : edge + x.shape[2], edge : edge + x.shape[3]]
    # Each place has its own matrix: that of all windows that it stands in, which are the same but at the edges.
    start, slope = start.view(kernel, kernel, channels), slope.view(kernel, kernel, -1, n, n)

    def there(some: Tensor, down: Tensor, across: Tensor) -> Tensor:
        matrix, constant = slope[down][:, across].sum((0, 1)).mT, start[down][:, across].sum((0, 1))
        found = matrix @ some.reshape(len(x), -1, n, some[0, 0].numel())
        return found.view(some.shape).add_(constant[:, None, None])

    high, wide = _places(x.shape[2], window), _places(x.shape[3], window)
    found = there(x, high[0][0], wide[0][0])
    for down, ys in high:
        for across, xs in wide:
            if ys is not high[0][1] or xs is not wide[0][1]:
                found[:, :, ys[:, None], xs] = there(x[:, :, ys[:, None], xs], down, across)
    return found


def _places(side: int, window: Window) -> list[tuple[Tensor, Tensor]]:
    """Places along a side that stand in windows alike: at which places of these, and the places; the most first."""
    count = (side + 2 * window.padding - window.kernel) // window.stride + 1
    start = torch.arange(side)[:, None] + window.padding - torch.arange(window.kernel)
    inside = (start >= 0) & (start % window.stride == 0) & (start < count * window.stride)
    kinds, kind = torch.unique(inside, dim=0, return_inverse=True)
    places = [(taps.nonzero()[:, 0], (kind == number).nonzero()[:, 0]) for number, taps in enumerate(kinds)]
    return sorted(places, key=lambda alike: -len(alike[1]))


def _as(columns: Tensor, weight: Tensor) -> Tensor:
    """Gradients of columns (O, G, n) in the shape of the weights."""
    if weight.dim() == 2:
        return columns.reshape(weight.shape)
    outputs, channels, *kernel = weight.shape
    return columns.reshape(outputs, *kernel, channels).permute(0, 3, 1, 2)


def _added(
    x: Tensor,
    weight: Tensor,
    errors: LayerErrors,
    reads: Reads,
    window: Window,
    exact: tuple[Tensor, Tensor] | None,
) -> tuple[Tensor, Tensor]:
    """What errors add to mean and variance in some images, (G, O) each; in integers of 2^-6 until the end.

    Args:
        x, weight, errors, reads, window: as for `ColumnMoments.forward`.
        exact: means of S and of its square in these images, where they are known.
    """
    if has_kernel(x) and not has_cells(errors):
        cut = {"groups": window.groups, "stride": window.stride, "padding": window.padding}
        noisy = fused_moments(x, weight, errors, reads, **cut)
    else:
        noisy = _plain_sums(x, weight, errors, reads, window)
    if exact is None:
        total, second, count = _input_moments(x, weight, window)
        exact = _of_columns(total, second, cut_weight(weight, window.groups), count)
    count = len(x) * window.positions(x)
    mean, square = noisy[0].double() / count / UNIT, noisy[1].double() / count / UNIT**2
    return mean - exact[0], square - mean**2 - exact[1] + exact[0] ** 2


def _plain_sums(x: Tensor, weight: Tensor, errors: LayerErrors, reads: Reads, window: Window) -> Tensor:
    """Sums over reads of S + error and of its square, in units of 2^-6, int64, (2, G, O)."""
    columns, positions = cut_weight(weight, window.groups), window.positions(x)
    sums = torch.zeros(2, window.groups, len(weight), dtype=torch.int64, device=x.device)
    size = max(_READS_AT_ONCE // (len(weight) * window.groups * positions), 1)
    for first in range(0, len(x), size):
        part = window.rows(x[first : first + size])
        part = part if x.dim() == 2 else part.reshape(-1, positions, *part.shape[1:])
        some = Reads(images=reads.images[first : first + size], read=reads.read)
        noisy = noisy_sums(partial_sums(part, columns), part, errors, some, columns, fused=True)
        noisy = noisy.to(torch.int64).flatten(0, -3)
        sums += torch.stack([noisy.sum(0), (noisy**2).sum(0)])
    return sums
