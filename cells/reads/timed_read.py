"""Reads that happen in time: a switch sets the bit lines, lets go, the cells act, the read-out looks."""

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from prcim.cells.column import Column, ColumnDraw, word_line
from prcim.cells.reads.read import EDGE_S, NO_SHOTS, Read, Shots, data_held, latch_nodes, levels_by_shot, word_levels
from prcim.spice.deck import Deck
from prcim.spice.outcome import Outcome

#: ngspice's reltol of 1e-3 would allow an error of 1 mV on a line at the supply. With its trtol of 7 each read of 64
#: pulsed 8T rows is off by 0.007 rms in S of its own, and all of a sum by up to 0.16 together, against time steps six
#: times as fine; with 1 by 0.0014 and 0.045.
SOLVER = ".options reltol=1e-5 vntol=1e-7 abstol=1e-12 chgtol=1e-16 trtol=1\n"
#: The switch stays on for so many time constants until the next read: exp(-12) is 6e-6.
SWITCH_TAU = 12.0
#: How far a latch may be from its bit when the word lines are down again, as a fraction of the supply.
MARGIN = 0.25


class TimedRead(Read):
    """Each read is a transient of its own, from the operating point of a column that has long been at rest.

    A read begins with the switch on. The switch goes off, the word lines go to their levels, the read-out looks, the
    word lines go back to rest, the switch comes on again and stays on until the line is back. The energy is that of all
    sources and drivers from one read's beginning to the next one's.

    Assumption: no read remembers the one before. On a chip an inner node that nothing drives at rest does, until it has
    leaked away: reads close upon each other moved a 64-row 8T column by up to 0.1 in S, and 1T1R cells, whose inner
    node comes back through the resistor, by 1.

    Attributes:
        rest: level of a word line at rest, as a fraction of the active level.
    """

    rest: ClassVar[float]
    shots_per_deck: ClassVar[int] = 16

    @abstractmethod
    def supply_v(self, column: Column) -> float:
        """Voltage to which the switch sets the lines, V."""

    @abstractmethod
    def word_line_times_s(self, column: Column) -> tuple[float, float]:
        """When the word lines begin to leave rest and when they begin to return, from the switch's going off, s."""

    @abstractmethod
    def t_look_s(self, column: Column) -> float:
        """When the read-out looks, from the switch's going off, s."""

    @abstractmethod
    def t_step_s(self, column: Column) -> float:
        """Longest time step of the simulation, s."""

    def t_on_s(self, column: Column) -> float:
        """How long the switch is on between two reads, s."""
        return SWITCH_TAU * column.tau_s + 2 * EDGE_S

    def t_off_s(self, column: Column) -> float:
        """How long the switch is off, s."""
        return max(self.t_look_s(column), self.word_line_times_s(column)[1] + EDGE_S) + EDGE_S

    def t_read_s(self, column: Column) -> float:  # noqa: D102
        return self.t_off_s(column) + self.t_on_s(column)

    def t_end_s(self, column: Column) -> float:
        """How much of the read is simulated, s; the energy of a read that is cut short is not a number."""
        return self.t_read_s(column)

    def deck(self, column: Column, draw: ColumnDraw, inputs: NDArray[np.int8]) -> Deck:
        """A deck that reads one column once for every input vector, each in an analysis of its own."""
        self.check(column)
        title = f"prcim {column.rows}-row column, {len(inputs)} {self.name} reads"
        circuit = column.circuit(draw, title, supply_v=self.supply_v(column))
        circuit.V("shot", "shot", 0, 0)
        on_v, away_v = self._control_v(column)
        off_s, (up_s, down_s) = self.t_off_s(column), self._word_line_times_s(column)
        # Time 0 itself belongs to the operating point.
        off = ((0.0, on_v), (EDGE_S, on_v), (2 * EDGE_S, away_v), (off_s + EDGE_S, away_v), (off_s + 2 * EDGE_S, on_v))
        up = ((0.0, 0.0), (up_s, 0.0), (up_s + EDGE_S, 1.0), (down_s, 1.0), (down_s + EDGE_S, 0.0))
        lines = [f"vcontrol control 0 {_pwl(off)}\n", f"vup up 0 {_pwl(up)}\n"]
        rest_v = self.v_wl_v * self.rest
        moves_v = self.v_wl_v * word_levels(column, inputs) - rest_v
        for row, twin in column.places:
            for i, port in enumerate(column.cell.word_lines):
                node, move = word_line(port, row, twin), levels_by_shot(moves_v[:, row, twin, i])
                lines.append(f"b{node} {node} 0 v={rest_v:.6g}+v(up)*{move}\n")
        saved = ["v(shot)", *(f"v({end})" for end in column.ends), *column.supplies_v(self.supply_v(column))]
        saved += ["i(vcontrol)", *(f"v({node})" for node in latch_nodes(column, draw))]
        saved += [f"i(b{node})" for node in self._nodes(column)]
        step_s = self.t_step_s(column)
        tran = f"tran {step_s:.6g} {self.t_end_s(column):.6g} 0 {step_s:.6g}"
        reads = [f"alter vshot dc = {shot}\n{tran}" for shot in range(1, len(inputs))]
        return Deck(netlist=f"{circuit}\n{''.join(lines)}{SOLVER}", save=tuple(saved), analyses=(tran, *reads))

    def result(self, column: Column, draw: ColumnDraw, inputs: NDArray[np.int8], outcome: Outcome) -> Shots:  # noqa: D102
        # An analysis that finds no operating point leaves no plot, so each says which read it is.
        plots = {round(float(plot["v(shot)"][0])): plot for plot in outcome.plots}
        levels_v = self.v_wl_v * word_levels(column, inputs)
        v_bl_v: list[float] = []
        energy_j: list[float] = []
        held: list[bool] = []
        for shot, plot in sorted(plots.items()):
            # A transient that gives up half-way leaves the points that it reached.
            if shot != len(v_bl_v) or plot["time"][-1] < (1 - 1e-3) * self.t_end_s(column):
                break
            time_s = plot["time"]
            look_s = EDGE_S + self.t_look_s(column)
            ends_v = [float(np.interp(look_s, time_s, plot[f"v({end})"])) for end in column.ends]
            v_bl_v.append(ends_v[0] - sum(ends_v[1:]))
            whole = self.t_end_s(column) >= self.t_read_s(column)
            rest_j = draw.rest_w * self.t_read_s(column) if whole else math.nan
            energy_j.append(rest_j + self._energy_j(column, levels_v[shot], plot))
            # The latches are looked at when the word lines are at rest again.
            rest_s = EDGE_S + self.t_off_s(column)
            latch_v = np.array([[np.interp(rest_s, time_s, plot[f"v({node})"])] for node in latch_nodes(column, draw)])
            held.append(not len(latch_v) or bool(data_held(column, draw, latch_v, MARGIN)[0]))
        if not v_bl_v:
            return NO_SHOTS
        return Shots(v_bl_v=np.array(v_bl_v), energy_j=np.array(energy_j), held=np.array(held))

    def _energy_j(
        self, column: Column, levels_v: NDArray[np.float64], plot: Mapping[str, NDArray[np.float64]]
    ) -> float:
        """Energy of one read from the supplies, and from the rails to which the drivers connect switch and word lines.

        What a line gives back to a rail ends there: nobody is sure to use it.
        """
        time_s = plot["time"]
        energy_j = 0.0
        for name, volts in column.supplies_v(self.supply_v(column)).items():
            energy_j -= volts * _charge(time_s, plot[name], 0.0, np.inf)
        control = self._control_v(column)
        times_s = (0.0, EDGE_S, self.t_off_s(column) + EDGE_S, np.inf)
        energy_j += _driver_j(time_s, plot["i(vcontrol)"], times_s, (control[0], control[1], control[0]))
        rest_v = self.v_wl_v * self.rest
        times_s = (0.0, *self._word_line_times_s(column), np.inf)
        for node, level_v in zip(self._nodes(column), levels_v.reshape(-1), strict=True):
            energy_j += _driver_j(time_s, plot[f"i(b{node})"], times_s, (rest_v, float(level_v), rest_v))
        return energy_j

    def _control_v(self, column: Column) -> tuple[float, float]:
        """Voltage of the control at which the switch is on, and at which it is off."""
        vdd_v = column.technology.vdd_v
        return (0.0, vdd_v) if column.load.kind == "p" else (vdd_v, 0.0)

    def _word_line_times_s(self, column: Column) -> tuple[float, float]:
        """`word_line_times_s` from the read's beginning."""
        up_s, down_s = self.word_line_times_s(column)
        return EDGE_S + up_s, EDGE_S + down_s

    def _nodes(self, column: Column) -> list[str]:
        """Nodes of all word lines."""
        return [word_line(port, *place) for place in column.places for port in column.cell.word_lines]


def _pwl(points: tuple[tuple[float, float], ...]) -> str:
    return "pwl(" + " ".join(f"{t:.9g} {v:.6g}" for t, v in points) + ")"


def _charge(time_s: NDArray[np.float64], current_a: NDArray[np.float64], first_s: float, last_s: float) -> float:
    inside = (time_s >= first_s * (1 - 1e-9)) & (time_s <= last_s * (1 + 1e-9))
    return float(np.trapezoid(current_a[inside], time_s[inside]))


def _driver_j(
    time_s: NDArray[np.float64], current_a: NDArray[np.float64], times_s: tuple[float, ...], rails_v: tuple[float, ...]
) -> float:
    """Energy from the rails to which a driver connects a line one after the other.

    Args:
        time_s, current_a: current into the driver.
        times_s: when each rail's turn begins, and when that of the last one ends, s.
        rails_v: their voltages, V.
    """
    turns = zip(rails_v, times_s[:-1], times_s[1:], strict=True)
    return sum(volts * max(-_charge(time_s, current_a, first_s, last_s), 0.0) for volts, first_s, last_s in turns)
