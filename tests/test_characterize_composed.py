"""Composed columns against ngspice's, in whole runs: agreement, the same bytes, refusals."""

import weakref
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from prcim.characterize import run as run_module
from prcim.characterize.chunk import checked_columns, checked_sums, chip_sums, chunks
from prcim.characterize.composed import agreement as agreement_module
from prcim.characterize.composed import engine as composed_engine
from prcim.characterize.composed.agreement import LARGEST_MAX, RMS_MAX, SPREAD_MAX, compared
from prcim.characterize.composed.composition import Composition, compose
from prcim.characterize.lut.file import load_luts
from prcim.characterize.plan import Plan, named_plan
from prcim.characterize.run import Characterization, run_plan
from prcim.characterize.samples import read_samples
from prcim.characterize.transfer import TransferCurve
from prcim.characterize.worker import worker_setup
from prcim.errors import InputError, RunError
from prcim.spice.ngspice import find_ngspice

SMALL = [
    "engine=composed",
    "rows=8",
    "sums=9",
    "sampling.columns=80",
    "patterns=2",
    "chips=4",
    "cells=16",
    "checks=60",
    "c_bl_fixed_f=5e-15",
]
BASE = named_plan("8t-64-quick").changed(SMALL)


def run(plan: Plan, folder: Path) -> Characterization:
    with ThreadPoolExecutor(2) as pool:
        return run_plan(plan, find_ngspice(), folder, pool, workers=2)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Characterization:
    return run(BASE, tmp_path_factory.mktemp("composed"))


def test_summary_and_table_tell_the_agreement(found: Characterization) -> None:
    agreement = found.summary["agreement"]
    assert found.summary["engine"] == "composed"
    assert agreement == found.lut.meta["agreement"]
    assert agreement["n"] == 60
    assert 0 < agreement["rms_mac"] <= RMS_MAX
    assert agreement["rms_mac"] <= agreement["max_mac"] <= LARGEST_MAX
    assert abs(agreement["spread_ratio"] - 1) <= SPREAD_MAX


def test_table_is_that_of_the_column_engine(found: Characterization, tmp_path: Path) -> None:
    """The same draws, so curve by curve, not only in distribution."""
    columns = run(BASE.changed(["engine=column", "sampling.columns=16"]), tmp_path)
    mac = found.lut.mac
    curve = TransferCurve(mac=mac, v_bl_v=columns.lut.transfer_v)
    shape = (16, 2, len(mac))
    volts, energy_j = [], []
    for each in (found, columns):
        identity = each.summary["plan_id"]
        plan = BASE if each is found else BASE.changed(["engine=column", "sampling.columns=16"])
        rows = read_samples(each.folder, chunks(plan), plan_id=identity)["columns"]
        rows = rows[rows["column"] < 16].sort_values(["column", "pattern", "mac"])
        volts.append(rows["v_bl_v"].to_numpy().reshape(shape))
        energy_j.append(rows["energy_j"].to_numpy().reshape(shape))
    off = curve.mac_at(volts[0]) - curve.mac_at(volts[1])
    assert np.sqrt((off**2).mean()) < RMS_MAX
    assert np.abs(off).max() < LARGEST_MAX
    spread = [curve.mac_at(v).std(axis=(0, 1)) for v in volts]
    np.testing.assert_allclose(spread[0][1:-1], spread[1][1:-1], rtol=SPREAD_MAX)
    np.testing.assert_allclose(energy_j[0][..., 1:], energy_j[1][..., 1:], rtol=0.05)


def test_workers_and_order_do_not_matter(found: Characterization, tmp_path: Path) -> None:
    with ProcessPoolExecutor(1, initializer=worker_setup) as pool:
        run_plan(BASE, find_ngspice(), tmp_path / "one", pool, workers=1)
    assert (tmp_path / "one/lut.npz").read_bytes() == (found.folder / "lut.npz").read_bytes()
    for path in sorted((tmp_path / "one/samples").glob("*.parquet"))[::3]:
        path.unlink()
    (tmp_path / "one/lut.npz").unlink()
    again = run(BASE, tmp_path / "one")
    assert 0 < again.summary["shots_resumed"] < again.summary["shots"]
    assert (tmp_path / "one/lut.npz").read_bytes() == (found.folder / "lut.npz").read_bytes()


