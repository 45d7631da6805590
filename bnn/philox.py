"""Philox4x32-7: random bits that are a pure function of a key and a counter, the same on every device.

Seven rounds are the fewest that pass all of BigCrush.

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from typing import TypeVar

import torch
from torch import Tensor

ROUNDS = 7
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_MASK = 0xFFFFFFFF

#: The arithmetic is the same for Python integers, of which keys are made, and for int64 tensors.
Word = TypeVar("Word", int, Tensor)


def philox(counter: tuple[Word, Word, Word, Word], key: tuple[int, int]) -> tuple[Word, Word, Word, Word]:
    """Four 32-bit words for each counter.

    Args:
        counter: four integers in 0..2^32-1, or four int64 tensors of such whose shapes broadcast together.
        key: two integers in 0..2^32-1.

    Returns:
        Four integers in 0..2^32-1, or four int64 tensors of the broadcast shape.

    Example:
        >>> [f"{word:08x}" for word in philox((0, 0, 0, 0), (0, 0))]
        ['5f6fb709', '0d893f64', '4f121f81', '4f730a48']
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        # int64 keeps the low 64 bits of a product; the shift brings down the sign, which the mask takes off again.
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        hi0, lo0 = (p0 >> 32) & _MASK, p0 & _MASK
        hi1, lo1 = (p1 >> 32) & _MASK, p1 & _MASK
        c0, c1, c2, c3 = hi1 ^ c1 ^ k0, lo1, hi0 ^ c3 ^ k1, lo0
        k0, k1 = (k0 + _WEYL[0]) & _MASK, (k1 + _WEYL[1]) & _MASK
    return c0, c1, c2, c3


def draws16(counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[int, int]) -> Tensor:
    """Eight 16-bit draws for each counter: the low half of the first word, its high half, the low half of the second...

    Args:
        counter: four int64 tensors of 32-bit words whose shapes broadcast together.
        key: two 32-bit words.

    Returns:
        int64, values in 0..65535, shape (*broadcast shape of the counter, 8).
    """
    words = torch.stack(torch.broadcast_tensors(*philox(counter, key)), dim=-1)
    return torch.stack((words & 0xFFFF, words >> 16), dim=-1).flatten(-2)


def draws8(counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[int, int]) -> Tensor:
    """Sixteen 8-bit draws for each counter: the bytes of the first word, lowest first, those of the second...

    Args:
        counter, key: as for `draws16`.

    Returns:
        int64, values in 0..255, shape (*broadcast shape of the counter, 16).
    """
    words = torch.stack(torch.broadcast_tensors(*philox(counter, key)), dim=-1)
    return torch.stack([words >> shift & 0xFF for shift in (0, 8, 16, 24)], dim=-1).flatten(-2)
