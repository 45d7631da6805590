"""The charge-domain read: shares of charge, energy and noise in closed form, refusals."""

import math
from dataclasses import replace

import numpy as np
import pytest
from columns import CASES, Case, Floats, conducting, read_v, shots

from prcim.cells.cell_8t1c import Cell8T1C
from prcim.cells.load import nmos_switch
from prcim.cells.mismatch import Mismatch
from prcim.cells.reads.charge_read import ChargeRead
from prcim.cells.reads.read import EDGE_S
from prcim.errors import InputError
from prcim.spice.ngspice import Ngspice, find_ngspice
from prcim.spice.outcome import Outcome

KT_J = 1.380649e-23 * 300.15
V_WL, N = 0.5, 6
#: A narrow switch: its drain adds 0.3 fF to the 46 fF of line and capacitors.
CASE = CASES["8t1c-charge"].changed(load=nmos_switch(200e-9), load_ohm=1735.0)
COLUMN = CASE.column
C_CELL_F = 4e-15
C_ALL_F = COLUMN.c_bl_f + N * C_CELL_F


@pytest.fixture(scope="module")
def ngspice() -> Ngspice:
    return find_ngspice()


def shares(capacitors_f: Floats, products: Floats) -> Floats:
    """How far the line moves, V: each plate by half the level, down for a product of +1, over all capacitance."""
    return np.asarray(-V_WL / 2 * (products * capacitors_f).sum(axis=-1) / (COLUMN.c_bl_f + capacitors_f.sum(axis=-1)))


def test_shares_of_charge(ngspice: Ngspice) -> None:
    products = conducting(N, list(range(N + 1)))
    found_v = read_v(ngspice, CASE, COLUMN.nominal_draw(), products)
    wanted_v = shares(np.full(N, C_CELL_F), products.astype(np.float64))
    # What the switch takes along when it goes off is the same for all.
    np.testing.assert_allclose(found_v - found_v[3], wanted_v, atol=0.01 * np.ptp(wanted_v))
    assert found_v[3] == pytest.approx(V_WL / 2, abs=0.01)
    assert np.ptp(wanted_v) > 0.2
    # Charge is linear: all steps are the same, as no current is.
    np.testing.assert_allclose(np.diff(found_v), np.diff(found_v).mean(), rtol=2e-3)


def test_spread_of_the_capacitors(ngspice: Ngspice) -> None:
    """Column by column from the capacitors drawn; then many draws against the spread that the cell states."""
    spread = 0.05
    column = replace(COLUMN, cell=Cell8T1C(c_spread=spread))
    case = Case(column=column, read=CASE.read)
    index = [part.name for part in column.cell.parts].index("cell")
    rest_v = read_v(ngspice, case, column.nominal_draw(), conducting(N, [3]))[0]
    found_v, wanted_v = [], []
    for key in range(1000):
        # The threshold of the switch decides how much charge it takes along: it is left alone here.
        draw = column.draw(Mismatch(a_vt_v_m=0.0, a_beta_m=0.0), (23, key))
        products = conducting(N, [3])[0]
        wanted_v.append(shares(C_CELL_F * draw.factor[:, 0, index], products))
        if key < 8:
            found_v.append(read_v(ngspice, case, draw, (products * draw.weights)[None])[0] - rest_v)
    sigma_v = V_WL / 2 * spread * math.sqrt(N) * C_CELL_F / C_ALL_F
    np.testing.assert_allclose(found_v, wanted_v[:8], atol=0.03 * sigma_v)
    assert np.std(found_v) > 0.3 * sigma_v
    # 4 standard errors.
    assert np.std(wanted_v, ddof=1) == pytest.approx(sigma_v, rel=4 / math.sqrt(2 * 1000))


def test_thresholds_do_not_matter(ngspice: Ngspice) -> None:
    """A plate that has settled is at the level of its word line, whatever transistor took it there."""
    draw = COLUMN.draw(Mismatch(a_vt_v_m=5e-9), (23, 1))
    draw = replace(draw, factor=np.ones_like(draw.factor), load_dvt_v=np.zeros((1, 1)), load_factor=np.ones((1, 1)))
    inputs = (conducting(N, [1, 5]) * draw.weights).astype(np.int8)
    alike = replace(COLUMN.nominal_draw(), weights=draw.weights)
    np.testing.assert_allclose(
        read_v(ngspice, CASE, draw, inputs), read_v(ngspice, CASE, alike, inputs), atol=0.01 * V_WL * C_CELL_F / C_ALL_F
    )


def test_plates_settle(ngspice: Ngspice) -> None:
    longer = replace(CASE, read=ChargeRead(v_wl_v=V_WL, t_settle_s=5e-9))
    volts = [read_v(ngspice, case, COLUMN.nominal_draw(), conducting(N, [0, 3, 6])) for case in (CASE, longer)]
    np.testing.assert_allclose(volts[0], volts[1], atol=0.005 * V_WL * C_CELL_F / C_ALL_F)


