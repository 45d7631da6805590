"""Without errors a layer on columns is integer arithmetic, exactly: every noise model, read-out and split."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tables import make_tables, only
from torch import Tensor

from prcim.bnn.column_layers import ColumnLinear
from prcim.bnn.column_sum import CodeSum, MajoritySum, noisy_sums, partial_sums
from prcim.bnn.layers import BatchNorm, BinaryLinear
from prcim.bnn.noise import NOISE_MODELS, NoiseModel, Reads, VirtualChip
from prcim.bnn.tables import UNIT
from prcim.cells.readouts.readout import Adc, Majority, Readout

LAWS = settings(derandomize=True, deadline=None, max_examples=60)
READOUTS: tuple[Readout, ...] = (Majority(), Majority(dac_bits=0), Adc(), Adc(bits=7, step=2), Adc(bits=2, step=6))
MODELS: tuple[NoiseModel | None, ...] = (None, *NOISE_MODELS)
TABLES = make_tables(n_used=8)

Integers = NDArray[np.int64]


def signs(rng: np.random.Generator, *shape: int) -> Integers:
    return 2 * rng.integers(0, 2, shape) - 1


def popcount_sums(x: Integers, weight: Integers) -> Integers:
    """S = n - 2 popcount(x xor w) of x (B, G, n) and w (O, G, n), shape (B, G, O)."""
    differ = (x[:, :, None] > 0) ^ (weight.transpose(1, 0, 2)[None] > 0)
    return np.asarray(x.shape[-1] - 2 * differ.sum(-1))


def chip_without_errors(model: NoiseModel | None, n: int) -> VirtualChip | None:
    """No chip, or one whose table is zero; the ideal model gets a table full of errors, which it must not read."""
    if model is None:
        return None
    tables = dataclasses.replace(TABLES if model == "ideal" else only(TABLES), n_used=n)
    if model != "ideal":
        zeros = {name: getattr(tables, name)[:, :1].expand(-1, n + 1) for name in ("bank", "chips")}
        by_sum = {name: getattr(tables, name)[:1].expand(n + 1, -1) for name in ("residual", "read", "total", "gauss")}
        cells = dataclasses.replace(tables.cells, gain=tables.cells.gain[:, :1].expand(-1, n + 1))
        tables = dataclasses.replace(tables, cells=cells, **zeros, **by_sum)
    return VirtualChip(tables=tables, model=model, number=3)


def tensor(x: Integers) -> Tensor:
    return torch.from_numpy(x).float()


SHAPES = {
    "batch": st.integers(1, 5),
    "groups": st.integers(1, 4),
    "n": st.integers(1, 70),
    "channels": st.integers(1, 19),
    "model": st.sampled_from(MODELS),
    "seed": st.integers(0, 1000),
}


@LAWS
@given(**SHAPES)
def test_partial_sums_are_popcounts(
    batch: int, groups: int, n: int, channels: int, model: NoiseModel | None, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x, weight = signs(rng, batch, groups, n), signs(rng, channels, groups, n)
    sums = partial_sums(tensor(x), tensor(weight))
    assert np.array_equal(sums.numpy(), popcount_sums(x, weight))
    chip = chip_without_errors(model, n)
    errors = None if chip is None else chip.layer(1, groups=groups, channels=channels)
    noisy = noisy_sums(sums, tensor(x), errors, Reads(images=torch.arange(batch)), tensor(weight))
    assert noisy.dtype == torch.int32
    assert np.array_equal(noisy.numpy(), UNIT * popcount_sums(x, weight))


@LAWS
@given(**SHAPES)
def test_votes_are_those_of_integers(
    batch: int, groups: int, n: int, channels: int, model: NoiseModel | None, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x, weight = signs(rng, batch, groups, n), signs(rng, channels, groups, n)
    threshold = 2 * rng.integers(-n // 2, n // 2 + 1, (groups, channels)) + (n + 1) % 2
    chip = chip_without_errors(model, n)
    errors = None if chip is None else chip.layer(0, groups=groups, channels=channels)
    votes: Tensor = MajoritySum.apply(  # type: ignore[no-untyped-call]
        tensor(x), tensor(weight), tensor(threshold), errors, Reads(images=torch.arange(batch))
    )
    assert np.array_equal(votes.numpy(), np.where(popcount_sums(x, weight) > threshold, 1, -1).sum(1))


@LAWS
@given(bits=st.integers(1, 8), step=st.sampled_from([2, 4, 6]), **SHAPES)
def test_codes_add_up_as_integers(
    bits: int, step: int, batch: int, groups: int, n: int, channels: int, model: NoiseModel | None, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x, weight = signs(rng, batch, groups, n), signs(rng, channels, groups, n)
    adc = Adc(bits=bits, step=step)
    chip = chip_without_errors(model, n)
    errors = None if chip is None else chip.layer(0, groups=groups, channels=channels)
    total: Tensor = CodeSum.apply(  # type: ignore[no-untyped-call]
        tensor(x), tensor(weight), adc, errors, Reads(images=torch.arange(batch))
    )
    levels = np.array(adc.levels(n))
    number = (popcount_sums(x, weight) - adc.first_threshold(n)) // step
    codes = levels[np.clip(number + len(levels) // 2, 0, len(levels) - 1)]
    assert np.array_equal(total.numpy(), codes.sum(1))


@pytest.mark.parametrize("readout", READOUTS, ids=str)
@pytest.mark.parametrize(("inputs", "channels"), [(8, 1), (24, 13), (64, 16)])
def test_layer_is_the_same_on_any_chip_without_errors(readout: Readout, inputs: int, channels: int) -> None:
    generator = torch.Generator().manual_seed(2)
    layer = ColumnLinear(inputs, channels, index=0, rows=8, n_used=8, readout=readout, generator=generator).eval()
    x = tensor(signs(np.random.default_rng(1), 40, inputs))
    images = Reads(images=torch.arange(40))
    wanted = layer(x, None, None)
    assert set(wanted.unique().tolist()) == {-1.0, 1.0}
    for model in NOISE_MODELS:
        assert torch.equal(layer(x, chip_without_errors(model, 8), images), wanted)


def test_the_checks_above_can_see_an_error() -> None:
    """The same table that the ideal model must not read does change sums by any other model."""
    rng = np.random.default_rng(0)
    x, weight = tensor(signs(rng, 20, 2, 8)), tensor(signs(rng, 9, 2, 8))
    sums = partial_sums(x, weight)
    for model in NOISE_MODELS[1:]:
        chip = VirtualChip(tables=TABLES, model=model, number=3)
        noisy = noisy_sums(sums, x, chip.layer(0, groups=2, channels=9), Reads(images=torch.arange(20)), weight)
        assert float((noisy != UNIT * sums).double().mean()) > 0.9


# --- digital layers ---


def test_digital_layer_is_exact_for_integers() -> None:
    generator = torch.Generator().manual_seed(0)
    layer = BinaryLinear(784, 33, generator=generator)
    layer.weight.data[0, :5] = 0.0  # the sign of zero is +1
    x = np.random.default_rng(0).integers(-255, 256, (50, 784))
    weight = np.where(layer.weight.detach().numpy() >= 0, 1, -1)
    assert np.array_equal(layer(tensor(x)).detach().numpy(), x @ weight.T)


@pytest.mark.parametrize("features", [1, 10, 33, 256])
def test_batch_norm_of_an_image_is_the_same_whatever_stands_beside_it(features: int) -> None:
    generator = torch.Generator().manual_seed(0)
    norm = BatchNorm(features).eval()
    for tensor_, offset in ((norm.weight, 0.0), (norm.bias, 0.0), (norm.running_mean, 0.0), (norm.running_var, 1.1)):
        assert tensor_ is not None
        tensor_.data.copy_(torch.rand(features, generator=generator) * 3 - 1 + offset)
    x = torch.randn(67, features, generator=generator) * 5
    together = norm(x)
    order = torch.randperm(67, generator=generator)
    assert torch.equal(torch.cat([norm(row[None]) for row in x]), together)
    assert torch.equal(norm(x[order]), together[order])
    assert torch.equal(torch.cat([norm(part) for part in x.split(13)]), together)
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None
    assert var is not None
    # Every step rounded on its own, as NumPy does it; a kernel that fuses steps may do so for some elements only.
    scale = (norm.weight / torch.sqrt(var + norm.eps)).detach().numpy()
    assert np.array_equal(together.detach().numpy(), (x.numpy() - mean.numpy()) * scale + norm.bias.detach().numpy())
