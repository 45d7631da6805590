"""Pictures of a result."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from prcim.files import replacing

# Colours that stay apart for colour-blind readers and in print (Okabe, Ito, 2008).
COLOURS = {"unaware": "#D55E00", "aware": "#0072B2"}
LABELS = {"unaware": "unaware", "aware": "variation-aware"}


def write_figures(result: dict[str, Any], folder: Path) -> None:
    """Writes accuracy.png into a folder.

    Raises:
        RunError: the disk is full or the folder cannot be written.
    """
    with replacing(folder / "accuracy.png") as scratch:
        accuracy_figure(result).savefig(scratch, dpi=150, metadata={"Software": None})


def accuracy_figure(result: dict[str, Any]) -> Figure:
    """Accuracy against severity: mean, one standard deviation, and worst chip at every design point."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    chips = result["unaware"]["chips"]
    for name, colour in COLOURS.items():
        points = [(row["severity"], row[name]) for row in result["sweep"]]
        x = [severity for severity, _ in points]
        mean = [100 * block["mean"] for _, block in points]
        sd = [100 * block["sd"] for _, block in points]
        worst = [100 * block["worst"] for _, block in points]
        axes.errorbar(x, mean, yerr=sd, color=colour, marker="o", markersize=5, capsize=3, label=LABELS[name])
        axes.plot(x, worst, color=colour, marker="v", markersize=5, linestyle=":", label=f"{LABELS[name]}, worst chip")
    axes.axhline(100 * result["clean"]["accuracy"], color="#999999", linewidth=1, label="no errors")
    axes.axvline(result["severity"], color="#999999", linewidth=1, linestyle="--", label="trained for")
    axes.set(
        xlabel="severity: errors at S = 0, in units of sqrt(n)",
        ylabel="accuracy, %",
        title=f"{result['test_images']} images on {chips} chips a point; bars: one standard deviation",
        ylim=(0, 101),
    )
    axes.legend(frameon=False, loc="lower left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.2)
    return figure
