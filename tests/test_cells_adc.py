"""From voltages to codes: flash and successive approximation; a trimmed reference."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from prcim.cells.mismatch import Mismatch
from prcim.cells.readouts.readout import Adc, SenseAmplifier
from prcim.cells.readouts.reference import Trim
from prcim.errors import InputError

LAWS = settings(derandomize=True, deadline=None, max_examples=60)
MISMATCH = Mismatch()


def falling_thresholds_v(adc: Adc, n_used: int, slope_v: float = 2e-3) -> np.ndarray:
    """A straight transfer curve from 1 V at S = 0."""
    return 1.0 - slope_v * np.array(adc.thresholds(n_used))


@LAWS
@given(bits=st.integers(1, 8), step=st.sampled_from([2, 4, 6]), n_used=st.integers(1, 256))
def test_both_kinds_give_the_code_whose_range_holds_the_sum(bits: int, step: int, n_used: int) -> None:
    sums = np.arange(-n_used, n_used + 1, 2)
    for kind in ("sar", "flash"):
        adc = Adc(bits=bits, step=step, kind=kind)
        number = adc.codes(np.array(1.0 - 2e-3 * sums, dtype=np.float64), falling_thresholds_v(adc, n_used))
        wanted = np.clip(np.floor((sums - adc.first_threshold(n_used)) / step) + 2**bits // 2, 0, 2**bits - 1)
        np.testing.assert_array_equal(number, wanted)
        levels = np.array(adc.levels(n_used))[number]
        inside = (number > 0) & (number < 2**bits - 1)
        assert np.all(np.abs(levels - sums)[inside] < step / 2)


def test_one_offset_shifts_every_threshold_of_a_sar_and_each_of_a_flash_has_its_own() -> None:
    sar, flash = (Adc(bits=5, kind=kind).draw_offsets_v(MISMATCH, 4000, (20, 1)) for kind in ("sar", "flash"))
    sigma_v = SenseAmplifier().offset_sigma_v(MISMATCH)
    assert sar.shape == flash.shape == (4000, 31)
    assert np.ptp(sar, axis=1).max() == 0
    # Two-sided tests at 1e-4 each; the draws are fixed.
    assert stats.kstest(sar[:, 0] / sigma_v, "norm").pvalue > 1e-4
    assert stats.kstest(flash.ravel() / sigma_v, "norm").pvalue > 1e-4
    correlation = np.asarray(np.corrcoef(flash.T))[np.triu_indices(31, 1)]
    assert np.abs(correlation).max() < stats.norm.isf(1e-4 / 2 / len(correlation)) / math.sqrt(4000)
    again = Adc(bits=5, kind="flash").draw_offsets_v(MISMATCH, 4000, (20, 1))
    np.testing.assert_array_equal(flash, again)
    assert np.any(Adc(bits=5, kind="flash").draw_offsets_v(MISMATCH, 4000, (20, 2)) != flash)


def test_flash_counts_comparators_that_are_out_of_order() -> None:
    """Offsets swap two thresholds: a voltage between them passes the one, not the other, and a flash counts one."""
    flash, sar = Adc(bits=2, kind="flash"), Adc(bits=2)
    thresholds_v = np.array([0.90, 0.95, 0.80])
    for v, count in ((1.0, 0), (0.93, 1), (0.85, 2), (0.7, 3)):
        assert int(flash.codes(np.array(v), thresholds_v)) == count
    # A SAR begins in the middle, so the same thresholds lead it elsewhere.
    assert int(sar.codes(np.array(0.93), thresholds_v)) == 2


def test_offsets_of_a_flash_average_out_and_those_of_a_sar_do_not() -> None:
    """Mean error of the code over all sums of a column: that of a SAR is its offset, that of a flash is small."""
    slope_v, n_used = 5e-3, 64
    sums = np.arange(-40, 41, 2)
    spread = {}
    for kind in ("sar", "flash"):
        adc = Adc(bits=6, step=2, kind=kind)
        offsets_v = adc.draw_offsets_v(MISMATCH, 500, (20, 3))
        thresholds_v = falling_thresholds_v(adc, n_used, slope_v) + offsets_v[:, None, :]
        number = adc.codes(np.broadcast_to(1.0 - slope_v * sums, (500, len(sums))), thresholds_v)
        spread[kind] = (np.array(adc.levels(n_used))[number] - sums).mean(axis=1).std()
    offset_mac = SenseAmplifier().offset_sigma_v(MISMATCH) / slope_v
    # 500 columns: a standard deviation is known to 3.2 %.
    assert spread["sar"] == pytest.approx(offset_mac, rel=0.15)
    assert spread["flash"] < 0.4 * spread["sar"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"kind": "pipeline"}, "kind is 'pipeline'"),
        ({"kind": "flash", "bits": 9}, "bits is 9; a flash ADC has at most 8"),
    ],
)
def test_refused_kinds(given: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Adc(**given)  # type: ignore[arg-type]


@LAWS
@given(bits=st.integers(1, 12), range_v=st.floats(1e-3, 1.9), wanted_v=st.floats(-4, 4))
def test_trim_makes_the_nearest_of_its_steps(bits: int, range_v: float, wanted_v: float) -> None:
    trim = Trim(bits=bits, range_v=range_v)
    real_v = trim.realised_v(wanted_v)
    grid_v = np.linspace(-range_v, range_v, 2**bits)
    assert np.abs(grid_v - real_v).min() < 1e-9
    assert abs(real_v - wanted_v) <= np.abs(grid_v - wanted_v).min() + 1e-9
    if abs(wanted_v) <= range_v:
        assert abs(real_v - wanted_v) <= trim.step_v / 2 + 1e-9


@pytest.mark.parametrize(
    ("given", "words"), [({"bits": 0}, "trim_bits is 0"), ({"range_v": 0.0}, "trim_range_v is 0.0 V")]
)
def test_refused_trims(given: dict[str, float], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Trim(**given)  # type: ignore[arg-type]
