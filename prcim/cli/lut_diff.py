"""`prcim lut diff`."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from prcim.cli.options import json_option

if TYPE_CHECKING:
    from prcim.characterize.lut.difference import Difference
    from prcim.characterize.lut.error_lut import ErrorLUT
    from prcim.characterize.statistics.array_difference import ArrayDifference

#: Figures that are printed, the furthest apart first.
SHOWN = 12


@click.command("diff")
@click.argument("a")
@click.argument("b")
@json_option
def diff(a: str, b: str, as_json: bool) -> None:
    """Compare the tables A and B: plans, numbers, and whether sampling alone explains the difference.

    Differences are B - A. Exit status: 0 whether or not they differ, 2 if one cannot be read.
    """
    from prcim.characterize.lut.difference import difference
    from prcim.characterize.lut.file import open_lut

    luts = open_lut(a), open_lut(b)
    found = difference(*luts)
    if as_json:
        about = [
            {"table": name, "sha256": lut.sha256, "plan_id": lut.plan_id}
            for name, lut in zip((a, b), luts, strict=True)
        ]
        click.echo(json.dumps({"a": about[0], "b": about[1], **found.as_json()}))
        return
    for letter, name, lut in zip("AB", (a, b), luts, strict=True):
        called = lut.meta.get("plan", {}).get("name", "")
        click.echo(f"{letter}: {name}: {called}, plan {lut.plan_id[:8]}, sha256 {lut.sha256[:16]}")
    for line in (*_identity(found), *_arrays(found), *_agreement(found, luts)):
        click.echo(line)


def _identity(found: "Difference") -> Iterator[str]:
    if found.identical:
        yield "the same table: every number and the provenance"
        return
    yield "the same plan, other numbers" if found.same_plan else "different plans"
    plan = {key.removeprefix("plan."): pair for key, pair in found.fields.items() if key.startswith("plan.")}
    rest = {key: pair for key, pair in found.fields.items() if not key.startswith("plan.") and key != "plan_id"}
    for title, fields in (("fields of the plan that differ", plan), ("provenance and sizes that differ", rest)):
        if fields:
            yield f"{title}:"
            yield from (f"  {key:<36}{_short(pair[0]):<24}{_short(pair[1])}" for key, pair in fields.items())


def _arrays(found: "Difference") -> Iterator[str]:
    if found.identical or not found.arrays:
        return
    yield ""
    yield f"{'B - A at common sums':<24}{'unit':<6}{'largest':>12}{'rms':>12}{'largest, mV':>14}{'rms, mV':>12}"
    for array in found.arrays:
        if array.largest is None:
            shapes = " against ".join(" x ".join(str(n) for n in shape) for shape in array.shapes)
            yield f"  {array.name:<22}{array.unit:<6}{shapes}: not comparable"
        else:
            yield f"  {array.name:<22}{array.unit:<6}{_numbers(array)}"


def _numbers(array: "ArrayDifference") -> str:
    volts = [(array.largest_v, 14), (array.rms_v, 12)]
    text = "".join("" if value is None else f"{1e3 * value:{width}.4g}" for value, width in volts)
    return f"{array.largest:12.4g}{array.rms:12.4g}{text}"


def _agreement(found: "Difference", luts: "tuple[ErrorLUT, ErrorLUT]") -> Iterator[str]:
    from prcim.characterize.lut.difference import FALSE_ALARMS

    if found.identical:
        return
    yield ""
    if found.agree is None:
        sizes = " and ".join(f"{lut.n_used} of {lut.rows} rows" for lut in luts)
        yield f"they cannot be compared figure by figure: {sizes}, with no sum in common of the same column"
        return
    count = len(found.figures)
    yield f"{'figure':<20}{'S':>6}{'A':>14}{'B':>14}{'z':>8}   {min(SHOWN, count)} of {count}, the furthest apart first"
    for figure in found.figures[:SHOWN]:
        mac = "" if figure.mac is None else f"{figure.mac:g}"
        mark = "  differ" if figure in found.apart else ""
        yield f"  {figure.name:<18}{mac:>6}{figure.a:14.6g}{figure.b:14.6g}{figure.z:8.2f}{mark}"
    if found.agree:
        yield f"They agree: sampling explains the differences of all {count} figures."
    else:
        yield f"They differ: sampling does not explain {len(found.apart)} of {count} figures."
    share = f"{100 * FALSE_ALARMS:g} %"
    yield f"Tables of the same truth, with draws of their own, are said to differ in at most {share} of pairs."
    if found.shares_draws:
        yield "Both plans have the same seed: draws that they share make them more alike than this says."


def _short(value: Any) -> str:
    text = "-" if value is None else str(value)
    return text if len(text) <= 22 else text[:19] + "..."
