"""ConvNet: 32C3-MP-64C3-MP-512-10, a small convolutional network for images of 28 x 28."""

from dataclasses import dataclass
from typing import Any, final

from prcim.bnn.models.chain import ChainSpec, Stage
from prcim.bnn.models.spec import scaled


@final
@dataclass(frozen=True, kw_only=True)
class ConvNetSpec(ChainSpec):
    """Two convolutions and two linear layers, whose widths are multiplied by `factor`.

    Assumption: the paper's abstract names a ConvNet for MNIST and not its layers; these are ours.

    Example:
        >>> spec = ConvNetSpec.for_images((1, 28, 28), classes=10, rows=64, n_used=64)
        >>> [(layer.inputs, layer.outputs, layer.positions) for layer in spec.layers()]
        [(9, 32, 784), (288, 64, 196), (3136, 512, 1), (512, 10, 1)]
    """

    factor: float = 1.0

    @classmethod
    def for_images(cls, size: tuple[int, int, int], **options: Any) -> "ConvNetSpec":
        """The description of a network for images of a size."""
        return cls(channels=size[0], side=size[1], **options)

    def stages(self) -> tuple[Stage, ...]:
        """Two convolutions with a pool each, two linear layers."""
        return (
            Stage(kind="conv", outputs=scaled(32, self.factor), pool=2),
            Stage(kind="conv", outputs=scaled(64, self.factor), pool=2),
            Stage(kind="linear", outputs=scaled(512, self.factor)),
            Stage(kind="linear", outputs=self.classes),
        )
