"""Binarization: a sign forward, another slope backward."""

import math
from typing import Any

import torch
from torch import Tensor


class _Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        passed: Tensor = grad[0] * (x.abs() <= 1)
        return passed


def sign(x: Tensor) -> Tensor:
    """+1 where x >= 0, else -1; the gradient passes where |x| <= 1.

    Source: Hubara et al., "Binarized neural networks", NeurIPS 2016.

    Example:
        >>> sign(torch.tensor([-0.5, 0.0, 2.0])).tolist()
        [-1.0, 1.0, 1.0]
    """
    result: Tensor = _Sign.apply(x)  # type: ignore[no-untyped-call]
    return result


def expected_sign_slope(z: Tensor, width: float) -> Tensor:
    """Slope of E[sign(z + noise)] for normal noise of standard deviation `width`: 2 phi(z / width) / width."""
    return (2 / (width * math.sqrt(2 * math.pi))) * torch.exp(-0.5 * (z / width) ** 2)


def shifted(x: Tensor, bits: int) -> Tensor:
    """Integers shifted down by some bits, rounded down; the gradient passes as if nothing were rounded.

    Example:
        >>> shifted(torch.tensor([130.0, -1.0]), 6).tolist()
        [2.0, -1.0]
    """
    scaled = x / 2**bits
    floor = scaled.floor()
    result: Tensor = floor.detach() + (scaled - scaled.detach())
    return result
