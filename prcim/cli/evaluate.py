"""`prcim evaluate`."""

import json
import time
from pathlib import Path

import click

from prcim.cli.progress import Progress
from prcim.cli.simulation import data_option
from prcim.cli.workers import usable_cores


@click.command("evaluate")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--lut", metavar="FILE", help="Error table: a file or package:NAME. [default: the checkpoint's own]")
@data_option
@click.option("--noise", default="column", show_default=True, help="ideal, mean, gaussian, iid or column.")
@click.option("--chips", type=click.IntRange(1, 100_000), default=20, show_default=True, help="Virtual chips.")
@click.option("--batch-size", type=click.IntRange(1), default=500, show_default=True, help="Images at a time.")
@click.option(
    "--jobs", type=click.IntRange(1, 1024), default=usable_cores, show_default="all cores", help="Chips at a time."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def command(
    checkpoint: Path,
    lut: str | None,
    data: Path | None,
    noise: str,
    chips: int,
    batch_size: int,
    jobs: int,
    as_json: bool,
) -> None:
    """Judge the network in CHECKPOINT on virtual chips that no training saw.

    The result does not depend on batch size or jobs.
    """
    import torch

    from prcim.bnn.checkpoint import load_checkpoint
    from prcim.bnn.evaluate import evaluate
    from prcim.bnn.noise import noise_model
    from prcim.bnn.registry import named_dataset
    from prcim.bnn.spread import spread
    from prcim.bnn.tables import integer_tables
    from prcim.characterize.lut_file import open_lut

    # Chips run side by side; threads inside each would only get in each other's way.
    torch.set_num_threads(1)
    model = noise_model(noise)
    saved = load_checkpoint(checkpoint)
    table = saved.lut if lut is None else open_lut(lut)
    saved.network.spec.check_table(table.rows, table.n_used)
    tables = integer_tables(table, saved.network.spec.make_readout().amplifier)
    _, images = named_dataset(saved.dataset).load(data)
    started = time.monotonic()
    with Progress() as progress:
        results = evaluate(
            saved.network,
            images,
            tables,
            model,
            range(chips),
            batch_size=batch_size,
            jobs=jobs,
            progress=lambda done, total: progress("chips", done, total),
        )
    seconds = time.monotonic() - started
    summary = spread([result.accuracy for result in results], dies=min(chips, tables.judging_dies))
    if as_json:
        block = {
            **summary.as_json(),
            "noise": model,
            "lut_sha256": table.sha256,
            "accuracies": [result.accuracy for result in results],
            "predictions_sha256": [result.predictions_sha256 for result in results],
            "timing": {"seconds": round(seconds, 3), "images_per_s": round(len(images) * chips / seconds, 1)},
        }
        click.echo(json.dumps(block))
        return
    click.echo(
        f"{checkpoint.name}, {model}: mean {summary.mean:.2%}, sd {summary.sd:.2%}, worst {summary.worst:.2%} over"
        f" {chips} chips and {len(images)} images; 95 % interval of the mean"
        f" {summary.ci95[0]:.2%}..{summary.ci95[1]:.2%}"
    )
