"""Layers whose forward pass is timed: by torch without noise, on columns, and the plain ways to add noise."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from prcim.bnn.column_sum import code_sum, majority_sum
from prcim.bnn.noise import NoiseModel, Reads, VirtualChip
from prcim.bnn.tables import IntegerTables, integer_tables
from prcim.bnn.windows import patches
from prcim.cells.readouts.readout import Adc, SenseAmplifier
from prcim.characterize.lut.file import open_lut

PARTIAL_SUMS_AT_ONCE = 1 << 24


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer with one batch: inputs, outputs, side of the image (0: linear), images."""

    name: str
    inputs: int
    outputs: int
    side: int
    batch: int

    def groups(self, rows: int) -> int:
        return self.inputs * (9 if self.side else 1) // rows

    def sums(self, rows: int) -> int:
        """Partial sums of the batch."""
        return self.batch * max(self.side, 1) ** 2 * self.outputs * self.groups(rows)

    def tensors(self, device: str, batch: int | None = None) -> tuple[Tensor, Tensor]:
        """Inputs and weights, float32, +-1."""
        generator = torch.Generator().manual_seed(0)
        image, window = ((self.side, self.side), (3, 3)) if self.side else ((), ())
        shapes = (batch or self.batch, self.inputs, *image), (self.outputs, self.inputs, *window)
        x, weight = ((torch.randint(0, 2, shape, generator=generator) * 2.0 - 1).to(device) for shape in shapes)
        return x, weight


#: Layers 2 to 8 of VGG-9 at batch 100, and a linear layer of 1024 x 1024 at batch 1024.
NETWORKS = {
    "vgg9": [
        Layer(name=name, inputs=inputs, outputs=outputs, side=side, batch=100)
        for name, inputs, outputs, side in (
            ("conv2", 128, 128, 32),
            ("conv3", 128, 256, 16),
            ("conv4", 256, 256, 16),
            ("conv5", 256, 512, 8),
            ("conv6", 512, 512, 8),
            ("linear7", 8192, 1024, 0),
            ("linear8", 1024, 1024, 0),
        )
    ],
    "linear1024": [Layer(name="linear", inputs=1024, outputs=1024, side=0, batch=1024)],
}


def tables_for(rows: int) -> IntegerTables:
    """The shipped table of an 8T column; for other rows than its 64 the same, stretched: as large as a real one."""
    made = integer_tables(open_lut("package:8t-64"), SenseAmplifier())
    place = torch.linspace(0, made.n_used, rows + 1).round().long()
    curves = {name: getattr(made, name)[:, place] for name in ("bank", "chips")}
    by_draw = {name: getattr(made, name)[place] for name in ("residual", "read", "total", "gauss")}
    return dataclasses.replace(made, n_used=rows, **curves, **by_draw)


def noise_free(layer: Layer, device: str) -> Callable[[], Tensor]:
    """The product as torch computes it: float32, or on a GPU bfloat16, from tensors that are so already."""
    x, weight = _as_torch_would(*layer.tensors(device))
    if layer.side:
        return lambda: functional.conv2d(x, weight, padding=1)
    return lambda: functional.linear(x, weight)


def on_columns(
    layer: Layer, tables: IntegerTables, model: NoiseModel, readout: str, device: str
) -> Callable[[], Tensor]:
    """The same layer on columns: padding, packing, the errors of a new chip, read-outs, their sum."""
    x, weight = layer.tensors(device)
    groups, number = layer.groups(tables.n_used), iter(range(1 << 30))
    threshold = torch.full((groups, layer.outputs), -1.0, device=device)
    reads = Reads(images=torch.arange(layer.batch, device=device))

    def forward() -> Tensor:
        chip = VirtualChip(tables=tables, model=model, number=next(number))
        errors = chip.layer(0, groups=groups, channels=layer.outputs)
        padding = int(layer.side > 0)
        if readout == "majority":
            return majority_sum(x, weight, threshold, errors, reads, padding=padding)
        return code_sum(x, weight, Adc(), errors, reads, groups=groups, padding=padding)

    return forward


def plain(
    layer: Layer, tables: IntegerTables, way: str, readout: str, device: str
) -> tuple[Callable[[], Tensor], float]:
    """Noise by torch alone, and how many times that is the whole batch: it is run on as many images as fit in memory.

    `lookup` is bmm, randint and a gather from the table; `gauss` is bmm and randn for every partial sum.
    """
    rows = tables.n_used
    groups = layer.groups(rows)
    batch = max(min(layer.batch, layer.batch * PARTIAL_SUMS_AT_ONCE // layer.sums(rows)), 1)
    x, weight = _as_torch_would(*layer.tensors(device, batch))
    total = (tables.total.float() / 64).flatten().to(device)
    sigma = float(total.std())

    def forward() -> Tensor:
        flat, columns = x, weight
        if layer.side:
            flat = patches(functional.pad(x, (1, 1, 1, 1), value=-1.0), kernel=3).flatten(0, 1)
            columns = weight.permute(0, 2, 3, 1).flatten(1)
        left = flat.reshape(-1, groups, rows).transpose(0, 1)
        right = columns.reshape(-1, groups, rows).permute(1, 2, 0)
        mac = torch.bmm(left, right)
        if way == "lookup":
            draw = torch.randint(0, 256, mac.shape, dtype=torch.int32, device=device)
            analog = mac + total[(((mac + rows) / 2).to(torch.int32) * 256 + draw)]
        else:
            analog = mac + sigma * torch.randn_like(mac)
        if readout == "majority":
            return torch.where(analog >= -1, 1.0, -1.0).sum(0)
        return (((analog + 1) / 4).floor().clamp(-16, 15) * 4 + 1).sum(0)

    return forward, layer.batch / batch


def _as_torch_would(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """On a GPU in the type that its tensor cores take; sums of 64 or 128 signs are exact in it."""
    narrow = torch.bfloat16 if x.device.type == "cuda" else torch.float32
    return x.to(narrow), weight.to(narrow)
