"""`prcim lut show | verify | diff | export`: what is printed, exit status, one JSON object."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from synthetic import World, changed, synthetic_lut

from prcim.characterize.lut.error_lut import ErrorLUT, array_names
from prcim.characterize.lut.file import load_lut, open_lut, save_luts
from prcim.characterize.lut.need import needs
from prcim.characterize.lut.precision import estimates
from prcim.characterize.plan import make_plan, plan_id
from prcim.cli.main import status


def run(arguments: list[str], capsys: pytest.CaptureFixture[str], *, code: int = 0) -> tuple[str, str]:
    assert status(["lut", *arguments]) == code
    captured = capsys.readouterr()
    return captured.out, captured.err


def as_object(arguments: list[str], capsys: pytest.CaptureFixture[str], *, code: int = 0) -> dict[str, Any]:
    out, _ = run([*arguments, "--json"], capsys, code=code)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    found: dict[str, Any] = json.loads(out, parse_constant=refuse)
    return found


@pytest.fixture
def lut() -> ErrorLUT:
    made = synthetic_lut(World(replicas=8), 0)
    plan = make_plan(made.meta["plan"], origin="test")
    sha256 = plan.make_technology().library.sha256
    return changed(made, meta={"models_sha256": sha256, "plan_id": plan_id(plan, simulator="ngspice-39")})


@pytest.fixture
def path(lut: ErrorLUT, tmp_path: Path) -> Path:
    save_luts((lut,), tmp_path / "lut.npz")
    return tmp_path / "lut.npz"


@pytest.fixture
def points(lut: ErrorLUT, tmp_path: Path) -> Path:
    """A file of two conditions."""
    other = synthetic_lut(World(replicas=8, sigma=0.4), 1)
    pvt = ['pvt.corners=["ss"]', "pvt.vdds_v=[1.0]", "pvt.temps_c=[85]"]
    whole = make_plan(lut.meta["plan"], origin="test").changed(pvt)
    identity = {"models_sha256": lut.meta["models_sha256"], "plan_id": plan_id(whole, simulator="ngspice-39")}
    luts = []
    for made, plan in ((lut, whole), (other, whole.at(1))):
        content = json.loads(plan.model_dump_json(exclude={"technology": {"models"}}))
        luts.append(changed(made, meta={**identity, "plan": content, "conditions": list(plan.conditions[0])}))
    save_luts(luts, tmp_path / "points.npz")
    return tmp_path / "points.npz"


def test_show_prints_every_figure_with_its_interval(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = run(["show", "package:8t-64"], capsys)
    assert err == ""
    lut = open_lut("package:8t-64")
    k = int(np.flatnonzero(lut.mac == 0)[0])
    rows = [line for line in out.splitlines() if line.startswith("     0 ")]
    assert len(rows) == 2
    found = estimates(lut)
    for row, names in zip(
        rows,
        (
            {"transfer_v": (1e3, ".1f"), "slope_v": (1e3, ".3f"), "energy_j": (1e15, ".1f")},
            dict.fromkeys(
                ("sigma_column", "sigma_pattern", "sigma_read", "sigma_die", "sigma_total", "static_share"),
                (1.0, ".2f"),
            ),
        ),
        strict=True,
    ):
        for name, (factor, form) in names.items():
            value, low, high = (x[k] * factor for x in (found[name].value, found[name].low, found[name].high))
            assert f"{value:{form}} ({low:{form}}..{high:{form}})" in row, name
    pooled = found["pooled_static_share"]
    assert f"{pooled.value:.3f} ({pooled.low:.3f}..{pooled.high:.3f})" in out
    assert all(len(line) <= 128 for line in out.splitlines())


def test_show_says_what_halves_the_least_certain_figure(capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = run(["show", "package:8t-64"], capsys)
    least = needs(open_lut("package:8t-64"))[0]
    assert least.more["patterns"] is None
    sentence = out[out.index("The least certain figure") :]
    assert f"{least.more['columns']} more columns halve its interval, any number of patterns leaves" in sentence
    assert "128 columns of 4 are worth" in sentence
    assert "static share" in sentence.splitlines()[0]


def test_show_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = as_object(["show", "package:8t-64"], capsys)
    lut = open_lut("package:8t-64")
    assert found["sha256"] == lut.sha256
    assert found["counts"] == {"columns": 128, "patterns": 4, "dies": 160, "cells": 512}
    assert found["static_share"] == pytest.approx(lut.static_share)
    assert found["v_col"] == lut.v_col.tolist()
    assert set(found["figures"]) == set(estimates(lut))
    for figure in found["figures"].values():
        assert set(figure) == {"unit", "rests_on", "value", "low", "high"}
        assert np.all(np.array(figure["low"]) <= np.array(figure["value"]))
        assert np.all(np.array(figure["value"]) <= np.array(figure["high"]))
    assert found["least_certain"] == found["halving"][0]
    assert found["effective_shots"][8] == pytest.approx(512 / (1 + 3 * lut.icc[8]))
    assert "points" not in found


def test_show_of_two_lines(lut: ErrorLUT, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_luts((changed(lut, meta={"bit_lines": 2}),), tmp_path / "two.npz")
    out, _ = run(["show", str(tmp_path / "two.npz")], capsys)
    assert "difference of the bit lines" in out


def test_show_says_what_reference_and_comparator_take(
    lut: ErrorLUT, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_luts((changed(lut, meta={"reference_j": 1.5e-15, "decision_j": 24.3e-15}),), tmp_path / "lut.npz")
    out, _ = run(["show", str(tmp_path / "lut.npz")], capsys)
    assert "  of a read's energy: reference 1.5 fJ, one decision of the comparator 24.3 fJ\n" in out


def test_show_draws(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["show", str(path), "--figures", str(tmp_path / "figures")], capsys)
    assert {file.name for file in (tmp_path / "figures").iterdir()} == {"transfer.png", "errors.png"}


def test_show_says_how_far_composed_reads_are_off(
    lut: ErrorLUT, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {"n": 200, "rms_mac": 0.00512, "max_mac": 0.0131, "spread_ratio": 1.0002, "spread_ratio_worst": 0.99871}
    lines = []
    for agreement in (found, {**dict.fromkeys(found), "n": 0}, {**found, "spread_ratio_worst": None}):
        save_luts((changed(lut, meta={"agreement": agreement}),), tmp_path / "lut.npz")
        text, _ = run(["show", str(tmp_path / "lut.npz")], capsys)
        lines.append([line for line in text.splitlines() if line.startswith("composed reads")])
    start = "composed reads differ from ngspice's by 0.00512 rms and 0.0131 at most in S; ratio of spreads 1"
    assert lines == [[f"{start}, 0.9987 at the worst sum; 200 reads"], [], [f"{start}; 200 reads"]]


def test_conditions(points: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each, all figures of the first; NAME@CONDITIONS is one of them."""
    out, _ = run(["show", str(points)], capsys)
    lines = out.splitlines()
    assert sum(line.startswith(("  tt/1.1/27 ", "  ss/1/85 ")) for line in lines) == 2
    assert len(as_object(["show", str(points)], capsys)["points"]) == 2
    alone = as_object(["show", f"{points}@ss/1/85"], capsys)
    assert alone["meta"]["conditions"] == ["ss", 1.0, 85.0]
    assert alone == as_object(["show", str(points)], capsys)["points"][1]
    # The plan of both, which names the other conditions; that of its own is in `meta`.
    assert alone["plan"]["pvt"]["corners"] == ["ss"]
    assert alone["meta"]["plan"]["pvt"]["corners"] == []
    text, _ = run(["show", f"{points}@ss/1/85"], capsys)
    assert "one of the plan's 2 conditions: tt/1.1/27, ss/1/85" in text.splitlines()
    text, _ = run(["export", str(points)], capsys)
    assert len(pd.read_csv(io.StringIO(text), comment="#")) == 10
    text, _ = run(["export", f"{points}@ss/1/85"], capsys)
    assert len(pd.read_csv(io.StringIO(text), comment="#")) == 5
    for name, wanted in ((str(points), {"tt/1.1/27", "ss/1/85"}), (f"{points}@ss/1/85", {"ss/1/85"})):
        found = as_object(["verify", name], capsys)
        assert {check["conditions"] for check in found["checks"]} == wanted
        assert all(check["passed"] for check in found["checks"] if check["name"] == "plan_id follows from the plan")
    assert as_object(["diff", f"{points}@tt/1.1/27", f"{points}@ss/1/85"], capsys)["agree"] is False


