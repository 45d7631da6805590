"""The slow ring: relative spread of the 8T read current against figures that were measured on the anchors."""

import math

import numpy as np
import pytest

from prcim.cells.cell_8t import Cell8T
from prcim.cells.mismatch import Mismatch
from prcim.cells.read_current import read_currents
from prcim.cells.technology import own_technology
from prcim.spice.ngspice import find_ngspice

CELLS = 2000
THRESHOLDS_ONLY = Mismatch(a_beta_m=0)


def read_a(v_wl_v: float, *, mismatch: Mismatch, flavour: str = "hp") -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Read currents of 2000 cells with a stack of 120/120 nm, A; a spread is known to 1.6 %."""
    cell = Cell8T(w_driver_m=120e-9, w_access_m=120e-9)
    shifts = mismatch.draw_local(cell.transistors, CELLS, (20, 7))
    deck, names = read_currents(own_technology(flavour=flavour), cell, shifts, v_wl_v=v_wl_v, v_bl_v=1.1)
    outcome = find_ngspice().run(deck)
    assert outcome.ok, outcome.status
    return np.array([-outcome.values[name][0] for name in names])


@pytest.mark.slow
def test_read_stack_with_a_full_word_line() -> None:
    current_a = read_a(1.1, mismatch=THRESHOLDS_ONLY)
    assert current_a.mean() == pytest.approx(77e-6, rel=0.10)
    assert current_a.std() / current_a.mean() == pytest.approx(0.036, rel=0.15)


@pytest.mark.slow
def test_read_stack_with_an_under_driven_word_line() -> None:
    current_a = read_a(0.6, mismatch=THRESHOLDS_ONLY)
    assert current_a.std() / current_a.mean() == pytest.approx(0.102, rel=0.15)


@pytest.mark.slow
def test_spread_grows_as_the_word_line_falls() -> None:
    """A law: the same shift of a threshold weighs more on a smaller overdrive, and most below the threshold."""
    current_a = [read_a(v_wl_v, mismatch=THRESHOLDS_ONLY) for v_wl_v in (1.1, 0.8, 0.5, 0.3)]
    spreads = [float(i.std() / i.mean()) for i in current_a]
    assert spreads == sorted(spreads)
    # Below threshold the current is log-normal with sigma_vt / (n kT/q), n the swing over 60 mV/decade.
    log = np.log(read_a(0.15, mismatch=THRESHOLDS_ONLY))
    sigma = THRESHOLDS_ONLY.sigma_vt_v(120e-9, 65e-9) / (0.090 / math.log(10))
    assert log.std() == pytest.approx(sigma, rel=0.15)


@pytest.mark.slow
def test_gain_mismatch_adds_in_squares() -> None:
    both = Mismatch(a_beta_m=2e-8)
    with_v, without_v = (read_a(1.1, mismatch=m) for m in (both, THRESHOLDS_ONLY))
    added = (with_v.std() / with_v.mean()) ** 2 - (without_v.std() / without_v.mean()) ** 2
    # Two devices in series share the gain's effect, so it is below that of one and above that of a quarter of it.
    sigma = both.rel_sigma_beta(120e-9, 65e-9)
    assert sigma**2 / 4 < added < sigma**2
