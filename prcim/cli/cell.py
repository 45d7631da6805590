"""`prcim cell`."""

import click

from prcim.cli.cell_show import show


@click.group("cell")
def command() -> None:
    """Look at a single cell: 6t, 8t, 8t1c or 1t1r."""


command.add_command(show)
