"""Gradients of columns that pass what arrives at their output: those of the product, less the columns that clip."""

import torch
from torch import Tensor

from prcim.bnn.kernels.prepared import Layout


def product_gradients(grad: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int = 0) -> tuple[Tensor, Tensor]:
    """Gradients of both factors of a product, x (B, inputs), or of a convolution, x (B, C, H, W), padded with -1."""
    if x.dim() == 2:
        found = (grad @ weight.to(x.dtype), grad.t() @ x)
    else:
        sides = ((stride, stride), (padding, padding), (1, 1), False, (0, 0), 1)
        found = torch.ops.aten.convolution_backward(grad, x, weight.to(x.dtype), None, *sides, (True, True, False))[:2]
    # As they lie in memory is part of what the operator promises.
    grad_x = found[0] if found[0].stride() == x.stride() else torch.empty_like(x).copy_(found[0])
    grad_weight = found[1].to(weight.dtype).contiguous()
    if padding:
        # The convolution pads with zeros. What stands there is -1 in every channel.
        grad_weight -= _beyond(grad, x.shape[2:], weight.shape[-1], stride, padding)[:, None].to(grad_weight.dtype)
    return grad_x, grad_weight


def _beyond(grad: Tensor, sides: torch.Size, kernel: int, stride: int, padding: int) -> Tensor:
    """For each output and tap, what arrives where the tap lies beyond the edge, (O, kernel, kernel)."""
    outside = []
    for length, count in zip(sides, grad.shape[2:], strict=True):
        place = torch.arange(count)[None] * stride + torch.arange(kernel)[:, None] - padding
        outside.append(((place < 0) | (place >= length)).to(grad.device))
    down, across = outside
    either = down[:, None, :, None] | across[None, :, None, :]
    return torch.einsum("ohw,klhw->okl", grad.sum(0), either.to(grad.dtype))


def take_off(
    columns: Tensor, arriving: Tensor, x: Tensor, weight: Tensor, layout: Layout, grad_x: Tensor, grad_weight: Tensor
) -> None:
    """Takes what some columns passed off the gradients of x and weight.

    Args:
        columns: position, group and output of each, (count, 3).
        arriving: gradients of all outputs, (M, O).
        x, weight, layout: of the layer.
        grad_x, grad_weight: to take it off from.
    """
    if not len(columns):
        return
    position, group, output = columns.t()
    n = weight[0].numel() // layout.groups
    row = group[:, None] * n + torch.arange(n, device=group.device)
    value = arriving[position, output][:, None]
    place: tuple[Tensor, ...]
    tap: tuple[Tensor, ...]
    if x.dim() == 2:
        place, tap = (position[:, None], row), (output[:, None], row)
    else:
        channels, kernel = weight.shape[1:3]
        high, wide = ((length - kernel) // layout.stride + 1 for length in x.shape[2:])
        window, channel = row // channels, row % channels
        image, at = (position // (high * wide))[:, None], (position % (high * wide))[:, None]
        down, across = window // kernel, window % kernel
        place = (image, channel, at // wide * layout.stride + down, at % wide * layout.stride + across)
        tap = (output[:, None], channel, down, across)
    grad_x.index_put_(place, -value * weight.to(x.dtype)[tap], accumulate=True)
    grad_weight.index_put_(tap, (-value * x[place]).to(grad_weight.dtype), accumulate=True)
