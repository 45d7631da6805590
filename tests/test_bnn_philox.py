"""Random bits: the published generator, on integers and tensors alike, and uniform."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import Tensor

from prcim.bnn.philox import draws8, draws16, philox

LAWS = settings(derandomize=True, deadline=None, max_examples=100)
WORD = st.integers(0, 2**32 - 1)
FOUR = st.tuples(WORD, WORD, WORD, WORD)
#: Had the fixed seeds been drawn, a right generator would fail one statistical test in a million.
FALSE_ALARM = 1e-6

# Random123 1.14, tests/kat_vectors, philox4x32 with 7 rounds: counter, key, result.
PUBLISHED = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "5f6fb709 0d893f64 4f121f81 4f730a48"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "5207ddc2 45165e59 4d8ee751 8c52f662"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "4dfccaba 190a87f0 c47362ba b6b5242a"),
]


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


def tensor(word: int) -> Tensor:
    return torch.tensor(word, dtype=torch.int64)


def on_integers(counter: tuple[int, int, int, int], key: tuple[int, int]) -> list[int]:
    return list(philox(counter, key))


def on_tensors(counter: tuple[int, int, int, int], key: tuple[int, int]) -> list[int]:
    c0, c1, c2, c3 = counter
    return [int(word) for word in philox((tensor(c0), tensor(c1), tensor(c2), tensor(c3)), key)]


@pytest.mark.parametrize(("counter", "key", "result"), PUBLISHED)
def test_published_vectors(counter: str, key: str, result: str) -> None:
    c0, c1, c2, c3 = words(counter)
    k0, k1 = words(key)
    assert on_integers((c0, c1, c2, c3), (k0, k1)) == words(result)
    assert on_tensors((c0, c1, c2, c3), (k0, k1)) == words(result)


@LAWS
@given(counter=FOUR, key=st.tuples(WORD, WORD))
def test_tensors_and_integers_agree(counter: tuple[int, int, int, int], key: tuple[int, int]) -> None:
    assert on_tensors(counter, key) == on_integers(counter, key)


@LAWS
@given(counter=FOUR, other=FOUR, key=st.tuples(WORD, WORD))
def test_one_key_never_maps_two_counters_to_the_same_words(
    counter: tuple[int, int, int, int], other: tuple[int, int, int, int], key: tuple[int, int]
) -> None:
    assert (on_integers(counter, key) == on_integers(other, key)) == (counter == other)


def test_counters_broadcast() -> None:
    rows = torch.arange(3)[:, None]
    columns = torch.tensor([7, 2**32 - 1, 5, 0])
    result = philox((rows, columns, tensor(9), tensor(11)), (1, 2))
    stacked = torch.stack(torch.broadcast_tensors(*result), dim=-1)
    assert stacked.shape == (3, 4, 4)
    for i in range(3):
        for j in range(4):
            assert stacked[i, j].tolist() == on_integers((i, int(columns[j]), 9, 11), (1, 2))


@LAWS
@given(counter=FOUR, key=st.tuples(WORD, WORD))
def test_draws_are_halves_of_words_low_before_high(counter: tuple[int, int, int, int], key: tuple[int, int]) -> None:
    c0, c1, c2, c3 = counter
    draws = draws16((tensor(c0), tensor(c1), tensor(c2), tensor(c3)), key).tolist()
    assert draws == [half for word in philox(counter, key) for half in (word & 0xFFFF, word >> 16)]


@LAWS
@given(counter=FOUR, key=st.tuples(WORD, WORD))
def test_narrow_draws_are_bytes_of_words_lowest_first(counter: tuple[int, int, int, int], key: tuple[int, int]) -> None:
    c0, c1, c2, c3 = counter
    draws = draws8((tensor(c0), tensor(c1), tensor(c2), tensor(c3)), key).tolist()
    assert draws == [byte for word in philox(counter, key) for byte in word.to_bytes(4, "little")]


def test_draws_have_eight_lanes_for_each_counter() -> None:
    zero = tensor(0)
    draws = draws16((torch.arange(6).reshape(2, 3), zero, zero, zero), (0, 0))
    assert draws.shape == (2, 3, 8)
    assert draws[1, 2].tolist() == draws16((tensor(5), zero, zero, zero), (0, 0)).tolist()


@pytest.fixture(scope="module")
def lanes() -> Tensor:
    """Draws of consecutive counters, as layers use them, shape (2^16, 8)."""
    zero = tensor(0)
    return draws16((torch.arange(2**16), zero, zero, zero), (1, 2))


def test_draws_are_uniform_in_every_lane_and_byte(lanes: Tensor) -> None:
    for lane in range(8):
        for byte in (lanes[:, lane] >> 8, lanes[:, lane] & 0xFF):
            counts = np.bincount(byte.numpy(), minlength=256)
            assert chisquare(counts).pvalue > FALSE_ALARM / 16


def test_lanes_and_neighbouring_counters_are_independent(lanes: Tensor) -> None:
    """Pairs of top four bits are uniform: of any two lanes, and of one lane at counters that follow each other."""
    top = (lanes >> 12).numpy()
    pairs = [(top[:, a], top[:, b]) for a in range(8) for b in range(a)]
    pairs += [(top[:-1, lane], top[1:, lane]) for lane in range(8)]
    for first, second in pairs:
        assert chisquare(np.bincount(first * 16 + second, minlength=256)).pvalue > FALSE_ALARM / len(pairs)


@pytest.mark.parametrize("bit", [0, 31, 32, 63, 64, 95, 96, 127, 128, 159, 160, 191])
def test_any_flipped_bit_of_counter_or_key_turns_half_of_the_result(bit: int) -> None:
    turned = 0
    for trial in range(64):
        given_words = [trial, 3, 1, 4, 1, 5]
        c0, c1, c2, c3, k0, k1 = given_words
        before = on_integers((c0, c1, c2, c3), (k0, k1))
        given_words[bit // 32] ^= 1 << bit % 32
        c0, c1, c2, c3, k0, k1 = given_words
        after = on_integers((c0, c1, c2, c3), (k0, k1))
        turned += sum((a ^ b).bit_count() for a, b in zip(before, after, strict=True))
    # Binomial over 64 x 128 bits: sd 45; five of them, at 12 bits, are passed with a probability of 7e-6.
    assert abs(turned - 4096) < 5 * 45.3
