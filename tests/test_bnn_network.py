"""A network on columns against the same network in a few lines of NumPy; the digits it is for."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tables import make_tables, only

from prcim.bnn.datasets.digits import load_digits
from prcim.bnn.layers import BatchNorm
from prcim.bnn.models.mlp import Mlp, MlpSpec
from prcim.bnn.noise import NoiseModel, Reads, VirtualChip
from prcim.cells.readouts.readout import Adc

Floats = NDArray[np.float64]


def network(readout: str, *, width: int = 72, hidden: int = 2) -> Mlp:
    """A network of 24-row columns with scattered weights, thresholds and statistics, some weights exactly zero."""
    spec = MlpSpec(
        inputs=64, classes=10, rows=24, n_used=24, width=width, hidden=hidden, readout=readout, dac_bits=3, adc_bits=3
    )
    made = Mlp(spec, seed=5).eval()
    generator = torch.Generator().manual_seed(1)
    for name, value in made.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        noise = torch.randn(value.shape, generator=generator)
        scale = {"threshold": 4.0, "running_var": 0.3, "running_mean": 6.0}.get(name.rsplit(".", 1)[-1], 0.5)
        value.add_(noise.abs() * scale if name.endswith("running_var") else noise * scale)
        if name.endswith("weight") and value.dim() == 2:
            value[0, ::7] = 0.0
    return made


def binary(x: NDArray[np.floating]) -> NDArray[np.int64]:
    return np.where(x >= 0, 1, -1)


def normalized(norm: BatchNorm, x: NDArray[np.int64]) -> Floats:
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None
    assert var is not None
    gain = norm.weight.detach().double().numpy() / np.sqrt(var.double().numpy() + norm.eps)
    return np.asarray((x - mean.double().numpy()) * gain + norm.bias.detach().double().numpy())


def in_numpy(net: Mlp, pixels: NDArray[np.int64]) -> Floats:
    """Scores, from integers and float64 alone."""
    n = net.spec.n_used
    h = binary(normalized(net.first_norm, pixels @ binary(net.first.weight.detach().numpy()).T))
    for layer in net.columns:
        weight = binary(layer.weight.detach().numpy())
        groups = net.spec.width // n
        cuts = [slice(g * n, (g + 1) * n) for g in range(groups)]
        if isinstance(layer.readout, Adc):
            half, step = 2 ** (layer.readout.bits - 1), layer.readout.step
            numbers = [np.clip((h[:, c] @ weight[:, c].T + 1) // step, -half, half - 1) for c in cuts]
            codes = [number * step + step // 2 - 1 for number in numbers]
            h = binary(normalized(layer.norm, np.sum(codes, axis=0)))
        else:
            low, high = layer.readout.threshold_range(n)
            threshold = np.clip(low + 2 * np.rint((layer.threshold.detach().numpy() - low) / 2), low, high)
            votes = [binary(h[:, c] @ weight[:, c].T - threshold[g]) for g, c in enumerate(cuts)]
            h = binary(np.sum(votes, axis=0))
    return normalized(net.last_norm, h @ binary(net.last.weight.detach().numpy()).T)


@pytest.mark.parametrize("readout", ["majority", "adc"])
def test_network_without_errors_is_integer_arithmetic(readout: str) -> None:
    net = network(readout)
    pixels = np.random.default_rng(0).integers(-8, 9, (300, 64)) * 2
    with torch.inference_mode():
        scores = net(torch.from_numpy(pixels).float()).double().numpy()
    wanted = in_numpy(net, pixels)
    # One bit that differed in a hidden layer would move a score by some 0.1.
    assert np.abs(scores - wanted).max() < 1e-4
    assert len(np.unique(wanted.round(6))) > 100


@pytest.mark.parametrize("readout", ["majority", "adc"])
def test_ideal_chip_and_chip_with_a_zero_table_are_no_chip(readout: str) -> None:
    net = network(readout)
    tables = make_tables(n_used=24)
    x, reads = load_digits()[1].pixels[:50], Reads(images=torch.arange(50))
    with torch.inference_mode():
        wanted = net(x)
        for chip in (
            VirtualChip(tables=tables, model="ideal", number=1),
            VirtualChip(tables=only(tables), model="column", number=1),
            VirtualChip(tables=only(tables), model="iid", number=1),
        ):
            assert torch.equal(net(x, chip, reads), wanted)
        assert not torch.equal(net(x, VirtualChip(tables=tables, model="column", number=1), reads), wanted)


@pytest.mark.parametrize("readout", ["majority", "adc"])
@pytest.mark.parametrize("model", ["ideal", "column", "iid"])
def test_scores_of_an_image_do_not_depend_on_the_batch(readout: str, model: NoiseModel) -> None:
    net = network(readout)
    chip = VirtualChip(tables=make_tables(n_used=24), model=model, number=4)
    x, index = load_digits()[1].pixels[:60], torch.randperm(1797, generator=torch.Generator().manual_seed(0))[:60]
    order = torch.randperm(60, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        wanted = net(x, chip, Reads(images=index))
        alone = torch.cat([net(x[i : i + 1], chip, Reads(images=index[i : i + 1])) for i in range(60)])
        shuffled = net(x[order], chip, Reads(images=index[order]))
    assert torch.equal(alone, wanted)
    assert torch.equal(shuffled, wanted[order])


def test_each_hidden_layer_has_columns_of_its_own() -> None:
    """The same weights as another layer of the network: other columns of the chip, other errors."""
    layers = network("majority", hidden=4).columns
    assert [layer.index for layer in layers] == [0, 1, 2, 3]
    x = torch.randint(0, 2, (100, 72), generator=torch.Generator().manual_seed(0)) * 2.0 - 1
    chip = VirtualChip(tables=make_tables(n_used=24), model="column", number=1)
    for layer in layers:
        layer.load_state_dict(layers[0].state_dict())
    noisy = [layer(x, chip, Reads(images=torch.arange(100))) for layer in layers]
    clean = [layer(x, None, None) for layer in layers]
    for other in (1, 2, 3):
        assert torch.equal(clean[0], clean[other])
        assert float((noisy[0] != noisy[other]).double().mean()) > 0.2


def test_starting_weights_depend_on_the_seed_alone() -> None:
    spec = MlpSpec(inputs=64, classes=10, rows=64, n_used=64, width=64, hidden=1)
    torch.manual_seed(123)
    first = Mlp(spec, seed=7).state_dict()
    torch.manual_seed(456)
    second, other = Mlp(spec, seed=7).state_dict(), Mlp(spec, seed=8).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["columns.0.weight"], other["columns.0.weight"])
    assert not torch.equal(first["columns.0.weight"], first["first.weight"])


def test_digits_are_split_once_and_for_all() -> None:
    train, test = load_digits()
    assert (len(train), len(test), train.classes) == (1297, 500, 10)
    assert sorted([*train.index.tolist(), *test.index.tolist()]) == list(range(1797))
    assert torch.equal(load_digits()[1].index, test.index)
    for images in (train, test):
        assert images.pixels.dtype == torch.float32
        assert set(images.pixels.unique().tolist()) == {2.0 * grey - 16 for grey in range(17)}
        assert images.labels.bincount().min() > 0.07 * len(images)
