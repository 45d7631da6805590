"""Errors as drawn against the table: distributions, independence, moments. Every test states its false-alarm rate."""

import dataclasses
from itertools import combinations, permutations
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import chisquare, norm
from tables import make_tables, only, unit_gains
from torch import Tensor

from prcim.bnn.noise import NoiseModel, Reads, VirtualChip
from prcim.bnn.tables import IntegerTables
from prcim.cells.readouts.readout import SenseAmplifier

#: Seeds are fixed; had they been drawn, a right program would fail a test once in a million times.
FALSE_ALARM = 1e-6
N = 8
# A comparator so wide that its offset does not outweigh the bank.
TABLES = make_tables(n_used=N, columns=32, dies=8, amplifier=SenseAmplifier(w_m=2e-5))
#: An entry is its own place in the table, so that an error tells which draw it came from: 256 K + draw.
PLACES = torch.arange(256 * (N + 1), dtype=torch.int32).reshape(N + 1, 256)


def coded(name: str) -> IntegerTables:
    change: dict[str, Any] = {name: PLACES}
    return dataclasses.replace(unit_gains(only(TABLES)), **change)


def read_all(
    model: NoiseModel,
    tables: IntegerTables,
    *,
    images: int,
    groups: int = 2,
    channels: int = 12,
    number: int = 0,
    layer: int = 0,
    n_on: Tensor | None = None,
) -> NDArray[np.int64]:
    """Errors (images, groups, channels) of reads whose inputs all differ; K is random unless given."""
    generator = torch.Generator().manual_seed(5)
    wide = torch.randint(0, 2, (images, groups, 64), generator=generator) * 2 - 1
    if n_on is None:
        n_on = torch.randint(0, N + 1, (images, groups, channels), generator=generator)
    errors = VirtualChip(tables=tables, model=model, number=number).layer(layer, groups=groups, channels=channels)
    return errors(n_on.expand(images, groups, channels), wide, Reads(images=torch.arange(images))).long().numpy()


def independent(*streams: NDArray[np.int64]) -> bool:
    """Whether no two streams correlate: each coefficient of m independent pairs is normal with sd 1 / sqrt(m)."""
    together = np.stack([stream.ravel() for stream in streams]).astype(np.float64)
    coefficients = np.atleast_2d(np.corrcoef(together))
    pairs = np.array([coefficients[a, b] for a, b in combinations(range(len(streams)), 2)])
    limit = norm.isf(FALSE_ALARM / 2 / len(pairs)) / np.sqrt(streams[0].size)
    return bool(np.abs(pairs).max() < limit)


# --- distributions ---


