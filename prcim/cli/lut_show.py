"""`prcim lut show`."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prcim.cli.lut_need import PRINTED, WORDS, figure_text, halving_lines
from prcim.cli.options import json_option

if TYPE_CHECKING:
    from prcim.characterize.lut.error_lut import ErrorLUT

CURVE = {"transfer_v": "mV", "slope_v": "mV per S", "energy_j": "fJ"}
ERRORS = {
    "sigma_column": "column",
    "sigma_pattern": "pattern",
    "sigma_read": "read",
    "sigma_die": "die",
    "sigma_total": "total",
    "static_share": "static share",
}
#: Arrays that --json gives as they are.
ARRAYS = ("mac", "transfer_v", "v_col", "v_res", "read_sigma", "energy_j", "icc_low", "icc_high", "count")


@click.command("show")
@click.argument("table")
@click.option("--figures", type=click.Path(file_okay=False, path_type=Path), help="Also draw it into this folder.")
@json_option
def show(table: str, figures: Path | None, as_json: bool) -> None:
    """Print TABLE: errors and their shares at each sum, in units of S, each figure with its 95 % interval.

    At its end it says which figure is the least certain and how many more columns, patterns, dies or cells halve an
    interval. A table of several conditions gets one line for each, and all figures of the first.
    """
    from prcim.characterize.lut.file import open_points

    luts, whole = open_points(table)
    if figures is not None:
        from prcim.characterize.figures import write_figures

        write_figures(luts[0], figures)
    if as_json:
        # Of several conditions the first table has the plan of all, the others that of their own.
        objects = [{**_object(lut), "plan": whole[0].meta.get("plan")} for lut in luts]
        several = {"points": objects} if len(luts) > 1 else {}
        click.echo(json.dumps({**objects[0], **several}))
        return
    for line in (*_head(luts[0], whole), *_conditions(luts), *_figures(luts[0]), *halving_lines(luts[0])):
        click.echo(line)


def cell_text(meta: Mapping[str, Any]) -> str:
    """What one cell adds: a current, or the charge on its capacitor."""
    size = f"{meta['c_cell_f'] * 1e15:.3f} fF" if "c_cell_f" in meta else f"{meta['i_cell_a'] * 1e6:.3f} uA"
    return f"cell {size}, relative sigma {meta['rel_sigma_cell']:.3f}"


def agreement_text(agreement: Mapping[str, Any]) -> str:
    """How far composed reads are from ngspice's."""
    worst = agreement.get("spread_ratio_worst")
    at_worst = "" if worst is None else f", {worst:.4g} at the worst sum"
    return (
        f"composed reads differ from ngspice's by {agreement['rms_mac']:.3g} rms and {agreement['max_mac']:.3g} at most"
        f" in S; ratio of spreads {agreement['spread_ratio']:.4g}{at_worst}; {agreement['n']} reads"
    )


def _object(lut: "ErrorLUT") -> dict[str, Any]:
    from prcim.characterize.lut.need import maybe_zero, needs
    from prcim.characterize.lut.precision import estimates
    from prcim.characterize.statistics.effort import effort_of

    effort = effort_of(lut)
    wanted = needs(lut)
    return {
        "sha256": lut.sha256,
        "failures": lut.failures,
        "static_share": lut.static_share,
        "icc": lut.icc.tolist(),
        **{name: getattr(lut, name).tolist() for name in ARRAYS},
        "counts": vars(effort),
        "effective_shots": [effort.effective_shots(float(share)) for share in lut.icc],
        "figures": {name: figure.as_json() for name, figure in estimates(lut).items()},
        "least_certain": wanted[0].as_json() if wanted else None,
        "halving": [need.as_json() for need in wanted],
        "maybe_zero": maybe_zero(lut),
        "meta": dict(lut.meta),
    }


