"""Intervals of a table's figures: how often they hold the truth, and how they shrink."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from scipy.stats import t as student
from synthetic import SLOPE_V, World, changed, draw_errors, synthetic_lut

from prcim.characterize.lut.curve import covariances
from prcim.characterize.lut.error_lut import ErrorLUT, binomial_weights
from prcim.characterize.lut.file import open_lut
from prcim.characterize.lut.precision import Estimate, estimates
from prcim.characterize.statistics.effort import Effort, effort_of
from prcim.errors import InputError

TABLES = 400
READ_S = float(np.hypot(1e-3, 0.5e-3) / SLOPE_V)


def truth(world: World) -> dict[str, Any]:
    """What the figures of a table of this world estimate."""
    weights = binomial_weights(world.n, world.mac)
    shots = world.v_col + world.v_res
    share = np.divide(world.v_col, shots, out=np.zeros_like(shots), where=shots > 0)
    return {
        "transfer_v": 1.1 - SLOPE_V * (world.mac + world.n),
        "slope_v": np.full(world.sums, SLOPE_V),
        "sigma_column": np.sqrt(world.v_col),
        "sigma_pattern": np.sqrt(world.v_res),
        "sigma_read": np.full(world.sums, READ_S),
        "sigma_die": np.sqrt(world.v_die),
        "sigma_total": np.sqrt(shots + world.v_die + READ_S**2),
        "static_share": share,
        "swing_v": 2 * world.n * SLOPE_V,
        "step_ratio": 1.0,
        "pooled_static_share": (weights @ world.v_col) / (weights @ shots),
        "i_cell_a": 1e-6,
        "rel_sigma_cell": world.sigma,
    }


def coverage(world: World) -> dict[str, Any]:
    """Share of tables whose intervals hold the truth, where there is something to miss."""
    known = truth(world)
    inside: dict[str, list[Any]] = {name: [] for name in known}
    for key in range(TABLES):
        for name, figure in estimates(synthetic_lut(world, key, total=False)).items():
            if name in known:
                inside[name].append((figure.low <= known[name]) & (known[name] <= figure.high))
    return {name: np.mean(found, axis=0) for name, found in inside.items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    "world",
    [
        World(),
        World(columns=32, patterns=3, dies=20),
        World(offset=1.0, n=32, columns=32, patterns=8),
        World(replicas=8),
    ],
    ids=["cells", "few", "offset", "replicas"],
)
def test_intervals_hold_the_truth_in_95_of_100_tables(world: World) -> None:
    """400 tables: a share of 0.95 is seen to 0.011, so 0.92 to 0.975 is 2.5 of that either way, with fixed seeds."""
    found = coverage(world)
    # Every step is equally large here, which is where the interval of their ratio is widest.
    assert found.pop("step_ratio") >= 0.95
    # At one end nothing conducts and at the other all do: then patterns, or columns too, have no spread.
    inner = slice(1, -1)
    for name, shares in found.items():
        values = shares[inner] if np.ndim(shares) else shares
        assert np.all((values >= 0.92) & (values <= 0.975)), (name, values)


@pytest.mark.slow
def test_intervals_with_log_normal_cells() -> None:
    """A spread of 50 % in columns of 16: the intervals, made for normal errors, still hold 90 %."""
    found = coverage(World(tail=True, sigma=0.5))
    for name, shares in found.items():
        values = shares[1:-1] if np.ndim(shares) else shares
        assert np.all(values >= 0.89), (name, values)


@pytest.mark.slow
def test_shares_where_few_cells_conduct_or_few_do_not() -> None:
    """All sums of 64 cells with a spread of 55 %, of which one or two make the patterns' variance there.

    250 tables: 0.95 is seen to 0.014 and tested to 4 of that. The interval for normal errors holds 0.87 at K = 63.
    """
    world = World(n=64, sums=65, columns=128, patterns=4, sigma=0.55, tail=True, dies=4, cells=16)
    known, inside = truth(world)["static_share"], []
    for key in range(250):
        share = estimates(synthetic_lut(world, key, total=False), names=("static_share",))["static_share"]
        inside.append((share.low <= known) & (known <= share.high))
    assert np.all(np.mean(inside, axis=0)[1:-1] >= 0.895)


def mean_width(world: World, names: tuple[str, ...], effort: Effort | None = None) -> dict[str, Any]:
    """Mean length of intervals over 60 tables."""
    tables = [synthetic_lut(world, key, total=False) for key in range(60)]
    found = [estimates(lut, names=names, effort=effort) for lut in tables]
    return {name: np.mean([figure[name].width for figure in found], axis=0) for name in names}


COLUMN_FIGURES = ("transfer_v", "slope_v", "sigma_column", "sigma_pattern", "static_share", "pooled_static_share")


@pytest.mark.parametrize("factor", [2, 4])
def test_more_columns_shrink_intervals_as_predicted(factor: int) -> None:
    """Predicted from tables of 64 columns, found in tables of 128 and 256; means over 60 tables are known to 3 %."""
    small = World(replicas=0)
    now = mean_width(small, COLUMN_FIGURES)
    effort = effort_of(synthetic_lut(small, 0, total=False)).changed("columns", factor * small.columns)
    predicted = mean_width(small, COLUMN_FIGURES, effort)
    found = mean_width(dataclasses.replace(small, columns=factor * small.columns), COLUMN_FIGURES)
    for name in COLUMN_FIGURES:
        inner = slice(1, -1) if np.ndim(found[name]) else ()
        assert found[name][inner] == pytest.approx(predicted[name][inner], rel=0.08), name
        assert found[name][inner] / now[name][inner] == pytest.approx(factor**-0.5, rel=0.1), name


def test_more_patterns_do_not_shrink_what_columns_share() -> None:
    """Where nearly all variance lasts, 16 patterns instead of 4 leave the columns' interval as long as it was."""
    few = World(offset=2.0)
    many = dataclasses.replace(few, patterns=16)
    effort = effort_of(synthetic_lut(few, 0, total=False)).changed("patterns", 16)
    names = ("transfer_v", "sigma_column", "sigma_pattern")
    now, predicted, found = mean_width(few, names), mean_width(few, names, effort), mean_width(many, names)
    for name in names:
        # Tails that few patterns seem to have by chance make their prediction for many too long.
        room = 0.3 if name == "sigma_pattern" else 0.08
        assert found[name][1:-1] == pytest.approx(predicted[name][1:-1], rel=room), name
    assert found["sigma_column"][1:-1] / now["sigma_column"][1:-1] == pytest.approx(1.0, abs=0.07)
    assert found["transfer_v"][1:-1] / now["transfer_v"][1:-1] == pytest.approx(1.0, abs=0.07)
    # Their own they do: three times as many degrees of freedom become fifteen.
    assert found["sigma_pattern"][1:-1] / now["sigma_pattern"][1:-1] == pytest.approx(5**-0.5, rel=0.2)


