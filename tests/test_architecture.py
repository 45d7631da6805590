"""The shape of the program: imports go one way, rooms load only what is theirs, the wheel holds it all."""

import ast
import configparser
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("spice", "cells", "characterize", "bnn")  # each may import those before it
BOTTOM = ("__init__", "errors", "files")  # modules of prcim that all may import
HEAVY = ("PySpice", "matplotlib", "numpy", "pandas", "pyarrow", "pydantic", "scipy", "sklearn", "torch")
REFUSED = {  # what a room must not load, not even through others
    "spice": ("torch",),
    "cells": ("torch",),
    "characterize": ("torch",),
    "bnn": ("PySpice",),
    "cli": ("PySpice", "pandas", "torch", "prcim.characterize", "prcim.bnn"),
}


def folder(room: str) -> Path:
    return ROOT / "prcim" / "cli" if room == "cli" else ROOT / room


def sources(room: str) -> list[Path]:
    return sorted(folder(room).rglob("*.py"))


def module(path: Path) -> str:
    """Import name of a source file, as a user of the package writes it."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "prcim" else ("prcim", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


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


def data_files(room: str) -> list[str]:
    """Paths, from the room, of all that is no source."""
    files = [path for path in folder(room).rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]
    return [path.relative_to(folder(room)).as_posix() for path in files if not path.name.startswith(".")]


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


def python(code: str, *, path: Path | None = None, cwd: Path = ROOT) -> list[str]:
    """Words that a fresh interpreter prints."""
    env = {**os.environ, "PYTHONPATH": str(path)} if path else dict(os.environ)
    run = subprocess.run([sys.executable, "-c", code], cwd=cwd, env=env, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


def setup_cfg() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config


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
        ("bnn", "import prcim.characterize.lut"),
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


# --- packaging ---


def test_packages_are_complete() -> None:
    config = setup_cfg()
    tops = [ROOT / "prcim" / "cli", *(ROOT / room for room in ROOMS)]
    folders = {ROOT / "prcim"} | {path.parent for top in tops for path in top.rglob("*.py")}
    assert all((path / "__init__.py").is_file() for path in folders), "a folder with sources lacks its __init__.py"
    listed = config["options"]["packages"].split()
    assert set(listed) == {module(path / "__init__.py") for path in folders}
    where = dict(line.split(" = ") for line in config["options"]["package_dir"].strip().splitlines())
    assert where == {module(path / "__init__.py"): path.relative_to(ROOT).as_posix() for path in folders}


def test_package_data_is_complete() -> None:
    """Every file of a room that is no source travels with the package."""
    config = setup_cfg()
    patterns = {name: globs.replace(",", " ").split() for name, globs in config["options.package_data"].items()}
    for room in ROOMS:
        globs = patterns.get(f"prcim.{room}", [])
        assert not [name for name in data_files(room) if not any(fnmatch(name, glob) for glob in globs)]
    assert patterns["prcim"] == ["py.typed"]


@pytest.mark.parametrize("room", ROOMS)
def test_link_stands_for_the_folder(room: str) -> None:
    """Type checkers, doctests and editors find the rooms through these links."""
    assert (ROOT / "prcim" / room).readlink() == Path("..", room)


def test_lock_pins_all_that_is_required() -> None:
    lines = (ROOT / "requirements.lock").read_text("utf-8").splitlines()
    pins = dict(line.split("==") for line in lines)
    # A local version or a CUDA package would tie the lock to one machine, a hash or an address to one registry.
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9a-z.]*", line) for line in lines)
    assert not [name for name in pins if re.match(r"nvidia|cuda|triton", name)]
    pins = {canonicalize_name(name): version for name, version in pins.items()}
    config = setup_cfg()
    wanted = [config["options"]["install_requires"], *config["options.extras_require"].values()]
    for requirement in (Requirement(line) for block in wanted for line in block.split()):
        assert pins[canonicalize_name(requirement.name)] in requirement.specifier, requirement


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: an earlier build in the checkout would leak into it."""
    copy = tmp_path_factory.mktemp("source") / "prcim"
    unwanted = shutil.ignore_patterns(".*", "build", "dist", "data", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, copy, symlinks=True, ignore=unwanted)
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(copy)]
    run = subprocess.run(build, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr
    (made,) = out.glob("prcim-*.whl")
    return made


@pytest.mark.slow
def test_wheel_holds_every_file(wheel: Path) -> None:
    expected = {"prcim/py.typed"} | {f"prcim/{path.name}" for path in (ROOT / "prcim").glob("*.py")}
    for room in (*ROOMS, "cli"):
        own = [path.relative_to(folder(room)).as_posix() for path in sources(room)]
        expected |= {f"prcim/{room}/{name}" for name in (*own, *data_files(room))}
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.startswith("prcim-")}
        assert any(name.endswith("/LICENSE") for name in archive.namelist())
    assert names == expected
    assert any(fnmatch(name, "prcim/spice/models/*.lib") for name in names)
    assert any(fnmatch(name, "prcim/characterize/plans/*.toml") for name in names)


@pytest.mark.slow
def test_wheel_works_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    site, away = tmp_path / "site", tmp_path / "away"
    away.mkdir()
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    run = subprocess.run([*install, str(wheel)], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    names = ["prcim", *(module(path) for room in (*ROOMS, "cli") for path in sources(room))]
    # The editable install of the checkout stands by to fill any gap, so every module has to say where it came from.
    show = "print(*[m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'prcim'])"
    files = python(f"import sys, {', '.join(names)}\n{show}", path=site, cwd=away)
    assert len(files) >= len(set(names))
    assert not [file for file in files if not Path(file).is_relative_to(site)]
    code = "import runpy, sys; sys.argv = ['prcim', '--help']; runpy.run_module('prcim.cli.main', run_name='__main__')"
    assert "characterize" in python(code, path=site, cwd=away)
