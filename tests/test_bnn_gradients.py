"""Backward passes against their formulas in NumPy, exact zeros included."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import norm
from tables import make_tables
from torch import Tensor

from prcim.bnn.binarize import Gradient, expected_sign_slope, sign
from prcim.bnn.column_layers import ColumnLinear
from prcim.bnn.column_sum import CodeSum, MajoritySum, noisy_sums, partial_sums
from prcim.bnn.datasets.digits import load_digits
from prcim.bnn.models.mlp import Mlp, MlpSpec
from prcim.bnn.noise import Reads, VirtualChip
from prcim.bnn.recipe import Recipe
from prcim.bnn.tables import UNIT
from prcim.bnn.train import train
from prcim.cells.readouts.readout import Adc, Majority
from prcim.errors import InputError

Floats = NDArray[np.float64]
BATCH, GROUPS, N, CHANNELS = 6, 3, 16, 10


@pytest.fixture(params=[None, "column", "cell"])
def chip(request: pytest.FixtureRequest) -> VirtualChip | None:
    return VirtualChip(tables=make_tables(n_used=N), model=request.param, number=2) if request.param else None


def inputs(zeros: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs (B, G, n), weights (O, G, n), the gradient that arrives (B, O); without a chip inputs may be zero."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 2, (BATCH, GROUPS, N), generator=generator) * 2.0 - 1
    weight = torch.randint(0, 2, (CHANNELS, GROUPS, N), generator=generator) * 2.0 - 1
    if zeros:
        x[0] = 0.0
        x[:, :, ::5] = 0.0
    return x.requires_grad_(), weight.requires_grad_(), torch.randn(BATCH, CHANNELS, generator=generator)


def sums(x: Tensor, weight: Tensor, chip: VirtualChip | None, reads: Reads) -> Floats:
    """S + error, in S."""
    errors = None if chip is None else chip.layer(0, groups=GROUPS, channels=CHANNELS)
    with torch.no_grad():
        return noisy_sums(partial_sums(x, weight), x, errors, reads, weight).double().numpy() / UNIT


def trained(gradient: Gradient, folder: Path) -> Floats:
    """Weights of the first layer on columns after one epoch."""
    network = Mlp(MlpSpec(inputs=64, classes=10, rows=N, n_used=N, width=32, hidden=2), seed=1)
    recipe = Recipe(noise="column", epochs=1, batch_size=50, gradient=gradient)
    state, log = folder / f"{gradient}.state", folder / "log.csv"
    train(
        network, load_digits()[0].part(slice(0, 200)), make_tables(n_used=N), recipe, identity="", state=state, log=log
    )
    assert all(layer.gradient == gradient for layer in network.column_layers())
    return as_numpy(next(network.column_layers()).weight)


def as_numpy(tensor: Tensor | None) -> Floats:
    assert tensor is not None
    return tensor.detach().double().numpy()


def test_majority_passes_the_gradient_straight_within_its_window(chip: VirtualChip | None) -> None:
    """Hard tanh of z / sqrt(n): each vote gets its output's gradient over sqrt(n), and exactly none beyond."""
    x, weight, arriving = inputs(zeros=chip is None)
    threshold = (2.0 * torch.arange(-15, 15).reshape(GROUPS, CHANNELS) + 1).requires_grad_()
    with torch.no_grad():
        threshold[0, 0], threshold[1, 1] = 201.0, -201.0
    reads = Reads(images=torch.arange(BATCH))
    errors = None if chip is None else chip.layer(0, groups=GROUPS, channels=CHANNELS)
    votes: Tensor = MajoritySum.apply(x, weight, threshold, errors, reads, "straight")  # type: ignore[no-untyped-call]
    votes.backward(arriving)

    z = sums(x, weight, chip, reads) - as_numpy(threshold)
    assert np.array_equal(as_numpy(votes), np.where(z >= 0, 1, -1).sum(1))
    inside = np.abs(z) <= math.sqrt(N)
    grad_z = as_numpy(arriving)[:, None] * inside / math.sqrt(N)
    assert np.allclose(as_numpy(x.grad), np.einsum("bgo,ogn->bgn", grad_z, as_numpy(weight)), atol=1e-6)
    assert np.allclose(as_numpy(weight.grad), np.einsum("bgo,bgn->ogn", grad_z, as_numpy(x)), atol=1e-6)
    assert np.allclose(as_numpy(threshold.grad), -grad_z.sum(0), atol=1e-6)
    nothing = np.asarray(~inside.any(axis=0))
    assert nothing[0, 0]
    assert nothing[1, 1]
    assert not as_numpy(threshold.grad)[nothing].any()
    assert not as_numpy(weight.grad)[nothing.T].any()
    assert 0.1 < inside.mean() < 0.9