@pytest.mark.parametrize(
    ("model", "name"), [("iid", "total"), ("gaussian", "gauss"), ("column", "residual"), ("column", "read")]
)
def test_draws_follow_the_table_at_every_sum(model: NoiseModel, name: str) -> None:
    n_on = torch.randint(0, N + 1, (3000, 2, 12), generator=torch.Generator().manual_seed(1))
    places = read_all(model, coded(name), images=3000, n_on=n_on)
    assert np.array_equal(places // 256, n_on.numpy())
    for k in range(N + 1):
        counts = np.bincount(places[places // 256 == k] % 256, minlength=256)
        assert counts.sum() > 5000
        assert chisquare(counts).pvalue > FALSE_ALARM / (N + 1)


def test_curves_offsets_and_dies_are_drawn_evenly() -> None:
    n_on = torch.zeros(1, 8, 128, dtype=torch.int64)
    bank = torch.arange(32, dtype=torch.int32)[:, None].expand(-1, N + 1)
    offset = torch.arange(1024, dtype=torch.int32)
    plain = unit_gains(only(TABLES))
    curves, offsets = (
        np.concatenate([
            read_all("column", tables, images=1, groups=8, channels=128, number=chip, n_on=n_on).ravel()
            for chip in range(40)
        ])
        for tables in (
            dataclasses.replace(plain, bank=bank),
            dataclasses.replace(plain, offset=offset),
        )
    )  # fmt: skip
    # Four dies judge: each of their 24 orders is as likely as any other.
    dies = [VirtualChip(tables=TABLES, model="column", number=chip).die for chip in range(4 * 500)]
    orders = list(permutations(range(4, 8)))
    rounds = [orders.index((dies[i], dies[i + 1], dies[i + 2], dies[i + 3])) for i in range(0, len(dies), 4)]
    for counts in (
        np.bincount(curves)[16:],
        np.bincount(offsets, minlength=1024),
        np.bincount(rounds, minlength=24),
    ):
        assert chisquare(counts).pvalue > FALSE_ALARM / 3
    assert curves.min() == 16


# --- independence ---


@pytest.mark.parametrize(
    ("model", "name"), [("iid", "total"), ("gaussian", "gauss"), ("column", "residual"), ("column", "read")]
)
def test_channels_groups_layers_chips_and_images_are_independent(model: NoiseModel, name: str) -> None:
    table = coded(name)
    draws = read_all(model, table, images=3000) % 256
    assert independent(*draws.reshape(3000, -1).T)
    other_layer = read_all(model, table, images=3000, layer=1) % 256
    other_chip = read_all(model, table, images=3000, number=1) % 256
    assert independent(draws[:-1], draws[1:], other_layer[1:], other_chip[1:])


def test_columns_of_a_chip_are_independent() -> None:
    """Curves of neighbouring channels, groups, layers and chips; offset against curve."""
    n_on = torch.zeros(1, 64, 64, dtype=torch.int64)
    bank = torch.arange(32, dtype=torch.int32)[:, None].expand(-1, N + 1)
    curve = dataclasses.replace(unit_gains(only(TABLES)), bank=bank)
    offset = dataclasses.replace(unit_gains(only(TABLES)), offset=torch.arange(1024, dtype=torch.int32))

    def column(tables: IntegerTables, number: int = 0, layer: int = 0) -> NDArray[np.int64]:
        errors = read_all("column", tables, images=1, groups=64, channels=64, number=number, layer=layer, n_on=n_on)
        return errors.reshape(64, 64)

    here = column(curve)
    assert independent(here[:, :-1], here[:, 1:])
    assert independent(here[:-1], here[1:])
    assert independent(here, column(curve, layer=1), column(curve, number=1), column(offset), column(offset, layer=1))


def test_residual_and_read_noise_are_independent() -> None:
    residual, read = (read_all("column", coded(name), images=3000) % 256 for name in ("residual", "read"))
    total = read_all("iid", coded("total"), images=3000) % 256
    assert independent(residual, read)
    assert independent(residual, total)


# --- moments ---


@pytest.mark.parametrize("k", [0, 3, 8])
def test_moments_of_the_column_model_are_those_of_its_parts(k: int) -> None:
    """Over the columns of many chips: die + cell gain * (bank + residual) + (offset + read) / volt gain."""
    count, chips = 4, 300
    errors = np.stack([
        read_all("column", TABLES, images=count, groups=2, channels=64, number=chip, n_on=torch.full((1, 1, 1), k))
        for chip in range(chips)
    ]).astype(np.float64)  # fmt: skip
    dies = np.array([VirtualChip(tables=TABLES, model="column", number=chip).die for chip in range(chips)])
    die = TABLES.chips[:, k].double().numpy()[dies]
    bank = TABLES.bank[16:, k].double().numpy()
    residual, read = TABLES.residual[k].double().numpy(), TABLES.read[k].double().numpy()
    cell, volt = np.array(TABLES.cell_gain)[dies], np.array(TABLES.volt_gain)[dies]
    # The mean of each chip is known: what is left has the moments of its parts, averaged over chips.
    mean = die + cell * (bank.mean() + residual.mean()) + read.mean() / volt
    within = errors - mean[:, None, None, None]
    lasting = (cell**2 * bank.var() + float(TABLES.offset.double().var()) / volt**2).mean()
    fresh = (cell**2 * residual.var() + read.var() / volt**2).mean()
    columns = chips * 2 * 64
    # Means: five standard errors, passed once in 2 x 10^6 times; variances: five of a normal variable's.
    assert abs(within.mean()) < 5 * np.sqrt(lasting / columns + fresh / columns / count)
    spread = within.var(axis=1, ddof=1).mean()
    assert spread == pytest.approx(fresh, rel=5 * np.sqrt(2 / (columns * (count - 1))))
    total = within.mean(axis=1).var()
    assert total == pytest.approx(lasting + fresh / count, rel=5 * np.sqrt(2 / columns))
