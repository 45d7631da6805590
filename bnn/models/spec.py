"""What every network is described by: the columns that it lives on, and the layers it has."""

import json
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from prcim.bnn.mapping import LayerShape, cut_layer
from prcim.cells.readouts.readout import Adc, Majority, Readout, SenseAmplifier
from prcim.errors import InputError


@dataclass(frozen=True, kw_only=True)
class NetworkSpec(ABC):
    """All that it takes to build a network again; each model adds its sizes.

    Attributes:
        classes: outputs.
        rows, n_used: rows of a column, and how many are in use.
        readout: "majority" or "adc".
        amplifier_w_m: width of the comparator's input transistors, m.
        dac_bits: bits of the reference DAC of a majority read-out.
        adc_bits, adc_step, adc_kind: bits, step in S and kind ("sar" or "flash") of an ADC.
        bias_rows: constant cells that each column has at least, where layers are not cut into full columns; None: all
            columns are full of weights.
        thresholds: what realises the thresholds of a majority: "dac", or "bias" for the constant cells, whose weights
            shift the sum of a column whose comparator has a fixed reference.
        column_norm: whether thresholds of a majority follow from mean and spread of the column's sums, as a batch
            norm's; else they are trained as they are.
    """

    classes: int
    rows: int
    n_used: int
    readout: str = "majority"
    amplifier_w_m: float = 1e-6
    dac_bits: int = 5
    adc_bits: int = 5
    adc_step: int = 4
    adc_kind: Literal["sar", "flash"] = "sar"
    bias_rows: int | None = None
    thresholds: Literal["dac", "bias"] = "dac"
    column_norm: bool = False

    def __post_init__(self) -> None:
        if self.readout not in ("majority", "adc"):
            raise InputError(f"there is no read-out {self.readout!r}; there are majority and adc")
        if self.thresholds not in ("dac", "bias"):
            raise InputError(f"thresholds are realised by 'dac' or 'bias', not by {self.thresholds!r}")
        if self.thresholds == "bias" and not self.bias_rows:
            raise InputError("thresholds by bias cells need at least one such cell a column; give bias_rows")
        if self.thresholds == "bias" and self.readout == "adc":
            raise InputError("an ADC has no thresholds to train, so bias cells have none to realise; use a majority")

    @abstractmethod
    def layers(self) -> tuple[LayerShape, ...]:
        """All layers, in the order of the network."""

    @classmethod
    @abstractmethod
    def for_images(cls, size: tuple[int, int, int], **options: Any) -> Self:
        """The description of a network for images of this many channels, rows and columns; `options` are fields."""

    def as_json(self) -> dict[str, Any]:
        """The fields, as JSON gives them back."""
        fields: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return fields

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """The description from its fields, as JSON gives them back."""
        return cls(**fields)

    def check_table(self, rows: int, n_used: int) -> None:
        """Refuses a table of other columns than the network is cut into.

        Raises:
            InputError: rows or used rows differ, or a layer cannot be cut into such columns.
        """
        if (rows, n_used) != (self.rows, self.n_used):
            raise InputError(
                f"the table is for {rows} rows with {n_used} used, the network for {self.rows} with {self.n_used};"
                " use a table of that size or train again"
            )
        for layer in self.layers():
            if not layer.digital:
                cut_layer(layer.name, layer.inputs, rows=rows, n_used=n_used, bias_rows=self.bias_rows)

    def make_readout(self) -> Readout:
        """The read-out."""
        amplifier = SenseAmplifier(w_m=self.amplifier_w_m)
        if self.readout == "adc":
            return Adc(amplifier=amplifier, bits=self.adc_bits, step=self.adc_step, kind=self.adc_kind)
        return Majority(amplifier=amplifier, dac_bits=self.dac_bits)

    def on_columns(self) -> dict[str, Any]:
        """What each layer on columns is told."""
        return {
            "rows": self.rows,
            "n_used": self.n_used,
            "readout": self.make_readout(),
            "bias_rows": self.bias_rows,
            "thresholds": self.thresholds,
            "column_norm": self.column_norm,
        }


def scaled(channels: int, factor: float) -> int:
    """Channels times a width factor, at least 8 and in eights, so that groups of equal size are easy to find.

    Example:
        >>> scaled(128, 0.25), scaled(64, 0.1)
        (32, 8)
    """
    return max(8 * round(channels * factor / 8), 8)
