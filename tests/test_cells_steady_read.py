"""The steady-state read: by hand, in time, with noise; energy; lost data; the reads that are refused."""

import math
from dataclasses import replace

import numpy as np
import pytest
from columns import CASES, RESISTIVE, TECHNOLOGY, Case, Signs, conducting, read_v, shots

from prcim.cells.benches.read_current import read_currents
from prcim.cells.cell_6t import Cell6T
from prcim.cells.column import Column
from prcim.cells.load import pmos_load, resistor_load
from prcim.cells.mismatch import Mismatch
from prcim.cells.reads.read import EDGE_S
from prcim.cells.reads.settling import settled, settling_deck
from prcim.cells.reads.steady_read import SteadyRead
from prcim.cells.technology import own_technology
from prcim.errors import InputError
from prcim.spice.ngspice import Ngspice, find_ngspice
from prcim.spice.outcome import Outcome

BOLTZMANN, ELECTRON_C = 1.380649e-23, 1.602177e-19
KT_J = BOLTZMANN * 300.15
N = 6
COUNTS = [0, 3, 6]
#: Lines with their real resistance, and a PMOS load of 27 kOhm or so.
READ = SteadyRead(v_wl_v=0.35)
REAL = {
    "8t": CASES["8t-steady"].changed(r_bl_row_ohm=2.0),
    "8t-pmos": CASES["8t-steady"].changed(r_bl_row_ohm=2.0, load=pmos_load(40e-9)),
    "6t": CASES["6t-steady"].changed(r_bl_row_ohm=2.0),
    "1t1r": CASES["1t1r-steady"].changed(r_bl_row_ohm=2.0),
}
COLUMN = REAL["8t"].column


@pytest.fixture(scope="module")
def ngspice() -> Ngspice:
    return find_ngspice()


@pytest.fixture(scope="module", params=REAL)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = REAL[request.param]
    return found


def steady_read(case: Case) -> SteadyRead:
    assert isinstance(case.read, SteadyRead)
    return case.read


def in_time(ngspice: Ngspice, case: Case, inputs: Signs) -> list[Outcome]:
    draw = case.column.nominal_draw()
    outcomes = [ngspice.run(settling_deck(steady_read(case), case.column, draw, row)) for row in inputs]
    assert [outcome.status for outcome in outcomes] == ["ok"] * len(inputs)
    return outcomes


def test_resistive_divider(ngspice: Ngspice) -> None:
    """Cells that are resistors and nothing else: V = VDD G_load / (G_load + sum of G)."""
    load_ohm = 2e4
    cell = replace(RESISTIVE, w_access_m=1e-6, r_on_ohm=2e5, r_off_ohm=2e6)
    column = replace(CASES["1t1r-steady"].column, cell=cell, load=resistor_load(load_ohm), load_ohm=load_ohm)
    counts = np.arange(N + 1)
    divider = Case(column=column, read=SteadyRead(v_wl_v=1.1))
    found_v = read_v(ngspice, divider, column.nominal_draw(), conducting(N, list(counts)))
    conductance = counts / 2e5 + (N - counts) / 2e6
    wanted_v = 1.1 / (1 + load_ohm * conductance)
    # An access transistor of 1 um adds 1 kOhm, 0.5 %, when it is on, and leaks some nA when it is off.
    np.testing.assert_allclose(found_v, wanted_v, atol=0.01 * np.ptp(wanted_v))
    assert np.ptp(wanted_v) > 0.3


