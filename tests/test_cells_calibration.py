"""The slow ring: how the spread of the read current depends on the word line, against what theory says of it."""

import math
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from prcim.cells.benches.bench import DECK_CELLS
from prcim.cells.benches.read_current import read_current_sweep, read_currents
from prcim.cells.cell_8t import Cell8T
from prcim.cells.mismatch import Mismatch
from prcim.cells.technology import own_technology
from prcim.spice.ngspice import find_ngspice

CELL = Cell8T()
THRESHOLDS_ONLY = Mismatch(a_beta_m=0)
LEVELS = (1.1, 0.8, 0.5, 0.3, 0.15)


@cache
def read_a(flavour: str = "hp") -> NDArray[np.float64]:
    """Read currents of 1000 cells with a stack of 120/120 nm at each level, A; a normal spread is known to 2.2 %."""
    currents = []
    for deck in range(10):
        shifts = THRESHOLDS_ONLY.draw_local(CELL.parts, DECK_CELLS, (20, deck))
        bench, names = read_current_sweep(own_technology(flavour=flavour), CELL, shifts, v_wl_v=LEVELS, v_bl_v=1.1)
        values = find_ngspice().run(bench).values
        currents.append([-values[name] for name in names])
    return np.concatenate(currents)


@pytest.mark.slow
def test_spread_grows_as_the_word_line_falls() -> None:
    """A law: the same shift of a threshold weighs more on a smaller overdrive, and most below the threshold."""
    current_a = read_a()
    spreads = list(current_a.std(axis=0) / current_a.mean(axis=0))
    assert spreads == sorted(spreads)
    # Below threshold the current is log-normal with sigma_vt / (n kT/q), n the swing over 60 mV/decade.
    sigma = THRESHOLDS_ONLY.sigma_vt_v(120e-9, 65e-9) / (0.090 / math.log(10))
    assert np.log(current_a[:, -1]).std() == pytest.approx(sigma, rel=0.15)


@pytest.mark.slow
def test_a_higher_threshold_widens_the_spread() -> None:
    """The sram flavour has 0.15 V less overdrive at the same level of the word line."""
    higher = read_a("sram").std(axis=0) / read_a("sram").mean(axis=0)
    lower = read_a("hp").std(axis=0) / read_a("hp").mean(axis=0)
    assert np.all(higher[:4] > 1.15 * lower[:4])


@pytest.mark.slow
@pytest.mark.parametrize("weight", [1, -1])
def test_a_sweep_of_the_word_line_is_what_single_points_are(weight: int) -> None:
    """One deck that sweeps the word line and one operating point a level give the same currents."""
    technology = own_technology(flavour="hp")
    shifts = Mismatch().draw_local(CELL.parts, 40, (21,))
    sweep, names = read_current_sweep(technology, CELL, shifts, v_wl_v=LEVELS, v_bl_v=0.9, weight=weight)
    swept = find_ngspice().run(sweep).values
    for k, v_wl_v in enumerate(LEVELS):
        deck, same_names = read_currents(technology, CELL, shifts, v_wl_v=v_wl_v, v_bl_v=0.9, weight=weight)
        single = find_ngspice().run(deck).values
        assert same_names == names
        np.testing.assert_allclose(
            [swept[name][k] for name in names], [single[name][0] for name in names], rtol=1e-5, atol=1e-13
        )
