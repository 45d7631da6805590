"""Layers of a binary network: digital ones, and one that lives on columns."""

import torch
from torch import Tensor, nn

from prcim.bnn.binarize import sign
from prcim.bnn.column_sum import CodeSum, MajoritySum
from prcim.bnn.mapping import check_mapping
from prcim.bnn.noise import Reads, VirtualChip
from prcim.cells.readout import Adc, Readout


class BatchNorm(nn.BatchNorm1d):
    """Batch normalization whose evaluation is the same for an image whatever stands beside it in the batch.

    Library kernels may fuse a multiplication with an addition for some elements and not for others; here each step
    rounds on its own.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalizes (B, features)."""
        if self.training or self.running_mean is None or self.running_var is None:
            return super().forward(input)
        scale = self.weight / torch.sqrt(self.running_var + self.eps)
        return (input - self.running_mean) * scale + self.bias


class BinaryLinear(nn.Module):
    """A digital layer with weights +-1: (B, inputs) -> (B, outputs). Exact while inputs are integers below 2^17.

    Args:
        inputs, outputs: sizes.
        generator: for the starting weights.
    """

    def __init__(self, inputs: int, outputs: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, generator=generator) * 0.1)

    def forward(self, x: Tensor) -> Tensor:
        """X (B, inputs) -> (B, outputs)."""
        return x @ sign(self.weight).t()


class ColumnLinear(nn.Module):
    """A layer whose inputs are cut into columns: +-1 (B, inputs) -> +-1 (B, outputs).

    With a `Majority` read-out each column gives one bit against a threshold of its own, which training finds and a
    reference DAC realises, in the forward pass too; the bits of an output vote. With an `Adc` the codes are added,
    normalized and binarized.

    Args:
        inputs, outputs: sizes; inputs +-1.
        index: number of the layer in its network; columns are keyed by it.
        rows, n_used: rows of a column, and how many of them carry weights.
        readout: what stands at the end of a column.
        generator: for the starting weights.

    Raises:
        InputError: the inputs cannot be cut into columns of `n_used` rows.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        index: int,
        rows: int,
        n_used: int,
        readout: Readout,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.groups = check_mapping(f"column layer {index}", inputs, rows=rows, n_used=n_used)
        self.index, self.outputs, self.n_used, self.readout = index, outputs, n_used, readout
        self.weight = nn.Parameter(torch.randn(outputs, inputs, generator=generator) * 0.1)
        if isinstance(readout, Adc):
            self.norm = BatchNorm(outputs)
        else:
            low, high = readout.threshold_range(n_used)
            self.threshold = nn.Parameter(torch.full((self.groups, outputs), low + (high - low) // 4 * 2.0))

    def forward(self, x: Tensor, chip: VirtualChip | None, reads: Reads | None) -> Tensor:
        """X (B, inputs), +-1 -> (B, outputs), +-1; without a chip there are no errors."""
        x = x.unflatten(1, (self.groups, self.n_used))
        weight = sign(self.weight).unflatten(1, (self.groups, self.n_used))
        count = self.readout.comparators if isinstance(self.readout, Adc) else 1
        sizes = {"groups": self.groups, "channels": self.outputs, "comparators": count}
        errors = None if chip is None else chip.layer(self.index, **sizes)
        if isinstance(self.readout, Adc):
            total: Tensor = CodeSum.apply(x, weight, self.readout, errors, reads)  # type: ignore[no-untyped-call]
            return sign(self.norm(total))
        votes: Tensor = MajoritySum.apply(x, weight, self.realised(), errors, reads)  # type: ignore[no-untyped-call]
        # The sum of G votes spreads by sqrt(G): so scaled, the window of the sign's gradient fits.
        return sign(votes / self.groups**0.5)

    def realised(self) -> Tensor:
        """The thresholds that the DAC makes of the wanted ones, in S, with the gradient passed straight through."""
        if isinstance(self.readout, Adc):
            raise TypeError("an ADC has no thresholds to train")
        low, high = self.readout.threshold_range(self.n_used)
        real = ((self.threshold - low) / 2).round().mul(2).add(low).clamp(low, high)
        # In this order the value is exact; threshold + (real - threshold) can miss an odd number by a rounding.
        return real.detach() + (self.threshold - self.threshold.detach())
