"""Columns as an operator of torch: what it returns, its gradients, and what it does under autocast.

The operator is `prcim::column_sum`; its forward pass equals `prcim.bnn.column_sum.MajoritySum` and `CodeSum` bit for
bit, its backward pass has their arithmetic. It runs on CPUs, by `Prepared`, and on GPUs where Triton is, by
`TritonColumns`.
"""

import functools
import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from prcim.bnn.binarize import Gradient, vote_slope
from prcim.bnn.kernels.columns import MAJORITY
from prcim.bnn.kernels.dense import product_gradients, take_off
from prcim.bnn.kernels.emitter import has_byte_permutations
from prcim.bnn.kernels.prepared import Layout, Prepared, output_shape
from prcim.bnn.kernels.sum_gradients import sum_gradients
from prcim.bnn.kernels.taken_off import take_off_clipped
from prcim.bnn.windows import fold, padded, patches

if TYPE_CHECKING:
    from prcim.bnn.kernels.triton_columns import TritonColumns

#: Partial sums whose gradients are in memory at a time.
AT_ONCE = 1 << 24
#: Partial sums from which on it is worth to find out whether a converter clips at all.
DENSE_FROM = 1 << 20
#: The share of sums beyond a converter's range, 1 in so many, up to which they are taken off one by one.
CLIPPED_SHARE = 256
#: The share of outputs with a gradient below which their gradients go one by one.
SPARSE_SHARE = 0.4
_UNIT = 64


@torch.library.custom_op("prcim::column_sum", mutates_args=(), device_types=("cpu", "cuda"))
def column_sum(
    x: Tensor, weight: Tensor, threshold: Tensor, fresh: Tensor, residual: Tensor, curves: Tensor, column: Tensor,
    offsets: Tensor, images: Tensor, layout: list[int],
) -> Tensor:  # fmt: skip
    """Read-outs of columns, added over the columns of each output; arguments as for `Prepared`."""
    known = Layout.from_numbers(layout)
    made = prepared(x, weight, threshold, fresh, residual, curves, column, offsets, images, known)
    return _channels_second(made.totals().to(x.dtype))


@column_sum.register_fake
def _(
    x: Tensor, weight: Tensor, threshold: Tensor, fresh: Tensor, residual: Tensor, curves: Tensor, column: Tensor,
    offsets: Tensor, images: Tensor, layout: list[int],
) -> Tensor:  # fmt: skip
    return _channels_second(x.new_empty(_output_shape(x, weight, layout)))