def test_verify_a_sound_table(path: Path, lut: ErrorLUT, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = run(["verify", str(path)], capsys)
    assert err == ""
    assert out.splitlines()[0].startswith("ok      checksum, schema, shapes, finite numbers")
    assert f"{lut.sha256[:16]}, {lut.meta['schema']}, {len(array_names())} arrays" in out
    assert "BROKEN" not in out
    found = as_object(["verify", str(path)], capsys)
    assert (found["passed"], found["sha256"]) == (True, [lut.sha256])
    assert len(found["checks"]) == len(out.splitlines())
    assert all(check["passed"] for check in found["checks"])


def test_verify_the_shipped_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert as_object(["verify", "package:8t-64"], capsys)["passed"] is True


def test_verify_a_table_that_breaks_a_law(path: Path, lut: ErrorLUT, capsys: pytest.CaptureFixture[str]) -> None:
    """The checksum is right, so it can be read, and the numbers do not fit each other: status 1."""
    save_luts((changed(lut, bank=1.5 * lut.bank),), path)
    out, err = run(["verify", str(path)], capsys, code=1)
    broken = [line for line in out.splitlines() if line.startswith("BROKEN")]
    assert any("the bank has the variance v_col at each sum" in line for line in broken)
    assert err.count("\n") == 1
    assert f"breaks {len(broken)} of {len(out.splitlines())} laws" in err
    assert "make it anew" in err
    found = as_object(["verify", str(path)], capsys, code=1)
    assert found["passed"] is False
    assert sum(check["passed"] is False for check in found["checks"]) == len(broken)


def test_verify_says_what_it_cannot_tell(path: Path, lut: ErrorLUT, capsys: pytest.CaptureFixture[str]) -> None:
    plan = {**lut.meta["plan"], "read": {**lut.meta["plan"]["read"], "volume": 11}}
    save_luts((changed(lut, meta={"plan": plan}),), path)
    out, _ = run(["verify", str(path)], capsys)
    assert "unknown plan_id follows from the plan" in out


def test_what_cannot_be_read_is_status_2(path: Path, lut: ErrorLUT, capsys: pytest.CaptureFixture[str]) -> None:
    """All that reading checks: a changed number, another schema, a missing array, not finite, cut off, not there."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    other = json.dumps({**lut.meta, "schema": "prcim-lut-1"}).encode()
    ways = {
        "does not match its checksum": {**arrays, "v_col": arrays["v_col"] + 1},
        "has schema 'prcim-lut-1'": {**arrays, "meta": np.frombuffer(other, dtype=np.uint8)},
        "lacks or has too many of: v_res": {name: array for name, array in arrays.items() if name != "v_res"},
        "values that are not finite": {**arrays, "v_col": arrays["v_col"] * np.nan},
        "has shape": {**arrays, "v_col": arrays["v_col"][1:]},
    }
    for words, content in ways.items():
        np.savez(path, **content)
        for arguments in (["verify", str(path)], ["show", str(path)], ["diff", str(path), "package:8t-64"]):
            out, err = run(arguments, capsys, code=2)
            assert (out, err.count("\n")) == ("", 1)
            assert words in err, arguments
    path.write_bytes(path.read_bytes()[:1000])
    for arguments in (["verify"], ["show"], ["export"]):
        assert "is damaged or no prcim table" in run([*arguments, str(path)], capsys, code=2)[1]
        assert "does not exist" in run([*arguments, "none.npz"], capsys, code=2)[1]


def test_diff_of_a_table_with_itself(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = run(["diff", str(path), str(path)], capsys)
    assert "the same table" in out
    assert "differ" not in out
    found = as_object(["diff", str(path), str(path)], capsys)
    assert (found["identical"], found["agree"], found["apart"]) == (True, True, [])


def test_diff_of_two_draws(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Other draws of the same truth agree; another truth does not, and status is 0 either way."""
    for key, sigma, words in ((3, 0.3, "They agree: sampling explains"), (4, 0.6, "They differ: sampling does not")):
        save_luts((synthetic_lut(World(replicas=8, sigma=sigma), key),), tmp_path / "other.npz")
        out, err = run(["diff", str(path), str(tmp_path / "other.npz")], capsys)
        assert err == ""
        assert words in out
        assert "in at most 1 % of pairs" in out
        # Both plans say seed 1.
        assert "Both plans have the same seed" in out
        found = as_object(["diff", str(path), str(tmp_path / "other.npz")], capsys)
        assert found["agree"] is (sigma == 0.3)
        assert found["a"]["sha256"] == load_lut(path).sha256


def test_diff_names_fields_and_shapes(
    path: Path, lut: ErrorLUT, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = synthetic_lut(World(replicas=8, columns=32), 1)
    plan = {**lut.meta["plan"], "read": {**lut.meta["plan"]["read"], "v_wl_v": 0.4}, "seed": 2}
    save_luts((changed(other, meta={"plan": plan, "load_ohm": 2600.0}),), tmp_path / "other.npz")
    out, _ = run(["diff", str(path), str(tmp_path / "other.npz")], capsys)
    words = [line.split() for line in out.splitlines()]
    assert ["read.v_wl_v", "0.35", "0.4"] in words
    assert ["load_ohm", "2500.0", "2600.0"] in words
    assert "64 x 5 against 32 x 5: not comparable" in out
    assert "same seed" not in out
    assert next(line for line in words if line[:2] == ["read_sigma", "S"])[2:] != []


def test_diff_of_other_columns(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = run(["diff", str(path), "package:8t-64"], capsys)
    assert "cannot be compared figure by figure: 16 of 16 rows and 64 of 64 rows" in out
    assert as_object(["diff", str(path), "package:8t-64"], capsys)["agree"] is None


def test_export(path: Path, lut: ErrorLUT, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output by default, and the same into a file, whole or not at all."""
    text, _ = run(["export", str(path)], capsys)
    found = pd.read_csv(io.StringIO(text), comment="#", dtype=np.float32)
    np.testing.assert_array_equal(found["transfer_v"], lut.transfer_v.astype(np.float32))
    out, _ = run(["export", str(path), "--format", "csv", "--out", str(tmp_path / "new" / "lut.csv")], capsys)
    assert out == f"wrote {tmp_path / 'new' / 'lut.csv'}\n"
    assert (tmp_path / "new" / "lut.csv").read_text() == text
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["lut.csv"]
    neurosim, _ = run(["export", str(path), "--format", "neurosim"], capsys)
    assert neurosim.splitlines()[0] == "output,mean,std"
    assert len(neurosim.splitlines()) == 18


def test_export_json(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = as_object(["export", str(path), "--format", "neurosim"], capsys)
    assert (found["format"], found["lines"], found["sha256"]) == ("neurosim", 17, [load_lut(path).sha256])
    assert found["text"].startswith("output,mean,std\n")
    found = as_object(["export", str(path), "--out", str(tmp_path / "lut.csv")], capsys)
    assert (found["lines"], found["file"], "text" in found) == (5, str(tmp_path / "lut.csv"), False)


def test_export_that_cannot_be_written(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    _, err = run(["export", str(path), "--out", str(tmp_path / "file" / "lut.csv")], capsys, code=1)
    assert "choose another folder" in err
    _, err = run(["export", str(path), "--format", "xml"], capsys, code=2)
    assert "'xml' is not one of 'csv', 'neurosim'" in err
