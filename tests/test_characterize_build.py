"""From rows to the table, on made-up rows: the law of the table, failed shots, refusals. No simulator."""

import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

from prcim.cells.load import resistor_load
from prcim.characterize.build import build_luts
from prcim.characterize.dies import die_curves
from prcim.characterize.engine import Engine
from prcim.characterize.figures import independent_share
from prcim.characterize.lut.error_lut import QUANTILES, ErrorLUT
from prcim.characterize.lut.file import load_lut, save_luts
from prcim.characterize.plan import Plan, named_plan
from prcim.characterize.read_cost import ReadCost
from prcim.characterize.transfer import TransferCurve
from prcim.errors import InputError, RunError
from prcim.spice.ngspice import Ngspice

ROWS, COLUMNS, PATTERNS, DIES = 16, 256, 8, 24
CHANGES = [f"rows={ROWS}", "sums=5", f"sampling.columns={COLUMNS}", f"patterns={PATTERNS}", f"chips={DIES}", "cells=64"]
PLAN = named_plan("8t-64-quick").changed([*CHANGES, "reference.kind=ideal"])
PULSED = PLAN.changed(["mode=pulsed"])
BALANCED = {"twins": PLAN.changed(["cell=6t"]), "charge": PLAN.changed(["cell=8t1c", "mode=charge"])}
STEP_V = 0.1 / ROWS
#: A capacitor as large as two rows' share of the line's own capacitance.
C_CELL_F = 2 * PLAN.make_column(resistor_load(1e5), 1e5).c_bl_f / ROWS
#: Where a balanced column without mismatch rests: what a switch leaves.
REST_V = 3e-3
REL_SIGMA = 0.2
NOISE_V = 2e-3
#: What a read costs for each cell on; what the shots leave out, by sum.
ENERGY_J = 1e-15


def made_up(*, seed: int = 60, bend: float = 0.0, lift_v: float = 0.0) -> dict[str, pd.DataFrame]:
    """Rows of single-ended cells with currents 1 + d: the bit line falls by STEP_V for each, less by `bend`.

    With no cell on it stands `lift_v` above the supply.
    """
    rng = np.random.default_rng(seed)
    cell = 1 + REL_SIGMA * rng.standard_normal((COLUMNS, 1, ROWS))
    current = np.stack([(cell * on).sum(axis=2) for on in conducting(rng)], axis=2)
    n_on = np.array(PLAN.n_on)
    return rows(1.1 + lift_v - drop_v(current, bend), 1.1 + lift_v, -drop_v(n_on, bend), current, rng)


def balanced(law: str, *, seed: int = 62) -> dict[str, pd.DataFrame]:
    """Rows of cells that all push one way or the other: by currents of two twins, or by charge on one capacitor."""
    rng = np.random.default_rng(seed)
    one, other = 1 + REL_SIGMA * rng.standard_normal((2, COLUMNS, 1, ROWS))
    if law == "charge":
        # In equal parts, the line's own capacitance is that of half the cells.
        other, half_v = one, STEP_V / 2 * 1.5 * ROWS / (one.sum(axis=2) + ROWS / 2)
    else:
        half_v = np.full((COLUMNS, 1), STEP_V / 2)
    push = np.stack([np.where(on, one, -other).sum(axis=2) for on in conducting(rng)], axis=2)
    nominal_v = -STEP_V / 2 * (2 * np.array(PLAN.n_on) - ROWS)
    return rows(REST_V - half_v[:, :, None] * push, REST_V, nominal_v, np.full_like(push, ROWS), rng)


def conducting(rng: np.random.Generator) -> list[NDArray[np.bool_]]:
    """Which rows conduct, or push down, at each sum, shape (columns, patterns, rows)."""
    rank = rng.permuted(np.broadcast_to(np.arange(ROWS), (COLUMNS, PATTERNS, ROWS)), axis=2)
    return [rank < k for k in PLAN.n_on]


