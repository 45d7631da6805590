"""Where the inputs of columns stand in the images that they are cut from, channels last."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from prcim.bnn.kernels.prepared import Layout

Places = NDArray[np.int64]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class InputPlaces:
    """Places in images (B, H, W, C) with their padding, or in rows (B, inputs), flat.

    Attributes:
        bases: where the inputs of a position begin, (M,).
        offsets: where the inputs of a column are from there, (G, n).
        sides: height and width with padding; none for rows.
        padding: on each side.
    """

    bases: Places
    offsets: Places
    sides: tuple[int, ...]
    padding: int

    def runs(self, wide: int) -> Places:
        """Inputs that lie together: the first, where it is from the beginning, and how many, (count, 3).

        Args:
            wide: room that the inputs of a column have, where the first are counted.

        Example:
            >>> InputPlaces(bases=np.zeros(1), offsets=np.array([[0, 1], [8, 9]]), sides=(), padding=0).runs(4)
            array([[0, 0, 2],
                   [4, 8, 2]])
        """
        groups, n = self.offsets.shape
        place = (np.arange(groups)[:, None] * wide + np.arange(n)).ravel()
        there = self.offsets.ravel()
        ends = (np.diff(there) != 1) | (np.diff(place) != 1)
        first = np.concatenate([[0], np.flatnonzero(ends) + 1])
        return np.stack([place[first], there[first], np.diff(first, append=len(there))], 1)

    def cut(self, values: Tensor, x: Tensor) -> Tensor:
        """Images or rows without their padding, in the order, type and strides of x."""
        if self.sides:
            edge, (high, wide) = self.padding, self.sides
            values = values[:, edge : high - edge, edge : wide - edge].permute(0, 3, 1, 2)
        if values.stride() == x.stride() and values.dtype == x.dtype:
            return values
        return torch.empty_like(x).copy_(values)


def input_places(x: Tensor, weight: Tensor, layout: "Layout", n: int) -> InputPlaces:
    """The places of a layer's inputs.

    Args:
        x: (B, inputs) or (B, C, H, W), without padding.
        weight: (O, inputs) or (O, C, k, k).
        layout: of the layer.
        n: inputs of a column.
    """
    groups, stride, edge = layout.groups, layout.stride, layout.padding
    rows = np.arange(groups * n)
    if x.dim() == 2:
        bases = np.arange(len(x)) * x.shape[1]
        return InputPlaces(bases=bases, offsets=rows.reshape(groups, n), sides=(), padding=0)
    channels, high, wide = x.shape[1], x.shape[2] + 2 * edge, x.shape[3] + 2 * edge
    kernel = weight.shape[-1]
    tap, channel = rows // channels, rows % channels
    offsets = (tap // kernel * wide + tap % kernel) * channels + channel
    down, across = (np.arange((length - kernel) // stride + 1) * stride for length in (high, wide))
    bases = (np.arange(len(x))[:, None, None] * high + down[:, None]) * wide + across
    return InputPlaces(
        bases=(bases * channels).ravel(), offsets=offsets.reshape(groups, n), sides=(high, wide), padding=edge
    )
