"""Offsets of many amplifiers by bisection, all at once, in one transient."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from PySpice.Spice.Netlist import Circuit

from prcim.cells.readouts.offsets import Caught, Offsets, catch, no_offsets
from prcim.cells.readouts.strongarm import StrongArm
from prcim.cells.technology import Technology
from prcim.errors import InputError
from prcim.spice.deck import Deck
from prcim.spice.outcome import Outcome

#: With ngspice's own limits its time steps alone make an offset of 0.5 mV; with these, of 0.02 mV.
SOLVER = ".options reltol=1e-4 trtol=1"
EDGE_S = 20e-12
#: Where in the clock's high half the decision is looked at, and where the input moves, as fractions of that half.
LOOK, MOVE, HALF_MOVE = 0.7, 0.85, 0.1
#: Capacitor that holds an input difference, F, and its leak, ohm: nothing is lost in a microsecond.
HOLD_F, LEAK_OHM = 1e-12, 1e12


@final
@dataclass(frozen=True, kw_only=True)
class OffsetSearch:
    """A test bench on which every amplifier looks for its own offset.

    In every clock cycle an amplifier decides on the difference that its hold capacitor has, and the decision moves that
    difference against itself, by half as much as in the cycle before. Two more cycles set the difference above and
    below the offset by the overdrive, which checks the result and gives the decision time. What counts are the
    differences that the simulator really had at each clock edge, so an error of the steps cannot bias the result.

    Attributes:
        technology: transistors and supply.
        amplifier: the amplifier.
        vcm_v: mean of both inputs, V.
        range_v: offsets from minus to plus this are found, V.
        resolution_v: widest interval in which an offset counts as caught, V.
        overdrive_v: distance from the offset at which the decision time is taken, V.
        t_half_s: half a clock period, s. The decision is looked at after 70 % of it, and an amplifier that needs more
            than half of that at the overdrive is too slow to catch its offset.

    Example:
        >>> from prcim.cells.technology import own_technology
        >>> OffsetSearch(technology=own_technology(), amplifier=StrongArm()).cycles
        12
    """

    technology: Technology
    amplifier: StrongArm
    vcm_v: float = 1.0
    range_v: float = 0.15
    resolution_v: float = 0.25e-3
    overdrive_v: float = 10e-3
    t_half_s: float = 1e-9

    def __post_init__(self) -> None:
        vdd_v = self.technology.vdd_v
        if not 0 <= self.vcm_v <= vdd_v:
            raise InputError(f"vcm_v is {self.vcm_v} V; the inputs lie between 0 and the supply, {vdd_v:g} V")
        if not 1e-5 <= self.resolution_v <= 1e-2:
            raise InputError(f"resolution_v is {self.resolution_v} V; it must lie between 10 uV and 10 mV")
        if not 4 * self.resolution_v <= self.range_v <= vdd_v:
            raise InputError(
                f"range_v is {self.range_v} V; it must be four times resolution_v or more, and at most the supply,"
                f" {vdd_v:g} V"
            )
        if not 4 * self.resolution_v <= self.overdrive_v <= vdd_v / 2:
            raise InputError(
                f"overdrive_v is {self.overdrive_v} V; it must be four times resolution_v or more, and at most half the"
                " supply"
            )
        if not 20 * EDGE_S <= self.t_half_s <= 1e-7:
            raise InputError(f"t_half_s is {self.t_half_s} s; half a clock period lies between 0.4 and 100 ns")

    @property
    def cycles(self) -> int:
        """Clock cycles of the bisection; one more than it needs, since each step is a little inexact."""
        return math.ceil(math.log2(self.range_v / self.resolution_v)) + 2

    @property
    def t_stop_s(self) -> float:
        """End of the last cycle, s."""
        return 2 * self.t_half_s * (self.cycles + 2)

    @property
    def t_edges_s(self) -> NDArray[np.float64]:
        """The middle of every rising edge of the clock, s; the last two belong to the overdriven cycles."""
        return np.asarray(self.t_half_s * (1 + 2 * np.arange(self.cycles + 2)) + EDGE_S / 2)

    def deck(
        self, dvt_v: NDArray[np.float64], factor: NDArray[np.float64], vcm_v: NDArray[np.float64] | None = None
    ) -> Deck:
        """The deck, in which amplifier i is `x<i>`.

        Args:
            dvt_v: growth of each threshold's magnitude, V, shape (amplifiers, parts).
            factor: factor on each mobility, same shape.
            vcm_v: mean of both inputs where it is not the same for all, V, shape (amplifiers,).
        """
        vdd_v, half_s = self.technology.vdd_v, self.t_half_s
        common_v = [self.vcm_v] * len(dvt_v) if vcm_v is None else vcm_v.tolist()
        circuit = Circuit(f"prcim offsets of {len(dvt_v)} sense amplifiers")
        circuit.raw_spice += self.technology.preamble
        circuit.subcircuit(self.amplifier.subcircuit(self.technology))
        circuit.V("dd", "vdd", 0, vdd_v)
        times = f"{half_s:.6g} {EDGE_S:g} {EDGE_S:g} {half_s - EDGE_S:.6g} {2 * half_s:.6g}"
        clock = f"pulse(0 {vdd_v:.6g} {times})"
        step_v = [self.range_v / 2 ** (k + 1) for k in range(self.cycles)]
        kick_v = [0.0] * (self.cycles - 1) + [self.overdrive_v, -2 * self.overdrive_v]
        lines = [f"vclk clk 0 {clock}", f"vstep step 0 {self._moves(step_v)}", f"vkick kick 0 {self._moves(kick_v)}"]
        for k, (dvt, mu, vcm) in enumerate(zip(dvt_v, factor, common_v, strict=True)):
            nodes = (f"p{k}", f"n{k}", "clk", f"outp{k}", f"outn{k}", "vdd", "0")
            circuit.X(str(k), self.amplifier.name, *nodes, **self.amplifier.instance(dvt, mu))
            lines += self._bench(k, vcm)
        netlist = "\n".join([str(circuit), *lines, SOLVER, ""])
        save = [f"v({node}{k})" for k in range(len(dvt_v)) for node in ("d", "outp", "outn")]
        tran = f"tran {half_s / 20:.6g} {self.t_stop_s:.6g} 0 {half_s / 20:.6g}"
        return Deck(netlist=netlist, save=("i(vdd)", "i(vclk)", *save), analyses=(tran,))

    def _moves(self, height_v: list[float]) -> str:
        """A triangle in every cycle, after its decision."""
        points = [(0.0, 0.0)]
        for cycle, height in enumerate(height_v):
            middle_s, width_s = self.t_half_s * (1 + 2 * cycle + MOVE), HALF_MOVE * self.t_half_s
            points += [(middle_s - width_s, 0.0), (middle_s, height), (middle_s + width_s, 0.0)]
        return "pwl(" + " ".join(f"{t:.9g} {v:.9g}" for t, v in points) + ")"

    def _bench(self, k: int, vcm_v: float) -> list[str]:
        """What one amplifier has of its own. As text: PySpice would put braces around the expressions."""
        vdd_v = self.technology.vdd_v
        # A triangle of height h lasts 2 HALF_MOVE halves, so this current moves the capacitor by h.
        gain = HOLD_F / (HALF_MOVE * self.t_half_s)
        level_v = {f"d{k}": 0.0, f"p{k}": vcm_v, f"n{k}": vcm_v, f"outp{k}": vdd_v, f"outn{k}": vdd_v}
        level_v |= {f"x{k}.midp": vdd_v, f"x{k}.midn": vdd_v, f"x{k}.tail": vdd_v / 2}
        return [
            f"bstep{k} 0 d{k} i={gain:.6g}*(v(step)*tanh(20*(v(outn{k})-v(outp{k})))+v(kick))",
            f"chold{k} d{k} 0 {HOLD_F:g}",
            f"rhold{k} d{k} 0 {LEAK_OHM:g}",
            f"bp{k} p{k} 0 v={vcm_v:.6g}+0.5*v(d{k})",
            f"bn{k} n{k} 0 v={vcm_v:.6g}-0.5*v(d{k})",
            *(f".nodeset v({node})={volts:.6g}" for node, volts in level_v.items()),
        ]

    def result(self, outcome: Outcome, amplifiers: int) -> Offsets:
        """What `deck` found; every amplifier has an entry, also when the simulation failed."""
        values = outcome.values
        if not values or values["time"][-1] < (1 - 1e-6) * self.t_stop_s:
            return no_offsets(outcome.status_or("failed: the transient ended early"), amplifiers)
        time_s, edges_s, vdd_v = values["time"], self.t_edges_s, self.technology.vdd_v
        offset_v, half_width_v, t_decide_s = np.full((3, amplifiers), np.nan)
        status = []
        for k in range(amplifiers):
            apart_v = values[f"v(outp{k})"] - values[f"v(outn{k})"]
            found = catch(
                np.interp(edges_s, time_s, values[f"v(d{k})"]),
                np.interp(edges_s + LOOK * self.t_half_s, time_s, apart_v),
                vdd_v=vdd_v,
                range_v=self.range_v,
                resolution_v=self.resolution_v,
            )
            if found.status == "ok":
                t_s = float(np.mean([self._reached_s(time_s, apart_v, edge_s) for edge_s in edges_s[-2:]]))
                if t_s > LOOK * self.t_half_s / 2:
                    found = Caught(math.nan, math.nan, f"slow: needs {t_s * 1e9:.3g} ns; lengthen the clock's period")
                else:
                    t_decide_s[k] = t_s
            offset_v[k], half_width_v[k] = found.offset_v, found.half_width_v
            status.append(found.status)
        return Offsets(
            offset_v=offset_v,
            half_width_v=half_width_v,
            t_decide_s=t_decide_s,
            status=tuple(status),
            energy_j=self._energy_j(values) / amplifiers,
        )

    def _reached_s(self, time_s: NDArray[np.float64], apart_v: NDArray[np.float64], edge_s: float) -> float:
        """Time from an edge until the outputs are half the supply apart, s."""
        half_v = self.technology.vdd_v / 2
        first = int(np.argmax((time_s > edge_s) & (np.abs(apart_v) > half_v)))
        pair = slice(first - 1, first + 1)
        return float(np.interp(half_v, np.abs(apart_v[pair]), time_s[pair])) - edge_s

    def _energy_j(self, values: Mapping[str, NDArray[np.float64]]) -> float:
        """Energy of all amplifiers in one cycle, mean of the last two, J."""
        time_s, period_s = values["time"], 2 * self.t_half_s
        # What a falling clock gives back ends in its driver, not in the supply.
        power_w = self.technology.vdd_v * (np.maximum(-values["i(vclk)"], 0.0) - values["i(vdd)"])
        so_far_j = np.concatenate(([0.0], np.cumsum(np.diff(time_s) * (power_w[1:] + power_w[:-1]) / 2)))
        begin_j, end_j = np.interp([self.cycles * period_s, self.t_stop_s], time_s, so_far_j)
        return float(end_j - begin_j) / 2
