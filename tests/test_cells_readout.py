"""Read-outs: thresholds lie midway between sums, codes cover the range."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prcim.cells.mismatch import Mismatch
from prcim.cells.readouts.readout import Adc, Majority, SenseAmplifier
from prcim.errors import InputError

CHEAP = settings(derandomize=True, deadline=None)


@pytest.mark.parametrize(("w_um", "sigma_mv"), [(0.5, 19), (1.0, 14), (2.0, 10)])
def test_offset_of_an_amplifier(w_um: float, sigma_mv: float) -> None:
    """Published: input pairs of 0.5, 1 and 2 um at 65 nm have offsets of 19, 14 and 10 mV."""
    mismatch = Mismatch()
    amplifier = SenseAmplifier(w_m=w_um * 1e-6)
    assert amplifier.offset_sigma_v(mismatch) == pytest.approx(sigma_mv * 1e-3, abs=0.5e-3)
    assert amplifier.offset_sigma_v(mismatch) == pytest.approx(2**0.5 * mismatch.sigma_vt_v(w_um * 1e-6, 65e-9))


@CHEAP
@given(n_used=st.integers(1, 1024), bits=st.integers(0, 10))
def test_majority_thresholds_lie_between_sums(n_used: int, bits: int) -> None:
    low, high = Majority(dac_bits=bits).threshold_range(n_used)
    thresholds = np.arange(low, high + 1, 2)
    assert len(thresholds) == 2**bits
    # Sums have the parity of n_used, so thresholds have the other one.
    assert np.all((thresholds - n_used) % 2 == 1)
    # Centred as well as an even number of steps can be.
    assert abs(low + high) / 2 <= 1


@CHEAP
@given(n_used=st.integers(1, 1024), bits=st.integers(1, 12), step=st.integers(1, 16).map(lambda half: 2 * half))
def test_adc_codes_stand_for_the_sums_between_their_thresholds(n_used: int, bits: int, step: int) -> None:
    adc = Adc(bits=bits, step=step)
    levels = np.array(adc.levels(n_used))
    first = adc.first_threshold(n_used)
    assert len(levels) == 2**bits
    assert (first - n_used) % 2 == 1
    assert np.all(np.diff(levels) == step)
    # The code number 0 of the upper half is the one just above the first threshold.
    assert levels[2**bits // 2] - first == step / 2
    sums = np.arange(-n_used, n_used + 1, 2)
    codes = np.clip(np.floor((sums - first) / step).astype(int) + 2**bits // 2, 0, 2**bits - 1)
    inside = np.abs(sums - first) < step * 2**bits / 2
    assert np.all(np.abs(levels[codes] - sums)[inside] <= step / 2)
    # A threshold on a sum would flip with the slightest noise.
    assert not np.any((sums - first) % step == 0)


def test_finest_adc_gives_every_sum_back() -> None:
    assert set(range(-64, 65, 2)) <= set(Adc(bits=7, step=2).levels(64)) | {64}
    assert set(range(-9, 10, 2)) <= set(Adc(bits=4, step=2).levels(9))


@pytest.mark.parametrize("bits", [-1, 11])
def test_refused_majorities(bits: int) -> None:
    with pytest.raises(InputError, match=f"dac_bits is {bits}; a reference DAC has 0 to 10 bits"):
        Majority(dac_bits=bits)


@pytest.mark.parametrize(
    ("bits", "step", "words"), [(0, 2, "bits is 0"), (13, 2, "bits is 13"), (5, 3, "step is 3"), (5, 0, "step is 0")]
)
def test_refused_adcs(bits: int, step: int, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Adc(bits=bits, step=step)


def test_names() -> None:
    assert (Majority().name, Adc().name) == ("majority", "adc")
