"""Small layers whose cells err, for tests."""

import dataclasses

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import norm
from tables import make_lut
from torch import Tensor

from prcim.bnn.cell_errors import CellErrors
from prcim.bnn.cell_table import CellTable, Kind
from prcim.bnn.column_sum import noisy_sums, partial_sums
from prcim.bnn.noise import Half, LayerErrors, Reads, VirtualChip
from prcim.bnn.tables import UNIT, IntegerTables, integer_tables
from prcim.cells.readouts.readout import SenseAmplifier
from prcim.characterize.lut.error_lut import ErrorLUT

Floats = NDArray[np.float64]
N, GROUPS, CHANNELS = 16, 3, 11
QUANTILES = norm.ppf((np.arange(256) + 0.5) / 256)
KINDS = pytest.mark.parametrize("kind", ["single", "differential", "charge"])
SHIPPED = pytest.mark.parametrize("name", ["8t-64", "6t-64"])


def random_signs(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(seed)) * 2.0 - 1


X, WEIGHT, IMAGES = random_signs(40, GROUPS, N), random_signs(CHANNELS, GROUPS, N, seed=1), torch.arange(100, 140)


def lut_of(kind: Kind, *, n: int = N, **arrays: Floats) -> ErrorLUT:
    made = make_lut(rows=n, sums=n + 1, columns=12, dies=6)
    read = {**made.meta["plan"]["read"], "mode": "charge" if kind == "charge" else "steady"}
    meta = {**made.meta, "bit_lines": 2 if kind == "differential" else 1, "plan": {**made.meta["plan"], "read": read}}
    return dataclasses.replace(made, meta=meta, **arrays)


def tables_of(kind: Kind) -> IntegerTables:
    return integer_tables(lut_of(kind), SenseAmplifier())


def ideal_lut(kind: Kind, sigma: float, n: int) -> ErrorLUT:
    """The closed forms, over sigma^2: 4 K, of which K / N lasts; N, (K^2 + (N - K)^2) / N^2; 4 K (N - K) / N, none."""
    k = np.arange(n + 1.0)
    cell_q = sigma * QUANTILES / QUANTILES.std()
    total = sigma**2 * {"single": 4 * k, "differential": n + 0 * k, "charge": 4 * k * (n - k) / n}[kind]
    share = {"single": k / n, "differential": (k**2 + (n - k) ** 2) / n**2, "charge": 0 * k}[kind]
    return lut_of(kind, n=n, cell_q=cell_q, v_col=total * share, v_res=total * (1 - share))


def chip(tables: IntegerTables, *, number: int = 3, seed: int = 0, half: Half = "evaluate") -> VirtualChip:
    return VirtualChip(tables=tables, model="cell", number=number, seed=seed, half=half)


def layer_errors(made: VirtualChip, *, layer: int = 0, groups: int = GROUPS, channels: int = CHANNELS) -> LayerErrors:
    return made.layer(layer, groups=groups, channels=channels)


def errors_of(made: VirtualChip, x: Tensor = X, weight: Tensor = WEIGHT, *, read: int = 0, layer: int = 0) -> Tensor:
    mac = partial_sums(x, weight)
    errors = layer_errors(made, layer=layer, groups=weight.shape[1], channels=len(weight))
    reads = Reads(images=IMAGES[: len(x)], read=read)
    return noisy_sums(mac, x, errors, reads, weight) - UNIT * mac.to(torch.int32)


def cells_of(table: CellTable, *, n: int = N, groups: int = GROUPS, channels: int = CHANNELS) -> CellErrors:
    return CellErrors(table=table, key=(11, 12), groups=groups, channels=channels, rows=n)
