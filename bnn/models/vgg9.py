"""VGG-9: 128C3-128C3-MP-256C3-256C3-MP-512C3-512C3-MP-1024-1024-10, on images of 32 x 32."""

from dataclasses import dataclass
from typing import Any, final

from prcim.bnn.models.chain import ChainSpec, Stage
from prcim.bnn.models.spec import scaled


@final
@dataclass(frozen=True, kw_only=True)
class Vgg9Spec(ChainSpec):
    """The network of BinaryNet, whose widths are multiplied by `factor`.

    Source: Hubara et al., "Binarized neural networks", NeurIPS 2016.

    Example:
        >>> spec = Vgg9Spec.for_images((3, 32, 32), classes=10, rows=128, n_used=128)
        >>> [layer.inputs for layer in spec.layers()]
        [27, 1152, 1152, 2304, 2304, 4608, 8192, 1024, 1024]
    """

    factor: float = 1.0

    @classmethod
    def for_images(cls, size: tuple[int, int, int], **options: Any) -> "Vgg9Spec":
        """The description of a network for images of a size."""
        return cls(channels=size[0], side=size[1], **options)

    def stages(self) -> tuple[Stage, ...]:
        """Six convolutions, three linear layers."""
        widths = [scaled(channels, self.factor) for channels in (128, 128, 256, 256, 512, 512)]
        convolutions = [Stage(kind="conv", outputs=width, pool=1 + i % 2) for i, width in enumerate(widths)]
        linear = [Stage(kind="linear", outputs=scaled(1024, self.factor)) for _ in range(2)]
        return (*convolutions, *linear, Stage(kind="linear", outputs=self.classes))
