"""Every cell with its reads, from the plan to the table, with ngspice on columns of eight rows."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from prcim.characterize.build import build_luts
from prcim.characterize.chunk import chunks
from prcim.characterize.engine import engines
from prcim.characterize.lut.error_lut import ErrorLUT
from prcim.characterize.plan import Plan, named_plan
from prcim.characterize.run import Characterization, run_plan
from prcim.characterize.samples import read_chunk, read_samples
from prcim.cli.main import status
from prcim.spice.ngspice import find_ngspice

COLUMNS, PATTERNS = 12, 4
SMALL = [
    "rows=8",
    f"sampling.columns={COLUMNS}",
    f"patterns={PATTERNS}",
    "chips=4",
    "cells=32",
    # Shifts three times as large as usual, to be seen against twelve columns.
    "global_sigma_vt_v=0.045",
]
#: Reads in time take ten times as long.
PLANS = {
    "6t-steady": ["sums=5", "cell=6t", "v_wl_v=0.5", "swing_v=0.1"],
    "8t-pmos": ["sums=5", "load=pmos", "v_wl_v=0.45"],
    "1t1r-steady": ["sums=5", "cell=1t1r", "v_wl_v=0.8", "swing_v=0.15"],
    "6t-pulsed": ["sums=3", "cell=6t", "mode=pulsed", "v_wl_v=0.4", "swing_v=0.1"],
    "8t-pulsed": ["sums=3", "mode=pulsed", "v_wl_v=0.45", "swing_v=0.1"],
    "8t1c-charge": ["sums=3", "cell=8t1c", "mode=charge", "v_wl_v=0.5"],
}
BALANCED = ("6t-steady", "6t-pulsed", "8t1c-charge")

Floats = NDArray[np.float64]


def settings(name: str) -> list[str]:
    return [f"name={name}", *SMALL, *PLANS[name]]


class Run:
    """A finished run and what it left."""

    def __init__(self, name: str, result: Characterization) -> None:
        self.name, self.result, self.lut = name, result, result.lut
        self.plan = named_plan("8t-64-quick").changed(settings(name))
        self.samples = read_samples(result.folder, chunks(self.plan), plan_id=self.lut.plan_id)

    @property
    def balanced(self) -> bool:
        return self.name in BALANCED

    def voltages(self, kind: str, *items: str) -> Floats:
        """Voltages, shape (items..., sums)."""
        rows = self.samples[kind].sort_values([*items, "mac"])
        shape = [rows[item].nunique() for item in items]
        return rows["v_bl_v"].to_numpy().reshape(*shape, -1)

    def errors(self) -> Floats:
        """Errors of all shots by straight lines between the sums, shape (columns, patterns, sums)."""
        v_bl_v = self.voltages("columns", "column", "pattern")
        mean_v, mac = v_bl_v.mean(axis=(0, 1)), self.lut.mac
        found = np.interp(-v_bl_v, -mean_v, mac)
        for end, step in ((0, 1), (-1, -2)):
            slope = (mac[step] - mac[end]) / (mean_v[step] - mean_v[end])
            outside = (v_bl_v > mean_v[0]) if end == 0 else (v_bl_v < mean_v[-1])
            found = np.where(outside, mac[end] + (v_bl_v - mean_v[end]) * slope, found)
        return np.asarray(found - mac)


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=[pytest.mark.slow] if "sums=3" in PLANS[name] else []) for name in PLANS],
)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    plan = named_plan("8t-64-quick").changed(settings(request.param))
    with ThreadPoolExecutor(1) as pool:
        result = run_plan(plan, find_ngspice(), tmp_path_factory.mktemp(request.param), pool, workers=1)
    return Run(request.param, result)


def with_ideal_reference(run: Run) -> ErrorLUT:
    """The table of the same samples judged with fixed thresholds."""
    plan: Plan = run.plan.changed(["reference.kind=ideal"])
    ngspice = find_ngspice()
    at = engines(plan, "f" * 64, ngspice, lambda decks: [ngspice.run(deck) for deck in decks])
    (lut,) = build_luts("f" * 64, at, [dict(run.samples)], "test")
    return lut


def test_table_is_whole(run: Run) -> None:
    lut = run.lut
    sums = run.plan.sampling.sums
    np.testing.assert_array_equal(lut.mac, np.linspace(-8, 8, sums))
    assert lut.bank.shape == (COLUMNS, sums)
    assert lut.count.tolist() == [COLUMNS * PATTERNS] * sums
    assert lut.failures == 0
    assert all(set(rows["status"]) == {"ok"} for rows in run.samples.values())
    assert np.all(np.diff(lut.transfer_v) < 0)
    assert 0.4 < lut.meta["step_ratio"] <= 1
    assert 0 <= lut.meta["settle_error_v"] < 0.5 * lut.slope_v.min()


def test_swing_is_the_one_that_was_asked_for(run: Run) -> None:
    """Of the column without mismatch; where two lines make a difference, that of each."""
    nominal_v = run.voltages("chips", "chip")[0]
    cell_f, line_f = 8 * 4e-15, run.lut.meta["c_bl_f"]
    wanted = {"charge": run.plan.read.v_wl_v * cell_f / (cell_f + line_f)}.get(
        run.plan.read.mode, run.plan.read.swing_v * run.lut.meta["bit_lines"]
    )
    # What the precharge switch leaves on a pulsed line is not part of its fall; transistors load the charge's line.
    assert nominal_v[0] - nominal_v[-1] == pytest.approx(wanted, rel=0.35 if run.name == "8t-pulsed" else 0.05)


def test_bank_and_residual_reproduce_variance(run: Run) -> None:
    """Against errors that are found without the table's own inverse. The curves bend a little between sums."""
    err = run.errors()
    total = err.reshape(-1, err.shape[2]).var(axis=0)
    v_bank, v_residual = run.lut.bank.var(axis=0, ddof=1), run.lut.residual_q.var(axis=1)
    # A bank of twelve curves leaves out what the estimate has below zero; that adds up to 0.03 in S.
    np.testing.assert_allclose(v_bank + v_residual, total, rtol=0.25, atol=1e-3)
    # At the ends all patterns meet, so all that is there lasts.
    np.testing.assert_allclose(v_residual[[0, -1]], 0, atol=1e-6)
    np.testing.assert_allclose(v_bank[[0, -1]], err.mean(axis=1).var(axis=0, ddof=1)[[0, -1]], rtol=0.1, atol=1e-3)
    wanted = total + run.lut.read_sigma**2 * np.mean(run.lut.chip_volt_gain**-2) + run.lut.chip_curves.var(axis=0)
    np.testing.assert_allclose(run.lut.total_q.var(axis=1), wanted, rtol=0.1)


