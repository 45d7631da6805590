"""The fused loops against the definition, bit for bit: models, read-outs, shapes that fill no word, threads."""

import dataclasses
from collections.abc import Iterator
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import make_tables
from torch import Tensor

from prcim.bnn.column_sum import code_sum, majority_sum, noisy_sums, partial_sums
from prcim.bnn.kernels import prepared
from prcim.bnn.kernels.by_position import codes_by_position
from prcim.bnn.kernels.code_tables import TABLE, code_tables
from prcim.bnn.kernels.columns import digests
from prcim.bnn.kernels.emitter import has_byte_permutations
from prcim.bnn.kernels.fused import fused_moments
from prcim.bnn.kernels.packing import cut_windows, pack_images, pack_rows, words_for
from prcim.bnn.keys import digest
from prcim.bnn.noise import NOISE_MODELS, LayerErrors, NoiseModel, Reads, VirtualChip
from prcim.bnn.tables import IntegerTables
from prcim.bnn.windows import patches
from prcim.cells.readouts.readout import Adc
from prcim.errors import InputError

LAWS = settings(derandomize=True, deadline=None, max_examples=50)
ADCS = (Adc(), Adc(bits=3, step=2), Adc(bits=12, step=6), Adc(bits=2, step=100_000), Adc(bits=4, step=2, kind="flash"))


def tables_for(n: int) -> IntegerTables:
    """Made-up tables; those of columns too short for one are cut from a longer."""
    made = make_tables(n_used=max(n, 8), columns=6)
    curves = {name: getattr(made, name)[:, : n + 1] for name in ("bank", "chips")}
    by_draw = {name: getattr(made, name)[: n + 1] for name in ("residual", "read", "total", "gauss")}
    return dataclasses.replace(made, n_used=n, **curves, **by_draw)


TABLES = {n: tables_for(n) for n in (1, 2, 16, 31, 63, 64, 65, 100, 128, 200, 512)}


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def signs(seed: int, *shape: int) -> Tensor:
    return torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(seed)) * 2.0 - 1


