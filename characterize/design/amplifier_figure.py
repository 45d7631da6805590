"""The picture of a sense amplifier's offset."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import norm

from prcim.characterize.design.amplifier import AmplifierFigures
from prcim.files import replacing


def write_amplifier_figure(figures: Sequence[AmplifierFigures], path: Path) -> None:
    """Draws the offsets against normal quantiles, and where the spread comes from.

    Args:
        figures: one for each width.
        path: a .png or .pdf; replaced as a whole.
    """
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    for one in figures:
        found_mv = np.sort(one.spread.found_v) * 1e3
        quantiles = norm.ppf((np.arange(len(found_mv)) + 0.5) / len(found_mv))
        label = f"{one.search.amplifier.w_in_m * 1e6:g} um, sigma {one.spread.sigma_v * 1e3:.1f} mV"
        (points,) = left.plot(quantiles, found_mv, "o", markersize=3, label=label)
        # What the input pair alone would give.
        left.plot(quantiles, quantiles * one.spread.pair_sigma_v * 1e3, color=points.get_color(), linewidth=1)
    left.set(xlabel="normal quantile", ylabel="offset, mV", title="offsets; lines: input pair by Pelgrom's law")
    left.legend(frameon=False, fontsize="small")
    names = [n for n in figures[0].contributions_v if max(one.contributions_v[n] for one in figures) > 1e-4]
    width = 0.8 / len(figures)
    for i, one in enumerate(figures):
        values_mv = [one.contributions_v[name] * 1e3 for name in names]
        right.bar(np.arange(len(names)) + (i - (len(figures) - 1) / 2) * width, values_mv, width)
    right.set_xticks(range(len(names)), names, rotation=30, ha="right")
    right.set(ylabel="contribution to sigma, mV", title="where the spread comes from")
    for panel in (left, right):
        panel.grid(alpha=0.2)
        panel.spines[["top", "right"]].set_visible(False)
    with replacing(path) as scratch:
        figure.savefig(scratch, dpi=130, format=path.suffix.lstrip(".") or "png")
