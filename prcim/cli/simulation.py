"""Runs a plan for a command: finds ngspice, starts the workers, and ends them whatever happens."""

import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING

import click

from prcim.cli.progress import Progress
from prcim.errors import RunError

if TYPE_CHECKING:
    from prcim.characterize.plan import Plan
    from prcim.characterize.run import Characterization

#: Where results go, below the working folder.
BUILD = Path("build")


#: Where data sets lie that no package embeds.
data_option = click.option(
    "--data",
    envvar="PRCIM_DATA",
    type=click.Path(path_type=Path),
    help="Folder of the data set, for mnist. [also: PRCIM_DATA]",
)


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def characterize_plan(
    plan: "Plan", folder: Path | None, *, jobs: int, timeout_s: float, progress: Progress
) -> "Characterization":
    """Simulates a plan with `jobs` worker processes, into `folder` or its own place below `build/`."""
    from prcim.characterize.figures import write_figures
    from prcim.characterize.run import run_folder, run_plan, worker_setup
    from prcim.spice.ngspice import find_ngspice

    ngspice = find_ngspice()
    folder = folder or run_folder(plan, ngspice, BUILD / "characterize")
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=worker_setup)
    try:
        # Workers inherit what is blocked: a Ctrl-C is the parent's business, from their first moment on.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        for _ in range(jobs):
            pool.submit(int)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        result = run_plan(
            plan,
            ngspice,
            folder,
            pool,
            workers=jobs,
            timeout_s=timeout_s,
            progress=lambda done, total: progress(f"characterize {plan.name}, shots", done, total),
        )
    except BrokenProcessPool:
        raise RunError("a worker process was killed; run the same command again to go on") from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            child.terminate()
    write_figures(result.lut, folder)
    return result


def newest_lut(plan_name: str) -> Path | None:
    """The newest finished table of a named plan below `build/`."""
    found = (BUILD / "characterize").glob(f"{plan_name}-{'[0-9a-f]' * 8}/lut.npz")
    return max(found, key=lambda path: path.stat().st_mtime, default=None)
