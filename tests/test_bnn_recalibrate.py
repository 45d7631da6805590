"""Trims and norms on the chip: what lasts is taken off, nothing else is touched, labels play no part."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from tables import make_tables, only
from torch import Tensor

from prcim.bnn.column_layers import ColumnLinear
from prcim.bnn.datasets.digits import load_digits
from prcim.bnn.evaluate import evaluate
from prcim.bnn.models.mlp import Mlp, MlpSpec
from prcim.bnn.noise import Reads, VirtualChip
from prcim.bnn.recalibrate import Recalibration, estimated
from prcim.bnn.tables import UNIT, IntegerTables
from prcim.bnn.trim import TrimDac, trimmed
from prcim.cells.readouts.readout import SenseAmplifier
from prcim.errors import InputError

N = 24
FINE = TrimDac(bits=12, reach=64.0)
IMAGES = load_digits()[0].part(slice(0, 200))
HARDWARE: list[dict[str, Any]] = [
    {"readout": "majority"},
    {"readout": "majority", "column_norm": True},
    {"readout": "majority", "thresholds": "bias", "bias_rows": 4},
    {"readout": "adc"},
    {"readout": "adc", "adc_kind": "flash", "adc_bits": 4},
]


def network(**options: Any) -> Mlp:
    """A network with scattered thresholds and the statistics of the images."""
    spec = MlpSpec(inputs=64, classes=10, rows=N, n_used=N, width=48 if "bias_rows" not in options else 40, hidden=2,
                   **options)  # fmt: skip
    made = Mlp(spec, seed=3)
    generator = torch.Generator().manual_seed(1)
    for layer in made.column_layers():
        if hasattr(layer, "threshold"):
            layer.threshold.data.add_(2 * torch.randn(layer.threshold.shape, generator=generator))
    for _ in range(20):
        made(IMAGES.batch(slice(None)))
    return made.eval()


def offsets_alone(size: float = 0.5) -> IntegerTables:
    """Tables in which each column has an offset, the same at every sum, and nothing else errs."""
    tables = only(make_tables(n_used=N, columns=64), "offset")
    return dataclasses.replace(tables, offset=(tables.offset * size).to(torch.int32), volt_gain=(1.0,) * 4)


# --- trim ---


@pytest.mark.parametrize("bits", [2, 5, 12])
def test_trim_leaves_half_a_step_of_an_offset(bits: int) -> None:
    dac = TrimDac(bits=bits, reach=32.0)
    made = network(readout="majority")
    chip = VirtualChip(tables=offsets_alone(), model="column", number=1)
    after = trimmed(made, chip, dac)
    half = dac.reach / 2**bits
    left, before = [], []
    for layer in made.column_layers():
        sizes = {"groups": layer.groups, "channels": layer.outputs}
        before.append(chip.layer(layer.index, **sizes).terms.offsets)
        left.append(after.layer(layer.index, **sizes).terms.offsets)
    assert float(torch.cat(left).abs().max()) <= UNIT * half + 1
    assert float(torch.cat(before).abs().max()) > 10 * UNIT
    if bits == 12:
        x = IMAGES.batch(slice(None))
        with torch.inference_mode():
            assert not torch.equal(made(x, chip, Reads(images=IMAGES.index)), made(x))
            assert torch.equal(made(x, after, Reads(images=IMAGES.index)), made(x))


def test_trim_ends_where_its_range_ends() -> None:
    dac = TrimDac(bits=4, reach=2.0)
    chip = VirtualChip(tables=offsets_alone(8.0), model="column", number=1)
    trims = trimmed(network(readout="majority"), chip, dac).trims[0].double() / UNIT
    assert (float(trims.min()), float(trims.max())) == (-2.0, 1.75)


@pytest.mark.parametrize("options", HARDWARE, ids=str)
def test_trim_is_the_one_with_half_ones_at_the_threshold(options: dict[str, Any]) -> None:
    """What a column errs at its threshold, on the mean of many reads, is gone up to what the test reads leave."""
    made = network(**options)
    tables = make_tables(n_used=N, columns=64)
    chip = VirtualChip(tables=tables, model="column", number=2)
    after = trimmed(made, chip, FINE)
    for layer in made.column_layers():
        n_on = ((layer.decision() + N) / 2).long().clamp(0, N) + torch.arange(2000)[:, None, None] % 2
        words = torch.randint(0, 2, (2000, layer.groups, N), generator=torch.Generator().manual_seed(9)) * 2.0 - 1
        reads = Reads(images=torch.arange(2000), read=7)
        mean = []
        for made_chip in (chip, after):
            count = {"comparators": 15} if options.get("adc_kind") == "flash" else {}
            errors = made_chip.layer(layer.index, groups=layer.groups, channels=layer.outputs, **count)
            found = errors(n_on, words, reads).double()
            if errors.offsets is not None:
                found = found + errors.offsets[7]
            mean.append(found.mean(0) / UNIT)
        spread = float(found.std(0).mean()) / UNIT
        # The median of 64 reads, half of them a sum apart, spreads by some 1.25 / 8 of what a read does.
        assert float(mean[1].std()) < 0.4 * spread
        assert float(mean[0].std()) > 3 * float(mean[1].std())


def test_a_trim_that_is_none_is_refused() -> None:
    for bits, reach in ((0, 1.0), (13, 1.0), (3, 0.0)):
        with pytest.raises(InputError, match=f"a trim of {bits} bits and {reach} in S is none"):
            TrimDac(bits=bits, reach=reach)
    chip = VirtualChip(tables=make_tables(n_used=N), model="iid", number=0)
    with pytest.raises(InputError, match="errors of the model 'iid' do not last, so there is nothing to trim"):
        trimmed(network(readout="majority"), chip, FINE)


# --- norms ---


@pytest.mark.parametrize("options", HARDWARE, ids=str)
def test_without_errors_norms_are_those_of_the_images(options: dict[str, Any]) -> None:
    made = network(**options)
    chip = VirtualChip(tables=make_tables(n_used=N), model="ideal", number=0)
    before = {name: value.clone() for name, value in made.state_dict().items()}
    after = estimated(made, chip, IMAGES)
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())
    assert not after.training
    x = made.first_norm.binarized(made.first(IMAGES.batch(slice(None))))
    for old, new in zip(made.column_layers(), after.column_layers(), strict=True):
        mean, var = new.moments(x, None, None)
        if hasattr(old, "threshold"):
            assert torch.allclose(old.threshold, new.threshold, atol=1e-4)
        elif hasattr(old, "column_norm"):
            assert torch.allclose(new.column_norm.running_mean, mean, atol=1e-4)
            assert torch.allclose(new.column_norm.running_var, var, rtol=1e-4)
        else:
            total = new.sums(x, None, None)
            assert new.norm.running_mean is not None
            assert new.norm.running_var is not None
            assert torch.allclose(new.norm.running_mean, total.mean(0), atol=1e-3)
            assert torch.allclose(new.norm.running_var, total.var(0), rtol=1e-4)
            break  # In training a batch norm divides by another variance than it keeps: the next input differs.
        x = new(x)
    # What no column comes before is no business of a chip.
    assert torch.equal(after.state_dict()["first_norm.running_mean"], before["first_norm.running_mean"])


def test_thresholds_follow_an_offset_that_all_sums_of_a_column_share() -> None:
    made = network(readout="majority", dac_bits=10)
    chip = VirtualChip(tables=offsets_alone(), model="column", number=1)
    after = estimated(made, chip, IMAGES)
    for old, new in zip(made.column_layers(), after.column_layers(), strict=True):
        offset = chip.layer(old.index, groups=old.groups, channels=old.outputs).terms.offsets[0] / UNIT
        if old.index == 0:
            assert torch.allclose(new.threshold, old.threshold + offset, atol=1e-3)
        assert float(offset.abs().max()) > 10
    x, reads = IMAGES.batch(slice(None)), Reads(images=IMAGES.index)
    with torch.inference_mode():
        right = made.columns[0](made.first_norm.binarized(made.first(x)), None, None)
        h = made.first_norm.binarized(made.first(x))
        found = next(after.column_layers())(h, chip, reads)
        without = made.columns[0](h, chip, reads)
    # A threshold is realised on the grid of the DAC, half a step from where it should be at most.
    wrong = float((without != right).double().mean())
    assert wrong > 0.1
    assert float((found != right).double().mean()) < wrong / 3


def test_thresholds_follow_a_spread_that_grows() -> None:
    """Columns whose sums are half as large again: thresholds, mean and spread are so too."""
    made = network(readout="majority", dac_bits=10)
    curve = (32 * (2 * torch.arange(N + 1) - N)).to(torch.int32)
    tables = dataclasses.replace(only(make_tables(n_used=N)), bank=curve.expand(16, -1), cell_gain=(1.0,) * 4)
    after = estimated(made, VirtualChip(tables=tables, model="column", number=1), IMAGES)
    first, second = next(made.column_layers()), next(after.column_layers())
    assert float(first.threshold.detach().abs().max()) > 3
    assert torch.allclose(second.threshold, 1.5 * first.threshold, atol=0.02)


def test_labels_play_no_part() -> None:
    chip = VirtualChip(tables=make_tables(n_used=N), model="column", number=0)
    made = network(readout="adc")
    other = dataclasses.replace(IMAGES, labels=IMAGES.labels.flip(0))
    one, two = (estimated(made, chip, images).state_dict() for images in (IMAGES, other))
    assert all(torch.equal(one[name], two[name]) for name in one)


# --- judging ---


@pytest.mark.parametrize("options", HARDWARE, ids=str)
def test_recalibrated_results_do_not_depend_on_batch_size_jobs_or_order(options: dict[str, Any]) -> None:
    made = network(**options)
    tables = make_tables(n_used=N, columns=64)
    judge = load_digits()[1].part(slice(0, 60))
    how = Recalibration(norms=IMAGES, trim=TrimDac(bits=5, reach=20.0))
    wanted = evaluate(made, judge, tables, "column", [0, 1], recalibration=how)
    assert evaluate(made, judge, tables, "column", [0, 1], recalibration=how, batch_size=7, jobs=2) == wanted
    assert evaluate(made, judge, tables, "column", [1], recalibration=how) == wanted[1:]
    order = torch.randperm(60, generator=torch.Generator().manual_seed(0))
    assert evaluate(made, judge.part(order), tables, "column", [0, 1], recalibration=how) == wanted
    assert evaluate(made, judge, tables, "column", [0, 1]) != wanted


def test_nothing_done_changes_nothing() -> None:
    made, tables = network(readout="adc"), make_tables(n_used=N)
    judge = load_digits()[1].part(slice(0, 60))
    assert evaluate(made, judge, tables, "column", [0], recalibration=Recalibration()) == evaluate(
        made, judge, tables, "column", [0]
    )


def test_decision_of_a_comparator_is_where_its_vote_turns() -> None:
    for options in ({}, {"bias_rows": 3}, {"bias_rows": 3, "thresholds": "bias"}):
        layer = ColumnLinear(
            21 if options else 24, 4, index=0, rows=N, n_used=N, generator=torch.Generator().manual_seed(0),
            readout=MlpSpec(inputs=1, classes=1, rows=N, n_used=N).make_readout(), **options,
        )  # fmt: skip
        layer.threshold.data.copy_(4 * torch.randn(1, 4, generator=torch.Generator().manual_seed(1)))
        x = torch.where(
            torch.arange(layer.weight.shape[1]) < torch.arange(layer.weight.shape[1] + 1)[:, None], 1.0, -1.0
        )
        layer.weight.data.fill_(1.0)
        total = np.arange(-layer.weight.shape[1], layer.weight.shape[1] + 1, 2)[:, None]
        # Constant cells, added up.
        shift = -1 - layer.realised().detach().numpy() if layer.by_bias else layer.cut.bias % 2
        votes: Tensor = layer(x)
        assert np.array_equal(votes.detach().numpy() > 0, total + shift >= layer.decision().detach().numpy())


def test_amplifiers_decide_how_much_a_trim_takes_off() -> None:
    """The offset lasts: with a wider pair there is less to trim."""
    sizes = []
    for w_m in (0.25e-6, 4e-6):
        tables = only(make_tables(n_used=N, amplifier=SenseAmplifier(w_m=w_m)), "offset")
        chip = VirtualChip(tables=tables, model="column", number=1)
        sizes.append(float(trimmed(network(readout="majority"), chip, FINE).trims[0].double().std()))
    assert sizes[0] == pytest.approx(4 * sizes[1], rel=0.05)
