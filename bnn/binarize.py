"""Binarization: a sign forward, another slope backward."""

import math
from typing import Any, Literal

import torch
from torch import Tensor

#: What stands for the gradient of a comparator's bit: see `vote_slope`.
Gradient = Literal["smoothed", "straight"]


class _Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        # A tenth of the time of `where`; the sum makes +0 of -0.
        return torch.copysign(torch.ones((), dtype=x.dtype, device=x.device), x + 0.0)

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        passed: Tensor = grad[0] * (x.abs() <= 1)
        return passed


def sign(x: Tensor) -> Tensor:
    """+1 where x >= 0, else -1; the gradient passes where |x| <= 1.

    Source: Hubara et al., "Binarized neural networks", NeurIPS 2016.

    Example:
        >>> sign(torch.tensor([-0.5, -0.0, 0.0, 2.0])).tolist()
        [-1.0, 1.0, 1.0, 1.0]
    """
    result: Tensor = _Sign.apply(x)  # type: ignore[no-untyped-call]
    return result


def expected_sign_slope(z: Tensor, width: float) -> Tensor:
    """Slope of E[sign(z + noise)] for normal noise of standard deviation `width`: 2 phi(z / width) / width."""
    return (2 / (width * math.sqrt(2 * math.pi))) * torch.exp(-0.5 * (z / width) ** 2)


def vote_slope(z: Tensor, width: float, gradient: Gradient) -> Tensor:
    """Slope that stands for that of sign(z) where z spreads by `width`.

    Args:
        z: sums less their thresholds.
        width: their spread.
        gradient: "smoothed", that of the expected sign when z has noise of this width (`expected_sign_slope`);
            "straight", that of the hard tanh of z / width: a bit passes what arrives, in units of the width, where
            |z| <= width, and nothing elsewhere. Both rise by 2 in all, as the sign does.

    Example:
        >>> vote_slope(torch.tensor([-4.5, -4.0, 0.0, 4.0, 4.5]), 4.0, "straight").tolist()
        [0.0, 0.25, 0.25, 0.25, 0.0]
    """
    if gradient == "smoothed":
        return expected_sign_slope(z, width)
    return (z.abs() <= width).to(z.dtype) / width


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
