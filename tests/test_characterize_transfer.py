"""The transfer curve and its inverse."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from prcim.characterize.transfer import TransferCurve
from prcim.errors import RunError

CHEAP = settings(derandomize=True, deadline=None)


@st.composite
def curves(draw: st.DrawFn) -> TransferCurve:
    """Falling curves whose slopes are within a factor of two of each other, at unevenly spaced sums."""
    count = draw(st.integers(3, 33))
    steps_v = draw(arrays(np.float64, count - 1, elements=st.floats(1e-3, 2e-3)))
    gaps = draw(arrays(np.int64, count - 1, elements=st.integers(2, 3)))
    mac = np.concatenate([[0], np.cumsum(2.0 * gaps)])
    # A step per unit of the sum, so that uneven gaps do not bend the curve further.
    v_bl_v = 1.1 - np.concatenate([[0], np.cumsum(steps_v * gaps)])
    return TransferCurve(mac=mac - mac[-1] / 2, v_bl_v=v_bl_v)


@CHEAP
@given(curve=curves())
def test_inverse_is_exact_at_the_nodes(curve: TransferCurve) -> None:
    np.testing.assert_allclose(curve.mac_at(curve.v_bl_v), curve.mac, atol=1e-9)


@CHEAP
@given(curve=curves())
def test_inverse_is_monotone(curve: TransferCurve) -> None:
    margin_v = 0.2 * np.ptp(curve.v_bl_v)
    grid_v = np.linspace(curve.v_bl_v[-1] - margin_v, curve.v_bl_v[0] + margin_v, 997)
    mac = curve.mac_at(grid_v)
    assert np.all(np.diff(mac) <= 1e-9)
    # Between two nodes it stays between their sums.
    inside = (grid_v <= curve.v_bl_v[0]) & (grid_v >= curve.v_bl_v[-1])
    straight = np.interp(-grid_v[inside], -curve.v_bl_v, curve.mac)
    assert np.all(np.abs(mac[inside] - straight) <= np.diff(curve.mac).max())


@CHEAP
@given(curve=curves())
def test_inverse_goes_on_in_a_straight_line(curve: TransferCurve) -> None:
    span_v = np.ptp(curve.v_bl_v)
    for end, outward in ((0, 1.0), (-1, -1.0)):
        outside_v = curve.v_bl_v[end] + outward * span_v * np.array([0, 0.1, 0.2, 0.3])
        steps = np.diff(curve.mac_at(outside_v))
        np.testing.assert_allclose(steps, steps[0], rtol=1e-9, atol=1e-9)
        # The slope is that of the last segment, so it is never zero.
        inner = 1 if end == 0 else -2
        slope = (curve.mac[end] - curve.mac[inner]) / (curve.v_bl_v[end] - curve.v_bl_v[inner])
        assert steps[0] / (outward * span_v * 0.1) == pytest.approx(slope, rel=1e-6)


@CHEAP
@given(mac_step=st.integers(1, 8), slope_v=st.floats(1e-4, 0.1), count=st.integers(3, 65))
def test_straight_curve_has_a_straight_inverse(mac_step: int, slope_v: float, count: int) -> None:
    mac = mac_step * np.arange(float(count))
    curve = TransferCurve(mac=mac, v_bl_v=1.1 - slope_v * mac)
    wanted = np.linspace(-20, mac[-1] + 20, 31).reshape(1, 31, 1)
    found = curve.mac_at(1.1 - slope_v * wanted)
    assert found.shape == (1, 31, 1)
    np.testing.assert_allclose(found, wanted, atol=1e-7)
    np.testing.assert_allclose(curve.slope_v, slope_v, rtol=1e-6)
    assert curve.step_ratio == pytest.approx(1, rel=1e-6)


def test_slope_is_that_of_a_known_curve() -> None:
    mac = np.arange(-64.0, 65.0, 2.0)
    curve = TransferCurve(mac=mac, v_bl_v=np.exp(-0.005 * (mac + 64)))
    np.testing.assert_allclose(curve.slope_v, 0.005 * curve.v_bl_v, rtol=1e-2)
    assert curve.step_ratio == pytest.approx(np.exp(-0.005 * 126))
    between = mac[:-1] + 0.7
    np.testing.assert_allclose(curve.mac_at(np.exp(-0.005 * (between + 64))), between, atol=1e-3)


def test_step_ratio_is_per_unit_of_the_sum() -> None:
    curve = TransferCurve(mac=np.array([0.0, 2.0, 6.0]), v_bl_v=np.array([1.0, 0.9, 0.8]))
    assert curve.step_ratio == pytest.approx(0.5)


def test_step_ratio_of_a_curve_that_bends_at_both_ends() -> None:
    """The difference of two lines is odd: its last step is as long as its first, whatever lies between them."""
    mac = np.arange(-64.0, 65.0, 8.0)
    curve = TransferCurve(mac=mac, v_bl_v=-1e-3 * mac - 1e-7 * mac**3)
    steps = -np.diff(curve.v_bl_v)
    assert steps[0] == pytest.approx(steps[-1])
    assert curve.step_ratio == pytest.approx(steps[8] / steps[0])
    assert TransferCurve(mac=mac, v_bl_v=-np.arctan(mac / 64)).step_ratio < 0.6


@pytest.mark.parametrize("v_bl_v", [[1.0, 1.0, 0.9], [0.9, 1.0, 1.1], [1.0, 0.8, 0.9], [1.0, np.nan, 0.9]])
def test_curve_that_does_not_fall_is_refused(v_bl_v: list[Any]) -> None:
    values: NDArray[np.float64] = np.array(v_bl_v)
    with pytest.raises(RunError, match=r"does not fall from each sum to the next; raise v_wl_v or swing_v"):
        TransferCurve(mac=np.array([0.0, 2.0, 4.0]), v_bl_v=values)
