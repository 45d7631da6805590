"""Training, judging and reporting as a user types them, on the table that comes with the package."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest

from prcim.characterize.lut.file import open_lut, save_luts
from prcim.cli.main import status
from prcim.files import lock_folder

SMALL = ["--epochs", "2", "--chips", "3", "--hidden", "1", "--width", "64", "--jobs", "2"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short training without a simulator within reach; its folder."""
    folder = tmp_path_factory.mktemp("train")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PRCIM_NGSPICE", "no-such-simulator")
        assert status(["train", "--lut", "package:8t-64", "--out", "run", *SMALL]) == 0
    return folder / "run"


def parsed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The one JSON object that a command prints."""
    assert status(arguments) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_what_a_training_leaves(run: Path) -> None:
    for name in ("aware.safetensors", "unaware.safetensors", "log.csv", "accuracy.png", "result.json"):
        assert (run / name).stat().st_size > 0
    result = json.loads((run / "result.json").read_text())
    assert result["noise"] == "column"
    assert len(result["lut_sha256"]) == 64
    assert 0 < result["clean"]["accuracy"] <= 1
    for name in ("unaware", "aware"):
        block = result[name]
        assert block["chips"] == block["dies"] == 3
        assert block["worst"] <= block["mean"] <= 1
        assert block["p5"] is None
        assert block["ci95"][0] <= block["mean"] <= block["ci95"][1]
    severities = [row["severity"] for row in result["sweep"]]
    assert severities == sorted(severities)
    assert result["severity"] in severities
    assert len((run / "log.csv").read_text().splitlines()) == 1 + 3 * 2


def test_the_same_command_again_changes_nothing(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    again = parsed(["train", "--lut", "package:8t-64", "--out", str(run), "--json", *SMALL], capsys)
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == before
    assert again["aware"] == json.loads(before["result.json"])["aware"]


def test_other_settings_in_the_same_folder_are_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["train", "--lut", "package:8t-64", "--out", str(run), *SMALL, "--seed", "1"]) == 2
    assert "is of a training with other settings" in capsys.readouterr().err


def test_another_table_in_the_same_folder_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A state that was trained for one table must not be taken for a training on another."""
    lut = open_lut("package:8t-64")
    save_luts((dataclasses.replace(lut, read_sigma=2 * lut.read_sigma),), run.parent / "other.npz")
    assert status(["train", "--lut", str(run.parent / "other.npz"), "--out", str(run), *SMALL]) == 2
    assert "is of a training with other settings, table or data" in capsys.readouterr().err