def rows(
    v_bl_v: NDArray[Any], rest_v: float, nominal_v: NDArray[Any], on: NDArray[Any], rng: np.random.Generator
) -> dict[str, pd.DataFrame]:
    """Rows of all kinds.

    Args:
        v_bl_v: voltages of columns, shape (columns, patterns, sums).
        rest_v: where a line rests on every die.
        nominal_v: how far the column without mismatch moves from there; a die does so by a factor.
        on: cells that take energy, shape (columns, patterns, sums).
        rng: draws dies and cells.
    """
    sums = 2 * np.array(PLAN.n_on) - ROWS
    column, pattern, mac = np.meshgrid(np.arange(COLUMNS), np.arange(PATTERNS), sums, indexing="ij")
    columns = {"column": column, "pattern": pattern, "mac": mac, "v_bl_v": v_bl_v, "energy_j": ENERGY_J * on}
    # Rows may come in any order.
    shots = pd.DataFrame({name: values.ravel() for name, values in columns.items()} | {"status": "ok"})
    chip, mac = np.meshgrid(np.arange(DIES + 1), sums, indexing="ij")
    gain = np.concatenate([[1.0], np.exp(0.1 * rng.standard_normal(DIES))])[:, None]
    energy_j = gain * ENERGY_J * on.mean(axis=(0, 1)).round()
    dies = {"chip": chip, "mac": mac, "v_bl_v": rest_v + gain * nominal_v, "energy_j": energy_j}
    reads = {
        "mac": sums,
        "noise_v": NOISE_V,
        "v_end_v": rest_v + nominal_v + 1e-4,
    }
    cells = {"i_cell_a": 1e-6 * (1 + REL_SIGMA * rng.standard_normal(64))}
    cells["c_cell_f"] = C_CELL_F * cells["i_cell_a"] / 1e-6
    return {
        "columns": shots.sample(frac=1, random_state=1, ignore_index=True),
        "chips": pd.DataFrame({name: values.ravel() for name, values in dies.items()} | {"status": "ok"}),
        "reads": pd.DataFrame(reads | {"status": "ok"}),
        "cells": pd.DataFrame(cells | {"status": "ok"}),
    }


def drop_v(current: NDArray[Any], bend: float) -> NDArray[np.float64]:
    # A column without a conducting cell leaks a little all the same.
    return np.asarray(1e-6 + STEP_V * current * (1 - bend * current / ROWS), dtype=np.float64)


def build(samples: dict[str, pd.DataFrame], plan: Plan = PLAN) -> ErrorLUT:
    column, read = plan.make_column(resistor_load(1e5), 1e5), plan.make_read(2e-10)
    nobody = Ngspice(path="none", version="0")
    cost = ReadCost(n_on=(0,), beyond_j=(0.0,), reference_j=1e-15, decision_j=2e-15)
    engine = Engine(plan=plan, plan_id="f" * 64, ngspice=nobody, column=column, read=read, cost=cost)
    (lut,) = build_luts("f" * 64, [engine], [dict(samples)], "made up")
    return lut


@pytest.fixture(scope="module")
def lut() -> ErrorLUT:
    return build(made_up())


def test_bank_residual_and_read_reproduce_variance_and_static_share(lut: ErrorLUT) -> None:
    """The law of model.md section 3, on what the file holds; quantiles lose 1 % of the variance of the tails.

    Curves of such columns are all of one shape, so the estimated covariance has eigenvalues just below zero; leaving
    them out adds less than 1 % to the bank.
    """
    v_bank = lut.bank.var(axis=0, ddof=1)
    v_residual = lut.residual_q.var(axis=1)
    np.testing.assert_allclose(v_bank, lut.v_col, rtol=0.01, atol=1e-12)
    np.testing.assert_allclose(v_residual, lut.v_res, rtol=0.02, atol=1e-12)
    # A fixed reference: a die multiplies its cells' errors and adds what it shares.
    wanted = np.mean(lut.chip_cell_gain**2) * (v_bank + v_residual) + lut.read_sigma**2 + lut.chip_curves.var(axis=0)
    np.testing.assert_allclose(lut.total_q.var(axis=1), wanted, rtol=0.03)
    # A replica follows the die: its cells keep their size in S, an error in volts does not.
    replica = build(made_up(), PLAN.changed(["reference.kind=replica", "replicas=64"]))
    read = lut.read_sigma**2 * np.mean(1 / replica.chip_volt_gain**2)
    wanted = replica.bank.var(axis=0, ddof=1) + replica.residual_q.var(axis=1) + read + replica.chip_curves.var(axis=0)
    np.testing.assert_allclose(replica.total_q.var(axis=1), wanted, rtol=0.03)
    share = v_bank[1:] / (v_bank + v_residual)[1:]
    assert np.all((lut.icc_low[1:] <= share) & (share <= lut.icc_high[1:]))


