"""What `prcim characterize` says at its end."""

from pathlib import Path
from typing import Any

import pytest

from prcim.characterize.lut.file import open_lut
from prcim.characterize.run import Characterization
from prcim.cli import characterize
from prcim.cli.main import status

SUMMARY = {"shots": 9, "shots_resumed": 4, "failures": 1, "seconds": 3.0, "static_share": 0.5}


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ({"n": 12, "max_mac": 0.023, "used": False}, True),
        ({"n": 12, "max_mac": 0.001, "used": True}, False),
        ({"n": 0, "max_mac": None, "used": False}, False),
    ],
)
def test_whole_cells_in_place_of_held_ones_are_told(
    held: dict[str, Any], said: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = Characterization(folder=Path("run"), luts=(open_lut("package:8t-64"),), summary={**SUMMARY, "held": held})
    monkeypatch.setattr(characterize, "characterize_plan", lambda *given, **options: result)
    assert status(["characterize", "8t-64-quick"]) == 0
    printed = capsys.readouterr()
    assert ("simulated whole: sources that hold their latches would move a read by 0.023 in S" in printed.err) == said
    assert "9 shots (4 found done), 1 failed, 3 s" in printed.out
