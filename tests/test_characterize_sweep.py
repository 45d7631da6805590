"""Sweeps of design points: what lists of values stand for, and what one point measures."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prcim.cells.mismatch import Mismatch
from prcim.cells.readouts.readout import SenseAmplifier
from prcim.characterize.design.sizing import SizingPoint, size_point
from prcim.characterize.design.sweep import axis, design_points
from prcim.characterize.plan import Plan
from prcim.errors import InputError
from prcim.spice.ngspice import Ngspice, find_ngspice

PLAN = Plan(name="p").changed(["rows=16", "sums=3"])


@pytest.fixture(scope="module")
def ngspice() -> Ngspice:
    return find_ngspice()


@given(first=st.floats(-2, 2), step=st.floats(0.01, 0.5), count=st.integers(1, 30))
@settings(derandomize=True, deadline=None)
def test_range_has_both_its_ends(first: float, step: float, count: int) -> None:
    found = axis(f"vwl={first!r}:{first + (count - 1) * step!r}:{step!r}").values
    np.testing.assert_allclose([float(value) for value in found], first + step * np.arange(count), atol=1e-8)


def test_points_are_all_combinations_and_carry_their_values() -> None:
    points = design_points(PLAN, [axis("vwl=0.4,0.5"), axis("w=100,150,200"), axis("rows=8,16")])
    assert len(points) == 12
    assert [values for values, _ in points][:3] == [("0.4", "100", "8"), ("0.4", "100", "16"), ("0.4", "150", "8")]
    for (vwl, w, rows), plan in points:
        assert plan.read.v_wl_v == float(vwl)
        assert plan.column.rows == int(rows)
        assert plan.column.sizes["w_access_m"] == pytest.approx(float(w) * 1e-9, rel=1e-6, abs=0)
        assert plan.column.sizes["w_driver_m"] == pytest.approx(float(w) * 1e-9, rel=1e-6, abs=0)


def test_width_keeps_the_ratio_of_a_read_path() -> None:
    ((_, plan),) = design_points(PLAN.changed(["cell=6t"]), [axis("w=180")])
    cell = plan.make_cell()
    widths = {part.name: part.w_m for part in cell.parts}  # type: ignore[attr-defined]
    assert widths["pgl"] == pytest.approx(180e-9, rel=1e-6, abs=0)
    assert widths["pdl"] / widths["pgl"] == pytest.approx(130 / 90)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("vwl", "not of the form name=1,2,3"),
        ("=1,2", "not of the form name=1,2,3"),
        ("vwl=1,,2", "not of the form name=1,2,3"),
        ("vwl=0.1:0.5", "not of the form name=first:last:step"),
        ("vwl=0.5:0.1:0.1", "never gets from 0.5 to 0.1"),
        ("vwl=0.1:0.5:0", "never gets from 0.1 to 0.5"),
        ("vwl=0:1:1e-9", "at most 10000 are allowed"),
        ("vwl=0.1:x:0.1", "'x' is not a number"),
        ("vwl=0.1:inf:0.1", "'inf' is not a finite number"),
    ],
)
def test_refused_lists(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        axis(text)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["vwl=0.4", "vwl=0.5"], "swept twice"),
        (["width=3"], "is not a key of a plan"),
        (["vwl=a"], "'a' is not a number"),
        (["w=-3"], r"sizes\.w_access_m: Input should be greater than 0"),
        (["vwl=0"], r"read\.v_wl_v: Input should be greater than 0"),
        (["vwl=0:1:0.001", "swing=0.01:0.5:0.001"], "more than 10000 points"),
    ],
)
def test_refused_sweeps(texts: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        design_points(PLAN, [axis(text) for text in texts])


def point(ngspice: Ngspice, *changes: str, cells: int = 100) -> SizingPoint:
    return size_point(PLAN.changed(list(changes)), ngspice, cells=cells)


def test_a_point_agrees_with_the_law_of_its_cells(ngspice: Ngspice) -> None:
    found = point(ngspice)
    assert not found.refused
    assert found.swing_v == pytest.approx(0.08, rel=2e-3)
    # sqrt(2 n) where one line counts the cells that conduct; physics.md, section 7.
    assert found.sigma_cells == pytest.approx(math.sqrt(32) * found.rel_sigma)
    offset_v = SenseAmplifier().offset_sigma_v(Mismatch())
    assert found.step_v is not None
    assert found.sigma_amplifier == pytest.approx(offset_v / found.step_v)
    assert found.severity == pytest.approx(math.hypot(found.sigma_cells, found.sigma_amplifier) / 4)  # type: ignore[arg-type]
    assert found.margin_sigma is None
    # A step in the middle is about the mean one, a little less than the first.
    assert found.step_v == pytest.approx(0.08 / 32, rel=0.1)


def test_wider_transistors_and_higher_word_lines_spread_less(ngspice: Ngspice) -> None:
    narrow, wide, high = point(ngspice), point(ngspice, "sizes.w_access_m=480e-9"), point(ngspice, "v_wl_v=0.6")
    # The access transistor gives most of the spread, and four times its area halves it.
    assert 0.4 < wide.rel_sigma / narrow.rel_sigma < 0.65
    assert high.rel_sigma < 0.6 * narrow.rel_sigma
    assert high.i_cell_a is not None
    assert narrow.i_cell_a is not None
    assert high.i_cell_a > 5 * narrow.i_cell_a
    low, high_end = narrow.rel_sigma_ci95
    assert low < narrow.rel_sigma < high_end


def test_differential_column_counts_the_root_of_n_and_has_a_disturb_margin(ngspice: Ngspice) -> None:
    found = point(ngspice, "cell=6t", "v_wl_v=0.5", "swing_v=0.3")
    assert found.sigma_cells == pytest.approx(4 * found.rel_sigma)
    assert found.low_v == pytest.approx(0.8)
    assert found.margin_sigma is not None
    assert found.margin_sigma > 6
    assert found.swing_v == pytest.approx(0.6, rel=0.01)


def test_charge_domain_has_no_current_and_the_spread_of_its_capacitor(ngspice: Ngspice) -> None:
    found = point(ngspice, "cell=8t1c", "read.mode=charge", "v_wl_v=0.4", cells=400)
    assert found.i_cell_a is None
    # 1 % assumed; 400 draws know it to 3.5 %.
    assert found.rel_sigma == pytest.approx(0.01, rel=0.15, abs=0)
    assert found.sigma_cells == pytest.approx(4 * found.rel_sigma)


def test_refused_point_says_why_and_still_has_its_cells(ngspice: Ngspice) -> None:
    found = point(ngspice, "i_line_max_a=1e-6")
    assert "all cells together draw" in found.refused
    assert found.rel_sigma > 0.1
    assert found.severity is None
