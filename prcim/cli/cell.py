"""`prcim cell`."""

import click

from prcim.cli.cell_show import show
from prcim.cli.cell_size import size


@click.group("cell")
def command() -> None:
    """Look at a cell: 6t, 8t, 8t1c or 1t1r; alone, or sized in a column."""


command.add_command(show)
command.add_command(size)