def test_errors_are_those_of_the_cells(lut: ErrorLUT) -> None:
    """E = sum of 2 d over K cells: variance 4 K sigma^2, static share K / N. 4 standard errors each, 1e-3 in all."""
    n_on = (lut.mac + ROWS) / 2
    inner = slice(1, -1)
    total, share = lut.v_col + lut.v_res + 1e-30, n_on / ROWS
    wanted = 4 * n_on * REL_SIGMA**2
    np.testing.assert_allclose(total[inner], wanted[inner], rtol=4 * np.sqrt(2 / COLUMNS))
    # Fisher's standard error of an intraclass correlation.
    error = np.sqrt(2 / (PATTERNS * (PATTERNS - 1) * COLUMNS)) * (1 - share) * (1 + (PATTERNS - 1) * share)
    assert np.all(np.abs(lut.v_col / total - share)[inner] < 4 * error[inner])
    assert lut.v_res[-1] == pytest.approx(0, abs=1e-9)
    weights = stats.binom.pmf(n_on, ROWS, 0.5)
    assert lut.static_share == pytest.approx((weights * wanted * share).sum() / (weights * wanted).sum(), abs=0.05)


def test_mean_curve_and_read_noise(lut: ErrorLUT) -> None:
    """A straight line by construction, but for the sampling of cells; the comparator's 1 mV adds in squares."""
    np.testing.assert_allclose(lut.transfer_v, 1.1 - STEP_V * (lut.mac + ROWS) / 2, atol=STEP_V / 4)
    np.testing.assert_allclose(lut.read_sigma, np.hypot(NOISE_V, 1e-3) / (STEP_V / 2), rtol=0.05)
    np.testing.assert_allclose(lut.bank.mean(axis=0), 0, atol=0.02)
    assert lut.meta["step_ratio"] == pytest.approx(1, abs=0.05)
    assert lut.meta["settle_error_v"] == pytest.approx(1e-4, rel=0.01)
    assert lut.meta["rel_sigma_cell"] == pytest.approx(REL_SIGMA, rel=0.4)


def test_quantiles_rise_and_match_the_errors() -> None:
    lut = build(made_up(), PLAN.changed(["reference.kind=replica", "replicas=64"]))
    for quantiles in (lut.residual_q, lut.total_q, lut.cell_q[None]):
        assert quantiles.shape[1] == QUANTILES
        assert np.all(np.diff(quantiles, axis=1) >= 0)
    # At K = N/2 the total is close to normal; a KS distance below 0.05 for 2048 errors from 256 columns.
    middle = lut.total_q[2] / np.sqrt(4 * 8 * REL_SIGMA**2 + lut.read_sigma[2] ** 2)
    levels = (np.arange(QUANTILES) + 0.5) / QUANTILES
    assert np.abs(stats.norm.cdf(middle) - levels).max() < 0.05


def test_dies_share_their_gain(lut: ErrorLUT) -> None:
    """A die of gain g has an error of (g - 1) (S + N) against a fixed reference."""
    np.testing.assert_allclose(lut.chip_curves, (lut.chip_cell_gain - 1)[:, None] * (lut.mac + ROWS), atol=0.2)
    assert lut.chip_cell_gain.std() == pytest.approx(0.1, rel=0.4)
    np.testing.assert_array_equal(lut.chip_volt_gain, 1)
    replica = build(made_up(), PLAN.changed(["reference.kind=replica", "replicas=64"]))
    # Replicas on the same die follow its gain; what is left is their own mismatch.
    assert np.abs(replica.chip_curves).max() < np.abs(lut.chip_curves).max() / 4
    assert replica.chip_curves.std() > 0
    np.testing.assert_allclose(replica.chip_volt_gain, lut.chip_cell_gain)
    np.testing.assert_array_equal(replica.chip_cell_gain, 1)


