"""Draws as the fused loops make them, against the table: distributions at every sum, independence, what lasts.

An entry of the table is its own place, in steps of a converter that resolves every sum: a code tells the draw.
"""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import chisquare, norm
from tables import make_tables, only, unit_gains
from torch import Tensor

from prcim.bnn.column_sum import code_sum
from prcim.bnn.noise import NoiseModel, Reads, VirtualChip
from prcim.cells.readouts.readout import Adc

#: Seeds are fixed; had they been drawn, a right program would fail a test once in a million times.
FALSE_ALARM = 1e-6
N, CHANNELS, SIDE = 8, 12, 6
TABLES = unit_gains(only(make_tables(n_used=N)))
PLACES = 128 * torch.arange(256, dtype=torch.int32).expand(N + 1, -1)
SOURCES = [("iid", "total"), ("gaussian", "gauss"), ("column", "read")]


def signs(seed: int, *shape: int) -> Tensor:
    return torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(seed)) * 2.0 - 1


X, WEIGHT = signs(0, 400, N, SIDE, SIDE), signs(1, CHANNELS, N, 1, 1)
SUMS = torch.nn.functional.conv2d(X, WEIGHT)


def draws(
    model: NoiseModel, name: str, *, x: Tensor = X, layer: int = 0, read: int = 0, images: Tensor | None = None
) -> NDArray[np.int64]:
    """The draw of each read of one column at each position, (images, channels, H, W)."""
    change: dict[str, Any] = {name: PLACES}
    tables = dataclasses.replace(TABLES, **change)
    errors = VirtualChip(tables=tables, model=model, number=3).layer(layer, groups=1, channels=CHANNELS)
    reads = Reads(images=torch.arange(len(x)) if images is None else images, read=read)
    codes = code_sum(x, WEIGHT, Adc(bits=12, step=2), errors, reads, groups=1)
    found = (codes - torch.nn.functional.conv2d(x, WEIGHT)) / 2
    assert float(found.min()) >= 0
    assert float(found.max()) <= 255
    return found.long().numpy()


def independent(first: NDArray[np.int64], second: NDArray[np.int64]) -> bool:
    """Whether two streams do not correlate: the coefficient of m independent pairs is normal with sd 1 / sqrt(m)."""
    coefficient = np.corrcoef(first.ravel(), second.ravel())[0, 1]
    return bool(abs(coefficient) < norm.isf(FALSE_ALARM / 2) / np.sqrt(first.size))


@pytest.mark.parametrize(("model", "name"), SOURCES)
def test_draws_follow_the_table_at_every_sum(model: NoiseModel, name: str) -> None:
    found = draws(model, name)
    for mac in range(-N, N + 1, 2):
        counts = np.bincount(found[SUMS.numpy() == mac], minlength=256)
        if counts.sum() > 5 * 256:
            assert chisquare(counts).pvalue > FALSE_ALARM / (N + 1)
    assert chisquare(np.bincount(found.ravel(), minlength=256)).pvalue > FALSE_ALARM


@pytest.mark.parametrize(("model", "name"), SOURCES)
def test_positions_channels_layers_and_reads_are_independent(model: NoiseModel, name: str) -> None:
    found = draws(model, name)
    for one, other in (
        (found[..., 1:], found[..., :-1]),
        (found[..., 1:, :], found[..., :-1, :]),
        (found[:, 1:], found[:, :-1]),
        (found[:, 8:], found[:, :4]),
        (found[1:], found[:-1]),
        (found, draws(model, name, layer=1)),
        (found, draws(model, name, read=1)),
    ):
        assert independent(one, other)


def test_equal_inputs_give_equal_errors_where_nothing_is_fresh() -> None:
    """The residual of a column follows from its input alone: the same at every position, in every image and read."""
    pattern = signs(7, N)
    x = X.clone()
    x[:200, :, ::2] = pattern[None, :, None, None]
    found = draws("column", "residual", x=x)
    same = found[:200, :, ::2]
    assert (same == same[:1, :, :1, :1]).all()
    assert len(np.unique(same[0, :, 0, 0])) > 6
    assert np.array_equal(draws("column", "residual", x=x, read=5, images=torch.arange(400) + 9), found)
    # Draws of different inputs are as any others: 256 patterns of 12 columns.
    first = np.unique(x.movedim(1, -1).reshape(-1, N).numpy(), axis=0, return_index=True)[1]
    each = np.moveaxis(found, 1, -1).reshape(-1, CHANNELS)[first]
    assert len(each) == 2**N
    assert chisquare(np.bincount(each.ravel() // 8, minlength=32)).pvalue > FALSE_ALARM
