"""The operator as torch sees it: its own checks, compilation, autocast, copies, threads, gradients."""

import copy
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from tables import make_tables
from torch import Tensor

from prcim.bnn.binarize import Gradient
from prcim.bnn.column_layers import ColumnConv2d
from prcim.bnn.column_sum import code_sum, majority_sum
from prcim.bnn.kernels.columns import CODE, FLASH, MAJORITY
from prcim.bnn.kernels.dense import take_off
from prcim.bnn.kernels.emitter import has_byte_permutations
from prcim.bnn.kernels.operator import column_sum
from prcim.bnn.kernels.prepared import Layout
from prcim.bnn.kernels.taken_off import take_off_clipped
from prcim.bnn.noise import NOISE_MODELS, LayerErrors, NoiseModel, Reads, VirtualChip
from prcim.cells.readouts.readout import Adc, Majority

GROUPS, N, CHANNELS, IMAGES = 3, 48, 20, 5
TABLES = make_tables(n_used=N)
ADC, FLASH_ADC = Adc(bits=3, step=2), Adc(bits=4, step=2, kind="flash")
READS = Reads(images=torch.arange(IMAGES))


def signs(seed: int, *shape: int) -> Tensor:
    return torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(seed)) * 2.0 - 1


def layer_errors(model: NoiseModel, comparators: int = 1) -> LayerErrors:
    chip = VirtualChip(tables=TABLES, model=model, number=1)
    return chip.layer(0, groups=GROUPS, channels=CHANNELS, comparators=comparators)


def inputs(kind: str) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, weights and thresholds of a linear layer or of a convolution, to be differentiated."""
    if kind == "linear":
        x, weight = signs(0, IMAGES, GROUPS * N), signs(1, CHANNELS, GROUPS * N)
    else:
        x, weight = signs(0, IMAGES, 16, 5, 6), signs(1, CHANNELS, 16, 3, 3)
    return x.requires_grad_(), weight.requires_grad_(), signs(2, GROUPS, CHANNELS).requires_grad_()


def layer_sum(kind: str, readout: str, model: NoiseModel, *, fused: bool) -> list[Tensor]:
    """Output, and the gradients of x, weight and threshold."""
    x, weight, threshold = inputs(kind)
    options: dict[str, Any] = {"fused": fused, "stride": 1 if kind == "linear" else 2}
    if readout in ("majority", "straight"):
        gradient: Gradient = "straight" if readout == "straight" else "smoothed"
        total = majority_sum(x, weight, threshold, layer_errors(model), READS, gradient=gradient, **options)
    else:
        adc = ADC if readout == "sar" else FLASH_ADC
        total = code_sum(x, weight, adc, layer_errors(model, adc.comparators), READS, groups=GROUPS, **options)
    arriving = torch.randn(total.shape, generator=torch.Generator().manual_seed(3))
    torch.autograd.backward(total, arriving)
    found = [total.detach(), x.grad, weight.grad, threshold.grad]
    return [tensor for tensor in found if tensor is not None]


@pytest.mark.parametrize("kind", ["linear", "convolution"])
@pytest.mark.parametrize("readout", ["majority", "straight", "sar", "flash"])
@pytest.mark.parametrize("model", NOISE_MODELS)
def test_gradients_are_those_of_the_definition(kind: str, readout: str, model: NoiseModel) -> None:
    found, wanted = (layer_sum(kind, readout, model, fused=fused) for fused in (True, False))
    assert len(found) >= 3
    assert torch.equal(found[0], wanted[0])
    for mine, plain in zip(found[1:], wanted[1:], strict=False):
        assert float(plain.abs().max()) > 0.1
        assert torch.allclose(mine, plain, rtol=1e-5, atol=1e-5)
        assert torch.equal(mine == 0, plain == 0)


@pytest.mark.parametrize("kind", ["linear", "convolution"])
@pytest.mark.parametrize("bits", [8, 5, 2])
@pytest.mark.parametrize("model", ["ideal", "mean", "gaussian", "iid"])
@pytest.mark.skipif(not has_byte_permutations(), reason="this processor has no permutations of bytes (AVX-512 VBMI)")
def test_gradient_less_what_clips_is_that_of_the_definition_by_position(
    kind: str, bits: int, model: NoiseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than 64 positions; more and less than 16 outputs; inputs that lie together and that do not."""
    monkeypatch.setattr("prcim.bnn.kernels.operator.DENSE_FROM", 0)
    used: list[bool] = []

    def noted(*given: Any) -> bool:
        used.append(take_off_clipped(*given))
        return used[-1]

    monkeypatch.setattr("prcim.bnn.kernels.operator.take_off_clipped", noted)
    adc, reads = Adc(bits=bits, step=2), Reads(images=torch.arange(9))
    for channels, last in ((10, False), (20, True)):
        results = []
        for fused in (True, False):
            if kind == "linear":
                x, weight = signs(0, 9, GROUPS * N), signs(1, channels, GROUPS * N)
            else:
                x, weight = signs(0, 9, 16, 6, 7), signs(1, channels, 16, 3, 3)
                x = x.to(memory_format=torch.channels_last) if last else x
            x, weight = x.requires_grad_(), weight.requires_grad_()
            errors = VirtualChip(tables=TABLES, model=model, number=1).layer(0, groups=GROUPS, channels=channels)
            total = code_sum(x, weight, adc, errors, reads, groups=GROUPS, fused=fused)
            torch.autograd.backward(total, torch.randn(total.shape, generator=torch.Generator().manual_seed(3)))
            results.append((x.grad, weight.grad))
        for found, wanted in zip(*results, strict=True):
            assert found is not None
            assert wanted is not None
            assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-4)
    assert used == [True, True]


