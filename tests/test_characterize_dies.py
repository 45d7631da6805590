"""Where the thresholds of a die come from: fixed, trimmed on the die, or its replicas. On straight curves by hand."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from prcim.characterize.dies import die_curves
from prcim.characterize.plan import Plan
from prcim.characterize.transfer import TransferCurve

N, SWING_V, DIES = 16, 0.16, 60
PLAN = Plan(name="p").changed([f"rows={N}", "sums=9", "sampling.columns=8", "patterns=4", f"chips={DIES}"])
MAC = 2.0 * np.array(PLAN.n_on) - N
#: Volts that one unit of S moves the line.
STEP_V = SWING_V / (2 * N)
GAIN = np.concatenate([[1.0], np.exp(0.15 * np.random.default_rng(3).standard_normal(DIES))])

Floats = NDArray[np.float64]


def line_v(gain: float | Floats) -> Floats:
    """A column whose cells draw `gain` times the nominal current, shape (..., sums)."""
    return np.asarray(1.1 - 1e-6 - np.asarray(gain)[..., None] * STEP_V * (MAC + N))


def curves(*changes: str) -> tuple[Floats, Floats, Floats]:
    chip, sums = np.meshgrid(np.arange(DIES + 1), MAC, indexing="ij")
    chips = pd.DataFrame({"chip": chip.ravel(), "mac": sums.ravel(), "v_bl_v": line_v(GAIN).ravel(), "status": "ok"})
    # Eight columns without mismatch of their own: replicas then know the die exactly.
    v_bl_v = np.broadcast_to(line_v(1.0), (8, 4, len(MAC)))
    curve = TransferCurve(mac=MAC, v_bl_v=line_v(1.0))
    dies = die_curves(chips, PLAN.changed(list(changes)), v_bl_v, curve)
    return dies.curves, dies.volt_gain, dies.cell_gain


def test_fixed_thresholds_see_the_whole_gain_of_a_die() -> None:
    err, volt_gain, cell_gain = curves("reference.kind=ideal")
    np.testing.assert_allclose(err, (GAIN[1:, None] - 1) * (MAC + N), atol=1e-6)
    np.testing.assert_allclose(volt_gain, 1)
    np.testing.assert_allclose(cell_gain, GAIN[1:], rtol=1e-6)


def test_a_fine_trim_leaves_the_slope_and_takes_the_middle() -> None:
    err, volt_gain, cell_gain = curves("reference.kind=trimmed", "trim_bits=12", "trim_range_v=0.5")
    np.testing.assert_allclose(err, (GAIN[1:, None] - 1) * MAC, atol=0.5 / 2**11 / STEP_V)
    assert np.abs(err[:, MAC == 0]).max() < 0.5 / 2**11 / STEP_V
    np.testing.assert_allclose(cell_gain, GAIN[1:], rtol=1e-6)
    np.testing.assert_allclose(volt_gain, 1)


@pytest.mark.parametrize("bits", [3, 5])
def test_a_coarse_trim_leaves_up_to_half_a_step(bits: int) -> None:
    range_v = 0.08
    err, _, _ = curves("reference.kind=trimmed", f"trim_bits={bits}", f"trim_range_v={range_v}")
    wanted_v = (1 - GAIN[1:]) * STEP_V * N
    inside = np.abs(wanted_v) < range_v
    assert inside.sum() > DIES // 2
    left_v = np.abs(err[:, MAC == 0][:, 0]) * STEP_V
    step_v = 2 * range_v / (2**bits - 1)
    assert left_v[inside].max() <= step_v / 2 + 1e-9
    assert left_v[inside].max() > 0.3 * step_v


def test_a_die_beyond_the_range_of_the_trim_keeps_what_is_left() -> None:
    range_v = 0.005
    err, _, _ = curves("reference.kind=trimmed", "trim_bits=8", f"trim_range_v={range_v}")
    fixed, _, _ = curves("reference.kind=ideal")
    far = np.abs(fixed[:, MAC == 0][:, 0]) * STEP_V > range_v
    assert far.sum() > 10
    np.testing.assert_allclose(
        np.abs(err[far][:, MAC == 0]), np.abs(fixed[far][:, MAC == 0]) - range_v / STEP_V, atol=1e-6
    )


def test_replicas_follow_the_die() -> None:
    err, volt_gain, cell_gain = curves("reference.kind=replica")
    np.testing.assert_allclose(err, 0, atol=1e-9)
    # An error in volts counts less where the slope is larger.
    np.testing.assert_allclose(volt_gain, GAIN[1:], rtol=1e-6)
    np.testing.assert_allclose(cell_gain, 1)
