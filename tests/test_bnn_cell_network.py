"""Networks on columns whose cells err on their own: judged, trimmed, with norms of the chip, trained."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from tables import make_lut, make_tables, only
from torch import Tensor

from prcim.bnn.column_layers import ColumnLayer
from prcim.bnn.datasets.digits import load_digits
from prcim.bnn.evaluate import evaluate
from prcim.bnn.models.convnet import ConvNetSpec
from prcim.bnn.models.mlp import Mlp, MlpSpec
from prcim.bnn.noise import LASTING, LayerErrors, Reads, VirtualChip
from prcim.bnn.recalibrate import Recalibration
from prcim.bnn.recipe import Recipe
from prcim.bnn.registry import named_model
from prcim.bnn.tables import UNIT, IntegerTables, integer_tables
from prcim.bnn.train import train
from prcim.bnn.trim import TrimDac, trimmed
from prcim.cells.readouts.readout import SenseAmplifier

N = 24
FINE = TrimDac(bits=12, reach=64.0)
IMAGES = load_digits()[0].part(slice(0, 200))
HARDWARE: list[dict[str, Any]] = [
    {"readout": "majority"},
    {"readout": "majority", "column_norm": True},
    {"readout": "majority", "bias_rows": 3},
    {"readout": "majority", "thresholds": "bias", "bias_rows": 4},
    {"readout": "adc"},
    {"readout": "adc", "adc_kind": "flash", "adc_bits": 4},
]


def network(**options: Any) -> Mlp:
    """A network with scattered thresholds and the statistics of the images."""
    width = {None: 48, 3: 42, 4: 40}[options.get("bias_rows")]
    made = Mlp(MlpSpec(inputs=64, classes=10, rows=N, n_used=N, width=width, hidden=2, **options), seed=3)
    generator = torch.Generator().manual_seed(1)
    for layer in made.column_layers():
        if hasattr(layer, "threshold"):
            layer.threshold.data.add_(2 * torch.randn(layer.threshold.shape, generator=generator))
    for _ in range(20):
        made(IMAGES.batch(slice(None)))
    return made.eval()


def tables(lines: int = 1) -> IntegerTables:
    lut = make_lut(rows=N, columns=64)
    return integer_tables(dataclasses.replace(lut, meta={**lut.meta, "bit_lines": lines}), SenseAmplifier())


@pytest.mark.parametrize("options", HARDWARE, ids=str)
def test_results_do_not_depend_on_batch_size_jobs_or_order(options: dict[str, Any]) -> None:
    made, judge = network(**options), load_digits()[1].part(slice(0, 60))
    order = torch.randperm(60, generator=torch.Generator().manual_seed(0))
    for how in (None, Recalibration(norms=IMAGES, trim=TrimDac(bits=5, reach=20.0))):
        wanted = evaluate(made, judge, tables(), "cell", [0, 1], recalibration=how)
        assert wanted[0].predictions_sha256 != wanted[1].predictions_sha256
        assert evaluate(made, judge, tables(), "cell", [0, 1], recalibration=how, batch_size=7, jobs=2) == wanted
        assert evaluate(made, judge, tables(), "cell", [1], recalibration=how) == wanted[1:]
        assert evaluate(made, judge.part(order), tables(), "cell", [0, 1], recalibration=how) == wanted


def error_at(layer: ColumnLayer, errors: LayerErrors, words: int) -> Tensor:
    """Mean error of each column over words with sums just below and above its threshold, in S, (G, O)."""
    assert errors.cells is not None
    weight, count = layer.stored(), layer.cut.weights
    generator, total = torch.Generator().manual_seed(77), torch.zeros(layer.groups, layer.outputs)
    for number in range(words):
        wanted = ((layer.decision() + layer.n_used) / 2).long() + number % 2
        # Constant cells have an input of +1, whatever the word.
        left = (wanted.t() - (weight[..., count:] > 0).sum(-1)).clamp(0, count)
        rank = torch.rand(layer.groups, count, generator=generator).argsort(-1)
        on = torch.cat([rank < left[..., None], weight[..., count:] > 0], -1)
        reads = Reads(images=torch.tensor([number]), read=7)
        found = errors(on.sum(-1).t()[None], torch.ones(1, layer.groups, layer.n_used), reads)[0]
        found = found + errors.cells.of_words(on, weight)
        if errors.offsets is not None:
            found = found + errors.offsets[7]
        total += found / UNIT / words
    return total


@pytest.mark.parametrize(
    ("options", "lines"), [(options, 1) for options in HARDWARE] + [(HARDWARE[0], 2), (HARDWARE[3], 2)], ids=str
)
@torch.no_grad()
def test_trim_takes_off_what_lasts_at_the_threshold(options: dict[str, Any], lines: int) -> None:
    # Without comparators' offsets, which would be most of it.
    without = only(tables(lines), "bank", "chips", "cells", "read")
    made, chip = network(**options), VirtualChip(tables=without, model="cell", number=2)
    after = trimmed(made, chip, FINE)
    sizes = {"comparators": 15} if options.get("adc_kind") == "flash" else {}
    for layer in made.column_layers():
        before, left = (
            error_at(layer, some.layer(layer.index, groups=layer.groups, channels=layer.outputs, **sizes), 128)
            for some in (chip, after)
        )
        # The median of 64 reads whose errors spread by about as much as what lasts, a sum apart, leaves a quarter.
        assert float(left.std()) < 0.4 * float(before.std())


def test_without_errors_of_cells_trims_are_those_of_columns() -> None:
    made, plain = network(readout="majority"), only(make_tables(n_used=N), "offset", "read")
    cell, column = (
        trimmed(made, VirtualChip(tables=plain, model=model, number=1), FINE).trims for model in ("cell", "column")
    )
    assert all(torch.equal(cell[index], column[index]) for index in column)
    assert LASTING == ("column", "cell")


@pytest.mark.parametrize("options", [HARDWARE[0], HARDWARE[1], HARDWARE[4]], ids=str)
def test_a_network_trains_with_cells(options: dict[str, Any], tmp_path: Path) -> None:
    made = network(**options)
    before = [layer.weight.detach().clone() for layer in made.column_layers()]
    recipe = Recipe(noise="cell", epochs=1, batch_size=50, learning_rate=0.05, chips_per_batch=2, anneal=1.0)
    train(
        made, IMAGES, tables(2), recipe, identity="cells", state=tmp_path / "a.state", log=tmp_path / "log.csv"
    )  # fmt: skip
    for layer, old in zip(made.column_layers(), before, strict=True):
        assert float((layer.weight.sign() != old.sign()).double().mean()) > 0.01


def test_a_convolution_sees_its_cells() -> None:
    """The same cells at every position, other ones on another chip; gradients are there."""
    spec = ConvNetSpec.for_images((1, 8, 8), classes=10, rows=64, n_used=64, factor=0.25, bias_rows=0)
    made = named_model("convnet").build(spec)
    pixels = torch.randint(-255, 256, (20, 64), generator=torch.Generator().manual_seed(0)).float()
    reads, answers = Reads(images=torch.arange(20)), []
    for number in (1, 1, 2):
        chip = VirtualChip(tables=make_tables(), model="cell", number=number)
        answers.append(made.train()(pixels, chip, reads))
    assert torch.equal(answers[0], answers[1])
    assert not torch.equal(answers[0], answers[2])
    torch.autograd.backward(answers[2].square().sum())
    assert all(layer.weight.grad is not None and bool(layer.weight.grad.any()) for layer in made.column_layers())
