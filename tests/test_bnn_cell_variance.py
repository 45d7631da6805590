"""Variance and static share of sums whose cells err: against closed forms and against the shipped tables."""

import math

import numpy as np
import pytest
import torch
from erring_cells import (
    KINDS,
    SHIPPED,
    Floats,
    cells_of,
    chip,
    ideal_lut,
    random_signs,
)
from scipy.stats import f as fisher
from scipy.stats import norm
from tables import only, unit_gains
from torch import Tensor

from prcim.bnn.cell_table import GAIN_BITS, CellTable, Kind, cell_table
from prcim.bnn.noise import Reads
from prcim.bnn.tables import UNIT, integer_tables
from prcim.cells.readouts.readout import SenseAmplifier
from prcim.characterize.lut.file import open_lut

# --- closed forms ---


@KINDS
def test_gains_of_a_straight_line_are_those_of_the_closed_form(kind: Kind) -> None:
    table = cell_table(ideal_lut(kind, 0.3, 32))
    gain = table.gain.double() / 2**GAIN_BITS
    share = torch.arange(33, dtype=torch.float64) / 32
    wanted = {"single": (1 + 0 * share, 0 * share), "differential": (0.5 + 0 * share, -0.5 + 0 * share)}
    # The quantiles are integers: their spread is off by some 1e-4.
    assert torch.allclose(gain, torch.stack(wanted.get(kind, (1 - share, -share))), atol=5e-4)


@pytest.mark.parametrize(("kind", "factor"), [("single", 2), ("differential", 1), ("charge", 31 / 32)])
def test_variance_over_fair_inputs(kind: Kind, factor: float) -> None:
    """2 N sigma^2 on one line, N sigma^2 on two, (N - 1) sigma^2 of charge, over columns and inputs.

    Wrong once in 10^6 times.
    """
    n, sigma, columns = 32, 0.3, 20_000
    cells = cells_of(cell_table(ideal_lut(kind, sigma, n)), n=n, groups=1, channels=columns)
    word = torch.rand(columns, 1, n, generator=torch.Generator().manual_seed(5)) < 0.5
    errors = cells.of_words(word, random_signs(columns, 1, n, seed=6)).double().numpy().ravel() / UNIT
    squares = errors**2
    deviation = (squares.mean() - factor * n * sigma**2) / (squares.std() / math.sqrt(columns))
    assert abs(deviation) < norm.isf(0.5e-6)
    assert abs(errors.mean()) < norm.isf(0.5e-6) * errors.std() / math.sqrt(columns)


@pytest.mark.parametrize("k", [8, 16, 26])
@KINDS
def test_static_share(kind: Kind, k: int) -> None:
    """K / N on one line, (K^2 + (N - K)^2) / N^2 on two, nothing of charge; wrong once in 10^6 times."""
    n, columns, words = 32, 3000, 4
    cells = cells_of(cell_table(ideal_lut(kind, 0.3, n)), n=n, groups=1, channels=columns)
    weight, generator = random_signs(columns, 1, n, seed=7), torch.Generator().manual_seed(8)
    reads = [
        cells.of_words(torch.rand(columns, 1, n, generator=generator).argsort(-1) < k, weight) for _ in range(words)
    ]
    found = torch.stack(reads)[:, 0].double().numpy()
    between = words * found.mean(0).var(ddof=1)
    within = found.var(axis=0, ddof=1).mean()
    share = {"single": k / n, "differential": (k**2 + (n - k) ** 2) / n**2, "charge": 0.0}[kind]
    ratio = between / within / (1 + words * share / (1 - share))
    degrees = columns - 1, columns * (words - 1)
    assert fisher.ppf(0.5e-6, *degrees) < ratio < fisher.isf(0.5e-6, *degrees)


# --- the shipped tables ---


def shares(table: CellTable, n: int) -> tuple[Floats, Floats]:
    """Variance at each K from the integers themselves, in S^2, and its static share."""
    variance = float(table.quantiles.double().var(unbiased=False)) * 4 / 4.0 ** (table.bits + GAIN_BITS)
    k = np.arange(n + 1.0)
    on, rest = table.gain.double().numpy() ** 2 * variance
    total = on * k + rest * (n - k)
    lasting = (on * k**2 + rest * (n - k) ** 2) / n
    return total, np.divide(lasting, total, out=np.zeros(n + 1), where=total > 0)


@SHIPPED
def test_variance_and_static_share_are_the_table_s(name: str) -> None:
    lut = open_lut(f"package:{name}")
    table = cell_table(lut)
    assert table.kind == ("differential" if name == "6t-64" else "single")
    total, share = shares(table, lut.n_used)
    k = ((lut.mac + lut.n_used) / 2).astype(int)
    wanted = np.maximum(lut.v_col, 0) + lut.v_res
    # A gain has 16 bits behind the point. Without a conducting cell one line shows leakage alone, 10^-5 of S^2.
    assert np.allclose(total[k], wanted, rtol=2e-4, atol=1e-4)
    some = wanted > 1e-4
    low, high = lut.icc_low[some], lut.icc_high[some]
    # The interval holds 95 %; one of twice the width misses once in 10^4 times.
    assert np.all(np.abs(share[k][some] - (low + high) / 2) <= high - low + 1e-9)
    assert np.mean((share[k][some] > low - 1e-9) & (share[k][some] < high + 1e-9)) > 0.85


@SHIPPED
def test_cells_of_chips_err_as_the_table_says(name: str) -> None:
    """Mean and variance over many chips at each sum, drawn; any of 34 wrong once in 10^5 times."""
    lut = open_lut(f"package:{name}")
    tables = unit_gains(only(integer_tables(lut, SenseAmplifier()), "bank", "cells"))
    n, channels, generator = lut.n_used, 256, torch.Generator().manual_seed(1)
    n_on = ((lut.mac + n) / 2).astype(int)
    found: list[Tensor] = []
    for number in range(8):
        errors = chip(tables, number=number).layer(0, groups=1, channels=channels)
        assert errors.cells is not None
        weight = random_signs(channels, 1, n, seed=number)
        rank = torch.rand(channels, 1, n, generator=generator).argsort(-1)
        reads = Reads(images=torch.zeros(1, dtype=torch.int64))
        sums = []
        for k in n_on.tolist():
            at = torch.full((1, 1, channels), k)
            sums.append(errors(at, torch.ones(1, 1, n), reads)[0] + errors.cells.of_words(rank < k, weight))
        found.append(torch.stack(sums)[:, 0])
    drawn = torch.cat(found, 1).double().numpy() / UNIT
    half = lut.bank[len(lut.bank) // 2 :].mean(axis=0)
    variance = np.maximum(lut.v_col, 0) + lut.v_res
    count = drawn.shape[1]
    level = norm.isf(1e-5 / 34 / 2)
    assert np.all(np.abs(drawn.mean(axis=1) - half) < level * np.sqrt(variance / count) + 0.03)
    squares = (drawn - half[:, None]) ** 2
    assert np.all(np.abs(squares.mean(axis=1) - variance) < level * squares.std(axis=1) / math.sqrt(count) + 0.03)
