"""Cells that err on their own: which cell acts, what lasts, what reaches a sum, in integers and against the table."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import chi2, norm
from scipy.stats import f as fisher
from tables import make_lut, make_tables, only, unit_gains
from torch import Tensor

from prcim.bnn.annealing import scaled_tables
from prcim.bnn.cell_errors import CellErrors
from prcim.bnn.cell_table import CELL_REACH, GAIN_BITS, CellTable, Kind, cell_table
from prcim.bnn.column_moments import EPS, Window, column_moments
from prcim.bnn.column_sum import majority_sum, noisy_sums, partial_sums
from prcim.bnn.keys import Purpose, cell_draws
from prcim.bnn.noise import Half, LayerErrors, Reads, VirtualChip
from prcim.bnn.philox import philox
from prcim.bnn.tables import UNIT, IntegerTables, integer_tables
from prcim.cells.readouts.readout import SenseAmplifier
from prcim.characterize.lut.error_lut import ErrorLUT
from prcim.characterize.lut.file import open_lut
from prcim.errors import InputError

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


# --- what lasts ---


@KINDS
def test_equal_inputs_give_equal_errors(kind: Kind) -> None:
    tables = only(tables_of(kind), "bank", "chips", "residual", "offset", "cells")
    same = X[:1].expand(40, -1, -1)
    errors = errors_of(chip(tables), same)
    assert bool((errors == errors[:1]).all())
    assert float((errors_of(chip(tables, number=4), same) != errors).double().mean()) > 0.9
    # Another group's inputs are no business of a column.
    mixed = X.clone()
    mixed[:, 0] = X[0, 0]
    errors = errors_of(chip(tables), mixed)
    assert bool((errors[:, 0] == errors[:1, 0]).all())
    assert float((errors[:, 1:] != errors[:1, 1:]).double().mean()) > 0.5


@KINDS
def test_reads_are_fresh(kind: Kind) -> None:
    made = chip(only(tables_of(kind), "read"))
    same = X[:1].expand(40, -1, -1)
    errors = errors_of(made, same)
    assert float((errors[:1] != errors[1:]).double().mean()) > 0.9
    assert float((errors != errors_of(made, same, read=1)).double().mean()) > 0.9
    assert torch.equal(errors, errors_of(made, same))


@KINDS
def test_a_weight_that_flips_meets_another_cell_and_comes_back_to_its_own(kind: Kind) -> None:
    made = chip(only(tables_of(kind), "cells"))
    before = errors_of(made)
    flipped = WEIGHT.clone()
    flipped[4, 1, 5] *= -1
    after = errors_of(made, weight=flipped)
    assert torch.equal(errors_of(made, weight=WEIGHT.clone()), before)
    changed = (before != after).any(0)
    assert changed.nonzero().tolist() == [[1, 4]]
    # A column whose weights and inputs all flip has the same products, which choose the side on two lines; on one the
    # weights choose the twin, and all are others.
    turned = errors_of(made, -X, -WEIGHT)
    assert torch.equal(turned, before) == (kind != "single")
    if kind == "single":
        assert float((turned != before).double().mean()) > 0.8


@KINDS
def test_no_twin_acts_for_both_signs_of_a_weight(kind: Kind) -> None:
    """On one line a cell at rest adds nothing, whatever its twin errs by; on two lines both sides of a pair act."""
    cells = cells_of(tables_of(kind).cells)
    word = X[0] * WEIGHT > 0
    whole = cells.of_words(word, torch.ones_like(WEIGHT))
    cells.twins(WEIGHT.device)[1] = 0
    assert torch.equal(cells.of_words(word, torch.ones_like(WEIGHT)), whole) == (kind != "differential")
    assert bool(cells.of_words(word, -torch.ones_like(WEIGHT)).any()) == (kind != "single")


def test_images_do_not_depend_on_their_company() -> None:
    made = chip(tables_of("single"))
    wanted = errors_of(made)
    errors = layer_errors(made)
    for size in (1, 7):
        for part, images in zip(X.split(size), IMAGES.split(size), strict=True):
            mac = partial_sums(part, WEIGHT)
            found = noisy_sums(mac, part, errors, Reads(images=images), WEIGHT) - UNIT * mac.int()
            assert torch.equal(found, wanted[images - 100])


def test_chips_layers_seeds_and_halves_do_not_share_cells() -> None:
    tables = unit_gains(only(tables_of("single"), "cells"))
    first = errors_of(chip(tables))
    others = (chip(tables, number=4), chip(tables, seed=1), chip(tables, half="train"))
    for other in (*map(errors_of, others), errors_of(chip(tables), layer=1)):
        assert float((first != other).double().mean()) > 0.9
    made = chip(tables)
    assert torch.equal(errors_of(made), first)
    assert float((errors_of(made, layer=1) != first).double().mean()) > 0.9


def test_draws_are_one_for_each_cell() -> None:
    draws = cell_draws((1, 2), groups=4, channels=21, rows=50)
    assert draws.shape == (2, 21, 4, 50)
    # Any two lines of 50 draws are alike once in 10^120 times.
    for axis in range(3):
        lines = draws.movedim(axis, 0).flatten(1)
        assert len(lines.unique(dim=0)) == len(lines)
    # A chi-square of 255 degrees of freedom is in there but once in 10^6 times.
    counts = torch.bincount(draws.flatten(), minlength=256)
    square = float((counts - draws.numel() / 256).square().sum() / (draws.numel() / 256))
    assert chi2.ppf(0.5e-6, 255) < square < chi2.isf(0.5e-6, 255)
    assert torch.equal(cell_draws((1, 2), groups=4, channels=16, rows=9)[:, :, 0], draws[:, :16, 0, :9])


def test_zero_quantiles_are_no_errors() -> None:
    for tables in (
        only(tables_of("single")),
        only(integer_tables(lut_of("differential", cell_q=np.zeros(256)), SenseAmplifier())),
    ):
        assert not errors_of(chip(tables)).any()
    silent = lut_of("single", v_col=np.zeros(N + 1), v_res=np.zeros(N + 1))
    assert not cell_table(silent).gain.any()


@KINDS
def test_mean_curve_die_and_comparator_are_as_with_columns(kind: Kind) -> None:
    """Without cells and read noise: the mean of the half's bank at the die's gain, the die's curve, the offset."""
    tables = tables_of(kind)
    for half, columns in (("train", slice(0, 6)), ("evaluate", slice(6, 12))):
        made = chip(only(tables, "bank", "chips"), half=half)  # type: ignore[arg-type]
        curve = (tables.bank[columns].double().mean(0) * tables.cell_gain[made.die]).round() + tables.chips[made.die]
        n_on = (partial_sums(X, WEIGHT).long() + N) >> 1
        assert torch.equal(errors_of(made), curve[n_on].int())
    columns_too = VirtualChip(tables=only(tables, "offset"), model="column", number=3)
    assert torch.equal(errors_of(chip(only(tables, "offset"))), errors_of(columns_too))
    assert errors_of(columns_too).any()