def test_spread_of_the_resistors(ngspice: Ngspice) -> None:
    """Column by column from the resistors drawn; then many draws against the spread that the cell states."""
    load_ohm, spread = 2e4, 0.1
    cell = replace(RESISTIVE, w_access_m=1e-6, r_on_ohm=2e5, r_off_ohm=2e8, r_spread=spread)
    column = replace(
        CASES["1t1r-steady"].column, cell=cell, load=resistor_load(load_ohm, rel_sigma=0), load_ohm=load_ohm
    )
    divider = Case(column=column, read=SteadyRead(v_wl_v=1.1))
    transistors_alike = Mismatch(a_vt_v_m=0.0, a_beta_m=0.0)
    draws = [column.draw(transistors_alike, (22, index)) for index in range(1000)]
    found_v = np.array([read_v(ngspice, divider, draw, draw.weights[None])[0] for draw in draws[:10]])
    holds_one = [np.where(draw.weights > 0, 0, 1) for draw in draws]
    factor = np.array([draw.factor[np.arange(N), one, 0] for draw, one in zip(draws, holds_one, strict=True)])
    conductance = (1 / factor).sum(axis=1) / 2e5
    drop_v = 1.1 - 1.1 / (1 + load_ohm * conductance)
    np.testing.assert_allclose(1.1 - found_v, drop_v[:10], rtol=0.01)
    assert np.std(found_v) > 0.01 * drop_v.mean()
    # The drop's relative spread is that of the conductance, less by what the load takes up: V / VDD.
    wanted = spread / math.sqrt(N) * (1 - drop_v.mean() / 1.1)
    # 4 standard errors.
    assert drop_v.std(ddof=1) / drop_v.mean() == pytest.approx(wanted, rel=4 / math.sqrt(2 * 1000))


def test_read_ends_in_the_steady_state(ngspice: Ngspice, case: Case) -> None:
    inputs = conducting(N, COUNTS)
    steady = shots(ngspice, case, case.column.nominal_draw(), inputs)
    for outcome, end_v, energy_j in zip(in_time(ngspice, case, inputs), steady.v_bl_v, steady.energy_j, strict=True):
        found = settled(steady_read(case), case.column, outcome)
        assert found is not None
        assert found.v_bl_v == pytest.approx(end_v, abs=1.5e-3)
        # As much time again and the line is back, so that the next read starts as this one did. The inner nodes of
        # 1T1R cells come back through 10 MOhm and hold the line 3 mV lower.
        end = f"v({case.column.ends[0]})"
        time_s, line_v = outcome.values["time"], outcome.values[end]
        assert time_s[-1] == pytest.approx(2 * READ.t_settle_s(case.column), rel=1e-5, abs=0)
        assert line_v[-1] == pytest.approx(line_v[0], abs=5e-3 if case is REAL["1t1r"] else 1.5e-3)
        # What a sweep leaves out: word lines (0.3 fF a cell), the cells' capacitance, leakage until the line is back.
        assert 0 < found.energy_j - energy_j < 0.1 * energy_j + (3e-15 if case is REAL["1t1r"] else 0.5e-15)
    assert np.ptp(steady.v_bl_v) > 0.05


def test_line_settles_with_its_time_constant(ngspice: Ngspice) -> None:
    """With the word lines down nothing but the load moves the line; the cells' own capacitance adds a little."""
    (outcome,) = in_time(ngspice, REAL["8t"], conducting(N, [N]))
    values = outcome.values
    time_s = READ.t_settle_s(COLUMN) + 10 * EDGE_S + np.array([0.5, 2.5]) * COLUMN.tau_s
    left_v = values[f"v({COLUMN.ends[0]})"][0] - np.interp(time_s, values["time"], values[f"v({COLUMN.ends[0]})"])
    assert 2 * COLUMN.tau_s / np.log(left_v[0] / left_v[1]) == pytest.approx(COLUMN.tau_s, rel=0.15)


def test_energy_by_hand(ngspice: Ngspice) -> None:
    """The load's current for as long as the read lasts; recovery is in it: C dV lacks on the way down."""
    for name in ("8t", "6t"):
        case = REAL[name]
        found = shots(ngspice, case, case.column.nominal_draw(), conducting(N, list(range(N + 1))))
        lines_a = (1.1 - found.v_bl_v) / 27e3
        if name == "6t":
            # The sum of both drops is not in the difference; at either end all of it is in one line.
            lines_a = np.abs(found.v_bl_v) / 27e3
            found = replace(found, energy_j=found.energy_j[[0, -1]])
            lines_a = lines_a[[0, -1]]
        t_s = READ.t_settle_s(case.column)
        leak_j = found.energy_j - 1.1 * lines_a * t_s
        assert found.energy_j.min() > 0
        # Latches leak 0.2 nA each at most, and ports that wait at the supply.
        assert leak_j.min() > 0
        assert leak_j.max() < 1.1 * 12 * 1e-9 * t_s


