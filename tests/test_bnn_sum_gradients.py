"""Gradients of columns by the outputs that have any, and sums of inputs and of their products, against plain NumPy."""

import dataclasses
from unittest.mock import patch

import numba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tables import make_tables
from torch import Tensor

from prcim.bnn.binarize import Gradient
from prcim.bnn.column_sum import code_sum, majority_sum
from prcim.bnn.kernels import code_tables as code_tables_module
from prcim.bnn.kernels import column_shares, signed_sums, sum_gradients
from prcim.bnn.kernels.code_tables import LOOKED_UP_FROM, CodeTables, code_tables
from prcim.bnn.kernels.emitter import has_byte_permutations
from prcim.bnn.kernels.input_moments import input_moments
from prcim.bnn.noise import NOISE_MODELS, NoiseModel, Reads, VirtualChip
from prcim.bnn.tables import IntegerTables
from prcim.cells.readouts.readout import Adc

TABLES = {n: make_tables(n_used=n) for n in (16, 31, 64, 100, 128, 200, 256)}
KERNEL_MODELS = tuple(model for model in NOISE_MODELS if model != "cell")
LAWS = settings(max_examples=25, deadline=None)


def signs(seed: int, *shape: int) -> Tensor:
    return torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(seed)) * 2.0 - 1


def gradients(
    x: Tensor,
    weight: Tensor,
    groups: int,
    tables: IntegerTables,
    model: NoiseModel,
    *,
    share: float = 0.5,
    readout: Gradient | Adc = "smoothed",
    fused: bool = True,
) -> list[Tensor]:
    """Of inputs, weights and thresholds, from gradients of outputs of which a share is not zero."""
    x, weight = x.clone().requires_grad_(), weight.clone().requires_grad_()
    chip = VirtualChip(tables=tables, model=model, number=1)
    errors = chip.layer(2, groups=groups, channels=len(weight))
    reads, padding = Reads(images=torch.arange(len(x)) + 3, read=4), int(x.dim() == 4)
    threshold = 2 * torch.randint(-3, 3, (groups, len(weight)), generator=torch.Generator().manual_seed(5)) + 1.0
    if isinstance(readout, Adc):
        total = code_sum(x, weight, readout, errors, reads, groups=groups, padding=padding, fused=fused)
        ends = [x, weight]
    else:
        threshold = threshold.requires_grad_()
        how = {"padding": padding, "gradient": readout, "fused": fused}
        total = majority_sum(x, weight, threshold, errors, reads, **how)  # type: ignore[arg-type]
        ends = [x, weight, threshold]
    generator = torch.Generator().manual_seed(6)
    arriving = torch.randn(total.shape, generator=generator)
    arriving *= torch.rand(total.shape, generator=generator) < share
    torch.autograd.backward(total, arriving)
    return [end.grad for end in ends if end.grad is not None]


def alike(found: list[Tensor], wanted: list[Tensor]) -> None:
    for mine, plain in zip(found, wanted, strict=True):
        assert torch.allclose(mine, plain, rtol=1e-4, atol=2e-5)


@LAWS
@given(
    n=st.sampled_from(sorted(TABLES)),
    batch=st.integers(1, 300),
    groups=st.integers(1, 3),
    channels=st.integers(1, 150),
    model=st.sampled_from(KERNEL_MODELS),
    share=st.sampled_from((0.0, 0.1, 1.0)),
    readout=st.sampled_from(("smoothed", "straight", Adc(bits=2, step=2))),
    by_position=st.booleans(),
)
def test_those_of_linear_layers_are_those_of_the_definition(
    n: int,
    batch: int,
    groups: int,
    channels: int,
    model: NoiseModel,
    share: float,
    readout: Gradient | Adc,
    by_position: bool,
) -> None:
    x, weight = signs(0, batch, groups * n), signs(1, channels, groups * n)
    with patch.object(column_shares, "has_byte_permutations", return_value=by_position and has_byte_permutations()):
        found = gradients(x, weight, groups, TABLES[n], model, share=share, readout=readout)
    wanted = gradients(x, weight, groups, TABLES[n], model, share=share, readout=readout, fused=False)
    alike(found, wanted)
    if share < 1:
        for mine, plain in zip(found, wanted, strict=True):
            assert torch.equal(mine == 0, plain == 0) or float(plain[(mine == 0) != (plain == 0)].abs().max()) < 1e-5


@pytest.mark.parametrize("model", KERNEL_MODELS)
@pytest.mark.parametrize(("channels", "groups"), [(64, 9), (16, 9), (14, 9), (64, 18)], ids=str)
def test_those_of_convolutions_are_those_of_the_definition(model: NoiseModel, channels: int, groups: int) -> None:
    x, weight = signs(0, 3, channels, 9, 8), signs(1, 20, channels, 3, 3)
    n = channels * 9 // groups
    tables = TABLES.get(n) or make_tables(n_used=n)
    alike(*(gradients(x, weight, groups, tables, model, share=0.3, fused=fused) for fused in (True, False)))


@pytest.mark.parametrize("kind", ["linear", "convolution"])
def test_nothing_depends_on_threads_and_little_on_portions(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind == "linear":
        x, weight, groups = signs(0, 400, 192), signs(1, 150, 192), 3
    else:
        x, weight, groups = signs(0, 5, 64, 7, 9), signs(1, 40, 64, 3, 3), 9
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            found.append(gradients(x, weight, groups, TABLES[64], "column"))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(*pair) for pair in zip(found[0], other, strict=True))
    for name in ("LISTED_AT_ONCE", "WINDOWS_AT_ONCE", "SHARES_AT_ONCE"):
        monkeypatch.setattr(sum_gradients, name, 1)
    alike(gradients(x, weight, groups, TABLES[64], "column"), found[0])


