"""Progress with time left, on standard error: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from types import TracebackType

import click

#: Seconds between two lines where there is no terminal.
EVERY_S = 15.0


class Progress:
    """Shows how far a piece of work is; several pieces can follow each other.

    The time left is estimated from the work done since the piece began, so a run that goes on where it was does not
    count what it found done.
    """

    def __init__(self) -> None:
        self._what = ""
        self._started = self._shown = 0.0
        self._first = 0
        self._terminal = sys.stderr.isatty()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._terminal and self._what:
            click.echo(err=True)

    def __call__(self, what: str, done: int, total: int) -> None:
        """Shows that `done` of `total` units of `what` are done."""
        now = time.monotonic()
        if what != self._what:
            if self._terminal and self._what:
                click.echo(err=True)
            self._what, self._started, self._first, self._shown = what, now, done, now
        finished = done >= total
        if not self._terminal and not finished and now - self._shown < EVERY_S:
            return
        self._shown = now
        text = f"{what}: {done} of {total}, {100 * done // max(total, 1)} %"
        if finished:
            text += f", {now - self._started:.0f} s"
        elif done > self._first:
            left_s = (now - self._started) / (done - self._first) * (total - done)
            text += f", about {_duration(left_s)} left"
        click.echo(f"\r{text:<79}" if self._terminal else text, err=True, nl=not self._terminal)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
