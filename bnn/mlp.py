"""The multi-layer perceptron: first and last layer digital, the hidden ones on columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor, nn

from prcim.bnn.binarize import sign
from prcim.bnn.layers import BatchNorm, BinaryLinear, ColumnLinear
from prcim.bnn.mapping import check_mapping
from prcim.bnn.noise import Reads, VirtualChip
from prcim.cells.readout import Adc, Majority, Readout, SenseAmplifier
from prcim.errors import InputError


@final
@dataclass(frozen=True, kw_only=True)
class MlpSpec:
    """All that it takes to build the network again.

    Attributes:
        inputs, width, hidden, classes: sizes; `hidden` layers of width x width lie on columns.
        rows, n_used: rows of a column, and how many carry weights.
        readout: "majority" or "adc".
        amplifier_w_m: width of the comparator's input transistors, m.
        dac_bits: bits of the reference DAC of a majority read-out.
        adc_bits, adc_step, adc_kind: bits, step in S and kind ("sar" or "flash") of an ADC.
    """

    inputs: int
    classes: int
    rows: int
    n_used: int
    width: int = 256
    hidden: int = 3
    readout: str = "majority"
    amplifier_w_m: float = 1e-6
    dac_bits: int = 5
    adc_bits: int = 5
    adc_step: int = 4
    adc_kind: Literal["sar", "flash"] = "sar"

    def check_table(self, rows: int, n_used: int) -> None:
        """Refuses a table of other columns than the network is cut into.

        Raises:
            InputError: rows or used rows differ, or the width cannot be cut into such columns.
        """
        if (rows, n_used) != (self.rows, self.n_used):
            raise InputError(
                f"the table is for {rows} rows with {n_used} used, the network for {self.rows} with {self.n_used};"
                " use a table of that size or train again"
            )
        check_mapping("the hidden layers", self.width, rows=rows, n_used=n_used)

    def make_readout(self) -> Readout:
        """The read-out."""
        amplifier = SenseAmplifier(w_m=self.amplifier_w_m)
        if self.readout == "adc":
            return Adc(amplifier=amplifier, bits=self.adc_bits, step=self.adc_step, kind=self.adc_kind)
        return Majority(amplifier=amplifier, dac_bits=self.dac_bits)


class Mlp(nn.Module):
    """(B, inputs), integers -> (B, classes) scores.

    Args:
        spec: sizes and read-out.
        seed: of the starting weights.
    """

    def __init__(self, spec: MlpSpec, *, seed: int = 0) -> None:
        super().__init__()
        self.spec = spec
        generator = torch.Generator().manual_seed(seed)
        readout = spec.make_readout()
        self.first = BinaryLinear(spec.inputs, spec.width, generator=generator)
        self.first_norm = BatchNorm(spec.width)
        self.columns: Sequence[ColumnLinear] = nn.ModuleList(  # type: ignore[assignment]
            ColumnLinear(
                spec.width,
                spec.width,
                index=i,
                rows=spec.rows,
                n_used=spec.n_used,
                readout=readout,
                generator=generator,
            )
            for i in range(spec.hidden)
        )
        self.last = BinaryLinear(spec.width, spec.classes, generator=generator)
        self.last_norm = BatchNorm(spec.classes)

    def forward(self, x: Tensor, chip: VirtualChip | None = None, reads: Reads | None = None) -> Tensor:
        """Scores; with a chip and the numbers of the images, with that chip's errors."""
        h = sign(self.first_norm(self.first(x)))
        for layer in self.columns:
            h = layer(h, chip, reads)
        scores: Tensor = self.last_norm(self.last(h))
        return scores

    @torch.no_grad()
    def clamp_latent(self) -> None:
        """Keeps latent weights in -1..1, where their sign can still turn."""
        for weight in (self.first.weight, self.last.weight, *(layer.weight for layer in self.columns)):
            weight.clamp_(-1, 1)
