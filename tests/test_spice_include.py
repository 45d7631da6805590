"""Model files of several files and sections: one text comes out, and nothing in it can run a command."""

from pathlib import Path

import pytest

from prcim.errors import InputError
from prcim.spice.include import flatten
from prcim.spice.library import read_library


def write(folder: Path, **texts: str) -> Path:
    """Files named after the keywords, "__" for a folder; the first one's path."""
    paths = [folder / f"{name.replace('__', '/')}.lib" for name in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return paths[0]


def test_a_file_by_itself_stays_as_it_is(tmp_path: Path) -> None:
    for text in (".model n nmos\n", "a\n\n b \n\n", "", "* .include 'x'\n.ends\n.endif\n.end_of_nothing"):
        assert flatten(write(tmp_path, top=text)) == text


@pytest.mark.parametrize("word", [".include", ".INC", "  .incl", ".include\t"])
@pytest.mark.parametrize("name", ["sub/a.lib", '"sub/a.lib"', "'sub/a.lib'", '"sub/a.lib" $ why', "sub/a.lib ; why"])
def test_includes(word: str, name: str, tmp_path: Path) -> None:
    """A path counts from the file that it stands in."""
    top = write(tmp_path, top=f"first\n{word} {name}\nlast\n", sub__a="in a\n.include b.lib\n", sub__b="in b\n")
    assert flatten(top) == "first\nin a\nin b\nlast\n"


def test_an_absolute_path_and_one_with_spaces(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "c.lib").write_text("in c\n")
    top = write(tmp_path, top=f".include \"a b/c.lib\"\n.inc '{tmp_path}/a b/c.lib'")
    assert flatten(top) == "in c\nin c"


SECTIONS = "outside\n.lib TT $ typical\nin tt\n.lib 'top.lib' Common\n.endl TT\n.LIB ss\nin ss\n.endl\n"
COMMON = ".lib common\nin common\n.endl common\n"


@pytest.mark.parametrize("section", ["tt", "TT"])
def test_sections(section: str, tmp_path: Path) -> None:
    """Only what stands in the section counts, and a section may take another one of the same file."""
    assert flatten(write(tmp_path, top=SECTIONS + COMMON), section) == "in tt\nin common"


def test_another_file_takes_a_section(tmp_path: Path) -> None:
    top = write(tmp_path, top='.lib "sub/kit.lib" SS\n', sub__kit=SECTIONS)
    assert flatten(top) == "in ss\n"


def test_a_section_in_two_pieces(tmp_path: Path) -> None:
    assert flatten(write(tmp_path, top=".lib tt\na\n.endl\n.lib tt\nb\n.endl"), "tt") == "a\nb"


def test_a_file_as_a_whole_by_lib(tmp_path: Path) -> None:
    assert flatten(write(tmp_path, top=".lib 'a.lib'\n", a="in a")) == "in a\n"


@pytest.mark.parametrize(
    ("texts", "section", "words"),
    [
        ({"top": SECTIONS}, None, r"top\.lib has sections: tt, ss; choose one with section \(--section\)"),
        ({"top": SECTIONS}, "ff", r"top\.lib has no section 'ff'; it has: tt, ss"),
        ({"top": "a"}, "ff", r"top\.lib has no section 'ff'; it has no sections"),
        ({"top": SECTIONS}, "tt", r"top\.lib has no section 'Common'; it has: tt, ss"),
        ({"top": ".inc a.lib", "a": COMMON}, None, r"a\.lib has sections: common; name one: \.lib \"FILE\" SECTION"),
        ({"top": ".inc no.lib"}, None, r"no\.lib, which top\.lib includes, does not exist; look at the path"),
        ({"top": ".inc ."}, None, r"which top\.lib includes, cannot be read as text"),
        ({"top": "\n.include"}, None, r"top\.lib, line 2: '\.include' names no file"),
        ({"top": ".include ''"}, None, "names no file"),
        ({"top": ".include a\0b"}, None, "names no file"),
        ({"top": ".lib"}, None, "names no file"),
        ({"top": ".inc a.lib", "a": ".inc top.lib"}, None, r"top\.lib includes itself: top\.lib -> a\.lib -> top\.lib"),
        ({"top": ".inc ./top.lib"}, None, r"includes itself: top\.lib -> top\.lib; take one of these lines out"),
        ({"top": ".lib a\n.lib top.lib b\n.endl\n.lib b\n.lib top.lib A\n.endl"}, "a", "includes itself"),
        ({"top": ".lib a\nx"}, "a", r"top\.lib: section 'a' has no \.endl"),
        ({"top": ".lib a\n.lib b\n.endl"}, "a", r"line 2: section 'a' has no \.endl before the next"),
        ({"top": "x\n.endl"}, None, r"line 2: \.endl ends no section"),
    ],
)
def test_refused_files(texts: dict[str, str], section: str | None, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        flatten(write(tmp_path, **texts), section)


def test_a_file_twice_is_no_circle(tmp_path: Path) -> None:
    assert flatten(write(tmp_path, top=".inc a.lib\n.inc b.lib", a=".inc b.lib", b="in b")) == "in b\nin b"


@pytest.mark.parametrize(
    "line",
    [
        ".control",
        "  .CONTROL",
        ".controlx",
        "*# shell ls",
        " *#shell ls",
        ".end",
        ".END ",
        ".exec ls",
        ".csparam a=1",
        ".codemodel a.cm",
    ],
)
def test_no_command_gets_through(line: str, tmp_path: Path) -> None:
    """Of ".control" ngspice compares only the beginning, and it runs a comment that begins with "*#"."""
    for texts in ({"top": f"a\n{line}\n"}, {"top": ".inc a.lib", "a": f"a\n{line}\n"}):
        with pytest.raises(InputError, match=r"(top|a)\.lib, line 2: '.*' is a command or ends the deck; a model file"):
            flatten(write(tmp_path, **texts))
    # In a section that nobody takes it does no harm.
    assert flatten(write(tmp_path, top=f".lib a\n{line}\n.endl\n.lib b\nb\n.endl"), "b") == "b"


def test_a_model_file_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model file .*nowhere\.lib does not exist; give the path of a BSIM4"):
        read_library(tmp_path / "nowhere.lib")


def test_a_model_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "bad.lib").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "bad.lib", tmp_path):
        with pytest.raises(InputError, match=r"model file .* cannot be read as text \("):
            read_library(path)


def test_the_checksum_covers_everything_that_is_read(tmp_path: Path) -> None:
    top = write(tmp_path, top=SECTIONS + COMMON.replace("in common", ".inc a.lib"), a="in a")
    first = read_library(top, "tt")
    assert first.name == "top.lib section tt"
    write(tmp_path, a="in another a")
    assert read_library(top, "tt").sha256 != first.sha256
    assert first.text == "in tt\nin a"
    # What the section does not take is no part of it, nor where the files lie.
    write(tmp_path, a="in a")
    moved = write(tmp_path, new__top=top.read_text().replace("in ss", ""), new__a="in a")
    assert read_library(moved, "tt").sha256 == first.sha256
