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
    from prcim.characterize.lut import ErrorLUT

#: The plan that a network is trained for when no table is named, and milder design points to judge it at besides.
PLAN = "8t-64"
MILDER = ("8t-64-wl45", "8t-64-wl60")


@click.command("train")
@click.option(
    "--lut", metavar="FILE", help="Error table: a file or package:NAME. [default: the newest 8t-64, else made]"
)
@click.option("--model", default="mlp", show_default=True, help="Network.")
@click.option("--dataset", default="digits", show_default=True, help="Data set.")
@data_option
@click.option("--noise", default="column", show_default=True, help="Errors in training: gaussian, iid or column.")
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
@click.option("--width", type=click.IntRange(1, 65536), default=256, show_default=True, help="Width of hidden layers.")
@click.option("--hidden", type=click.IntRange(1, 64), default=3, show_default=True, help="Hidden layers on columns.")
@click.option("--epochs", type=click.IntRange(1, 100_000), default=60, show_default=True, help="Epochs of each stage.")
@click.option("--chips", type=click.IntRange(1, 100_000), default=20, show_default=True, help="Virtual chips.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Seed of the training.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder. [default: build/train/RUN]")
@click.option("--jobs", type=click.IntRange(1, 1024), default=usable_cores, show_default="all cores", help="Processes.")
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
    width: int,
    hidden: int,
    epochs: int,
    chips: int,
    seed: int,
    out: Path | None,
    jobs: int,
    as_json: bool,
) -> None:
    """Train a network with and without the errors of a table, and judge both on virtual chips.

    Without --lut the newest finished 8t-64 table is taken; where there is none it is simulated first, and so are two
    milder design points. An interrupted training goes on where it was.
    """
    import torch

    from prcim.bnn.design_point import design_points
    from prcim.bnn.experiment import Experiment, folder_name
    from prcim.bnn.figures import write_figures
    from prcim.bnn.mapping import check_mapping
    from prcim.bnn.models.mlp import MlpSpec
    from prcim.bnn.noise import noise_model
    from prcim.bnn.registry import named_dataset, named_model
    from prcim.bnn.train import Recipe
    from prcim.cells.readout import SenseAmplifier
    from prcim.characterize.plan import named_plan
    from prcim.files import lock_folder

    named_model(model)
    images = named_dataset(dataset).load(data)
    recipe = Recipe(noise=noise_model(noise), epochs=epochs, seed=seed)
    with Progress() as progress:
        if lut is None:
            # Before anything long starts.
            plan = named_plan(PLAN)
            check_mapping("the hidden layers", width, rows=plan.column.rows, n_used=plan.n_used)
        table, others = _tables(lut, jobs, progress)
        spec = MlpSpec(
            inputs=images[0].pixels.shape[1],
            classes=images[0].classes,
            rows=table.rows,
            n_used=table.n_used,
            width=width,
            hidden=hidden,
            readout=readout,
            amplifier_w_m=amplifier_w_m,
            dac_bits=dac_bits,
            adc_bits=adc_bits,
            adc_step=adc_step,
            adc_kind=adc_kind,
        )
        spec.check_table(table.rows, table.n_used)
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
    from prcim.characterize.lut_file import open_lut
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