def test_balanced_column_rests_in_the_middle(run: Run) -> None:
    """Two lines alike have no difference; a charge-domain line stays near the middle of the word lines' levels."""
    nominal_v = run.voltages("chips", "chip")[0]
    middle_v, swing_v = nominal_v[len(nominal_v) // 2], nominal_v[0] - nominal_v[-1]
    if not run.balanced:
        # A line that is fed from the supply falls with every sum.
        assert middle_v < nominal_v[0] - 0.3 * swing_v
        return
    if run.plan.read.mode == "charge":
        # The switch takes some of the line's charge with it when it goes off.
        assert 0 < run.plan.read.v_wl_v / 2 - middle_v < 0.05 * swing_v
    else:
        assert abs(middle_v) < 1e-3 * swing_v
    # Odd about its middle.
    np.testing.assert_allclose(nominal_v + nominal_v[::-1], 2 * middle_v, atol=0.005 * swing_v)
    # The mean of twelve columns has their offsets in it: 4 standard errors.
    at = len(nominal_v) // 2
    offset = (run.lut.transfer_v[at] - middle_v) / run.lut.slope_v[at]
    assert abs(offset) < 4 * np.sqrt(max(run.lut.v_col[at], 0) / COLUMNS + run.lut.v_res[at] / COLUMNS / PATTERNS)


def test_dies_are_small_beside_a_replica_reference(run: Run) -> None:
    """What is left is the mismatch of the 16 replicas, drawn from six columns of four patterns."""
    curves = run.lut.chip_curves
    assert np.isfinite(curves).all()
    spread = np.sqrt(np.maximum(run.lut.v_col, 0) + run.lut.v_res)
    assert np.all(np.abs(curves).max(axis=0) < 2 * spread + 0.05)
    assert np.ptp(run.lut.chip_volt_gain) > 0


def test_fixed_thresholds_see_the_die_where_a_column_is_not_balanced(run: Run) -> None:
    """At S = 0 a balanced column has nothing that a die could scale but its own offset."""
    lut, nominal_v = with_ideal_reference(run), run.voltages("chips", "chip")[0]
    at = len(lut.mac) // 2
    gain = lut.chip_cell_gain - 1
    if run.balanced:
        offset = abs(lut.transfer_v[at] - nominal_v[at]) / lut.slope_v[at]
        moved = np.abs(run.voltages("chips", "chip")[1:, at] - nominal_v[at]) / lut.slope_v[at]
        np.testing.assert_array_less(np.abs(lut.chip_curves[:, at]), 1.1 * offset * np.abs(gain) + 1.1 * moved + 0.003)
        assert moved.max() < 0.1
    else:
        # The fall at S = 0, half of 16 in S, grows by what the die's cells are stronger by; the curve is not straight.
        np.testing.assert_allclose(lut.chip_curves[:, at], 8 * gain, rtol=0.5, atol=0.1)
    # A stronger die reads further from where nothing conducts, or from the middle.
    if run.balanced:
        np.testing.assert_allclose(lut.chip_curves[:, -1] - lut.chip_curves[:, 0], 16 * gain, rtol=0.25, atol=0.02)
    else:
        # The switch of a pulsed read leaves more or less on the line as its own threshold goes.
        assert np.abs(lut.chip_curves[:, 0]).max() < (0.5 if run.plan.read.mode == "pulsed" else 0.05)


def test_noise_and_energy_are_physical(run: Run) -> None:
    lut = run.lut
    floor_v = np.sqrt(lut.meta["bit_lines"] * 1.380649e-23 * 300.15 / lut.meta["c_bl_f"])
    assert np.all((lut.noise_line_v > 0.8 * floor_v) & (lut.noise_line_v < 4 * floor_v))
    assert np.all(lut.read_sigma > lut.noise_line_v / lut.slope_v)
    assert np.all((lut.energy_j > 1e-17) & (lut.energy_j < 1e-12))
    for kind in ("columns", "chips"):
        assert (run.samples[kind]["energy_j"] > 0).all()
    if run.name.startswith("6t"):
        # Each row has one cell on, whatever the sum.
        np.testing.assert_allclose(lut.energy_j, lut.energy_j[::-1], rtol=0.2)
    elif not run.balanced:
        assert np.all(np.diff(lut.energy_j) > 0)


def test_samples_hold_what_the_readme_lists(run: Run) -> None:
    wanted = {
        "columns": {"chip", "column", "pattern", "mac", "v_bl_v", "energy_j"},
        "chips": {"chip", "column", "pattern", "mac", "v_bl_v", "energy_j"},
        "cells": {"cell", "v_bl_v", "c_cell_f" if run.plan.read.mode == "charge" else "i_cell_a"},
        "reads": {"mac", "noise_v", "v_end_v"},
    }
    identity = run.result.summary["plan_id"]
    for chunk in chunks(run.plan):
        rows = read_chunk(run.result.folder, chunk, plan_id=identity)
        assert rows is not None
        assert set(rows) == wanted[chunk.kind] | {"plan_id", "kind", "point", "status", "seconds"}
    # There may be millions of these: in memory without what they have in common.
    assert set(run.samples["columns"]) == {"column", "pattern", "mac", "v_bl_v", "energy_j", "status"}
    summary = json.loads((run.result.folder / "summary.json").read_text())
    assert summary == run.result.summary
    assert (summary["failures"], summary["shots"]) == (0, sum(chunk.shots(run.plan) for chunk in chunks(run.plan)))
    assert 0 <= summary["static_share"] <= 1


def test_lut_show_prints_any_read(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = str(run.result.folder / "lut.npz")
    assert status(["lut", "show", table, "--figures", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    mode = run.plan.read.mode
    assert f"{mode} read " in lines[1]
    assert f"V_WL {run.plan.read.v_wl_v:g} V" in lines[1]
    words = {"steady": "ohm (0.", "pulsed": "after a pulse of ", "charge": "after 1 ns (0."}[mode]
    assert words in lines[1]
    assert any(("cell capacit" if mode == "charge" else "cell current: ") in line for line in lines)
    (start,) = [k for k, line in enumerate(lines) if line.startswith("curve: ")]
    assert ("difference of the bit lines" in lines[start]) == run.name.startswith("6t")
    for k, line in enumerate(lines[start + 2 : start + 2 + len(run.lut.mac)]):
        found = line.split()
        assert float(found[0]) == run.lut.mac[k]
        assert float(found[1]) == pytest.approx(run.lut.transfer_v[k] * 1e3, abs=0.06)
        assert int(found[-1]) == COLUMNS * PATTERNS
    assert {path.name for path in tmp_path.iterdir()} == {"transfer.png", "errors.png"}
    assert status(["lut", "show", table, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["meta"]["plan"]["read"]["mode"] == mode


def test_command_says_what_a_cell_adds(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """The run is finished, so the command only sizes the column and makes the table again."""
    before = (run.result.folder / "lut.npz").read_bytes()
    sets = [part for setting in settings(run.name) for part in ("--set", setting)]
    assert status(["characterize", "8t-64-quick", "--jobs", "1", "--out", str(run.result.folder), *sets]) == 0
    unit = "fF" if run.plan.read.mode == "charge" else "uA"
    assert f" {unit}, relative sigma {run.lut.meta['rel_sigma_cell']:.3f}" in capsys.readouterr().out
    assert (run.result.folder / "lut.npz").read_bytes() == before
