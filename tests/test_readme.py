"""What the README shows is true: its code runs, and it documents every field there is."""

import doctest
from pathlib import Path

import pytest

from prcim.characterize.lut.error_lut import array_names
from prcim.characterize.plan import make_plan
from prcim.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_its_code_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = doctest.testfile(str(ROOT / "README.md"), module_relative=False)
    assert result.attempted > 0
    assert result.failed == 0


def test_it_names_every_array_of_a_table() -> None:
    missing = [name for name in array_names() if name not in README]
    assert missing == []


def test_it_names_every_field_of_a_plan_with_its_default() -> None:
    for section, content in make_plan({"name": "x"}, origin="test").model_dump().items():
        fields = content if isinstance(content, dict) else {section: content}
        for field, default in fields.items():
            line = next((line for line in README.splitlines() if line.startswith("| `") and field in line), None)
            assert line is not None, f"{section}.{field} is not in the README"
            if isinstance(default, float) and field != "temp_c":
                assert any(f"{default:g}" == f"{float(word):g}" for word in numbers(line)), f"{field}: {default}"


def numbers(line: str) -> list[str]:
    """Numbers in the second cell of a table's row."""
    found = []
    for word in line.split("|")[2].replace("`", "").split(","):
        try:
            float(word)
        except ValueError:
            continue
        found.append(word)
    return found


def test_it_names_every_command() -> None:
    for name in COMMANDS.keys() - {"train"}:
        assert f"prcim {name}" in README
    # It has a target of its own.
    assert "make train" in README
