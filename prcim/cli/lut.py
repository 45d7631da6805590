"""`prcim lut`."""

import click

from prcim.cli.lut_diff import diff
from prcim.cli.lut_export import export
from prcim.cli.lut_show import cell_text, show
from prcim.cli.lut_verify import verify

__all__ = ["cell_text", "command"]


@click.group("lut")
def command() -> None:
    """Look at an error table: a file, or package:NAME for one that comes with the package.

    NAME@CORNER/VDD/TEMP is one of several conditions in it, as in lut.npz@ss/1.0/85.
    """


command.add_command(show)
command.add_command(verify)
command.add_command(diff)
command.add_command(export)
