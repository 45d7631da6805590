"""The same decks through a second simulator: no voltage of a read differs by more than 1 % of the swing.

Shifts enter as a source at each gate and a mirror of each drain current, since neospice leaves `delvto` and `mulu0`
unread. With -s every test prints what it found.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from second_simulator import run_in_neospice

from prcim.cells.benches.device import device_deck
from prcim.cells.benches.read_current import read_currents
from prcim.cells.cell import Cell
from prcim.cells.cell_1t1r import Cell1T1R
from prcim.cells.cell_6t import Cell6T
from prcim.cells.cell_8t import Cell8T
from prcim.cells.cell_8t1c import Cell8T1C
from prcim.cells.column import Column
from prcim.cells.devices.part import Part
from prcim.cells.load import nmos_switch, pmos_load, resistor_load
from prcim.cells.mismatch import Mismatch
from prcim.cells.reads.charge_read import ChargeRead
from prcim.cells.reads.pulsed_read import PulsedRead
from prcim.cells.reads.read import Read
from prcim.cells.reads.steady_read import SteadyRead
from prcim.cells.technology import Technology, own_technology
from prcim.spice.deck import Deck
from prcim.spice.ngspice import find_ngspice
from prcim.spice.outcome import Outcome

#: Largest difference of a shot, as a fraction of the swing.
GATE = 0.01
#: The same where nothing is integrated over time: both solve to a millionth.
GATE_DC = 0.001
#: Largest relative difference of a single transistor's or cell's current.
GATE_CURRENT = 0.001
MISMATCH = Mismatch()

Run = Callable[[Deck], Outcome]


def with_sources(technology: Technology) -> Technology:
    return replace(technology, gate_sources=True)


def in_ngspice(deck: Deck) -> Outcome:
    outcome = find_ngspice().run(deck)
    assert outcome.ok, outcome.status
    return outcome


@pytest.mark.parametrize("flavour", ["hp", "sram"])
@pytest.mark.parametrize("kind", ["n", "p"])
def test_transistor(kind: Literal["n", "p"], flavour: str) -> None:
    technology = with_sources(own_technology(flavour=flavour))
    deck = device_deck(technology, kind, w_m=120e-9, l_m=65e-9, dvt_v=0.04, factor=0.9)
    ours, theirs = in_ngspice(deck).values, run_in_neospice(deck).values
    for name in deck.save:
        assert np.ptp(np.log10(np.abs(ours[name]))) > 3
        difference = np.abs(theirs[name] / ours[name] - 1).max()
        print(f"{flavour} {kind} {name}: largest difference {difference:.1e}")
        assert difference < GATE_CURRENT


@pytest.mark.parametrize("v_wl_v", [0.4, 1.1])
@pytest.mark.parametrize("cell", [Cell8T(), Cell6T(), Cell1T1R()], ids=lambda cell: cell.name)
def test_current_of_single_cells(cell: Cell, v_wl_v: float) -> None:
    technology = with_sources(own_technology(flavour="hp"))
    shifts = MISMATCH.draw_local(cell.parts, 12, (5, 1))
    deck, names = read_currents(technology, cell, shifts, v_wl_v=v_wl_v, v_bl_v=technology.vdd_v)
    ours, theirs = in_ngspice(deck).values, run_in_neospice(deck).values
    current_a = np.array([-ours[name][0] for name in names])
    difference = np.abs(np.array([-theirs[name][0] for name in names]) / current_a - 1).max()
    print(
        f"{cell.name} at {v_wl_v} V: {current_a.mean() * 1e6:.2f} uA, spread {current_a.std() / current_a.mean():.1%},"
        f" largest difference {difference:.1e}"
    )
    assert current_a.std() > 0.02 * current_a.mean()
    assert difference < GATE_CURRENT


SOURCES = with_sources(own_technology())
STEADY = SteadyRead(v_wl_v=0.4)
#: Cell, load of an 8-row column and its resistance, read.
COLUMNS: dict[str, tuple[Cell, Part, float, Read]] = {
    "8t": (Cell8T(), resistor_load(40e3), 40e3, STEADY),
    "8t-pmos": (Cell8T(), pmos_load(80e-9), 40e3, STEADY),
    "6t": (Cell6T(), resistor_load(20e3), 20e3, STEADY),
    "1t1r": (Cell1T1R(), resistor_load(2e3), 2e3, SteadyRead(v_wl_v=0.8)),
    "8t-pulsed": (Cell8T(), pmos_load(500e-9), 2e3, PulsedRead(v_wl_v=0.45, t_pulse_s=300e-12)),
    "6t-pulsed": (Cell6T(), pmos_load(500e-9), 2e3, PulsedRead(v_wl_v=0.45, t_pulse_s=300e-12)),
    "8t1c": (Cell8T1C(), nmos_switch(500e-9), 2e3, ChargeRead(v_wl_v=0.5)),
}


def column(name: str, technology: Technology, rows: int = 8) -> Column:
    cell, load, load_ohm, read = COLUMNS[name]
    if read.name == "steady" and rows > 8:
        # As many times the cells, such a part of the resistance.
        load_ohm *= 8 / rows
        load = resistor_load(load_ohm)
    return Column(technology=technology, cell=cell, rows=rows, n_used=rows, load=load, load_ohm=load_ohm)


def read_both(
    read: Read, column: Column, shots: int, *, mismatch: Mismatch = MISMATCH, second: tuple[Column, Run] | None = None
) -> tuple[float, float, NDArray[np.float64]]:
    """Reads one column with mismatch at sums from lowest to highest, each made of rows chosen at random.

    Args:
        read, column: what ngspice reads.
        shots: number of reads.
        mismatch: spreads from which the column is drawn.
        second: what is read with the same draw, and in which simulator; the same column in neospice unless given.

    Returns:
        Swing, V, largest difference as a fraction of it, and the sums.
    """
    draw = column.draw(mismatch, (7, column.rows))
    rng = np.random.default_rng((7, 1))
    on = np.round(np.linspace(0, column.rows, shots))
    products = np.array([np.where(rng.permutation(column.rows) < k, 1, -1) for k in on])
    inputs = (products * draw.weights).astype(np.int8)
    found = []
    for which, run in ((column, in_ngspice), second or (column, run_in_neospice)):
        outcome = run(read.deck(which, draw, inputs))
        result = read.result(which, draw, inputs, outcome)
        assert result.held.all()
        assert len(result.v_bl_v) == shots
        found.append((result.v_bl_v, outcome.seconds))
    (first_v, first_s), (second_v, second_s) = found
    swing_v = float(np.ptp(first_v))
    difference = float(np.abs(first_v - second_v).max()) / swing_v
    print(
        f"{column.cell.name}, {column.rows} rows, {read.name}, {column.load.kind or 'R'} load, {shots} shots: swing"
        f" {swing_v * 1e3:.0f} mV, largest difference {difference:.4%}; {first_s:.2f} s and {second_s:.2f} s"
    )
    return swing_v, difference, products.sum(axis=1)


@pytest.mark.parametrize("name", COLUMNS)
def test_column(name: str) -> None:
    read = COLUMNS[name][-1]
    steady = read.name == "steady"
    swing_v, difference, sums = read_both(read, column(name, SOURCES), 18 if steady else 3)
    assert swing_v > 0.05
    assert (sums.min(), sums.max()) == (-8, 8)
    assert difference < (GATE_DC if steady else GATE)


def test_corner_and_temperature() -> None:
    typical_v, *_ = read_both(STEADY, column("8t-pmos", SOURCES), 3)
    hot = with_sources(own_technology(corner="sf", temp_c=85))
    swing_v, difference, _ = read_both(STEADY, column("8t-pmos", hot), 9)
    assert abs(swing_v / typical_v - 1) > 0.05
    assert difference < GATE_DC


def test_parameters_are_left_unread() -> None:
    """Were mismatch lost on the way, the gate would fail; and `delvto` is lost, which is why sources stand for it."""
    _, difference, _ = read_both(STEADY, column("8t", own_technology()), 9)
    assert difference > 3 * GATE


def test_source_at_the_gate_for_a_threshold_shift() -> None:
    """Both ways in ngspice: they differ by BSIM4's mobility alone, which falls as the threshold of the card grows."""
    own = own_technology()
    constant = re.sub(r"\b(ua|ub) *= *\S+", r"\1 = 0", own.library.text)
    differences = []
    for technology in (own, replace(own, library=replace(own.library, text=constant))):
        by_source = column("8t", with_sources(technology))
        second = column("8t", technology), in_ngspice
        differences.append(read_both(STEADY, by_source, 9, mismatch=Mismatch(a_beta_m=0.0), second=second)[1])
    assert 1e-3 < differences[0] < 3 * GATE
    assert differences[1] < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(("name", "shots"), [("8t", 18), ("6t", 9), ("8t1c", 2)])
def test_column_of_64_rows(name: str, shots: int) -> None:
    read = COLUMNS[name][-1]
    swing_v, difference, sums = read_both(read, column(name, SOURCES, rows=64), shots)
    assert swing_v > 0.1
    assert (sums.min(), sums.max()) == (-64, 64)
    assert difference < (GATE_DC if read.name == "steady" else GATE)