def test_energy_in_time_counts_all_sources() -> None:
    """Rectangles: 2 uA from the load for 2 T, 1 uA into cells and each port; word line 3 uA until T and back after."""
    read, t_s = READ, READ.t_settle_s(COLUMN)
    time_s = np.linspace(0, 2 * t_s, 20001)
    values = {
        "time": time_s,
        "i(vload)": np.full_like(time_s, -2e-6),
        **{name: np.full_like(time_s, -1e-6) for name in ("i(vcell)", "i(vbl)", "i(vblb)")},
        "i(vrwlp0)": np.where(time_s <= t_s, -3e-6, 3e-6),
        f"v({COLUMN.ends[0]})": np.where(time_s <= t_s, 0.9, 1.0),
    }
    outcome = Outcome(status="ok", plots=(values,), seconds=0.0, log="")
    found = settled(read, COLUMN, outcome)
    assert found is not None
    assert found.v_bl_v == pytest.approx(0.9, rel=1e-9)
    assert found.energy_j == pytest.approx((1.1 * 5e-6 * 2 + 0.35 * 3e-6) * t_s, rel=1e-3, abs=0)
    half = {name: vector[:15000] for name, vector in values.items()}
    assert settled(read, COLUMN, replace(outcome, plots=(half,))) is None
    assert settled(read, COLUMN, replace(outcome, plots=())) is None
    assert settled(read, COLUMN, replace(outcome, status="failed: singular matrix")) is None


def test_currents_that_an_energy_needs_are_kept() -> None:
    for case in REAL.values():
        column, inputs = case.column, conducting(N, [3])
        wanted = set(column.supplies_v(1.1))
        assert wanted <= set(case.read.deck(column, column.nominal_draw(), inputs).save)
        saved = set(settling_deck(steady_read(case), column, column.nominal_draw(), inputs[0]).save)
        assert wanted <= saved
        # All word lines of both twins.
        assert len([name for name in saved - wanted if name.startswith("i(v")]) == 2 * N


def test_energy_of_a_sweep_counts_all_sources() -> None:
    column = replace(COLUMN, rows=1, n_used=1)
    values = {"i(vload)": -2e-6, "i(vcell)": -1e-6, "i(vbl)": -0.5e-6, "i(vblb)": -0.25e-6, "v(rbl0)": 1.0}
    values |= {"v(xp0.q)": 1.1, "v(xp0.qb)": 0.0, "v(xn0.q)": 0.0, "v(xn0.qb)": 1.1}
    plot = {name: np.array([value]) for name, value in values.items()}
    outcome = Outcome(status="ok", plots=(plot,), seconds=0.0, log="")
    found = READ.result(column, column.nominal_draw(), conducting(1, [1]), outcome)
    assert found.energy_j[0] == pytest.approx(1.1 * 3.75e-6 * READ.t_settle_s(column), rel=1e-9, abs=0)


def noise_v(ngspice: Ngspice, case: Case, count: int) -> float:
    outcome = ngspice.run(case.read.noise_deck(case.column, conducting(N, [count])[0]))
    found = case.read.noise_v(case.column, outcome)
    assert found is not None
    return found


@pytest.mark.parametrize("name", ["8t", "8t-pmos", "1t1r", "8t-fast"])
def test_noise_of_a_passive_line(ngspice: Ngspice, name: str) -> None:
    """Whatever holds the line, its noise in equilibrium is kT/C, less what the cells' own capacitance takes off.

    With 500 ohm the line is fast: half of its noise is above 14 GHz.
    """
    fast = REAL["8t"].changed(load=resistor_load(500.0), load_ohm=500.0)
    case = fast if name == "8t-fast" else REAL[name]
    floor_v = math.sqrt(KT_J / case.column.c_bl_f)
    assert 0.9 * floor_v < noise_v(ngspice, case, 0) < 1.005 * floor_v