@KINDS
def test_cells_of_a_die_count_its_gain(kind: Kind) -> None:
    tables = only(tables_of(kind), "cells")
    made = chip(tables)
    plain = errors_of(chip(unit_gains(tables)))
    assert tables.cell_gain[made.die] != 1
    # Each is rounded once, and gains in units of 2^-16 are, too.
    assert float((errors_of(made) - plain.double() * tables.cell_gain[made.die]).abs().max()) < 1.02
    half = errors_of(chip(scaled_tables(unit_gains(tables), 0.5)))
    assert float((half - plain.double() / 2).abs().max()) < 0.77


def test_errors_of_other_columns_are_refused() -> None:
    reads, threshold = Reads(images=IMAGES), torch.full((GROUPS, CHANNELS), -1.0)
    for errors in (layer_errors(chip(tables_of("single")), channels=12), layer_errors(chip(make_tables(n_used=8)))):
        with pytest.raises(InputError, match=r"columns of \(11, 3, 16\) outputs, groups and rows, but errors"):
            majority_sum(X.flatten(1), WEIGHT.flatten(1), threshold, errors, reads)


def test_weights_must_be_given() -> None:
    with pytest.raises(TypeError, match="errors of single cells need the weights"):
        noisy_sums(partial_sums(X, WEIGHT), X, layer_errors(chip(tables_of("single"))), Reads(images=IMAGES))


def test_moments_are_those_of_the_sums() -> None:
    errors, reads = layer_errors(chip(tables_of("single"))), Reads(images=IMAGES)
    mean, var = column_moments(X.flatten(1), WEIGHT.flatten(1), errors, reads, Window(groups=GROUPS))
    sums = noisy_sums(partial_sums(X, WEIGHT), X, errors, reads, WEIGHT).double() / UNIT
    assert torch.allclose(mean.double(), sums.mean(0), atol=1e-4)
    assert torch.allclose(var.double(), sums.var(0, unbiased=False) + EPS, rtol=1e-4)


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
