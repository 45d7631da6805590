"""What the simulator is asked: a circuit, what to keep, which analyses."""

from dataclasses import dataclass
from typing import final

#: The result file that a deck writes, in the folder that it runs in.
RESULT = "out.raw"


@final
@dataclass(frozen=True, kw_only=True)
class Deck:
    """One circuit and what to do with it.

    Attributes:
        netlist: title line, elements, models and options, without `.control` and `.end`.
        save: vectors to keep, e.g. "v(out)".
        analyses: commands such as "dc v1 0 1 0.1" or "noise v(out) v1 dec 10 1 1g"; each gives a plot.
    """

    netlist: str
    save: tuple[str, ...]
    analyses: tuple[str, ...]

    @property
    def text(self) -> str:
        """The deck as ngspice reads it. Each analysis appends its plot to the result file, as far as it came."""
        script = [
            # One process per core beats two threads per process; the default of 2 spins on both.
            "set num_threads=1",
            "set appendwrite",
            *(f"save {name}" for name in self.save),
        ]
        for analysis in self.analyses:
            # Should the analysis fail at once, there is no older plot left that could be written in its place.
            script += [analysis, f"write {RESULT}", "destroy all"]
        return "\n".join([self.netlist.rstrip("\n"), ".control", *script, "quit 0", ".endc", ".end", ""])
