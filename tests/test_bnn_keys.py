"""Keys and counters: every stream apart from every other, each as the layout in prcim.bnn.keys says."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from prcim.bnn.keys import Purpose, column_blocks, column_draws, digest, make_key, per_channel
from prcim.bnn.philox import philox

LAWS = settings(derandomize=True, deadline=None, max_examples=60)


def random_inputs(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def as_numbers(halves: tuple[Tensor, Tensor]) -> list[tuple[int, int]]:
    low, high = halves
    return list(zip(low.flatten().tolist(), high.flatten().tolist(), strict=True))


# --- keys ---


def test_streams_have_keys_of_their_own() -> None:
    seeds = (0, 1, 2, 2**32 - 1, 2**32, 2**40)
    streams = list(itertools.product(seeds, Purpose, range(8), range(4), range(3)))
    keys = {make_key(seed=s, purpose=p, chip=c, layer=n, step=t) for s, p, c, n, t in streams}
    assert len(keys) == len(streams)


def test_key_is_folded_as_the_layout_says() -> None:
    key = (0, 0)
    for value in (2**33 + 5, 4, 17, 2, 1):
        key = philox((value % 2**32, value // 2**32, 0, 0), key)[:2]
    assert make_key(seed=2**33 + 5, purpose=Purpose.READ, chip=17, layer=2, step=1) == key


def test_purposes_are_numbered_apart() -> None:
    assert len({int(purpose) for purpose in Purpose}) == len(Purpose) == 6


# --- columns ---


@LAWS
@given(groups=st.integers(1, 5), channels=st.integers(1, 40))
def test_column_draw_is_where_the_layout_says(groups: int, channels: int) -> None:
    key = make_key(seed=3, purpose=Purpose.COLUMN, chip=5, layer=1)
    draws = column_draws(key, groups=groups, channels=channels)
    assert draws.shape == (groups, channels)
    blocks = -(-channels // 8)
    for group, channel in itertools.product(range(groups), range(channels)):
        word = philox((group * blocks + channel // 8, 0, 0, 0), key)[channel % 8 // 2]
        assert draws[group, channel] == (word >> 16 if channel % 2 else word & 0xFFFF)


@LAWS
@given(groups=st.integers(1, 9), channels=st.integers(1, 99), each=st.sampled_from([8, 16]))
def test_blocks_are_counted_without_gap(groups: int, channels: int, each: int) -> None:
    blocks = column_blocks(groups=groups, channels=channels, each=each)
    assert blocks.shape[0] == groups
    assert 0 <= blocks.shape[1] * each - channels < each
    assert blocks.flatten().tolist() == list(range(blocks.numel()))


def test_channels_take_lanes_in_order_and_the_last_block_is_cut() -> None:
    draws = torch.arange(2 * 3 * 8).reshape(2, 3, 8)
    assert per_channel(draws, 19).tolist() == [list(range(19)), list(range(24, 43))]


# --- digest ---


@LAWS
@given(n=st.integers(1, 200), seed=st.integers(0, 99))
def test_digest_is_folded_as_the_layout_says(n: int, seed: int) -> None:
    inputs = random_inputs(n, seed=seed)
    packed = sum(1 << i for i, x in enumerate(inputs.tolist()) if x > 0)
    folded = (0, 0)
    for j in range(-(-n // 64)):
        word = packed >> 64 * j
        folded = philox((word % 2**32, (word >> 32) % 2**32, *folded), (0, 0))[:2]
    assert as_numbers(digest(inputs)) == [folded]


@pytest.mark.parametrize("n", [1, 2, 31, 32, 33, 63, 64, 65, 96, 127, 128, 129, 192, 200])
def test_one_flipped_input_changes_the_digest(n: int) -> None:
    inputs = random_inputs(n)
    flipped = inputs * (1 - 2 * torch.eye(n, dtype=torch.int64))
    assert len({*as_numbers(digest(inputs)), *as_numbers(digest(flipped))}) == n + 1


@LAWS
@given(n=st.integers(1, 200))
def test_equal_inputs_have_equal_digests_whatever_stands_beside_them(n: int) -> None:
    inputs = random_inputs(6, n, seed=n)
    inputs[4] = inputs[1]
    together = as_numbers(digest(inputs))
    assert together[4] == together[1]
    assert together == [as_numbers(digest(row))[0] for row in inputs]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int8, torch.int32, torch.bfloat16])
def test_digest_depends_on_values_not_on_their_type(dtype: torch.dtype) -> None:
    inputs = random_inputs(5, 100)
    assert as_numbers(digest(inputs.to(dtype))) == as_numbers(digest(inputs))


def test_digest_keeps_the_leading_shape_and_fits_two_words() -> None:
    low, high = digest(random_inputs(3, 4, 70))
    assert low.shape == high.shape == (3, 4)
    assert all(int(half.min()) >= 0 and int(half.max()) < 2**32 for half in (low, high))


def test_a_hundred_thousand_vectors_have_digests_of_their_own() -> None:
    # Two of 10^5 random 64-bit words are equal with a probability of 3e-10, in the inputs as in the digests.
    digests = as_numbers(digest(random_inputs(100_000, 64)))
    assert len(set(digests)) == 100_000
    # Each half alone: 10^10 / 2 / 2^32 = 1.2 equal pairs are expected, more than 12 come once in 10^9 times.
    assert all(len(set(half)) > 100_000 - 12 for half in zip(*digests, strict=True))
