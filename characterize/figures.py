"""Pictures of a table."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from prcim.characterize.lut.error_lut import ErrorLUT
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
    ylabel = "bit line, mV" if _bit_lines(lut) == 1 else "difference of the bit lines, mV"
    left.set(xlabel="partial sum S", ylabel=ylabel, title="mean transfer curve")
    swing_mv = (lut.transfer_v[0] - lut.transfer_v[-1]) * 1e3
    note = f"swing {swing_mv:.0f} mV\nsmallest step {lut.meta['step_ratio']:.2f} of the largest"
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
    right.plot(lut.mac, independent_share(lut), color=GREY, label="independent cells")
    right.legend(frameon=False)
    right.set(xlabel="partial sum S", ylabel="static share", title="how much of the error lasts", ylim=(0, 1))
    return _tidy(figure)


def independent_share(lut: ErrorLUT) -> NDArray[np.float64]:
    """Static share at each sum if cells err independently of each other, shape (M,).

    With m = S / n and relative errors of variance s^2, a line that counts conducting cells has K / n. Two lines in
    balance have twins with errors of their own: n s^2 (1 + m^2) / 2 of n s^2. With charge every cell is at work in
    every pattern, and its capacitor loads the line too: n s^2 m^2 ((1 - a)^2 + (rows / n - 1) a^2) lasts beside
    n s^2 (1 - m^2) that does not, a being the share of n capacitors in the whole line's.
    """
    n, m = lut.n_used, lut.mac / lut.n_used
    if "c_cell_f" in lut.meta:
        c_cell_f = lut.meta["c_cell_f"]
        a = n * c_cell_f / (lut.rows * c_cell_f + lut.meta["c_bl_f"])
        lasting = m**2 * ((1 - a) ** 2 + (lut.rows / n - 1) * a**2)
        return np.asarray(lasting / (lasting + 1 - m**2))
    return np.asarray((1 + m) / 2 if _bit_lines(lut) == 1 else (1 + m**2) / 2)


def _bit_lines(lut: ErrorLUT) -> int:
    # Tables of earlier versions have one.
    return int(lut.meta.get("bit_lines", 1))


def _tidy(figure: Figure) -> Figure:
    for axes in figure.axes:
        if isinstance(axes, Axes):
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(alpha=0.2)
    return figure
