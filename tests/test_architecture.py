"""The shape of the program: imports go one way, rooms load only what is theirs."""

import ast
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from rooms import ROOMS, ROOT, folder, module, python, sources

BOTTOM = ("__init__", "errors", "files")  # modules of prcim that all may import
HEAVY = ("PySpice", "matplotlib", "numpy", "pandas", "pyarrow", "pydantic", "scipy", "sklearn", "torch")
REFUSED = {  # what a room must not load, not even through others
    "spice": ("torch",),
    "cells": ("torch",),
    "characterize": ("torch",),
    "bnn": ("PySpice",),
    "cli": ("PySpice", "pandas", "torch", "prcim.characterize", "prcim.bnn"),
}


class Import(NamedTuple):
    """One name that a file imports; ``lazy`` inside a function or for type checkers only."""

    name: str
    line: int
    lazy: bool


def imports(text: str) -> Iterator[Import]:
    """All imports of a source; ``from a import b`` counts as ``a.b``, since b may be a module."""

    def visit(node: ast.AST, lazy: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, lazy) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            dots = "." * node.level
            yield from (Import(f"{dots}{node.module or ''}.{alias.name}", node.lineno, lazy) for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for statement in node.body:
                yield from visit(statement, True)
            for statement in node.orelse:
                yield from visit(statement, lazy)
        else:
            lazy = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for child in ast.iter_child_nodes(node):
                yield from visit(child, lazy)

    yield from visit(ast.parse(text), False)


def within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def wrong_way(text: str, room: str) -> list[Import]:
    """Imports that a file of ``room`` (or of the bottom, room ``""``) must not have."""
    below = ROOMS[: ROOMS.index(room) + 1] if room in ROOMS else ()
    allowed = tuple(f"prcim.{name}" for name in (*below, *BOTTOM, "__version__"))
    return [
        found
        for found in imports(text)
        if found.name.startswith(".")
        or within(found.name, ROOMS)
        or (within(found.name, ("prcim",)) and room != "cli" and not within(found.name, allowed))
    ]


def forbidden_loads(text: str) -> list[str]:
    """Ways to run code that hides in a data file."""
    found = [i.name for i in imports(text) if within(i.name, ("pickle", "dill", "joblib", "marshal", "shelve"))]
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        name = ast.unparse(node.func)
        if (name == "torch.load" and given.get("weights_only") != "True") or name.endswith(".read_pickle"):
            found.append(ast.unparse(node))
        if given.get("allow_pickle", "False") != "False":
            found.append(ast.unparse(node))
    return found


# --- the checkers can fail ---


@pytest.mark.parametrize(
    ("room", "text"),
    [
        ("spice", "import prcim.cells"),
        ("spice", "from prcim import cells"),
        ("cells", "def f():\n    from prcim.characterize.plan import Plan"),
        ("characterize", "from prcim.bnn import layers"),
        ("bnn", "from prcim.cli import main"),
        ("bnn", "from .layers import Linear"),
        ("bnn", "import cells"),
        ("", "import prcim.spice"),
    ],
)
def test_checker_sees_an_import_the_wrong_way(room: str, text: str) -> None:
    assert wrong_way(text, room)


@pytest.mark.parametrize(
    ("room", "text"),
    [
        ("spice", "from prcim.errors import InputError"),
        ("cells", "from prcim.spice.outcome import Outcome\nfrom prcim import __version__"),
        ("bnn", "import prcim.characterize.lut.error_lut"),
        ("cli", "import prcim.bnn"),
        ("", "from prcim.errors import RunError"),
    ],
)
def test_checker_lets_the_right_way_pass(room: str, text: str) -> None:
    assert not wrong_way(text, room)


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "pd.read_pickle(path)",
    ],
)
def test_checker_sees_a_pickle(text: str) -> None:
    assert forbidden_loads(text)
    assert not forbidden_loads("torch.load(path, weights_only=True)\nnp.load(path, allow_pickle=False)")


# --- imports ---


@pytest.mark.parametrize("room", [*ROOMS, "cli"])
def test_imports_go_one_way(room: str) -> None:
    assert sources(room), f"{folder(room)} holds no source"
    assert not {str(path): bad for path in sources(room) if (bad := wrong_way(path.read_text("utf-8"), room))}


def test_bottom_imports_no_room() -> None:
    files = sorted((ROOT / "prcim").glob("*.py"))
    assert {path.stem for path in files} == set(BOTTOM), "a new module directly in prcim/: name it in BOTTOM"
    assert not {str(path): bad for path in files if (bad := wrong_way(path.read_text("utf-8"), ""))}


def test_cli_imports_lazily() -> None:
    for path in sources("cli"):
        early = [i for i in imports(path.read_text("utf-8")) if not i.lazy and within(i.name, REFUSED["cli"])]
        assert not early, f"{path}: move into the function that needs it: {early}"


@pytest.mark.parametrize("room", [*ROOMS, "cli"])
def test_room_loads_only_what_is_its(room: str) -> None:
    names = [module(path) for path in sources(room)]
    loaded = python(f"import sys, {', '.join(names)}\nprint(*sys.modules)")
    assert set(names) <= set(loaded)
    assert not [name for name in loaded if within(name, REFUSED[room])]


def test_package_inits_import_next_to_nothing() -> None:
    loaded = python(f"import sys, prcim.cli, {', '.join(f'prcim.{room}' for room in ROOMS)}\nprint(*sys.modules)")
    assert "prcim.bnn" in loaded
    assert not [name for name in loaded if within(name, HEAVY)]


def test_no_pickle_is_ever_loaded() -> None:
    files = [path for top in (*ROOMS, "prcim", "scripts", "benchmarks") for path in (ROOT / top).rglob("*.py")]
    assert len(files) > len(ROOMS)
    assert not {str(path): bad for path in files if (bad := forbidden_loads(path.read_text("utf-8")))}
