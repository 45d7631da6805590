"""The pulsed read: RC discharge in closed form, the pulse itself, energy, noise, lost data, refusals."""

import math
from dataclasses import replace

import numpy as np
import pytest
from columns import CASES, Case, conducting, shots

from prcim.cells.cell_1t1r import Cell1T1R
from prcim.cells.cell_6t import Cell6T
from prcim.cells.column import Column
from prcim.cells.load import pmos_load
from prcim.cells.mismatch import Mismatch
from prcim.cells.reads import pulsed_read
from prcim.cells.reads.pulsed_read import PulsedRead
from prcim.cells.reads.read import EDGE_S
from prcim.cells.technology import own_technology
from prcim.errors import InputError
from prcim.spice.deck import Deck
from prcim.spice.ngspice import Ngspice, find_ngspice
from prcim.spice.outcome import Outcome

BOLTZMANN, ELECTRON_C = 1.380649e-23, 1.602177e-19
KT_J = BOLTZMANN * 300.15
CASE = CASES["8t-pulsed"]
#: Four resistors of 400 kOhm on 500 fF: a time constant of 50 ns. An access transistor of 0.5 um adds 2 kOhm, 0.5 %;
#: its drain holds 0.8 fF, which the line brings back after the read, 0.6 % for all four.
R_OHM, C_F = 4e5, 500e-15
RC = Case(
    column=replace(
        CASES["1t1r-pulsed"].column,
        cell=Cell1T1R(w_access_m=0.5e-6, r_on_ohm=R_OHM, r_off_ohm=1e10, r_spread=0.0),
        rows=4,
        n_used=4,
        load=pmos_load(500e-9),
        load_ohm=2106.0,
        c_bl_fixed_f=C_F - 8 * 0.3e-15,
    ),
    read=PulsedRead(v_wl_v=1.1, t_pulse_s=50e-9),
)


@pytest.fixture(scope="module")
def ngspice() -> Ngspice:
    return find_ngspice()


def timed(case: Case) -> PulsedRead:
    assert isinstance(case.read, PulsedRead)
    return case.read


def waves(ngspice: Ngspice, case: Case, count: int, *vectors: str) -> Outcome:
    """One read of a column without mismatch, with more vectors than it needs."""
    inputs = conducting(case.column.n_used, [count])
    deck = case.read.deck(case.column, case.column.nominal_draw(), inputs)
    outcome = ngspice.run(replace(deck, save=(*deck.save, *vectors)))
    assert outcome.ok
    return outcome


@pytest.mark.parametrize("t_pulse_s", [15e-9, 50e-9])
def test_discharge_of_a_capacitor(ngspice: Ngspice, t_pulse_s: float) -> None:
    """V = V0 exp(-t K / R C); V0, which the switch leaves, is a little above the supply."""
    case = replace(RC, read=PulsedRead(v_wl_v=1.1, t_pulse_s=t_pulse_s))
    counts = np.arange(5)
    found_v = shots(ngspice, case, case.column.nominal_draw(), conducting(4, list(counts))).v_bl_v
    assert found_v[0] == pytest.approx(1.1, abs=1e-3)
    wanted_v = found_v[0] * np.exp(-t_pulse_s * counts / (R_OHM * C_F))
    np.testing.assert_allclose(found_v, wanted_v, atol=0.005 * 1.1)
    assert np.ptp(wanted_v) > 0.25


def test_energy_by_hand(ngspice: Ngspice) -> None:
    """The supply brings back C dV; word lines and the switch's gate cost the same whatever the sum."""
    found = shots(ngspice, RC, RC.column.nominal_draw(), conducting(4, list(range(5))))
    drop_v = found.v_bl_v[0] - found.v_bl_v
    np.testing.assert_allclose(found.energy_j[1:] - found.energy_j[0], 1.1 * C_F * drop_v[1:], rtol=0.03)
    assert found.energy_j[0] > 0
    # Four word lines and a switch of 0.5 um each to 1.1 V, at about 1 fF/um of gate with its overlaps.
    assert found.energy_j[0] == pytest.approx(1.1**2 * 2.5e-15, rel=0.5)


def test_energy_of_the_switch(ngspice: Ngspice) -> None:
    """Its gate is charged to the supply once a read: what a wider one takes more, at about 1 fF/um."""
    energy_j = []
    for w_m in (0.5e-6, 2.5e-6):
        case = CASE.changed(load=pmos_load(w_m), load_ohm=1053e-6 / w_m)
        energy_j.append(shots(ngspice, case, case.column.nominal_draw(), conducting(6, [0])).energy_j[0])
    assert energy_j[1] - energy_j[0] == pytest.approx(1.1**2 * 2e-15, rel=0.35)


