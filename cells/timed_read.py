"""Reads that happen in time: a switch sets the bit lines, lets go, the cells act, the read-out looks."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from prcim.cells.column import Column, ColumnDraw, word_line
from prcim.cells.read import EDGE_S, NO_SHOTS, Read, Shots, data_held, latch_nodes, word_levels
from prcim.spice.deck import Deck
from prcim.spice.outcome import Outcome

#: ngspice's 1e-3 would allow an error of 1 mV on a line at the supply.
SOLVER = ".options reltol=1e-4 vntol=1e-7 abstol=1e-13\n"
#: The switch stays on for so many time constants, so that no read remembers the one before: exp(-12) is 6e-6.
SWITCH_TAU = 12.0
#: How far a latch may be from its bit when the word lines are down again, as a fraction of the supply.
MARGIN = 0.25


class TimedRead(Read):
    """Reads of one column follow each other in one transient, as on a chip.

    A read begins with the switch on. The switch goes off, the word lines go to their levels, the read-out looks, the
    word lines go back to rest, the switch comes on again and stays on until the line is back. The energy is that of all
    sources from one read's beginning to the next one's.

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

    def deck(self, column: Column, draw: ColumnDraw, inputs: NDArray[np.int8]) -> Deck:  # noqa: D102
        self.check(column)
        title = f"prcim {column.rows}-row column, {len(inputs)} {self.name} reads"
        circuit = column.circuit(draw, title, supply_v=self.supply_v(column))
        period_s, shots = self.t_read_s(column), len(inputs)
        off_s = self.t_off_s(column)
        vdd_v = column.technology.vdd_v
        on_v, away_v = (0.0, vdd_v) if column.load.kind == "p" else (vdd_v, 0.0)
        switch = [(0.0, on_v)]
        for shot in range(shots):
            start_s = shot * period_s
            # The first edge begins with the read; time 0 itself belongs to the operating point.
            switch += [(start_s + EDGE_S, on_v), (start_s + 2 * EDGE_S, away_v)]
            switch += [(start_s + off_s + EDGE_S, away_v), (start_s + off_s + 2 * EDGE_S, on_v)]
        lines = [f"vcontrol control 0 {_pwl(switch)}\n"]
        levels_v = self.v_wl_v * word_levels(column, inputs)
        rest_v = self.v_wl_v * self.rest
        up_s, down_s = (EDGE_S + t for t in self.word_line_times_s(column))
        for row, twin in column.places:
            for i, port in enumerate(column.cell.word_lines):
                node = word_line(port, row, twin)
                points = [(0.0, rest_v)]
                for shot in np.flatnonzero(levels_v[:, row, twin, i] != rest_v).tolist():
                    start_s, level_v = shot * period_s, float(levels_v[shot, row, twin, i])
                    points += [(start_s + up_s, rest_v), (start_s + up_s + EDGE_S, level_v)]
                    points += [(start_s + down_s, level_v), (start_s + down_s + EDGE_S, rest_v)]
                lines.append(f"v{node} {node} 0 {_pwl(points)}\n")
        saved = [f"v({end})" for end in column.ends] + ["i(vload)", "i(vcell)"]
        saved += [f"v({node})" for node in latch_nodes(column)]
        saved += [part for node in self._nodes(column) for part in (f"v({node})", f"i(v{node})")]
        step_s = self.t_step_s(column)
        tran = f"tran {step_s:.6g} {shots * period_s:.6g} 0 {step_s:.6g}"
        return Deck(netlist=f"{circuit}\n{''.join(lines)}{SOLVER}", save=tuple(saved), analyses=(tran,))

    def result(self, column: Column, draw: ColumnDraw, inputs: NDArray[np.int8], outcome: Outcome) -> Shots:
        """What `deck` measured; after a read in which a cell lost its data there are no others."""
        values = outcome.values
        if not values:
            return NO_SHOTS
        time_s, period_s = values["time"], self.t_read_s(column)
        shots = min(len(inputs), int((time_s[-1] + 1e-3 * period_s) / period_s))
        starts_s = period_s * np.arange(shots)
        look_s = starts_s + EDGE_S + self.t_look_s(column)
        # The latches are looked at when the word lines are at rest again.
        rest_s = starts_s + EDGE_S + self.t_off_s(column)
        lines_v = np.array([np.interp(look_s, time_s, values[f"v({end})"]) for end in column.ends])
        latch_v = np.array([np.interp(rest_s, time_s, values[f"v({node})"]) for node in latch_nodes(column)])
        power_w = -self.supply_v(column) * values["i(vload)"] - column.technology.vdd_v * values["i(vcell)"]
        for node in self._nodes(column):
            # What a falling word line gives back ends in its driver, not in the supply.
            power_w = power_w + np.maximum(-values[f"v({node})"] * values[f"i(v{node})"], 0.0)
        so_far_j = np.concatenate(([0.0], np.cumsum(np.diff(time_s) * (power_w[1:] + power_w[:-1]) / 2)))
        energy_j = np.diff(np.interp(period_s * np.arange(shots + 1), time_s, so_far_j))
        held = np.ones(shots, dtype=np.bool_)
        if len(latch_v):
            held = data_held(column, draw, latch_v, MARGIN)
        known = shots if held.all() else int(np.argmin(held)) + 1
        return Shots(
            v_bl_v=(lines_v[0] - lines_v[1:].sum(axis=0))[:known],
            energy_j=energy_j[:known],
            held=held[:known],
        )

    def _nodes(self, column: Column) -> list[str]:
        """Nodes of all word lines."""
        return [word_line(port, *place) for place in column.places for port in column.cell.word_lines]


def _pwl(points: list[tuple[float, float]]) -> str:
    if len(points) == 1:
        return f"{points[0][1]:.6g}"
    return "pwl(" + " ".join(f"{t:.9g} {v:.6g}" for t, v in points) + ")"
