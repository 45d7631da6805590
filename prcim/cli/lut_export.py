"""`prcim lut export`."""

import json
from pathlib import Path

import click


@click.command("export")
@click.argument("table")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["csv", "neurosim"]),
    default="csv",
    show_default=True,
    help="csv: one line a sum with everything, after comments; neurosim: output,mean,std for each ideal output, in S.",
)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="File to write.  [default: standard output]"
)
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object on standard output; the text in it without --out."
)
def export(table: str, kind: str, out: Path | None, as_json: bool) -> None:
    """Write TABLE as text. Of several conditions csv has all, neurosim the first; or say TABLE@CORNER/VDD/TEMP."""
    from prcim.characterize.lut.file import open_lut, open_luts
    from prcim.characterize.lut.text import as_csv, as_neurosim
    from prcim.files import write_text

    luts = (open_lut(table),) if "@" in table else open_luts(table)
    text = as_csv(luts) if kind == "csv" else as_neurosim(luts[0])
    if out is not None:
        write_text(out, text)
    if as_json:
        # Comments and the header are no sums.
        lines = sum(not line.startswith("#") for line in text.splitlines()) - 1
        content = {"file": str(out)} if out is not None else {"text": text}
        about = {"table": table, "format": kind, "lines": lines, "sha256": [lut.sha256 for lut in luts]}
        click.echo(json.dumps({**about, **content}))
    elif out is not None:
        click.echo(f"wrote {out}")
    else:
        click.echo(text, nl=False)