def test_two_trainings_in_one_folder(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with lock_folder(run):
        assert status(["train", "--lut", "package:8t-64", "--out", str(run), *SMALL]) == 2
    assert "another run works in" in capsys.readouterr().err


def test_evaluation_is_the_one_of_the_training(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = str(run / "aware.safetensors")
    block = parsed(["evaluate", checkpoint, "--chips", "3", "--json"], capsys)
    trained = json.loads((run / "result.json").read_text())["aware"]
    assert {name: block[name] for name in trained} == trained
    assert len(block["accuracies"]) == len(block["predictions_sha256"]) == 3
    assert math.isclose(sum(block["accuracies"]) / 3, block["mean"])
    assert block["timing"]["seconds"] > 0
    for more in (["--batch-size", "7"], ["--jobs", "1"], ["--lut", "package:8t-64"]):
        other = parsed(["evaluate", checkpoint, "--chips", "3", "--json", *more], capsys)
        assert other["predictions_sha256"] == block["predictions_sha256"]
    ideal = parsed(["evaluate", checkpoint, "--chips", "2", "--noise", "ideal", "--json"], capsys)
    assert ideal["sd"] == 0


def test_rows_of_an_evaluation(run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    lut = open_lut("package:8t-64")
    save_luts((dataclasses.replace(lut, bank=0.5 * lut.bank, total_q=0.5 * lut.total_q),), tmp_path / "milder.npz")
    arguments = ["evaluate", str(run / "unaware.safetensors"), "--chips", "2", "--recalibrate", "--trim-bits", "4",
                 "--sweep", str(tmp_path / "milder.npz"), "--calibration-images", "64"]  # fmt: skip
    block = parsed([*arguments, "--json", "--figure", str(tmp_path / "rows.png")], capsys)
    ways = ["nothing", "norms", "trim", "norms and trim"]
    assert [row["done"] for row in block["rows"]] == 2 * ways
    assert {name: block[name] for name in block["rows"][0]} == block["rows"][0]
    assert len({row["lut_sha256"] for row in block["rows"]}) == 2
    assert block["rows"][0]["severity"] == block["rows"][3]["severity"] != block["rows"][4]["severity"]
    assert all(len(row["accuracies"]) == row["chips"] == 2 for row in block["rows"])
    assert len({tuple(row["predictions_sha256"]) for row in block["rows"]}) == 8
    assert (tmp_path / "rows.png").stat().st_size > 1000
    assert status(arguments) == 0
    text = capsys.readouterr().out
    assert f"{block['rows'][3]['mean']:.2%}" in text
    assert "estimated from 64 training images without labels" in text
    assert status(["evaluate", str(run / "unaware.safetensors"), "--noise", "iid", "--recalibrate"]) == 2
    assert "do not last, so there is nothing to trim" in capsys.readouterr().err


def test_cells_train_and_judge(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--lut", "package:8t-64", "--chips", "2", "--hidden", "1", "--width", "64", "--epochs", "1"]
    how = ["--noise", "cell", "--gradient", "straight", "--precision", "bfloat16", "--channels-last"]
    how += ["--epoch-images", "400"]
    trained = parsed(["train", *how, "--out", str(tmp_path / "run"), "--json", *arguments], capsys)
    assert (trained["recipe"]["noise"], trained["recipe"]["gradient"]) == ("cell", "straight")
    names = ("precision", "channels_last", "epoch_images")
    assert tuple(trained["recipe"][name] for name in names) == ("bfloat16", True, 400)
    checkpoint = ["evaluate", str(run / "aware.safetensors"), "--chips", "2", "--json"]
    judged = parsed([*checkpoint, "--noise", "cell", "--recalibrate", "--calibration-images", "64"], capsys)
    assert judged["noise"] == "cell"
    assert len({tuple(row["predictions_sha256"]) for row in judged["rows"]}) == 4
    assert judged["predictions_sha256"] != parsed(checkpoint, capsys)["predictions_sha256"]


def test_a_report_prints_the_table(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["report", str(run)]) == 0
    text = capsys.readouterr().out
    assert "variation-aware" in text
    assert f"{json.loads((run / 'result.json').read_text())['aware']['mean']:.2%}" in text
    assert parsed(["report", str(run), "--json"], capsys)["noise"] == "column"


def test_a_damaged_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "result.json").write_text("{}")
    assert status(["report", str(tmp_path)]) == 2
    assert "result.json is damaged" in capsys.readouterr().err


def test_a_width_that_the_table_does_not_fit(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["train", "--lut", "package:8t-64", "--width", "100"]) == 2
    assert (
        "choose a width of 128, fill columns with constant cells (bias_rows), or characterize with rows=64 n_used=50"
        in capsys.readouterr().err
    )


def test_an_adc_in_place_of_the_majority(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = parsed(["train", "--lut", "package:8t-64", "--readout", "adc", "--noise", "iid", "--json", *SMALL], capsys)
    assert result["spec"]["readout"] == "adc"
    assert Path(result["folder"]).parent == Path("build/train")


def test_a_convolutional_network_with_a_recipe_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = ["--optimizer", "sgd", "--learning-rate", "0.05", "--weight-decay", "1e-4", "--warmup", "1",
              "--chips-per-batch", "2", "--anneal", "0.5", "--batch-size", "128"]  # fmt: skip
    network = ["--model", "convnet", "--factor", "0.25", "--bias-rows", "8", "--thresholds", "bias"]
    small = ["--epochs", "1", "--chips", "2", "--jobs", "1"]
    result = parsed(["train", "--lut", "package:8t-64", *network, *recipe, *small, "--json"], capsys)
    assert result["spec"]["column_norm"]
    assert (result["spec"]["side"], result["spec"]["bias_rows"]) == (8, 8)
    assert (result["recipe"]["chips_per_batch"], result["recipe"]["weight_decay"]) == (2, 1e-4)
    checkpoint = str(Path(result["folder"]) / "aware.safetensors")
    block = parsed(["evaluate", checkpoint, "--chips", "2", "--json"], capsys)
    assert block["mean"] == result["aware"]["mean"]


def test_a_width_for_a_network_that_has_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["train", "--lut", "package:8t-64", "--model", "convnet", "--width", "64"]) == 2
    assert "--width is for the mlp; the widths of convnet are multiplied by --factor" in capsys.readouterr().err
