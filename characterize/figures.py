"""Pictures of a table."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from prcim.characterize.lut import ErrorLUT
from prcim.files import replacing

# Colours that stay apart for colour-blind readers and in print (Okabe, Ito, 2008).
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#999999"


def write_figures(lut: ErrorLUT, folder: Path) -> None:
    """Writes transfer.png and errors.png into a folder.

    Raises:
        RunError: the disk is full or the folder cannot be written.
    """
    for name, draw in (("transfer", transfer_figure), ("errors", errors_figure)):
        with replacing(folder / f"{name}.png") as scratch:
            # Without the software's name the same table gives the same file wherever it is drawn.
            draw(lut).savefig(scratch, dpi=150, metadata={"Software": None})


def transfer_figure(lut: ErrorLUT) -> Figure:
    """The mean transfer curve with the swing it uses, and the curves of the simulated columns."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(lut.mac, lut.transfer_v * 1e3, color=BLUE, marker="o", markersize=3)
    left.set(xlabel="partial sum S", ylabel="bit line, mV", title="mean transfer curve")
    swing_mv = (lut.transfer_v[0] - lut.transfer_v[-1]) * 1e3
    note = f"swing {swing_mv:.0f} mV\nlast step {lut.meta['step_ratio']:.2f} of the first"
    left.annotate(note, (0.96, 0.94), xycoords="axes fraction", ha="right", va="top")
    for curve in lut.bank[:60]:
        right.plot(lut.mac, curve, color=GREY, linewidth=0.5)
    spread = np.sqrt(np.maximum(lut.v_col, 0))
    right.plot(lut.mac, spread, color=ORANGE, label="one standard deviation")
    right.plot(lut.mac, -spread, color=ORANGE)
    right.legend(frameon=False, loc="upper left")
    right.set(xlabel="partial sum S", ylabel="lasting error, in S", title=f"{min(len(lut.bank), 60)} physical columns")
    return _tidy(figure)


def errors_figure(lut: ErrorLUT) -> Figure:
    """Standard deviations of all levels of the error, and the static share with its interval and its theory."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for label, values, colour in (
        ("column, lasting", np.sqrt(np.maximum(lut.v_col, 0)), BLUE),
        ("input pattern", np.sqrt(lut.v_res), ORANGE),
        ("read noise", lut.read_sigma, GREEN),
        ("die, with reference", lut.chip_curves.std(axis=0), PURPLE),
    ):
        left.plot(lut.mac, values, label=label, color=colour, marker="o", markersize=3)
    left.legend(frameon=False)
    left.set(
        xlabel="partial sum S", ylabel="standard deviation, in S", title="error before the read-out", ylim=(0, None)
    )
    inner = slice(1, -1)
    share = lut.icc[inner]
    below, above = share - lut.icc_low[inner], lut.icc_high[inner] - share
    bars = np.maximum(np.stack((below, above)), 0)
    right.errorbar(lut.mac[inner], share, yerr=bars, color=BLUE, fmt="o", markersize=3, label="simulated, 95 %")
    right.plot(lut.mac, (lut.mac + lut.n_used) / (2 * lut.n_used), color=GREY, label="independent cells: K / N")
    right.legend(frameon=False)
    right.set(xlabel="partial sum S", ylabel="static share", title="how much of the error lasts", ylim=(0, 1))
    return _tidy(figure)


def _tidy(figure: Figure) -> Figure:
    for axes in figure.axes:
        if isinstance(axes, Axes):
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(alpha=0.2)
    return figure
