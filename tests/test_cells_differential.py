"""6T columns are differential: odd in the sum, and half the error variance of 8T columns.

With y = x w and an independent relative error d of every cell that conducts, a 6T column reads sum y (1 + d), whose
error has the variance N sigma^2 at any sum; an 8T column reads sum (1 + y)(1 + d) - N, where only K cells conduct and
each counts for 2: 4 K sigma^2, that is 2 N sigma^2 at the sum 0.
"""

from dataclasses import replace

import numpy as np
import pytest
from columns import CASES, ROWS, Case, Floats, Signs, conducting, in_order, read_v, signs
from scipy.interpolate import CubicSpline, PchipInterpolator

from prcim.cells.benches.read_current import read_currents
from prcim.cells.cell import Cell
from prcim.cells.cell_6t import Cell6T
from prcim.cells.cell_8t import Cell8T
from prcim.cells.column import ColumnDraw
from prcim.cells.load import resistor_load
from prcim.cells.mismatch import Mismatch
from prcim.cells.reads.steady_read import SteadyRead
from prcim.cells.technology import own_technology
from prcim.spice.ngspice import Ngspice, find_ngspice

#: An operating point at which errors are small: sigma/I is 5 %, the line falls by 90 mV.
N, V_WL, LOAD_OHM = 16, 1.0, 100.0
TECHNOLOGY = own_technology(flavour="hp")
THRESHOLDS = Mismatch(a_beta_m=0.0)


@pytest.fixture(scope="module")
def ngspice() -> Ngspice:
    return find_ngspice()


def small_errors(cell: Cell) -> Case:
    column = replace(
        CASES["6t-steady"].column,
        technology=TECHNOLOGY,
        cell=cell,
        rows=N,
        n_used=N,
        load=resistor_load(LOAD_OHM, rel_sigma=0.0),
        load_ohm=LOAD_OHM,
    )
    return Case(column=column, read=SteadyRead(v_wl_v=V_WL))


@pytest.mark.parametrize("name", ["6t-steady", "6t-pulsed"])
def test_odd_in_the_sum(ngspice: Ngspice, name: str) -> None:
    case = CASES[name]
    found_v = read_v(ngspice, case, case.column.nominal_draw(), conducting(ROWS, list(range(ROWS + 1))))
    step_v = -np.diff(found_v).mean()
    np.testing.assert_allclose(found_v, -found_v[::-1], atol=1e-4 * step_v)
    assert step_v > 5e-3


@pytest.mark.parametrize("name", ["6t-steady", "6t-pulsed"])
def test_sides_change_places(ngspice: Ngspice, name: str) -> None:
    """With mismatch: left for right in every cell, and one load for the other, turns the sign and changes nothing."""
    case = CASES[name]
    draw = case.column.draw(Mismatch(), (40, 1))
    names = [part.name for part in case.column.cell.parts]
    other = [names.index(name[:-1] + {"l": "r", "r": "l"}[name[-1]]) for name in names]
    swapped = ColumnDraw(
        weights=-draw.weights,
        dvt_v=draw.dvt_v[:, :, other],
        factor=draw.factor[:, :, other],
        load_dvt_v=draw.load_dvt_v[::-1],
        load_factor=draw.load_factor[::-1],
    )
    inputs = in_order(draw.weights, [0, 2, 3, 6], np.arange(ROWS))
    found_v, other_v = (read_v(ngspice, case, d, inputs) for d in (draw, swapped))
    step_v = np.ptp(found_v) / ROWS
    np.testing.assert_allclose(found_v, -other_v, atol=1e-4 * step_v)
    assert abs(found_v + found_v[::-1]).max() > 0.1 * step_v


def transfer(ngspice: Ngspice, case: Case) -> PchipInterpolator:
    """The sum as a function of the voltage, of the column without mismatch; beyond the ends as the last piece goes."""
    sums = np.arange(-N, N + 1, 2)
    volts = read_v(ngspice, case, case.column.nominal_draw(), conducting(N, list(range(N + 1))))
    return PchipInterpolator(volts[::-1], sums[::-1])


def conducting_shifts(case: Case, draw: ColumnDraw, inputs: Signs) -> tuple[Floats, Floats, Signs]:
    """Shifts of the cell that is open on each row, and whether its first bit line is the one that falls."""
    rows = np.arange(N)
    twins = np.where(inputs > 0, 0, 1)
    products = (inputs * draw.weights).astype(np.int8)
    return draw.dvt_v[rows, twins], draw.factor[rows, twins], products


