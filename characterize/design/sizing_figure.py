"""The picture of a sweep of design points."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from prcim.characterize.design.sizing import SizingPoint
from prcim.files import replacing

#: Field, label and factor of each panel.
PANELS = (
    ("rel_sigma", "relative spread of a cell, %", 1e2),
    ("step_v", "step at S = 0, mV", 1e3),
    ("severity", "severity", 1.0),
    ("energy_j", "energy of a read at S = 0, fJ", 1e15),
)
#: What the short names of a sweep stand for.
LABELS = {
    "vwl": "word-line voltage, V",
    "swing": "swing, V",
    "w": "width next to the bit line, nm",
    "vdd": "supply, V",
    "temp": "temperature, degrees Celsius",
}


def write_sizing_figure(names: Sequence[str], rows: Sequence[tuple[tuple[str, ...], SizingPoint]], path: Path) -> None:
    """Draws spread, step, severity and energy against the first quantity, a line for each combination of the others.

    Args:
        names: quantities that were swept.
        rows: their values and what was found.
        path: a .png or .pdf; replaced as a whole.
    """
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    axes = figure.subplots(2, 2).ravel()
    lines: dict[tuple[str, ...], list[tuple[str, SizingPoint]]] = {}
    for values, point in rows:
        lines.setdefault(values[1:], []).append((values[0], point))
    numeric = all(_is_number(values[0]) for values, _ in rows)
    for panel, (field, label, factor) in zip(axes, PANELS, strict=True):
        for others, points in lines.items():
            shown = [(at, getattr(point, field)) for at, point in points if getattr(point, field) is not None]
            x = [float(at) if numeric else at for at, _ in shown]
            text = ", ".join(f"{name} {value}" for name, value in zip(names[1:], others, strict=True))
            panel.plot(x, [value * factor for _, value in shown], "o-", label=text or None)
        panel.set_xlabel(LABELS.get(names[0], names[0]))
        panel.set_ylabel(label)
        panel.set_ylim(0, 1.08 * panel.get_ylim()[1])
        panel.grid(alpha=0.3)
    if names[1:]:
        axes[0].legend(fontsize="small")
    with replacing(path) as scratch:
        figure.savefig(scratch, dpi=130, format=path.suffix.lstrip(".") or "png")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
