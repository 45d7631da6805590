"""Cells that err on their own: which cell acts, what reaches a sum, in integers."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from erring_cells import (
    CHANNELS,
    GROUPS,
    IMAGES,
    KINDS,
    WEIGHT,
    N,
    X,
    cells_of,
    chip,
    errors_of,
    layer_errors,
    lut_of,
    random_signs,
    tables_of,
)
from tables import make_tables, only

from prcim.bnn.cell_table import CELL_REACH, GAIN_BITS, Kind, cell_table
from prcim.bnn.column_sum import majority_sum, noisy_sums, partial_sums
from prcim.bnn.keys import Purpose
from prcim.bnn.noise import Reads, VirtualChip
from prcim.bnn.philox import philox
from prcim.bnn.tables import UNIT
from prcim.errors import InputError

# --- the definition ---


@KINDS
def test_errors_are_those_of_the_definition(kind: Kind) -> None:
    """Cell by cell from its counter, added in Python's integers, rounded once."""
    tables = only(tables_of(kind), "cells")
    made = chip(tables)
    errors = errors_of(made, X[:4])
    key, table, die_gain = made.key(Purpose.CELL), tables.cells, tables.cell_gain[made.die]
    gain = [[round(float(g) * die_gain) for g in side] for side in table.gain.tolist()]
    blocks = -(-CHANNELS // 16)

    def cell(group: int, channel: int, row: int, twin: int) -> int:
        words = philox((group * blocks + channel // 16, row, twin, 0), key)
        return int(table.quantiles[words[channel % 16 // 4] >> 8 * (channel % 4) & 0xFF])

    found = []
    for b in range(4):
        for g in range(GROUPS):
            for o in range(CHANNELS):
                on = rest = k = 0
                for i in range(N):
                    y, w = int(X[b, g, i] * WEIGHT[o, g, i]), int(WEIGHT[o, g, i])
                    k += y == 1
                    if kind == "single":
                        on += cell(g, o, i, 0 if w == 1 else 1) if y == 1 else 0
                    elif y == 1:
                        on += cell(g, o, i, 0)
                    else:
                        rest += cell(g, o, i, 0 if kind == "charge" else 1)
                exact = (gain[0][k] * 2 * on + gain[1][k] * 2 * rest) / 2 ** (GAIN_BITS + table.bits)
                found.append(math.floor(exact * UNIT + 0.5))
    assert errors.flatten().tolist() == found
    assert float(errors.double().std()) > 20


@KINDS
def test_products_and_words_of_each_column_give_the_same(kind: Kind) -> None:
    cells = cells_of(tables_of(kind).cells)
    n_on = (partial_sums(X, WEIGHT).long() + N) >> 1
    wanted = [cells.of_words(x * WEIGHT > 0, WEIGHT) for x in X]
    assert torch.equal(cells.sums(X, WEIGHT, n_on), torch.stack(wanted))
    positions, on = X.reshape(8, 5, GROUPS, N), n_on.reshape(8, 5, GROUPS, CHANNELS)
    assert torch.equal(cells.sums(positions, WEIGHT, on).flatten(0, 1), torch.stack(wanted))


@KINDS
def test_narrow_and_wide_types_give_the_same(kind: Kind) -> None:
    cells = cells_of(tables_of(kind).cells)
    n_on = (partial_sums(X, WEIGHT).long() + N) >> 1
    wanted = cells.sums(X, WEIGHT, n_on)
    for narrow in (torch.bfloat16, torch.float16, torch.float64):
        assert torch.equal(cells.sums(X.to(narrow), WEIGHT.to(narrow), n_on), wanted)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(cells.sums(X, WEIGHT, n_on), wanted)
        threshold = torch.full((GROUPS, CHANNELS), -1.0)
        flat = X.bfloat16().flatten(1), WEIGHT.flatten(1)
        votes = majority_sum(*flat, threshold, layer_errors(chip(tables_of(kind))), Reads(images=IMAGES))
    plain = majority_sum(X.flatten(1), flat[1], threshold, layer_errors(chip(tables_of(kind))), Reads(images=IMAGES))
    assert torch.equal(votes, plain)


def test_no_sum_of_cells_leaves_the_integers_of_single_precision() -> None:
    quantiles = np.linspace(-3.0, 3.0, 256)
    for n in (16, 64, 1024):
        table = cell_table(lut_of("single", n=n, cell_q=quantiles))
        assert int(table.quantiles.abs().max()) <= CELL_REACH
        assert 2 * int(table.quantiles.abs().max()) > CELL_REACH
        assert n * int(table.quantiles.abs().max()) < 2**24
        assert np.abs(table.quantiles.numpy() / 2.0**table.bits - quantiles).max() <= 2.0 ** -(table.bits + 1)
    with pytest.raises(InputError, match="a cell whose current errs by 3e"):
        cell_table(lut_of("single", cell_q=1000 * quantiles))


# --- networks ---


def test_made_up_tables_hold_cells() -> None:
    """The tests of other files that go through all noise models see cells that err."""
    made: dict[str, Any] = {"model": "cell", "number": 0}
    assert errors_of(VirtualChip(tables=only(make_tables(n_used=N), "cells"), **made)).any()


@KINDS
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("shape", [(200, GROUPS, N), (3, 5, GROUPS, N), (1, GROUPS, N), (0, GROUPS, N)], ids=str)
def test_the_loop_gives_what_the_definition_gives(kind: Kind, threads: int, shape: tuple[int, ...]) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    x, reads = random_signs(*shape, seed=4), Reads(images=torch.arange(shape[0]) * 70_001 + 5, read=3)
    for channels in (1, 15, 16, 40):
        weight = random_signs(channels, GROUPS, N, seed=5)
        for comparators in (1, 7):
            errors = chip(tables_of(kind)).layer(2, groups=GROUPS, channels=channels, comparators=comparators)
            mac = partial_sums(x, weight)
            found = noisy_sums(mac, x, errors, reads, weight, fused=True)
            assert found.dtype == torch.int32
            assert torch.equal(found, noisy_sums(mac, x, errors, reads, weight))
    torch.set_num_threads(before)