def test_more_dies_and_cells() -> None:
    lut = synthetic_lut(World(), 1, total=False)
    effort = effort_of(lut)
    now = estimates(lut)
    for name, count in (("sigma_die", "dies"), ("rel_sigma_cell", "cells"), ("i_cell_a", "cells")):
        more = estimates(lut, effort=effort.changed(count, 4 * getattr(effort, count)))[name]
        assert more.width / now[name].width == pytest.approx(0.5, rel=0.1)
        assert now[name].rests_on[0] == count


def test_dies_with_replicas_are_no_surer_than_the_bank_they_come_from() -> None:
    """Without an own spread of dies, any number of them leaves what 64 columns leave."""
    lut = synthetic_lut(World(replicas=8, die=0.0, columns=16), 1, total=False)
    endless = estimates(lut, names=("sigma_die",), effort=effort_of(lut).changed("dies", 10**6))["sigma_die"]
    assert np.all(endless.width[1:] > 0.3 * estimates(lut)["sigma_die"].width[1:])
    fixed = changed(lut, meta={"plan": {**lut.meta["plan"], "reference": {"kind": "ideal"}}})
    assert np.all(estimates(fixed, effort=effort_of(lut).changed("dies", 10**6))["sigma_die"].width < 0.01)


def test_a_difference_of_halves_is_no_spread_of_dies() -> None:
    """Replicas of either half of dies come from that half of the bank; fixed references know no halves."""
    lut = synthetic_lut(World(replicas=8), 2, total=False)
    shifted = lut.chip_curves + np.where(np.arange(40) < 20, 3.0, -3.0)[:, None]
    moved = changed(lut, chip_curves=shifted)
    np.testing.assert_allclose(estimates(moved)["sigma_die"].value, estimates(lut)["sigma_die"].value, rtol=1e-9)
    fixed = changed(moved, meta={"plan": {**lut.meta["plan"], "reference": {"kind": "ideal"}}})
    assert np.all(estimates(fixed)["sigma_die"].value > 2.5)


