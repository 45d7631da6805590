"""One read of a nominal column in time and with noise, and the reads that are refused."""

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from prcim.cells.cell_8t import Cell8T
from prcim.cells.column import BIT_LINE, Column
from prcim.cells.steady_read import EDGE_S, SteadyRead
from prcim.cells.technology import own_technology
from prcim.errors import InputError
from prcim.spice.ngspice import Ngspice, find_ngspice
from prcim.spice.outcome import Outcome

COLUMN = Column(technology=own_technology(), cell=Cell8T(), rows=8, n_used=8, load_ohm=33e3)
READ = SteadyRead(v_wl_v=0.35)
COUNTS = (0, 4, 8)
BOLTZMANN = 1.380649e-23

Signs = NDArray[np.int8]


@pytest.fixture(scope="module")
def ngspice() -> Ngspice:
    return find_ngspice()


def conducting(count: int) -> Signs:
    return np.where(np.arange(8) < count, 1, -1).astype(np.int8)


@pytest.fixture(scope="module")
def waves(ngspice: Ngspice) -> list[Outcome]:
    outcomes = [ngspice.run(READ.transient_deck(COLUMN, conducting(count))) for count in COUNTS]
    assert [outcome.status for outcome in outcomes] == ["ok"] * len(COUNTS)
    return outcomes


@pytest.fixture(scope="module")
def steady_v(ngspice: Ngspice) -> NDArray[np.float64]:
    draw = COLUMN.nominal_draw()
    inputs = np.array([conducting(count) for count in COUNTS])
    return READ.result(COLUMN, draw, ngspice.run(READ.deck(COLUMN, draw, inputs)))[0]


def test_read_ends_in_the_steady_state(waves: list[Outcome], steady_v: NDArray[np.float64]) -> None:
    for outcome, end_v in zip(waves, steady_v, strict=True):
        time_s, v_bl_v = outcome.values["time"], outcome.values[f"v({BIT_LINE})"]
        assert np.interp(READ.t_read_s(COLUMN), time_s, v_bl_v) == pytest.approx(end_v, abs=1e-3)
        # As much time again and the line is back, so that the next read starts as this one did.
        assert time_s[-1] == pytest.approx(2 * READ.t_read_s(COLUMN), rel=1e-6, abs=0)
        assert v_bl_v[-1] == pytest.approx(steady_v[0], abs=1e-3)
    assert steady_v[0] - steady_v[-1] > 0.1


def test_line_settles_with_its_time_constant(waves: list[Outcome], steady_v: NDArray[np.float64]) -> None:
    """With the word lines down nothing but the load moves the line; the cells' own capacitance adds a little."""
    values = waves[-1].values
    start_s = READ.t_read_s(COLUMN) + 10 * EDGE_S
    time_s = start_s + np.array([0.5, 2.5]) * COLUMN.tau_s
    left_v = steady_v[0] - np.interp(time_s, values["time"], values[f"v({BIT_LINE})"])
    assert 2 * COLUMN.tau_s / np.log(left_v[0] / left_v[1]) == pytest.approx(COLUMN.tau_s, rel=0.15)


def test_energy_is_positive_and_grows_with_the_sum(waves: list[Outcome], steady_v: NDArray[np.float64]) -> None:
    energy_j = [READ.energy_j(COLUMN, outcome.values) for outcome in waves]
    assert energy_j[0] > 0
    assert np.all(np.diff(energy_j) > 0)
    # By hand: the load's current during the read, and about as much charge as the line lost to bring it back.
    load_j = 1.1 * (1.1 - steady_v) / COLUMN.load_ohm * READ.t_read_s(COLUMN)
    line_j = 1.1 * (1.1 - steady_v) * COLUMN.c_bl_f
    more_j = np.array(energy_j) - energy_j[0]
    np.testing.assert_allclose(more_j[1:], (load_j + line_j - load_j[0] - line_j[0])[1:], rtol=0.15)


def test_energy_counts_all_sources() -> None:
    """Rectangles: 2 uA from the load for 2 T, 1 uA from the cells for 2 T, word line 3 uA until T and back after."""
    t_read_s = READ.t_read_s(COLUMN)
    time_s = np.linspace(0, 2 * t_read_s, 20001)
    values = {
        "time": time_s,
        "i(vload)": np.full_like(time_s, -2e-6),
        "i(vcell)": np.full_like(time_s, -1e-6),
        "i(vrwlp0)": np.where(time_s <= t_read_s, -3e-6, 3e-6),
        f"v({BIT_LINE})": np.ones_like(time_s),
    }
    wanted_j = (1.1 * 3e-6 * 2 + READ.v_wl_v * 3e-6) * t_read_s
    assert READ.energy_j(COLUMN, values) == pytest.approx(wanted_j, rel=1e-3, abs=0)


def test_noise_lies_between_kt_over_c_and_three_times_that(ngspice: Ngspice) -> None:
    floor_v = math.sqrt(BOLTZMANN * 300.15 / COLUMN.c_bl_f)
    found_v = []
    for count in COUNTS:
        values = ngspice.run(READ.noise_deck(COLUMN, conducting(count))).values
        (total_v,) = [value[0] for name, value in values.items() if "onoise_total" in name]
        found_v.append(total_v)
    # A load alone gives kT/C less what the cells' own capacitance takes off; each conducting cell adds shot noise.
    assert found_v[0] == pytest.approx(floor_v, rel=0.15)
    assert floor_v < found_v[1] < found_v[2] < 3 * floor_v


def test_thermal_noise_falls_with_capacitance(ngspice: Ngspice) -> None:
    """Of the load alone: the flicker noise of conducting cells does not care."""
    large = replace(COLUMN, c_bl_fixed_f=20e-15 + 3 * COLUMN.c_bl_f)
    one, four = (
        ngspice.run(READ.noise_deck(column, conducting(0))).values["v(onoise_total)"][0] for column in (COLUMN, large)
    )
    assert one / four == pytest.approx(2, rel=0.02)


def test_probe_measures_what_the_cells_draw(ngspice: Ngspice) -> None:
    """The load line closes: with that current the load drops just what the probe held."""
    column = replace(COLUMN, load_ohm=1e12)
    current_a = -ngspice.run(READ.probe_deck(column, 1.0)).values["i(vprobe)"][0]
    loaded = replace(COLUMN, load_ohm=0.1 / current_a)
    draw = loaded.nominal_draw()
    found_v, _, _ = READ.result(loaded, draw, ngspice.run(READ.deck(loaded, draw, conducting(8)[None])))
    assert found_v[0] == pytest.approx(1.0, abs=1e-4)


def test_duration() -> None:
    assert READ.t_read_s(COLUMN) == pytest.approx(7 * 33e3 * COLUMN.c_bl_f, rel=1e-9, abs=0)
    assert SteadyRead(v_wl_v=0.35, settle_tau=5).settle_tau == 5


@pytest.mark.parametrize("settle_tau", [4.99, 0.0, -1.0])
def test_read_that_does_not_settle_is_refused(settle_tau: float) -> None:
    with pytest.raises(InputError, match=f"settle_tau is {settle_tau}; a steady state takes at least 5 time"):
        SteadyRead(v_wl_v=0.35, settle_tau=settle_tau)


@pytest.mark.parametrize("v_wl_v", [0.0, -0.35, 2.1, math.nan])
def test_refused_word_lines(v_wl_v: float) -> None:
    with pytest.raises(InputError, match=f"v_wl_v is {v_wl_v} V; an active word line needs more than 0"):
        SteadyRead(v_wl_v=v_wl_v)
