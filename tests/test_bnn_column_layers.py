"""Layers on columns against integers in NumPy: convolutions, constant cells, thresholds and where they come from."""

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tables import make_tables, only
from torch import Tensor

from prcim.bnn.column_layers import ColumnConv2d, ColumnLayer, ColumnLinear
from prcim.bnn.column_moments import EPS, Window, column_moments
from prcim.bnn.column_sum import cut_weight
from prcim.bnn.layers import BatchNorm, BinaryConv2d
from prcim.bnn.mapping import Cut, cut_layer, groups_for
from prcim.bnn.noise import Reads, VirtualChip
from prcim.bnn.tables import UNIT
from prcim.bnn.thresholds import bias_range, constant_weights, dac_range, realised
from prcim.bnn.windows import PAD
from prcim.cells.readouts.readout import Adc, Majority, Readout
from prcim.errors import InputError

LAWS = settings(derandomize=True, deadline=None, max_examples=40)
Integers = NDArray[np.int64]
N = 24
TABLES = make_tables(n_used=N)
READS = Reads(images=torch.tensor([4, 0, 9]))


def signs(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(seed)) * 2.0 - 1


def conv(channels: int = 6, outputs: int = 5, *, readout: Readout, seed: int = 0, **options: Any) -> ColumnConv2d:
    """A layer whose thresholds, statistics and weights are scattered, some weights exactly zero."""
    generator = torch.Generator().manual_seed(seed)
    made = ColumnConv2d(
        channels, outputs, index=1, rows=N, n_used=N, readout=readout, generator=generator, **options
    ).eval()
    for name, value in made.named_parameters():
        value.data.add_(torch.randn(value.shape, generator=generator) * (3.0 if "threshold" in name else 0.3))
    for name, buffer in made.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.add_(torch.rand(buffer.shape, generator=generator) * 4)
    made.weight.data[:, ::3] = 0.0
    return made


def binary(x: NDArray[np.floating]) -> Integers:
    return np.where(x >= 0, 1, -1)


