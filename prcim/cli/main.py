"""Entry point: subcommands, and what a user sees when something goes wrong."""

import sys
from importlib import import_module

import click

from prcim import __version__
from prcim.errors import PrcimError

#: Subcommand -> module of the same room that defines it, and its one line of help.
COMMANDS = {
    "technology": "Measure the transistors.",
    "cell": "Measure a single cell.",
    "amplifier": "Measure the sense amplifier.",
    "characterize": "Monte Carlo in ngspice: a plan in, an error table out.",
    "plan": "List the named plans, or show one with all its fields.",
    "lut": "Look at an error table.",
    "data": "Download a data set.",
    "map": "See what a network takes on columns.",
    "train": "Train a network for a table and judge it on virtual chips.",
    "evaluate": "Judge a trained network on virtual chips.",
    "report": "Print the results of a training again.",
}


class LazyGroup(click.Group):
    """A group whose subcommands are imported only when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, in the order of the work."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"prcim.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of subcommands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="prcim")
def prcim() -> None:
    """From the mismatch of a transistor to the accuracy of a binary network on a simulated SRAM chip.

    Exit status: 0 done, 1 failed, 2 wrong input, 130 interrupted.
    """


def main(arguments: list[str] | None = None) -> None:
    """Runs the command and ends the process with its exit status."""
    sys.exit(status(arguments))


def status(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    try:
        prcim.main(args=arguments, prog_name="prcim", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.ClickException as error:
        command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "prcim"
        return _say(f"{error.format_message()} See `{command} --help`.", error.exit_code)
    except PrcimError as error:
        return _say(str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return _say("interrupted; what is finished is kept: run the same command again to go on", 130)
    except BrokenPipeError:
        # Whoever read the output had enough of it.
        sys.stderr.close()
        return 0
    except OSError as error:
        return _say(f"{error.filename or 'a file'}: {error.strerror}; free some space or choose another place", 1)
    return 0


def _say(message: str, exit_code: int) -> int:
    click.echo(f"prcim: {' '.join(message.split())}", err=True)
    return exit_code


if __name__ == "__main__":
    main()
