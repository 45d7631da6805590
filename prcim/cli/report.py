"""`prcim report`."""

import json
from pathlib import Path
from typing import Any

import click

from prcim.cli.options import json_option
from prcim.errors import InputError


@click.command("report")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), required=False)
@json_option
def command(folder: Path | None, as_json: bool) -> None:
    """Print the results in FOLDER, a folder of `prcim train`; by default the newest one in build/train."""
    if folder is None:
        found = Path("build/train").glob("*/result.json")
        newest = max(found, key=lambda path: path.stat().st_mtime, default=None)
        if newest is None:
            raise InputError("there is no result in build/train; run `make train` first")
        folder = newest.parent
    try:
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        text = result_table(result)
    except OSError:
        raise InputError(f"{folder} has no result.json; give a folder that `prcim train` wrote") from None
    except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise InputError(f"{folder / 'result.json'} is damaged ({error}); train again") from None
    click.echo(json.dumps(result) if as_json else text)


def result_table(result: dict[str, Any]) -> str:
    """The table that a training ends with."""
    lines = [
        f"{result['design_point']}; {result['test_images']} images; errors at S = 0: {result['severity']:.2f} sqrt(n)",
        "",
        "network                        chips    mean      sd   worst  95 % interval of the mean",
        f"clean, no errors                   - {result['clean']['accuracy']:7.2%}",
        f"clean, mean error alone            - {result['mean_error']['accuracy']:7.2%}",
    ]
    for title, block in (
        ("unaware", result["unaware"]),
        ("variation-aware", result["aware"]),
        ("unaware, i.i.d. draws", result["iid"]["unaware"]),
        ("variation-aware, i.i.d. draws", result["iid"]["aware"]),
    ):
        lines.append(f"{title:<30} {_figures(block)}")
    lines += ["", "severity  unaware mean / worst   aware mean / worst   design point"]
    for row in result["sweep"]:
        u, a = row["unaware"], row["aware"]
        lines.append(
            f"{row['severity']:8.2f}     {u['mean']:7.2%} / {u['worst']:7.2%}   {a['mean']:7.2%} / {a['worst']:7.2%}"
            f"   {row['label']}"
        )
    return "\n".join(lines)


def _figures(block: dict[str, Any]) -> str:
    return (
        f"{block['chips']:5d} {block['mean']:7.2%} {block['sd']:7.2%} {block['worst']:7.2%}"
        f"  {block['ci95'][0]:.2%}..{block['ci95'][1]:.2%}"
    )
