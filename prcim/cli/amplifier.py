"""`prcim amplifier`."""

import json
from collections.abc import Iterator
from concurrent.futures import as_completed
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from prcim.cli.options import jobs_option, json_option, with_conditions
from prcim.cli.progress import Progress
from prcim.cli.workers import worker_pool

if TYPE_CHECKING:
    from prcim.characterize.design.amplifier import AmplifierFigures

#: Column of the printed table -> field of the summary, factor, format.
COLUMNS = {
    "w um": ("w_m", 1e6, ".3g"),
    "n": ("n", 1, "d"),
    "failed": ("failures", 1, "d"),
    "mean mV": ("mean_v", 1e3, ".2f"),
    "sigma mV": ("sigma_v", 1e3, ".2f"),
    "95 %": ("sigma_ci95_v", 1e3, ".1f"),
    "1st order": ("linear_sigma_v", 1e3, ".2f"),
    "pair mV": ("pair_sigma_v", 1e3, ".2f"),
    "ratio": ("ratio", 1, ".2f"),
    "normal p": ("normal_p", 1, ".2f"),
    "energy fJ": ("energy_j", 1e15, ".1f"),
    "time ps": ("t_decide_s", 1e12, ".0f"),
    "noise mV": ("noise_v", 1e3, ".2f"),
}
LEGEND = (
    "1st order: sum of the contributions below, without the chance of the draws; pair: A_VT / sqrt(W L) of the input\n"
    "pair; ratio: sigma to pair; normal p: Shapiro and Wilk; energy: of a cycle, clock included; time: from the\n"
    "clock's edge until the outputs are half the supply apart, mean..slowest; noise: thermal, referred to the input"
)


@click.group("amplifier")
def command() -> None:
    """Look at the sense amplifier, a StrongARM latch."""


@command.command("show")
@click.option(
    "--w",
    "w_um",
    type=click.FloatRange(0.08, 50),
    multiple=True,
    default=(0.5, 1.0, 2.0),
    show_default=True,
    help="Width of each input transistor, um; repeatable.",
)
@click.option("--draws", type=click.IntRange(8, 100_000), default=100, show_default=True, help="Amplifiers a width.")
@click.option("--vcm", "vcm_v", type=float, help="Mean of both inputs, V.  [default: the supply less 0.1]")
@click.option(
    "--overdrive", "overdrive_mv", type=float, default=10.0, show_default=True, help="Input beyond the offset, mV."
)
@click.option("--period", "period_ns", type=float, default=2.0, show_default=True, help="Clock period, ns.")
@with_conditions
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="As in a plan: a_vt_v_m (V m), a_beta_m (m), models, nmos, pmos; repeatable.",
)
@click.option("--noise", is_flag=True, help="Find the thermal noise too; half as long again.")
@click.option("--figure", type=click.Path(path_type=Path, dir_okay=False), help="Draw it into this PNG or PDF.")
@jobs_option
@json_option
def show(
    w_um: tuple[float, ...],
    draws: int,
    vcm_v: float | None,
    overdrive_mv: float,
    period_ns: float,
    settings: tuple[str, ...],
    conditions: list[str],
    noise: bool,
    figure: Path | None,
    jobs: int,
    as_json: bool,
) -> None:
    """Measure the sense amplifier in ngspice: offset over mismatch, decision time, energy.

    The offset of every amplifier is found by bisection, to 0.25 mV, and compared with that of its input pair alone.
    """
    from prcim.cells.readouts.offset_search import OffsetSearch
    from prcim.cells.readouts.strongarm import StrongArm
    from prcim.characterize.design.amplifier import common_mode_range, measure_amplifier
    from prcim.characterize.plan import Plan
    from prcim.spice.ngspice import find_ngspice

    plan = Plan(name="amplifier").changed([*conditions, *settings])
    mismatch, technology, ngspice = plan.make_mismatch(), plan.make_technology(), find_ngspice()
    search = OffsetSearch(
        technology=technology,
        amplifier=StrongArm(),
        vcm_v=technology.vdd_v - 0.1 if vcm_v is None else vcm_v,
        overdrive_v=overdrive_mv * 1e-3,
        t_half_s=period_ns * 1e-9 / 2,
    )
    benches = [replace(search, amplifier=StrongArm(w_in_m=w * 1e-6)) for w in w_um]
    found: dict[int, AmplifierFigures] = {}
    with Progress() as progress, worker_pool(min(jobs, len(benches))) as pool:
        common = pool.submit(common_mode_range, search, ngspice)
        work = {
            pool.submit(measure_amplifier, bench, mismatch, ngspice, draws=draws, seed=plan.seed, noise=noise): i
            for i, bench in enumerate(benches)
        }
        progress("amplifier, widths", 0, len(benches))
        for future in as_completed(work):
            found[work[future]] = future.result()
            progress("amplifier, widths", len(found), len(benches))
        low_v, high_v = common.result()
    figures = [found[i] for i in range(len(benches))]
    if figure:
        from prcim.characterize.design.amplifier_figure import write_amplifier_figure

        write_amplifier_figure(figures, figure)
    if as_json:
        conditions_of = {"nmos": technology.nmos, "pmos": technology.pmos, "vdd_v": technology.vdd_v}
        conditions_of |= {"temp_c": technology.temp_c, "corner": technology.corner, "vcm_v": search.vcm_v}
        widths = [one.summary for one in figures]
        click.echo(json.dumps({**conditions_of, "common_mode_v": [low_v, high_v], "widths": widths}))
        return
    click.echo(
        f"{technology.nmos}, {technology.pmos}; {technology.vdd_v:g} V, {technology.temp_c:g} degrees Celsius,"
        f" {technology.corner}; A_VT {mismatch.a_vt_v_m * 1e9:g} mV um, A_beta {mismatch.a_beta_m * 1e8:g} % um (pair)"
    )
    click.echo(
        f"common mode {search.vcm_v:g} V, decides from {low_v:.2f} to {high_v:.2f} V;"
        f" clock {1e3 / period_ns:g} MHz; overdrive {overdrive_mv:g} mV; seed {plan.seed}, ngspice {ngspice.version}"
    )
    click.echo("\n".join(_lines(figures)))
    if figure:
        click.echo(f"figure: {figure}")


def _lines(figures: "list[AmplifierFigures]") -> Iterator[str]:
    yield ""
    yield "".join(f"{label:>11}" for label in COLUMNS)
    for one in figures:
        yield "".join(f"{_cell(one.summary[field], factor, form):>11}" for field, factor, form in COLUMNS.values())
        for status in one.summary["failed"]:
            yield f"           failed: {status}"
    yield ""
    yield f"{'contribution to sigma, mV':<28}" + "".join(f"{one.summary['w_m'] * 1e6:>8.3g}" for one in figures) + " um"
    for name in figures[0].contributions_v:
        yield f"  {name:<26}" + "".join(f"{one.contributions_v[name] * 1e3:8.2f}" for one in figures)
    yield ""
    yield LEGEND


def _cell(value: object, factor: float, form: str) -> str:
    match value:
        case None:
            return "-"
        case [float(low), float(high)]:
            return f"{low * factor:{form}}..{high * factor:{form}}"
        case {"mean": float(mean), "max": float(slowest)}:
            return f"{mean * factor:{form}}..{slowest * factor:{form}}"
        case int(count):
            return f"{count}"
        case float(number):
            return f"{number * factor:{form}}"
    raise TypeError(value)
