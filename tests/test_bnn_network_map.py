"""What a network takes on columns, counted again from the columns that its layers have."""

import json

import numpy as np
import pytest
import torch
from scipy.stats import binom
from tables import make_lut

from prcim.bnn.column_layers import ColumnLayer
from prcim.bnn.mapping import LayerShape
from prcim.bnn.network_map import map_network
from prcim.bnn.noise import Reads, VirtualChip
from prcim.bnn.registry import DATASETS, MODELS
from prcim.bnn.tables import integer_tables
from prcim.characterize.lut.file import open_lut
from prcim.cli.main import status
from prcim.errors import InputError


@pytest.mark.parametrize("model", MODELS)
def test_counts_are_those_of_the_network_itself(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns are counted where errors are drawn, reads where they are looked up."""
    size = (3, 8, 8) if model in ("vgg9", "resnet18") else (1, 8, 8)
    lut = make_lut(rows=24)
    entry = MODELS[model]
    spec = entry.spec.for_images(size, classes=10, rows=24, n_used=24, factor=0.125, bias_rows=3)
    network = entry.build(spec).eval()
    found = map_network(spec.layers(), rows=24, bias_rows=3, lut=lut)
    on_columns = [layer for layer in found.layers if not layer.digital]
    columns, reads = [], []

    def note(module: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        assert isinstance(module, ColumnLayer)
        places = given[0].shape[2] // module.stride if given[0].dim() == 4 else 1
        columns.append(module.groups * module.outputs)
        reads.append(columns[-1] * places**2)
        assert (module.cut.weights, module.cut.bias) == (
            on_columns[module.index].weights,
            on_columns[module.index].bias_cells,
        )

    for layer in network.column_layers():
        layer.register_forward_pre_hook(note)
    chip = VirtualChip(tables=integer_tables(lut, spec.make_readout().amplifier), model="column", number=0)
    with torch.inference_mode():
        network(torch.ones(1, 64 * size[0]), chip, Reads(images=torch.arange(1)))
    assert [layer.columns for layer in on_columns] == columns
    assert [layer.reads for layer in on_columns] == reads
    assert found.as_json()["total"]["reads"] == sum(reads)
    assert {layer.rows_used for layer in on_columns} == {24}
    share = binom.pmf((24 + lut.mac) / 2, 24, 0.5)
    energy_j = (share * lut.energy_j).sum() / share.sum()
    assert np.isclose(found.as_json()["total"]["energy_j"], energy_j * sum(reads))


def test_each_further_decision_of_a_converter_takes_its_energy() -> None:
    layers = [LayerShape(name="a", inputs=128, outputs=10)]
    lut = open_lut("package:8t-64")
    energies = [
        map_network(layers, rows=64, lut=lut, decisions=count).as_json()["total"]["energy_j"] for count in (1, 2, 5)
    ]
    assert np.allclose(np.diff(energies), np.array([1, 3]) * 20 * lut.meta["decision_j"])
    with pytest.raises(InputError, match="does not say what a decision of its comparator takes, and a read has 5"):
        map_network(layers, rows=64, lut=make_lut(), decisions=5)


def test_arrays_hold_columns_of_one_group() -> None:
    layers = [LayerShape(name="a", inputs=256, outputs=100), LayerShape(name="b", inputs=9, outputs=4, digital=True)]
    for wide, arrays in ((None, 4 * 2), (100, 4), (33, 16)):
        found = map_network(layers, rows=64, array_columns=wide)
        assert found.layers[0].arrays == arrays
        assert found.layers[1].columns == found.layers[1].arrays == found.layers[1].reads == 0
        assert found.as_json()["total"]["energy_j"] is None


def test_bias_cells_come_on_top_of_the_weights() -> None:
    (layer,) = map_network([LayerShape(name="a", inputs=288, outputs=2)], rows=64, bias_rows=10).layers
    assert (layer.groups, layer.weights, layer.bias_cells, layer.rows_used) == (6, 48, 10, 58)
    (filled,) = map_network(
        [LayerShape(name="a", inputs=288, outputs=2)], rows=64, bias_rows=10, lut=make_lut(rows=64)
    ).layers
    assert (filled.groups, filled.weights, filled.bias_cells, filled.rows_used) == (6, 48, 16, 64)


def test_what_does_not_fit_is_refused() -> None:
    layers = [LayerShape(name="a", inputs=288, outputs=2)]
    with pytest.raises(InputError, match="the table is for 24 rows, not for 64; give --rows 24"):
        map_network(layers, rows=64, lut=make_lut(rows=24))
    with pytest.raises(InputError, match="a with 288 inputs on 64 rows needs columns with 48 used rows"):
        map_network(layers, rows=64, lut=make_lut(rows=64))
    with pytest.raises(InputError, match="64 bias cells leave no row of 64"):
        map_network(layers, rows=64, bias_rows=64)


@pytest.mark.parametrize("model", MODELS)
def test_the_command(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["map", model, "--rows", "128", "--json"]) == 0
    block = json.loads(capsys.readouterr().out)
    assert (block["model"], block["rows"], block["array_columns"]) == (model, 128, 128)
    assert block["image"] == list(DATASETS[MODELS[model].dataset].size)
    assert [layer["digital"] for layer in block["layers"]] == [True] + [False] * (len(block["layers"]) - 2) + [True]
    assert status(["map", model, "--lut", "package:8t-64", "--bias-rows", "4", "--factor", "0.5"]) == 0
    lut = open_lut("package:8t-64")
    text = capsys.readouterr().out
    assert "energy nJ" in text
    assert f"arrays of {lut.rows} rows" in text


def test_the_command_refuses_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        (["map", "alexnet"], "there is no model 'alexnet'; known models are: mlp, convnet, vgg9, resnet18"),
        (["map", "mlp", "--dataset", "letters"], "there is no data set 'letters'"),
        (["map", "vgg9", "--dataset", "digits", "--factor", "0.1"], ""),
        (["map", "vgg9", "--factor", "0.25", "--lut", "package:8t-64"], "conv 2 with 288 inputs on 64 rows needs"),
    ):
        assert status(arguments) == (2 if message else 0)
        assert message in capsys.readouterr().err
