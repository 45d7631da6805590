"""The loops in Triton against the definition, bit for bit; `test_bnn_triton.py` runs these with Triton's interpreter.

Where TRITON_INTERPRET is not set they want a GPU.
"""

import dataclasses
import os
from itertools import product
from typing import Any

import pytest
import torch
from tables import make_tables
from torch import Tensor

from prcim.bnn.binarize import Gradient
from prcim.bnn.column_moments import Window, column_moments
from prcim.bnn.column_sum import code_sum, majority_sum, noisy_sums, partial_sums
from prcim.bnn.kernels import triton_columns
from prcim.bnn.kernels.columns import CODE, FLASH, MAJORITY
from prcim.bnn.kernels.fused import fused_moments
from prcim.bnn.kernels.operator import column_sum
from prcim.bnn.kernels.prepared import Layout
from prcim.bnn.kernels.triton_columns import TritonColumns
from prcim.bnn.noise import LayerErrors, NoiseModel, Reads, VirtualChip
from prcim.bnn.tables import IntegerTables
from prcim.cells.readouts.readout import Adc

DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"
MODELS: tuple[NoiseModel | None, ...] = (None, "ideal", "mean", "gaussian", "iid", "column")
SAR, FLASH_ADC = Adc(), Adc(bits=4, step=2, kind="flash")
READOUTS = {
    "majority": None,
    "sar": SAR,
    "short": Adc(bits=3, step=2),
    "fine": Adc(bits=12, step=6),
    "far": Adc(bits=2, step=100_000),
    "farthest": Adc(bits=3, step=1 << 24),
    "flash": FLASH_ADC,
}


@pytest.fixture(autouse=True)
def _on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU the operator is led to Triton's loops all the same."""
    if DEVICE == "cpu":
        monkeypatch.setattr("prcim.bnn.kernels.operator.prepared", TritonColumns)
        monkeypatch.setattr("prcim.bnn.kernels.fused.prepared", TritonColumns)


def tables_for(n: int) -> IntegerTables:
    """Made-up tables; those of columns too short for one are cut from a longer."""
    made = make_tables(n_used=max(n, 8), columns=6)
    curves = {name: getattr(made, name)[:, : n + 1] for name in ("bank", "chips")}
    by_draw = {name: getattr(made, name)[: n + 1] for name in ("residual", "read", "total", "gauss")}
    return dataclasses.replace(made, n_used=n, **curves, **by_draw)


def signs(seed: int, *shape: int) -> Tensor:
    return torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(seed)) * 2.0 - 1


def layer_errors(
    tables: IntegerTables, model: NoiseModel | None, groups: int, channels: int, comparators: int = 1
) -> LayerErrors | None:
    if model is None:
        return None
    chip = VirtualChip(tables=tables, model=model, number=2, seed=4)
    return chip.layer(1, groups=groups, channels=channels, comparators=comparators)


def reads_of(count: int) -> Reads:
    """Images beyond what 31 bits hold."""
    return Reads(images=torch.arange(count) * 1_000_000_007 % 2**32, read=2**31 + 5)


