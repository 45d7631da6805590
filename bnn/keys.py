"""Which draw belongs to what: the layout of keys and counters, written down once.

A key is made from five integers (seed, purpose, chip, layer, step) by folding them through Philox: `k = (0, 0)`, then
for each integer v: `k = first two words of philox((low 32 bits of v, high 32 bits of v, 0, 0), k)`. Step is 0 for chips
that judge networks and 1 for those that train them.

A counter is four 32-bit words:

======== =============================== ==================== =================== ==============
purpose  word 0                          word 1               word 2              word 3
======== =============================== ==================== =================== ==============
CHIP     die of the half, from 0         0                    0                   0
COLUMN   group * blocks + channel // 8   0                    0                   0
OFFSET   same                            comparator           0                   0
RESIDUAL group * wide + channel // 16    digest, low half     digest, high half   0
READ     same                            position             image               read
CELL     same                            row of the column    twin, 0 or 1        0
======== =============================== ==================== =================== ==============

with `blocks = ceil(channels / 8)`; number `channel % 8` of the eight 16-bit draws belongs to the channel. What is drawn
for every partial sum or cell takes 8 bits: `wide = ceil(channels / 16)`, and number `channel % 16` of sixteen. The
digest is that of the group's input word (see `digest`): on one chip, equal inputs to a column give equal draws. Of a
weight's two cells twin 0 acts for a weight of +1 (one bit line), or while weight times input is +1 (two lines).

For CHIP the key's chip is the round, number // dies of the half, and the chip's die is the one whose word 0 is in
place number % dies when all are sorted.

Worked example, the COLUMN draw of (group 1, channel 10) in a layer of 2 groups and 16 channels, chip 5 of seed 1:

    >>> key = make_key(seed=1, purpose=Purpose.COLUMN, chip=5, layer=0)
    >>> [f"{word:08x}" for word in key]
    ['4875cfd6', '23d43b68']
    >>> [f"{word:08x}" for word in philox((1 * 2 + 10 // 8, 0, 0, 0), key)]
    ['f73cae7c', '8ec8e4e9', '275cceb2', '15f5d6a3']
    >>> hex(column_draws(key, groups=2, channels=16)[1, 10])
    '0xe4e9'
"""

import functools
from enum import IntEnum

import torch
from torch import Tensor

from prcim.bnn.philox import draws8, draws16, philox


class Purpose(IntEnum):
    """What a draw is for; draws of different purposes are independent."""

    COLUMN = 1
    OFFSET = 2
    RESIDUAL = 3
    READ = 4
    CHIP = 5
    CELL = 6


def make_key(*, seed: int, purpose: Purpose, chip: int = 0, layer: int = 0, step: int = 0) -> tuple[int, int]:
    """The 64-bit key of a stream, as two words."""
    key = (0, 0)
    for value in (seed, int(purpose), chip, layer, step):
        key = _key_below(key, value)
    return key


# Streams of a network have most of their beginnings in common.
@functools.lru_cache(maxsize=1024)
def _key_below(key: tuple[int, int], value: int) -> tuple[int, int]:
    return philox((value & 0xFFFFFFFF, (value >> 32) & 0xFFFFFFFF, 0, 0), key)[:2]


def column_blocks(*, groups: int, channels: int, each: int = 8) -> Tensor:
    """Word 0 of a counter for every group and block of `each` channels, int64, shape (groups, blocks)."""
    blocks = -(-channels // each)
    return torch.arange(groups * blocks, dtype=torch.int64).reshape(groups, blocks)


def per_channel(draws: Tensor, channels: int) -> Tensor:
    """Draws of shape (..., blocks, each) as one for each channel, shape (..., channels)."""
    return draws.flatten(-2)[..., :channels]


def column_draws(key: tuple[int, int], *, groups: int, channels: int, comparator: int = 0) -> Tensor:
    """One 16-bit draw for each physical column, int64, shape (groups, channels)."""
    zero = torch.zeros((), dtype=torch.int64)
    counter = (column_blocks(groups=groups, channels=channels), zero + comparator, zero, zero)
    return per_channel(draws16(counter, key), channels)


def cell_draws(
    key: tuple[int, int], *, groups: int, channels: int, rows: int, device: torch.device | None = None
) -> Tensor:
    """One 8-bit draw for each cell of every physical column.

    Args:
        key: of a stream CELL.
        groups, channels, rows: the columns, and the rows in use of each.
        device: where to draw; the CPU unless given.

    Returns:
        uint8, shape (2 twins, channels, groups, rows).
    """
    blocks = column_blocks(groups=groups, channels=channels, each=16)[:, None].to(device)
    row = torch.arange(rows, dtype=torch.int64, device=device)[:, None]
    zero = torch.zeros((), dtype=torch.int64, device=device)
    # Twin by twin: half of the memory.
    twins = [draws8((blocks, row, zero + twin, zero), key).to(torch.uint8) for twin in range(2)]
    return torch.stack([per_channel(draws, channels).permute(2, 0, 1) for draws in twins])


def digest(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """A 64-bit word for each input vector, as two 32-bit halves.

    +1 is a one bit, and bit i of word j is input 32 j + i. The words are folded in pairs, beginning with (0, 0):
    `d = first two words of philox((word 2j, word 2j + 1, *d), (0, 0))`. Two vectors that differ share a digest with a
    probability of 2^-64.

    Args:
        inputs: +1 or -1, any type, shape (..., n).

    Returns:
        Low and high half, int64 in 0..2^32-1, each of shape (...).
    """
    bits = torch.nn.functional.pad((inputs > 0).to(torch.int64), (0, -inputs.shape[-1] % 64))
    weights = 1 << torch.arange(32, dtype=torch.int64, device=inputs.device)
    words = (bits.unflatten(-1, (-1, 32)) * weights).sum(-1)
    low = high = torch.zeros_like(words[..., 0])
    for j in range(0, words.shape[-1], 2):
        low, high, _, _ = philox((words[..., j], words[..., j + 1], low, high), (0, 0))
    return low, high
