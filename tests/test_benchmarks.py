"""The runner of benchmarks: what it writes, what it refuses; and the results that are kept."""

import json
import math
import os
import re
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
from rooms import ROOT, python

RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.json"))
ENGINES = {
    "/".join(p) for p in product(("column", "composed"), ("8t", "6t"), ("r64", "r128", "r256"), ("pulsed", "steady"))
}
#: A suite of three made-up entries, the second of which takes long.
SUITE = """
import sys, types
from benchmarks import __main__ as runner
from benchmarks.measurement import Measurement
def measure(*, only, quick, say):
    for number, name in enumerate(("a/x", "a/y", "b/x")):
        if name.startswith(only):
            if name == "a/y" and not quick:
                raise KeyboardInterrupt
            yield Measurement(name=name, a_s=3.0, b_s=0.123456, n=2, notes={"number": number}).entry
suite = types.ModuleType("benchmarks.engines")
suite.measure = measure
sys.modules["benchmarks.engines"] = suite
suite.__spec__ = types.SimpleNamespace()
sys.exit(runner.main(sys.argv[1:]))
"""


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SUITE, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_runner_writes_what_a_suite_finds(tmp_path: Path) -> None:
    run = bench("engines", "--quick", "--out", str(tmp_path))
    assert run.returncode == 0, run.stderr
    entries = json.loads((tmp_path / "engines.json").read_text())
    assert [entry["name"] for entry in entries] == ["a/x", "a/y", "b/x"]
    assert entries[2] == {"name": "b/x", "ratio": 24.3, "a_s": 3.0, "b_s": 0.1235, "n": 2, "number": 2}
    assert not run.stdout
    assert "engines: 3 entries" in run.stderr
    about = json.loads((tmp_path / "machine.json").read_text())
    assert about["cores"] == os.cpu_count()
    assert re.fullmatch(r"ngspice-\d+\S*", about["ngspice"])
    assert re.fullmatch(r"[0-9a-f]{40}", about["commit"])
    assert {"numpy", "PySpice"} <= set(about["packages"])


def test_only_some_names(tmp_path: Path) -> None:
    assert bench("engines", "--quick", "--only", "b", "--out", str(tmp_path)).returncode == 0
    assert [entry["name"] for entry in json.loads((tmp_path / "engines.json").read_text())] == ["b/x"]


def test_interrupted_run_leaves_what_it_measured(tmp_path: Path) -> None:
    assert bench("engines", "--out", str(tmp_path)).returncode != 0
    assert [entry["name"] for entry in json.loads((tmp_path / "engines.json").read_text())] == ["a/x"]


def test_unknown_suite_is_refused(tmp_path: Path) -> None:
    run = bench("motors", "--out", str(tmp_path))
    assert run.returncode == 2
    assert "there is no suite 'motors'; the suites are: engines" in run.stderr


def test_engines_are_named_as_a_program_expects() -> None:
    code = (
        "from benchmarks.engines import SETTINGS; print(*(s.name(e) for s in SETTINGS for e in ('column', 'composed')))"
    )
    assert set(python(code)) == ENGINES


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_kept_results(path: Path) -> None:
    """Ratios follow from the seconds or bytes beside them, and nothing names a machine or a folder of somebody's."""
    text = path.read_text(encoding="utf-8")
    kept = json.loads(text)
    entries = kept[path.stem]
    assert len({entry["name"] for entry in entries}) == len(entries) > 0
    for entry in entries:
        unit = "bytes" if entry["name"].startswith("memory/") else "s"
        assert math.isclose(entry["ratio"], entry[f"a_{unit}"] / entry[f"b_{unit}"], rel_tol=2e-3), entry["name"]
        assert entry["n"] >= 1
    assert not re.search(r"/(home|root|tmp|work|Users)\b", text)
    assert os.uname().nodename not in text
    if path.stem == "engines":
        names = {entry["name"] for entry in entries}
        assert {name for name in ENGINES if "r256" not in name} <= names <= ENGINES


def test_engines_are_as_fast_as_the_readme_says() -> None:
    kept = json.loads((ROOT / "benchmarks" / "results" / "engines.json").read_text(encoding="utf-8"))
    ratios = {entry["name"]: entry["ratio"] for entry in kept["engines"]}
    assert ratios["column/8t/r64/pulsed"] >= 3
    for name, ratio in ratios.items():
        least = {"composed": {"pulsed": 3000, "steady": 150}, "column": {"pulsed": 0, "steady": 0}}
        engine, *_, mode = name.split("/")
        assert ratio >= least[engine][mode], name
