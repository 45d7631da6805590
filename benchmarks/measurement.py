"""What a benchmark says: two ways to do the same thing, timed in one run."""

import resource
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final


@final
@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One ratio.

    Attributes:
        name: what was measured, as `column/8t/r64/pulsed`.
        a_s, b_s: seconds of the other way and of ours, for the same work; the suite says which work, which seconds.
        n: measurements of each, of which these are the medians.
        notes: what belongs to the figure besides, name -> number or words.
    """

    name: str
    a_s: float
    b_s: float
    n: int
    notes: dict[str, Any]

    @property
    def entry(self) -> dict[str, Any]:
        """As it is written to a file; `ratio` says how many times faster ours is."""
        figures = {"ratio": self.a_s / self.b_s, "a_s": self.a_s, "b_s": self.b_s}
        return {"name": self.name, **{key: float(f"{v:.4g}") for key, v in figures.items()}, "n": self.n, **self.notes}


def cpu_s() -> float:
    """Processor time of this process and of its children that have ended, user and system, s.

    Beside wall-clock time it hardly depends on what else the machine does.
    """
    spent = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in spent)


def timed(work: Callable[..., Any], *arguments: Any) -> float:
    """Processor time of a call, s."""
    before = cpu_s()
    work(*arguments)
    return cpu_s() - before


def median(values: Sequence[float]) -> float:
    """The median of some timings."""
    return float(statistics.median(values))
