"""Read disturb: the trip voltage against closed cells that are held there, and the laws it obeys."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from prcim.cells.benches.bench import SOLVER, Shifts, bench, held, latch_names, waiting_v
from prcim.cells.benches.disturb import disturb_deck, disturbed_bit, first_order, one_by_one, trip_voltages
from prcim.cells.cell_6t import Cell6T
from prcim.cells.cell_8t import Cell8T
from prcim.cells.mismatch import Mismatch
from prcim.cells.registry import CELLS
from prcim.cells.technology import Technology, own_technology
from prcim.characterize.disturb_limit import disturb_limit_v
from prcim.errors import InputError, RunError
from prcim.spice.deck import Deck
from prcim.spice.ngspice import find_ngspice
from prcim.spice.outcome import Outcome

HP = own_technology(flavour="hp")
CELL = Cell6T()
NOMINAL = (np.zeros((1, 6)), np.ones((1, 6)))
Floats = NDArray[np.float64]


def trips_v(shifts: Shifts, v_wl_v: float, *, technology: Technology = HP, cell: Cell6T = CELL) -> Floats:
    outcome = find_ngspice().run(disturb_deck(technology, cell, shifts, v_wl_v=v_wl_v))
    found = trip_voltages(cell, outcome, cells=len(shifts[0]))
    assert found is not None, outcome.status
    return found


def alive_at(line_v: Floats, shifts: Shifts, v_wl_v: float, *, technology: Technology = HP) -> NDArray[np.bool_]:
    """Whether closed cells, each with a bit line of its own at a voltage, still store the 1 that they began with."""
    level_v = waiting_v(CELL, technology.vdd_v, v_bl_v=technology.vdd_v) | {"wl": v_wl_v}
    del level_v["bl"]
    circuit = bench("closed", technology, CELL, shifts, bit=1, level_v=level_v, own=("bl",))
    lines = "".join(f"vbl{i} bl{i} 0 {volts:.9g}\n" for i, volts in enumerate(line_v))
    names = latch_names(CELL, len(line_v))
    deck = Deck(netlist=f"{circuit}\n{lines}{SOLVER}", save=tuple(names), analyses=("op",))
    return held(CELL, find_ngspice().run(deck).values, bit=1, cells=len(line_v))[:, 0]


@pytest.mark.parametrize("flavour", ["hp", "sram"])
@pytest.mark.parametrize("v_wl_v", [0.7, 0.9, 1.1])
def test_a_closed_cell_flips_where_the_minimum_says(v_wl_v: float, flavour: str) -> None:
    """3 mV above its trip voltage every cell holds its bit, 3 mV below none does: nothing here is swept or fed back."""
    technology = own_technology(flavour=flavour)
    shifts = Mismatch().draw_local(CELL.parts, 12, (7,))
    trip_v = trips_v(shifts, v_wl_v, technology=technology)
    assert np.ptp(trip_v) > 0.05
    assert alive_at(trip_v + 3e-3, shifts, v_wl_v, technology=technology).all()
    assert not alive_at(trip_v - 3e-3, shifts, v_wl_v, technology=technology).any()


def test_a_pulse_disturbs_less_than_a_read_that_lasts() -> None:
    """In time: 20 mV below its trip voltage a cell survives 50 ps with the word line on, and not 20 ns."""
    trip_v = trips_v(NOMINAL, 1.1)[0]
    level_v = waiting_v(CELL, 1.1, v_bl_v=1.1)
    del level_v["bl"], level_v["wl"]
    both = (np.zeros((2, 6)), np.ones((2, 6)))
    circuit = bench("pulses", HP, CELL, both, bit=1, level_v=level_v, own=("wl",))
    sources = f"vbl bl 0 {trip_v - 0.02:.6g}\n" + "".join(
        f"vwl{i} wl{i} 0 pulse(0 1.1 1n 10p 10p {width_s:g})\n" for i, width_s in enumerate((50e-12, 20e-9))
    )
    names = latch_names(CELL, 2)
    deck = Deck(netlist=f"{circuit}\n{sources}", save=tuple(names), analyses=("tran 10p 25n",))
    values = find_ngspice().run(deck).values
    assert held(CELL, values, bit=1, cells=2)[:, 0].all()
    assert held(CELL, values, bit=1, cells=2)[:, -1].tolist() == [True, False]


def test_the_trip_voltage_follows_the_word_line() -> None:
    """The pass gate's source is the bit line, so what counts is by how much the word line is above it."""
    levels = np.array([0.35, 0.5, 0.7, 0.9, 1.1])
    trip_v = np.array([trips_v(NOMINAL, v_wl_v)[0] for v_wl_v in levels])
    slope = np.diff(trip_v) / np.diff(levels)
    assert np.all((slope > 0.75) & (slope < 1))
    # Below ground: no bit line between ground and the supply disturbs the cell.
    assert trip_v[0] < 0 < trip_v[2]


