"""`prcim technology`."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prcim.cli.options import json_option

if TYPE_CHECKING:
    from prcim.cells.technology import Technology

#: Figure -> label, factor for print, format.
LABELS = {
    "ion_a_per_m": ("Ion, uA/um", 1.0, ".0f"),
    "ioff_a_per_m": ("Ioff, nA/um", 1e3, ".4g"),
    "dibl_v_per_v": ("DIBL, mV/V", 1e3, ".0f"),
    "ss_v_per_dec": ("SS, mV/dec", 1e3, ".1f"),
    "vth_lin_v": ("Vth lin, mV", 1e3, ".0f"),
    "vth_sat_v": ("Vth sat, mV", 1e3, ".0f"),
}
#: What a table over corners shows.
SHORT = ("ion_a_per_m", "ioff_a_per_m", "ss_v_per_dec")
#: Temperatures of such a table, degrees Celsius: the range that the cards are meant for.
TEMPERATURES = (-40.0, 27.0, 125.0)
#: Kind -> name of its block in JSON.
KINDS = {"n": "nmos", "p": "pmos"}

_OPTIONS = (
    click.option(
        "--flavour", type=click.Choice(["hp", "sram"]), help="The project's own cards.  [default: hp, high performance]"
    ),
    click.option(
        "--models",
        type=click.Path(dir_okay=False, path_type=Path),
        help="A BSIM4 or BSIM3 file for ngspice instead; what it includes is read too. Needs --nmos and --pmos.",
    ),
    click.option("--nmos", metavar="NAME", help="The N model in that file, or the sub-circuit with --subckt."),
    click.option("--pmos", metavar="NAME", help="The P model, or sub-circuit."),
    click.option("--section", metavar="NAME", help="Section of that file (.lib NAME ... .endl).  [default: none]"),
    click.option(
        "--subckt",
        is_flag=True,
        default=None,
        help="The names are sub-circuits with the pins drain, gate, source, bulk and the parameters w and l.",
    ),
    click.option(
        "--size-unit",
        "size_unit_m",
        type=float,
        metavar="M",
        help="Unit of w and l in metres; 1e-6 for a kit that counts in um.  [default: 1]",
    ),
    click.option("--vdd", "vdd_v", type=float, metavar="V", help="Supply, V.  [default: 1.1]"),
    click.option(
        "--set", "settings", multiple=True, metavar="KEY=VALUE", help="A field of a plan's section technology."
    ),
    json_option,
)


def _with_technology(function: Callable[..., None]) -> Callable[..., None]:
    """The options that choose a technology."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@click.group("technology")
def command() -> None:
    """Look at the transistors: measure them in ngspice, W = 1 um, L = 65 nm."""


@command.command("show")
@_with_technology
@click.option(
    "--corner",
    type=click.Choice(["tt", "ff", "ss", "fs", "sf"]),
    help="Speed of N, then of P, on top of the cards.  [default: tt]",
)
@click.option("--temp", "temp_c", type=float, metavar="C", help="Temperature, degrees Celsius.  [default: 27]")
def show(settings: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Measure the N and the P transistor: on- and off-current, DIBL, swing, thresholds.

    The project's high-performance cards at tt, 1.1 V and 27 degrees stand beside the figures that they aim at.
    """
    from prcim.cells.devices.anchors import ANCHORS, has_anchors
    from prcim.characterize.design.device import measure_device
    from prcim.spice.ngspice import find_ngspice

    technology = _technology(settings, options)
    ngspice = find_ngspice()
    found = {"n": measure_device(technology, "n", ngspice), "p": measure_device(technology, "p", ngspice)}
    if as_json:
        click.echo(json.dumps({name: asdict(found[kind]) for kind, name in KINDS.items()}))
        return
    click.echo(f"{_title(technology)}, {technology.corner}, {technology.temp_c:g} degrees Celsius")
    beside = has_anchors(technology)
    click.echo(f"{'':12}" + "".join(f"{technology.model(kind):>{28 if beside else 18}}" for kind in KINDS))
    if beside:
        click.echo(f"{'':12}" + f"{'measured':>10}{'anchor':>9}{'off by':>9}" * len(KINDS))
    for name, (label, factor, form) in LABELS.items():
        line = f"{label:12}"
        for kind in KINDS:
            value, anchor = getattr(found[kind], name), getattr(ANCHORS[kind], name)
            line += f"{value * factor:{10 if beside else 18}{form}}"
            line += f"{anchor * factor:9{form}}{100 * (value / anchor - 1):+7.1f} %" if beside else ""
        click.echo(line)


@command.command("corners")
@_with_technology
def corners(settings: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Measure both transistors in all five corners at -40, 27 and 125 degrees Celsius.

    A corner shifts thresholds by 45 mV and mobilities by 5 %, on top of what the cards, or a section of them, say.
    """
    from dataclasses import replace

    from prcim.cells.devices.corner import CORNERS
    from prcim.characterize.design.device import measure_device
    from prcim.cli.progress import Progress
    from prcim.spice.ngspice import find_ngspice

    technology = _technology(settings, options)
    ngspice = find_ngspice()
    points = [(corner, temp_c) for temp_c in TEMPERATURES for corner in CORNERS]
    rows: list[dict[str, Any]] = []
    with Progress() as progress:
        for corner, temp_c in points:
            at = replace(technology, corner=corner, temp_c=temp_c)
            found = {"nmos": measure_device(at, "n", ngspice), "pmos": measure_device(at, "p", ngspice)}
            rows.append({"corner": corner, "temp_c": temp_c, **{name: asdict(block) for name, block in found.items()}})
            progress("corners", len(rows), len(points))
    if as_json:
        click.echo(json.dumps({"corners": rows}))
        return
    click.echo(_title(technology))
    click.echo(f"{'':11}" + "".join(f"{technology.model(kind):>36}" for kind in KINDS))
    click.echo(f"{'corner':8}{'C':>3}" + "".join(f"{LABELS[name][0]:>12}" for name in SHORT) * len(KINDS))
    for row in rows:
        line = f"{row['corner']:6}{row['temp_c']:5.0f}"
        for block in KINDS.values():
            for name in SHORT:
                _, factor, form = LABELS[name]
                line += f"{row[block][name] * factor:12{form}}"
        click.echo(line)


def _technology(settings: tuple[str, ...], options: dict[str, Any]) -> "Technology":
    from prcim.characterize.plan import Plan

    # As text that TOML reads back: a path may look like a number.
    given = [
        f"technology.{key}={json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)}"
        for key, value in options.items()
        if value is not None
    ]
    return Plan(name="technology").changed(["technology.flavour=hp", *given, *settings]).make_technology()


def _title(technology: "Technology") -> str:
    return f"{technology.library.name}, {technology.vdd_v:g} V, W = 1 um, L = 65 nm"
