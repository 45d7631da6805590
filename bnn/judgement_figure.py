"""A picture of a judgement: every chip's accuracy, by what was done on it and by severity."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from prcim.bnn.judgement import Row
from prcim.files import replacing

# Colours that stay apart for colour-blind readers and in print (Okabe, Ito, 2008).
COLOURS = {"nothing": "#D55E00", "norms": "#009E73", "trim": "#CC79A7", "norms and trim": "#0072B2"}


def write_judgement_figure(rows: Sequence[Row], path: Path) -> None:
    """Draws rows into a PNG or PDF.

    Raises:
        RunError: the disk is full or the folder cannot be written.
    """
    with replacing(path) as scratch:
        judgement_figure(rows).savefig(scratch, dpi=150)


def judgement_figure(rows: Sequence[Row]) -> Figure:
    """Each chip a dot, the mean a line, one column a row of the table."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(rows):
        accuracies = [100 * result.accuracy for result in row.results]
        colour = COLOURS[row.done]
        axes.plot([place] * len(accuracies), accuracies, "o", color=colour, markersize=4, alpha=0.5)
        axes.hlines(100 * row.spread.mean, place - 0.3, place + 0.3, color=colour, linewidth=2)
    axes.set_xticks(range(len(rows)), [f"{row.done}\n{row.severity:.2f}" for row in rows], fontsize=8)
    axes.set(
        xlabel="done on each chip; severity: errors at S = 0, in units of sqrt(n)",
        ylabel="accuracy, %",
        title=f"{rows[0].spread.chips} chips; lines: their mean",
        ylim=(0, 101),
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.2, axis="y")
    return figure
