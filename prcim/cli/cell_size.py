"""`prcim cell size`."""

import json
import math
from concurrent.futures import as_completed
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from prcim.cli.options import jobs_option, json_option
from prcim.cli.progress import Progress
from prcim.cli.workers import worker_pool

if TYPE_CHECKING:
    from prcim.characterize.design.sizing import SizingPoint

#: Column of the printed table -> field, factor, format.
COLUMNS = {
    "I_cell uA": ("i_cell_a", 1e6, ".3g"),
    "sigma %": ("rel_sigma", 1e2, ".1f"),
    "swing mV": ("swing_v", 1e3, ".0f"),
    "step mV": ("step_v", 1e3, ".3g"),
    "last/first": ("step_ratio", 1.0, ".2f"),
    "err cells": ("sigma_cells", 1.0, ".2f"),
    "err amp": ("sigma_amplifier", 1.0, ".2f"),
    "severity": ("severity", 1.0, ".2f"),
    "disturb": ("margin_sigma", 1.0, ".1f"),
    "read ns": ("t_read_s", 1e9, ".3g"),
    "read fJ": ("energy_j", 1e15, ".3g"),
}
LEGEND = (
    "I_cell, sigma: read current of a cell and its relative spread; step: volts for one unit of S at S = 0; last/first:"
    " steps of the transfer curve; err: spread of the error at S = 0, in S, from cells and from the amplifier's offset;"
    " severity: both over sqrt(n); disturb: sigmas between the lowest bit line and the voltage that overwrites a cell"
)


@click.command("size")
@click.argument("name")
@click.argument("more", nargs=-1, metavar="[KEY=VALUES]...")
@click.option(
    "--sweep",
    "sweeps",
    multiple=True,
    metavar="KEY=VALUES",
    help="Repeatable: vwl (V), swing (V), w (nm), vdd (V), temp (C) or a key of a plan; values as 1,2,3 or"
    " first:last:step.  [default: vwl=0.35,0.4,0.45,0.5,0.6,0.7]",
)
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a field of the plan 8t-64; repeatable."
)
@click.option("--draws", type=click.IntRange(20, 100_000), default=200, show_default=True, help="Cells drawn a point.")
@click.option("--amplifier-w", "amplifier_w_um", type=float, default=1.0, show_default=True, help="Amplifier pair, um.")
@jobs_option
@click.option("--figure", type=click.Path(path_type=Path, dir_okay=False), help="Draw the sweep into this PNG or PDF.")
@json_option
def size(
    name: str,
    more: tuple[str, ...],
    sweeps: tuple[str, ...],
    settings: tuple[str, ...],
    draws: int,
    amplifier_w_um: float,
    jobs: int,
    figure: Path | None,
    as_json: bool,
) -> None:
    """Spread, swing, disturb and energy of a column against word-line voltage, widths and whatever else is swept.

    NAME is a cell: 6t, 8t, 8t1c or 1t1r. Everything that is not swept is that of the plan 8t-64.

    Example: prcim cell size 8t --sweep vwl=0.35:0.6:0.05 w=90,120,180
    """
    from prcim.cells.readouts.readout import SenseAmplifier
    from prcim.cells.registry import CELLS
    from prcim.characterize.design.sizing import size_point
    from prcim.characterize.design.sizing_figure import write_sizing_figure
    from prcim.characterize.design.sweep import axis, design_points
    from prcim.characterize.plan import named_plan
    from prcim.errors import InputError
    from prcim.spice.ngspice import find_ngspice

    if name not in CELLS:
        raise InputError(f"there is no cell {name!r}; known ones are: {', '.join(CELLS)}")
    # How many sums a characterization would simulate is of no matter here, and must not forbid a small column.
    own = ["sums=3", f"cell={name}", f"read.mode={CELLS[name].reads[0]}"]
    plan = named_plan("8t-64").changed([*own, *settings])
    axes = [axis(text) for text in (*sweeps, *more)] or [axis("vwl=0.35,0.4,0.45,0.5,0.6,0.7")]
    points = design_points(plan, axes)
    amplifier = SenseAmplifier(w_m=amplifier_w_um * 1e-6)
    ngspice = find_ngspice()
    found: dict[int, SizingPoint] = {}
    with Progress() as progress, worker_pool(min(jobs, len(points))) as pool:
        work = {
            pool.submit(size_point, changed, ngspice, cells=draws, amplifier=amplifier): i
            for i, (_, changed) in enumerate(points)
        }
        for future in as_completed(work):
            found[work[future]] = future.result()
            progress("size, design points", len(found), len(points))
    rows = [(values, found[i]) for i, (values, _) in enumerate(points)]
    names = [one.name for one in axes]
    if figure:
        write_sizing_figure(names, rows, figure)
    if as_json:
        listed = [{"settings": dict(zip(names, values, strict=True)), **asdict(point)} for values, point in rows]
        click.echo(json.dumps({"cell": name, "points": listed}))
        return
    click.echo(_table(names, rows))
    click.echo(f"\n{LEGEND}")
    if figure:
        click.echo(f"figure: {figure}")


def _table(names: list[str], rows: "list[tuple[tuple[str, ...], SizingPoint]]") -> str:
    head = [f"{name:>8}" for name in names] + [f"{label:>11}" for label in COLUMNS]
    lines = ["".join(head)]
    for values, point in rows:
        cells = [f"{value:>8}" for value in values]
        for field, factor, form in COLUMNS.values():
            value = getattr(point, field)
            cells.append(f"{'-' if value is None or not math.isfinite(value) else format(value * factor, form):>11}")
        lines.append("".join(cells) + (f"  refused: {point.refused}" if point.refused else ""))
    return "\n".join(lines)
