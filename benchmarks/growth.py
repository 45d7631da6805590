"""Seconds and memory of whole composed runs, command to table, as columns, rows and conditions grow.

`b_s` is processor time of the run, `a_s` what it were if the smallest run's grew in proportion: a ratio above 1 says
that time grows no faster than columns, rows or conditions. `peak_mib` is the largest sum of the memory of all
processes of the run, looked at every 0.1 s; what n of them share counts 1/n in each.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.measurement import Measurement, cpu_s
from prcim.errors import RunError

#: Columns of 64 rows at 65 sums, up to nearly as many reads as a condition of a plan may have; rows of the first number
#: of columns at 33 sums. With 256 rows at this swing the check of settling refuses the table.
COLUMNS, ROWS = (1024, 2048, 4096, 8192, 36_864), (32, 64, 128)
#: Corners and temperatures of a run, degrees Celsius.
Conditions = tuple[tuple[str, ...], tuple[float, ...]]
ONE: Conditions = (("tt",), (27.0,))
#: Corners, temperatures, and columns of each: from one condition to as many as a file of tables takes.
CONDITIONS = (
    (("tt",), (27.0,), 4096),
    (("tt", "ff", "ss"), (27.0,), 4096),
    (("tt", "ff", "ss", "fs"), (27.0, 85.0), 36_864),
)


def measure(*, only: str, quick: bool, say: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """The entries of build/bench/growth.json."""
    columns, rows, conditions = (COLUMNS[:2], ROWS[:2], CONDITIONS[:2]) if quick else (COLUMNS, ROWS, CONDITIONS)
    families: dict[str, list[tuple[int, int, int, Conditions]]] = {
        "growth/columns": [(count, 64, 65, ONE) for count in columns],
        "growth/rows": [(columns[0], count, 33, ONE) for count in rows],
        "growth/conditions": [(count, 64, 65, (corners, temps)) for corners, temps, count in conditions],
    }
    for family, runs in families.items():
        if not family.startswith(only):
            continue
        first_s = 0.0
        for count, its_rows, sums, (corners, temps_c) in runs:
            number = len(corners) * len(temps_c)
            say(f"{family}: {count} columns of {its_rows} rows, {number} conditions")
            spent_s, notes = _run(count, its_rows, sums, (corners, temps_c))
            first_s = first_s or spent_s
            times = count * its_rows * number / (runs[0][0] * runs[0][1])
            name = f"{family}/8t/r{its_rows}/c{count}/" + (f"x{number}/" if family.endswith("conditions") else "")
            yield Measurement(name=name + "steady", a_s=first_s * times, b_s=spent_s, n=1, notes=notes).entry


def _run(columns: int, rows: int, sums: int, conditions: Conditions) -> tuple[float, dict[str, Any]]:
    """Processor time of one run, s, and notes on its time and memory."""
    settings = (
        f"columns={columns}",
        f"rows={rows}",
        f"n_used={rows}",
        f"sums={sums}",
        f"pvt.corners={json.dumps(conditions[0])}",
        f"pvt.temps_c={json.dumps(conditions[1])}",
    )
    with tempfile.TemporaryDirectory(prefix="prcim-") as scratch:
        command = [str(Path(sys.executable).with_name("prcim")), "characterize", "8t-64", "--json", "--out", scratch]
        command += [word for setting in settings for word in ("--set", setting)]
        before, started, peak = cpu_s(), time.monotonic(), 0.0
        with (Path(scratch) / "out").open("w") as out, (Path(scratch) / "log").open("w") as log:
            run = subprocess.Popen(command, stdout=out, stderr=log)
            while run.poll() is None:
                peak = max(peak, _memory_mib(run.pid))
                time.sleep(0.1)
        if run.returncode:
            words = (Path(scratch) / "log").read_text(encoding="utf-8").split()
            raise RunError(f"a run of {columns} columns of {rows} rows failed: {' '.join(words)[-500:]}")
        return cpu_s() - before, {"wall_s": round(time.monotonic() - started, 1), "peak_mib": round(peak)}


def _memory_mib(pid: int) -> float:
    """Memory of a process and of all that it started, their share of what they share, MiB; Linux only, elsewhere 0."""
    try:
        summary = Path(f"/proc/{pid}/smaps_rollup").read_text()
        kib = next(int(line.split()[1]) for line in summary.splitlines() if line.startswith("Pss:"))
        tasks = Path(f"/proc/{pid}/task").iterdir()
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except (OSError, ValueError, IndexError, StopIteration):
        return 0.0
    return kib / 1024 + sum(_memory_mib(child) for child in children)