def test_the_mean_is_as_sure_as_its_effective_shots() -> None:
    """The variance of a mean of C columns of P patterns is that of all shots over C P / (1 + (P - 1) static share)."""
    effort = Effort(columns=64, patterns=4, dies=2, cells=16)
    lut = synthetic_lut(World(), 3, total=False)
    for k in (1, 2, 3):
        icc, spread = float(lut.icc[k]), float(lut.v_col[k] + lut.v_res[k])
        error_v = float(np.sqrt(spread / effort.effective_shots(icc)) * lut.slope_v[k])
        half = estimates(lut)["transfer_v"].width[k] / 2
        # Student's factor of 63 degrees of freedom.
        assert half == pytest.approx(1.99834 * error_v, rel=1e-3)
    assert effort.effective_shots(0.0) == 256
    assert effort.effective_shots(1.0) == 64
    assert effort.changed("patterns", 10**9).effective_shots(0.5) == pytest.approx(128)


def test_a_slope_knows_that_neighbouring_voltages_err_together() -> None:
    """An offset that all sums of a column share moves voltages and no slope."""
    plain, shifted = (synthetic_lut(World(offset=offset), 4, total=False) for offset in (0.0, 5.0))
    found = [estimates(lut, names=("transfer_v", "slope_v")) for lut in (plain, shifted)]
    assert np.all(found[1]["transfer_v"].width > 1.5 * found[0]["transfer_v"].width)
    assert found[1]["slope_v"].width == pytest.approx(found[0]["slope_v"].width, rel=0.05)


def test_residuals_of_one_order_of_rows_are_correlated_as_those_of_a_sample() -> None:
    """4000 columns of normal cells, five sums: covariances are known to 2 % of the variances."""
    world = World(columns=4000, patterns=2)
    err = draw_errors(world, np.random.default_rng(90))
    half = (err[:, 0] - err[:, 1]) / np.sqrt(2)
    _, residual = covariances(changed(synthetic_lut(World(), 0, total=False), v_res=world.v_res))
    size = np.sqrt(np.outer(world.v_res, world.v_res)).max()
    np.testing.assert_allclose(residual, half.T @ half / len(half), atol=0.06 * size)
    assert residual[1, 2] == pytest.approx(0.5 * size)
    assert not residual[[0, -1]].any()


def test_sums_that_err_on_their_own_make_a_pooled_share_surer() -> None:
    """With the same variances and no correlation between 17 sums, of which binomial weights count some four."""
    lut = synthetic_lut(World(n=64, sums=33, offset=2.0), 0, total=False)
    rng = np.random.default_rng(91)
    alone = changed(lut, bank=rng.permuted(lut.bank, axis=0))
    widths = [
        float(estimates(one, names=("pooled_static_share",))["pooled_static_share"].width) for one in (lut, alone)
    ]
    assert widths[1] < 0.75 * widths[0]


def test_the_rounding_of_the_file_is_within_the_interval() -> None:
    """Where nothing conducts nothing errs, and 1.1 V in single precision is a little more."""
    lut = synthetic_lut(World(), 0, total=False)
    found = estimates(lut)["transfer_v"]
    assert lut.transfer_v[0] > 1.1
    assert found.low[0] <= 1.1 <= found.high[0]
    assert found.width[0] < 1e-6


