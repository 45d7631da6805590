"""Wrong input: one line that says what was got and what to do, the right exit status, nothing lost."""

import json
import stat
from importlib import import_module
from pathlib import Path

import click
import numpy as np
import pytest

from prcim.characterize.lut.error_lut import SCHEMA
from prcim.cli.main import status
from prcim.spice.ngspice import find_ngspice

TINY = ["engine=column", "rows=8", "sums=5", "sampling.columns=4", "patterns=2", "chips=2", "cells=16"]


def settings(*more: str) -> list[str]:
    """Options that make a plan tiny, and some more."""
    return [part for setting in (*TINY, *more) for part in ("--set", setting)]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str], *, code: int = 2) -> str:
    """Runs the command, checks that it ends with `code` and exactly one line, and returns that line."""
    assert status(arguments) == code
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("prcim: ")]
    assert len(lines) == 1
    return lines[0]


def fake_ngspice(folder: Path, body: str) -> str:
    """A script that says it is ngspice and then does something else."""
    path = folder / "fake-ngspice"
    path.write_text(f'#!/bin/sh\ncase "$*" in *--version*) echo "** ngspice-39 : fake"; exit 0;; esac\n{body}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["characterize", "no-such-plan"], "there is no plan 'no-such-plan'; known plans are: 6t-128, "),
        (["characterize", "missing.toml"], "missing.toml cannot be read"),
        (["characterize", *settings("rows=0")], "column.rows is 0; a column has 2 to 1024 rows"),
        (["characterize", *settings("colour=red")], "'colour=red' is not a key of a plan; the keys are"),
        (["characterize", *settings("seed")], "'seed' is not of the form key=value"),
        (["characterize", *settings("vdd_v=abc")], "technology.vdd_v: Input should be a valid number"),
        (["characterize", *settings("cell=9t")], "known cells are: 6t, 8t, 8t1c, 1t1r"),
        (["characterize", *settings("mode=charge")], "read.mode is 'charge'; a cell '8t' is read by: steady, pulsed"),
        (["characterize", *settings("mode=pulsed", "v_wl_v=0.7")], "a pulse needs at least 100 ps"),
        (["characterize", *settings("models=x.lib", "nmos=n", "pmos=p")], "model file x.lib does not exist"),
        (["characterize", *settings("swing_v=1.0")], "leave saturation"),
        (["characterize", *settings("i_line_max_a=1e-9")], "limit i_line_max_a"),
        (["technology", "show", "--set", "flavour=fast"], "technology.flavour: Input should be 'sram' or 'hp'"),
        (["characterize", "--jobs", "0"], "0 is not in the range"),
        (["colour"], "No such command 'colour'"),
        (["lut", "show", "missing.npz"], "table missing.npz does not exist"),
        (["lut", "show", "package:none"], "the package has no table 'package:none'"),
        (["train", "--lut", "missing.npz"], "table missing.npz does not exist"),
        (["train", "--model", "cnn"], "there is no model 'cnn'; known models are: mlp"),
        (["train", "--dataset", "faces"], "there is no data set 'faces'; known data sets are: digits, mnist"),
        (["train", "--dataset", "mnist"], "give --data FOLDER or set PRCIM_DATA"),
        (["train", "--dataset", "mnist", "--data", "."], "there is no train-images-idx3-ubyte"),
        (["train", "--noise", "loud"], "there is no noise model 'loud'"),
        (["evaluate", "missing.safetensors"], "missing.safetensors does not exist"),
        (["report"], "there is no result in build/train"),
    ],
)
def test_wrong_input_is_one_line_and_status_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in refused(arguments, capsys)


def test_an_unknown_field_in_a_plan_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "my.toml").write_text('name = "my"\n[read]\nvolume = 11\n')
    assert "read.volume: Extra inputs are not permitted (got 11)" in refused(["characterize", "my.toml"], capsys)
    (tmp_path / "my.toml").write_text("name = \n")
    assert "plan my.toml is not valid TOML" in refused(["characterize", "my.toml"], capsys)


def test_no_ngspice(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRCIM_NGSPICE", "no-such-simulator")
    line = refused(["characterize", *settings()], capsys)
    assert "sudo apt install ngspice" in line
    assert "brew" in line
    assert "conda" in line


@pytest.mark.parametrize(
    ("body", "words"), [("sleep 60", "timeout: ngspice gave no answer"), ("kill -9 $$", "signal 9")]
)
def test_an_ngspice_that_hangs_or_dies(
    body: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRCIM_NGSPICE", fake_ngspice(tmp_path, body))
    line = refused(["characterize", "--timeout", "1", *settings()], capsys, code=1)
    assert words in line
    assert "run the same command again" in line


def test_a_simulator_by_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_ngspice(tmp_path, "exit 0")
    monkeypatch.setenv("PRCIM_NGSPICE", "./fake-ngspice")
    assert Path(find_ngspice().path).is_absolute()


def test_a_file_where_a_folder_should_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "result.json").mkdir()
    assert "choose another folder" in refused(["train", "--lut", "package:8t-64", "--out", "file/x"], capsys, code=1)
    assert "has no result.json" in refused(["report", "file/x"], capsys)
    assert "has no result.json" in refused(["report", "."], capsys)


def test_a_model_file_without_the_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "my.lib").write_text(".model mine nmos level=54\n")
    line = refused(["characterize", *settings("models=my.lib", "nmos=mine", "pmos=yours")], capsys)
    assert "my.lib has no transistor model 'yours'; it has: mine" in line


def test_a_table_of_another_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    meta = np.frombuffer(json.dumps({"schema": "prcim-lut-0"}).encode(), dtype=np.uint8)
    np.savez(tmp_path / "old.npz", meta=meta, sha256=np.zeros(64, dtype=np.uint8))
    line = refused(["train", "--lut", "old.npz"], capsys)
    assert f"has schema 'prcim-lut-0'; this version of prcim reads '{SCHEMA}'" in line


def test_a_damaged_sample_file_is_named_and_done_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["characterize", "--jobs", "1", "--out", "out", *settings()]
    assert status(arguments) == 0
    table = (tmp_path / "out/lut.npz").read_bytes()
    sample = tmp_path / "out/samples/columns-00000-00004.parquet"
    whole = sample.read_bytes()
    sample.write_bytes(whole[: len(whole) // 2])
    line = refused(arguments, capsys)
    assert "columns-00000-00004.parquet is damaged" in line
    assert "delete it" in line
    sample.unlink()
    assert status([*arguments, "--json"]) == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["shots"] - summary["shots_resumed"] == 4 * 2 * 5
    assert (tmp_path / "out/lut.npz").read_bytes() == table


def test_a_folder_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    line = refused(["characterize", "--out", "file/out", *settings()], capsys, code=1)
    assert "choose another folder" in line


def test_every_option_of_every_command_has_a_help_text(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("technology", "cell", "characterize", "plan", "lut", "train", "evaluate", "report"):
        assert status([name, "--help"]) == 0
        assert "--help" in capsys.readouterr().out
        command: click.Command = import_module(f"prcim.cli.{name}").command
        commands = command.commands.values() if isinstance(command, click.Group) else [command]
        options = [o for c in commands for o in c.params if isinstance(o, click.Option)]
        assert [option.name for option in options if not option.help] == []