@torch.library.custom_op("prcim::column_sum_gradients", mutates_args=(), device_types=("cpu", "cuda"))
def column_sum_gradients(
    grad: Tensor, x: Tensor, weight: Tensor, threshold: Tensor, fresh: Tensor, residual: Tensor, curves: Tensor,
    column: Tensor, offsets: Tensor, images: Tensor, layout: list[int],
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients of x, weight and threshold; partial sums are computed again, some images at a time."""
    known = Layout.from_numbers(layout)
    made = prepared(x, weight, threshold, fresh, residual, curves, column, offsets, images, known)
    arriving = (grad if grad.dim() == 2 else grad.permute(0, 2, 3, 1)).reshape(-1, len(weight)).float().contiguous()
    count = len(arriving) * len(weight) * known.groups
    if known.mode != MAJORITY and count > DENSE_FROM and not _sparse(made, arriving):
        grads = _of_product(made, grad.to(x.dtype), arriving, x, weight, known)
        if grads is not None:
            return (*grads, torch.zeros_like(threshold))
    gradient: Gradient = "straight" if known.straight else "smoothed"
    slope = (_slope(made.n, gradient) if known.mode == MAJORITY else torch.zeros(0)).to(x.device)
    if isinstance(made, Prepared):
        grad_x, grad_weight, of_columns = sum_gradients(made, arriving, slope, x, weight)
        # A converter has no thresholds to train.
        return grad_x, grad_weight, of_columns[: len(threshold)].to(threshold.dtype).reshape(threshold.shape)
    edge, x = known.padding, padded(x, known.padding)
    columns = _rows(weight).reshape(len(weight), known.groups, made.n).to(x.dtype)
    positions = math.prod(made.shape[1:-1])
    images_at_once = max(AT_ONCE // (known.groups * len(weight) * positions), 1)
    grad_x, grad_columns, grad_threshold = torch.zeros_like(x), torch.zeros_like(columns), torch.zeros_like(threshold)
    for first in range(0, len(x), images_at_once):
        part = slice(first, min(first + images_at_once, len(x)))
        flat = made.gradients(arriving, slope, part.start * positions, part.stop * positions).to(x.dtype)
        inputs = x[part] if x.dim() == 2 else patches(x[part], kernel=weight.shape[-1], stride=known.stride)
        grad_inputs = torch.einsum("bgo,ogn->bgn", flat, columns)
        grad_columns += torch.einsum("bgo,bgn->ogn", flat, inputs.reshape(grad_inputs.shape))
        if len(threshold):
            grad_threshold -= flat.sum(0).to(threshold.dtype)
        if x.dim() == 2:
            grad_x[part] = grad_inputs.flatten(1)
        else:
            fold(grad_inputs, grad_x[part], kernel=weight.shape[-1], stride=known.stride)
    if weight.dim() == 4:
        outputs, channels, kernel, _ = weight.shape
        grad_weight = grad_columns.reshape(outputs, kernel, kernel, channels).permute(0, 3, 1, 2).contiguous()
    else:
        grad_weight = grad_columns.reshape(weight.shape)
    return _inner(grad_x, edge), grad_weight.to(weight.dtype), grad_threshold


def _sparse(made: "Prepared | TritonColumns", arriving: Tensor) -> bool:
    """Whether so few outputs have a gradient, as behind a pool, that it is faster to go by these than by a product."""
    few = int(torch.count_nonzero(arriving)) < SPARSE_SHARE * arriving.numel()
    return few and isinstance(made, Prepared) and has_byte_permutations()


def _of_product(
    made: "Prepared | TritonColumns", grad: Tensor, arriving: Tensor, x: Tensor, weight: Tensor, known: Layout
) -> tuple[Tensor, Tensor] | None:
    """Gradients of the product, less what columns that clip have passed; None where these are too many."""
    if isinstance(made, Prepared) and has_byte_permutations() and made.errors_of_one_draw() is not None:
        grads = product_gradients(grad, x, weight, known.stride, known.padding)
        return grads if take_off_clipped(made, arriving, x, weight, *grads) else None
    found = made.clipped(arriving.numel() * known.groups // CLIPPED_SHARE)
    if found is None:
        return None
    x = padded(x, known.padding)
    grads = product_gradients(grad, x, weight, known.stride)
    take_off(found, arriving.to(x.dtype), x, weight, known, *grads)
    return _inner(grads[0], known.padding), grads[1]


def _inner(x: Tensor, padding: int) -> Tensor:
    """Images without what was put around them."""
    return x[:, :, padding:-padding, padding:-padding].contiguous() if padding else x


@column_sum_gradients.register_fake
def _(
    grad: Tensor, x: Tensor, weight: Tensor, threshold: Tensor, fresh: Tensor, residual: Tensor, curves: Tensor,
    column: Tensor, offsets: Tensor, images: Tensor, layout: list[int],
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    grad_weight = torch.empty_like(weight, memory_format=torch.contiguous_format)
    return torch.empty_like(x), grad_weight, torch.empty_like(threshold)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.layout = inputs
    ctx.save_for_backward(*tensors)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    return (*column_sum_gradients(grad, *ctx.saved_tensors, ctx.layout), *[None] * 7)


column_sum.register_autograd(_backward, setup_context=_keep)
# Sums of codes are integers that a narrow type would round.
column_sum.register_autocast("cpu", torch.float32)
column_sum.register_autocast("cuda", torch.float32)


def _output_shape(x: Tensor, weight: Tensor, layout: list[int]) -> tuple[int, ...]:
    known = Layout.from_numbers(layout)
    return output_shape(x, weight, known.stride, known.padding)


def prepared(
    x: Tensor, weight: Tensor, threshold: Tensor, fresh: Tensor, residual: Tensor, curves: Tensor, column: Tensor,
    offsets: Tensor, images: Tensor, layout: Layout,
) -> "Prepared | TritonColumns":  # fmt: skip
    """A layer as the loops for its device take it; arguments as for `Prepared`."""
    tensors = (threshold, fresh, residual, curves, column, offsets, images)
    if x.device.type == "cpu":
        return Prepared(x.float(), weight.float(), *tensors, layout)
    from prcim.bnn.kernels.triton_columns import TritonColumns

    return TritonColumns(padded(x, layout.padding), weight, *tensors, layout)


def _rows(weight: Tensor) -> Tensor:
    """Weights in the order of a column's inputs, (O, inputs)."""
    return weight if weight.dim() == 2 else weight.permute(0, 2, 3, 1).flatten(1)


def _channels_second(total: Tensor) -> Tensor:
    return total if total.dim() == 2 else total.permute(0, 3, 1, 2)


@functools.cache
def _slope(n: int, gradient: Gradient) -> Tensor:
    """Slope of votes by |z| in units of 2^-6, up to where it is zero in float32."""
    width = math.sqrt(n)
    last = math.ceil(15 * width * _UNIT)
    return vote_slope(torch.arange(last + 1, dtype=torch.float32) / _UNIT, width, gradient)