def total(
    x: Tensor,
    weight: Tensor,
    groups: int,
    tables: IntegerTables,
    model: NoiseModel | None,
    adc: Adc | None,
    *,
    stride: int = 1,
    fused: bool,
) -> Tensor:
    n, channels = weight[0].numel() // groups, len(weight)
    errors = layer_errors(tables, model, groups, channels, adc.comparators if adc else 1)
    options: dict[str, Any] = {"stride": stride, "fused": fused}
    where = DEVICE if fused else "cpu"
    x, weight, reads = x.to(where), weight.to(where), reads_of(len(x))
    if adc is None:
        generator = torch.Generator().manual_seed(2)
        threshold = 2.0 * torch.randint(-n // 4 - 1, n // 4 + 2, (groups, channels), generator=generator) + (n + 1) % 2
        return majority_sum(x, weight, threshold.to(where), errors, reads, **options).cpu()
    return code_sum(x, weight, adc, errors, reads, groups=groups, **options).cpu()


def assert_the_same(*given: Any, **options: Any) -> None:
    found, wanted = (total(*given, **options, fused=fused) for fused in (True, False))
    assert found.dtype == wanted.dtype
    assert torch.equal(found, wanted)


@pytest.mark.parametrize(
    ("model", "readout"),
    [*product(MODELS, ("majority", "sar", "flash")), *product(("column",), ("short", "fine", "far", "farthest"))],
)
def test_models_and_read_outs(model: NoiseModel | None, readout: str) -> None:
    assert_the_same(signs(0, 5, 3 * 65), signs(1, 37, 3 * 65), 3, tables_for(65), model, READOUTS[readout])


@pytest.mark.parametrize(
    ("n", "batch", "groups", "channels"),
    [(1, 3, 2, 5), (16, 65, 2, 16), (31, 64, 1, 17), (32, 1, 4, 64), (64, 70, 1, 65), (100, 2, 2, 1), (128, 9, 2, 33),
     (129, 4, 2, 20), (200, 4, 2, 130), (512, 3, 2, 9)],
)  # fmt: skip
@pytest.mark.parametrize("readout", ["majority", "sar"])
def test_shapes_that_fill_no_block(n: int, batch: int, groups: int, channels: int, readout: str) -> None:
    x, weight = signs(n, batch, groups * n), signs(n + 1, channels, groups * n)
    assert_the_same(x, weight, groups, tables_for(n), "column", READOUTS[readout])


@pytest.mark.parametrize(
    ("shape", "side", "stride"),
    [((3, 3, 9), (3, 5), 1), ((16, 3, 9), (6, 4), 2), ((64, 2, 4), (3, 4), 1), ((100, 1, 1), (2, 3), 1),
     ((32, 3, 3), (5, 5), 2), ((7, 3, 1), (7, 4), 3), ((70, 3, 10), (3, 3), 1)],
)  # fmt: skip
def test_convolutions(shape: tuple[int, int, int], side: tuple[int, int], stride: int) -> None:
    inputs, kernel, groups = shape
    x, weight = signs(0, 3, inputs, *side), signs(1, 19, inputs, kernel, kernel)
    if stride == 1:
        x = x.to(memory_format=torch.channels_last)
    tables = tables_for(inputs * kernel**2 // groups)
    for readout in ("majority", "flash"):
        assert_the_same(x, weight, groups, tables, "column", READOUTS[readout], stride=stride)


@pytest.mark.parametrize("readout", ["majority", "sar", "farthest", "flash"])
@pytest.mark.parametrize("programs", [2, 3, 100])
def test_groups_shared_out_among_programs(readout: str, programs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_columns, "_programs", lambda device: programs)
    assert_the_same(signs(0, 7, 5 * 16), signs(1, 21, 5 * 16), 5, tables_for(16), "column", READOUTS[readout])


@pytest.mark.parametrize("name", ["bank", "residual", "total"])
@pytest.mark.parametrize("model", ["iid", "column"])
def test_errors_beyond_16_bits(name: str, model: NoiseModel) -> None:
    tables = tables_for(16)
    large = dataclasses.replace(tables, **{name: getattr(tables, name) * 1000})
    assert getattr(large, name).abs().max() > 2**15
    assert_the_same(signs(0, 9, 32), signs(1, 10, 32), 2, large, model, SAR)


@pytest.mark.parametrize("readout", ["majority", "sar", "flash"])
def test_sums_on_a_threshold(readout: str) -> None:
    """Errors of 1 in S put every sum that can come so near on a threshold, or a step away from one."""
    tables = tables_for(16)
    tables = dataclasses.replace(tables, total=torch.where(tables.total > 0, 64, -64), bank=tables.bank * 0 + 64)
    tables = dataclasses.replace(tables, **{name: getattr(tables, name) * 0 for name in ("residual", "read", "chips")})
    for model in ("iid", "column"):
        assert_the_same(signs(0, 9, 32), signs(1, 40, 32), 2, tables, model, READOUTS[readout])


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_narrow_types(kind: torch.dtype) -> None:
    assert_the_same(signs(0, 9, 32).to(kind), signs(1, 10, 32).to(kind), 2, tables_for(16), "iid", SAR)


def test_inputs_that_lie_apart() -> None:
    x, weight = signs(0, 9, 64)[:, ::2], signs(1, 32, 10).t()
    assert_the_same(x, weight, 2, tables_for(16), "iid", SAR)


def test_errors_change_the_result() -> None:
    """The comparisons above can see an error."""
    tables, x, weight = tables_for(64), signs(0, 30, 128), signs(1, 20, 128)
    shifted = dataclasses.replace(tables, bank=tables.bank + 300)
    found = [total(x, weight, 2, shifted, model, SAR, fused=True) for model in MODELS[1:]]
    assert all(not torch.equal(found[0], other) for other in found[1:])


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("shape", [(37, 3, 64), (5, 7, 2, 31)], ids=str)
def test_moments(model: NoiseModel | None, shape: tuple[int, ...]) -> None:
    x, weight = signs(0, *shape), signs(1, 20, *shape[-2:])
    errors, reads = layer_errors(tables_for(shape[-1]), model, shape[-2], 20), reads_of(len(x))
    z = noisy_sums(partial_sums(x, weight), x, errors, reads).long().flatten(0, -3)
    # A place of a window of one is a position; the rows of a column are channels.
    places = x.reshape(len(x), -1, x.shape[-2] * x.shape[-1]).mT[..., None].to(DEVICE)
    found = fused_moments(places, weight.reshape(20, -1, 1, 1).to(DEVICE), errors, reads, groups=x.shape[-2])
    assert torch.equal(found.cpu(), torch.stack([z.sum(0), (z * z).sum(0)]))


def test_mean_and_variance_of_columns() -> None:
    """What training asks of a batch."""
    x, weight = signs(0, 32, 2, 16), signs(1, 20, 2, 16)
    errors = layer_errors(tables_for(16), "iid", 2, 20)
    rows = x.flatten(1).to(DEVICE), weight.flatten(1).to(DEVICE)
    found = column_moments(*rows, errors, reads_of(32), Window(groups=2))
    z = noisy_sums(partial_sums(x, weight), x, errors, reads_of(32)).double() / 64
    assert torch.allclose(found[0].cpu(), z.mean(0).float(), atol=1e-4)
    assert torch.allclose(found[1].cpu(), (z.var(0, correction=0) + 1e-3).float(), atol=1e-3)


# --- as torch sees it ---


def gradients(
    kind: str, readout: str, model: NoiseModel, gradient: Gradient = "smoothed", *, fused: bool
) -> list[Tensor]:
    """Output, and the gradients of x, weight and threshold."""
    where = DEVICE if fused else "cpu"
    if kind == "linear":
        x, weight, stride = signs(0, 5, 3 * 48), signs(1, 20, 3 * 48), 1
    else:
        x, weight, stride = signs(0, 3, 16, 5, 6), signs(1, 20, 16, 3, 3), 2
    x, weight, threshold = (t.to(where).requires_grad_() for t in (x, weight, signs(2, 3, 20)))
    adc = READOUTS[readout]
    errors = layer_errors(tables_for(48), model, 3, 20, adc.comparators if adc else 1)
    if adc is None:
        given = (x, weight, threshold, errors, reads_of(len(x)))
        found = majority_sum(*given, stride=stride, gradient=gradient, fused=fused)
    else:
        found = code_sum(x, weight, adc, errors, reads_of(len(x)), groups=3, stride=stride, fused=fused)
    arriving = torch.randn(found.shape, generator=torch.Generator().manual_seed(3))
    torch.autograd.backward(found, arriving.to(where))
    made = [found.detach(), x.grad, weight.grad, threshold.grad]
    return [tensor.cpu() for tensor in made if tensor is not None]


@pytest.mark.parametrize("kind", ["linear", "convolution"])
@pytest.mark.parametrize(
    ("readout", "gradient"),
    [("majority", "smoothed"), ("majority", "straight"), ("short", "smoothed"), ("flash", "smoothed")],
)
@pytest.mark.parametrize(("at_once", "share"), [(1, 1 << 20), (1 << 24, 1)])
def test_gradients(
    kind: str, readout: str, gradient: Gradient, at_once: int, share: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of codes both ways: of the product less those of sums that clip, and sum by sum."""
    monkeypatch.setattr("prcim.bnn.kernels.operator.AT_ONCE", at_once)
    monkeypatch.setattr("prcim.bnn.kernels.operator.DENSE_FROM", 0)
    monkeypatch.setattr("prcim.bnn.kernels.operator.CLIPPED_SHARE", share)
    found, wanted = (gradients(kind, readout, "column", gradient, fused=fused) for fused in (True, False))
    assert len(found) == len(wanted) >= 3
    assert torch.equal(found[0], wanted[0])
    for mine, plain in zip(found[1:], wanted[1:], strict=True):
        assert float(plain.abs().max()) > 0.1
        assert torch.allclose(mine, plain, rtol=1e-5, atol=1e-5)
        # What is added and taken off again leaves a rounding.
        assert torch.equal(mine == 0, plain == 0) or (share == 1 and readout != "majority")


@pytest.mark.parametrize("programs", [1, 100])
def test_sums_beyond_the_range_of_a_converter(programs: int) -> None:
    x, weight = signs(0, 70, 3 * 16), signs(1, 20, 3 * 16)
    errors = layer_errors(tables_for(16), "iid", 3, 20)
    assert errors is not None
    terms = errors.terms
    layout = Layout(groups=3, stride=1, mode=CODE, bits=3, step=2, begin=-1, read=2**31 + 5, keys=terms.keys)
    tensors = (torch.zeros(0), terms.fresh, terms.residual, terms.curves, terms.column, terms.offsets)
    on_device = [tensor.to(DEVICE) for tensor in (x, weight, *tensors, reads_of(70).images)]
    made = TritonColumns(*on_device, layout, programs)  # type: ignore[call-arg, arg-type]
    x, weight = x.reshape(70, 3, 16), weight.reshape(20, 3, 16)
    number = (noisy_sums(partial_sums(x, weight), x, errors, reads_of(70)) + 64).div(128, rounding_mode="floor")
    wanted = ((number < -4) | (number >= 4)).nonzero().tolist()
    assert len(wanted) > 100
    found = made.clipped(len(wanted))
    assert found is not None
    assert sorted(found.tolist()) == wanted
    assert made.clipped(len(wanted) - 1) is None


@pytest.mark.parametrize("mode", [MAJORITY, FLASH])
def test_torch_s_own_checks_of_an_operator_pass(mode: int) -> None:
    x, weight = (tensor.to(DEVICE).requires_grad_() for tensor in (signs(0, 3, 32), signs(1, 9, 32)))
    threshold = signs(2, 2, 9) if mode == MAJORITY else torch.zeros(0)
    errors = layer_errors(tables_for(16), "column", 2, 9, FLASH_ADC.comparators if mode == FLASH else 1)
    assert errors is not None
    terms = errors.terms
    layout = Layout(groups=2, stride=1, mode=mode, bits=4, step=2, begin=-1, read=0, keys=terms.keys)
    tensors = (terms.fresh, terms.residual, terms.curves, terms.column, terms.offsets, torch.arange(3))
    on_device = [tensor.to(DEVICE) for tensor in (threshold, *tensors)]
    torch.library.opcheck(column_sum, (x, weight, *on_device, layout.as_numbers()))


# --- devices ---


class Launches:
    """Stands for a loop, and says on which devices the tensors are that it is given."""

    def __init__(self) -> None:
        self.devices: list[str] = []

    def __getitem__(self, grid: tuple[int, ...]) -> Any:
        def launch(*given: Any, **options: Any) -> None:
            self.devices += [item.device.type for item in given if isinstance(item, Tensor)]

        return launch


@pytest.mark.parametrize("mode", [MAJORITY, CODE, FLASH])
@pytest.mark.parametrize("model", ["ideal", "mean", "iid", "column"])
def test_all_tensors_of_a_loop_are_on_the_device_of_the_inputs(
    mode: int, model: NoiseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    loops = {name: Launches() for name in ("pack", "digests", "columns")}
    for name, loop in loops.items():
        monkeypatch.setattr(f"prcim.bnn.kernels.triton_kernels.{name}", loop)
    errors = layer_errors(tables_for(16), model, 2, 9, FLASH_ADC.comparators if mode == FLASH else 1)
    assert errors is not None
    terms = errors.terms.on(torch.device("meta"))
    x, weight = (torch.ones(shape, device="meta") for shape in ((3, 32), (9, 32)))
    threshold = torch.ones((2, 9) if mode == MAJORITY else 0, device="meta")
    layout = Layout(groups=2, stride=1, mode=mode, bits=4, step=2, begin=-1, read=0, keys=terms.keys)
    tensors = (terms.fresh, terms.residual, terms.curves, terms.column, terms.offsets)
    made = TritonColumns(x, weight, threshold, *tensors, torch.arange(3, device="meta"), layout)
    made.totals()
    made.moments()
    made.gradients(torch.ones(3, 9, device="meta"), torch.ones(100 if mode == MAJORITY else 0), 0, 3)
    assert len(loops["pack"].devices) == 4
    assert len(loops["digests"].devices) == 2 * (model == "column")
    assert len(loops["columns"].devices) == 3 * 13
    assert {device for loop in loops.values() for device in loop.devices} == {"meta"}