def test_dies_of_a_line_that_a_switch_has_lifted(lut: ErrorLUT) -> None:
    """A pulsed line starts above the supply and passes it at some sum: a die's gain is that of its fall all the same.

    Half a step lies between the supply and the nearest sum, where drops from the supply would say nothing.
    """
    pulsed = build(made_up(lift_v=4.5 * STEP_V), PULSED)
    np.testing.assert_allclose(pulsed.chip_cell_gain, lut.chip_cell_gain)
    np.testing.assert_allclose(pulsed.chip_curves, lut.chip_curves, atol=0.05)


@pytest.fixture(scope="module", params=list(BALANCED))
def in_balance(request: pytest.FixtureRequest) -> tuple[str, ErrorLUT]:
    return request.param, build(balanced(request.param), BALANCED[request.param])


def test_errors_of_a_balanced_column(in_balance: tuple[str, ErrorLUT]) -> None:
    """Two twins: n s^2, (1 + m^2) / 2 of it lasting; charge: (1 - m^2) n s^2 that does not. 4 standard errors each."""
    law, found = in_balance
    m, inner = found.mac / ROWS, slice(1, -1)
    v_res = (1 - m**2) * ROWS * REL_SIGMA**2 * (0.5 if law == "twins" else 1)
    np.testing.assert_allclose(found.v_res[inner], v_res[inner], rtol=4 * np.sqrt(2 / COLUMNS))
    share = independent_share(found)
    error = np.sqrt(2 / (PATTERNS * (PATTERNS - 1) * COLUMNS)) * (1 - share) * (1 + (PATTERNS - 1) * share)
    assert np.all(np.abs(found.v_col / (found.v_col + found.v_res) - share)[inner] < 4 * error[inner])
    # At the ends all patterns meet; two thirds of a common error of the capacitors divide out.
    lasting = ROWS * REL_SIGMA**2 * (1 if law == "twins" else 1 / 9)
    np.testing.assert_allclose(found.v_col[[0, -1]], lasting, rtol=4 * np.sqrt(2 / COLUMNS))
    np.testing.assert_allclose(share[[0, -1]], 1)


def test_table_of_a_balanced_column_reproduces_its_variance(in_balance: tuple[str, ErrorLUT]) -> None:
    _, found = in_balance
    v_bank = found.bank.var(axis=0, ddof=1)
    np.testing.assert_allclose(v_bank, np.maximum(found.v_col, 0), rtol=0.05, atol=0.01)
    np.testing.assert_allclose(found.residual_q.var(axis=1), found.v_res, rtol=0.02, atol=1e-12)
    wanted = np.mean(found.chip_cell_gain**2) * (v_bank + found.v_res) + found.read_sigma**2
    np.testing.assert_allclose(found.total_q.var(axis=1), wanted + found.chip_curves.var(axis=0), rtol=0.05)


def test_die_moves_the_ends_of_a_balanced_column_and_not_its_middle(in_balance: tuple[str, ErrorLUT]) -> None:
    """A gain of g makes an error of (g - 1) S; where the column rests there is none, whatever it rests at."""
    law, found = in_balance
    np.testing.assert_allclose(found.chip_curves, (found.chip_cell_gain - 1)[:, None] * found.mac, atol=0.03)
    replica = build(balanced(law), BALANCED[law].changed(["reference.kind=replica", "replicas=64"]))
    assert np.abs(replica.chip_curves[:, [0, -1]]).max() < np.abs(found.chip_curves[:, [0, -1]]).max() / 2
    np.testing.assert_allclose(replica.chip_volt_gain, found.chip_cell_gain)