def test_level_that_the_select_transistors_cannot_pass(ngspice: Ngspice) -> None:
    """Near the supply the plates follow a threshold lower and ever more slowly: more time, more swing."""
    swings_v = []
    for t_settle_s in (1e-9, 5e-9):
        case = replace(CASE, read=ChargeRead(v_wl_v=1.1, t_settle_s=t_settle_s))
        swings_v.append(np.ptp(read_v(ngspice, case, COLUMN.nominal_draw(), conducting(N, [0, 6]))))
    assert swings_v[0] < 0.9 * 1.1 * N * C_CELL_F / C_ALL_F
    assert swings_v[1] > 1.02 * swings_v[0]


def test_energy_by_hand(ngspice: Ngspice) -> None:
    """What raises plates: to the level during the read, and back from ground to half of it after.

    Large capacitors, so that transistors and the gate of the switch are small beside them.
    """
    c_f = 40e-15
    column = replace(COLUMN, cell=Cell8T1C(c_f=c_f))
    case = Case(column=column, read=ChargeRead(v_wl_v=V_WL, t_settle_s=8e-9))
    counts = np.arange(N + 1)
    found = shots(ngspice, case, column.nominal_draw(), conducting(N, list(counts)))
    line_v = (N - 2 * counts) * V_WL / 2 * c_f / (column.c_bl_f + N * c_f)
    up_j = V_WL * (N - counts) * c_f * (V_WL / 2 - line_v)
    back_j = V_WL / 2 * counts * c_f * (V_WL / 2 + line_v)
    wanted_j = up_j + back_j
    rest_j = found.energy_j - wanted_j
    assert rest_j.min() > 0
    # Select transistors and switch: 2 fJ or so.
    assert rest_j.max() < 3e-15
    assert wanted_j.max() > 20e-15


def test_noise_is_that_of_the_line(ngspice: Ngspice) -> None:
    """KT/C of the line alone, in the closed form and in ngspice's noise analysis of the line while it is reset.

    A line in equilibrium has kT / C_line, capacitors behind resistors change nothing of that; and what the switch then
    leaves on the floating line with the noise of the plates is a sample of that equilibrium.
    """
    wanted_v = math.sqrt(KT_J / COLUMN.c_bl_f)
    deck = CASE.read.noise_deck(COLUMN, conducting(N, [3])[0])
    assert CASE.read.noise_v(COLUMN, ngspice.run(deck)) == pytest.approx(wanted_v, rel=1e-6)
    outcome = ngspice.run(replace(deck, save=(), analyses=("noise v(mbl0) vload dec 5 1e3 1e13",)))
    (simulated_v,) = [values[0] for name, values in outcome.values.items() if "onoise_total" in name]
    # The drain of the switch takes 1 % off.
    assert simulated_v == pytest.approx(wanted_v, rel=0.03)
    large = replace(COLUMN, c_bl_fixed_f=20e-15 + 3 * COLUMN.c_bl_f)
    assert CASE.read.noise_v(large, ngspice.run(deck)) == pytest.approx(wanted_v / 2, rel=1e-6)
    assert CASE.read.noise_v(COLUMN, Outcome(status="ok", plots=(), seconds=0.0, log="")) is None


def test_duration() -> None:
    """2 edges, 2 edges, the time, and 1 edge back; then 12 time constants of all capacitance and the time again."""
    read = ChargeRead(v_wl_v=V_WL)
    tau_s = 1735 * C_ALL_F + N * 1e-3 * (N * 4.3e-15) / 2
    assert read.t_off_s(COLUMN) == pytest.approx(6 * EDGE_S + 1e-9, rel=1e-9, abs=0)
    assert read.t_on_s(COLUMN) == pytest.approx(12 * tau_s + 2 * EDGE_S + 1e-9, rel=1e-9, abs=0)
    assert read.t_look_s(COLUMN) < read.word_line_times_s(COLUMN)[1]
    assert read.supply_v(COLUMN) == V_WL / 2


@pytest.mark.parametrize("t_settle_s", [99e-12, 0.0, -1e-9, 1e-6, math.nan])
def test_refused_settling_times(t_settle_s: float) -> None:
    with pytest.raises(InputError, match=rf"t_settle_s is {t_settle_s} s; plates need at least 1e-10 s \(5 edges\)"):
        ChargeRead(v_wl_v=V_WL, t_settle_s=t_settle_s)


@pytest.mark.parametrize("v_wl_v", [0.0, 2.1, math.nan])
def test_refused_word_lines(v_wl_v: float) -> None:
    with pytest.raises(InputError, match=f"v_wl_v is {v_wl_v} V; an active word line needs more than 0"):
        ChargeRead(v_wl_v=v_wl_v)