def column_sums(layer: ColumnConv2d, x: Integers) -> Integers:
    """S of every column at each position, by loops: (B, H', W', G, O)."""
    kernel, stride, edge = layer.weight.shape[-1], layer.stride, layer.padding
    weight = binary(layer.weight.detach().numpy())
    wide = np.pad(x, ((0, 0), (0, 0), (edge, edge), (edge, edge)), constant_values=-1)
    height, width = ((length - kernel) // stride + 1 for length in wide.shape[2:])
    found = np.zeros((len(x), height, width, layer.groups, layer.outputs), dtype=np.int64)
    rows = list(itertools.product(range(kernel), range(kernel), range(x.shape[1])))
    size = len(rows) // layer.groups
    for i, j in itertools.product(range(height), range(width)):
        for number, (u, v, c) in enumerate(rows):
            products = wide[:, c, i * stride + u, j * stride + v, None] * weight[None, :, c, u, v]
            found[:, i, j, number // size] += products
    return found


def pooled(x: Integers, side: int, flipped: NDArray[np.bool_]) -> Integers:
    """OR of the bits of each square, AND for flipped outputs: (B, H, W, O) of +-1."""
    height, width = x.shape[1] // side, x.shape[2] // side
    squares = x[:, : height * side, : width * side].reshape(len(x), height, side, width, side, -1)
    return np.asarray(np.where(flipped, squares.min((2, 4)), squares.max((2, 4))))


@pytest.mark.parametrize(
    "options",
    [
        {"channels": 8},
        {"channels": 8, "stride": 2, "padding": 0},
        {"channels": 8, "kernel": 1, "padding": 0, "bias_rows": 2},
        {"bias_rows": 0},
        {"bias_rows": 5},
        {"channels": 7, "bias_rows": 0},
        {"bias_rows": 6, "thresholds": "bias"},
        {"bias_rows": 3, "thresholds": "bias", "pool": 2},
        {"channels": 8, "pool": 2},
        {"channels": 8, "column_norm": True},
        {"bias_rows": 4, "thresholds": "bias", "column_norm": True},
    ],
    ids=str,
)
def test_convolution_of_one_bit_columns_is_integer_arithmetic(options: dict[str, Any]) -> None:
    layer = conv(readout=Majority(dac_bits=3), **options)
    layer.flipped[::2] = layer.pool > 1
    x = signs(3, layer.weight.shape[1], 7, 6, seed=5)
    low, high = layer.threshold_range()
    if layer.by_bias:
        assert (low, high) == (-1 - layer.cut.bias, -1 + layer.cut.bias)
    if options.get("column_norm"):
        norm = layer.column_norm
        wanted = norm.running_mean + norm.shift.detach() * norm.running_var.sqrt()
    else:
        wanted = layer.threshold.detach()
    thresholds = np.clip(low + 2 * np.rint((wanted.double().numpy() - low) / 2), low, high)
    votes = np.where(column_sums(layer, x.long().numpy()) >= thresholds, 1, -1).sum(-2)
    expected = pooled(binary(votes.astype(float)), layer.pool, layer.flipped.numpy())
    assert len(np.unique(expected)) == 2
    for chip in (None, VirtualChip(tables=TABLES, model="ideal", number=0),
                 VirtualChip(tables=only(TABLES), model="column", number=0)):  # fmt: skip
        with torch.inference_mode():
            assert np.array_equal(layer(x, chip, READS).numpy(), expected.transpose(0, 3, 1, 2))
    with torch.inference_mode():
        noisy = layer(x, VirtualChip(tables=TABLES, model="column", number=0), READS)
    assert float((noisy.numpy() != expected.transpose(0, 3, 1, 2)).mean()) > 0.02


@pytest.mark.parametrize(
    "options",
    [{"channels": 8}, {"bias_rows": 3}, {"bias_rows": 0, "pool": 2}, {"channels": 7, "bias_rows": 0}],
    ids=str,
)
def test_convolution_with_converters_is_integer_arithmetic(options: dict[str, Any]) -> None:
    layer = conv(readout=Adc(bits=6, step=2), **options)
    layer.norm.weight.data[::2] *= -1
    x = signs(3, layer.weight.shape[1], 6, 6, seed=5)
    total = column_sums(layer, x.long().numpy()).sum(-2)
    if layer.pool > 1:
        total = pooled(total, layer.pool, np.zeros(layer.outputs, dtype=bool))
    mean, var = layer.norm.running_mean, layer.norm.running_var
    assert mean is not None
    assert var is not None
    gain, bias = layer.norm.weight.detach().double().numpy(), layer.norm.bias.detach().double().numpy()
    y = (total - mean.double().numpy()) * gain / np.sqrt(var.double().numpy() + layer.norm.eps) + bias
    for chip in (None, VirtualChip(tables=only(TABLES), model="column", number=0)):
        with torch.inference_mode():
            assert np.array_equal(layer(x, chip, READS).numpy(), binary(y).transpose(0, 3, 1, 2))


def test_beyond_the_edge_stands_minus_one() -> None:
    layer = conv(8, readout=Majority())
    assert PAD == -1.0
    assert layer.padded(torch.ones(1, 1, 1, 1)).flatten().tolist() == [-1, -1, -1, -1, 1, -1, -1, -1, -1]


# --- cutting ---


@LAWS
@given(inputs=st.integers(1, 3000), n_used=st.integers(2, 256), share=st.floats(0, 0.99))
def test_constant_cells_fill_what_equal_parts_leave_over(inputs: int, n_used: int, share: float) -> None:
    least = int(share * n_used)
    cut = cut_layer("layer", inputs, rows=n_used + 3, n_used=n_used, bias_rows=least)
    assert cut.groups * cut.weights == inputs
    assert cut.weights + cut.bias == cut.n_used == n_used
    assert cut.bias >= least
    assert cut.groups == groups_for(inputs, n_used - least)


def test_without_constant_cells_columns_are_full() -> None:
    assert cut_layer("layer", 256, rows=64, n_used=64) == Cut(groups=4, weights=64)
    with pytest.raises(InputError, match=r"layer with 288 inputs on 64 rows needs columns with 48 used rows"):
        cut_layer("layer", 288, rows=64, n_used=64)
    for wrong in (-1, 64):
        with pytest.raises(InputError, match=f"layer asks for {wrong} bias cells a column; of 64 used rows 0 to 63"):
            cut_layer("layer", 256, rows=64, n_used=64, bias_rows=wrong)


# --- thresholds ---


@LAWS
@given(n_used=st.integers(2, 130), share=st.floats(0.01, 0.99), seed=st.integers(0, 99))
def test_constant_cells_shift_the_sum_by_the_threshold(n_used: int, share: float, seed: int) -> None:
    """S + constant cells reach the middle of the column's sums exactly where S reaches the threshold."""
    bias = max(int(share * n_used), 1)
    low, high = bias_range(n_used, bias)
    wanted = 60 * torch.randn(3, 4, generator=torch.Generator().manual_seed(seed))
    real = realised(wanted, low, high)
    cells = constant_weights(real, n_used=n_used, bias=bias)
    assert set(cells.unique().tolist()) <= {-1.0, 1.0}
    middle = bias_range(n_used, 0)[0]
    weights = n_used - bias
    for s in range(-weights, weights + 1, 2):
        assert torch.equal(s + cells.sum(-1).t() >= middle, s >= real)
    assert (low - weights) % 2 == 1


@pytest.mark.parametrize(("n_used", "bias"), [(24, 0), (24, 6), (24, 7), (25, 3)])
def test_thresholds_of_a_dac_lie_between_the_sums_of_the_weights(n_used: int, bias: int) -> None:
    low, high = dac_range(Majority(dac_bits=4), n_used, bias)
    assert (low - (n_used - bias)) % 2 == 1
    assert (high - low) // 2 + 1 == 16


def test_thresholds_by_bias_and_by_dac_give_the_same_bits_without_errors() -> None:
    by_dac = conv(readout=Majority(dac_bits=10), bias_rows=6)
    by_bias = conv(readout=Majority(), bias_rows=6, thresholds="bias")
    low, high = by_bias.threshold_range()
    by_dac.weight.data.copy_(by_bias.weight.data)
    by_dac.threshold.data.copy_(realised(by_bias.threshold.data, low, high))
    x = signs(3, 6, 6, 6)
    assert torch.equal(by_dac(x, None, None), by_bias(x, None, None))


def test_errors_of_a_column_include_those_of_its_constant_cells() -> None:
    """The error is looked up at the number of all conducting cells, and its offset moves the threshold."""
    curve = UNIT * torch.arange(N + 1, dtype=torch.int32)
    tables = dataclasses.replace(only(TABLES), bank=curve.expand(16, -1), cell_gain=(1.0,) * 4, volt_gain=(1.0,) * 4)
    chip = VirtualChip(tables=tables, model="column", number=0)
    layer = ColumnLinear(
        16, 1, index=0, rows=N, n_used=N, readout=Majority(), bias_rows=8, thresholds="bias",
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    x = torch.where(torch.arange(16) < torch.arange(17)[:, None], 1.0, -1.0)
    layer.weight.data.fill_(1.0)
    for threshold in (-9.0, -1.0, 5.0, 7.0):
        layer.threshold.data.fill_(threshold)
        plus = (8 - 1 - threshold) / 2
        s = torch.arange(-16, 17, 2)
        on = (s + 16) / 2 + plus
        wanted = torch.where(s + 2 * plus - 8 + on >= -1, 1.0, -1.0)
        assert torch.equal(layer(x, chip, Reads(images=torch.arange(17)))[:, 0], wanted)


# --- mean and spread of a column ---


def dense(x: Tensor, weight: Tensor, window: Window) -> tuple[Tensor, Tensor]:
    """Mean and variance through every sum, as PyTorch differentiates them."""
    sums = torch.einsum("bgn,ogn->bgo", window.rows(x), cut_weight(weight, window.groups))
    return sums.mean(0), sums.var(0, unbiased=False) + EPS


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["plain", "bits"])
@pytest.mark.parametrize(
    ("x", "weight", "window"),
    [
        ((70, 12), (5, 12), Window(groups=2)),
        # Columns within a place of the window, across places, and two of a place.
        ((3, 8, 6, 5), (5, 8, 3, 3), Window(groups=9, kernel=3, padding=1)),
        ((3, 8, 6, 5), (5, 8, 3, 3), Window(groups=6, kernel=3, padding=1)),
        ((3, 8, 6, 5), (5, 8, 3, 3), Window(groups=18, kernel=3)),
        ((3, 8, 7, 8), (5, 8, 3, 3), Window(groups=9, kernel=3, stride=2, padding=1)),
        ((3, 8, 7, 8), (5, 8, 2, 2), Window(groups=4, kernel=2, stride=3)),
        ((2, 8, 4, 4), (5, 8, 1, 1), Window(groups=2)),
    ],
    ids=str,
)
def test_moments_and_their_gradients_are_those_of_all_sums(
    x: tuple[int, ...], weight: tuple[int, ...], window: Window, dtype: torch.dtype
) -> None:
    results = []
    for way in (dense, lambda x, w, window: column_moments(x, w, None, None, window)):
        ends = signs(*x, seed=1).to(dtype).requires_grad_(), signs(*weight, seed=3).to(dtype).requires_grad_()
        mean, var = way(*ends, window)
        generator = torch.Generator().manual_seed(2)
        arriving = [torch.randn(mean.shape, generator=generator).to(dtype) for _ in range(2)]
        torch.autograd.backward((mean, var), arriving)
        results.append((mean, var, *(end.grad for end in ends)))
    for one, other in zip(*results, strict=True):
        assert one is not None
        assert other is not None
        assert torch.allclose(
            one, other, rtol=1e-9 if dtype == torch.float64 else 1e-4, atol=1e-12 if dtype == torch.float64 else 1e-5
        )
    assert results[0][2] is not None
    assert float(results[0][2].abs().max()) > 0.01


def test_moments_hold_the_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = conv(8, readout=Majority(), column_norm=True)
    x = signs(3, 8, 6, 6)
    flat = dataclasses.replace(only(TABLES), offset=torch.full_like(TABLES.offset, 3 * UNIT), volt_gain=(1.0,) * 4)
    mean, var = layer.moments(x, None, None)
    shifted, same = layer.moments(x, VirtualChip(tables=flat, model="column", number=0), READS)
    assert torch.allclose(shifted, mean + 3)
    assert torch.allclose(same, var)
    chip = VirtualChip(tables=TABLES, model="column", number=0)
    noisy = layer.moments(x, chip, READS)
    assert float((noisy[1] - var).detach().mean()) > 1.0
    monkeypatch.setattr("prcim.bnn.column_moments.SAMPLE_IMAGES", 2)
    monkeypatch.setattr("prcim.bnn.column_moments.SAMPLE_READS", 1)
    sampled = layer.moments(x, chip, READS, sample=True)
    first = [layer.moments(x[:2], one, Reads(images=READS.images[:2])) for one in (chip, None)]
    assert torch.allclose(sampled[0], mean + first[0][0] - first[1][0], atol=1e-4)
    assert torch.allclose(sampled[1], var + first[0][1] - first[1][1], rtol=1e-4)
    monkeypatch.setattr("prcim.bnn.column_moments._READS_AT_ONCE", 1)
    assert all(torch.equal(*pair) for pair in zip(layer.moments(x, chip, READS), noisy, strict=True))


def test_thresholds_follow_the_batch_in_training_and_its_running_mean_in_judging() -> None:
    layer = conv(8, readout=Majority(dac_bits=8), column_norm=True)
    layer.column_norm.running_mean.zero_()
    layer.column_norm.running_var.fill_(1.0)
    layer.train()
    x = signs(3, 8, 6, 6)
    sums = column_sums(layer, x.long().numpy()).reshape(-1, layer.groups, layer.outputs)
    mean, var = sums.mean(0), sums.var(0) + EPS
    shift = layer.column_norm.shift.detach().numpy()
    low, _ = layer.threshold_range()
    wanted = low + 2 * np.rint((mean + shift * np.sqrt(var) - low) / 2)
    seen = layer.realised(lambda: layer.moments(x, None, None))
    assert np.allclose(seen.detach().numpy(), wanted)
    assert np.allclose(layer.column_norm.running_mean.numpy(), 0.1 * mean, atol=1e-5)
    assert np.allclose(layer.column_norm.running_var.numpy(), 0.9 + 0.1 * var, rtol=1e-5)
    layer.eval()
    layer.column_norm.running_mean.copy_(torch.from_numpy(mean))
    layer.column_norm.running_var.copy_(torch.from_numpy(var))
    assert np.allclose(layer.realised().detach().numpy(), wanted)


# --- digital ---


def test_folded_batch_norm_is_the_sign_of_the_normalized_integer() -> None:
    norm = BatchNorm(40).eval()
    generator = torch.Generator().manual_seed(0)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(20 * torch.randn(40, generator=generator))
    norm.running_var.copy_(400 * torch.rand(40, generator=generator))
    norm.weight.data.copy_(torch.randn(40, generator=generator))
    norm.bias.data.copy_(torch.randn(40, generator=generator))
    norm.weight.data[:4] = torch.tensor([0.0, 0.0, -1e-9, 1e-9])
    norm.bias.data[:4] = torch.tensor([1.0, -1.0, 1.0, 1.0])
    s = torch.arange(-300.0, 301.0)[:, None].expand(-1, 40)
    gain = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    y = (s.double() - norm.running_mean.double()) * gain + norm.bias.double()
    assert torch.equal(norm.binarized(s), torch.where(y >= 0, 1.0, -1.0))
    as_image = s.t().reshape(1, 40, 601, 1)
    assert torch.equal(norm.binarized(as_image)[0, :, :, 0].t(), norm.binarized(s))
    threshold, _ = norm.folded()
    assert torch.equal(threshold, threshold.round())


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (3, 2, 1), (5, 1, 0)])
def test_digital_convolution_is_exact(kernel: int, stride: int, padding: int) -> None:
    layer = BinaryConv2d(
        3, 7, kernel=kernel, stride=stride, padding=padding, generator=torch.Generator().manual_seed(0)
    )
    x = torch.randint(-255, 256, (2, 3, 9, 8), generator=torch.Generator().manual_seed(1))
    weight = torch.where(layer.weight >= 0, 1, -1)
    wanted = torch.nn.functional.conv2d(x.double(), weight.double(), stride=stride, padding=padding)
    assert torch.equal(layer(x.float()).double(), wanted)


def test_a_layer_knows_its_columns() -> None:
    layer: ColumnLayer = conv(bias_rows=5, readout=Majority())
    assert (layer.groups, layer.cut.weights, layer.cut.bias) == (3, 18, 6)
    with pytest.raises(TypeError, match="an ADC has no thresholds"):
        conv(8, readout=Adc()).threshold_range()
