"""Thresholds of one-bit columns: which ones hardware can make, and where they come from."""

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor, nn

from prcim.cells.readouts.readout import Majority


def dac_range(readout: Majority, n_used: int, bias: int) -> tuple[int, int]:
    """Lowest and highest threshold of a reference DAC, in S of the weights alone.

    Constant cells that do not realise thresholds are half +1, half -1; an odd one is +1 and shifts the sum by 1.
    """
    low, high = readout.threshold_range(n_used)
    return low - bias % 2, high - bias % 2


def bias_range(n_used: int, bias: int) -> tuple[int, int]:
    """Lowest and highest threshold that constant cells make, in S of the weights alone.

    The comparator's reference lies in the middle of the column's sums; `bias` cells of +-1 add -bias .. bias to them in
    steps of 2, which lowers the threshold by as much.

    Example:
        >>> bias_range(64, 16)
        (-17, 15)
    """
    middle = -1 if n_used % 2 == 0 else 0
    return middle - bias, middle + bias


def realised(wanted: Tensor, low: int, high: int) -> Tensor:
    """The nearest threshold of low, low + 2 .. high for each wanted one; the gradient passes straight through."""
    real = ((wanted - low) / 2).round().mul(2).add(low).clamp(low, high)
    # In this order the value is exact; wanted + (real - wanted) can miss an odd number by a rounding.
    return real.detach() + (wanted - wanted.detach())


def constant_weights(threshold: Tensor, *, n_used: int, bias: int) -> Tensor:
    """Weights of the constant cells that make realised thresholds.

    Args:
        threshold: realised, shape (G, O).
        n_used, bias: rows in use, and how many of them are constant cells.

    Returns:
        +-1, shape (O, G, bias): of k cells with +1 the sum is 2 k - bias.
    """
    _, high = bias_range(n_used, bias)
    plus = ((high - threshold.detach()) / 2).round().t()[..., None]
    return torch.where(torch.arange(bias, device=threshold.device) < plus, 1.0, -1.0).to(threshold.dtype)


@final
class ColumnNorm(nn.Module):
    """Thresholds that follow mean and spread of each column's sums: mu + shift sd, as a batch norm's do.

    Of a batch norm sign(g (S - mu) / sd + b) only b / g matters: its size sets the threshold, and a negative g is a
    column whose weights are flipped, which training does with the weights themselves.

    In training, mean and spread are those of the mini-batch, with the chip's errors; judging takes running ones, and so
    does a training with `lasting`, as in `BatchNorm`.

    Args:
        groups, outputs: the columns.
        shift: to start with, in standard deviations.
        momentum: share of a mini-batch in the running mean and spread.

    Example:
        >>> norm = ColumnNorm(1, 1)
        >>> norm.shift.data.fill_(0.5)
        tensor([[0.5000]])
        >>> norm(lambda: (torch.full((1, 1), 3.0), torch.full((1, 1), 16.0))).tolist()
        [[5.0]]
    """

    lasting = False
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, groups: int, outputs: int, *, shift: float = 0.0, momentum: float = 0.1) -> None:
        super().__init__()
        self.momentum = momentum
        self.shift = nn.Parameter(torch.full((groups, outputs), shift))
        self.register_buffer("running_mean", torch.zeros(groups, outputs))
        self.register_buffer("running_var", torch.ones(groups, outputs))

    def forward(self, moments: Callable[[], tuple[Tensor, Tensor]] | None) -> Tensor:
        """Wanted thresholds, shape (G, O).

        Args:
            moments: gives mean and variance of each column's sums, asked only in training.
        """
        if not self.training or moments is None:
            return self.running_mean + self.shift * torch.sqrt(self.running_var)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.lasting):
            mean, var = moments()
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var, self.momentum)
        if self.lasting:
            mean, var = self.running_mean.clone(), self.running_var.clone()
        return mean + self.shift * torch.sqrt(var)
