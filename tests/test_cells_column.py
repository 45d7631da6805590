"""Laws of columns in ngspice, for every cell and every read of it: what the sum does, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
from columns import CASES, TECHNOLOGY, Case, Floats, Signs, conducting, in_order, read_v, shots, signs, step_v
from scipy.optimize import brentq

from prcim.cells.benches.read_current import read_currents
from prcim.cells.cell import Cell
from prcim.cells.cell_1t1r import Cell1T1R
from prcim.cells.cell_8t1c import Cell8T1C
from prcim.cells.column import Column, ColumnDraw, instance, word_line
from prcim.cells.devices.part import Part
from prcim.cells.load import load_deck, pmos_load, resistor_load
from prcim.cells.mismatch import Mismatch
from prcim.cells.reads.read import word_levels
from prcim.cells.reads.steady_read import SteadyRead
from prcim.errors import InputError
from prcim.spice.ngspice import Ngspice, find_ngspice

#: Everything that a law says is the same must be so to this fraction of a step of the transfer curve.
SAME = 1e-3
COLUMN = CASES["8t-steady"].column
#: The other side of each part of a symmetric cell.
SIDES = {"pul": "pur", "pdl": "pdr", "pgl": "pgr", "sel": "selb"}


@pytest.fixture(scope="module")
def ngspice() -> Ngspice:
    return find_ngspice()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = CASES[request.param]
    return found


def mirrored(cell: Cell) -> list[int]:
    """Place of each part's counterpart on the other side of the cell; a part in the middle is its own."""
    names = [part.name for part in cell.parts]
    other = SIDES | {right: left for left, right in SIDES.items()}
    return [names.index(other.get(name, name)) for name in names]


def with_shifts(draw: ColumnDraw, case: Case, part: str, *, dvt_v: float = 0.0, factor: float = 1.0) -> ColumnDraw:
    """A draw in which one part of every cell is shifted, or the load."""
    if part == "load":
        load_dvt_v = draw.load_dvt_v + dvt_v
        return replace(draw, load_dvt_v=load_dvt_v, load_factor=draw.load_factor * factor)
    here = np.array([p.name for p in case.column.cell.parts]) == part
    assert here.any()
    return replace(draw, dvt_v=draw.dvt_v + dvt_v * here, factor=np.where(here, factor, draw.factor))


def test_without_mismatch_only_the_sum_counts(ngspice: Ngspice, rng: np.random.Generator, case: Case) -> None:
    n = case.column.n_used
    found = []
    for weights in signs(rng, 2, n):
        draw = replace(case.column.nominal_draw(), weights=weights)
        found.append(shots(ngspice, case, draw, in_order(weights, list(range(n + 1)), rng.permutation(n))))
    table = np.array([one.v_bl_v for one in found])
    steps_v = -np.diff(table[0])
    assert steps_v.min() > 5e-3
    # The wire of 6 mOhm in all drops 0.03 uV.
    assert np.ptp(table, axis=0).max() < SAME * steps_v.min()
    np.testing.assert_allclose(found[0].energy_j, found[1].energy_j, rtol=1e-4)
    assert found[0].energy_j.min() > 0


def test_each_further_product_lowers_the_voltage(ngspice: Ngspice, rng: np.random.Generator, case: Case) -> None:
    """Whatever the mismatch, since no cell pushes the wrong way."""
    n = case.column.n_used
    draw = case.column.draw(Mismatch(a_vt_v_m=5e-9), (20, 1))
    inputs = in_order(draw.weights, list(range(n + 1)), rng.permutation(n))
    steps_v = -np.diff(read_v(ngspice, case, draw, inputs))
    assert steps_v.min() > 5e-4
    # The spread of 46 mV at 90 nm shows.
    if case.read.name != "charge" and not isinstance(case.column.cell, Cell1T1R):
        assert steps_v.std() > 0.2 * steps_v.mean()


