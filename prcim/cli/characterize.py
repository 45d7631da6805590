"""`prcim characterize`."""

import json
from pathlib import Path

import click

from prcim.cli.lut import cell_text
from prcim.cli.options import jobs_option, json_option, settings_option
from prcim.cli.progress import Progress
from prcim.cli.simulation import characterize_plan


@click.command("characterize")
@click.argument("plan", default="8t-64")
@settings_option
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of samples and table. [default: build/characterize/NAME-<plan id>]",
)
@jobs_option
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(1),
    default=300.0,
    show_default=True,
    help="Seconds after which a simulator counts as hanging.",
)
@json_option
def command(plan: str, settings: tuple[str, ...], out: Path | None, jobs: int, timeout_s: float, as_json: bool) -> None:
    """Simulate PLAN, a named plan or a .toml file, and make its error table.

    What an earlier run finished is taken up. Results: samples/*.parquet, lut.npz, figures, summary.json.
    """
    from prcim.characterize.plan import named_plan

    chosen = named_plan(plan).changed(list(settings))
    with Progress() as progress:
        result = characterize_plan(chosen, out, jobs=jobs, timeout_s=timeout_s, progress=progress)
    if as_json:
        click.echo(json.dumps({**result.summary, "folder": str(result.folder)}))
        return
    lut, summary = result.lut, result.summary
    click.echo(
        f"{summary['shots']} shots ({summary['shots_resumed']} found done), {summary['failures']} failed,"
        f" {summary['seconds']:.0f} s; static share {summary['static_share']:.2f}; {cell_text(lut.meta)}"
    )
    held = summary["held"]
    if held["n"] and not held["used"]:
        words = f"sources that hold their latches would move a read by {held['max_mac']:g} in S"
        click.echo(f"cells were simulated whole: {words}", err=True)
    click.echo(f"table: {result.folder / 'lut.npz'}")
