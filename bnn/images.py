"""What a data set gives."""

import hashlib
from dataclasses import dataclass
from typing import final

from torch import Tensor


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Images:
    """A set of labelled images.

    Attributes:
        pixels: integers as float32, centred, shape (B, inputs); with integers every sum of them is exact.
        labels: int64, shape (B,).
        index: number of each image in its data set, int64, shape (B,).
        classes: number of classes.
    """

    pixels: Tensor
    labels: Tensor
    index: Tensor
    classes: int

    @property
    def sha256(self) -> str:
        """Checksum of the images and their labels."""
        digest = hashlib.sha256(self.pixels.numpy().tobytes())
        digest.update(self.labels.numpy().tobytes())
        digest.update(self.index.numpy().tobytes())
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self.labels)
