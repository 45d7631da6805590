"""A layer's inputs, weights and errors as the loops take them."""

import functools
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prcim.bnn.kernels.by_position import codes_by_position
from prcim.bnn.kernels.columns import (
    CODE,
    FLASH,
    MAJORITY,
    TILE,
    clipped,
    digests,
    moments,
    read_out,
)
from prcim.bnn.kernels.emitter import has_byte_permutations
from prcim.bnn.kernels.packing import cut_windows, pack_images, pack_rows, to_lanes, words_for
from prcim.bnn.kernels.threads import share

Words = NDArray[np.uint64]
#: Errors and thresholds are kept in units of 2^-6 of the partial sum.
_UNIT = 64


@final
@dataclass(frozen=True, kw_only=True)
class Layout:
    """What a layer is, in plain numbers.

    Attributes:
        groups: columns of an output.
        stride, padding: of a convolution.
        mode: MAJORITY, CODE or FLASH.
        bits, step, begin: of a converter: bits, step in S, first threshold in S.
        read: number of the read.
        keys: of READ and RESIDUAL, two words each.
        straight: whether votes pass gradients straight, as for `prcim.bnn.binarize.vote_slope`.
    """

    groups: int
    stride: int
    mode: int
    bits: int
    step: int
    begin: int
    read: int
    keys: tuple[int, int, int, int]
    straight: bool = False
    padding: int = 0

    def as_numbers(self) -> list[int]:
        """The same as a list."""
        numbers = [self.groups, self.stride, self.mode, self.bits, self.step, self.begin, self.read, *self.keys]
        return [*numbers, int(self.straight), self.padding]

    @staticmethod
    def from_numbers(numbers: list[int]) -> "Layout":
        """The layout of a list."""
        groups, stride, mode, bits, step, begin, read, *keys, straight, padding = numbers
        words = (keys[0], keys[1], keys[2], keys[3])
        return Layout(
            groups=groups, stride=stride, mode=mode, bits=bits, step=step, begin=begin, read=read, keys=words,
            straight=bool(straight), padding=padding,
        )  # fmt: skip


