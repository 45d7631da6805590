"""The package is complete: lists, links, lock, and a wheel that works outside the checkout."""

import configparser
import re
import shutil
import subprocess
import sys
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rooms import ROOMS, ROOT, folder, module, python, sources


def data_files(room: str) -> list[str]:
    """Paths, from the room, of all that is no source."""
    files = [path for path in folder(room).rglob("*") if path.is_file() and path.suffix != ".py"]
    return [
        path.relative_to(folder(room)).as_posix()
        for path in files
        if not path.name.startswith(".") and path.parent.name != "__pycache__"
    ]


def setup_cfg() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config


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
    # A local version or a CUDA package would tie the lock to one machine, a hash or an address to one registry. Triton,
    # whose interpreter needs no GPU, is made for Linux alone.
    pattern = r"[A-Za-z0-9._-]+==[0-9][0-9a-z.]*"
    assert [line for line in lines if not re.fullmatch(pattern, line)] == ['triton==3.7.1; sys_platform == "linux"']
    pins = dict(line.partition(";")[0].split("==") for line in lines)
    assert not [name for name in pins if re.match(r"nvidia|cuda", name)]
    pins = {canonicalize_name(name): version for name, version in pins.items()}
    config = setup_cfg()
    wanted = [config["options"]["install_requires"], *config["options.extras_require"].values()]
    for requirement in (Requirement(line) for block in wanted for line in block.strip().splitlines()):
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
