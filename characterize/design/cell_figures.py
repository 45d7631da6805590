"""Pictures of a single cell."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

from prcim.characterize.design.cell_result import CellFigures
from prcim.characterize.design.published import published_reads
from prcim.characterize.figures import BLUE, GREEN, GREY, ORANGE
from prcim.files import replacing

#: Cells with mismatch that a butterfly shows.
WINGS = 40


def write_cell_figure(figures: CellFigures, path: Path) -> None:
    """Draws what applies to the cell: spread of the read current, butterflies, trip voltage, leakage.

    Raises:
        RunError: the file cannot be written.
    """
    panels = [_leakage]
    if figures.disturb:
        panels.insert(0, _disturb)
    if figures.snm_hold:
        panels.insert(0, _butterfly)
    if figures.read:
        panels.insert(0, _read)
    figure = Figure(figsize=(4.2 * len(panels), 3.8), layout="constrained")
    for axes, draw in zip(np.ravel(figure.subplots(1, len(panels))), panels, strict=True):
        draw(axes, figures)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.2)
    with replacing(path) as scratch:
        # Without the software's name the same figures give the same file wherever it is drawn.
        figure.savefig(scratch, dpi=150, metadata={"Software": None})


def _read(axes: Axes, figures: CellFigures) -> None:
    bench = figures.bench
    for label, points, colour in (
        ("without gain mismatch", figures.read, BLUE),
        *(
            (f"A_beta {a * 1e8:g} % um", points, shade)
            for (a, points), shade in zip(figures.read_with_gain.items(), (ORANGE, GREEN), strict=False)
        ),
    ):
        v_wl_v = [point.v_wl_v for point in points]
        percent = 100 * np.array([point.current_a.rel_sigma for point in points])
        ends = 100 * np.array([point.current_a.rel_sigma_ci95 for point in points]).T
        bars = np.abs(ends - percent)
        axes.errorbar(v_wl_v, percent, yerr=bars, color=colour, marker="o", markersize=3, label=label)
    published = published_reads(bench.technology, bench.cell, bench.mismatch)
    for label, shown, mark in (
        ("reference card", {v: p.rel_sigma for v, p in published.items()}, "x"),
        ("OPTIMA", {v: p.optima for v, p in published.items() if p.optima is not None}, "+"),
    ):
        if shown:
            percents = 100 * np.array(list(shown.values()))
            axes.plot(list(shown), percents, mark, color="black", markersize=7, label=label, zorder=3)
    axes.set(yscale="log", xlabel="word line, V", ylabel="sigma / mean, %", title="read current")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.legend(frameon=False, fontsize=8)


def _butterfly(axes: Axes, figures: CellFigures) -> None:
    bench = figures.bench
    read = figures.snm_read is not None and figures.snm_read.v_wl_v is not None
    level_v = figures.snm_read.v_wl_v if figures.snm_read is not None else None
    shifts = bench.shifts(0, min(WINGS, figures.draws))
    for chosen, v_wl_v, colour in (
        (shifts, level_v, GREY),
        (bench.no_shifts, level_v, BLUE),
        (bench.no_shifts, None, ORANGE),
    ):
        curves = bench.curves(chosen, v_wl_v)
        if curves is None:
            continue
        thin = 0.4 if chosen is shifts else 1.5
        for true_v, false_v in zip(curves.true_v, curves.false_v, strict=True):
            axes.plot(curves.input_v, false_v, color=colour, linewidth=thin)
            axes.plot(true_v, curves.input_v, color=colour, linewidth=thin)
    word = f"word line {level_v:g} V" if read else ""
    for label, colour in ((f"{word}, {len(shifts[0])} draws", GREY), (word, BLUE), ("at rest", ORANGE)):
        axes.plot([], [], color=colour, label=label)
    axes.set(xlabel="true node, V", ylabel="false node, V", title="butterfly", aspect="equal")
    axes.legend(frameon=False, fontsize=8, loc="upper right")


def _disturb(axes: Axes, figures: CellFigures) -> None:
    v_wl_v = [point.v_wl_v for point in figures.disturb]
    mean_v = np.array([point.trip_v.mean for point in figures.disturb])
    sigma_v = np.array([point.trip_v.sigma for point in figures.disturb])
    axes.plot(v_wl_v, mean_v, color=BLUE, marker="o", markersize=3, label="mean")
    axes.fill_between(v_wl_v, mean_v - 4 * sigma_v, mean_v + 4 * sigma_v, color=BLUE, alpha=0.2, label="4 sigma")
    worst_v = [point.trip_v.high for point in figures.disturb]
    axes.plot(v_wl_v, worst_v, "x", color=ORANGE, label=f"worst of {figures.draws}")
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set(xlabel="word line, V", ylabel="bit line, V", title="read disturb: trip voltage")
    axes.legend(frameon=False, fontsize=8)


def _leakage(axes: Axes, figures: CellFigures) -> None:
    for leak, colour in zip(figures.leakage, (BLUE, ORANGE), strict=True):
        bottom = 0.0
        for value_a, hatch in ((leak.supply_a, ""), (leak.bit_lines_a, "//"), (leak.others_a, "..")):
            axes.bar(str(leak.bit), value_a * 1e9, bottom=bottom, color=colour, hatch=hatch, edgecolor="white")
            bottom += value_a * 1e9
        axes.plot([str(leak.bit)], [leak.p99_a * 1e9], "_", color="black", markersize=20)
    shares = [
        Patch(facecolor=GREY, hatch=hatch, edgecolor="white", label=label)
        for label, hatch in (("supply", ""), ("bit lines", "//"), ("other lines", ".."))
    ]
    axes.legend(handles=[*shares, *axes.plot([], [], "_k", label="1 % are above")], frameon=False, fontsize=8, ncol=2)
    axes.set(xlabel="stored bit", ylabel="nA", title="leakage, mean")
    axes.set_ylim(0, 1.3 * max(leak.p99_a for leak in figures.leakage) * 1e9)