def test_patterns_at_a_time_do_not_matter(
    found: Characterization, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for the order in which a matrix product adds."""
    monkeypatch.setattr(composed_engine, "INPUTS_AT_ONCE", 1)
    again = run(BASE, tmp_path)
    columns = [
        read_samples(folder, chunks(BASE), plan_id=found.lut.plan_id)["columns"] for folder in (found.folder, tmp_path)
    ]
    pd.testing.assert_frame_equal(columns[0], columns[1], rtol=1e-9)
    np.testing.assert_allclose(again.lut.bank, found.lut.bank, atol=1e-6)


def test_curves_are_kept_for_two_conditions_at_most(tmp_path: Path) -> None:
    """They are made when their first column is, and not at all when nothing is missing."""
    plan = BASE.changed(["pvt.temps_c=[27, 60, 0]"])
    composed: list[float] = []
    alive: list[weakref.ref[Composition]] = []

    def counting(plan: Plan, *args: Any, **options: Any) -> Composition:
        assert sum(ref() is not None for ref in alive) <= 1
        made = compose(plan, *args, **options)
        composed.append(plan.technology.temp_c)
        alive.append(weakref.ref(made))
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "compose", counting)
        run(plan, tmp_path)
        assert composed == [27, 60, 0]
        (tmp_path / "lut.npz").unlink()
        again = run(plan, tmp_path).summary
        assert again["shots_resumed"] == again["shots"]
        assert composed == [27, 60, 0]


def test_too_far_off_and_there_is_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement_module, "RMS_MAX", 1e-9)
    with pytest.raises(RunError, match=r"composed columns differ from ngspice's by 0\.\d+ rms .* there is no table"):
        run(BASE, tmp_path)
    assert not (tmp_path / "lut.npz").exists()


def test_a_checked_read_that_fails_is_named() -> None:
    rows = pd.DataFrame({"column": [0, 0], "pattern": 0, "mac": [-2, 2], "v_bl_v": [1.0, 0.9], "status": "ok"})
    curve = TransferCurve(mac=np.array([-2.0, 0.0, 2.0]), v_bl_v=np.array([1.0, 0.95, 0.9]))
    bad = rows.assign(status=["ok", "failed: no convergence"])
    for checks, columns in ((bad, rows), (rows, bad)):
        with pytest.raises(
            RunError, match=r"1 of 2 checked reads failed \(failed: no convergence\); use engine=column"
        ):
            compared(checks, columns, curve)


def test_what_is_checked_is_spread_over_the_plan() -> None:
    plan = named_plan("8t-64")
    columns, sums = checked_columns(plan), checked_sums(plan)
    assert len(columns) * len(sums) == plan.sampling.checks == 200
    assert (columns[0], columns[-1]) == (0, plan.sampling.columns - 1)
    assert len(set(np.diff(columns))) <= 2
    assert min(sums) > 0
    assert max(sums) < plan.sampling.sums - 1
    assert chip_sums(plan, 0) == list(range(65))
    few = chip_sums(plan, 3)
    assert few[0] == 0
    assert few[-1] == 64
    assert len(few) == 9
    assert chip_sums(plan.changed(["engine=column"]), 3) == list(range(65))


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        ["cell=6t", "v_wl_v=0.45", "swing_v=0.25"],
        ["load=pmos", "v_wl_v=0.45", "swing_v=0.1"],
        ["n_used=6", "sums=7"],
        ["cell=1t1r", "v_wl_v=0.6", "swing_v=0.2", "settle_tau=30"],
        ["read.mode=pulsed", "v_wl_v=0.35", "swing_v=0.3", "c_bl_fixed_f=2e-14"],
        ["cell=6t", "read.mode=pulsed", "v_wl_v=0.35", "swing_v=0.25", "c_bl_fixed_f=2e-14"],
        ["flavour=hp", "temp_c=85", "corner=ss", "v_wl_v=0.35", "swing_v=0.2"],
    ],
)
def test_every_read_that_can_be_composed(settings: list[str], tmp_path: Path) -> None:
    agreement = run(BASE.changed(settings), tmp_path).summary["agreement"]
    print(settings, agreement)
    assert agreement["n"] >= 50


@pytest.mark.slow
def test_conditions_are_composed_too(tmp_path: Path) -> None:
    result = run(BASE.changed(['pvt.corners=["ff"]', "pvt.temps_c=[85]", "v_wl_v=0.4", "swing_v=0.1"]), tmp_path)
    assert [lut.meta["agreement"]["n"] for lut in load_luts(result.folder / "lut.npz")] == [60, 60]


@pytest.mark.parametrize("setting", [["cell=8t1c", "read.mode=charge"], ["r_vss_row_ohm=1"]])
def test_what_cannot_be_composed_is_refused(setting: list[str]) -> None:
    with pytest.raises(InputError, match="knows neither charge-domain reads nor the resistance of a ground line"):
        BASE.changed(setting)
