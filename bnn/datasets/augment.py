"""Random flips and shifts of training images, on the device that trains."""

import torch
from torch import Tensor

#: Pixels that an image moves at most, either way.
#: Source: Lin, Chen, Yan, "Network in network", ICLR 2014; He et al., CVPR 2016: 4 of 32.
SHIFT = 4


def augmented(
    pixels: Tensor,
    size: tuple[int, int, int],
    *,
    seed: int,
    step: int,
    flip: bool = True,
    shift: int = SHIFT,
    background: float = 0.0,
) -> Tensor:
    """Each image moved by up to `shift` pixels, and mirrored in one of two cases; what moves in is `background`.

    Draws are made on the CPU from seed and step alone, so that they are the same on every device and in a training
    that goes on; pixels stay where they are.

    Args:
        pixels: shape (B, inputs).
        size: channels, height and width of an image.
        seed: of the training.
        step: number of the mini-batch in the training.
        flip: whether images are mirrored too.
        shift: in pixels.
        background: value of what moves in.

    Returns:
        Shape of `pixels`.

    Example:
        >>> moved = augmented(torch.ones(4, 64), (1, 8, 8), seed=0, step=0, shift=1)
        >>> moved.sum(1).tolist()
        [56.0, 49.0, 56.0, 56.0]
    """
    generator = torch.Generator().manual_seed((seed * 1_000_003 + step) % 2**63)
    count, (_, height, width) = len(pixels), size
    move = torch.randint(0, 2 * shift + 1, (2, count), generator=generator)
    mirrored = torch.randint(0, 2, (count,), generator=generator).bool() & flip
    rows = (torch.arange(height) + move[0, :, None]).to(pixels.device)
    columns = torch.arange(width).expand(count, -1)
    columns = (torch.where(mirrored[:, None], width - 1 - columns, columns) + move[1, :, None]).to(pixels.device)
    wide = torch.nn.functional.pad(pixels.reshape(count, *size), (shift,) * 4, value=background)
    number = torch.arange(count, device=pixels.device)[:, None, None]
    # Indices around a slice put the sliced axis last.
    picked = wide[number, :, rows[:, :, None], columns[:, None, :]]
    return picked.permute(0, 3, 1, 2).reshape(pixels.shape)
