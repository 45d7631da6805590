"""Virtual chips: what lasts on a chip, what is fresh on a read, what two chips share."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import make_tables, only, unit_gains
from torch import Tensor

from prcim.bnn.column_sum import noisy_sums, partial_sums
from prcim.bnn.noise import LASTING, NOISE_MODELS, Half, NoiseModel, Reads, VirtualChip
from prcim.bnn.tables import UNIT, IntegerTables

LAWS = settings(derandomize=True, deadline=None, max_examples=25)
N = 16
TABLES = make_tables(n_used=N, columns=12, dies=6)
NOISY: tuple[NoiseModel, ...] = ("gaussian", "iid", "column")
HALVES: tuple[Half, ...] = ("train", "evaluate")


def random_signs(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(seed)) * 2.0 - 1


def errors_of(chip: VirtualChip, x: Tensor, weight: Tensor, images: Tensor, *, read: int = 0, layer: int = 0) -> Tensor:
    """Errors of x (B, G, n) and weight (O, G, n), shape (B, G, O)."""
    mac = partial_sums(x, weight)
    errors = chip.layer(layer, groups=x.shape[1], channels=len(weight))
    return noisy_sums(mac, x, errors, Reads(images=images, read=read), weight) - UNIT * mac.to(torch.int32)


def chip(
    model: NoiseModel = "column", *, tables: IntegerTables = TABLES, number: int = 3, seed: int = 0
) -> VirtualChip:
    return VirtualChip(tables=tables, model=model, number=number, seed=seed)


X, WEIGHT, IMAGES = random_signs(40, 3, N), random_signs(11, 3, N, seed=1), torch.arange(100, 140)


# --- the same chip ---


@pytest.mark.parametrize("model", NOISE_MODELS)
def test_errors_of_an_image_do_not_depend_on_its_company(model: NoiseModel) -> None:
    wanted = errors_of(chip(model), X, WEIGHT, IMAGES)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(2))
    assert torch.equal(errors_of(chip(model), X[order], WEIGHT, IMAGES[order]), wanted[order])
    for size in (1, 7):
        parts = zip(X.split(size), IMAGES.split(size), strict=True)
        assert torch.equal(torch.cat([errors_of(chip(model), x, WEIGHT, i) for x, i in parts]), wanted)
    assert torch.equal(errors_of(chip(model), X[5:9], WEIGHT, IMAGES[5:9]), wanted[5:9])


@LAWS
@given(groups=st.integers(1, 3), channels=st.integers(1, 20), batch=st.integers(1, 6), seed=st.integers(0, 99))
def test_error_of_a_column_is_put_together_as_the_model_says(groups: int, channels: int, batch: int, seed: int) -> None:
    """Bank, die, residual and read noise at K, and offset, each with the die's gain and on its own, then added."""
    x, weight = random_signs(batch, groups, N, seed=seed), random_signs(channels, groups, N, seed=seed + 1)
    images = torch.arange(batch)
    whole = errors_of(chip(), x, weight, images)
    names = ("bank", "chips", "residual", "read", "offset")
    parts = [errors_of(chip(tables=only(TABLES, name)), x, weight, images) for name in names]
    assert torch.equal(whole, torch.stack(parts).sum(0).to(torch.int32))


def test_lasting_error_is_one_curve_a_column_and_one_a_die() -> None:
    tables = only(TABLES, "bank", "chips")
    mac = partial_sums(X, WEIGHT).long()
    n_on = (mac + N) // 2
    made = chip(tables=tables)
    errors = errors_of(made, X, WEIGHT, IMAGES)
    curves = (tables.bank.double() * tables.cell_gain[made.die]).round() + tables.chips[made.die]
    for group in range(3):
        for channel in range(11):
            k, found = n_on[:, group, channel], errors[:, group, channel]
            assert bool((curves[:, k] == found).all(-1).any())


def test_column_that_sees_equal_inputs_errs_equally() -> None:
    tables = only(TABLES, "bank", "chips", "residual", "offset")
    same = X[:1].expand(40, -1, -1)
    errors = errors_of(chip(tables=tables), same, WEIGHT, IMAGES)
    assert bool((errors == errors[:1]).all())
    other = errors_of(chip(tables=tables, number=4), same, WEIGHT, IMAGES)
    assert float((errors != other).double().mean()) > 0.9
    # Another group's inputs are no business of a column.
    mixed = X.clone()
    mixed[:, 0] = X[0, 0]
    errors = errors_of(chip(tables=tables), mixed, WEIGHT, IMAGES)
    assert bool((errors[:, 0] == errors[:1, 0]).all())
    assert float((errors[:, 1:] != errors[:1, 1:]).double().mean()) > 0.5