def test_weights_and_inputs_change_places(ngspice: Ngspice, rng: np.random.Generator, case: Case) -> None:
    """With mismatch too, if the twin that was open stays open: rows with a product of -1 swap their twins' shifts."""
    n, cell = case.column.n_used, case.column.cell
    draw = case.column.draw(Mismatch(), (20, 2))
    inputs = signs(rng, n)
    differ = inputs != draw.weights
    assert 0 < differ.sum() < n

    def exchanged(values: Floats) -> Floats:
        other = values[:, ::-1] if cell.twins == 2 else values[:, :, mirrored(cell)]
        return np.where(differ[:, None, None], other, values)

    swapped = replace(draw, weights=inputs, dvt_v=exchanged(draw.dvt_v), factor=exchanged(draw.factor))
    one_v = read_v(ngspice, case, draw, inputs[None])
    other_v = read_v(ngspice, case, swapped, draw.weights[None])
    assert abs(one_v - other_v)[0] < SAME * step_v(case, ngspice)
    if case.column.cell.name == "cell_6t":
        # With the shifts left where they were, other transistors carry the current of a product of -1.
        same_v = read_v(ngspice, case, replace(draw, weights=inputs), draw.weights[None])
        assert abs(one_v - same_v)[0] > 10 * SAME * step_v(case, ngspice)


def test_reads_do_not_remember_each_other(ngspice: Ngspice, rng: np.random.Generator, case: Case) -> None:
    """The same read alone, first, last and after any other; each point of a sweep starts from its neighbour's."""
    n = case.column.n_used
    draw = case.column.draw(Mismatch(), (20, 3))
    inputs = np.concatenate([signs(rng, 2, n), draw.weights[None], -draw.weights[None], signs(rng, 1, n)])
    limit_v = 1e-4 * step_v(case, ngspice)
    together = shots(ngspice, case, draw, inputs)
    backwards = shots(ngspice, case, draw, inputs[::-1])
    assert np.abs(together.v_bl_v - backwards.v_bl_v[::-1]).max() < limit_v
    np.testing.assert_allclose(together.energy_j, backwards.energy_j[::-1], rtol=1e-4)
    for row in (0, 2):
        assert abs(together.v_bl_v[row] - read_v(ngspice, case, draw, inputs[[row]])[0]) < limit_v
    again = shots(ngspice, case, draw, inputs[[2, 3, 2, 2]])
    assert np.ptp(again.v_bl_v[[0, 2, 3]]) < limit_v
    np.testing.assert_allclose(again.energy_j[[0, 2]], again.energy_j[3], rtol=1e-4)