def test_energy_counts_all_sources() -> None:
    """Rectangles on the 8T column of one row: every source, every driver, at the rail that it connects a line to."""
    read, column = PulsedRead(v_wl_v=0.5, t_pulse_s=400e-12), replace(CASE.column, rows=1, n_used=1)
    t_read_s, up_s, down_s = read.t_read_s(column), 3 * EDGE_S, 3 * EDGE_S + 400e-12
    time_s = np.linspace(0, t_read_s, 200001)
    up = (time_s >= up_s) & (time_s <= down_s)
    off = (time_s >= EDGE_S) & (time_s <= EDGE_S + read.t_off_s(column))
    values = {
        "time": time_s,
        "v(shot)": np.zeros_like(time_s),
        "v(rbl0)": np.where(time_s < down_s + 2 * EDGE_S, 1.0, 0.9),
        "v(xp0.q)": np.full_like(time_s, 1.1),
        "v(xp0.qb)": np.zeros_like(time_s),
        "v(xn0.q)": np.zeros_like(time_s),
        "v(xn0.qb)": np.full_like(time_s, 1.1),
        **{name: np.full_like(time_s, -1e-6) for name in ("i(vload)", "i(vcell)", "i(vbl)", "i(vblb)")},
        # The driver gives 2 uA while the line is up and takes them back: what comes back is lost.
        "i(brwlp0)": np.where(up, -2e-6, 2e-6),
        # From ground nothing is taken, whatever flows.
        "i(brwln0)": np.full_like(time_s, -3e-6),
        "i(vcontrol)": np.where(off, -4e-6, 4e-6),
    }
    outcome = Outcome(status="ok", plots=(values,), seconds=0.0, log="")
    found = read.result(column, column.nominal_draw(), conducting(1, [1]), outcome)
    off_s = read.t_off_s(column)
    wanted_j = 1.1 * 4e-6 * t_read_s + 0.5 * 2e-6 * (down_s - up_s) + 1.1 * 4e-6 * off_s
    assert found.energy_j[0] == pytest.approx(wanted_j, rel=1e-3, abs=0)
    # The read-out looks after the word lines are down, before the switch is on.
    assert found.v_bl_v[0] == pytest.approx(0.9)
    assert found.held.tolist() == [True]
    # A second shot that stopped half-way, and one without which others cannot be counted.
    half = {name: vector[:100000] for name, vector in values.items()} | {"v(shot)": np.ones(100000)}
    third = values | {"v(shot)": np.full_like(time_s, 2.0)}
    inputs = conducting(1, [1, 1, 1])
    for plots, known in (((values, half, third), 1), ((values, third), 1), ((half,), 0), ((), 0)):
        several = read.result(column, column.nominal_draw(), inputs, replace(outcome, plots=plots))
        assert len(several.v_bl_v) == len(several.energy_j) == len(several.held) == known
    later = values | {"v(shot)": np.ones_like(time_s), "v(xn0.q)": np.full_like(time_s, 0.6)}
    flipped = read.result(column, column.nominal_draw(), inputs, replace(outcome, plots=(values, later, third)))
    assert flipped.held.tolist() == [True, False, True]


def test_the_pulse(ngspice: Ngspice) -> None:
    """The lines are let go, then the word lines rise; their pulse has its length at half height; then one looks."""
    read, column = timed(CASE), CASE.column
    values = waves(ngspice, CASE, 6, "v(rwlp0)", "v(rwln0)", "v(control)").values
    time_s, word_v, switch_v = values["time"], values["v(rwlp0)"], values["v(control)"]
    rise_s = np.interp(0.175, word_v[: np.argmax(word_v)], time_s[: np.argmax(word_v)])
    falling = time_s > rise_s + read.t_pulse_s / 2
    fall_s = np.interp(-0.175, -word_v[falling], time_s[falling])
    assert fall_s - rise_s == pytest.approx(400e-12, rel=1e-3, abs=0)
    assert word_v.max() == pytest.approx(0.35, rel=1e-6)
    assert np.abs(values["v(rwln0)"]).max() < 1e-9
    assert np.all(switch_v[(time_s >= rise_s - EDGE_S / 2) & (time_s <= fall_s + EDGE_S / 2)] > 1.0999)
    look_s = EDGE_S + read.t_look_s(column)
    line_v = values["v(rbl0)"]
    assert look_s > fall_s + 2 * EDGE_S
    # The line stands still by then, and the switch is still off.
    looked_v = np.interp(look_s, time_s, line_v)
    assert np.interp(look_s - EDGE_S / 2, time_s, line_v) == pytest.approx(looked_v, abs=2e-4)
    assert np.interp(look_s, time_s, switch_v) > 1.0999
    assert time_s[-1] == pytest.approx(read.t_read_s(column), rel=1e-4)
    assert line_v[-1] == pytest.approx(1.1, abs=1e-3)
    # By hand: 12 time constants of the line and 2 edges with the switch on; 2 edges, pulse, 4 edges without.
    wanted_s = 12 * column.tau_s + 2 * EDGE_S + 400e-12 + 6 * EDGE_S
    assert read.t_read_s(column) == pytest.approx(wanted_s, rel=1e-9, abs=0)