def test_noise_of_conducting_cells(ngspice: Ngspice) -> None:
    """Shot noise 2 q I on R and C adds q dV / 2 C, dV being the drop; the rest is flicker noise, some per cent."""
    case = REAL["8t"]
    v_bl_v = read_v(ngspice, case, case.column.nominal_draw(), conducting(N, COUNTS))
    c_f = case.column.c_bl_f
    wanted_v = np.sqrt(KT_J / c_f + ELECTRON_C * (1.1 - v_bl_v) / (2 * c_f))
    found_v = np.array([noise_v(ngspice, case, count) for count in COUNTS])
    np.testing.assert_allclose(found_v, wanted_v, rtol=0.12)
    assert np.all(np.diff(found_v) > 0)


def test_noise_of_two_lines(ngspice: Ngspice) -> None:
    """Independent on both, so the difference of two alike has sqrt(2) times that of one."""
    case = REAL["6t"]
    half_v = noise_v(ngspice, case, 3)
    c_f = case.column.c_bl_f
    both_v = read_v(ngspice, case, case.column.nominal_draw(), conducting(N, [N]))[0]
    # Half the cells on each line: half the drop of all of them on one, a little more since a line bends.
    wanted_v = math.sqrt(2) * math.sqrt(KT_J / c_f + ELECTRON_C * abs(both_v) / 2 / (2 * c_f))
    assert half_v == pytest.approx(wanted_v, rel=0.12)
    one_deck = case.read.noise_deck(case.column, conducting(N, [3])[0])
    (line,) = [a for a in one_deck.analyses if "v(bl0,blb0)" in a]
    single = replace(one_deck, analyses=(line.replace("v(bl0,blb0)", "v(bl0)"),))
    one_v = case.read.noise_v(case.column, ngspice.run(single))
    assert one_v is not None
    assert half_v / one_v == pytest.approx(math.sqrt(2), rel=0.01)


def test_thermal_noise_falls_with_capacitance(ngspice: Ngspice) -> None:
    """Of the load alone: the flicker noise of conducting cells does not care."""
    large = REAL["8t"].changed(c_bl_fixed_f=20e-15 + 3 * COLUMN.c_bl_f)
    assert noise_v(ngspice, REAL["8t"], 0) / noise_v(ngspice, large, 0) == pytest.approx(2, rel=0.03)
    assert READ.noise_v(COLUMN, Outcome(status="ok", plots=(), seconds=0.0, log="")) is None


@pytest.mark.parametrize("name", ["8t", "6t"])
def test_probe_measures_what_the_cells_draw(ngspice: Ngspice, name: str) -> None:
    """The sum of single cells, and of the twins that are closed; and the load line closes."""
    case = CASES[f"{name}-steady"]
    column = replace(case.column, load=resistor_load(1e12), load_ohm=1e12)
    current_a = -ngspice.run(READ.probe_deck(column, 1.0)).values["i(vprobe)"][0]
    alike = np.zeros((1, len(column.cell.parts))), np.ones((1, len(column.cell.parts)))
    single_a = []
    # The twin that is closed stores the other bit.
    for v_wl_v, weight in ((0.35, 1), (0.0, -1)):
        deck, (cell,) = read_currents(TECHNOLOGY, column.cell, alike, v_wl_v=v_wl_v, v_bl_v=1.0, weight=weight)
        single_a.append(-ngspice.run(deck).values[cell][0])
    # In `read_currents` the second line of a 6T cell follows the first, which is nothing to the first line's current.
    assert current_a == pytest.approx(N * sum(single_a), rel=2e-3, abs=0)
    loaded = replace(case, column=replace(column, load=resistor_load(0.1 / current_a), load_ohm=0.1 / current_a))
    found_v = read_v(ngspice, loaded, loaded.column.nominal_draw(), conducting(N, [N]))[0]
    assert found_v == pytest.approx(1.0 if name == "8t" else -0.1, abs=1e-3)


