"""`prcim map`."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from prcim.bnn.network_map import NetworkMap


@click.command("map")
@click.argument("model")
@click.option("--rows", type=click.IntRange(1, 4096), help="Rows of a column. [default: the table's, else 64]")
@click.option("--dataset", help="Data set, for the size of images. [default: the model's usual one]")
@click.option("--factor", type=click.FloatRange(0.01, 16), default=1.0, show_default=True, help="Width factor.")
@click.option(
    "--bias-rows", type=click.IntRange(0), help="Constant cells that each column has at least. [default: none has any]"
)
@click.option(
    "--lut",
    metavar="FILE",
    help="Error table, a file or package:NAME: layers are cut for its columns, and it knows the energy of a read.",
)
@click.option(
    "--readout",
    type=click.Choice(["majority", "adc"]),
    default="majority",
    show_default=True,
    help="One decision of a comparator for each read, or those of a converter of 5 bits, for the energy.",
)
@click.option("--array-columns", type=click.IntRange(1), help="Columns of an array. [default: as many as rows]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def command(
    model: str,
    rows: int | None,
    dataset: str | None,
    factor: float,
    bias_rows: int | None,
    lut: str | None,
    readout: str,
    array_columns: int | None,
    as_json: bool,
) -> None:
    """Show what the network MODEL (mlp, convnet, vgg9, resnet18) takes on columns.

    Columns, arrays, rows and reads of each layer, and with a table the energy of the reads for one image.
    """
    from prcim.bnn.network_map import map_network
    from prcim.bnn.registry import named_dataset, named_model
    from prcim.characterize.lut.file import open_lut

    entry = named_model(model)
    size = named_dataset(dataset or entry.dataset).size
    table = None if lut is None else open_lut(lut)
    rows = rows or (64 if table is None else table.rows)
    spec = entry.spec.for_images(size, classes=10, rows=rows, n_used=rows, factor=factor, readout=readout)
    decisions = spec.make_readout().decisions
    found = map_network(
        spec.layers(), rows=rows, bias_rows=bias_rows, lut=table, array_columns=array_columns, decisions=decisions
    )
    if as_json:
        click.echo(json.dumps({"model": model, "factor": factor, "image": list(size), **found.as_json()}))
        return
    click.echo(f"{model}, factor {factor:g}, images of {size[0]} x {size[1]} x {size[2]}; arrays of {rows} rows and")
    click.echo(f"{found.array_columns} columns; columns of one group share their inputs, so an array holds one group")
    click.echo("\n".join(_lines(found)))


def _lines(found: "NetworkMap") -> Iterator[str]:
    energy = any(layer.energy_j for layer in found.layers)
    yield ""
    yield (
        f"{'layer':<18}{'inputs':>8}{'outputs':>8}{'places':>8}{'groups':>8}{'columns':>9}{'arrays':>8}{'rows':>6}"
        f"{'bias':>6}{'reads':>12}" + f"{'energy nJ':>12}" * energy
    )
    for layer in found.layers:
        start = f"{layer.name:<18}{layer.inputs:8d}{layer.outputs:8d}{layer.positions:8d}"
        if layer.digital:
            yield f"{start}   digital"
            continue
        yield (
            f"{start}{layer.groups:8d}{layer.columns:9d}{layer.arrays:8d}{layer.rows_used:6d}{layer.bias_cells:6d}"
            f"{layer.reads:12d}" + (f"{1e9 * layer.energy_j:12.4g}" if layer.energy_j is not None else "")
        )
    totals = found.as_json()["total"]
    yield (
        f"{'total':<18}{'':32}{totals['columns']:9.0f}{totals['arrays']:8.0f}{'':12}{totals['reads']:12.0f}"
        + (f"{1e9 * totals['energy_j']:12.4g}" if energy else "")
    )
    yield ""
    yield "rows: in use, constant cells (bias) included; reads: of columns, for one image" + (
        "; energy: of these reads, as the table has it, with all decisions of the read-out" * energy
    )
