"""`prcim cell show`: what it prints, what a program reads, what it refuses."""

import json
from pathlib import Path

import pytest

from prcim.cli.main import status


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_it_prints_tables_with_what_was_published(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["cell", "show", "6t", "--draws", "16", "--vwl", "0.6", "--jobs", "1"]) == 0
    out = capsys.readouterr().out
    for words in ("read current", "static noise margin", "read disturb", "leakage", "OPTIMA", "16 draws, seed 1"):
        assert words in out
    (line,) = [line for line in out.splitlines() if line.startswith("     0.6") and "24.9" in line]
    assert line.split()[-3:] == ["24.9", "12.1", "11.2"]


def test_a_program_reads_one_object(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    given = ["--flavour", "sram", "--vdd", "1.0", "--temp", "85", "--corner", "ss", "--seed", "5"]
    arguments = ["cell", "show", "1t1r", "--draws", "16", "--vwl", "0.5", "--vwl", "0.8", *given]
    assert status([*arguments, "--set", "sizes.w_access_m=3e-7", "--jobs", "2", "--figures", "out", "--json"]) == 0
    captured = capsys.readouterr()
    shown = json.loads(captured.out)
    assert (shown["nmos"], shown["vdd_v"], shown["temp_c"], shown["corner"]) == ("prcim65_nmos_sram", 1.0, 85.0, "ss")
    assert (shown["draws"], shown["seed"]) == (16, 5)
    assert "w_access_m=3e-07" in shown["cell"]
    assert [point["v_wl_v"] for point in shown["read"]] == [0.5, 0.8]
    assert shown["read"][1]["i_mean_a"] > shown["read"][0]["i_mean_a"] > 0
    assert (tmp_path / "out/cell-1t1r.png").exists()
    assert "decks" in captured.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["9t"], "there is no cell '9t'; known cells are: 6t, 8t, 8t1c, 1t1r"),
        (["6t", "--draws", "3"], "draws is 3; a spread takes 16 to 1000000 draws"),
        (["6t", "--vwl", "-1"], "each must lie above 0 and be at most 2 V"),
        (["6t", "--vdd", "5"], "vdd_v is 5.0 V; a 65nm-style column works from 0.3 to 2.0 V"),
        (["6t", "--temp", "500"], "temp_c is 500.0; it must lie in -55..150"),
        (["6t", "--corner", "xx"], "'xx' is not one of"),
        (["6t", "--set", "sizes.w_gate_m=1e-7"], "w_gate_m"),
        (["6t", "--set", "colour=red"], "'colour=red' is not a key of a plan"),
        (["6t", "--jobs", "0"], "0 is not in the range"),
        ([], "Missing argument 'NAME'"),
    ],
)
def test_wrong_input_is_one_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["cell", "show", *arguments]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("prcim: ")]
    assert words in line
