"""What became of one run of the simulator."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of one deck.

    Attributes:
        status: "ok", or a sentence that begins with "timeout", "killed", "no space" or "failed" and says why.
        plots: one mapping for each analysis of the deck, in order: vector name -> values, shape (points,). An
            analysis that stopped half-way holds the points that it reached.
        seconds: wall-clock time.
        log: everything that the simulator printed.
    """

    status: str
    plots: tuple[Mapping[str, NDArray[np.float64]], ...]
    seconds: float
    log: str

    @property
    def ok(self) -> bool:
        """Whether the run ended by itself and wrote a result."""
        return self.status == "ok"

    @property
    def interrupted(self) -> bool:
        """Whether the run says nothing about the circuit: it was killed from outside, ran out of time or of room."""
        return self.status.startswith(("timeout", "killed", "no space"))

    def status_or(self, reason: str) -> str:
        """The status, or `reason` when the run itself was fine but what it should hold is missing."""
        return reason if self.ok else self.status

    @property
    def values(self) -> Mapping[str, NDArray[np.float64]]:
        """The first analysis; empty when there is none."""
        return self.plots[0] if self.plots else {}
