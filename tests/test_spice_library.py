"""Model files, and the project's own cards against the anchors of a 65 nm process."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from prcim.errors import InputError
from prcim.spice.deck import Deck
from prcim.spice.library import ModelLibrary, own_library, read_library
from prcim.spice.ngspice import find_ngspice

#: Ion and Ioff at |Vgs| = |Vds| = 1.1 V and Vgs = 0, A/m; DIBL, V/V; swing, V/decade; both thresholds, V.
ANCHORS = {
    "n": {"ion": 1148.0, "ioff": 67e-3, "dibl": 0.130, "ss": 0.090, "vth_lin": 0.270, "vth_sat": 0.133},
    "p": {"ion": 531.0, "ioff": 48e-3, "dibl": 0.169, "ss": 0.088, "vth_lin": 0.327, "vth_sat": 0.150},
}


def test_model_names_are_found_whatever_their_case() -> None:
    text = "* .model not_this nmos\n.MODEL First nmos level=54\n  .model second PMOS\n+ level = 54\n"
    library = ModelLibrary(name="user.lib", text=text)
    assert library.models == ("first", "second")
    assert library.require("FIRST") == "FIRST"


@pytest.mark.parametrize("name", ["third", "firs", "first second", ""])
def test_unknown_model(name: str) -> None:
    library = ModelLibrary(name="user.lib", text=".model first nmos\n.model second pmos\n")
    with pytest.raises(InputError, match=rf"user\.lib has no transistor model '{name}'; it has: first, second"):
        library.require(name)
    with pytest.raises(InputError, match="it has: none"):
        ModelLibrary(name="user.lib", text="* empty\n").require(name)


def test_own_library_has_both_flavours() -> None:
    assert own_library().models == tuple(f"prcim65_{kind}mos_{flavour}" for flavour in ("hp", "sram") for kind in "np")


def test_users_file(tmp_path: Path) -> None:
    path = tmp_path / "user.lib"
    path.write_text(".model grün nmos\n", encoding="utf-8")
    library = read_library(path)
    assert library == ModelLibrary(name="user.lib", text=".model grün nmos\n")
    # Read once: what happens to the file later does not reach a running job.
    path.write_text("changed", encoding="utf-8")
    assert library.sha256 == hashlib.sha256(".model grün nmos\n".encode()).hexdigest()
    assert read_library(path).sha256 != library.sha256


def test_model_file_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model file .*nowhere\.lib does not exist; give the path of a BSIM4"):
        read_library(tmp_path / "nowhere.lib")


def test_model_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "bad.lib").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "bad.lib", tmp_path):
        with pytest.raises(InputError, match=r"model file .* cannot be read as text \("):
            read_library(path)


@pytest.mark.parametrize(
    "line", [".include other.lib", ".INC x", ".lib 'all.lib' tt", ".control", " .end", ".exec shell", ".codemodel a.cm"]
)
def test_model_file_that_holds_more_than_models(line: str, tmp_path: Path) -> None:
    """A deck gets the text; nothing in it may run a command or read another file."""
    (tmp_path / "user.lib").write_text(f".model nch nmos level=54\n{line}\n")
    with pytest.raises(InputError, match=rf"user\.lib has a line '{line.split()[0]}'; give one file that holds all"):
        read_library(tmp_path / "user.lib")


def test_model_file_with_a_subcircuit(tmp_path: Path) -> None:
    text = "* .include in a comment\n.subckt nch d g s b\n.param w=1u\nm1 d g s b core w={w}\n.ends\n.model core nmos\n"
    (tmp_path / "user.lib").write_text(text)
    assert read_library(tmp_path / "user.lib").models == ("core",)


def threshold_v(gate_v: NDArray[np.float64], drain_a: NDArray[np.float64]) -> float:
    """Gate voltage at 100 nA * W / L."""
    return float(np.interp(np.log(100e-9 / 65e-3), np.log(drain_a), gate_v))


@pytest.mark.parametrize("kind", ["n", "p"])
def test_own_cards_meet_the_anchors(kind: str) -> None:
    sign = {"n": 1, "p": -1}[kind]
    lines = [f"* {kind} transistor, W = 1 um", own_library().text, ".temp 27", "vg g 0 0"]
    for name, drain_v in (("sat", 1.1), ("lin", 0.05)):
        lines += [f"v{name} {name} 0 {sign * drain_v}", f"m{name} {name} g 0 0 prcim65_{kind}mos_hp w=1u l=65n"]
    deck = Deck(
        netlist="\n".join([*lines, ".options reltol=1e-6 abstol=1e-15", ""]),
        save=("i(vsat)", "i(vlin)"),
        analyses=(f"dc vg 0 {sign * 1.1} {sign * 0.01}",),
    )
    values = find_ngspice().run(deck).values
    gate_v = np.linspace(0, 1.1, 111)
    sat, lin = np.abs(values["i(vsat)"]), np.abs(values["i(vlin)"])
    found = {
        "ion": sat[-1] / 1e-6,
        "ioff": sat[0] / 1e-6,
        "vth_lin": threshold_v(gate_v, lin),
        "vth_sat": threshold_v(gate_v, sat),
        "ss": 0.05 / np.log10(lin[5] / lin[0]),
    }
    found["dibl"] = (found["vth_lin"] - found["vth_sat"]) / 1.05
    limits = {"ion": 0.05, "ioff": 0.10, "dibl": 0.03, "ss": 0.02, "vth_lin": 0.02, "vth_sat": 0.03}
    for name, limit in limits.items():
        assert found[name] == pytest.approx(ANCHORS[kind][name], rel=limit), name
