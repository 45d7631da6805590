"""What all networks have in common."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from prcim.bnn.chip import Chip
from prcim.bnn.column_layers import ColumnLayer
from prcim.bnn.layers import BatchNorm, DigitalLayer
from prcim.bnn.models.spec import NetworkSpec
from prcim.bnn.noise import Reads
from prcim.bnn.thresholds import ColumnNorm


class Network(nn.Module, ABC):
    """(B, inputs), integers -> (B, classes) scores.

    Attributes:
        spec: sizes and columns.
    """

    spec: NetworkSpec

    @abstractmethod
    def forward(self, x: Tensor, chip: Chip | None = None, reads: Reads | None = None) -> Tensor:
        """Scores; with a chip and the numbers of the images, with that chip's errors."""

    @property
    def device(self) -> torch.device:
        """Where its weights are; images and labels go there."""
        return next(self.parameters()).device

    def column_layers(self) -> Iterator[ColumnLayer]:
        """The layers on columns, in the order of the network."""
        return (module for module in self.modules() if isinstance(module, ColumnLayer))

    def norms_of(self) -> Iterator[BatchNorm | ColumnNorm]:
        """Everything that keeps running statistics."""
        return (module for module in self.modules() if isinstance(module, BatchNorm | ColumnNorm))

    def latent_weights(self) -> Iterator[nn.Parameter]:
        """Weights whose signs count."""
        return (module.weight for module in self.modules() if isinstance(module, DigitalLayer | ColumnLayer))

    @torch.no_grad()
    def clamp_latent(self) -> None:
        """Keeps latent weights in -1..1, where their sign can still turn."""
        for weight in self.latent_weights():
            weight.clamp_(-1, 1)