def thresholds(seed: int, n: int, groups: int, channels: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2.0 * torch.randint(-n // 4 - 1, n // 4 + 2, (groups, channels), generator=generator) + (n + 1) % 2


def layer_errors(
    tables: IntegerTables, model: NoiseModel | None, groups: int, channels: int, comparators: int = 1
) -> LayerErrors | None:
    if model is None:
        return None
    chip = VirtualChip(tables=tables, model=model, number=2, seed=4)
    return chip.layer(1, groups=groups, channels=channels, comparators=comparators)


def both(x: Tensor, weight: Tensor, groups: int, tables: IntegerTables, model: NoiseModel | None) -> None:
    """Votes, and codes of every converter, by the kernel and by the definition."""
    n, channels = weight[0].numel() // groups, len(weight)
    reads = Reads(images=torch.arange(len(x)) * 70_001 + 3, read=5)
    threshold, errors = thresholds(1, n, groups, channels), layer_errors(tables, model, groups, channels)
    votes = [majority_sum(x, weight, threshold, errors, reads, fused=fused) for fused in (True, False)]
    assert torch.equal(*votes)
    for adc in ADCS:
        errors = layer_errors(tables, model, groups, channels, adc.comparators)
        codes = [code_sum(x, weight, adc, errors, reads, groups=groups, fused=fused) for fused in (True, False)]
        assert torch.equal(*codes), adc


# --- the forward pass, bit for bit ---


@LAWS
@given(
    n=st.sampled_from(sorted(TABLES)),
    batch=st.integers(1, 140),
    groups=st.integers(1, 4),
    channels=st.integers(1, 150),
    model=st.sampled_from((None, *NOISE_MODELS)),
    threads=st.integers(1, 3),
    by_position=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_linear_layer_is_the_definition(
    n: int, batch: int, groups: int, channels: int, model: NoiseModel | None, threads: int, by_position: bool, seed: int
) -> None:
    torch.set_num_threads(threads)
    with patch.object(prepared, "has_byte_permutations", return_value=by_position and has_byte_permutations()):
        both(signs(seed, batch, groups * n), signs(seed + 1, channels, groups * n), groups, TABLES[n], model)


@LAWS
@given(
    shape=st.sampled_from([(3, 3, 9), (16, 3, 9), (64, 2, 4), (100, 1, 1), (128, 3, 18), (7, 3, 1), (70, 3, 10)]),
    height=st.integers(3, 7),
    width=st.integers(3, 7),
    channels=st.integers(1, 40),
    stride=st.integers(1, 2),
    last=st.booleans(),
    model=st.sampled_from((None, *NOISE_MODELS)),
)
def test_convolution_is_the_definition(
    shape: tuple[int, int, int],
    height: int,
    width: int,
    channels: int,
    stride: int,
    last: bool,
    model: NoiseModel | None,
) -> None:
    inputs, kernel, groups = shape
    n = inputs * kernel**2 // groups
    x, weight = signs(0, 3, inputs, height, width), signs(1, channels, inputs, kernel, kernel)
    if last:
        x = x.to(memory_format=torch.channels_last)
    tables = TABLES.get(n) or tables_for(n)
    reads, threshold = Reads(images=torch.tensor([4, 0, 9])), thresholds(1, n, groups, channels)
    errors = layer_errors(tables, model, groups, channels)
    found, wanted = (
        majority_sum(x, weight, threshold, errors, reads, stride=stride, fused=fused) for fused in (True, False)
    )
    assert torch.equal(found, wanted)
    adc = ADCS[-1]
    errors = layer_errors(tables, model, groups, channels, adc.comparators)
    found, wanted = (
        code_sum(x, weight, adc, errors, reads, groups=groups, stride=stride, fused=fused) for fused in (True, False)
    )
    assert torch.equal(found, wanted)


@pytest.mark.parametrize("model", NOISE_MODELS)
def test_nothing_depends_on_the_number_of_threads(model: NoiseModel) -> None:
    n, groups, channels = 64, 3, 150
    x, weight = signs(0, 333, groups * n), signs(1, channels, groups * n)
    errors, threshold = layer_errors(TABLES[n], model, groups, channels), thresholds(1, n, groups, channels)
    results = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        results.append(majority_sum(x, weight, threshold, errors, Reads(images=torch.arange(333))))
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@pytest.mark.parametrize("name", ["bank", "residual", "total"])
def test_errors_beyond_16_bits_are_taken_in_32(name: str) -> None:
    tables = TABLES[16]
    large = dataclasses.replace(tables, **{name: getattr(tables, name) * 1000})
    assert getattr(large, name).abs().max() > 2**15
    for model in NOISE_MODELS:
        both(signs(0, 9, 32), signs(1, 10, 32), 2, large, model)


@pytest.mark.skipif(not has_byte_permutations(), reason="this processor has no permutations of bytes (AVX-512 VBMI)")
@pytest.mark.parametrize("n", [16, 64, 128, 200])
@pytest.mark.parametrize("model", ["ideal", "mean", "gaussian", "iid", "column"])
def test_loops_over_positions_are_used_where_they_can_be(model: NoiseModel, n: int) -> None:
    with patch.object(prepared, "codes_by_position", side_effect=codes_by_position) as used:
        both(signs(0, 70, 2 * n), signs(1, 10, 2 * n), 2, TABLES[n], model)
    # Not for a converter with a comparator for each threshold, whose offsets differ.
    assert used.call_count == 1 + len(ADCS) - (model == "column")


@pytest.mark.parametrize("n", [128, 200])
@pytest.mark.parametrize("model", ["mean", "gaussian", "iid", "column"])
def test_sums_of_few_conducting_cells_beyond_a_small_table(model: NoiseModel, n: int) -> None:
    """Inputs that mostly or all differ from their weights: 128 and more cells that do not conduct."""
    weight = signs(1, 20, 2 * n)
    x = -weight[:1].repeat(70, 1)
    x[1::2, ::40] *= -1
    both(x, weight, 2, TABLES[n], model)
    both(x, weight[:1].repeat(20, 1), 2, TABLES[n], model)


def test_limits_are_the_draws_at_which_a_code_changes() -> None:
    """Every code of every K and draw, counted from the tables and from the errors themselves."""
    tables, below, step, half = TABLES[100], np.array([[6400, 6400 + 64, 6400 - 3 * 64]], np.int32), 3, 4
    errors = tables.total.numpy()
    steps = np.arange(1 - half, half, dtype=np.int32) * (128 * step)
    made = code_tables(errors, below, steps)
    assert made is not None
    by_kind = made.tables.reshape(-1, 1 + made.cuts, TABLE)
    for column, threshold in enumerate(below[0]):
        z = errors + 128 * np.arange(101)[:, None] - threshold
        wanted = np.clip(np.floor_divide(z, 128 * step), -half, half - 1) + half
        of_column = by_kind[made.which[0, column], :, 100::-1]
        found = of_column[0][:, None] + (np.arange(256)[None, None] > of_column[1:, :, None]).sum(0)
        assert np.array_equal(found, wanted)


def test_tables_that_fall_with_the_draw_have_no_limits() -> None:
    falling = np.arange(256, dtype=np.int32)[None, ::-1].repeat(17, axis=0)
    below, steps = np.zeros((1, 1), np.int32), np.zeros(1, np.int32)
    assert code_tables(falling, below, steps) is None
    assert code_tables(falling[:, ::-1], below, steps) is not None


def test_errors_change_the_result() -> None:
    """The comparisons above can see an error."""
    x, weight = signs(0, 30, 128), signs(1, 20, 128)
    reads, threshold = Reads(images=torch.arange(30)), thresholds(1, 64, 2, 20)
    shifted = dataclasses.replace(TABLES[64], bank=TABLES[64].bank + 300)
    found = {
        model: majority_sum(x, weight, threshold, layer_errors(shifted, model, 2, 20), reads) for model in NOISE_MODELS
    }
    for model in NOISE_MODELS[1:]:
        assert not torch.equal(found[model], found["ideal"])


@pytest.mark.parametrize("model", [None, *(model for model in NOISE_MODELS if model != "cell")])
@pytest.mark.parametrize("shape", [(37, 3, 64), (5, 7, 2, 31), (2, 9, 1, 128)], ids=str)
def test_moments_are_those_of_the_definition(model: NoiseModel | None, shape: tuple[int, ...]) -> None:
    x, weight = signs(0, *shape), signs(1, 20, *shape[-2:])
    errors, reads = layer_errors(TABLES[shape[-1]], model, shape[-2], 20), Reads(images=torch.arange(shape[0]) + 5)
    z = noisy_sums(partial_sums(x, weight), x, errors, reads).long().flatten(0, -3)
    # A place of a window of one is a position; the rows of a column are channels.
    places = x.reshape(len(x), -1, x.shape[-2] * x.shape[-1]).mT[..., None]
    found = fused_moments(places, weight.reshape(20, -1, 1, 1), errors, reads, groups=x.shape[-2])
    assert torch.equal(found, torch.stack([z.sum(0), (z * z).sum(0)]))


# --- packing ---


@LAWS
@given(rows=st.integers(1, 5), groups=st.integers(1, 4), n=st.integers(1, 200), seed=st.integers(0, 100))
def test_rows_become_their_bits(rows: int, groups: int, n: int, seed: int) -> None:
    x = signs(seed, rows, groups * n)
    words = np.full((rows, groups, words_for(n)), 2**63, np.uint64)
    pack_rows(x.numpy(), words, 0, rows)
    bits = np.unpackbits(words.view(np.uint8), axis=-1, bitorder="little")
    assert np.array_equal(bits[..., :n], x.reshape(rows, groups, n).numpy() > 0)
    assert not bits[..., n:].any()
    patterns = np.zeros((2, rows, groups), np.uint64)
    digests(words, patterns, 0, rows)
    for half, wanted in enumerate(digest(x.reshape(rows, groups, n))):
        assert np.array_equal(patterns[half].astype(np.int64), wanted.numpy())


@LAWS
@given(
    channels=st.integers(1, 150),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 2),
    height=st.integers(3, 6),
    split=st.integers(1, 9),
)
def test_windows_of_pixels_are_those_of_patches(
    channels: int, kernel: int, stride: int, height: int, split: int
) -> None:
    inputs = kernel * kernel * channels
    groups = split if inputs % split == 0 else 1
    x = signs(3, 2, channels, height, 5)
    pixels = np.zeros((2, height * 5, words_for(channels)), np.uint64)
    pack_images(x.reshape(2, channels, -1).numpy(), pixels, 0, 2)
    high, wide = (height - kernel) // stride + 1, (5 - kernel) // stride + 1
    words = np.zeros((2, high, wide, groups, words_for(inputs // groups)), np.uint64)
    cut_windows(pixels.reshape(2, height, 5, -1), channels, kernel, stride, inputs // groups, words, 0, 2)
    rows = patches(x, kernel=kernel, stride=stride).reshape(-1, inputs)
    wanted = np.zeros((len(rows), groups, words.shape[-1]), np.uint64)
    pack_rows(rows.numpy(), wanted, 0, len(rows))
    assert np.array_equal(words.reshape(wanted.shape), wanted)


# --- what is refused ---


def test_errors_of_other_columns_are_refused() -> None:
    reads, threshold = Reads(images=torch.arange(3)), torch.full((2, 5), -1.0)
    x, weight = signs(0, 3, 128), signs(1, 5, 128)
    for errors in (
        layer_errors(TABLES[63], "iid", 2, 5),
        layer_errors(TABLES[64], "column", 2, 6),
        layer_errors(TABLES[64], "mean", 1, 5),
    ):
        with pytest.raises(InputError, match="3 inputs to 2 x 5 columns of 64 rows, but errors of"):
            majority_sum(x, weight, threshold, errors, reads)
    errors = layer_errors(TABLES[64], "iid", 2, 5)
    with pytest.raises(InputError, match="columns of 64 rows and 4 images; make the errors for this layer"):
        majority_sum(x, weight, threshold, errors, Reads(images=torch.arange(4)))
    with pytest.raises(InputError, match="cannot be cut into 3 columns an output"):
        majority_sum(x, weight, torch.zeros(3, 5), None, None)
    with pytest.raises(InputError, match=r"inputs \(3, 128\) and weights \(5, 64\) cannot be cut"):
        majority_sum(x, signs(1, 5, 64), threshold, None, None)