def test_wider_where_more_is_asked() -> None:
    lut = open_lut("package:8t-64")
    usual, wide = estimates(lut), estimates(lut, level=0.999)
    for name, figure in usual.items():
        assert np.all(wide[name].low <= figure.low), name
        assert np.all(wide[name].high >= figure.high), name
        np.testing.assert_array_equal(wide[name].value, figure.value)
        assert np.all((figure.low <= figure.value) & (figure.value <= figure.high)), name


def test_the_shipped_table() -> None:
    found = estimates(open_lut("package:8t-64"))
    lut = open_lut("package:8t-64")
    # Cells that are not normal make it longer than the one that the file holds, at sums of fair inputs by little.
    share, middle = found["static_share"], slice(20, 45)
    assert np.all(share.low <= lut.icc_low + 1e-5)
    assert np.all(share.high >= lut.icc_high - 1e-5)
    assert np.all((share.width <= 1.3 * (lut.icc_high - lut.icc_low))[middle])
    assert found["pooled_static_share"].value == pytest.approx(lut.static_share)
    # 64 cells that err independently: 0.51 with binomial weights.
    assert found["pooled_static_share"].low < 0.51 < found["pooled_static_share"].high


def test_energy_has_the_interval_of_a_mean_of_columns() -> None:
    lut = synthetic_lut(World(), 5, total=False)
    found = estimates(lut)["energy_j"]
    columns = len(lut.bank)
    np.testing.assert_allclose((found.low + found.high) / 2, lut.energy_j, rtol=1e-12)
    half_j = student.ppf(0.975, columns - 1) * lut.energy_sd_j / np.sqrt(columns)
    np.testing.assert_allclose(found.width / 2, half_j, rtol=1e-4)


def test_figures_that_a_table_has() -> None:
    lut = synthetic_lut(World(), 6, total=False)
    without = {name: value for name, value in lut.meta.items() if name not in ("i_cell_a", "rel_sigma_cell")}
    assert not {"i_cell_a", "c_cell_f", "rel_sigma_cell"} & set(estimates(dataclasses.replace(lut, meta=without)))
    charge = {**without, "c_cell_f": 2e-15, "rel_sigma_cell": 0.1}
    figure = estimates(dataclasses.replace(lut, meta=charge))["c_cell_f"]
    assert figure.width / 2 == pytest.approx(1.96 * 2e-15 * 0.1 / np.sqrt(200), rel=1e-3)
    no_cells = {**lut.meta, "plan": {"sampling": {}}}
    assert "i_cell_a" not in estimates(dataclasses.replace(lut, meta=no_cells))


def test_without_spread_between_columns() -> None:
    """A table in which nothing varies has intervals all the same, of no length."""
    lut = synthetic_lut(World(), 7, total=False)
    zero = {name: np.zeros_like(getattr(lut, name)) for name in ("bank", "residual_q", "v_col", "v_res")}
    found = estimates(changed(lut, cell_q=np.zeros(256), **zero))
    for name in ("transfer_v", "sigma_column", "sigma_pattern", "rel_sigma_cell"):
        assert np.all(found[name].width <= 1e-6 * np.abs(found[name].value)), name
    assert found["static_share"].low.tolist() == [0] * 5


def test_one_pattern_is_refused() -> None:
    lut = synthetic_lut(World(), 8, total=False)
    with pytest.raises(InputError, match="64 shots a sum of 64 columns leave 1 patterns a column; an interval takes"):
        effort_of(changed(lut, count=np.full(5, 64.0)))


def test_failed_shots_count_as_drawn() -> None:
    lut: ErrorLUT = synthetic_lut(World(), 9, total=False)
    some = changed(lut, count=lut.count - 60, failed=lut.failed + 60)
    assert effort_of(some) == effort_of(lut) == Effort(columns=64, patterns=4, dies=40, cells=200)


def test_relative_size() -> None:
    figure = Estimate(
        name="x",
        unit="S",
        rests_on=(),
        value=np.array([2.0, 0.0, 0.0, -4.0]),
        low=np.array([1.0, 0.0, 0.0, -5.0]),
        high=np.array([4.0, 1.0, 0.0, -3.0]),
    )
    assert figure.relative.tolist() == [0.75, np.inf, 0.0, 0.25]
