"""Model files."""

import hashlib
from pathlib import Path

import pytest

from prcim.errors import InputError
from prcim.spice.library import ModelLibrary, own_library, read_library


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
