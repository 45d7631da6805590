"""Thermal noise of a clocked amplifier, referred to its input."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from prcim.cells.readouts.offset_search import OffsetSearch
from prcim.errors import InputError
from prcim.spice.deck import Deck
from prcim.spice.outcome import Outcome

BOLTZMANN_J_PER_K = 1.380649e-23
#: Noise current of a transistor, 4 k T times this times (gm + gds). Assumption: 1, exact for a switch, 2/3 for a long
#: saturated channel, somewhat more than 1 for a short one.
EXCESS = 1.0
#: Charge that is pushed in, C: moves the offset by some mV, so it is found to a few per cent and linear.
CHARGE_C = 1e-16


@final
@dataclass(frozen=True, kw_only=True)
class ComparatorNoise:
    """How much a noise current at each moment moves the decision, measured as an offset.

    A charge pushed into an inner node at a fixed moment of every cycle moves the offset by h(t) per coulomb. White
    currents of the spectral density S(t), A2/Hz, one-sided, then make an input noise of variance
    sum over transistors of integral S(t)/2 h(t)^2 dt. Charge that was there before the clock's edge decays through the
    switches, whose own noise is counted in its place: kT/C is in the sum.

    Attributes:
        search: the test bench; its overdrive and mismatch play no part.
        window_s: moments from so long before the clock's edge to so long behind it are looked at, s; the decision time
            is a good choice.
        points: number of moments.

    Source: the impulse sensitivity of a clocked comparator, as in Kim, Leibowitz, Ren, Madden, "Simulation and analysis
        of random decision errors in clocked comparators", IEEE TCAS-I 56(8), 2009.
    """

    search: OffsetSearch
    window_s: float
    points: int = 16

    #: Where a charge is pushed in -> nodes that it leaves and enters; a side letter is added to all but "vdd", "tail".
    places: ClassVar[Mapping[str, tuple[str, str]]] = MappingProxyType(
        {"pair": ("mid", "tail"), "latch": ("out", "mid"), "output": ("out", "vdd")}
    )
    #: Transistor of one side -> the place at which its noise current enters. What a switch pushes into the inner node
    #: counts as if it left at the tail: the tail belongs to both sides.
    sources: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"inp": "pair", "lnn": "latch", "lpn": "output", "pon": "output", "pin": "pair"}
    )

    def __post_init__(self) -> None:
        if self.search.technology.subckt:
            raise InputError(
                "the noise of a comparator needs gm and gds of each transistor, which ngspice gives for model cards;"
                " this technology wraps them in sub-circuits"
            )
        if not 10e-12 <= self.window_s <= self.search.t_half_s / 2:
            raise InputError(f"window_s is {self.window_s} s; it must lie between 10 ps and half of t_half_s")
        if not 8 <= self.points <= 100:
            raise InputError(f"points is {self.points}; 8 to 100 moments show the weight")

    @property
    def t_push_s(self) -> NDArray[np.float64]:
        """The moments, from the middle of the clock's edge, s, shape (points,)."""
        return np.linspace(-self.window_s, self.window_s, self.points)

    @property
    def fine(self) -> OffsetSearch:
        """The search with the range and the resolution that a push needs."""
        return replace(self.search, range_v=0.04, resolution_v=0.1e-3)

    def push_deck(self, place: str) -> Deck:
        """Amplifiers without mismatch, each with a charge at its own moment."""
        shape = (self.points, len(self.search.amplifier.parts))
        deck = self.fine.deck(np.zeros(shape), np.ones(shape))
        # A ramp that is k at moment k, with a corner there, at which ngspice stops: so no push is stepped over, and
        # corners of neighbours that all but coincide, which end a transient, cannot occur. It goes back, through all
        # pushes at once, when the decision is made.
        rise_s = float(self.t_push_s[1] - self.t_push_s[0])
        corners = ["0 -1"]
        for edge_s in self.fine.t_edges_s:
            first_s = edge_s + self.t_push_s[0]
            corners += [f"{first_s + k * rise_s:.12g} {k}" for k in range(-1, self.points + 1)]
            corners += [f"{edge_s + 0.95 * self.search.t_half_s:.12g} {self.points}"]
            corners += [f"{edge_s + 0.97 * self.search.t_half_s:.12g} -1"]
        lines = [f"vmoment moment 0 pwl({' '.join(corners)})"]
        for k in range(self.points):
            nodes = " ".join(_node(name, k) for name in self.places[place])
            lines.append(f"bpush{k} {nodes} i={CHARGE_C / rise_s:.6g}*uramp(1-abs(v(moment)-{k}))")
        return replace(deck, netlist=deck.netlist + "\n".join(lines) + "\n")

    def weight_v_per_c(self, outcome: Outcome) -> NDArray[np.float64]:
        """What `push_deck` found: h at each moment, V/C; NaN where the amplifier has no offset."""
        return self.fine.result(outcome, self.points).offset_v / CHARGE_C

    def conductance_deck(self) -> Deck:
        """One amplifier without mismatch, whose small-signal conductances are kept."""
        shape = (1, len(self.search.amplifier.parts))
        deck = self.fine.deck(np.zeros(shape), np.ones(shape))
        return replace(
            deck, save=deck.save + tuple(_conductance(name, g) for name in self.sources for g in ("gm", "gds"))
        )

    def sigma_v(self, weights: Mapping[str, NDArray[np.float64]], outcome: Outcome) -> Mapping[str, float]:
        """Input noise that each transistor of one side and its twin of the other make, V.

        Args:
            weights: place -> what `weight_v_per_c` gave.
            outcome: that of `conductance_deck`.
        """
        # The last cycle of the search, where the input is closest to the offset.
        moments_s = self.fine.t_edges_s[self.fine.cycles - 1] + self.t_push_s
        kt_j = BOLTZMANN_J_PER_K * (self.search.technology.temp_c + 273.15)
        sigma_v = {}
        for name, place in self.sources.items():
            siemens = sum(outcome.values[_conductance(name, g)] for g in ("gm", "gds"))
            density = 4 * kt_j * EXCESS * np.interp(moments_s, outcome.values["time"], siemens)
            both = 2 * np.trapezoid(density / 2 * weights[place] ** 2, self.t_push_s)
            sigma_v[name] = float(np.sqrt(both))
        return sigma_v


def _conductance(name: str, which: str) -> str:
    return f"@m.x0.m{name}[{which}]"


def _node(name: str, k: int) -> str:
    """A node on the side of `inp` in amplifier k, as the whole deck calls it."""
    return {"vdd": "vdd", "out": f"outn{k}", "mid": f"x{k}.midn", "tail": f"x{k}.tail"}[name]
