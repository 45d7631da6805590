"""`prcim train`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from prcim.cli.progress import Progress
from prcim.cli.report import result_table
from prcim.cli.simulation import BUILD, characterize_plan, data_option, newest_lut
from prcim.cli.workers import usable_cores

if TYPE_CHECKING:
    from prcim.bnn.models.spec import NetworkSpec
    from prcim.characterize.lut.error_lut import ErrorLUT

#: The plan that a network is trained for when no table is named, and milder design points to judge it at besides.
PLAN = "8t-64"
MILDER = ("8t-64-wl45", "8t-64-wl60")


@click.command("train")
@click.option(
    "--lut", metavar="FILE", help="Error table: a file or package:NAME. [default: the newest 8t-64, else made]"
)
@click.option("--model", default="mlp", show_default=True, help="Network: mlp, convnet, vgg9 or resnet18.")
@click.option("--dataset", default="digits", show_default=True, help="Data set: digits, mnist or cifar10.")
@data_option
@click.option("--noise", default="column", show_default=True, help="Errors in training: gaussian, iid, column or cell.")
@click.option(
    "--readout", type=click.Choice(["majority", "adc"]), default="majority", show_default=True, help="Read-out."
)
@click.option(
    "--amplifier-w-m",
    type=click.FloatRange(5e-8, 1e-4),
    default=1e-6,
    show_default=True,
    help="Gate width of the comparator's input transistors, m; their mismatch is its offset.",
)
@click.option("--dac-bits", type=click.IntRange(0, 10), default=5, show_default=True, help="Threshold DAC, majority.")
@click.option("--adc-bits", type=click.IntRange(1, 12), default=5, show_default=True, help="Bits of an ADC.")
@click.option("--adc-step", type=click.IntRange(2, 64), default=4, show_default=True, help="Its step in S, even.")
@click.option(
    "--adc-kind",
    type=click.Choice(["sar", "flash"]),
    default="sar",
    show_default=True,
    help="One comparator for all thresholds, or one for each.",
)
@click.option("--width", type=click.IntRange(1, 65536), help="Width of the hidden layers of an mlp.  [default: 256]")
@click.option("--hidden", type=click.IntRange(1, 64), help="Hidden layers of an mlp on columns.  [default: 3]")
@click.option(
    "--factor", type=click.FloatRange(0.01, 16), default=1.0, show_default=True, help="Multiplies all hidden widths."
)
@click.option(
    "--bias-rows",
    type=click.IntRange(0, 1024),
    help="Constant cells that each column has at least; they fill what weights leave over.  [default: none has any]",
)
@click.option(
    "--thresholds",
    type=click.Choice(["dac", "bias"]),
    default="dac",
    show_default=True,
    help="What realises the thresholds of a majority: a reference DAC, or the constant cells.",
)
@click.option(
    "--column-norm/--no-column-norm",
    default=None,
    help="Thresholds of a majority follow mean and spread of each column.  [default: in all networks but the mlp]",
)
@click.option(
    "--optimizer", type=click.Choice(["adam", "sgd"]), default="adam", show_default=True, help="sgd: momentum 0.9."
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    default=3e-3,
    show_default=True,
    help="At the start; it falls to 0 along a cosine.",
)
@click.option("--weight-decay", type=click.FloatRange(0), default=0.0, show_default=True, help="On latent weights.")
@click.option("--warmup", type=click.IntRange(0), default=0, show_default=True, help="Epochs of a rising rate.")
@click.option("--batch-size", type=click.IntRange(1), default=64, show_default=True, help="Images of a mini-batch.")
@click.option(
    "--chips-per-batch", type=click.IntRange(1, 64), default=1, show_default=True, help="Chips that see a mini-batch."
)
@click.option(
    "--anneal",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Share of the epochs over which errors grow to their size.",
)
@click.option(
    "--norms",
    type=click.Choice(["batch", "running"]),
    default="batch",
    show_default=True,
    help="Norms of training with errors: by the batch on its chip, or by the mean over chips.",
)
@click.option(
    "--gradient",
    type=click.Choice(["smoothed", "straight"]),
    default="smoothed",
    show_default=True,
    help="What a comparator's bit passes back: the slope of the expected sign, or straight through a window.",
)
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="Of digital layers in training; sums of columns, statistics and weights stay in float32.",
)
@click.option("--channels-last", is_flag=True, help="Keep images with their channels last in memory while training.")
@click.option("--augment", is_flag=True, help="Shift training images by up to 4 pixels; mirror those of cifar10.")
@click.option("--epochs", type=click.IntRange(1, 100_000), default=60, show_default=True, help="Epochs of each stage.")
@click.option(
    "--epoch-images", type=click.IntRange(1), help="Training images of an epoch, drawn anew for each.  [default: all]"
)
@click.option("--chips", type=click.IntRange(1, 100_000), default=20, show_default=True, help="Virtual chips.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Seed of the training.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder. [default: build/train/RUN]")
@click.option("--jobs", type=click.IntRange(1, 1024), default=usable_cores, show_default="all cores", help="Processes.")
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="Where to train and judge; cuda: a GPU, on which a training is not the same bit for bit.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def command(
    lut: str | None,
    model: str,
    dataset: str,
    data: Path | None,
    noise: str,
    readout: str,
    amplifier_w_m: float,
    dac_bits: int,
    adc_bits: int,
    adc_step: int,
    adc_kind: Literal["sar", "flash"],
    width: int | None,
    hidden: int | None,
    factor: float,
    bias_rows: int | None,
    thresholds: Literal["dac", "bias"],
    column_norm: bool | None,
    optimizer: Literal["adam", "sgd"],
    learning_rate: float,
    weight_decay: float,
    warmup: int,
    batch_size: int,
    chips_per_batch: int,
    anneal: float,
    norms: Literal["batch", "running"],
    gradient: Literal["smoothed", "straight"],
    precision: Literal["float32", "bfloat16"],
    channels_last: bool,
    augment: bool,
    epochs: int,
    epoch_images: int | None,
    chips: int,
    seed: int,
    out: Path | None,
    jobs: int,
    device: str,
    as_json: bool,
) -> None:
    """Train a network with and without the errors of a table, and judge both on virtual chips.

    Without --lut the newest finished 8t-64 table is taken; where there is none it is simulated first, and so are two
    milder design points. An interrupted training goes on where it was.
    """
    import torch

    from prcim.bnn.design_point import design_points
    from prcim.bnn.device import named_device
    from prcim.bnn.experiment import Experiment, folder_name
    from prcim.bnn.figures import write_figures
    from prcim.bnn.noise import noise_model
    from prcim.bnn.recipe import Recipe
    from prcim.bnn.registry import named_dataset, named_model
    from prcim.cells.readouts.readout import SenseAmplifier
    from prcim.characterize.plan import named_plan
    from prcim.errors import InputError
    from prcim.files import lock_folder

    named_device(device)
    entry = named_model(model)
    given = {name: value for name, value in (("width", width), ("hidden", hidden)) if value is not None}
    if given and model != "mlp":
        raise InputError(f"--{next(iter(given))} is for the mlp; the widths of {model} are multiplied by --factor")
    images = named_dataset(dataset).load(data)
    recipe = Recipe(
        noise=noise_model(noise),
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        optimizer=optimizer,
        weight_decay=weight_decay,
        warmup_epochs=warmup,
        chips_per_batch=chips_per_batch,
        anneal=anneal,
        augment=augment,
        norms=norms,
        gradient=gradient,
        precision=precision,
        channels_last=channels_last,
        epoch_images=epoch_images,
    )
    options = {
        **given,
        "classes": images[0].classes,
        "factor": factor,
        "readout": readout,
        "amplifier_w_m": amplifier_w_m,
        "dac_bits": dac_bits,
        "adc_bits": adc_bits,
        "adc_step": adc_step,
        "adc_kind": adc_kind,
        "bias_rows": bias_rows,
        "thresholds": thresholds,
        "column_norm": column_norm if column_norm is not None else model != "mlp" and readout == "majority",
    }

    def make_spec(rows: int, n_used: int) -> "NetworkSpec":
        spec = entry.spec.for_images(images[0].size, rows=rows, n_used=n_used, **options)
        spec.check_table(rows, n_used)
        return spec

    with Progress() as progress:
        if lut is None:
            # Before anything long starts.
            plan = named_plan(PLAN)
            make_spec(plan.column.rows, plan.n_used)
        table, others = _tables(lut, jobs, progress)
        spec = make_spec(table.rows, table.n_used)
        # One thread: sums are added in one order whatever the machine, and threads that wait for each other on a busy
        # machine made a training twenty times slower.
        torch.set_num_threads(1)
        points = design_points(table, others, SenseAmplifier(w_m=amplifier_w_m))
        experiment = Experiment(
            lut=table,
            model=model,
            dataset=dataset,
            images=images,
            spec=spec,
            recipe=recipe,
            chips=chips,
            severity=points,
            jobs=jobs,
            device=device,
        )
        folder = out or BUILD / "train" / folder_name(experiment)
        with lock_folder(folder):
            result = experiment.run(folder, progress)
    write_figures(result, folder)
    if as_json:
        click.echo(json.dumps({**result, "folder": str(folder)}))
        return
    click.echo(result_table(result))
    click.echo(f"\nnetworks, log, figure, result.json: {folder}")


def _tables(lut: str | None, jobs: int, progress: Progress) -> "tuple[ErrorLUT, list[ErrorLUT]]":
    """The table to train for and those of milder design points; simulated when they are missing and none is named."""
    from prcim.characterize.lut.file import open_lut
    from prcim.characterize.plan import named_plan

    if lut is not None:
        return open_lut(lut), []
    tables = []
    for name in (PLAN, *MILDER):
        found = newest_lut(name)
        if found is not None:
            click.echo(f"table: {found}", err=True)
            tables.append(open_lut(str(found)))
        else:
            run = characterize_plan(named_plan(name), None, jobs=jobs, timeout_s=300.0, progress=progress)
            tables.append(run.lut)
    return tables[0], tables[1:]