def output_shape(x: Tensor, weight: Tensor, stride: int, padding: int = 0) -> tuple[int, ...]:
    """Shape of a layer's output with its channels last: (B, O) or (B, H', W', O)."""
    sides = [(length + 2 * padding - weight.shape[-1]) // stride + 1 for length in x.shape[2:]]
    return (len(x), *sides, len(weight))


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class _Lanes:
    """What the loops over channels take, in the order of `to_lanes`; `number` has a part's blocks as its length."""

    number: tuple[int, ...]
    weights: Words
    base: NDArray[np.uint32]
    below: NDArray[np.int32]
    comparators: NDArray[np.int32]


class Prepared:
    """Inputs and weights in bits, tables and thresholds in the order of the loops.

    Args:
        x, weight: as for `prcim.bnn.column_sum.majority_sum`.
        threshold: in S, (G, O); empty for a converter.
        fresh, residual, curves: errors by K and draw, and curves over K; empty where the model has none.
        column: curve of each column, (G, O), or empty.
        offsets: of comparators, (count, G, O), or empty.
        images: (B,).
        layout: the rest.
    """

    def __init__(
        self, x: Tensor, weight: Tensor, threshold: Tensor, fresh: Tensor, residual: Tensor, curves: Tensor,
        column: Tensor, offsets: Tensor, images: Tensor, layout: Layout,
    ) -> None:  # fmt: skip
        groups, outputs = layout.groups, len(weight)
        self._layout, self.outputs, self.read = layout, outputs, layout.read
        self.shape = output_shape(x, weight, layout.stride, layout.padding)
        self.n = weight[0].numel() // groups
        self.words = input_words(x, weight, layout.groups, stride=layout.stride, padding=layout.padding)
        self.rows = _rows(weight if weight.dim() == 2 else weight.permute(0, 2, 3, 1).flatten(1), groups)
        self.tables = _narrow(fresh, residual, curves)
        self.column = column.numpy()
        below = torch.full((groups, outputs), _UNIT * (self.n + layout.begin), dtype=torch.int32)
        if len(threshold):
            below += threshold.to(torch.int32) * _UNIT
        half = 2**layout.bits // 2
        comparators = torch.zeros(0, groups, outputs, dtype=torch.int32)
        if layout.mode == FLASH and len(offsets):
            ideal = (torch.arange(len(offsets), dtype=torch.int32) - half + 1) * (layout.step * _UNIT)
            comparators = ideal[:, None, None] - offsets
        elif len(offsets):
            below -= offsets[0]
        self.below, self._comparators = below.numpy(), comparators.numpy()
        count = len(self.words)
        positions = count // max(self.shape[0], 1)
        self.counters = np.zeros((count, 3), np.uint64)
        self.counters[:, 0] = np.tile(np.arange(positions), self.shape[0])
        self.counters[:, 1] = np.repeat(images.numpy(), positions)
        self.counters[:, 2] = layout.read
        self.keys = np.array([layout.keys[:2], layout.keys[2:]], np.uint64)

    @functools.cached_property
    def patterns(self) -> Words:
        """Digests of the inputs of each column, (2, M, G), if errors are drawn by them."""
        found = np.empty((2, len(self.words) if len(self.tables[1]) else 0, self._layout.groups), np.uint64)
        share(lambda first, last: digests(self.words, found, first, last), found.shape[1], least=512)
        return found

    @functools.cached_property
    def _in_lanes(self) -> "_Lanes":
        blocks = 8 if -(-self.outputs // 128) * 96 <= self.outputs else 2
        base = np.zeros(self.below.shape, np.uint32)
        if len(self.column):
            base = (self.column * (self.n + 1)).astype(np.uint32)
        return _Lanes(
            number=(0,) * blocks,
            weights=np.ascontiguousarray(to_lanes(np.moveaxis(self.rows, 0, 2), blocks).swapaxes(1, 2)),
            base=to_lanes(base, blocks),
            below=to_lanes(self.below, blocks),
            comparators=to_lanes(self._comparators, blocks),
        )

    def for_loops(self) -> tuple[Words, Words, int, Any, Any, Any, Words, Words, Words, Any]:
        """What every loop over channels begins with; its last is the constant number of their blocks."""
        lanes = self._in_lanes
        columns = (self.words, lanes.weights, self.n, self.tables, lanes.base, lanes.below)
        return (*columns, self.counters, self.patterns, self.keys, lanes.number)

    def errors_of_one_draw(self) -> NDArray[Any] | None:
        """Errors by K and draw, (n + 1, draws), where one draw decides on them; else None."""
        fresh, residual, curves = self.tables
        if len(residual) or (len(curves) and (len(fresh) or len(self.column))):
            return None
        if not len(fresh) and not len(curves):
            return np.zeros((self.n + 1, 1), np.int32)
        return (fresh if len(fresh) else curves).reshape(self.n + 1, -1)

    def totals(self) -> Tensor:
        """What the read-outs of each output add up to, float32, `output_shape`."""
        layout, flash = self._layout, len(self._comparators) > 0
        # Steps and ranges beyond every sum change nothing, and would leave the range in which floats are exact.
        step = min(layout.step // 2, 1 << 15)
        half = min(2**layout.bits // 2, (1 << 14) // step + 2) if not flash else 2**layout.bits // 2
        mode = layout.mode if layout.mode != FLASH or flash else CODE
        # Sums of integers, exact in float32.
        factor, middle = (
            (2, 0) if mode == MAJORITY else (layout.step, layout.groups * (layout.begin + layout.step // 2))
        )
        if mode != FLASH and has_byte_permutations():
            lowest = layout.groups / 2 if mode == MAJORITY else layout.groups * half
            scale = np.array([lowest, factor, middle], np.float32)
            made = codes_by_position(self, mode, step, half, scale)
            if made is not None:
                return torch.from_numpy(made).reshape(self.shape)
        found, bias = self._codes(mode, step, half)
        found -= layout.groups / 2 if mode == MAJORITY else layout.groups * bias
        found *= factor
        found += middle
        return torch.from_numpy(found).reshape(self.shape)

    def _codes(self, mode: int, step: int, half: int) -> tuple[NDArray[np.float32], int]:
        """The same for any processor, channels side by side: sums of number + bias, and that bias."""
        bias = half + (1 << 13) // step + 1
        found = np.empty((len(self.words), self.outputs), np.float32)
        lanes = self._in_lanes
        parts = lanes.weights.shape[1]

        def work(first: int, last: int) -> None:
            read_out(
                self.words, lanes.weights, self.n, self.tables, lanes.base, lanes.below, lanes.comparators,
                self.counters, self.patterns, self.keys, mode, step, half, bias, lanes.number, first, last, found,
            )  # fmt: skip

        share(work, -(-len(found) // TILE) * parts)
        return found, bias

    @property
    def layout(self) -> Layout:
        """What the layer is."""
        return self._layout

    @property
    def reach(self) -> int:
        """Distance of either end of a converter's range from its middle threshold."""
        reach: int = 2**self._layout.bits // 2 * self._layout.step * _UNIT
        return reach

    def moments(self) -> Tensor:
        """Sums over all positions of S + error - threshold in units of 2^-6, and of its square, int64, (2, G, O)."""
        groups, parts = self._in_lanes.weights.shape[:2]
        found = np.empty((2, groups, self.outputs), np.int64)

        def work(first: int, last: int) -> None:
            moments(*self.for_loops(), self.outputs, first, last, found)

        share(work, groups * parts)
        return torch.from_numpy(found)

    def clipped(self, most: int) -> Tensor | None:
        """Position, group and output of each sum beyond its converter's range, (count, 3); None: more than `most`."""
        items = np.arange(-(-len(self.words) // TILE) * self._in_lanes.weights.shape[1])
        parts: dict[int, NDArray[np.int64] | None] = {}

        def work(first: int, last: int) -> None:
            found = np.empty((most, 3), np.int64)
            count = clipped(*self.for_loops(), self.reach, self.outputs, items[first:last], found)
            parts[first] = None if count > most else found[:count].copy()

        share(work, len(items))
        found = [part for _, part in sorted(parts.items()) if part is not None]
        if len(found) < len(parts) or sum(map(len, found)) > most:
            return None
        return torch.from_numpy(np.concatenate(found))


def _narrow(*tables: Tensor) -> tuple[NDArray[Any], ...]:
    """Flat tables, in 16 bits if all fit: half of the memory to look them up in."""
    arrays, limit = [table.flatten().numpy() for table in tables], np.iinfo(np.int16)
    fits = all(not array.size or (array.min() >= limit.min and array.max() <= limit.max) for array in arrays)
    return tuple(array.astype(np.int16 if fits else np.int32) for array in arrays)


def _rows(x: Tensor, groups: int) -> Words:
    """Bits of inputs side by side, (R, groups, W)."""
    values = x.contiguous().numpy()
    words = np.empty((len(x), groups, words_for(x.shape[1] // groups)), np.uint64)
    share(lambda first, last: pack_rows(values, words, first, last), len(x), least=64)
    return words


def input_words(x: Tensor, weight: Tensor, groups: int, *, stride: int = 1, padding: int = 0) -> Words:
    """Bits of the inputs of every position, (B * P, groups, W); arguments as for `Prepared`."""
    if x.dim() == 2:
        return _rows(x, groups)
    batch, channels, high, wide = x.shape
    if x.is_contiguous(memory_format=torch.channels_last):
        pixels = _rows(x.permute(0, 2, 3, 1).reshape(-1, channels), 1)
    else:
        values = x.contiguous().reshape(batch, channels, high * wide).numpy()
        pixels = np.empty((batch, high * wide, words_for(channels)), np.uint64)
        share(lambda first, last: pack_images(values, pixels, first, last), batch)
    pixels = pixels.reshape(batch, high, wide, -1)
    if padding:
        # -1 is a zero bit.
        pixels = np.pad(pixels, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    kernel, n = weight.shape[-1], weight[0].numel() // groups
    words = np.empty((*output_shape(x, weight, stride, padding)[:3], groups, words_for(n)), np.uint64)
    share(
        lambda first, last: cut_windows(pixels, channels, kernel, stride, n, words, first, last),
        batch,
    )
    return words.reshape(-1, groups, words.shape[-1])
