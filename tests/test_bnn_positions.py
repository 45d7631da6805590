"""Convolutions on columns: positions are reads of their own, everything else is a linear layer's."""

import pytest
import torch
from tables import make_tables
from torch import Tensor

from prcim.bnn.column_sum import CodeSum, MajoritySum, code_sum, majority_sum, patches
from prcim.bnn.noise import NOISE_MODELS, LayerErrors, NoiseModel, Reads, VirtualChip
from prcim.cells.readouts.readout import Adc

IMAGES, CHANNELS, OUT, SIDE, N = 3, 6, 11, 5, 18
GROUPS = CHANNELS * 9 // N
TABLES = make_tables(n_used=N)
READS = Reads(images=torch.tensor([7, 0, 3]), read=2)
ADC = Adc(bits=3, step=2, kind="flash")


def signs(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(seed)) * 2.0 - 1


X, WEIGHT = signs(IMAGES, CHANNELS, SIDE, SIDE), signs(OUT, CHANNELS, 3, 3, seed=1)
THRESHOLD = signs(GROUPS, OUT, seed=2)


def layer_errors(model: NoiseModel, comparators: int = 1) -> LayerErrors:
    chip = VirtualChip(tables=TABLES, model=model, number=1)
    return chip.layer(2, groups=GROUPS, channels=OUT, comparators=comparators)


@pytest.mark.parametrize("stride", [1, 2])
def test_convolution_without_errors_is_that_of_torch(stride: int) -> None:
    wanted = torch.nn.functional.conv2d(X, WEIGHT, stride=stride)
    exact = Adc(bits=7, step=2)
    assert torch.equal(code_sum(X, WEIGHT, exact, None, None, groups=GROUPS, stride=stride), wanted)
    product = patches(X, kernel=3, stride=stride) @ WEIGHT.permute(0, 2, 3, 1).flatten(1).t()
    assert torch.equal(product.transpose(1, 2).reshape(wanted.shape), wanted)


@pytest.mark.parametrize("model", NOISE_MODELS)
def test_each_position_is_a_read_with_its_number(model: NoiseModel) -> None:
    """Position by position with the counter of each, the errors of a linear layer give the same."""
    errors = layer_errors(model)
    inputs = patches(X, kernel=3).unflatten(-1, (GROUPS, N))
    weight = WEIGHT.permute(0, 2, 3, 1).reshape(OUT, GROUPS, N)
    n_on = ((torch.einsum("bpgn,ogn->bpgo", inputs, weight) + N) / 2).long()
    together = errors(n_on, inputs, READS)
    for p in range(9):
        assert torch.equal(together[:, p], errors(n_on[:, p], inputs[:, p], READS, position=p))
    assert torch.equal(together[:, 4:], errors(n_on[:, 4:], inputs[:, 4:], READS, position=4))


@pytest.mark.parametrize("model", NOISE_MODELS)
def test_convolution_is_its_columns(model: NoiseModel) -> None:
    inputs = patches(X, kernel=3).unflatten(-1, (GROUPS, N))
    weight = WEIGHT.permute(0, 2, 3, 1).reshape(OUT, GROUPS, N)
    votes: Tensor = MajoritySum.apply(inputs, weight, THRESHOLD, layer_errors(model), READS)  # type: ignore[no-untyped-call]
    assert votes.shape == (IMAGES, 9, OUT)
    found = majority_sum(X, WEIGHT, THRESHOLD, layer_errors(model), READS)
    assert torch.equal(found, votes.transpose(1, 2).reshape(IMAGES, OUT, 3, 3))
    errors = layer_errors(model, ADC.comparators)
    codes: Tensor = CodeSum.apply(inputs, weight, ADC, errors, READS)  # type: ignore[no-untyped-call]
    found = code_sum(X, WEIGHT, ADC, errors, READS, groups=GROUPS)
    assert torch.equal(found, codes.transpose(1, 2).reshape(IMAGES, OUT, 3, 3))


@pytest.mark.parametrize("stride", [1, 2])
def test_gradient_of_a_convolution_that_resolves_every_sum_is_that_of_torch(stride: int) -> None:
    exact = Adc(bits=7, step=2)
    gradients = []
    for columns in (True, False):
        x, weight = X.clone().requires_grad_(), WEIGHT.clone().requires_grad_()
        if columns:
            result = code_sum(x, weight, exact, None, None, groups=GROUPS, stride=stride)
        else:
            result = torch.nn.functional.conv2d(x, weight, stride=stride)
        arriving = torch.randn(result.shape, generator=torch.Generator().manual_seed(3))
        torch.autograd.backward(result, arriving)
        gradients.append((x.grad, weight.grad))
    for found, wanted in zip(*gradients, strict=True):
        assert found is not None
        assert wanted is not None
        assert torch.allclose(found, wanted, atol=1e-5)


def test_nothing_depends_on_how_many_images_are_computed_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> Tensor:
        return majority_sum(X, WEIGHT, THRESHOLD, layer_errors("column"), READS, fused=False)

    together = run()
    monkeypatch.setattr("prcim.bnn.column_sum._READS_AT_ONCE", 1)
    assert torch.equal(run(), together)