@pytest.mark.parametrize("in_registers", [True, False])
def test_signed_sums_are_products_with_signs(in_registers: bool) -> None:
    """With both ways to make a mask of bits; compiled anew for each."""
    if in_registers and not has_byte_permutations():
        pytest.skip("this processor has no masks in registers of their own")
    add_signed, no_sums, with_value = signed_sums.add_signed, signed_sums.no_sums, signed_sums.with_value

    def run(words: NDArray[np.uint64], values: NDArray[np.float32], found: NDArray[np.float32]) -> None:
        sums, total = no_sums(), np.float32(0)
        for i in range(len(words)):
            sums = with_value(sums, words[i], values[i])
            total += values[i]
        add_signed(found, 3, sums, np.float32(total))

    rng = np.random.default_rng(0)
    words, values = rng.integers(0, 2**64, 20, dtype=np.uint64), rng.standard_normal(20).astype(np.float32)
    found = np.ones(70, np.float32)
    with patch.object(signed_sums, "has_byte_permutations", return_value=in_registers):
        numba.njit(run)(words, values, found)  # type: ignore[type-var, call-arg] # of a function with arguments
    bits = np.unpackbits(words.view(np.uint8).reshape(20, 8), axis=1, bitorder="little") * 2.0 - 1
    assert np.allclose(found[3:67], 1 + values @ bits, atol=1e-5)
    assert (found[:3] == 1).all()
    assert (found[67:] == 1).all()


@LAWS
@given(count=st.integers(1, 5000), groups=st.integers(1, 3), n=st.integers(1, 140), seed=st.integers(0, 100))
def test_sums_of_inputs_and_of_their_products_are_exact(count: int, groups: int, n: int, seed: int) -> None:
    x = np.random.default_rng(seed).choice([-1, 1], (count, groups, n), p=[0.7, 0.3])
    bits = np.zeros((count, groups, -(-n // 64) * 64), np.uint8)
    bits[..., :n] = x > 0
    words = np.packbits(bits, axis=-1, bitorder="little").view(np.uint64)
    total, second = input_moments(words, n)
    assert np.array_equal(total, x.sum(0))
    assert np.array_equal(second, np.einsum("bgn,bgm->gnm", x, x))


# --- codes by a table in memory ---


@pytest.mark.parametrize("n", [64, 100, 128, 200])
def test_codes_by_draw_are_those_of_the_errors(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_tables_module, "LOOKED_UP_FROM", 0)
    code_tables_module._of_kinds.cache_clear()
    errors, half, step = TABLES[n].total.numpy(), 8, 2
    steps = np.arange(1 - half, half, dtype=np.int32) * (128 * step)
    made = code_tables(errors, np.full((2, 3), 64 * n, np.int32), steps)
    assert made is not None
    z = errors + 128 * np.arange(n + 1)[:, None] - 64 * n
    wanted = np.clip(np.floor_divide(z, 128 * step), -half, half - 1) + half
    assert np.array_equal(made.by_draw.reshape(n + 1, 256), wanted[::-1])
    several = code_tables(errors, np.array([[64 * n, 64 * n + 128]], np.int32), steps)
    assert several is not None
    assert not len(several.by_draw)


@pytest.mark.parametrize("n", [64, 128, 200])
@pytest.mark.parametrize("model", ["gaussian", "iid"])
def test_half_of_many_codes_come_from_memory(n: int, model: NoiseModel) -> None:
    """Errors so large that a code has many limits."""
    tables = TABLES[n]
    wide = {name: getattr(tables, name) * 40 for name in ("total", "gauss")}
    tables = dataclasses.replace(tables, **wide)
    adc, seen = Adc(bits=5, step=2), []

    def noted(*given: NDArray[np.int32]) -> CodeTables:
        made = code_tables(*given)
        assert made is not None
        seen.append(made)
        return made

    errors = VirtualChip(tables=tables, model=model, number=1).layer(0, groups=2, channels=40)
    x, weight, reads = signs(0, 200, 2 * n), signs(1, 40, 2 * n), Reads(images=torch.arange(200))
    with patch("prcim.bnn.kernels.by_position.code_tables", side_effect=noted):
        found = code_sum(x, weight, adc, errors, reads, groups=2)
    assert torch.equal(found, code_sum(x, weight, adc, errors, reads, groups=2, fused=False))
    if has_byte_permutations():
        assert seen[0].cuts > LOOKED_UP_FROM
        assert len(seen[0].by_draw) == 256 * (n + 1)


@pytest.mark.skipif(not has_byte_permutations(), reason="this processor has no permutations of bytes (AVX-512 VBMI)")
@pytest.mark.parametrize(("share", "by_columns"), [(0.2, True), (1.0, False)])
def test_codes_with_few_gradients_go_by_these(share: float, by_columns: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prcim.bnn.kernels.operator.DENSE_FROM", 0)
    x, weight, adc = signs(0, 5, 64, 7, 9), signs(1, 40, 64, 3, 3), Adc(bits=3, step=2)
    how = {"share": share, "readout": adc}
    with patch("prcim.bnn.kernels.operator.sum_gradients", side_effect=sum_gradients.sum_gradients) as used:
        found = gradients(x, weight, 9, TABLES[64], "iid", **how)  # type: ignore[arg-type]
    assert used.called == by_columns
    alike(found, gradients(x, weight, 9, TABLES[64], "iid", fused=False, **how))  # type: ignore[arg-type]
