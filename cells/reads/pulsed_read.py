"""The pulsed read: precharged bit lines, discharged by the cells for as long as the word lines are up."""

import math
from dataclasses import dataclass, replace
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from prcim.cells.column import Column
from prcim.cells.reads.read import BOLTZMANN_J_PER_K, EDGE_S, word_line_sources
from prcim.cells.reads.timed_read import SOLVER, TimedRead
from prcim.errors import InputError
from prcim.spice.deck import Deck
from prcim.spice.outcome import Outcome

#: Shortest pulse, s, and in edges: a shorter one is all edge, and its length is nobody's to set. Assumption.
T_PULSE_MIN_S, EDGES_MIN = 100e-12, 3
#: Where the noise of the cells' current is taken: above flicker noise, below the transistors' own limits.
NOISE_HZ = 1e9


@final
@dataclass(frozen=True, kw_only=True)
class PulsedRead(TimedRead):
    """Precharge off, word lines up for a time, down; then the read-out looks.

    Attributes:
        v_wl_v: voltage of an active word line, V.
        t_pulse_s: length of the pulse, s, from the middle of one edge to the middle of the other.
        to_end: whether the line's way back is simulated too, two fifths of the work; the energy needs it.

    Example:
        >>> PulsedRead(v_wl_v=0.4, t_pulse_s=200e-12).t_pulse_s
        2e-10
    """

    v_wl_v: float
    t_pulse_s: float
    to_end: bool = True

    name: ClassVar[str] = "pulsed"
    loads: ClassVar[tuple[str, ...]] = ("p",)
    rest: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        self.check_word_line()
        limit_s = max(T_PULSE_MIN_S, EDGES_MIN * EDGE_S)
        if not limit_s <= self.t_pulse_s < 1e-6:
            raise InputError(
                f"t_pulse_s is {self.t_pulse_s * 1e12:.3g} ps; a pulse needs at least {limit_s * 1e12:.3g} ps"
                f" ({EDGES_MIN} edges of {EDGE_S * 1e12:.3g} ps or more) and less than 1 us; lower v_wl_v, or raise"
                " swing_v, rows or c_bl_fixed_f"
            )

    def supply_v(self, column: Column) -> float:  # noqa: D102
        return column.technology.vdd_v

    def word_line_times_s(self, column: Column) -> tuple[float, float]:  # noqa: D102
        return 2 * EDGE_S, 2 * EDGE_S + self.t_pulse_s

    def t_look_s(self, column: Column) -> float:
        """Two edges after the word lines are down."""
        return self.word_line_times_s(column)[1] + 3 * EDGE_S

    def t_end_s(self, column: Column) -> float:
        """Otherwise until the word lines are at rest again, where the latches are looked at."""
        return self.t_read_s(column) if self.to_end else EDGE_S + self.t_off_s(column)

    @property
    def brief(self) -> "PulsedRead":
        """Without the line's way back."""
        return replace(self, to_end=False)

    def t_step_s(self, column: Column) -> float:
        """Half a pulse; the solver takes shorter ones where they are needed. A tenth moved no read by 0.002 in S."""
        return self.t_pulse_s / 2

    def noise_deck(self, column: Column, inputs: NDArray[np.int8]) -> Deck:
        """The lines are held at the supply; what is measured is the density of the cells' current noise."""
        vdd_v = column.technology.vdd_v
        circuit = column.circuit(column.nominal_draw(), "prcim noise of the cells' current", supply_v=vdd_v)
        circuit.V("control", "control", 0, vdd_v if column.load.kind == "p" else 0)
        sources = word_line_sources(column, self.v_wl_v, inputs)
        outputs = []
        for i, end in enumerate(column.ends):
            sources += f"vhold{i} {end} 0 {vdd_v:.6g}\nhout{i} out{i} 0 vhold{i} 1\n"
            outputs.append(f"out{i}")
        noise = f"noise v({','.join(outputs)}) vload lin 1 {NOISE_HZ:g} {NOISE_HZ:g}"
        return Deck(netlist=f"{circuit}\n{sources}{SOLVER}", save=(), analyses=(noise,))

    def noise_v(self, column: Column, outcome: Outcome) -> float | None:
        """Charge noise on each line from the precharge switch, kT/C, and from the current during the pulse.

        A current with a one-sided white density S, collected for a time t, gives a charge of variance S t / 2. The
        capacitance is that of the wire and the fixed part: the cells' own adds some per cent, and lowers the noise.
        """
        found = outcome.values.get("onoise_spectrum")
        if found is None or not len(found):
            return None
        c_f, lines = column.c_bl_f, len(column.ends)
        kt_j = BOLTZMANN_J_PER_K * (column.technology.temp_c + 273.15)
        density_a2_per_hz = float(found[0]) ** 2
        return math.sqrt(lines * kt_j / c_f + density_a2_per_hz * self.t_pulse_s / 2 / c_f**2)
