"""The slow ring: a whole plan that comes with the package."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from prcim.characterize.lut.error_lut import ErrorLUT
from prcim.characterize.lut.file import load_lut
from prcim.characterize.plan import named_plan
from prcim.characterize.run import run_plan
from prcim.spice.ngspice import find_ngspice


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> ErrorLUT:
    folder = tmp_path_factory.mktemp("quick")
    with ThreadPoolExecutor(2) as pool:
        run_plan(named_plan("8t-64-quick"), find_ngspice(), folder, pool, workers=2)
    return load_lut(folder / "lut.npz")


@pytest.mark.slow
def test_quick_plan_is_whole(quick: ErrorLUT) -> None:
    assert (quick.rows, quick.n_used, quick.failures) == (64, 64, 0)
    np.testing.assert_array_equal(quick.mac, np.arange(-64.0, 65.0, 16.0))
    assert quick.bank.shape == (32, 9)
    assert quick.chip_curves.shape == (named_plan("8t-64-quick").sampling.chips, 9)
    assert quick.count.tolist() == [128] * 9
    assert quick.meta["swing_v"] == pytest.approx(named_plan("8t-64-quick").read.swing_v, rel=0.15)
    assert np.all(np.diff(quick.transfer_v) < 0)


@pytest.mark.slow
def test_static_share_follows_theory(quick: ErrorLUT) -> None:
    """K / N for independent cells; the curve's bend and the load's 1 % move it little. 0.51 pooled over fair inputs."""
    assert 0.35 < quick.static_share < 0.65
    theory = (quick.mac + 64) / 128
    inside = (quick.icc_low <= theory) & (theory <= quick.icc_high)
    assert inside[1:-1].sum() >= 6
    assert inside.sum() >= 7


@pytest.mark.slow
def test_error_is_that_of_independent_cells(quick: ErrorLUT) -> None:
    """The spread of a sum follows from that of one cell: variance 4 K sigma^2; the load's 1 % adds (0.02 K)^2.

    Both spreads are known to 10 % (32 columns, 128 cells of a skewed law), and the bit line's droop evens cells out.
    """
    k, sigma = (quick.mac + 64) / 2, quick.meta["rel_sigma_cell"]
    wanted = 4 * k * sigma**2 + (0.02 * k) ** 2
    found = np.maximum(quick.v_col, 0) + quick.v_res
    ratio = np.sqrt(found[2:] / wanted[2:])
    assert np.all((ratio > 0.6) & (ratio < 1.15))


@pytest.mark.slow
def test_read_noise_and_energy_are_physical(quick: ErrorLUT) -> None:
    floor_v = np.sqrt(1.380649e-23 * 300.15 / quick.meta["c_bl_f"])
    assert np.all((quick.noise_line_v > 0.8 * floor_v) & (quick.noise_line_v < 3 * floor_v))
    assert np.all(np.diff(quick.energy_j) > 0)
    assert 1e-15 < quick.energy_j[0] < quick.energy_j[-1] < 1e-11
    # One nominal cell counts two: swing over K cells is the mean slope.
    assert np.mean(quick.slope_v) == pytest.approx(quick.meta["swing_v"] / 128, rel=0.2)