@pytest.mark.parametrize("kind", ["linear", "convolution"])
@pytest.mark.parametrize(("bits", "share"), [(8, 0.0), (5, 0.1), (2, 1.0)])
def test_gradient_of_the_product_less_what_clips_is_that_of_the_definition(
    kind: str, bits: int, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing beyond the range, with a little, and with so much that it is not done this way."""
    monkeypatch.setattr("prcim.bnn.kernels.operator.has_byte_permutations", lambda: False)
    taken: list[int] = []

    def counted(columns: Tensor, *given: Any) -> None:
        taken.append(len(columns))
        take_off(columns, *given)

    monkeypatch.setattr("prcim.bnn.kernels.operator.take_off", counted)
    monkeypatch.setattr("prcim.bnn.kernels.operator.DENSE_FROM", 0)
    monkeypatch.setattr("prcim.bnn.kernels.operator.CLIPPED_SHARE", 8)
    adc, results = Adc(bits=bits, step=2), []
    for fused in (True, False):
        x, weight, _ = inputs(kind)
        total = code_sum(x, weight, adc, layer_errors("iid"), READS, groups=GROUPS, fused=fused)
        torch.autograd.backward(total, torch.randn(total.shape, generator=torch.Generator().manual_seed(3)))
        results.append((x.grad, weight.grad))
    for found, wanted in zip(*results, strict=True):
        assert found is not None
        assert wanted is not None
        assert torch.allclose(found, wanted, rtol=1e-5, atol=1e-5)
    positions = IMAGES if kind == "linear" else IMAGES * 12
    assert len(taken) == (share < 1)
    assert all((count > 0) == (share > 0) and count <= share * positions * GROUPS * CHANNELS for count in taken)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("readout", ["majority", "sar", "flash"])
@pytest.mark.parametrize(("model", "dense_from"), [("iid", 0), ("iid", 1 << 20), ("column", 0), ("cell", 0)])
@pytest.mark.parametrize("by_position", [False, True])
def test_padding_in_bits_is_padding_with_minus_one(
    stride: int, readout: str, model: NoiseModel, dense_from: int, by_position: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("operator", "prepared"):
        there = by_position and has_byte_permutations()
        monkeypatch.setattr(f"prcim.bnn.kernels.{module}.has_byte_permutations", lambda there=there: there)
    monkeypatch.setattr("prcim.bnn.kernels.operator.DENSE_FROM", dense_from)
    results: list[list[Any]] = []
    for outside in (True, False):
        x, weight, threshold = inputs("convolution")
        given = torch.nn.functional.pad(x, (1, 1, 1, 1), value=-1.0) if outside else x
        options: dict[str, Any] = {"stride": stride, "padding": 0 if outside else 1}
        if readout == "majority":
            total = majority_sum(given, weight, threshold, layer_errors(model), READS, **options)
        else:
            adc = ADC if readout == "sar" else FLASH_ADC
            total = code_sum(given, weight, adc, layer_errors(model, adc.comparators), READS, groups=GROUPS, **options)
        arriving = torch.randn(total.shape, generator=torch.Generator().manual_seed(3))
        torch.autograd.backward(total, arriving)
        results.append([total.detach(), x.grad, weight.grad])
    assert torch.equal(results[0][0], results[1][0])
    for found, wanted in zip(results[0][1:], results[1][1:], strict=True):
        assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["linear", "convolution"])
@pytest.mark.parametrize("mode", [MAJORITY, CODE, FLASH])
def test_torch_s_own_checks_of_an_operator_pass(kind: str, mode: int) -> None:
    x, weight, threshold = inputs(kind)
    if mode != MAJORITY:
        threshold = torch.zeros(0)
    terms = layer_errors("column", FLASH_ADC.comparators if mode == FLASH else 1).terms
    layout = Layout(
        groups=GROUPS, stride=1, mode=mode, bits=4, step=2, begin=-1, read=0, keys=terms.keys,
        padding=int(kind == "convolution"),
    )  # fmt: skip
    tensors = (terms.fresh, terms.residual, terms.curves, terms.column, terms.offsets, READS.images)
    torch.library.opcheck(column_sum, (x, weight, threshold, *tensors, layout.as_numbers()))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiles_into_one_graph() -> None:
    errors, flash = layer_errors("column"), layer_errors("column", FLASH_ADC.comparators)

    def step(x: Tensor, weight: Tensor, threshold: Tensor) -> Tensor:
        votes = majority_sum(x, weight, threshold, errors, READS)
        return votes * 2 + code_sum(x, weight, FLASH_ADC, flash, READS, groups=GROUPS)

    compiled = torch.compile(step, backend="aot_eager", fullgraph=True)
    results = []
    for function in (compiled, step):
        x, weight, threshold = inputs("linear")
        total = function(x, weight, threshold)
        torch.autograd.backward(total, torch.ones_like(total))
        results.append((total, x.grad, weight.grad, threshold.grad))
    for found, wanted in zip(*results, strict=True):
        assert torch.equal(found, wanted)


def test_autocast_keeps_the_integers_exact() -> None:
    x, weight, threshold = inputs("convolution")
    wide = Adc(bits=7, step=2)
    wanted = torch.nn.functional.conv2d(x, weight)
    with torch.autocast("cpu", torch.bfloat16):
        narrow = (x.to(torch.bfloat16), weight.to(torch.bfloat16))
        for given in ((x, weight), narrow):
            total = code_sum(*given, wide, layer_errors("ideal"), READS, groups=GROUPS)
            assert total.dtype == torch.float32
            assert torch.equal(total, wanted)
        votes = majority_sum(*narrow, threshold, layer_errors("iid"), READS)
        torch.autograd.backward(votes, torch.ones_like(votes))
    assert x.grad is not None
    assert x.grad.dtype == torch.float32
    assert torch.equal(votes, majority_sum(x, weight, threshold, layer_errors("iid"), READS))


def test_a_copy_of_a_layer_computes_the_same() -> None:
    generator = torch.Generator().manual_seed(0)
    layer = ColumnConv2d(16, 10, index=0, rows=N, n_used=N, readout=Majority(), generator=generator)
    x, chip = signs(0, IMAGES, 16, 6, 6), VirtualChip(tables=TABLES, model="column", number=1)
    wanted = layer(x, chip, READS)
    twin = copy.deepcopy(layer)
    assert torch.equal(twin(x, chip, READS), wanted)
    torch.autograd.backward(twin(x, chip, READS), torch.ones_like(wanted))
    assert twin.weight.grad is not None
    assert layer.weight.grad is None


def test_several_threads_compute_the_same_as_one() -> None:
    def work(number: int) -> Tensor:
        x, weight, threshold = inputs("linear")
        chip = VirtualChip(tables=TABLES, model="column", number=number)
        errors = chip.layer(0, groups=GROUPS, channels=CHANNELS)
        return majority_sum(x, weight, threshold, errors, READS)

    alone = [work(number) for number in range(12)]
    with ThreadPoolExecutor(4) as pool:
        for found, wanted in zip(pool.map(work, range(12)), alone, strict=True):
            assert torch.equal(found, wanted)


def test_double_precision_is_computed_by_the_definition() -> None:
    x, weight, threshold = (tensor.double().detach() for tensor in inputs("linear"))
    votes = majority_sum(x, weight, threshold, layer_errors("column"), READS)
    assert votes.dtype == torch.float64
    assert torch.equal(votes.float(), layer_sum("linear", "majority", "column", fused=True)[0])
