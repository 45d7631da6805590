"""A layer on columns for a GPU: the same questions as `Prepared` answers, asked of the loops in Triton.

This file imports Triton; nothing else of prcim.bnn does before a tensor on a GPU is met.
"""

import contextlib
import math
from typing import Any, final

import torch
import triton
from torch import Tensor

from prcim.bnn.kernels import triton_kernels as loops
from prcim.bnn.kernels.columns import FLASH, MAJORITY
from prcim.bnn.kernels.prepared import Layout, output_shape

#: Errors and thresholds are kept in units of 2^-6 of the partial sum.
_UNIT = 64
#: Positions, and blocks of sixteen channels, of a program of four warps: what their registers hold, and a product that
#: they compute together.
TILE, BLOCKS = 64, 4
#: Programs that keep a multiprocessor busy; layers with fewer tiles share out their groups. Assumption.
PROGRAMS = 2


@final
class TritonColumns:
    """Inputs and weights in int8, thresholds and the place of each column's curve.

    Args:
        x, weight, threshold, fresh, residual, curves, column, offsets, images, layout: as for `Prepared`, all on one
            device; tables of any integer type.
        programs: that the layer is cut into at least where it can be; None: by the device.
    """

    def __init__(
        self, x: Tensor, weight: Tensor, threshold: Tensor, fresh: Tensor, residual: Tensor, curves: Tensor,
        column: Tensor, offsets: Tensor, images: Tensor, layout: Layout, programs: int | None = None,
    ) -> None:  # fmt: skip
        self._layout, self._device, self.outputs = layout, x.device, len(weight)
        self.shape = output_shape(x, weight, layout.stride)
        self.n = weight[0].numel() // layout.groups
        self._positions = math.prod(self.shape[1:-1])
        self.count = len(x) * self._positions
        self._programs = programs or _programs(x.device)
        with _on(self._device):
            self._x, self._weight = _packed(x), _packed(weight)
        self._images = images.contiguous()
        self._tables = tuple(table.contiguous() for table in (fresh, residual, curves))
        self._base = (column * (self.n + 1)).to(torch.int32).contiguous() if len(column) else None
        self._below, self._comparators = self._decisions(threshold, offsets)
        # Inputs from one image, row of positions, position to the next; how long a window's row is, and a whole one.
        if x.dim() == 2:
            self._window = (1, x.shape[1], 0, 0, x.shape[1], 0)
        else:
            _, channels, high, wide = x.shape
            line = wide * channels
            self._window = (
                self.shape[2], high * line, layout.stride * line, layout.stride * channels,
                weight.shape[-1] * channels, line,
            )  # fmt: skip
        self._patterns = self._digests() if len(residual) else None

    def totals(self) -> Tensor:
        """What the read-outs of each output add up to, float32, `output_shape`."""
        layout = self._layout
        step, half = self._converter
        if layout.mode == MAJORITY:
            mode, gain, lift = loops.VOTES, 2, -layout.groups
        else:
            gain, lift = layout.step, layout.groups * (layout.begin + layout.step // 2)
            if self._comparators is None:
                mode, lift = loops.CODES, lift - layout.groups * half * gain
            else:
                mode, lift = loops.FLASHES, lift - layout.groups * (2**layout.bits // 2) * gain
        share = self._share(self.count)
        split = share < layout.groups
        found = torch.empty(self.count, self.outputs, dtype=torch.float32, device=self._device)
        out = torch.zeros_like(found, dtype=torch.int32) if split else found
        self._launch(mode, out, 0, self.count, share, gain=gain, lift=lift, split=split, step=step, half=half)
        if split:
            found = (out.to(torch.int64) * gain + lift).to(torch.float32)
        return found.reshape(self.shape)

    def moments(self) -> Tensor:
        """Sums over all positions of S + error - threshold in units of 2^-6, and of its square, int64, (2, G, O)."""
        found = torch.zeros(2, self._layout.groups, self.outputs, dtype=torch.int64, device=self._device)
        self._launch(loops.MOMENTS, found, 0, self.count, self._share(self.count))
        return found

    def clipped(self, most: int) -> Tensor | None:
        """Position, group and output of each sum beyond its converter's range, (count, 3); None: more than `most`."""
        found = torch.zeros(1 + 3 * most, dtype=torch.int64, device=self._device)
        step, half = self._converter
        self._launch(loops.CLIPPED, found, 0, self.count, self._share(self.count), step=step, half=half, most=most)
        count = int(found[0])
        return found[1 : 1 + 3 * count].reshape(count, 3) if count <= most else None

    def gradients(self, arriving: Tensor, slope: Tensor, first: int, last: int) -> Tensor:
        """Gradients of the partial sums of some positions, (positions, G, O); arguments as for `Prepared`."""
        leaving = torch.empty(last - first, self._layout.groups, self.outputs, device=self._device)
        step, half = self._converter
        mode = loops.VOTE_GRADIENTS if len(slope) else loops.CODE_GRADIENTS
        share = self._share(last - first)
        slope = slope.to(self._device)
        self._launch(mode, leaving, first, last, share, arriving=arriving, slope=slope, step=step, half=half)
        return leaving

    @property
    def _bits(self) -> list[int]:
        """Of the entries of each table; 0 without a GPU."""
        return [8 * table.element_size() if self._device.type == "cuda" else 0 for table in self._tables]

    @property
    def _converter(self) -> tuple[int, int]:
        """Step in units of 2 in S, and half of the codes; what lies beyond every int32 changes nothing and is cut."""
        step = min(self._layout.step // 2, 1 << 24)
        return step, min(2**self._layout.bits // 2, (1 << 24) // step + 1)

    def _decisions(self, threshold: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor | None]:
        """What is taken off each column's sum, and the thresholds of a flash converter's comparators."""
        layout = self._layout
        below = torch.full((layout.groups, self.outputs), _UNIT * layout.begin, dtype=torch.int32, device=self._device)
        if len(threshold):
            below += threshold.to(torch.int32) * _UNIT
        if layout.mode == FLASH and len(offsets):
            number = torch.arange(len(offsets), dtype=torch.int32, device=self._device) - 2**layout.bits // 2 + 1
            return below, number[:, None, None] * (layout.step * _UNIT) - offsets
        if len(offsets):
            below -= offsets[0]
        return below, None

    def _share(self, count: int) -> int:
        """Groups of a program: fewer than all where there are too few tiles."""
        groups = self._layout.groups
        tiles = triton.cdiv(count, TILE) * triton.cdiv(self.outputs, 16 * BLOCKS)
        return int(triton.cdiv(groups, min(groups, triton.cdiv(self._programs, max(tiles, 1)))))

    def _digests(self) -> Tensor:
        groups = self._layout.groups
        found = torch.empty(self.count, groups, 2, dtype=torch.int32, device=self._device)
        if self.count:
            with _on(self._device):
                loops.digests[triton.cdiv(self.count, TILE), groups](
                    self._x, found, self.count, self._positions, *self._window, groups, N=self.n, BM=TILE
                )
        return found

    def _launch(
        self, mode: Any, out: Tensor, first: int, last: int, share: int, *, arriving: Tensor | None = None,
        slope: Tensor | None = None, gain: int = 1, lift: int = 0, split: bool = False, step: int = 1, half: int = 1,
        most: int = 0,
    ) -> None:  # fmt: skip
        if last <= first:
            return
        layout = self._layout
        has = [len(table) > 0 for table in self._tables]
        bits = self._bits
        grid = (
            triton.cdiv(last - first, TILE) * triton.cdiv(self.outputs, 16 * BLOCKS),
            triton.cdiv(layout.groups, share),
        )
        unused = self._below
        # What the common forms take without spilling, so that four or three programs share a multiprocessor.
        plain = mode in (loops.VOTES, loops.CODES) and self.n % 64 == 0
        registers = (168 if has[1] else 128) if plain else None
        with _on(self._device):
            loops.columns[grid](
                self._x, self._weight, *self._tables, unused if self._base is None else self._base, self._below,
                unused if self._comparators is None else self._comparators, self._images,
                unused if self._patterns is None else self._patterns, unused if arriving is None else arriving,
                unused if slope is None else slope, out, first, last, self._positions, *self._window, layout.groups,
                self.outputs, share, _word(layout.read), *map(_word, layout.keys), gain, lift,
                0 if self._comparators is None else len(self._comparators), most if slope is None else len(slope) - 1,
                MODE=mode.value, N=self.n, STEP=step, HALF=half, FRESH=has[0], RESIDUAL=has[1], CURVES=has[2],
                FRESH_BITS=bits[0], RESIDUAL_BITS=bits[1], CURVES_BITS=bits[2], BASE=self._base is not None,
                SPLIT=split, BM=TILE, NB=BLOCKS, BK=32 if self.n <= 32 else 64,
                maxnreg=registers,
            )  # fmt: skip


def _packed(x: Tensor) -> Tensor:
    """Signs as int8, channel last: x (B, inputs) or (B, C, H, W) -> (B, inputs) or (B, H, W, C)."""
    batch, channels, *sides = x.shape
    high, wide = sides or (1, 1)
    strides = x.stride() if sides else (*x.stride(), 0, 0)
    packed = torch.empty(batch, *sides, channels, dtype=torch.int8, device=x.device)
    count = batch * high * wide
    if count:
        grid = (triton.cdiv(count, 64), triton.cdiv(channels, 64))
        loops.pack[grid](x.detach(), packed, count, channels, high * wide, wide, *strides, BP=64, BC=64)
    return packed


def _word(value: int) -> int:
    """A 32-bit word as an int32 of the same bits: one type for Triton, whatever the value."""
    return (value & 0xFFFFFFFF) - ((value & 0x80000000) << 1)


def _programs(device: torch.device) -> int:
    if device.type != "cuda":
        return 1
    return PROGRAMS * int(torch.cuda.get_device_properties(device).multi_processor_count)


def _on(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Triton starts its kernels on the current device."""
    return torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext()
