"""`prcim data`."""

import json
from pathlib import Path

import click

from prcim.cli.progress import Progress


@click.group("data")
def command() -> None:
    """Data sets."""


@command.command("get")
@click.argument("name")
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("data"),
    show_default=True,
    help="Folder; give it to `prcim train` as --data.",
)
@click.option("--url", help="Another place that has the same files. [default: where the authors publish them]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def get(name: str, folder: Path, url: str | None, as_json: bool) -> None:
    """Download the data set NAME, mnist (11 MB) or cifar10 (162 MB), and check its published sums.

    What is there already and whole is not fetched again.
    """
    from prcim.bnn.datasets.download import SOURCES, download
    from prcim.errors import InputError

    if name not in SOURCES:
        raise InputError(f"there is no data set {name!r} to download; there are: {', '.join(SOURCES)}")
    with Progress() as progress:
        files = download(
            SOURCES[name],
            folder,
            url=url,
            progress=lambda file, done, total: progress(f"{file}, kB", done // 1000, max(total, done) // 1000),
        )
    if as_json:
        click.echo(json.dumps({"name": name, "folder": str(folder), "files": [str(path) for path in files]}))
        return
    click.echo(f"{name}: {len(files)} files in {files[0].parent}; use it with --dataset {name} --data {folder}")
