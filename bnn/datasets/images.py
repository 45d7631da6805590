"""What a data set gives."""

import dataclasses
import hashlib
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Images:
    """A set of labelled images.

    Attributes:
        pixels: integers, centred, shape (B, inputs), channel by channel and row by row; with integers every sum of
            them is exact. Any type that holds them.
        labels: int64, shape (B,).
        index: number of each image in its data set, int64, shape (B,).
        classes: number of classes.
        size: channels, height and width.
        mirrored: whether an image and its mirror image show the same thing; digits do not.
        background: value of a pixel beyond the edge of an image, where a shifted one has none.
    """

    pixels: Tensor
    labels: Tensor
    index: Tensor
    classes: int
    size: tuple[int, int, int]
    mirrored: bool = False
    background: float = 0.0

    @property
    def sha256(self) -> str:
        """Checksum of the images and their labels."""
        digest = hashlib.sha256(self.pixels.numpy().tobytes())
        digest.update(self.labels.numpy().tobytes())
        digest.update(self.index.numpy().tobytes())
        return digest.hexdigest()

    def batch(self, which: Tensor | slice) -> Tensor:
        """Pixels of some images, float32, shape (len(which), inputs)."""
        return self.pixels[which].to(torch.float32)

    def on(self, device: torch.device) -> "Images":
        """The same on a device."""
        moved: dict[str, Any] = {name: getattr(self, name).to(device) for name in ("pixels", "labels", "index")}
        return dataclasses.replace(self, **moved)

    def part(self, which: Tensor | slice) -> "Images":
        """Some of the images."""
        return dataclasses.replace(self, pixels=self.pixels[which], labels=self.labels[which], index=self.index[which])

    def __len__(self) -> int:
        return len(self.labels)
