"""ResNet-18 for small images: sixteen 3 x 3 convolutions on columns, first layer, shortcuts and last layer digital."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn

from prcim.bnn.binarize import shifted
from prcim.bnn.chip import Chip
from prcim.bnn.column_layers import ColumnConv2d
from prcim.bnn.layers import BatchNorm, BinaryConv2d, BinaryLinear
from prcim.bnn.mapping import LayerShape
from prcim.bnn.models.network import Network
from prcim.bnn.models.spec import NetworkSpec, scaled
from prcim.bnn.noise import Reads

#: Two blocks of two convolutions at each width; the first of a width halves the image.
WIDTHS = (64, 128, 256, 512)
#: Bits by which the first layer's sums are shifted down: pixels are some 2^7 in size, sums of columns some 2^4 .. 2^5.
SHIFT = 6


@final
@dataclass(frozen=True, kw_only=True)
class ResNet18Spec(NetworkSpec):
    """ResNet-18 for images of `channels` x `side` x `side`, its widths multiplied by `factor`.

    Example:
        >>> spec = ResNet18Spec.for_images((3, 32, 32), classes=10, rows=128, n_used=96, bias_rows=0)
        >>> len(spec.layers()), spec.layers()[1]
        (18, LayerShape(name='conv 2', inputs=576, outputs=64, positions=1024, digital=False))
    """

    channels: int
    side: int
    factor: float = 1.0

    @classmethod
    def for_images(cls, size: tuple[int, int, int], **options: Any) -> "ResNet18Spec":
        """The description of a network for images of a size."""
        return cls(channels=size[0], side=size[1], **options)

    def convolutions(self) -> tuple[tuple[int, int, int, int], ...]:
        """Input channels, outputs, stride and side of the result of each convolution on columns."""
        found: list[tuple[int, int, int, int]] = []
        channels, side = scaled(WIDTHS[0], self.factor), self.side
        for width in (scaled(width, self.factor) for width in WIDTHS):
            for number in range(4):
                stride = 2 if number == 0 and found else 1
                side = -(-side // stride)
                found.append((channels, width, stride, side))
                channels = width
        return tuple(found)

    def layers(self) -> tuple[LayerShape, ...]:
        """All layers but shortcuts, which have no weights."""
        stem = scaled(WIDTHS[0], self.factor)
        return (
            LayerShape(name="conv 1", inputs=9 * self.channels, outputs=stem, positions=self.side**2, digital=True),
            *[
                LayerShape(name=f"conv {i + 2}", inputs=9 * channels, outputs=width, positions=side**2)
                for i, (channels, width, _, side) in enumerate(self.convolutions())
            ],
            LayerShape(name="linear 18", inputs=scaled(WIDTHS[-1], self.factor), outputs=self.classes, digital=True),
        )


@final
class ResNet18(Network):
    """(B, inputs), integers -> (B, classes) scores.

    What runs along the shortcuts is a digital integer: each convolution on columns sees the sign of its batch norm, and
    its codes, or the votes of its columns, are added to it. Where the image halves, the shortcut adds up squares of
    2 x 2 and repeats its channels; it has no weights.

    Source: He et al., CVPR 2016; a sign in front of each convolution with a shortcut around it as in Liu et al.,
    "Bi-Real Net", ECCV 2018.

    Args:
        spec: sizes and columns.
        seed: of the starting weights.
    """

    def __init__(self, spec: ResNet18Spec, *, seed: int = 0) -> None:
        super().__init__()
        self.spec: ResNet18Spec = spec
        generator = torch.Generator().manual_seed(seed)
        convolutions = spec.convolutions()
        self.first = BinaryConv2d(spec.channels, convolutions[0][0], generator=generator)
        self.norms: Sequence[BatchNorm] = nn.ModuleList(  # type: ignore[assignment]
            BatchNorm(channels) for channels, _, _, _ in convolutions
        )
        self.columns: Sequence[ColumnConv2d] = nn.ModuleList(  # type: ignore[assignment]
            ColumnConv2d(
                channels, width, stride=stride, index=i, generator=generator, binary=False, **spec.on_columns()
            )
            for i, (channels, width, stride, _) in enumerate(convolutions)
        )
        self.end_norm = BatchNorm(convolutions[-1][1])
        self.last = BinaryLinear(convolutions[-1][1], spec.classes, generator=generator)
        self.last_norm = BatchNorm(spec.classes)

    def forward(self, x: Tensor, chip: Chip | None = None, reads: Reads | None = None) -> Tensor:
        """Scores; with a chip and the numbers of the images, with that chip's errors."""
        stream = shifted(self.first(x.reshape(len(x), self.spec.channels, self.spec.side, self.spec.side)), SHIFT)
        for norm, layer in zip(self.norms, self.columns, strict=True):
            total = layer(norm.binarized(stream), chip, reads)
            stream = total + shortcut(stream, total)
        # The mean over positions, kept as their sum: the last norm takes the scale away.
        h = self.end_norm.binarized(stream).sum((2, 3))
        scores: Tensor = self.last_norm(self.last(h))
        return scores


def shortcut(stream: Tensor, like: Tensor) -> Tensor:
    """The stream in the shape of a convolution's result: squares of 2 x 2 added up, channels repeated.

    Example:
        >>> shortcut(torch.ones(1, 1, 4, 4), torch.zeros(1, 2, 2, 2)).unique().tolist()
        [4.0]
    """
    if stream.shape[2] != like.shape[2]:
        stream = nn.functional.avg_pool2d(stream, 2, ceil_mode=True, divisor_override=1)
    return stream.repeat(1, like.shape[1] // stream.shape[1], 1, 1) if stream.shape[1] != like.shape[1] else stream
