"""The charge-domain read: every cell moves one plate of its capacitor, the bit line takes the mean."""

import math
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from prcim.cells.column import Column
from prcim.cells.reads.read import BOLTZMANN_J_PER_K, EDGE_S, word_line_sources
from prcim.cells.reads.timed_read import SOLVER, TimedRead
from prcim.errors import InputError
from prcim.spice.deck import Deck
from prcim.spice.outcome import Outcome


@final
@dataclass(frozen=True, kw_only=True)
class ChargeRead(TimedRead):
    """Reset of the line off, multiply word lines to their levels, the plates settle; then the read-out looks.

    Attributes:
        v_wl_v: voltage between the two levels of a multiply word line, V; N select transistors pass up to about the
            supply less their threshold.
        t_settle_s: time for the plates to settle, s.

    Example:
        >>> ChargeRead(v_wl_v=0.5).rest
        0.5
    """

    v_wl_v: float
    t_settle_s: float = 1e-9

    name: ClassVar[str] = "charge"
    loads: ClassVar[tuple[str, ...]] = ("n",)
    rest: ClassVar[float] = 0.5

    def __post_init__(self) -> None:
        self.check_word_line()
        if not 5 * EDGE_S <= self.t_settle_s < 1e-6:
            raise InputError(
                f"t_settle_s is {self.t_settle_s} s; plates need at least {5 * EDGE_S:g} s (5 edges) and less than 1 us"
            )

    def supply_v(self, column: Column) -> float:
        """The line is reset to the middle of the two levels."""
        return self.v_wl_v / 2

    def word_line_times_s(self, column: Column) -> tuple[float, float]:  # noqa: D102
        return 2 * EDGE_S, 4 * EDGE_S + self.t_settle_s

    def t_look_s(self, column: Column) -> float:
        """When the plates had their time, before the word lines return."""
        return 3 * EDGE_S + self.t_settle_s

    def t_on_s(self, column: Column) -> float:
        """The plates need their time again to come back."""
        return super().t_on_s(column) + self.t_settle_s

    def t_step_s(self, column: Column) -> float:  # noqa: D102
        return self.t_settle_s / 2

    def noise_deck(self, column: Column, inputs: NDArray[np.int8]) -> Deck:
        """The operating point is all that is needed; the noise is a closed form."""
        circuit = column.circuit(column.nominal_draw(), "prcim charge-domain column", supply_v=self.supply_v(column))
        circuit.V("control", "control", 0, 0 if column.load.kind == "p" else column.technology.vdd_v)
        sources = word_line_sources(column, self.v_wl_v, inputs)
        return Deck(netlist=f"{circuit}\n{sources}{SOLVER}", save=(f"v({column.ends[0]})",), analyses=("op",))

    def noise_v(self, column: Column, outcome: Outcome) -> float | None:
        """Reset noise and thermal noise of the select transistors together: kT / C_line.

        The reset leaves kT / C0 with C0 = C_line + N C_cell. A node behind resistors has the integrated noise
        kT (1 / C_inf - 1 / C0), C_inf being what is left where no resistor conducts, C_line; C0 drops out of the sum.
        """
        if not outcome.values:
            return None
        return math.sqrt(BOLTZMANN_J_PER_K * (column.technology.temp_c + 273.15) / column.c_bl_f)