def test_drop_grows_with_the_pulse(ngspice: Ngspice) -> None:
    """Cells in saturation are current sources: the drop is linear in the length, from nearly nothing at none."""
    lengths_s = np.array([200e-12, 400e-12, 800e-12])
    drops_v = []
    for t_s in lengths_s:
        case = replace(CASE, read=PulsedRead(v_wl_v=0.35, t_pulse_s=float(t_s)))
        first_v, last_v = shots(ngspice, case, case.column.nominal_draw(), conducting(6, [0, 6])).v_bl_v
        drops_v.append(first_v - last_v)
    slopes = np.diff(drops_v) / np.diff(lengths_s)
    assert slopes[1] == pytest.approx(slopes[0], rel=0.1)
    assert abs(drops_v[0] - slopes[0] * lengths_s[0]) < 0.15 * drops_v[0]


def noise_v(ngspice: Ngspice, case: Case, count: int) -> float:
    column = case.column
    outcome = ngspice.run(case.read.noise_deck(column, conducting(column.n_used, [count])[0]))
    found = case.read.noise_v(column, outcome)
    assert found is not None
    return found


def test_noise_of_resistors(ngspice: Ngspice) -> None:
    """KT/C of the switch, and the charge that a current of density 4 k T K / R leaves in a time t."""
    for rows in (1, 4):
        case = RC.changed(rows=rows, n_used=rows)
        c_f = case.column.c_bl_f
        charge_c2 = 4 * KT_J * rows / R_OHM * 50e-9 / 2
        wanted_v = math.sqrt(KT_J / c_f + charge_c2 / c_f**2)
        assert noise_v(ngspice, case, rows) == pytest.approx(wanted_v, rel=0.01)
        assert wanted_v > 1.2 * math.sqrt(KT_J / c_f)


@pytest.mark.parametrize(("name", "lines"), [("8t-pulsed", 1), ("6t-pulsed", 2)])
def test_noise_of_transistors(ngspice: Ngspice, name: str, lines: int) -> None:
    """A density between half and twice that of shot noise: q times the charge that was drawn, on either line."""
    case = CASES[name]
    c_f = case.column.c_bl_f
    first_v, last_v = shots(ngspice, case, case.column.nominal_draw(), conducting(6, [0, 6])).v_bl_v
    # Each of six cells pulls its line down by so much; of a 6T column six are on at any sum.
    drop_v = (first_v - last_v) / 6 / lines
    for count in (0, 3, 6):
        cells = count if lines == 1 else 6
        more_v2 = noise_v(ngspice, case, count) ** 2 - lines * KT_J / c_f
        shot_v2 = ELECTRON_C * cells * drop_v / c_f
        assert 0.5 * shot_v2 <= more_v2 + 1e-9 * lines
        assert more_v2 <= 2 * shot_v2 + 1e-9 * lines


def test_noise_falls_with_capacitance_and_grows_with_time(ngspice: Ngspice) -> None:
    rest_v = noise_v(ngspice, CASE, 0)
    large = CASE.changed(c_bl_fixed_f=20e-15 + 3 * CASE.column.c_bl_f)
    assert rest_v / noise_v(ngspice, large, 0) == pytest.approx(2, rel=1e-3)
    # A line's share grows with the pulse; what a pulse of no length would leave is kT/C of each line.
    for name, lines in (("8t-pulsed", 1), ("6t-pulsed", 2)):
        short, longer = (replace(CASES[name], read=PulsedRead(v_wl_v=0.35, t_pulse_s=t)) for t in (400e-12, 800e-12))
        squares = [noise_v(ngspice, case, 6) ** 2 for case in (short, longer)]
        assert 2 * squares[0] - squares[1] == pytest.approx(lines * KT_J / CASE.column.c_bl_f, rel=1e-3, abs=0)
        assert squares[1] > 1.4 * squares[0]
    assert CASE.read.noise_v(CASE.column, Outcome(status="ok", plots=(), seconds=0.0, log="")) is None