def test_sizes_that_help() -> None:
    """A stronger pull-up holds on longer, a stronger pass gate pulls harder."""
    base = trips_v(NOMINAL, 0.9)[0]
    assert trips_v(NOMINAL, 0.9, cell=replace(CELL, w_pull_up_m=120e-9))[0] < base - 0.02
    assert trips_v(NOMINAL, 0.9, cell=replace(CELL, w_pass_m=130e-9))[0] > base + 0.02


def test_the_shift_of_each_transistor_pushes_the_right_way() -> None:
    """What lifts the node that stores 0, or holds the other one less, brings the trip voltage up. Left stores 1."""
    names = [part.name for part in CELL.parts]
    shifted = trips_v((0.03 * np.eye(6), np.ones((6, 6))), 0.9) - trips_v(NOMINAL, 0.9)[0]
    weaker = dict(zip(names, shifted, strict=True))
    assert weaker["pul"] > 5e-3
    assert weaker["pgl"] < -20e-3
    assert weaker["pdr"] > 5e-3
    assert weaker["pur"] < -1e-3
    assert weaker["pgr"] < -1e-3
    # Its gate is the node that stores 0.
    assert abs(weaker["pdl"]) < 2e-3


@pytest.mark.parametrize("mismatch", [Mismatch(), Mismatch(a_vt_v_m=0, a_beta_m=2e-8)], ids=["both", "gain alone"])
@pytest.mark.parametrize("v_wl_v", [0.5, 1.1])
def test_first_order_agrees_with_draws(v_wl_v: float, mismatch: Mismatch) -> None:
    """A sigma from 400 draws is known to 3.5 %; the draws are fixed."""
    nominal_v, sigma_v = first_order(trips_v(one_by_one(CELL, mismatch), v_wl_v))
    drawn = np.concatenate([trips_v(mismatch.draw_local(CELL.parts, 100, (8, k)), v_wl_v) for k in range(4)])
    assert nominal_v == pytest.approx(drawn.mean(), abs=3 * sigma_v / 20)
    assert sigma_v == pytest.approx(drawn.std(ddof=1), rel=0.08, abs=0)


def test_first_order_adds_squares() -> None:
    """Two parts with effects of 3 and 4 mV each way: 5 mV."""
    trip_v = 0.2 + np.array([0, 3e-3, -3e-3, 0, 0, -4e-3, 4e-3, 0, 0])
    assert first_order(trip_v) == pytest.approx((0.2, 5e-3), abs=1e-12)


def test_the_limit_is_nominal_plus_sigmas() -> None:
    nominal_v, sigma_v = first_order(trips_v(one_by_one(CELL, Mismatch()), 0.9))
    for sigmas in (0.0, 4.0, 6.0):
        found = disturb_limit_v(HP, CELL, Mismatch(), find_ngspice(), v_wl_v=0.9, sigmas=sigmas)
        assert found == pytest.approx(nominal_v + sigmas * sigma_v, abs=1e-9)
    assert disturb_limit_v(HP, Cell8T(), Mismatch(), find_ngspice(), v_wl_v=0.9) is None


def test_only_a_read_through_the_latch_disturbs() -> None:
    assert {name: disturbed_bit(kind()) for name, kind in CELLS.items()} == {
        "6t": 1,
        "8t": None,
        "8t1c": None,
        "1t1r": None,
    }
    with pytest.raises(InputError, match="a read of cell_8t does not connect its latch with a bit line"):
        disturb_deck(HP, Cell8T(), (np.zeros((1, 8)), np.ones((1, 8))), v_wl_v=0.5)
    with pytest.raises(InputError, match=r"v_wl_v is 1\.2 V at a supply of 1\.1 V"):
        disturb_deck(HP, CELL, NOMINAL, v_wl_v=1.2)


def test_a_cell_that_holds_nothing_is_said_to() -> None:
    """With pass gates 20 times as wide no 1 survives its own read."""
    with pytest.raises(RunError, match=r"cell_6t does not hold its bit with a word line of 1\.1 V"):
        disturb_limit_v(HP, replace(CELL, w_pass_m=2e-6, w_pull_down_m=80e-9), Mismatch(), find_ngspice(), v_wl_v=1.1)


def outcome_of(*lines: list[float]) -> Outcome:
    plot = {f"v(bl{i})": np.array(line) for i, line in enumerate(lines)}
    return Outcome(status="ok", plots=(plot,), seconds=0.0, log="")


def test_minima() -> None:
    """The first minimum counts; a curve that only rises belongs to a lost cell, one that only falls to none."""
    at = np.linspace(0, 1, 61)
    dip, double, rising, falling = (at - 0.5) ** 2, np.cos(4 * np.pi * at) - at, at, -at
    found = trip_voltages(CELL, outcome_of(*(c.tolist() for c in (dip, double, rising, falling))), cells=4)
    assert found is not None
    assert found[0] == pytest.approx(0.0, abs=1e-12)
    assert found[1] == pytest.approx(double[:30].min(), abs=1e-12)
    assert double.min() < double[:30].min()
    assert found[2] == np.inf
    assert np.isnan(found[3])
    assert trip_voltages(CELL, outcome_of([1.0, 0.9, 1.0]), cells=1) is None
    assert trip_voltages(CELL, outcome_of(dip.tolist()), cells=2) is None