def test_lasting_errors_stay_when_weights_flip() -> None:
    bank = TABLES.bank[:, :1].expand(-1, N + 1)
    flat = dataclasses.replace(only(TABLES, "offset"), bank=bank, residual=TABLES.residual[:1].expand(N + 1, -1))
    before = errors_of(chip(tables=flat), X, WEIGHT, IMAGES)
    assert torch.equal(errors_of(chip(tables=flat), X, -WEIGHT, IMAGES), before)
    assert torch.equal(errors_of(chip(tables=flat), X, random_signs(11, 3, N, seed=9), IMAGES), before)
    assert float(before.double().std()) > UNIT


# --- reads ---


@pytest.mark.parametrize("model", NOISY)
def test_every_read_is_fresh(model: NoiseModel) -> None:
    tables = only(TABLES, "read", "total", "gauss")
    same = X[:1].expand(40, -1, -1)
    errors = errors_of(chip(model, tables=tables), same, WEIGHT, IMAGES)
    assert torch.equal(errors_of(chip(model, tables=tables), same, WEIGHT, IMAGES), errors)
    again = errors_of(chip(model, tables=tables), same, WEIGHT, IMAGES, read=1)
    assert float((errors != again).double().mean()) > 0.9
    assert float((errors[:1] != errors[1:]).double().mean()) > 0.9


@pytest.mark.parametrize("model", NOISY)
def test_positions_are_reads_of_their_own_and_share_what_lasts(model: NoiseModel) -> None:
    n_on = torch.randint(0, N + 1, (40, 3, 11), generator=torch.Generator().manual_seed(0))
    for tables, shares in ((only(TABLES, "read", "total", "gauss"), 0.0), (only(TABLES, "bank", "residual"), 1.0)):
        layer = chip(model, tables=tables).layer(0, groups=3, channels=11)
        here, there = (layer(n_on, X, Reads(images=IMAGES), position=p) for p in (0, 1))
        assert float((here == there).double().mean()) == pytest.approx(shares, abs=0.1)


# --- other chips, layers, worlds, halves ---


