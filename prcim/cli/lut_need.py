"""Which figure of a table is the least certain, and what halves its interval; words and units of all figures."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prcim.characterize.lut.error_lut import ErrorLUT
    from prcim.characterize.lut.need import Need
    from prcim.characterize.lut.precision import Estimate

#: Unit in a table -> factor and unit in print.
PRINTED = {"V": (1e3, " mV"), "V/S": (1e3, " mV per S"), "J": (1e15, " fJ"), "A": (1e6, " uA"), "F": (1e15, " fF")}
#: Name of a figure -> in words, and format.
WORDS = {
    "transfer_v": ("voltage", ".1f"),
    "slope_v": ("slope", ".3f"),
    "sigma_column": ("column sigma", ".2f"),
    "sigma_pattern": ("pattern sigma", ".2f"),
    "sigma_read": ("read sigma", ".2f"),
    "sigma_die": ("die sigma", ".2f"),
    "sigma_total": ("total sigma", ".2f"),
    "static_share": ("static share", ".2f"),
    "energy_j": ("energy", ".1f"),
    "swing_v": ("swing", ".1f"),
    "step_ratio": ("smallest step over largest", ".2f"),
    "pooled_static_share": ("static share, pooled", ".3f"),
    "i_cell_a": ("cell current", ".3f"),
    "c_cell_f": ("cell capacitance", ".3f"),
    "rel_sigma_cell": ("cell relative sigma", ".3f"),
}


def figure_text(figure: "Estimate", k: int, form: str, factor: float = 1.0) -> str:
    """The k-th value of a figure with its interval."""
    value, low, high = (float(array.flat[k]) * factor for array in (figure.value, figure.low, figure.high))
    # What is not a number has no interval in the table.
    return f"{value:{form}}" + (f" ({low:{form}}..{high:{form}})" if low == low else "")


def halving_lines(lut: "ErrorLUT") -> Iterator[str]:
    """The least certain figure in a sentence, what patterns are worth, and one line for each kind of figure."""
    from prcim.characterize.lut.need import REACH, maybe_zero, needs
    from prcim.characterize.statistics.effort import effort_of

    wanted = needs(lut)
    if not wanted:
        return
    least = wanted[0]
    place = "" if least.mac is None else f" at S = {least.mac:g}"
    yield ""
    figure = f"{WORDS[least.name][0]}{place}: {_value(least)}, +- {_share(least)}"
    yield f"The least certain figure for its size is the {figure}."
    yield f"It rests on {_counts(least.rests_on)}; {_halved_by(least)}."
    effort = effort_of(lut)
    middle = len(lut.mac) // 2
    share = float(lut.icc[middle])
    most = f", any number of patterns {effort.columns / share:.0f}" if share > 0 else ""
    yield (
        f"Patterns of a column share its error: at S = {lut.mac[middle]:g}, static share {share:.2f},"
        f" {effort.columns} columns of {effort.patterns} are worth"
    )
    yield f"{effort.effective_shots(share):.0f} independent shots for a mean{most}."
    for name, sums in maybe_zero(lut).items():
        if sums:
            yield f"The {WORDS[name][0]} may be none at S = {', '.join(f'{mac:g}' for mac in sums)}."
    yield ""
    yield f"to halve an interval; of each kind the least certain for its size, |S| <= {REACH:g} sqrt(n), 95 % of reads"
    yield f"  {'':<27}{'S':>5}  {'value (95 %)':<30}{'+-':>6}   halved by"
    for need in wanted:
        mac = "" if need.mac is None else f"{need.mac:g}"
        yield f"  {WORDS[need.name][0]:<27}{mac:>5}  {_value(need):<30}{_share(need):>6}   {_more(need)}"


def _halved_by(need: "Need") -> str:
    """The sentence on one figure: what halves it, and what does not however much there is of it."""
    useless = [
        f"any number of {name} leaves {100 * need.limit[name]:.0f} % of it"
        for name, n in need.more.items()
        if n is None
    ]
    return f"{_more(need)} halve its interval" + (f", {', '.join(useless)}" if useless else "")


def _more(need: "Need") -> str:
    found = [f"{count} more {name}" for name, count in need.more.items() if count is not None]
    together = [name for name in need.rests_on if name != "patterns"]
    return " or ".join(found) or f"{need.scale:.2g} times the {' and the '.join(together)} together"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _value(need: "Need") -> str:
    factor, unit = PRINTED.get(need.unit, (1.0, ""))
    form = WORDS[need.name][1]
    value, low, high = (f"{factor * x:{form}}" for x in (need.value, need.low, need.high))
    return f"{value} ({low}..{high}){unit}"


def _share(need: "Need") -> str:
    return f"{100 * need.relative:.3g} %"
