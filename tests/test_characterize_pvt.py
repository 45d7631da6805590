"""Corners, supplies and temperatures in one run: the same chips, load and thresholds under other conditions."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from prcim.characterize.lut.error_lut import array_names
from prcim.characterize.lut.file import conditions_text, load_lut, load_luts, open_lut
from prcim.characterize.lut.identity import check_plan
from prcim.characterize.plan import Plan, named_plan
from prcim.characterize.run import Characterization, run_plan
from prcim.errors import InputError
from prcim.spice.ngspice import find_ngspice

SMALL = ["rows=8", "sums=5", "sampling.columns=6", "patterns=2", "chips=4", "cells=16"]
BASE = named_plan("8t-64-quick").changed([*SMALL, "v_wl_v=0.5", "swing_v=0.2"])
PVT = ['pvt.corners=["tt","ss","ff"]', "pvt.temps_c=[27,85]"]


def run(plan: Plan, folder: Path) -> Characterization:
    with ThreadPoolExecutor(2) as pool:
        return run_plan(plan, find_ngspice(), folder, pool, workers=2)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Characterization:
    return run(BASE.changed(PVT), tmp_path_factory.mktemp("pvt"))


def test_conditions_are_every_combination_and_the_own_ones_first() -> None:
    plan = BASE.changed([*PVT, "pvt.vdds_v=[1.0]"])
    assert plan.conditions[0] == ("tt", 1.1, 27.0)
    assert len(plan.conditions) == len(set(plan.conditions)) == 7
    assert set(plan.conditions[1:]) == {(c, 1.0, t) for c in ("tt", "ss", "ff") for t in (27.0, 85.0)}
    assert BASE.conditions == (("tt", 1.1, 27.0),)
    assert len(BASE.changed(PVT).conditions) == 6


def test_word_line_follows_the_supply_only_if_told() -> None:
    plan = BASE.changed(["pvt.vdds_v=[0.99]"])
    assert plan.at(1).read.v_wl_v == 0.5
    follows = plan.changed(["v_wl_follows_vdd=true"])
    assert follows.at(1).read.v_wl_v == pytest.approx(0.45)
    assert follows.at(0) == BASE


def test_first_table_is_that_of_a_run_without_further_conditions(found: Characterization, tmp_path: Path) -> None:
    alone = run(BASE, tmp_path).lut
    for name in array_names():
        np.testing.assert_array_equal(getattr(found.lut, name), getattr(alone, name), err_msg=name)


def test_the_same_hardware_under_other_conditions(found: Characterization) -> None:
    by_name = {conditions_text(lut): lut for lut in found.luts}
    assert set(by_name) == {f"{corner}/1.1/{temp}" for corner in ("tt", "ss", "ff") for temp in (27, 85)}
    assert len({lut.meta["load_ohm"] for lut in found.luts}) == 1
    swing = {name: lut.transfer_v[0] - lut.transfer_v[-1] for name, lut in by_name.items()}
    # The load is the typical die's: a fast die draws more, and a warm one too at this word line.
    assert swing["ss/1.1/27"] < swing["tt/1.1/27"] < swing["ff/1.1/27"]
    assert swing["tt/1.1/27"] < swing["tt/1.1/85"]
    # The same mismatch: what errs at one temperature errs the same way at another. 6 columns x 5 sums.
    one, other = by_name["tt/1.1/27"].bank[:, 1:], by_name["tt/1.1/85"].bank[:, 1:]
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.9


@pytest.mark.parametrize(("kind", "low", "high"), [("replica", 0.0, 1.0), ("ideal", 2.0, 20.0), ("trimmed", 2.0, 20.0)])
def test_thresholds_are_made_at_the_own_conditions(kind: str, low: float, high: float, tmp_path: Path) -> None:
    """Replicas follow the corner; fixed and trimmed thresholds do not, and all sums at a slow corner seem too small."""
    plan = BASE.changed(['pvt.corners=["ss"]', f"reference.kind={kind}", "trim_range_v=0.2", "trim_bits=10"])
    nominal, slow = run(plan, tmp_path).luts
    top = np.abs(slow.chip_curves[:, -1].mean())
    assert low <= top < high
    if kind != "replica":
        assert slow.chip_curves[:, -1].mean() < 0
        assert nominal.chip_cell_gain.mean() == pytest.approx(1, abs=0.25)
        assert slow.chip_cell_gain.mean() < 0.85 * nominal.chip_cell_gain.mean()
        # Volts count by the slope of the thresholds, which is that of the typical die.
        expected = np.interp(0, nominal.mac, nominal.slope_v) / np.interp(0, slow.mac, slow.slope_v)
        np.testing.assert_allclose(slow.chip_volt_gain, expected, rtol=1e-5)


def test_file_has_every_condition_and_gives_one_by_name(found: Characterization) -> None:
    path = found.folder / "lut.npz"
    with np.load(path, allow_pickle=False) as file:
        assert file["bank"].shape == (6, 6, 5)
    luts = load_luts(path)
    assert [lut.sha256 for lut in luts] == [lut.sha256 for lut in found.luts]
    assert load_lut(path).sha256 == luts[0].sha256
    assert open_lut(f"{path}@ff/1.1/85").sha256 == next(
        lut.sha256 for lut in luts if lut.meta["conditions"] == ["ff", 1.1, 85.0]
    )
    with pytest.raises(InputError, match=r"has no conditions 'ff/1\.1/86'; it has: tt/1\.1/27, tt/1\.1/85, ss"):
        open_lut(f"{path}@ff/1.1/86")
    with pytest.raises(InputError, match="has no conditions 'warm'"):
        open_lut(f"{path}@warm")


def test_every_condition_is_known_to_be_of_the_plan(found: Characterization) -> None:
    """The first table holds the whole plan, the others what it says for their conditions."""
    assert found.lut.meta["plan"]["pvt"]["corners"] == ["tt", "ss", "ff"]
    for lut in found.luts:
        *_, identity = check_plan(lut, first=found.luts[0])
        assert identity.passed, identity


@pytest.mark.parametrize("name", ["bank", "mac", "meta", "sha256"])
def test_damage_is_found(found: Characterization, name: str, tmp_path: Path) -> None:
    with np.load(found.folder / "lut.npz", allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    arrays[name] = arrays[name][:-1]
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(InputError, match=r"bad\.npz"):
        load_luts(tmp_path / "bad.npz")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ('pvt.corners=["xx"]', r"pvt\.corners\.0: Input should be 'tt', 'ff', 'ss', 'fs' or 'sf'"),
        ("pvt.vdds_v=[5]", "vdd_v is 5"),
        ("pvt.temps_c=[300]", "temp_c is 300"),
        ("pvt.temps_c=hot", r"pvt\.temps_c: Input should be a valid tuple"),
    ],
)
def test_refused_conditions(setting: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        BASE.changed([setting])
