"""`prcim technology`: the project's cards beside their anchors, and a user's files in their place."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from prcim.cells.devices.corner import CORNERS
from prcim.cli.main import status

KITS = Path(__file__).parent / "kits"
PTM = ["--models", str(KITS / "ptm_style.pm"), "--nmos", "nmos", "--pmos", "pmos"]
BSIM3 = ["--models", str(KITS / "bsim3.lib"), "--nmos", "NCH", "--pmos", "pch"]
KIT = ["--models", str(KITS / "wrapped/kit.lib"), "--nmos", "kit_nfet", "--pmos", "kit_pfet", "--size-unit", "1e-6"]
TT, SS = [*KIT, "--subckt", "--section", "tt"], [*KIT, "--subckt", "--section", "SS"]
FIGURES = {"ion_a_per_m", "ioff_a_per_m", "dibl_v_per_v", "ss_v_per_dec", "vth_lin_v", "vth_sat_v"}


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert status(["technology", "show", *arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def refused(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 2) -> str:
    assert status(["technology", "show", *arguments]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    return printed.err


@pytest.mark.parametrize("kit", [[], PTM, BSIM3, TT, SS], ids=["own", "ptm", "bsim3", "kit tt", "kit ss"])
def test_transistors_of_every_kind_of_file(kit: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Each card here was written to be a transistor of this class: within a factor of two of the anchors."""
    found = shown(capsys, *kit)
    assert list(found) == ["nmos", "pmos"]
    for block, ion in (("nmos", 1000), ("pmos", 450)):
        assert set(found[block]) == FIGURES
        assert ion / 2 < found[block]["ion_a_per_m"] < ion * 2
        assert 1e-3 < found[block]["ioff_a_per_m"] < 0.1
        assert 0.06 < found[block]["ss_v_per_dec"] < 0.1
        assert 0.05 < found[block]["dibl_v_per_v"] < 0.2
        assert 0.1 < found[block]["vth_sat_v"] < found[block]["vth_lin_v"] < 0.4


def test_sections_differ(capsys: pytest.CaptureFixture[str]) -> None:
    typical, slow = shown(capsys, *TT), shown(capsys, *SS)
    for block in typical:
        assert slow[block]["vth_lin_v"] - typical[block]["vth_lin_v"] == pytest.approx(0.04, abs=0.005)


