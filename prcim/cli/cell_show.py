"""`prcim cell show`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from prcim.cli.options import jobs_option, json_option, with_conditions
from prcim.cli.progress import Progress
from prcim.cli.workers import worker_pool

if TYPE_CHECKING:
    from prcim.characterize.design.cell_result import CellFigures, ReadPoint


@click.command("show")
@click.argument("name")
@with_conditions
@click.option("--draws", type=int, default=2000, show_default=True, help="Cells with a mismatch of their own.")
@click.option(
    "--vwl",
    "v_wl_v",
    type=float,
    multiple=True,
    help="Level of the word line, V; repeatable.  [default: 0.35, 0.4, 0.5, ... up to the supply, at most 1.1]",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="As in a plan: sizes.w_pass_m (m), a_vt_v_m (V m), a_beta_m (m), models, nmos, pmos; repeatable.",
)
@click.option("--figures", type=click.Path(file_okay=False, path_type=Path), help="Also draw it into this folder.")
@jobs_option
@json_option
def show(
    name: str,
    draws: int,
    v_wl_v: tuple[float, ...],
    settings: tuple[str, ...],
    conditions: list[str],
    figures: Path | None,
    jobs: int,
    as_json: bool,
) -> None:
    """Measure the cell NAME in ngspice: read current, noise margins, read disturb, leakage, with mismatch.

    NAME is 6t, 8t, 8t1c or 1t1r. Every figure comes with its 95 % interval and the number of draws that failed.
    """
    from prcim.cells.registry import CELLS
    from prcim.characterize.design.cell import measure_cell
    from prcim.characterize.design.cell_bench import CellBench
    from prcim.characterize.plan import Plan
    from prcim.errors import InputError
    from prcim.spice.ngspice import find_ngspice

    if name not in CELLS:
        raise InputError(f"there is no cell {name!r}; known cells are: {', '.join(CELLS)}")
    kind = [f"cell={name}", f"mode={CELLS[name].reads[0]}"]
    plan = Plan(name="cell").changed([*kind, *conditions, *settings])
    bench = CellBench(
        technology=plan.make_technology(),
        cell=plan.make_cell(),
        mismatch=plan.make_mismatch(),
        ngspice=find_ngspice(),
        seed=plan.seed,
    )
    with Progress() as progress, worker_pool(jobs) as pool:
        found = measure_cell(
            bench,
            pool,
            v_wl_v=v_wl_v or None,
            draws=draws,
            progress=lambda done, total: progress(f"cell {name}, decks", done, total),
        )
    if figures is not None:
        from prcim.characterize.design.cell_figures import write_cell_figure

        write_cell_figure(found, figures / f"cell-{name}.png")
    click.echo(json.dumps(found.as_json()) if as_json else "\n".join(_lines(found)))


def _lines(found: "CellFigures") -> Iterator[str]:
    bench = found.bench
    technology, mismatch = bench.technology, bench.mismatch
    yield f"{bench.cell}"
    yield (
        f"{technology.nmos}, {technology.pmos}; {technology.vdd_v:g} V, {technology.temp_c:g} degrees Celsius,"
        f" {technology.corner}; A_VT {mismatch.a_vt_v_m * 1e9:g} mV um, A_beta {mismatch.a_beta_m * 1e8:g} % um (pair)"
    )
    yield f"{found.draws} draws, seed {bench.seed}, ngspice {bench.ngspice.version}; intervals are 95 %"
    for passive in found.as_json()["passives"]:
        yield f"{passive['kind']} {passive['name']}: relative sigma {100 * passive['rel_sigma']:g} %, given"
    if found.read:
        yield from _read_lines(found)
    if found.snm_read is not None and found.snm_hold is not None:
        yield ""
        yield "static noise margin, mV   nominal     mean (95 %)           sigma   worst  mean-6s      n  failed"
        for label, margin in ((f"word line {found.snm_read.v_wl_v:g} V", found.snm_read), ("at rest", found.snm_hold)):
            v = margin.margin_v
            low, high = v.mean_ci95
            yield (
                f"  {label:<22}{margin.nominal_v * 1e3:9.1f}{v.mean * 1e3:9.1f} ({low * 1e3:.1f}..{high * 1e3:.1f})"
                f"{v.sigma * 1e3:9.2f}{v.low * 1e3:8.1f}{margin.six_sigma_v * 1e3:9.1f}{v.n:7d}{v.failed:8d}"
            )
    if found.disturb:
        yield from _disturb_lines(found)
    yield ""
    yield "leakage, nA   nominal    mean   sigma  1 % above   supply  bit lines  others      n  failed"
    for leak in found.leakage:
        nano = [leak.nominal_a, leak.total_a.mean, leak.total_a.sigma, leak.p99_a]
        parts = [leak.supply_a, leak.bit_lines_a, leak.others_a]
        numbers = [
            f"{value * 1e9:{width}.3g}" for value, width in zip((*nano, *parts), (9, 8, 8, 11, 9, 11, 8), strict=True)
        ]
        yield f"  stores {leak.bit}   {''.join(numbers)}{leak.total_a.n:7d}{leak.total_a.failed:8d}"


def _read_lines(found: "CellFigures") -> Iterator[str]:
    from prcim.characterize.design.published import published_reads

    bench = found.bench
    published = published_reads(bench.technology, bench.cell, bench.mismatch)
    gains = {f"A_beta {a * 1e8:g} %": points for a, points in found.read_with_gain.items()}
    # On a line of its own a cell of the other weight draws what the sum is blurred by.
    single = len(bench.cell.bit_lines) == 1
    head = (
        "  V_WL V  mean uA  sigma/mean % (95 %)     off uA"
        + "   on/off" * single
        + "      n  failed"
        + "".join(f"{label:>12}" for label in gains)
    )
    yield ""
    yield f"read current, bit line at {bench.technology.vdd_v:g} V, without gain mismatch; A_beta: with it"
    yield head + ("   reference uA       %  OPTIMA %" if published else "")
    for k, point in enumerate(found.read):
        i = point.current_a
        low, high = i.rel_sigma_ci95
        line = f"{point.v_wl_v:8g}{i.mean * 1e6:9.2f}{_percent(point):8.2f} ({low * 100:.2f}..{high * 100:.2f})".ljust(
            41
        )
        off_a = found.read_off[k].current_a.mean
        line += f"{off_a * 1e6:9.3g}" + f"{i.mean / off_a:9.3g}" * single + f"{i.n:7d}{i.failed:8d}"
        line += "".join(f"{_percent(points[k]):12.2f}" for points in gains.values())
        other = published.get(point.v_wl_v)
        if other is not None:
            line += f"{other.current_a * 1e6:15.1f}" if other.current_a is not None else f"{'-':>15}"
            line += f"{other.rel_sigma * 100:8.1f}"
            line += f"{other.optima * 100:10.1f}" if other.optima is not None else f"{'-':>10}"
        yield line


def _disturb_lines(found: "CellFigures") -> Iterator[str]:
    yield ""
    yield "read disturb: bit-line voltage, mV, below which a cell whose word line is on loses its bit; below 0: never"
    yield "  V_WL V  nominal    mean   sigma   worst   lost at 0 V (95 %)         1e-4    1e-6      n  failed"
    for point in found.disturb:
        v = point.trip_v
        share, (low, high) = point.lost[0.0]
        lost = f"{100 * share:.2f} % ({100 * low:.2f}..{100 * high:.2f})"
        yield (
            f"{point.v_wl_v:8g}{point.nominal_v * 1e3:9.1f}{v.mean * 1e3:8.1f}{v.sigma * 1e3:8.2f}{v.high * 1e3:8.1f}"
            f"   {lost:<24}{point.limit_v(1e-4) * 1e3:7.0f}{point.limit_v(1e-6) * 1e3:8.0f}{v.n:7d}{v.failed:8d}"
        )
    yield "  1e-4, 1e-6: where that share of cells is lost if the tail is normal; an extrapolation"


def _percent(point: "ReadPoint") -> float:
    return 100 * point.current_a.rel_sigma
