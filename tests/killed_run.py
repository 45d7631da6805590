"""A run that is killed again and again: a program, since a test process cannot fork safely.

It loads everything once and forks for every start, so that what is killed is work and not start-up. Arguments: folder,
number of kills, seed. It prints one JSON object.
"""

import json
import multiprocessing
import os
import random
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from prcim.characterize.plan import named_plan
from prcim.characterize.run import run_plan
from prcim.characterize.worker import worker_setup
from prcim.spice.ngspice import find_ngspice

PLAN = named_plan("8t-64-quick").changed(
    ["rows=8", "sums=5", "sampling.columns=160", "patterns=4", "chips=2", "cells=16"]
)


def start(folder: Path, workers: int) -> int:
    """Forks a process that runs the plan; its number."""
    process = os.fork()
    if process == 0:
        context = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(workers, mp_context=context, initializer=worker_setup) as pool:
            result = run_plan(PLAN, find_ngspice(), folder, pool, workers=workers)
        (folder / "result.json").write_text(json.dumps(result.summary))
        os._exit(0)
    return process


def whole(folder: Path, workers: int) -> tuple[bytes, float]:
    """The table of an undisturbed run, and its seconds."""
    started = time.monotonic()
    _, status = os.waitpid(start(folder, workers), 0)
    assert status == 0, status
    return (folder / "lut.npz").read_bytes(), time.monotonic() - started


def chunks(folder: Path) -> dict[str, int]:
    """Finished chunks and when they were written."""
    return {path.name: path.stat().st_mtime_ns for path in (folder / "samples").glob("[!.]*.parquet")}


def main(root: Path, kills: int, seed: int) -> None:
    """Runs undisturbed with 1, 2 and 4 workers, then killed."""
    rng = random.Random(seed)
    tables = {workers: whole(root / f"workers{workers}", workers) for workers in (1, 2, 4)}
    folder, total = root / "killed", len(chunks(root / "workers2"))
    finished = []
    for kill in range(kills):
        before, process = len(chunks(folder)), start(folder, 2)
        # In the middle of the work: something new is on the disk, and some part of a chunk's time has passed since.
        goal = max(before + 1, round(total * (kill + 1) / (kills + 10)))
        while len(chunks(folder)) < goal:
            assert os.waitpid(process, os.WNOHANG) == (0, 0), "it ended by itself"
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.05))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        assert not (folder / "lut.npz").exists()
        finished.append(len(chunks(folder)))
    kept = chunks(folder)
    table, seconds = whole(folder, 2)
    after = chunks(folder)
    summary = json.loads((folder / "result.json").read_text())
    print(
        json.dumps(
            {
                "finished": finished,
                "total": total,
                "kept": len(kept),
                "rewritten": sum(after[name] != written for name, written in kept.items()),
                "shots_resumed": summary["shots_resumed"],
                "shots": summary["shots"],
                "same": [table == other for other, _ in tables.values()],
                "leftovers": [path.name for path in (folder / "samples").glob(".*")],
                "seconds": {"undisturbed": tables[2][1], "last": seconds},
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