def test_probe_holds_the_other_line(ngspice: Ngspice) -> None:
    """Left to itself it would fall to where its leakage takes it."""
    deck = READ.probe_deck(REAL["6t"].column, 1.0)
    values = ngspice.run(replace(deck, save=(*deck.save, "v(bl0)", "v(blb0)"))).values
    assert [values["v(bl0)"][0], values["v(blb0)"][0]] == pytest.approx([1.0, 1.1], abs=1e-9)


def test_lost_data_ends_the_result() -> None:
    """A latch that has flipped stays flipped in the points of a sweep that follow."""
    column = replace(COLUMN, rows=2, n_used=2)
    draw = replace(column.nominal_draw(), weights=np.array([1, -1], dtype=np.int8))
    good = {"v(xp0.q)": 1.1, "v(xn0.q)": 0.0, "v(xp1.q)": 0.0, "v(xn1.q)": 1.1}
    good |= {f"{name[:-1]}b)": 1.1 - level for name, level in good.items()}
    inputs = conducting(2, [0, 1, 2])
    for lost in ({}, {"v(xp1.q)": 1.1}, {"v(xn1.q)": 0.5}, {"v(xp1.q)": 0.36, "v(xp1.qb)": 0.56}):
        levels = good | lost | {"v(rbl0)": 1.0} | dict.fromkeys(column.supplies_v(1.1), -1e-6)
        plot = {name: np.array([good.get(name, level), level, level]) for name, level in levels.items()}
        outcome = Outcome(status="ok", plots=(plot,), seconds=0.0, log="")
        found = READ.result(column, draw, inputs, outcome)
        assert found.held.tolist() == ([True, False] if lost else [True] * 3)
        assert len(found.v_bl_v) == len(found.energy_j) == len(found.held)
    assert len(READ.result(column, draw, inputs, replace(outcome, plots=())).held) == 0


def test_cells_that_flip(ngspice: Ngspice) -> None:
    """6T cells read so hard that a line writes them: up to the first such read all is well, and there it ends."""
    column = Column(
        technology=own_technology(flavour="hp"),
        cell=Cell6T(),
        rows=8,
        n_used=8,
        load=resistor_load(1.5e3),
        load_ohm=1.5e3,
    )
    read = SteadyRead(v_wl_v=1.1)
    draw = column.nominal_draw()
    # Both lines fall when the sum is near 0: then a cell meets a low line on its high side.
    inputs = conducting(8, [0, 2, 4, 6, 8])
    found = read.result(column, draw, inputs, ngspice.run(read.deck(column, draw, inputs)))
    assert found.held.tolist() == [True, True, False]
    alone = read.result(column, draw, inputs[[4]], ngspice.run(read.deck(column, draw, inputs[[4]])))
    assert alone.held.all()
    assert alone.v_bl_v[0] == pytest.approx(-found.v_bl_v[0], rel=1e-3)


def test_duration() -> None:
    assert READ.t_settle_s(COLUMN) == pytest.approx(7 * COLUMN.tau_s, rel=1e-9, abs=0)
    assert READ.t_read_s(COLUMN) == pytest.approx(14 * COLUMN.tau_s, rel=1e-9, abs=0)
    assert SteadyRead(v_wl_v=0.35, settle_tau=5).settle_tau == 5


@pytest.mark.parametrize("settle_tau", [4.99, 0.0, -1.0, math.nan])
def test_read_that_does_not_settle_is_refused(settle_tau: float) -> None:
    with pytest.raises(InputError, match=f"settle_tau is {settle_tau}; a steady state takes at least 5 time"):
        SteadyRead(v_wl_v=0.35, settle_tau=settle_tau)


@pytest.mark.parametrize("v_wl_v", [0.0, -0.35, 2.1, math.nan])
def test_refused_word_lines(v_wl_v: float) -> None:
    with pytest.raises(InputError, match=f"v_wl_v is {v_wl_v} V; an active word line needs more than 0"):
        SteadyRead(v_wl_v=v_wl_v)
