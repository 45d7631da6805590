"""Options that several commands have."""

import functools
from collections.abc import Callable
from typing import Any

import click

from prcim.cli.workers import usable_cores

Command = Callable[..., None]

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
jobs_option = click.option(
    "--jobs", type=click.IntRange(1, 1024), default=usable_cores, show_default="all cores", help="Simulators."
)
settings_option = click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a field of the plan; repeatable."
)
_CONDITIONS = (
    click.option(
        "--flavour",
        type=click.Choice(["hp", "sram"]),
        default="hp",
        show_default=True,
        help="The project's own cards.",
    ),
    click.option("--vdd", "vdd_v", type=float, default=1.1, show_default=True, help="Supply, V."),
    click.option("--temp", "temp_c", type=float, default=27.0, show_default=True, help="Temperature, degrees Celsius."),
    click.option(
        "--corner",
        type=click.Choice(["tt", "ff", "ss", "fs", "sf"]),
        default="tt",
        show_default=True,
        help="Speed of N, then of P devices.",
    ),
    click.option("--seed", type=int, default=1, show_default=True, help="Seed of every draw."),
)


def with_conditions(function: Command) -> Command:
    """Adds the options that say which transistors and draws; they come as `conditions`, settings of a plan."""

    @functools.wraps(function)
    def gathered(*, flavour: str, vdd_v: float, temp_c: float, corner: str, seed: int, **others: Any) -> None:
        named = {"flavour": flavour, "vdd_v": vdd_v, "temp_c": temp_c, "corner": corner, "seed": seed}
        function(conditions=[f"{key}={value}" for key, value in named.items()], **others)

    for option in reversed(_CONDITIONS):
        gathered = option(gathered)
    return gathered