def _head(lut: "ErrorLUT", whole: "Sequence[ErrorLUT]") -> Iterator[str]:
    from prcim.characterize.lut.file import conditions_text
    from prcim.characterize.lut.precision import estimates
    from prcim.characterize.statistics.effort import effort_of

    meta, found, effort = lut.meta, estimates(lut), effort_of(lut)
    plan = meta.get("plan", {})
    where = "/".join(str(value) for value in meta.get("conditions", ()))
    made_by = f"{meta.get('engine', 'unknown')} engine, {meta.get('simulator', 'no simulator')}"
    yield f"{plan.get('name', '')}, plan {lut.plan_id[:8]}, {made_by}, sha256 {lut.sha256[:16]}"
    yield f"{lut.rows} rows, {lut.n_used} used; {read_text(meta)}" + (f"; {where}" if where else "")
    if len(whole) > 1:
        yield f"one of the plan's {len(whole)} conditions: {', '.join(conditions_text(each) for each in whole)}"
    agreement = meta.get("agreement", {})
    if agreement.get("n"):
        yield agreement_text(agreement)
    counts = f"{effort.columns} columns of {effort.patterns} patterns, {effort.dies} dies, {effort.cells} cells"
    reference = plan.get("reference", {}).get("kind", "unknown")
    yield f"{counts}, {lut.failures} failed shots; reference {reference}; intervals are 95 %"
    for name in ("swing_v", "step_ratio", "i_cell_a", "c_cell_f", "rel_sigma_cell", "pooled_static_share"):
        if name in found:
            note = ", with binomial weights" if name == "pooled_static_share" else ""
            factor, unit = PRINTED.get(found[name].unit, (1.0, ""))
            yield f"  {WORDS[name][0]}{note}: {figure_text(found[name], 0, WORDS[name][1], factor)}{unit}"
    if "decision_j" in meta:
        share, decision = meta["reference_j"] * 1e15, meta["decision_j"] * 1e15
        yield f"  of a read's energy: reference {share:.3g} fJ, one decision of the comparator {decision:.3g} fJ"


def _conditions(luts: "Sequence[ErrorLUT]") -> Iterator[str]:
    """One line for each condition, with the errors in the middle of its sums."""
    if len(luts) == 1:
        return
    from prcim.characterize.lut.file import conditions_text
    from prcim.characterize.lut.precision import estimates

    yield ""
    middle = len(luts[0].mac) // 2
    yield f"{len(luts)} conditions; swing mV, errors at S = {luts[0].mac[middle]:g}"
    yield f"  {'conditions':<16}" + _row([("swing", 22), *((label, 20) for label in ERRORS.values())])
    for lut in luts:
        found = estimates(lut, names=("swing_v", *ERRORS))
        cells = [(figure_text(found["swing_v"], 0, ".1f", 1e3), 22)]
        cells += [(figure_text(found[name], middle, WORDS[name][1]), 20) for name in ERRORS]
        yield f"  {conditions_text(lut):<16}" + _row(cells)
    yield f"all figures of {conditions_text(luts[0])}; for another: TABLE@CORNER/VDD/TEMP"


def _figures(lut: "ErrorLUT") -> Iterator[str]:
    from prcim.characterize.lut.precision import estimates

    found = estimates(lut)
    line = "bit line" if lut.meta.get("bit_lines", 1) == 1 else "difference of the bit lines"
    for title, figures, width in ((f"curve: {line}, slope, energy of a read", CURVE, 26), ("errors, in S", ERRORS, 20)):
        yield ""
        count = [("shots", 8)] if figures is CURVE else []
        yield title
        yield "   mac" + _row([*((label, width) for label in figures.values()), *count])
        for k in range(len(lut.mac)):
            cells = []
            for name in figures:
                factor = PRINTED.get(found[name].unit, (1.0, ""))[0]
                cells.append((figure_text(found[name], k, WORDS[name][1], factor), width))
            shots = [(f"{lut.count[k]:.0f}", 8)] if count else []
            yield f"{lut.mac[k]:6.0f}" + _row([*cells, *shots])


def _row(cells: Sequence[tuple[str, int]]) -> str:
    return "".join(f"{text:>{width}}" for text, width in cells)


def read_text(meta: Mapping[str, Any]) -> str:
    """How the column is read."""
    read = meta.get("plan", {}).get("read", {})
    mode = read.get("mode", "steady")
    how = {
        "steady": f" on {meta.get('load_ohm', math.nan):.0f} ohm",
        "pulsed": f" after a pulse of {(meta.get('t_pulse_s') or 0) * 1e12:.0f} ps",
        "charge": f" after {read.get('t_settle_s', 0) * 1e9:g} ns",
    }.get(mode, "")
    # A pulse does not settle.
    rest = "" if mode == "pulsed" else f" ({meta.get('settle_error_v', math.nan) * 1e3:.2f} mV from the steady state)"
    t_read_ns = meta.get("t_read_s", math.nan) * 1e9
    return f"{mode} read{how}{rest}, V_WL {read.get('v_wl_v', math.nan):g} V, read time {t_read_ns:.2f} ns"
