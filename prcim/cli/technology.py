"""`prcim technology`."""

import json
from dataclasses import asdict

import click

#: Figure -> label, factor for print, digits.
LABELS = {
    "ion_a_per_m": ("Ion, uA/um", 1.0, 0),
    "ioff_a_per_m": ("Ioff, nA/um", 1e3, 2),
    "dibl_v_per_v": ("DIBL, mV/V", 1e3, 0),
    "ss_v_per_dec": ("SS, mV/dec", 1e3, 1),
    "vth_lin_v": ("Vth lin, mV", 1e3, 0),
    "vth_sat_v": ("Vth sat, mV", 1e3, 0),
}


@click.group("technology")
def command() -> None:
    """Look at the transistors."""


@command.command("show")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="As in a plan: flavour, models, vdd_v, ...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def show(settings: tuple[str, ...], as_json: bool) -> None:
    """Measure the N and P transistor in ngspice, W = 1 um, L = 65 nm; the hp flavour unless --set says otherwise."""
    from prcim.characterize.device import measure_device
    from prcim.characterize.plan import Plan
    from prcim.spice.ngspice import find_ngspice

    technology = Plan(name="technology").changed(["flavour=hp", *settings]).make_technology()
    ngspice = find_ngspice()
    figures = {
        "nmos": asdict(measure_device(technology, "n", ngspice)),
        "pmos": asdict(measure_device(technology, "p", ngspice)),
    }
    if as_json:
        click.echo(json.dumps(figures))
        return
    click.echo(f"{technology.library.name}, {technology.vdd_v:g} V, {technology.temp_c:g} degrees Celsius")
    click.echo(f"{'':14}{technology.nmos:>20}{technology.pmos:>20}")
    for name, (label, factor, digits) in LABELS.items():
        click.echo(f"{label:14}" + "".join(f"{block[name] * factor:20.{digits}f}" for block in figures.values()))
