"""Model files."""

import hashlib
from pathlib import Path

import pytest

from prcim.errors import InputError
from prcim.spice.library import ModelLibrary, own_library, read_library


def library(text: str) -> ModelLibrary:
    return ModelLibrary(name="user.lib", text=text)


def test_model_names_are_found_whatever_their_case() -> None:
    found = library("* .model not_this nmos\n.MODEL First nmos level=54\n  .model second PMOS\n+ level = 54\n")
    assert found.models == ("first", "second")
    assert found.model("FIRST").level == 54
    assert found.model("second").type == "pmos"


@pytest.mark.parametrize("name", ["third", "firs", "first second", "", ".", "first.1"])
def test_unknown_model(name: str) -> None:
    with pytest.raises(InputError, match=rf"user\.lib has no transistor model '{name}'; it has: first, second"):
        library(".model first nmos\n.model second pmos\n").model(name)
    with pytest.raises(InputError, match="it has: none"):
        library("* empty\n").model(name)


def test_unknown_subcircuit() -> None:
    found = library(".subckt first d g s b w=1 l=1\n.ends\n.model second pmos\n")
    assert found.subckt("FIRST").pins == ("d", "g", "s", "b")
    with pytest.raises(InputError, match=r"user\.lib has no sub-circuit 'third'; it has: first"):
        found.subckt("third")
    with pytest.raises(InputError, match=r"'second' is a model, not a sub-circuit; leave subckt \(--subckt\) out"):
        found.subckt("second")
    with pytest.raises(InputError, match=r"'first' is a sub-circuit, not a model; set subckt = true \(--subckt\)"):
        found.model("first")


def test_binned_models() -> None:
    """A kit has one card for each range of sizes, and instances name none of them."""
    found = library(".model nch.x nmos\n.model nch.1 nmos level=54\n.model nch.2 nmos level=54\n")
    assert found.model("nch").name == "nch.1"
    assert found.model("nch.2").name == "nch.2"
    with pytest.raises(InputError, match="has no transistor model 'nc'"):
        found.model("nc")


def test_of_two_cards_the_first_counts_as_in_ngspice() -> None:
    assert library(".model n nmos level=54\n.model n nmos level=49\n").model("n").level == 54


def test_a_long_list_of_names_is_cut_short() -> None:
    found = library("".join(f".model nfet_{i:03} nmos\n" for i in range(500)) + ".model pch pmos\n")
    with pytest.raises(InputError, match=r"no transistor model 'pchh'; it has: pch and 500 more$"):
        found.model("pchh")
    with pytest.raises(InputError, match=r"it has: nfet_000, .*, nfet_011 and 489 more$"):
        found.model("qqqq")


def test_own_library_has_both_flavours() -> None:
    assert own_library().models == tuple(f"prcim65_{kind}mos_{flavour}" for flavour in ("hp", "sram") for kind in "np")


def test_users_file(tmp_path: Path) -> None:
    path = tmp_path / "user.lib"
    path.write_text(".model grün nmos\n", encoding="utf-8")
    found = read_library(path)
    assert found == ModelLibrary(name="user.lib", text=".model grün nmos\n")
    # Read once: what happens to the file later does not reach a running job.
    path.write_text("changed", encoding="utf-8")
    assert found.sha256 == hashlib.sha256(".model grün nmos\n".encode()).hexdigest()
    assert read_library(path).sha256 != found.sha256