def test_smoothed_gradient_is_the_slope_of_the_expected_votes() -> None:
    """With normal noise of sqrt(n) on every sum, by differences of the votes' mean over 400,000 like noises."""
    x, weight, arriving = inputs(zeros=False)
    generator = torch.Generator().manual_seed(4)
    threshold = (2.0 * torch.randint(-4, 4, (GROUPS, CHANNELS), generator=generator) + 1).requires_grad_()
    votes: Tensor = MajoritySum.apply(x, weight, threshold, None, None)  # type: ignore[no-untyped-call]
    votes.backward(arriving)
    noise = np.sort(norm.ppf((np.arange(400_000) + 0.5) / 400_000)) * math.sqrt(N)

    def expected(signs: Floats, weights: Floats, thresholds: Floats) -> float:
        z = np.einsum("bgn,ogn->bgo", signs, weights) - thresholds
        below = np.searchsorted(noise, -z) / len(noise)
        return float((as_numpy(arriving)[:, None] * (1 - 2 * below)).sum())

    start: dict[str, Floats] = {"signs": as_numpy(x), "weights": as_numpy(weight), "thresholds": as_numpy(threshold)}
    for name, tensor in (("signs", x), ("weights", weight), ("thresholds", threshold)):
        gradient = as_numpy(tensor.grad)
        for place in ((0, 1, 2), (5, 2, 13), (3, 0, 7)):
            index = (place[1], place[2] % CHANNELS) if name == "thresholds" else place
            sides = []
            for step in (0.2, -0.2):
                moved = {key: value.copy() for key, value in start.items()}
                moved[name][index] += step
                sides.append(expected(**moved))
            assert (sides[0] - sides[1]) / 0.4 == pytest.approx(gradient[index], rel=2e-3, abs=2e-4), (name, index)


def test_majority_passes_the_slope_of_the_expected_sign(chip: VirtualChip | None) -> None:
    x, weight, arriving = inputs(zeros=chip is None)
    threshold = (2.0 * torch.arange(-15, 15).reshape(GROUPS, CHANNELS) + 1).requires_grad_()
    reads = Reads(images=torch.arange(BATCH))
    errors = None if chip is None else chip.layer(0, groups=GROUPS, channels=CHANNELS)
    votes: Tensor = MajoritySum.apply(x, weight, threshold, errors, reads)  # type: ignore[no-untyped-call]
    votes.backward(arriving)

    z = sums(x, weight, chip, reads) - as_numpy(threshold)
    assert np.array_equal(as_numpy(votes), np.where(z >= 0, 1, -1).sum(1))
    slope = 2 * norm.pdf(z / math.sqrt(N)) / math.sqrt(N)
    grad_z = as_numpy(arriving)[:, None] * slope
    assert np.allclose(as_numpy(x.grad), np.einsum("bgo,ogn->bgn", grad_z, as_numpy(weight)), atol=1e-6)
    assert np.allclose(as_numpy(weight.grad), np.einsum("bgo,bgn->ogn", grad_z, as_numpy(x)), atol=1e-6)
    assert np.allclose(as_numpy(threshold.grad), -grad_z.sum(0), atol=1e-6)
    assert np.abs(as_numpy(weight.grad)).max() > 0.01


def test_a_recipe_chooses_the_gradient(tmp_path: Path) -> None:
    assert not np.allclose(trained("smoothed", tmp_path), trained("straight", tmp_path))
    with pytest.raises(InputError, match="there is no gradient 'none'; there are smoothed and straight"):
        Recipe(gradient="none")  # type: ignore[arg-type]


