"""Runs a plan for a command: finds ngspice, starts the workers, and ends them whatever happens."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from prcim.cli.progress import Progress
from prcim.cli.workers import worker_pool

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
    help="Folder of the data set, for mnist and cifar10. [also: PRCIM_DATA]",
)


def characterize_plan(
    plan: "Plan", folder: Path | None, *, jobs: int, timeout_s: float, progress: Progress
) -> "Characterization":
    """Simulates a plan with `jobs` worker processes, into `folder` or its own place below `build/`."""
    from prcim.characterize.figures import write_figures
    from prcim.characterize.run import run_folder, run_plan
    from prcim.spice.ngspice import find_ngspice

    ngspice = find_ngspice()
    folder = folder or run_folder(plan, ngspice, BUILD / "characterize")
    with worker_pool(jobs) as pool:
        result = run_plan(
            plan,
            ngspice,
            folder,
            pool,
            workers=jobs,
            timeout_s=timeout_s,
            progress=lambda done, total: progress(f"characterize {plan.name}, reads", done, total),
        )
    write_figures(result.lut, folder)
    return result


def newest_lut(plan_name: str) -> Path | None:
    """The newest finished table of a named plan below `build/`."""
    found = (BUILD / "characterize").glob(f"{plan_name}-{'[0-9a-f]' * 8}/lut.npz")
    return max(found, key=lambda path: path.stat().st_mtime, default=None)