def test_error_of_a_column_is_that_of_its_cells(ngspice: Ngspice) -> None:
    """E = sum y d, with the current of every open cell from a deck of single cells; what a droop bends is 2 %."""
    case = small_errors(Cell6T())
    cell, mac_at = case.column.cell, transfer(ngspice, case)
    names = [part.name for part in cell.parts]
    other = [names.index(name[:-1] + {"l": "r", "r": "l"}[name[-1]]) for name in names]
    rng = np.random.default_rng(41)
    alike = np.zeros((1, 6)), np.ones((1, 6))
    deck, (name,) = read_currents(TECHNOLOGY, cell, alike, v_wl_v=V_WL, v_bl_v=1.05)
    nominal_a = -ngspice.run(deck).values[name][0]
    found, wanted = [], []
    for index in range(8):
        draw = case.column.draw(THRESHOLDS, (41, index))
        inputs = signs(rng, N)
        dvt_v, factor, products = conducting_shifts(case, draw, inputs)
        # A product of -1 draws from the second line: the same as from the first with left and right exchanged.
        right = (products < 0)[:, None]
        shifts = np.where(right, dvt_v[:, other], dvt_v), np.where(right, factor[:, other], factor)
        deck, own = read_currents(TECHNOLOGY, cell, shifts, v_wl_v=V_WL, v_bl_v=1.05)
        values = ngspice.run(deck).values
        error = np.array([-values[name][0] for name in own]) / nominal_a - 1
        wanted.append(float((products * error).sum()))
        found.append(float(mac_at(read_v(ngspice, case, draw, inputs[None])[0])) - products.sum())
    np.testing.assert_allclose(found, wanted, atol=0.03)
    assert np.std(wanted) > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("cell", [Cell6T(), Cell8T()], ids=lambda cell: cell.name)
def test_error_variance(ngspice: Ngspice, cell: Cell) -> None:
    """N sigma^2 of 6T columns, 4 K sigma^2 of 8T columns; and half of it stays when half the inputs stay.

    160 columns with two independent reads each, 1,000 single cells: the ratio of the variances has a standard error of
    sqrt(2/320 + 2/1000) = 9 %, the correlation one of 0.75/sqrt(160) = 6 %. With 4 of them, an alarm is false once in
    15,000 runs of a test.
    """
    case = small_errors(cell)
    mac_at = transfer(ngspice, case)
    rng = np.random.default_rng(42)
    current_a = []
    for index in range(10):
        shifts = THRESHOLDS.draw_local(cell.parts, 100, (42, 1, index))
        deck, names = read_currents(TECHNOLOGY, cell, shifts, v_wl_v=V_WL, v_bl_v=1.05)
        values = ngspice.run(deck).values
        current_a += [-values[name][0] for name in names]
    sigma = np.std(current_a, ddof=1) / np.mean(current_a)
    err = []
    for index in range(160):
        draw = case.column.draw(THRESHOLDS, (42, 2, index))
        # A sum of 0; its opposite, where other cells conduct; and one with half the rows of either sign as they were.
        up, down = np.split(rng.permutation(N), 2)
        first = np.ones(N)
        first[down] = -1
        third = first.copy()
        third[np.concatenate([up[: N // 4], down[: N // 4]])] *= -1
        inputs = np.array([first, -first, third]) * draw.weights
        err.append(mac_at(read_v(ngspice, case, draw, inputs.astype(np.int8))))
    errors = np.array(err)
    variance = errors[:, :2].var(ddof=1)
    wanted = (1 if cell.name == "cell_6t" else 2) * N * sigma**2
    both = np.asarray(np.corrcoef(errors.T))
    print(
        f"\n{cell.name}: sigma/I {sigma:.2%}, variance {variance / (N * sigma**2):.2f} N sigma^2, correlation with all"
        f" inputs turned {both[0, 1]:.2f}, with half of them {both[0, 2]:.2f} and {both[1, 2]:.2f}"
    )
    assert variance / wanted == pytest.approx(1, abs=4 * 0.09)
    assert abs(both[0, 1]) < 4 / np.sqrt(160)
    assert both[0, 2] == pytest.approx(0.5, abs=4 * 0.06)
    assert both[1, 2] == pytest.approx(0.5, abs=4 * 0.06)


def test_curve_is_nearly_straight(ngspice: Ngspice) -> None:
    """So that the droop's correction is small at that operating point: its steps differ by some per cent."""
    for cell in (Cell6T(), Cell8T()):
        case = small_errors(cell)
        volts = read_v(ngspice, case, case.column.nominal_draw(), conducting(N, list(range(N + 1))))
        steps_v = -CubicSpline(np.arange(N + 1), volts)(np.arange(N + 1), 1)
        assert steps_v.min() / steps_v.max() > 0.9
        assert 0.05 < np.ptp(volts) < 0.25