@pytest.mark.parametrize("law", list(BALANCED))
def test_offset_of_a_balanced_column_grows_with_the_swing_of_its_die(law: str) -> None:
    """Alike at both ends, where a die bends the curve, and in the middle, where the column without mismatch is at 0."""
    plan = BALANCED[law].changed(["chips=2", "sampling.columns=4"])
    mac = 2.0 * np.array(plan.n_on) - ROWS
    nominal_v, offset_v = -STEP_V / 2 * mac, 0.3 * STEP_V
    die_v = 1.3 * nominal_v * (1 + 0.1 * (mac / ROWS) ** 2)
    dies_v = np.array([nominal_v, die_v, nominal_v])
    chip, sums = np.meshgrid(np.arange(3), mac, indexing="ij")
    rows_of_dies = {"chip": chip.ravel(), "mac": sums.ravel(), "v_bl_v": dies_v.ravel(), "status": "ok"}
    curve = TransferCurve(mac=mac, v_bl_v=nominal_v + offset_v)
    columns_v = np.broadcast_to(curve.v_bl_v, (4, 4, len(mac)))
    err = die_curves(pd.DataFrame(rows_of_dies), plan, columns_v, curve).curves
    # A straight curve: an error in S is one in volts.
    found_v = curve.v_bl_v - err * STEP_V / 2
    np.testing.assert_allclose(found_v[0] - die_v, 1.3 * 1.1 * offset_v, rtol=1e-9)
    np.testing.assert_allclose(found_v[1] - nominal_v, offset_v, rtol=1e-9)


def test_energy_is_that_of_the_shots(lut: ErrorLUT) -> None:
    """Mean of the good shots; a shot that failed has none that counts."""
    mean_j = ENERGY_J * (lut.mac + ROWS) / 2
    np.testing.assert_allclose(lut.energy_j, mean_j, rtol=0.02)
    samples = made_up()
    shots = samples["columns"]
    bad = shots.query("mac == 0 and pattern == 0 and column < 20").index
    shots.loc[bad, "status"] = "failed: no convergence"
    shots.loc[bad, "energy_j"] = 1.0
    np.testing.assert_allclose(build(samples).energy_j, lut.energy_j, rtol=0.01)


def test_spread_of_energy_is_that_between_columns() -> None:
    """Column c costs c fJ more in each of its shots, and its patterns differ by what cancels in their mean."""
    samples = made_up()
    shots = samples["columns"]
    shots["energy_j"] = 1e-15 * (shots["column"] + (-1.0) ** shots["pattern"])
    lut = build(samples)
    np.testing.assert_allclose(lut.energy_j, 1e-15 * (COLUMNS - 1) / 2, rtol=1e-6)
    np.testing.assert_allclose(lut.energy_sd_j, 1e-15 * np.arange(COLUMNS).std(ddof=1), rtol=1e-6)


@pytest.mark.parametrize(("plan", "field"), [(PLAN, "settle_tau"), (BALANCED["charge"], "t_settle_s")])
def test_read_that_does_not_settle_is_refused(plan: Plan, field: str) -> None:
    samples = made_up() if plan is PLAN else balanced("charge")
    late_v, reads = 1.2 * STEP_V / 2, samples["reads"]
    on_time_v = reads["v_end_v"].to_numpy()
    reads["v_end_v"] = on_time_v + late_v * (reads.index == 3)
    words = rf"the line is 1\.[12]\d in S from its steady state when the read-out looks \(limit 1\); raise {field}"
    with pytest.raises(InputError, match=words):
        build(samples, plan)
    reads["v_end_v"] = on_time_v + late_v / 2 * (reads.index == 3)
    # The others are 0.1 mV late.
    assert build(samples, plan).meta["settle_error_v"] == pytest.approx(late_v / 2 + 1e-4, rel=0.01)


def test_meta_says_how_a_column_is_read(lut: ErrorLUT) -> None:
    pulsed = build(made_up(), PULSED).meta
    twins, charge = (build(balanced(law), BALANCED[law]).meta for law in ("twins", "charge"))
    assert [meta["bit_lines"] for meta in (lut.meta, pulsed, twins, charge)] == [1, 1, 2, 1]
    assert [meta["t_pulse_s"] for meta in (lut.meta, pulsed, twins, charge)] == [None, 2e-10, None, None]
    assert "i_cell_a" not in charge
    assert charge["c_cell_f"] == pytest.approx(C_CELL_F, rel=0.1, abs=0)
    # The swing of the difference of two lines is that of both.
    assert twins["swing_v"] == pytest.approx(STEP_V * ROWS, rel=0.05)
    assert len({meta["noise_source"] for meta in (lut.meta, pulsed, charge)}) == 3
    # What a cell errs by is known from single cells, not from the columns.
    assert charge["rel_sigma_cell"] == pytest.approx(REL_SIGMA, rel=0.4)