@pytest.mark.parametrize("to_end", [True, False])
def test_cells_that_flip(ngspice: Ngspice, to_end: bool) -> None:
    """6T cells read so hard that a line writes them. Each read has a column of its own, so the others are sound."""
    column = Column(
        technology=own_technology(flavour="hp"),
        cell=Cell6T(),
        rows=8,
        n_used=8,
        load=pmos_load(1e-6),
        load_ohm=1e3,
    )
    read = PulsedRead(v_wl_v=1.1, t_pulse_s=300e-12, to_end=to_end)
    draw = column.draw(Mismatch(a_vt_v_m=6e-9), (3, 1))

    def found(counts: list[int]) -> tuple[list[float], list[bool]]:
        inputs = (conducting(8, counts) * draw.weights).astype(np.int8)
        result = read.result(column, draw, inputs, ngspice.run(read.deck(column, draw, inputs)))
        return result.v_bl_v.tolist(), result.held.tolist()

    # Both lines fall when the sum is near 0: then a cell meets a low line on its high side.
    volts, held = found([8, 4, 8, 0])
    assert held == [True, False, True, True]
    assert volts[2] == pytest.approx(volts[0], rel=1e-6)
    ((alone_v,), alone_held) = found([8])
    assert alone_v == pytest.approx(volts[0], rel=1e-6)
    assert alone_held == [True]


def test_read_that_gives_up_half_way(ngspice: Ngspice) -> None:
    """What ngspice itself leaves behind: the reads before it count, those after it are to be done again."""
    column, inputs = CASE.column, conducting(6, [0, 3, 6])
    deck = CASE.read.deck(column, column.nominal_draw(), inputs)
    whole = CASE.read.result(column, column.nominal_draw(), inputs, ngspice.run(deck))
    first, second, third = deck.analyses
    stop = second.split()[7]
    for spoilt in (second.replace("tran", "nothing"), second.replace(stop, "1e-10")):
        broken = Deck(netlist=deck.netlist, save=deck.save, analyses=(first, spoilt, third))
        found = CASE.read.result(column, column.nominal_draw(), inputs, ngspice.run(broken))
        assert found.v_bl_v.tolist() == whole.v_bl_v[:1].tolist()


@pytest.mark.parametrize("t_pulse_s", [99e-12, 0.0, -1e-9, 1e-6, math.nan])
def test_refused_pulses(t_pulse_s: float) -> None:
    words = f"t_pulse_s is {t_pulse_s * 1e12:.3g} ps; a pulse needs at least 100 ps .3 edges of 20 ps or more. and less"
    with pytest.raises(InputError, match=words.replace("+", r"\+")):
        PulsedRead(v_wl_v=0.35, t_pulse_s=t_pulse_s)


def test_pulse_of_less_than_three_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulsed_read, "EDGE_S", 50e-12)
    with pytest.raises(InputError, match=r"t_pulse_s is 149 ps; a pulse needs at least 150 ps \(3 edges of 50 ps"):
        PulsedRead(v_wl_v=0.35, t_pulse_s=149e-12)
    assert PulsedRead(v_wl_v=0.35, t_pulse_s=151e-12).t_pulse_s == 151e-12


@pytest.mark.parametrize("v_wl_v", [0.0, 2.1, math.nan])
def test_refused_word_lines(v_wl_v: float) -> None:
    with pytest.raises(InputError, match=f"v_wl_v is {v_wl_v} V; an active word line needs more than 0"):
        PulsedRead(v_wl_v=v_wl_v, t_pulse_s=200e-12)


@pytest.mark.parametrize("name", ["8t-pulsed", "6t-pulsed"])
def test_brief_read_has_the_voltage_and_no_energy(ngspice: Ngspice, name: str) -> None:
    """It ends when the latches have been looked at, so that a cell that lost its data shows there too."""
    case = CASES[name]
    column, inputs = case.column, conducting(case.column.n_used, [1, 4])
    draw = column.draw(Mismatch(), (5,))
    whole = shots(ngspice, case, draw, inputs)
    brief = replace(case, read=case.read.brief)
    outcome = ngspice.run(brief.read.deck(column, draw, inputs))
    found = brief.read.result(column, draw, inputs, outcome)
    np.testing.assert_allclose(found.v_bl_v, whole.v_bl_v, atol=2e-5)
    assert found.held.all()
    assert np.isnan(found.energy_j).all()
    assert outcome.plots[0]["time"][-1] == pytest.approx(EDGE_S + timed(case).t_off_s(column), rel=1e-3)
    # One that stopped early is no read.
    cut = replace(outcome, plots=tuple({key: v[:-20] for key, v in plot.items()} for plot in outcome.plots))
    assert not len(brief.read.result(column, draw, inputs, cut).v_bl_v)
