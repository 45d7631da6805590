"""`prcim amplifier show`: what a program reads, what a person reads, what is refused."""

import json
from pathlib import Path

import pytest

from prcim.cli.main import status

FAST = ["amplifier", "show", "--w", "1", "--draws", "8", "--jobs", "1"]


@pytest.mark.slow
def test_json_and_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "offsets.png"
    assert status([*FAST, "--json", "--figure", str(picture), "--set", "a_beta_m=0"]) == 0
    out = capsys.readouterr().out
    found = json.loads(out)
    assert (found["vcm_v"], found["vdd_v"], found["nmos"]) == (1.0, 1.1, "prcim65_nmos_hp")
    assert found["common_mode_v"][0] < 0.6 < found["common_mode_v"][1]
    (row,) = found["widths"]
    assert (row["w_m"], row["n"], row["failures"], row["noise_v"]) == (1e-6, 8, 0, None)
    assert row["sigma_ci95_v"][0] < row["sigma_v"] < row["sigma_ci95_v"][1]
    assert row["pair_sigma_v"] == pytest.approx(13.73e-3, rel=1e-3, abs=0)
    assert row["ratio"] == pytest.approx(row["sigma_v"] / row["pair_sigma_v"])
    assert row["contributions_v"]["input pair gain"] < 0.2e-3 < row["contributions_v"]["latch N Vth"]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert status([*FAST, "--vcm", "0.9", "--period", "1.6", "--flavour", "sram", "--seed", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("prcim65_nmos_sram, prcim65_pmos_sram; 1.1 V, 27 degrees Celsius, tt; A_VT 3.5 mV um")
    assert lines[1].startswith("common mode 0.9 V, decides from 0.7")
    assert "clock 625 MHz" in lines[1]
    assert lines[3].split()[:4] == ["w", "um", "n", "failed"]
    assert lines[4].split()[:3] == ["1", "8", "0"]
    assert any(line.split()[:3] == ["input", "pair", "Vth"] for line in lines)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--draws", "2"], "2 is not in the range"),
        (["--w", "0"], "0.0 is not in the range"),
        (["--vcm", "0.1"], "the amplifier has no offset at a common mode of 0.1 V (undecided"),
        (["--vcm", "2"], "vcm_v is 2.0 V; the inputs lie between 0 and the supply, 1.1 V"),
        (["--overdrive", "0.1"], "overdrive_v is 0.0001 V; it must be four times resolution_v"),
        (["--period", "0.1"], "half a clock period lies between 0.4 and 100 ns"),
        (["--set", "colour=red"], "'colour=red' is not a key of a plan"),
    ],
)
def test_refused(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status([*FAST, *arguments]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("prcim: ")]
    assert words in line
