"""Windows of a convolution, laid side by side and put back, and what stands beyond the edge of an image."""

from torch import Tensor
from torch.nn import functional

#: What stands beyond the edge of an image. A row that carries a weight takes +1 or -1; there is no zero. -1 is what a
#: register holds after a reset, so that a line buffer that has not been filled yet drives it without further logic.
PAD = -1.0


def padded(x: Tensor, padding: int) -> Tensor:
    """Images (B, C, H, W) with `PAD` on all sides."""
    return functional.pad(x, (padding,) * 4, value=PAD) if padding else x


def patches(x: Tensor, *, kernel: int, stride: int = 1) -> Tensor:
    """What stands in the window of a convolution at each position: (B, C, H, W) -> (B, P, kernel * kernel * C).

    Example:
        >>> import torch
        >>> patches(torch.arange(8.0).reshape(1, 2, 2, 2), kernel=2).tolist()
        [[[0.0, 4.0, 1.0, 5.0, 2.0, 6.0, 3.0, 7.0]]]
    """
    windows = x.unfold(2, kernel, stride).unfold(3, kernel, stride)
    return windows.permute(0, 2, 3, 4, 5, 1).flatten(3).flatten(1, 2)


def fold(values: Tensor, into: Tensor, *, kernel: int, stride: int = 1) -> None:
    """Adds what belongs to each window, (B, P, kernel * kernel * C), to where it stands, (B, C, H, W).

    Example:
        >>> import torch
        >>> counts = torch.zeros(1, 1, 3, 3)
        >>> fold(torch.ones(1, 4, 4), counts, kernel=2)
        >>> counts[0, 0].tolist()
        [[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]
    """
    batch, channels, height, width = into.shape
    high, wide = (height - kernel) // stride + 1, (width - kernel) // stride + 1
    places = values.reshape(batch, high, wide, kernel, kernel, channels).permute(0, 5, 3, 4, 1, 2)
    for y in range(kernel):
        for x in range(kernel):
            rows, columns = slice(y, y + stride * high, stride), slice(x, x + stride * wide, stride)
            into[:, :, rows, columns] += places[:, :, y, x]