@pytest.mark.parametrize(("bits", "step"), [(1, 2), (2, 4), (3, 2), (7, 2)])
def test_codes_pass_the_gradient_where_they_do_not_clip(chip: VirtualChip | None, bits: int, step: int) -> None:
    x, weight, arriving = inputs(zeros=chip is None)
    adc = Adc(bits=bits, step=step)
    reads = Reads(images=torch.arange(BATCH))
    errors = None if chip is None else chip.layer(0, groups=GROUPS, channels=CHANNELS)
    total: Tensor = CodeSum.apply(x, weight, adc, errors, reads)  # type: ignore[no-untyped-call]
    total.backward(arriving)

    z = sums(x, weight, chip, reads)
    levels = np.array(adc.levels(N))
    # The range: half a step below the lowest level to half a step above the highest, the upper end excluded.
    inside = (z >= levels[0] - step // 2) & (z < levels[-1] + step // 2)
    grad_z = as_numpy(arriving)[:, None] * inside
    assert np.allclose(as_numpy(x.grad), np.einsum("bgo,ogn->bgn", grad_z, as_numpy(weight)), atol=1e-5)
    assert np.allclose(as_numpy(weight.grad), np.einsum("bgo,bgn->ogn", grad_z, as_numpy(x)), atol=1e-5)
    assert inside.all() == (bits == 7)
    assert inside.any()


@pytest.mark.parametrize("width", [0.5, 4.0, 8.0])
def test_slope_is_the_derivative_of_the_expected_sign(width: float) -> None:
    """E[sign(z + noise)] = 2 Phi(z / width) - 1."""
    z = np.linspace(-4 * width, 4 * width, 101)
    z = np.append(z, 0.0)
    step = 1e-4 * width
    difference = norm.cdf((z + step) / width) - norm.cdf((z - step) / width)
    slope = as_numpy(expected_sign_slope(torch.from_numpy(z), width))
    assert np.allclose(slope, difference / step, rtol=1e-5, atol=1e-9)


def test_sign_passes_the_gradient_from_minus_one_to_one() -> None:
    beyond = np.nextafter(np.float32(1), np.float32(2))
    x = torch.tensor([-3.0, -float(beyond), -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, float(beyond), 3.0], requires_grad=True)
    result = sign(x)
    result.backward(torch.arange(1.0, 11.0))
    assert result.tolist() == [-1, -1, -1, -1, 1, 1, 1, 1, 1, 1]
    assert as_numpy(x.grad).tolist() == [0, 0, 3, 4, 5, 6, 7, 8, 0, 0]


def test_layer_s_latent_weights_get_the_columns_gradient_within_their_window(chip: VirtualChip | None) -> None:
    """Through sign, cutting into columns, realised thresholds and the vote: the formulas one after another."""
    generator = torch.Generator().manual_seed(0)
    layer = ColumnLinear(
        GROUPS * N, CHANNELS, index=0, rows=N, n_used=N, readout=Majority(dac_bits=3), generator=generator
    )
    layer.weight.data.mul_(10)  # half of them leave the window
    layer.weight.data[:, ::7] = 0.0
    layer.threshold.data.copy_(5 * torch.randn(GROUPS, CHANNELS, generator=generator))
    x, _, arriving = inputs(zeros=False)
    reads = Reads(images=torch.arange(BATCH))
    layer(x.flatten(1), chip, reads).backward(arriving)

    latent = as_numpy(layer.weight)
    weight = np.where(latent >= 0, 1.0, -1.0).reshape(CHANNELS, GROUPS, N)
    z = sums(x, torch.from_numpy(weight).float(), chip, reads) - as_numpy(layer.realised())
    votes = np.where(z >= 0, 1, -1).sum(1) / math.sqrt(GROUPS)
    grad_votes = as_numpy(arriving) * (np.abs(votes) <= 1) / math.sqrt(GROUPS)
    grad_z = grad_votes[:, None] * 2 * norm.pdf(z / math.sqrt(N)) / math.sqrt(N)
    wanted = np.einsum("bgo,bgn->ogn", grad_z, as_numpy(x)).reshape(CHANNELS, -1) * (np.abs(latent) <= 1)
    assert np.allclose(as_numpy(layer.weight.grad), wanted, atol=1e-6)
    assert np.allclose(as_numpy(layer.threshold.grad), -grad_z.sum(0), atol=1e-6)
    assert 0.2 < (wanted == 0).mean() < 0.9
