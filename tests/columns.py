"""Small columns of every cell with every read of it, for tests, and what ngspice makes of them."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prcim.cells.cell_1t1r import Cell1T1R
from prcim.cells.cell_6t import Cell6T
from prcim.cells.cell_8t import Cell8T
from prcim.cells.cell_8t1c import Cell8T1C
from prcim.cells.column import Column, ColumnDraw
from prcim.cells.load import nmos_switch, pmos_load, resistor_load
from prcim.cells.reads.charge_read import ChargeRead
from prcim.cells.reads.pulsed_read import PulsedRead
from prcim.cells.reads.read import Read, Shots
from prcim.cells.reads.steady_read import SteadyRead
from prcim.cells.technology import own_technology
from prcim.spice.ngspice import Ngspice

Signs = NDArray[np.int8]
Floats = NDArray[np.float64]

ROWS = 6
TECHNOLOGY = own_technology()
#: On-resistance of the switches, from `load_deck` at a drop of 50 mV.
PRECHARGE_OHM, RESET_OHM = 1053.0, 347.0


@dataclass(frozen=True, kw_only=True)
class Case:
    """A column whose wire has next to no resistance, so that a cell's place does not matter; and how it is read."""

    column: Column
    read: Read

    def changed(self, **fields: Any) -> "Case":
        """The same with some fields of the column set."""
        return replace(self, column=replace(self.column, **fields))


def _case(cell: Any, load: Any, load_ohm: float, read: Read) -> Case:
    column = Column(
        technology=TECHNOLOGY, cell=cell, rows=ROWS, n_used=ROWS, load=load, load_ohm=load_ohm, r_bl_row_ohm=1e-3
    )
    return Case(column=column, read=read)


STEADY, PULSED = SteadyRead(v_wl_v=0.35), PulsedRead(v_wl_v=0.35, t_pulse_s=400e-12)
#: Microamperes, so that a pulse of 150 ps does not empty the line.
RESISTIVE = Cell1T1R(r_on_ohm=4e5, r_off_ohm=1e7)
CASES = {
    "8t-steady": _case(Cell8T(), resistor_load(27e3), 27e3, STEADY),
    "8t-pulsed": _case(Cell8T(), pmos_load(1e-6), PRECHARGE_OHM, PULSED),
    "6t-steady": _case(Cell6T(), resistor_load(27e3), 27e3, STEADY),
    "6t-pulsed": _case(Cell6T(), pmos_load(1e-6), PRECHARGE_OHM, PULSED),
    "8t1c-charge": _case(Cell8T1C(), nmos_switch(1e-6), RESET_OHM, ChargeRead(v_wl_v=0.5)),
    "1t1r-steady": _case(RESISTIVE, resistor_load(6e3), 6e3, SteadyRead(v_wl_v=0.8)),
    "1t1r-pulsed": _case(RESISTIVE, pmos_load(1e-6), PRECHARGE_OHM, PulsedRead(v_wl_v=0.8, t_pulse_s=150e-12)),
}


def shots(ngspice: Ngspice, case: Case, draw: ColumnDraw, inputs: Signs) -> Shots:
    """Reads in which nothing goes wrong."""
    outcome = ngspice.run(case.read.deck(case.column, draw, inputs))
    assert outcome.ok, outcome.log
    found = case.read.result(case.column, draw, inputs, outcome)
    assert len(found.v_bl_v) == len(found.energy_j) == len(found.held) == len(inputs)
    assert found.held.all()
    return found


def read_v(ngspice: Ngspice, case: Case, draw: ColumnDraw, inputs: Signs) -> Floats:
    """Their voltages."""
    return shots(ngspice, case, draw, inputs).v_bl_v


def step_v(case: Case, ngspice: Ngspice) -> float:
    """What one conducting cell more does to the voltage, V, on average; 2 in S."""
    column = case.column
    ones = np.ones((2, column.n_used), dtype=np.int8)
    ones[0] = -1
    first_v, last_v = read_v(ngspice, case, column.nominal_draw(), ones)
    return float(first_v - last_v) / column.n_used


def signs(rng: np.random.Generator, *shape: int) -> Signs:
    """Fair +1 and -1."""
    return (2 * rng.integers(0, 2, shape) - 1).astype(np.int8)


def conducting(n_used: int, counts: list[int]) -> Signs:
    """Inputs with which the first K of some weights +1 conduct, for each K, shape (counts, n_used)."""
    return np.where(np.arange(n_used) < np.array(counts)[:, None], 1, -1).astype(np.int8)


def in_order(weights: Signs, counts: list[int], order: NDArray[np.int_]) -> Signs:
    """Inputs with which the first K rows of an order conduct, for each K, shape (counts, rows)."""
    return np.asarray(conducting(len(weights), counts)[:, np.argsort(order)] * weights, dtype=np.int8)
