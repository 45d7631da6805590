"""Layers that live on columns: linear, and convolution."""

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from prcim.bnn.binarize import Gradient, sign
from prcim.bnn.chip import Chip
from prcim.bnn.column_moments import Window, column_moments
from prcim.bnn.column_sum import code_sum, majority_sum, patches
from prcim.bnn.layers import BatchNorm
from prcim.bnn.mapping import cut_layer
from prcim.bnn.noise import LayerErrors, Reads
from prcim.bnn.thresholds import ColumnNorm, bias_range, constant_weights, dac_range, realised
from prcim.bnn.windows import padded
from prcim.cells.readouts.readout import Adc, Readout


class ColumnLayer(nn.Module):
    """A layer whose inputs are cut into columns.

    With a `Majority` read-out each column gives one bit against a threshold of its own, which training finds and
    hardware realises, in the forward pass too; the bits of an output vote, and a tie is +1. With an `Adc` the codes
    are added, normalized and binarized.

    Args:
        shape: of the weights, outputs first.
        index: number of the layer in its network; columns are keyed by it.
        rows, n_used: rows of a column, and how many of them are in use.
        readout: what stands at the end of a column.
        generator: for the starting weights.
        bias_rows: constant cells that each column has at least; None: none has any.
        thresholds: what realises those of a majority: "dac" or "bias".
        column_norm: thresholds of a majority follow mean and spread of each column's sums.
        pool: side of the square of neighbouring outputs of which one that is +1 is enough.
        binary: whether the layer ends with +-1; else with votes or codes, added.

    Attributes:
        cut: the columns of one output.
        flipped: outputs whose weights stand negated, so that a pool wants all of its bits; shape (O,).

    Raises:
        InputError: the inputs cannot be cut into columns of `n_used` rows.
    """

    flipped: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        index: int,
        rows: int,
        n_used: int,
        readout: Readout,
        generator: torch.Generator,
        bias_rows: int | None = None,
        thresholds: Literal["dac", "bias"] = "dac",
        column_norm: bool = False,
        pool: int = 1,
        binary: bool = True,
    ) -> None:
        super().__init__()
        self.stride, self.padding = 1, 0
        # Training looks at errors of some images for mean and spread; what estimates norms on a chip, at all.
        self.sampled = True
        # What a comparator's bit passes back in training.
        self.gradient: Gradient = "smoothed"
        self.index, self.outputs, self.n_used, self.readout = index, shape[0], n_used, readout
        self.by_bias, self.pool, self.binary = thresholds == "bias", pool, binary
        inputs = torch.Size(shape[1:]).numel()
        self.cut = cut_layer(f"column layer {index}", inputs, rows=rows, n_used=n_used, bias_rows=bias_rows)
        self.groups = self.cut.groups
        self.weight = nn.Parameter(torch.randn(*shape, generator=generator) * 0.1)
        self.register_buffer("flipped", torch.zeros(self.outputs, dtype=torch.bool), persistent=pool > 1)
        if isinstance(readout, Adc):
            if binary:
                self.norm = BatchNorm(self.outputs)
            return
        # A square of pool^2 bits has a +1 in half of all cases when a bit is +1 in some pool^-2 of them: votes of G
        # columns, whose sum spreads by sqrt(G), want thresholds higher by this many standard deviations.
        shift = min((math.pi / 2 / self.groups) ** 0.5, 1.0) if pool > 1 else 0.0
        if column_norm:
            self.column_norm = ColumnNorm(self.groups, self.outputs, shift=shift)
        else:
            low, high = self.threshold_range()
            start = low + (high - low) // 4 * 2.0 + 2 * round(shift * self.cut.weights**0.5 / 2)
            self.threshold = nn.Parameter(torch.full((self.groups, self.outputs), start))

    def threshold_range(self) -> tuple[int, int]:
        """Lowest and highest threshold that hardware can make, in S."""
        if isinstance(self.readout, Adc):
            raise TypeError("an ADC has no thresholds to train")
        if self.by_bias:
            return bias_range(self.n_used, self.cut.bias)
        return dac_range(self.readout, self.n_used, self.cut.bias)

    def realised(self, moments: Callable[[], tuple[Tensor, Tensor]] | None = None) -> Tensor:
        """The thresholds that hardware makes of the wanted ones, in S, with the gradient passed straight through.

        Args:
            moments: gives mean and variance of each column's sums, which thresholds that follow them need in training.
        """
        low, high = self.threshold_range()
        if not hasattr(self, "column_norm"):
            return realised(self.threshold, low, high)
        return realised(self.column_norm(moments), low, high)

    def decision(self) -> Tensor:
        """The threshold of each comparator, or the middle one of each converter, in S of all cells; shape (G, O)."""
        if self.by_bias or isinstance(self.readout, Adc):
            middle = float(bias_range(self.n_used, 0)[0])
            return torch.full((self.groups, self.outputs), middle, device=self.weight.device)
        return self.realised() + self.cut.bias % 2

    def errors(self, chip: Chip | None) -> LayerErrors | None:
        """The errors of this layer's columns on a chip."""
        if chip is None:
            return None
        count = self.readout.comparators if isinstance(self.readout, Adc) else 1
        return chip.layer(self.index, groups=self.groups, channels=self.outputs, comparators=count)

    def forward(self, x: Tensor, chip: Chip | None = None, reads: Reads | None = None) -> Tensor:
        """X (B, inputs) or (B, C, H, W), +-1 -> (B, outputs) or (B, O, H', W'); without a chip there are no errors."""
        # Sums and their statistics are integers that a narrow type would round.
        narrow = torch.is_autocast_enabled(x.device.type) and x.dtype != torch.float64
        with torch.autocast(x.device.type, enabled=False):
            total = self.sums(x.float() if narrow else x, chip, reads)
        if self.pool > 1:
            # OR of the bits is the sign of the largest, AND of the smallest; so the gradient goes to one of them.
            turn = torch.where(self.flipped, -1.0, 1.0)[:, None, None]
            total = turn * nn.functional.max_pool2d(turn * total, self.pool)
        if not self.binary:
            return total
        if isinstance(self.readout, Adc):
            return self.norm.binarized(total)
        # The sum of G votes spreads by sqrt(G): so scaled, the window of the sign's gradient fits.
        return sign(total / self.groups**0.5)

    def sums(self, x: Tensor, chip: Chip | None, reads: Reads | None) -> Tensor:
        """Votes or codes of the columns of each output, added: (B, outputs) or (B, O, H', W')."""
        errors, weight = self.errors(chip), sign(self.weight)
        # Columns without constant cells pad by themselves, in bits.
        padding = 0 if self.cut.bias else self.padding
        x = self.padded(x) if self.cut.bias else x
        # The constant cells of a column that does not take its threshold from them, added up.
        extra = self.cut.bias % 2
        if isinstance(self.readout, Adc):
            constant = self._balanced(x)
            x, weight, stride = self._with_constant(x, weight, constant)
            total = code_sum(x, weight, self.readout, errors, reads, groups=self.groups, stride=stride, padding=padding)
            return total - extra * self.groups
        threshold = self.realised(lambda: self.moments(x, chip, reads, padded=self.cut.bias > 0, sample=self.sampled))
        constant = self._balanced(x)
        if self.by_bias:
            constant = constant_weights(threshold, n_used=self.n_used, bias=self.cut.bias)
            middle = bias_range(self.n_used, 0)[0]
            threshold = middle + (threshold - threshold.detach())
        else:
            threshold = threshold + extra
        x, weight, stride = self._with_constant(x, weight, constant)
        return majority_sum(x, weight, threshold, errors, reads, stride=stride, padding=padding, gradient=self.gradient)

    def moments(
        self, x: Tensor, chip: Chip | None, reads: Reads | None, *, padded: bool = False, sample: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Mean and variance of S + error of each column over a batch, shape (G, O) each.

        Args:
            x: as for `forward`.
            chip, reads: as for `forward`.
            padded: whether `x` has its padding already.
            sample: look at errors in some of the images only.
        """
        weight, stride = sign(self.weight), self.stride
        if self.cut.bias:
            x = x if padded else self.padded(x)
            x, weight, stride = self._with_constant(x, weight, self._balanced(x))
        padding = 0 if padded or self.cut.bias else self.padding
        kernel = weight.shape[-1] if x.dim() == 4 else 1
        window = Window(groups=self.groups, kernel=kernel, stride=stride, padding=padding)
        mean, var = column_moments(x, weight, self.errors(chip), reads, window, sample=sample)
        return mean - self.cut.bias % 2, var

    def padded(self, x: Tensor) -> Tensor:
        """The input with what stands beyond its edge."""
        return x

    def _rows(self, x: Tensor) -> Tensor:
        """What stands on the rows of each column: (B, G, n) or (B, P, G, n)."""
        return x.reshape(len(x), self.groups, -1)

    def _columns(self, weight: Tensor) -> Tensor:
        """Weights of each column, (O, G, n)."""
        return weight.reshape(len(weight), self.groups, -1)

    def stored(self) -> Tensor:
        """Weights of all cells in use when a network judges, constant ones last, +-1, shape (O, G, n_used)."""
        weight = self._columns(sign(self.weight))
        if self.by_bias:
            constant = constant_weights(self.realised(), n_used=self.n_used, bias=self.cut.bias)
        else:
            constant = self._balanced(weight)
        return torch.cat([weight, constant], -1)

    def _balanced(self, x: Tensor) -> Tensor:
        """Constant cells, half of them +1 and half -1, shape (O, G, bias); an odd one is +1."""
        plus = torch.arange(self.cut.bias, device=x.device) < (self.cut.bias + 1) // 2
        return torch.where(plus, 1.0, -1.0).to(x.dtype).expand(self.outputs, self.groups, -1)

    def _with_constant(self, x: Tensor, weight: Tensor, constant: Tensor) -> tuple[Tensor, Tensor, int]:
        """Input, weights and stride of the layer with its constant cells, whose inputs are +1."""
        if not self.cut.bias:
            return x, weight, self.stride
        rows = self._rows(x)
        rows = torch.cat([rows, rows.new_ones(*rows.shape[:-1], self.cut.bias)], -1).flatten(-2)
        weight = torch.cat([self._columns(weight), constant], -1).flatten(1)
        if rows.dim() == 2:
            return rows, weight, 1
        height, width = ((length - self.weight.shape[-1]) // self.stride + 1 for length in x.shape[2:])
        return rows.transpose(1, 2).reshape(len(x), -1, height, width), weight[:, :, None, None], 1


class ColumnLinear(ColumnLayer):
    """+-1 (B, inputs) -> +-1 (B, outputs); arguments as for `ColumnLayer`."""

    def __init__(self, inputs: int, outputs: int, **columns: Any) -> None:
        super().__init__((outputs, inputs), **columns)


class ColumnConv2d(ColumnLayer):
    """+-1 (B, C, H, W) -> +-1 (B, O, H', W'), padded with -1.

    Rows of a column are ordered by place in the window first and channel last, as `patches` puts them.

    Args:
        channels, outputs: sizes.
        kernel, stride, padding: of the window.
        columns: as for `ColumnLayer`.
    """

    def __init__(
        self, channels: int, outputs: int, *, kernel: int = 3, stride: int = 1, padding: int = 1, **columns: Any
    ) -> None:
        super().__init__((outputs, channels, kernel, kernel), **columns)
        self.stride, self.padding = stride, padding

    def padded(self, x: Tensor) -> Tensor:
        """The input with -1 beyond its edge."""
        return padded(x, self.padding)

    def _rows(self, x: Tensor) -> Tensor:
        windows = patches(x, kernel=self.weight.shape[-1], stride=self.stride)
        return windows.reshape(*windows.shape[:2], self.groups, -1)

    def _columns(self, weight: Tensor) -> Tensor:
        return weight.permute(0, 2, 3, 1).reshape(len(weight), self.groups, -1)