def test_unused_rows_load_the_line(ngspice: Ngspice, case: Case) -> None:
    n = case.column.n_used
    counts = [0, n // 2, n]
    more = case.changed(rows=2 * n)
    alone_v, more_v = (read_v(ngspice, c, c.column.nominal_draw(), conducting(n, counts)) for c in (case, more))
    ratio = float(np.ptp(more_v) / np.ptp(alone_v))
    if case.read.name == "steady":
        # Their cells only leak: some nA at most, against 0.6 uA of a cell that is on.
        assert ratio == pytest.approx(1, abs=0.01)
        assert 0 <= alone_v[0] - more_v[0] < 0.02 * np.ptp(alone_v) or len(case.column.ends) == 2
        assert more.read.t_read_s(more.column) > 1.05 * case.read.t_read_s(case.column)
        return
    # The same charge on a larger capacitance: that of wire and fixed part, of the cells' drains, of their capacitors.
    cell = case.column.cell
    own_f = cell.c_f if isinstance(cell, Cell8T1C) else 0.05e-15 * cell.twins
    line_f = [c.column.c_bl_f + c.column.rows * own_f for c in (case, more)]
    assert ratio == pytest.approx(line_f[0] / line_f[1], rel=0.03)
    assert ratio < 0.95


@pytest.mark.parametrize("name", ["8t-steady", "6t-steady", "1t1r-steady", "8t-pulsed"])
def test_wire_resistance_makes_the_place_matter(ngspice: Ngspice, name: str) -> None:
    """A cell at the far end sees a lower voltage and pulls less; the more so the higher the resistance."""
    lost_v = []
    for r_ohm in (1e-3, 500.0, 1000.0):
        case = CASES[name].changed(r_bl_row_ohm=r_ohm)
        near, far = np.full((2, case.column.n_used), -1, dtype=np.int8)
        near[:2], far[-2:] = 1, 1
        near_v, far_v = read_v(ngspice, case, case.column.nominal_draw(), np.array([near, far]))
        lost_v.append(far_v - near_v)
    assert abs(lost_v[0]) < 1e-7
    assert 1e-6 < lost_v[1] < lost_v[2] < 1e-2
    # In a steady state the lost drop is linear in a small resistance.
    if CASES[name].read.name == "steady":
        assert lost_v[2] == pytest.approx(2 * lost_v[1], rel=0.1)


@pytest.mark.parametrize("name", ["8t-steady", "6t-pulsed"])
def test_ground_wire(ngspice: Ngspice, name: str) -> None:
    """Resistance in the ground line lifts the sources of the cells: all together pull less."""
    case = CASES[name]
    n = case.column.n_used
    found = [
        read_v(ngspice, c, c.column.nominal_draw(), conducting(n, [0, n]))
        for c in (case.changed(r_vss_row_ohm=r_ohm) for r_ohm in (0.0, 1e-3, 100.0, 200.0))
    ]
    swing_v = np.array([v[0] - v[1] for v in found])
    assert abs(swing_v[1] - swing_v[0]) < 1e-6
    lost_v = swing_v[0] - swing_v[2:]
    assert 1e-4 < lost_v[0] < lost_v[1]
    assert lost_v[1] == pytest.approx(2 * lost_v[0], rel=0.1)


#: Case, part, and what a higher threshold and a larger value of it in every cell do to the voltage when all products
#: are +1: +1 raises, -1 lowers, 0 leaves it alone. Of a latch only what carries the read current counts.
EFFECTS = [
    ("8t-steady", "rd", 1, -1),
    ("8t-steady", "ra", 1, -1),
    ("8t-steady", "pdl", 0, 0),
    ("8t-steady", "pgr", 0, 0),
    ("8t-steady", "load", 0, -1),
    ("8t-pulsed", "ra", 1, -1),
    ("6t-steady", "pgl", 1, -1),
    ("6t-steady", "pdl", 1, -1),
    ("6t-steady", "pur", 0, 0),
    ("6t-pulsed", "pgl", 1, -1),
    ("8t1c-charge", "cell", 0, -1),
    ("8t1c-charge", "pdr", 0, 0),
    ("1t1r-steady", "acc", 1, -1),
    ("1t1r-steady", "cell", 0, 1),
    ("1t1r-pulsed", "cell", 0, 1),
]


@pytest.mark.parametrize(("name", "part", "by_threshold", "by_value"), EFFECTS)
def test_direction_of_every_shift(ngspice: Ngspice, name: str, part: str, by_threshold: int, by_value: int) -> None:
    case = CASES[name]
    draw = case.column.nominal_draw()
    ones = np.ones((1, case.column.n_used), dtype=np.int8)
    least_v = SAME / 2 * step_v(case, ngspice)
    rest_v = read_v(ngspice, case, draw, ones)[0]
    for wanted, shift in ((by_threshold, {"dvt_v": 0.03}), (by_value, {"factor": 1.1})):
        change_v = read_v(ngspice, case, with_shifts(draw, case, part, **shift), ones)[0] - rest_v
        assert (int(np.sign(change_v)) if abs(change_v) > least_v else 0) == wanted, (shift, change_v)


def test_weaker_pmos_loads_lower_their_lines(ngspice: Ngspice) -> None:
    """One load on each line: what weakens both leaves the difference at rest alone, what weakens one does not."""
    case = CASES["6t-steady"].changed(load=pmos_load(80e-9), load_ohm=13e3)
    n = case.column.n_used
    half = conducting(n, [n // 2])
    draw = case.column.nominal_draw()
    both = with_shifts(draw, case, "load", dvt_v=0.03)
    first = replace(draw, load_dvt_v=np.array([[0.03], [0.0]]))
    second = replace(draw, load_dvt_v=np.array([[0.0], [0.03]]))
    rest_v, both_v, first_v, second_v = (read_v(ngspice, case, d, half)[0] for d in (draw, both, first, second))
    assert abs(rest_v) < 1e-6
    assert abs(both_v) < 1e-6
    assert first_v < -5e-4
    assert second_v == pytest.approx(-first_v, rel=1e-3, abs=0)
    swing_v = [np.ptp(read_v(ngspice, case, d, conducting(n, [0, n]))) for d in (draw, both)]
    assert swing_v[1] > 1.02 * swing_v[0]


@pytest.mark.parametrize("load", ["resistor", "pmos"])
@pytest.mark.parametrize("r_vss_row_ohm", [0.0, 300.0])
def test_four_rows_by_hand(ngspice: Ngspice, rng: np.random.Generator, load: str, r_vss_row_ohm: float) -> None:
    """Kirchhoff: what the load gives at V is the sum of the cells' currents, each from decks of single cells.

    A cell whose ground is lifted by u draws what one at ground draws with every other voltage lower by u.
    """
    read = SteadyRead(v_wl_v=0.6)
    part: Part = resistor_load(2.5e3) if load == "resistor" else pmos_load(400e-9)
    column = replace(COLUMN, rows=4, n_used=4, load=part, load_ohm=2.5e3, r_vss_row_ohm=r_vss_row_ohm)
    draw = column.draw(Mismatch(), (20, 30))
    grid_v, lifts_v = np.linspace(0.7, 1.1, 5), np.array([0.0, 0.02])[: 2 if r_vss_row_ohm else 1]
    # The twin that conducts at x w = +1 holds the 1: the first at weight +1, the second at weight -1.
    holds_one = np.where(draw.weights > 0, 0, 1)
    shifts = draw.dvt_v[np.arange(4), holds_one], draw.factor[np.arange(4), holds_one]
    table = np.array([[cell_currents(ngspice, column.cell, shifts, 0.6, v, u) for v in grid_v] for u in lifts_v])
    load_a = np.array([load_current(ngspice, column, draw, v) for v in grid_v])

    def interpolated(values: Floats, v_bl_v: float) -> Floats:
        """Third order in the voltage of the line, at each of the last axis."""
        return np.asarray(np.polynomial.Polynomial.fit(grid_v, values, 4)(v_bl_v))

    inputs = signs(rng, 5, 4)
    case = Case(column=column, read=read)
    for x, found_v in zip(inputs, read_v(ngspice, case, draw, inputs), strict=True):
        on = x * draw.weights > 0

        def excess_a(v_bl_v: float, on: Signs = on) -> float:
            cells_a = np.array([[interpolated(table[u, :, k], v_bl_v) for k in range(4)] for u in range(len(table))])
            current_a = np.where(on, cells_a[0], 0.0)
            for _ in range(20 if r_vss_row_ohm else 0):
                # The current of each row flows through the ground wire of every row before it.
                through_a = np.cumsum(current_a[::-1])[::-1]
                lift_v = np.cumsum(r_vss_row_ohm * through_a)
                current_a = np.where(on, cells_a[0] + (cells_a[1] - cells_a[0]) * lift_v / lifts_v[-1], 0.0)
            return float(interpolated(load_a, v_bl_v) - current_a.sum())

        assert found_v == pytest.approx(brentq(excess_a, 0.7, 1.1), abs=3e-4)
        # The tolerance is far below one cell, and below what the ground wire does to it.
        assert on.sum() == 0 or 1.1 - found_v > 0.01 * on.sum()


def cell_currents(
    ngspice: Ngspice, cell: Cell, shifts: tuple[Floats, Floats], v_wl_v: float, v_bl_v: float, lift_v: float
) -> list[float]:
    technology = replace(TECHNOLOGY, vdd_v=TECHNOLOGY.vdd_v - lift_v)
    deck, names = read_currents(technology, cell, shifts, v_wl_v=v_wl_v - lift_v, v_bl_v=v_bl_v - lift_v)
    values = ngspice.run(deck).values
    return [-float(values[name][0]) for name in names]


def load_current(ngspice: Ngspice, column: Column, draw: ColumnDraw, v_bl_v: float) -> float:
    """Of the load as it was drawn: its deck with the parameters of the sub-circuit changed."""
    deck = load_deck(TECHNOLOGY, column.load, supply_v=1.1, drop_v=1.1 - v_bl_v)
    shift = column.load.parameters(float(draw.load_dvt_v[0, 0]), float(draw.load_factor[0, 0]))
    line = "Xend line supply control vdd 0 end"
    assert line in deck.netlist
    given = " ".join(f"{name}={value}" for name, value in shift.items())
    return float(
        ngspice.run(replace(deck, netlist=deck.netlist.replace(line, f"{line} {given}"))).values["i(vline)"][0]
    )


def test_draws_depend_on_their_key_alone() -> None:
    case = CASES["6t-steady"]
    first = case.column.draw(Mismatch(), (7, 1))
    case.column.draw(Mismatch(), (7, 2))
    np.random.default_rng(3).standard_normal(100)
    again = replace(case.column, load=resistor_load(1e3)).draw(Mismatch(), (7, 1))
    other = case.column.draw(Mismatch(), (7, 3))
    for name in ("weights", "dvt_v", "factor", "load_factor"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
        assert not np.array_equal(getattr(first, name), getattr(other, name))
    # The two lines have loads of their own; a resistor has no threshold, a PMOS has.
    assert first.load_factor.shape == (2, 1)
    assert first.load_factor[0] != first.load_factor[1]
    assert not first.load_dvt_v.any()
    with_pmos = replace(case.column, load=pmos_load(1e-6)).draw(Mismatch(), (7, 1))
    assert with_pmos.load_dvt_v[0] != with_pmos.load_dvt_v[1]
    np.testing.assert_array_equal(with_pmos.dvt_v, first.dvt_v)


def test_spread_of_loads_and_weights() -> None:
    """2,000 columns; 4 standard errors, a false alarm in 5,000 runs for all together."""
    column = replace(CASES["6t-steady"].column, rows=2, n_used=2, load=pmos_load(200e-9))
    draws = [column.draw(Mismatch(), (21, index)) for index in range(2000)]
    shift_v = np.array([draw.load_dvt_v[:, 0] for draw in draws])
    sigma_v = Mismatch().sigma_vt_v(200e-9, 65e-9)
    assert shift_v.std() == pytest.approx(sigma_v, rel=4 / np.sqrt(2 * 4000))
    assert abs(np.corrcoef(shift_v.T)[0, 1]) < 4 / np.sqrt(2000)
    factor = np.log([draw.load_factor[:, 0] for draw in draws])
    assert factor.std() == pytest.approx(Mismatch().rel_sigma_beta(200e-9, 65e-9), rel=4 / np.sqrt(2 * 4000))
    weights = np.array([draw.weights for draw in draws])
    assert set(np.unique(weights)) == {-1, 1}
    assert abs(weights.mean()) < 4 / np.sqrt(4000)


def test_die_shifts_reach_their_kind() -> None:
    case = CASES["8t1c-charge"]
    draw = case.column.nominal_draw(dvt_n_v=0.01, dvt_p_v=-0.02)
    kinds = [part.kind for part in case.column.cell.parts]
    assert kinds == ["p", "p", "n", "n", "n", "n", "n", "n", ""]
    np.testing.assert_array_equal(draw.dvt_v[3, 0], [{"n": 0.01, "p": -0.02, "": 0.0}[kind] for kind in kinds])
    assert draw.load_dvt_v.tolist() == [[0.01]]
    assert CASES["8t-pulsed"].column.nominal_draw(dvt_p_v=-0.02).load_dvt_v.tolist() == [[-0.02]]
    assert CASES["8t-steady"].column.nominal_draw(dvt_n_v=0.01, dvt_p_v=-0.02).load_dvt_v.tolist() == [[0.0]]


@pytest.mark.parametrize(
    ("name", "stored"),
    [("8t-steady", [[1, 0], [0, 1]]), ("6t-steady", [[0, 1], [1, 0]]), ("8t1c-charge", [[0], [1]])],
)
def test_what_each_twin_stores(name: str, stored: list[list[int]]) -> None:
    cell = CASES[name].column.cell
    assert [[cell.stored_bit(weight, twin) for twin in range(cell.twins)] for weight in (1, -1)] == stored


def test_names_are_all_different() -> None:
    names = {instance(row, twin) for row in range(9) for twin in (0, 1)}
    names |= {word_line(port, row, twin) for port in ("mwl", "mwlb") for row in range(9) for twin in (0, 1)}
    assert len(names) == 18 + 36


def test_capacitance_and_time_constant() -> None:
    """By hand: 12 cells of 8T; 6 of 8T1C with 4 fF each; 10 ohm from row to row."""
    assert COLUMN.c_bl_f == pytest.approx(12 * 0.3e-15 + 20e-15, rel=1e-9, abs=0)
    wire = replace(COLUMN, r_bl_row_ohm=10.0)
    assert wire.tau_s == pytest.approx(27e3 * 23.6e-15 + 60 * 3.6e-15 / 2, rel=1e-9, abs=0)
    charge = replace(CASES["8t1c-charge"].column, r_bl_row_ohm=10.0, load_ohm=500.0)
    assert charge.c_bl_f == pytest.approx(6 * 0.3e-15 + 20e-15, rel=1e-9, abs=0)
    assert charge.tau_s == pytest.approx(500 * 45.8e-15 + 60 * 25.8e-15 / 2, rel=1e-9, abs=0)


def test_word_lines_of_used_and_unused_rows() -> None:
    """The rows at the far end are those that are not used: both word lines rest."""
    inputs = np.array([[1, -1]], dtype=np.int8)
    twins = replace(COLUMN, rows=3, n_used=2)
    assert word_levels(twins, inputs)[0, :, :, 0].tolist() == [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
    charge = replace(CASES["8t1c-charge"].column, rows=3, n_used=2)
    assert word_levels(charge, inputs)[0, :, 0].tolist() == [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]


def test_supplies() -> None:
    supplies_v = CASES["8t1c-charge"].column.supplies_v(0.25)
    assert supplies_v == {"i(vload)": 0.25, "i(vcell)": 1.1, "i(vbl)": 1.1, "i(vblb)": 1.1}
    assert CASES["6t-pulsed"].column.supplies_v(1.1) == {"i(vload)": 1.1, "i(vcell)": 1.1}


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("rows", 0, r"rows is 0; a column has 1 to 1024 rows"),
        ("rows", 1025, r"rows is 1025"),
        ("n_used", 0, r"n_used is 0; it must lie in 1\.\.rows, and rows is 6"),
        ("n_used", 7, r"n_used is 7; it must lie in 1\.\.rows"),
        ("load_ohm", 0.0, r"load_ohm is 0\.0; the load must be a positive resistance"),
        ("load_ohm", float("nan"), r"load_ohm is nan"),
        ("c_bl_cell_f", 0.0, r"c_bl_cell_f is 0\.0; it must be positive"),
        ("c_bl_fixed_f", -1e-15, r"c_bl_fixed_f is -1e-15; it must be positive"),
        ("r_bl_row_ohm", float("nan"), r"r_bl_row_ohm is nan; it must be positive"),
        ("r_vss_row_ohm", -1.0, r"r_vss_row_ohm is -1\.0; it must be 0 or more"),
        ("r_vss_row_ohm", float("nan"), r"r_vss_row_ohm is nan"),
    ],
)
def test_refused_columns(field: str, value: float, words: str) -> None:
    with pytest.raises(InputError, match=words):
        replace(COLUMN, **{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("column", "read", "words"),
    [
        ("8t1c-charge", "8t-steady", "a cell_8t1c has no steady read; its reads are: charge"),
        ("8t1c-charge", "8t-pulsed", "a cell_8t1c has no pulsed read"),
        ("6t-steady", "8t1c-charge", "a cell_6t has no charge read; its reads are: steady, pulsed"),
        ("8t-steady", "8t-pulsed", "a pulsed read needs a PMOS at the end of the bit line; this column has a resistor"),
    ],
)
def test_cells_and_loads_that_do_not_suit_a_read(column: str, read: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        CASES[read].read.deck(CASES[column].column, CASES[column].column.nominal_draw(), conducting(6, [6]))


def test_switch_that_does_not_suit_a_read() -> None:
    steady, charge = CASES["8t-steady"], CASES["8t1c-charge"]
    column = steady.changed(load=charge.column.load).column
    with pytest.raises(InputError, match=r"a steady read needs a resistor or a PMOS at the end .* has an NMOS"):
        steady.read.deck(column, column.nominal_draw(), conducting(6, [6]))
    column = charge.changed(load=pmos_load(1e-6)).column
    with pytest.raises(InputError, match=r"a charge read needs an NMOS at the end .* has a PMOS"):
        charge.read.deck(column, column.nominal_draw(), conducting(6, [6]))
