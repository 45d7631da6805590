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
@click.option("--noise", default="column", show_default=True, help="ideal, mean, gaussian, iid, column or cell.")
@click.option("--chips", type=click.IntRange(1, 100_000), default=20, show_default=True, help="Virtual chips.")
@click.option("--batch-size", type=click.IntRange(1), default=500, show_default=True, help="Images at a time.")
@click.option(
    "--jobs", type=click.IntRange(1, 1024), default=usable_cores, show_default="all cores", help="Chips at a time."
)
@click.option("--recalibrate", is_flag=True, help="Judge it also with norms estimated on each chip, a trim, and both.")
@click.option(
    "--calibration-images",
    type=click.IntRange(2, 100_000),
    default=256,
    show_default=True,
    help="Training images for that, without their labels.",
)
@click.option(
    "--trim-bits", type=click.IntRange(1, 12), default=5, show_default=True, help="Bits of each comparator's trim."
)
@click.option(
    "--trim-reach",
    type=click.FloatRange(0, 1000, min_open=True),
    default=4.0,
    show_default=True,
    help="How far a trim reaches either way, in units of sqrt(n_used) of S.",
)
@click.option(
    "--sweep", multiple=True, metavar="FILE", help="A further table to judge it at, another severity; repeatable."
)
@click.option("--figure", type=click.Path(path_type=Path, dir_okay=False), help="Draw all rows into this PNG or PDF.")
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="Where to judge; cuda: a GPU.",
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
    recalibrate: bool,
    calibration_images: int,
    trim_bits: int,
    trim_reach: float,
    sweep: tuple[str, ...],
    figure: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """Judge the network in CHECKPOINT on virtual chips that no training saw.

    The result does not depend on batch size or jobs.
    """
    import torch

    from prcim.bnn.checkpoint import load_checkpoint
    from prcim.bnn.device import named_device
    from prcim.bnn.judgement import Judgement, calibration_images_of
    from prcim.bnn.noise import noise_model
    from prcim.bnn.registry import named_dataset
    from prcim.characterize.lut.file import open_lut

    # Chips run side by side; threads inside each would only get in each other's way.
    torch.set_num_threads(1)
    model, where = noise_model(noise), named_device(device)
    saved = load_checkpoint(checkpoint)
    tables = [saved.lut if lut is None else open_lut(lut), *(open_lut(name) for name in sweep)]
    for table in tables:
        saved.network.spec.check_table(table.rows, table.n_used)
    train_images, images = named_dataset(saved.dataset).load(data)
    judgement = Judgement(
        network=saved.network.to(where),
        images=images,
        model=model,
        chips=chips,
        batch_size=batch_size,
        jobs=jobs,
        calibration=calibration_images_of(train_images, calibration_images) if recalibrate else None,
        trim_bits=trim_bits,
        trim_reach=trim_reach,
    )
    started = time.monotonic()
    with Progress() as progress:
        rows = [row for table in tables for row in judgement.rows(table, progress)]
    seconds = time.monotonic() - started
    if figure:
        from prcim.bnn.judgement_figure import write_judgement_figure

        write_judgement_figure(rows, figure)
    if as_json:
        judged = len(images) * chips * len(rows)
        timing = {"seconds": round(seconds, 3), "images_per_s": round(judged / seconds, 1)}
        click.echo(
            json.dumps({**rows[0].as_json(), "noise": model, "rows": [r.as_json() for r in rows], "timing": timing})
        )
        return
    click.echo(f"{checkpoint.name}, {model}, {chips} chips, {len(images)} images; intervals of the mean are 95 %\n")
    click.echo(f"{'severity':>8}  {'on the chip':<14}{'mean':>8}{'sd':>8}{'worst':>8}{'p5':>8}  interval")
    for row in rows:
        block = row.spread
        p5 = "-" if block.p5 is None else f"{block.p5:.2%}"
        click.echo(
            f"{row.severity:8.2f}  {row.done:<14}{block.mean:8.2%}{block.sd:8.2%}{block.worst:8.2%}{p5:>8}"
            f"  {block.ci95[0]:.2%}..{block.ci95[1]:.2%}"
        )
    if recalibrate:
        click.echo(
            f"\nnorms: mean and spread estimated from {calibration_images} training images without labels;"
            f" trim: {trim_bits} bits over +-{trim_reach:g} sqrt(n_used)"
        )
    if figure:
        click.echo(f"figure: {figure}")