def test_order_of_rows_does_not_matter(lut: ErrorLUT, tmp_path: Path) -> None:
    samples = {kind: rows.sample(frac=1, random_state=2) for kind, rows in made_up().items() if kind != "reads"}
    again = build(samples | {"reads": made_up()["reads"]})
    for name in ("bank", "residual_q", "total_q", "chip_curves"):
        np.testing.assert_array_equal(getattr(again, name), getattr(lut, name))
    save_luts((lut,), tmp_path / "lut.npz")
    assert load_lut(tmp_path / "lut.npz").sha256 == lut.sha256


def test_failed_shots_are_counted_and_do_not_count(lut: ErrorLUT) -> None:
    samples = made_up()
    shots = samples["columns"]
    worst = int(np.abs(lut.bank[:, 2]).argmax())
    bad = shots.query(f"mac == 0 and column == {worst} and pattern < 3").index
    shots.loc[bad, "status"] = "failed: a cell lost its data or never held it"
    shots.loc[bad, "v_bl_v"] = [0.0, 5.0, np.nan]
    found = build(samples)
    assert found.failed.tolist() == [0, 0, 3, 0, 0]
    assert found.failures == 3
    assert found.count.tolist() == [COLUMNS * PATTERNS - k for k in (0, 0, 3, 0, 0)]
    assert found.v_res[2] == pytest.approx(lut.v_res[2], rel=0.01)
    # Its other patterns stand for them: a column that is far from the mean stays there.
    assert found.bank[worst, 2] == pytest.approx(lut.bank[worst, 2], rel=0.25)
    # A column with no good shot at a sum takes the mean of all.
    shots.loc[shots.query(f"mac == 0 and column == {worst}").index, "status"] = "failed: no convergence"
    assert abs(build(samples).bank[worst, 2]) < 0.6 * abs(lut.bank[worst, 2])


def test_sum_without_a_good_shot_is_refused() -> None:
    samples = made_up()
    samples["columns"].loc[samples["columns"]["mac"] == 8, "status"] = "failed: no convergence"
    with pytest.raises(RunError, match="at some sum every shot failed; see the status in samples/columns"):
        build(samples)


def test_curve_that_bends_too_much_is_refused() -> None:
    """The last step of x (1 - b x) over four steps is (1 - 7 b / 4) / (1 - b / 4) of the first."""
    wanted = (1 - 1.75 * 0.35) / (1 - 0.25 * 0.35)
    assert build(made_up(bend=0.35)).meta["step_ratio"] == pytest.approx(wanted, rel=0.05)
    words = r"the smallest step .* is 0\.\d\d of the largest \(limit 0\.4\); lower swing_v"
    with pytest.raises(InputError, match=words):
        build(made_up(bend=0.42))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("reads", "a read of the column without mismatch could not be simulated: failed: no reason"),
        ("chips", "a column on a shifted die could not be simulated: failed: no reason"),
    ],
)
def test_reads_and_dies_must_all_be_good(kind: str, words: str) -> None:
    samples = made_up()
    samples[kind].loc[2, "status"] = "failed: no reason"
    with pytest.raises(RunError, match=words):
        build(samples)


def test_too_few_single_cells() -> None:
    samples = made_up()
    samples["cells"].loc[15:, "status"] = "failed: no convergence"
    with pytest.raises(RunError, match="too few read currents of single cells"):
        build(samples)


def test_rows_of_one_condition_are_gone_before_the_next_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    class Rows(dict[str, pd.DataFrame]):
        """Can be watched."""

    made: list[weakref.ref[Rows]] = []

    def rows() -> Rows:
        assert [found for found in made if found() is not None] == []
        one = Rows()
        made.append(weakref.ref(one))
        return one

    monkeypatch.setattr("prcim.characterize.build._build", lambda *given: (None, None))
    engines: Any = [None] * 3
    build_luts("f" * 64, engines, (rows() for _ in engines), "made up")
    assert len(made) == 3
