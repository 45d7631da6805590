"""Networks that are a chain of layers: convolutions, then linear ones; the first and the last digital."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor, nn

from prcim.bnn.chip import Chip
from prcim.bnn.column_layers import ColumnConv2d, ColumnLinear
from prcim.bnn.layers import BatchNorm, BinaryConv2d, BinaryLinear
from prcim.bnn.mapping import LayerShape
from prcim.bnn.models.network import Network
from prcim.bnn.models.spec import NetworkSpec
from prcim.bnn.noise import Reads
from prcim.errors import InputError


@final
@dataclass(frozen=True, kw_only=True)
class Stage:
    """One layer of a chain, with what follows it before the next: pool, batch norm, sign.

    Attributes:
        kind: "conv" or "linear".
        outputs: channels.
        kernel, stride, padding, pool: of a convolution; the pool takes the largest of pool x pool neighbours.
        name: in messages and tables; its kind and number unless given.
    """

    kind: Literal["conv", "linear"]
    outputs: int
    kernel: int = 3
    stride: int = 1
    padding: int = 1
    pool: int = 1
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class ChainSpec(NetworkSpec):
    """A chain for images of `channels` x `side` x `side`; each model lists its stages."""

    channels: int
    side: int

    @abstractmethod
    def stages(self) -> tuple[Stage, ...]:
        """The layers."""

    def layers(self) -> tuple[LayerShape, ...]:
        """All layers.

        Raises:
            InputError: an image has become too small for a window or a pool.
        """
        return tuple(layer for layer, _, _ in walk(self))


def walk(spec: ChainSpec) -> tuple[tuple[LayerShape, Stage, int], ...]:
    """Each layer's shape, its stage, and the channels (or, linear, inputs) that come in.

    Raises:
        InputError: an image has become too small for a window or a pool, or a convolution follows a linear layer.
    """
    found, channels, side = [], spec.channels, spec.side
    stages = spec.stages()
    for number, stage in enumerate(stages):
        name = stage.name or f"{stage.kind} {number + 1}"
        digital = number in (0, len(stages) - 1)
        if stage.kind == "linear":
            inputs, channels, side = channels * side**2, stage.outputs, 1
            shape = LayerShape(name=name, inputs=inputs, outputs=stage.outputs, digital=digital)
            found.append((shape, stage, inputs))
            continue
        if found and found[-1][1].kind == "linear":
            raise InputError(f"{name} follows a linear layer; put all convolutions before")
        out = (side + 2 * stage.padding - stage.kernel) // stage.stride + 1
        if out < 1 or out // stage.pool < 1:
            raise InputError(
                f"{name} has no room: an image of {side} x {side} for a window of {stage.kernel} and a pool of"
                f" {stage.pool}; take larger images or fewer pools"
            )
        inputs = channels * stage.kernel**2
        shape = LayerShape(name=name, inputs=inputs, outputs=stage.outputs, positions=out**2, digital=digital)
        found.append((shape, stage, channels))
        channels, side = stage.outputs, out // stage.pool
    return tuple(found)


@final
class Chain(Network):
    """(B, inputs), integers -> (B, classes) scores.

    Args:
        spec: stages and columns.
        seed: of the starting weights.
    """

    def __init__(self, spec: ChainSpec, *, seed: int = 0) -> None:
        super().__init__()
        self.spec: ChainSpec = spec
        generator = torch.Generator().manual_seed(seed)
        first, *hidden, last = walk(spec)
        self.first = _digital(first[1], first[2], generator)
        self.first_pool = first[1].pool
        self.first_norm = BatchNorm(first[0].outputs)
        self.columns: Sequence[ColumnConv2d | ColumnLinear] = nn.ModuleList(  # type: ignore[assignment]
            _on_columns(stage, inputs, i, generator, spec) for i, (_, stage, inputs) in enumerate(hidden)
        )
        self.last = BinaryLinear(last[2], last[0].outputs, generator=generator)
        self.last_norm = BatchNorm(last[0].outputs)

    def forward(self, x: Tensor, chip: Chip | None = None, reads: Reads | None = None) -> Tensor:
        """Scores; with a chip and the numbers of the images, with that chip's errors."""
        if isinstance(self.first, BinaryConv2d):
            x = x.reshape(len(x), self.spec.channels, self.spec.side, self.spec.side)
        h = self.first(x)
        if self.first_pool > 1:
            h = nn.functional.max_pool2d(h, self.first_pool)
        h = self.first_norm.binarized(h)
        for layer in self.columns:
            h = layer(h.flatten(1) if isinstance(layer, ColumnLinear) else h, chip, reads)
        scores: Tensor = self.last_norm(self.last(h.flatten(1)))
        return scores


def _digital(stage: Stage, inputs: int, generator: torch.Generator) -> BinaryConv2d | BinaryLinear:
    if stage.kind == "linear":
        return BinaryLinear(inputs, stage.outputs, generator=generator)
    window = {"kernel": stage.kernel, "stride": stage.stride, "padding": stage.padding}
    return BinaryConv2d(inputs, stage.outputs, generator=generator, **window)


def _on_columns(
    stage: Stage, inputs: int, index: int, generator: torch.Generator, spec: ChainSpec
) -> ColumnConv2d | ColumnLinear:
    columns = {"index": index, "generator": generator, **spec.on_columns()}
    if stage.kind == "linear":
        return ColumnLinear(inputs, stage.outputs, **columns)
    window = {"kernel": stage.kernel, "stride": stage.stride, "padding": stage.padding, "pool": stage.pool}
    return ColumnConv2d(inputs, stage.outputs, **window, **columns)
