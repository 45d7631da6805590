"""The slow ring: relative spread of the 8T read current against figures that were measured on the anchors."""

import math
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from prcim.cells.cell_8t import Cell8T
from prcim.cells.mismatch import Mismatch
from prcim.cells.read_current import read_currents
from prcim.cells.technology import own_technology
from prcim.spice.ngspice import find_ngspice

CELLS = 2000
THRESHOLDS_ONLY = Mismatch(a_beta_m=0)


@cache
def read_a(v_wl_v: float, *, mismatch: Mismatch) -> NDArray[np.float64]:
    """Read currents of 2000 cells with a stack of 120/120 nm, A; a normal spread is known to 1.6 %."""
    cell = Cell8T(w_driver_m=120e-9, w_access_m=120e-9)
    dvt_v, mu = mismatch.draw_local(cell.transistors, CELLS, (20, 7))
    technology, ngspice = own_technology(flavour="hp"), find_ngspice()
    currents = []
    # The time of a deck grows with the square of its cells.
    for first in range(0, CELLS, 100):
        shifts = dvt_v[first : first + 100], mu[first : first + 100]
        deck, names = read_currents(technology, cell, shifts, v_wl_v=v_wl_v, v_bl_v=1.1)
        outcome = ngspice.run(deck)
        assert outcome.ok, outcome.status
        currents += [-outcome.values[name][0] for name in names]
    return np.array(currents)


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
def test_gain_mismatch_widens_the_spread() -> None:
    """2 % um adds about 19 % to the spread at a full word line: mobility counts little where velocity saturates."""
    currents = [read_a(1.1, mismatch=mismatch) for mismatch in (THRESHOLDS_ONLY, Mismatch(a_beta_m=2e-8))]
    without, with_gain = (float(i.std() / i.mean()) for i in currents)
    assert with_gain / without == pytest.approx(1.19, abs=0.08)