def test_a_file_read_in_place_of_the_project_s_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same cards from a file in a folder with an odd name give the same figures."""
    import prcim.spice

    folder = tmp_path / "1e-3 # true"
    folder.mkdir()
    shutil.copy(Path(prcim.spice.__path__[0]) / "models" / "prcim65.lib", folder / "7")
    names = ["--models", str(folder / "7"), "--nmos", "prcim65_nmos_hp", "--pmos", "prcim65_pmos_hp"]
    assert shown(capsys, *names) == shown(capsys)


@pytest.mark.parametrize("kit", [[], BSIM3, TT], ids=["own", "bsim3", "kit"])
def test_conditions(kit: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    base = shown(capsys, *kit)
    for block in base:
        ion, ioff = (base[block][name] for name in ("ion_a_per_m", "ioff_a_per_m"))
        assert shown(capsys, *kit, "--vdd", "1.0")[block]["ion_a_per_m"] < ion
        assert shown(capsys, *kit, "--temp", "85")[block]["ioff_a_per_m"] > ioff
        assert shown(capsys, *kit, "--set", "temp_c=85") == shown(capsys, *kit, "--temp", "85")
        for corner in ("ff", "ss", "fs", "sf"):
            fast = corner[block == "pmos"] == "f"
            assert (shown(capsys, *kit, "--corner", corner)[block]["ion_a_per_m"] > ion) == fast


def test_flavours(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "--flavour", "hp") == shown(capsys)
    assert shown(capsys, "--flavour", "sram") == shown(capsys, "--set", "flavour=sram") != shown(capsys)


@pytest.mark.parametrize(
    ("arguments", "beside"),
    [([], True), (["--temp", "27"], True), (["--vdd", "1.0"], False), (["--flavour", "sram"], False), (PTM, False)],
)
def test_anchors_stand_beside_what_they_describe(
    arguments: list[str], beside: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(["technology", "show", *arguments]) == 0
    text = capsys.readouterr().out
    assert ("anchor" in text) == beside
    rows = {line.split(",")[0]: line.split() for line in text.splitlines()}
    assert {"Ion", "Ioff", "DIBL", "SS"} < set(rows)
    numbers = [word for word in rows["Ion"][2:] if word != "%"]
    assert len(numbers) == (6 if beside else 2)
    if beside:
        found = shown(capsys, *arguments)
        assert numbers[1] == "1148"
        assert numbers[4] == "531"
        for i, block in ((0, "nmos"), (3, "pmos")):
            ion = found[block]["ion_a_per_m"]
            assert float(numbers[i]) == pytest.approx(ion, abs=0.5)
            assert float(numbers[i + 2]) == pytest.approx(100 * (ion / float(numbers[i + 1]) - 1), abs=0.05)


def test_corners(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["technology", "corners", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["corners"]
    assert [(row["temp_c"], row["corner"]) for row in rows] == [(t, c) for t in (-40, 27, 125) for c in CORNERS]
    assert set(rows[0]["nmos"]) == set(rows[0]["pmos"]) == FIGURES
    for row in rows[6], rows[14]:
        point = shown(capsys, "--corner", row["corner"], "--temp", str(row["temp_c"]))
        assert point == {"nmos": row["nmos"], "pmos": row["pmos"]}
    assert status(["technology", "corners", *TT]) == 0
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 3 + len(rows)
    assert "corners: 15 of 15" in printed.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--models", "no.lib", "--nmos", "n", "--pmos", "p"], "model file no.lib does not exist"),
        (BSIM3[:4], "models, nmos and pmos belong together: give all three or none"),
        (["--nmos", "n"], "models, nmos and pmos belong together"),
        (["--section", "tt"], "section, subckt and size_unit_m say how to read models"),
        (["--subckt"], "section, subckt and size_unit_m say how to read models"),
        (["--size-unit", "1e-6"], "section, subckt and size_unit_m say how to read models"),
        ([*BSIM3, "--pmos", "nfet"], "bsim3.lib has no transistor model 'nfet'; it has: nch, pch"),
        ([*BSIM3, "--pmos", "nch"], "model 'nch' is of type 'nmos', not pmos"),
        ([*BSIM3, "--subckt"], "'NCH' is a model, not a sub-circuit"),
        ([*BSIM3, "--section", "tt"], "bsim3.lib has no section 'tt'; it has no sections"),
        ([*KIT, "--subckt"], "kit.lib has sections: tt, ss, devices; choose one with section (--section)"),
        ([*KIT, "--subckt", "--section", "ff"], "kit.lib has no section 'ff'; it has: tt, ss, devices"),
        ([*KIT, "--section", "tt"], "'kit_nfet' is a sub-circuit, not a model; set subckt = true (--subckt)"),
        ([*TT, "--nmos", "nfet"], "kit.lib section tt has no sub-circuit 'nfet'; it has: kit_nfet, kit_pfet"),
        ([*TT, "--size-unit", "0"], "technology.size_unit_m: Input should be greater than 0"),
        (["--corner", "st"], "'st' is not one of"),
        (["--vdd", "5"], "vdd_v is 5.0 V; a 65nm-style column works from 0.3 to 2.0 V"),
        (["--temp", "500"], "temp_c is 500.0; it must lie in -55..150"),
        (["--flavour", "lp"], "'lp' is not one of"),
        (["--set", "corner=st"], "technology.corner: Input should be 'tt', 'ff', 'ss', 'fs' or 'sf'"),
    ],
)
def test_wrong_input(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert words in refused(capsys, *arguments)


def test_a_model_that_ngspice_cannot_simulate(capsys: pytest.CaptureFixture[str]) -> None:
    """Metres where the kit wants micrometres: a channel of no length."""
    line = refused(capsys, *TT, "--size-unit", "1", code=1)
    assert "the n-channel transistor cannot be simulated: failed: " in line


def test_a_file_whose_model_has_no_level(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "old.lib").write_text(".model n nmos vto=0.4\n.model p pmos vto=-0.4\n")
    line = refused(capsys, "--models", str(tmp_path / "old.lib"), "--nmos", "n", "--pmos", "p")
    assert "old.lib: model 'n' does not say its level; give a BSIM4 card" in line
