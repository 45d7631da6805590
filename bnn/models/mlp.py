"""The multi-layer perceptron: first and last layer digital, the hidden ones on columns."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn

from prcim.bnn.chip import Chip
from prcim.bnn.column_layers import ColumnLinear
from prcim.bnn.layers import BatchNorm, BinaryLinear
from prcim.bnn.mapping import LayerShape
from prcim.bnn.models.network import Network
from prcim.bnn.models.spec import NetworkSpec, scaled
from prcim.bnn.noise import Reads


@final
@dataclass(frozen=True, kw_only=True)
class MlpSpec(NetworkSpec):
    """Sizes of the network: `hidden` layers of width x width lie on columns; `factor` multiplies the width."""

    inputs: int
    width: int = 256
    hidden: int = 3
    factor: float = 1.0

    @property
    def features(self) -> int:
        """Width of a hidden layer."""
        return self.width if self.factor == 1 else scaled(self.width, self.factor)

    @classmethod
    def for_images(cls, size: tuple[int, int, int], **options: Any) -> "MlpSpec":
        """The description of a network for images of a size."""
        return cls(inputs=math.prod(size), **options)

    def layers(self) -> tuple[LayerShape, ...]:
        """All layers."""
        return (
            LayerShape(name="first", inputs=self.inputs, outputs=self.features, digital=True),
            *[
                LayerShape(name=f"hidden {i + 1}", inputs=self.features, outputs=self.features)
                for i in range(self.hidden)
            ],
            LayerShape(name="last", inputs=self.features, outputs=self.classes, digital=True),
        )


@final
class Mlp(Network):
    """(B, inputs), integers -> (B, classes) scores.

    Args:
        spec: sizes and read-out.
        seed: of the starting weights.
    """

    def __init__(self, spec: MlpSpec, *, seed: int = 0) -> None:
        super().__init__()
        self.spec: MlpSpec = spec
        generator = torch.Generator().manual_seed(seed)
        self.first = BinaryLinear(spec.inputs, spec.features, generator=generator)
        self.first_norm = BatchNorm(spec.features)
        self.columns: Sequence[ColumnLinear] = nn.ModuleList(  # type: ignore[assignment]
            ColumnLinear(spec.features, spec.features, index=i, generator=generator, **spec.on_columns())
            for i in range(spec.hidden)
        )
        self.last = BinaryLinear(spec.features, spec.classes, generator=generator)
        self.last_norm = BatchNorm(spec.classes)

    def forward(self, x: Tensor, chip: Chip | None = None, reads: Reads | None = None) -> Tensor:
        """Scores; with a chip and the numbers of the images, with that chip's errors."""
        h = self.first_norm.binarized(self.first(x))
        for layer in self.columns:
            h = layer(h, chip, reads)
        scores: Tensor = self.last_norm(self.last(h))
        return scores
