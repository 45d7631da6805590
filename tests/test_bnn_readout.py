"""Read-outs: thresholds lie between sums, votes are never undecided, codes are what a list of thresholds gives."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import make_tables, only, unit_gains
from torch import Tensor

from prcim.bnn.column_layers import ColumnLinear
from prcim.bnn.column_sum import CodeSum, MajoritySum
from prcim.bnn.noise import Reads, VirtualChip
from prcim.bnn.tables import UNIT
from prcim.cells.mismatch import Mismatch
from prcim.cells.readouts.readout import Adc, Majority, SenseAmplifier
from prcim.errors import InputError

LAWS = settings(derandomize=True, deadline=None, max_examples=80)
ADC = st.builds(Adc, bits=st.integers(1, 9), step=st.sampled_from([2, 4, 6, 10]))


def all_sums(n: int) -> tuple[Tensor, Tensor]:
    """Inputs (n + 1, 1, n) that give every sum -n, -n + 2 .. n with the weights (1, 1, n)."""
    return torch.where(torch.arange(n) < torch.arange(n + 1)[:, None], 1.0, -1.0)[:, None], torch.ones(1, 1, n)


def codes(adc: Adc, n: int) -> list[int]:
    """The code of every sum on a column without errors."""
    x, weight = all_sums(n)
    result: Tensor = CodeSum.apply(x, weight, adc, None, None)  # type: ignore[no-untyped-call]
    return [int(code) for code in result.flatten()]


def layer(n: int, groups: int, readout: Majority) -> ColumnLinear:
    generator = torch.Generator().manual_seed(0)
    return ColumnLinear(n * groups, 1, index=0, rows=n, n_used=n, readout=readout, generator=generator)


# --- one bit ---


@LAWS
@given(n=st.integers(1, 512), bits=st.integers(0, 10))
def test_reference_dac_has_its_levels_midway_between_sums(n: int, bits: int) -> None:
    low, high = Majority(dac_bits=bits).threshold_range(n)
    assert (low - n) % 2 == 1
    assert (high - low) // 2 + 1 == 2**bits
    assert abs(low + high) <= 2
    assert low <= -1 <= high or low <= 0 <= high


@LAWS
@given(n=st.integers(1, 70), bits=st.integers(0, 8), seed=st.integers(0, 1000))
def test_realised_thresholds_are_the_nearest_of_the_dac(n: int, bits: int, seed: int) -> None:
    readout = Majority(dac_bits=bits)
    column = layer(n, 64, readout)
    wanted = 1.5 * n * torch.randn(64, 1, generator=torch.Generator().manual_seed(seed))
    column.threshold.data.copy_(wanted)
    low, high = readout.threshold_range(n)
    grid = np.arange(low, high + 1, 2)
    real = column.realised().detach().numpy()
    # Exactly on the grid: a threshold that missed it by a rounding would be cut down to the sum below.
    assert np.isin(real, grid).all()
    distance = np.abs(grid - wanted.numpy()).min(axis=1)
    assert np.allclose(np.abs(real - wanted.numpy())[:, 0], distance, atol=1e-4)


@pytest.mark.parametrize("bits", [0, 5])
def test_gradient_of_a_realised_threshold_passes_straight_through(bits: int) -> None:
    column = layer(64, 3, Majority(dac_bits=bits))
    column.threshold.data.copy_(torch.tensor([[0.3], [-7.0], [500.0]]))
    (column.realised() * torch.tensor([[1.0], [2.0], [3.0]])).sum().backward()
    assert column.threshold.grad is not None
    assert column.threshold.grad.flatten().tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("n", [1, 2, 7, 8, 63, 64])
@pytest.mark.parametrize("bits", [0, 1, 5])
def test_training_starts_from_a_column_that_votes_by_the_sign_of_its_sum(n: int, bits: int) -> None:
    column = layer(n, 1, Majority(dac_bits=bits))
    x, weight = all_sums(n)
    votes: Tensor = MajoritySum.apply(x, weight, column.realised(), None, None)  # type: ignore[no-untyped-call]
    assert votes.flatten().tolist() == [1.0 if mac >= 0 else -1.0 for mac in range(-n, n + 1, 2)]


def test_tie_of_votes_is_plus_one() -> None:
    column = layer(8, 2, Majority())
    column.weight.data.fill_(1.0)
    halves = torch.ones(2, 16)
    halves[0, 8:] = -1
    halves[1] = -1
    assert column(halves, None, None).flatten().tolist() == [1.0, -1.0]


def test_sum_that_errs_onto_a_threshold_counts_as_above_it() -> None:
    """Analog sums are multiples of 2^-6, so that they can meet a threshold, which exact sums cannot."""
    x, weight = all_sums(8)
    reads = Reads(images=torch.arange(9))
    for units, votes_of_minus_two in ((UNIT, 1.0), (UNIT - 1, -1.0)):
        tables = unit_gains(only(make_tables(n_used=8), "bank"))
        tables.bank.fill_(units)
        errors = VirtualChip(tables=tables, model="column", number=0).layer(0, groups=1, channels=1)
        votes: Tensor = MajoritySum.apply(  # type: ignore[no-untyped-call]
            x, weight, torch.tensor([[-1.0]]), errors, reads
        )
        assert votes.flatten().tolist()[3:5] == [votes_of_minus_two, 1.0]
        code: Tensor = CodeSum.apply(x, weight, Adc(step=2), errors, reads)  # type: ignore[no-untyped-call]
        assert code.flatten().tolist()[3:5] == [votes_of_minus_two - 1, votes_of_minus_two + 1]


# --- codes ---


@LAWS
@given(n=st.integers(1, 130), adc=ADC)
def test_code_is_the_level_between_the_thresholds_around_the_sum(n: int, adc: Adc) -> None:
    half = 2**adc.bits // 2
    thresholds = [adc.first_threshold(n) + adc.step * k for k in range(1 - half, half)]
    assert not set(thresholds) & set(range(-n, n + 1, 2))
    levels = adc.levels(n)
    assert len(levels) == len(thresholds) + 1
    below = np.searchsorted(thresholds, range(-n, n + 1, 2))
    assert codes(adc, n) == [levels[i] for i in below]


@LAWS
@given(adc=ADC, n=st.integers(1, 130))
def test_levels_lie_midway_between_their_thresholds(adc: Adc, n: int) -> None:
    levels = adc.levels(n)
    assert {b - a for a, b in itertools.pairwise(levels)} == {adc.step}
    assert levels[len(levels) // 2] - adc.step // 2 == adc.first_threshold(n)


@pytest.mark.parametrize("n", [1, 2, 31, 63, 64])
def test_seven_bits_of_step_two_give_the_sum_itself(n: int) -> None:
    adc = Adc(bits=7, step=2)
    assert codes(adc, n) == list(range(-n, n + 1, 2))


def test_codes_clip_at_both_ends() -> None:
    adc = Adc(bits=3, step=4)
    result = codes(adc, 64)
    assert (result[0], result[-1]) == (min(adc.levels(64)), max(adc.levels(64))) == (-15, 13)
    assert result.count(-15) > 8
    assert result.count(13) > 8


@LAWS
@given(n=st.integers(1, 130), adc=ADC)
def test_code_within_the_range_errs_by_less_than_half_a_step_and_rises_with_the_sum(n: int, adc: Adc) -> None:
    result = codes(adc, n)
    assert result == sorted(result)
    low, high = adc.levels(n)[0], adc.levels(n)[-1]
    for mac, code in zip(range(-n, n + 1, 2), result, strict=True):
        if low < mac < high:
            assert abs(code - mac) < max(adc.step / 2, 1)


# --- the comparator, and what is refused ---


def test_offset_shrinks_with_the_root_of_the_area() -> None:
    small, large = SenseAmplifier(w_m=1e-6), SenseAmplifier(w_m=4e-6)
    assert small.offset_sigma_v(Mismatch()) == pytest.approx(2 * large.offset_sigma_v(Mismatch()))


def test_what_no_read_out_has_is_refused() -> None:
    for bits in (-1, 11):
        with pytest.raises(InputError, match=f"dac_bits is {bits}; a reference DAC has 0 to 10 bits"):
            Majority(dac_bits=bits)
    for bits in (0, 13):
        with pytest.raises(InputError, match=f"bits is {bits}; an ADC has 1 to 12"):
            Adc(bits=bits)
    for step in (-2, 0, 1, 3):
        with pytest.raises(InputError, match=f"step is {step}; it must be even and at least 2"):
            Adc(step=step)
