"""Twenty kill -9 in the middle of the work: nothing is lost, nothing is done twice, the table has the same bytes."""

import json
import subprocess
import sys
from pathlib import Path

KILLS = 20


def test_twenty_kills_and_any_number_of_workers(tmp_path: Path) -> None:
    program = Path(__file__).with_name("killed_run.py")
    run = subprocess.run(
        [sys.executable, str(program), str(tmp_path), str(KILLS), "2"], capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    # Every kill found new work on the disk, and none came after the end.
    assert len(found["finished"]) == KILLS
    assert all(a < b for a, b in zip([0, *found["finished"]], found["finished"], strict=False))
    assert found["finished"][-1] < found["total"]
    # The last start did what was left and no more.
    assert found["rewritten"] == 0
    assert found["kept"] == found["finished"][-1]
    assert 0 < found["shots_resumed"] < found["shots"]
    # The table of the killed run is that of 1, 2 and 4 workers that nobody disturbed.
    assert found["same"] == [True, True, True]
    assert found["leftovers"] == []
