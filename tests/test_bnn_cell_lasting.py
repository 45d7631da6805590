"""Cells that err on their own: what lasts on a chip, what is fresh, and what chips do not share."""

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
    tables_of,
)
from scipy.stats import chi2
from tables import make_tables, only, unit_gains

from prcim.bnn.annealing import scaled_tables
from prcim.bnn.cell_table import Kind, cell_table
from prcim.bnn.column_moments import EPS, Window, column_moments
from prcim.bnn.column_sum import majority_sum, noisy_sums, partial_sums
from prcim.bnn.keys import cell_draws
from prcim.bnn.noise import Reads, VirtualChip
from prcim.bnn.tables import UNIT, integer_tables
from prcim.cells.readouts.readout import SenseAmplifier
from prcim.errors import InputError


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