@pytest.mark.parametrize("name", ["bank", "residual", "read", "offset"])
def test_chips_layers_and_seeds_do_not_share_draws(name: str) -> None:
    tables = only(TABLES, name)
    first = errors_of(chip(tables=tables), X, WEIGHT, IMAGES)
    others = [
        errors_of(chip(tables=tables, number=4), X, WEIGHT, IMAGES),
        errors_of(chip(tables=tables, seed=1), X, WEIGHT, IMAGES),
        errors_of(chip(tables=tables), X, WEIGHT, IMAGES, layer=1),
    ]
    for other in others:
        # A half of the bank has six curves, so a column finds its own again in one of six cases.
        assert float((first != other).double().mean()) > 0.6


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize(("columns", "dies"), [(12, 6), (13, 7), (2, 2)])
def test_a_chip_is_made_of_its_half_of_the_table(half: Half, columns: int, dies: int) -> None:
    """The tables' values are their own numbers, so that an error tells what it was made of."""
    bank = torch.arange(columns, dtype=torch.int32)[:, None].expand(-1, N + 1)
    chips = 1000 * torch.arange(dies, dtype=torch.int32)[:, None].expand(-1, N + 1)
    plain = unit_gains(only(make_tables(n_used=N, columns=columns, dies=dies)))
    tables = dataclasses.replace(plain, bank=bank, chips=chips)
    curves, drawn = set(), set()
    for number in range(40):
        made = VirtualChip(tables=tables, model="column", number=number, half=half)
        errors = errors_of(made, X[:1], WEIGHT, IMAGES[:1])
        curves |= set((errors % 1000).flatten().tolist())
        (die,) = set((errors // 1000).flatten().tolist())
        assert die == made.die
        drawn.add(die)
    first = slice(None, columns // 2), slice(None, dies // 2)
    second = slice(columns // 2, None), slice(dies // 2, None)
    of_bank, of_dies = first if half == "train" else second
    assert curves == set(range(columns)[of_bank])
    assert drawn == set(range(dies)[of_dies])


@pytest.mark.parametrize("half", HALVES)
def test_mean_error_is_that_of_the_half(half: Half) -> None:
    made = VirtualChip(tables=TABLES, model="mean", number=0, half=half)
    bank, dies = (TABLES.bank[:6], TABLES.chips[:3]) if half == "train" else (TABLES.bank[6:], TABLES.chips[3:])
    n_on = ((partial_sums(X, WEIGHT) + N) / 2).long()
    wanted = (bank.double().mean(0) + dies.double().mean(0))[n_on]
    assert float((errors_of(made, X, WEIGHT, IMAGES) - wanted).abs().max()) <= 0.5


@pytest.mark.parametrize("name", ["residual", "read", "offset"])
def test_a_chip_that_judges_shares_no_draw_with_one_that_trained(name: str) -> None:
    halves = [VirtualChip(tables=only(TABLES, name), model="column", number=3, half=half) for half in HALVES]
    first, second = (errors_of(made, X, WEIGHT, IMAGES) for made in halves)
    assert float((first != second).double().mean()) > 0.9


# --- dies ---


FAR = (0.4, 0.55, 0.8, 1.3, 1.9, 2.7)
ONES = (1.0,) * 6


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize(
    ("volt", "cell"), [(FAR, ONES), (ONES, FAR), (FAR, FAR[::-1])], ids=["replica", "ideal", "both"]
)
def test_each_error_is_scaled_by_its_gain_and_rounded_on_its_own(
    half: Half, volt: tuple[float, ...], cell: tuple[float, ...]
) -> None:
    """Cells' errors count cell_gain as much, volts 1 / volt_gain, the die's own curve as it stands."""
    tables = dataclasses.replace(TABLES, volt_gain=volt, cell_gain=cell)

    def errors(of: IntegerTables, number: int) -> Tensor:
        return errors_of(VirtualChip(tables=of, model="column", number=number, half=half), X, WEIGHT, IMAGES)

    dies = []
    for number in range(3):
        die = VirtualChip(tables=tables, model="column", number=number, half=half).die
        gains = {"bank": cell[die], "residual": cell[die], "chips": 1.0, "read": 1 / volt[die], "offset": 1 / volt[die]}
        parts = {name: errors(only(tables, name), number) for name in gains}
        for name, gain in gains.items():
            plain = errors(unit_gains(only(tables, name)), number)
            assert name == "chips" or float(plain.double().std()) > 5
            # To the nearest integer, whichever at a tie.
            assert float((parts[name] - plain.double() * gain).abs().max()) <= 0.5 + 1e-9, name
        assert torch.equal(errors(tables, number), torch.stack(list(parts.values())).sum(0).to(torch.int32))
        dies.append(die)
    assert sorted(dies) == ([0, 1, 2] if half == "train" else [3, 4, 5])


def test_models_without_columns_know_no_gain() -> None:
    far = dataclasses.replace(TABLES, volt_gain=FAR, cell_gain=FAR)
    for model in NOISE_MODELS:
        if model in LASTING:
            continue
        assert torch.equal(
            errors_of(chip(model, tables=far), X, WEIGHT, IMAGES), errors_of(chip(model), X, WEIGHT, IMAGES)
        )


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("dies", [2, 7, 32])
def test_successive_chips_go_through_all_dies_of_the_half_before_one_comes_again(half: Half, dies: int) -> None:
    tables = make_tables(n_used=N, dies=dies)
    its_own = set(range(dies)[: dies // 2] if half == "train" else range(dies)[dies // 2 :])
    for turn in range(10):
        numbers = range(turn * len(its_own), (turn + 1) * len(its_own))
        drawn = [VirtualChip(tables=tables, model="column", number=number, half=half).die for number in numbers]
        assert len(drawn) == len(its_own)
        assert set(drawn) == its_own


def test_every_round_seed_and_half_has_an_order_of_its_own() -> None:
    """Of 16! orders no two of these are the same but once in 10^10 times."""
    tables = make_tables(n_used=N, dies=32)

    def order(turn: int, seed: int, half: Half) -> tuple[int, ...]:
        first = 0 if half == "train" else 16
        chips = range(16 * turn, 16 * (turn + 1))
        made = [VirtualChip(tables=tables, model="column", number=number, seed=seed, half=half) for number in chips]
        return tuple(chip.die - first for chip in made)

    streams = [(turn, seed, half) for turn in range(10) for seed in range(5) for half in HALVES]
    orders = {order(*stream) for stream in streams}
    assert len(orders) == len(streams)
    assert all(sorted(one) == list(range(16)) for one in orders)
    assert tuple(range(16)) not in orders
