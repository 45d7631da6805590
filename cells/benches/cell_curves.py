"""What single cells draw from a bit line over its voltage: the curves that the composed engine adds up."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from prcim.cells.benches.bench import SOLVER, Shifts, bench, held, latch_names, stepped, waiting_v
from prcim.cells.cell import Cell
from prcim.cells.reads.read import EDGE_S
from prcim.cells.technology import Technology
from prcim.spice.deck import Deck
from prcim.spice.outcome import Outcome

#: A transient whose currents are integrated: without `chgtol` ngspice overlooks charges below 10 fC, 20 cells' worth.
SOLVER_IN_TIME = ".options reltol=1e-5 vntol=1e-8 abstol=1e-14 chgtol=1e-17\n"
#: When the word line rises, in edges: the bit line is moved from rest to its voltage before.
WORD_LINE_UP = 4


@final
@dataclass(frozen=True, kw_only=True)
class CellCurves:
    """A bench of cells whose bit lines are all held at one voltage, which takes a few values one after the other.

    Attributes:
        technology, cell: the cell.
        v_wl_v: active level of the word lines, V.
        v_bl_v: voltages of the bit lines, V, falling.

    Example:
        >>> from prcim.cells.cell_8t import Cell8T
        >>> from prcim.cells.technology import own_technology
        >>> CellCurves(technology=own_technology(), cell=Cell8T(), v_wl_v=0.4, v_bl_v=(1.1, 1.0)).points
        2
    """

    technology: Technology
    cell: Cell
    v_wl_v: float
    v_bl_v: tuple[float, ...]

    @property
    def points(self) -> int:
        """Number of voltages."""
        return len(self.v_bl_v)

    def current_deck(self, shifts: Shifts, *, bit: int, x: int) -> Deck:
        """A deck for the currents of cells at rest.

        Args:
            shifts: mismatch of the cells.
            bit: what they store.
            x: the input that they see, as first twins: +1 opens them.
        """
        words = "".join(f"v{name} {name} 0 {level_v:.9g}\n" for name, level_v in self._words(x).items())
        lines = f"vpoint point 0 0\n{stepped('line', self.v_bl_v)}"
        netlist = f"{self._bench(shifts, bit)}{words}{lines}{self._senses(len(shifts[0]))}{SOLVER}"
        save = (*self._names(len(shifts[0])), *latch_names(self.cell, len(shifts[0])))
        return Deck(netlist=netlist, save=save, analyses=(f"dc vpoint 0 {self.points - 1} 1",))

    def currents_a(self, outcome: Outcome, cells: int, *, bit: int) -> NDArray[np.float64] | None:
        """Currents out of the bit lines, A, shape (lines, cells, points), from `current_deck`.

        NaN for a cell that lost its bit; None where the deck was not solved.
        """
        if len(outcome.values.get("v(point)", next(iter(outcome.values.values()), ()))) != self.points:
            return None
        found = np.array([outcome.values[name] for name in self._names(cells)])
        found = found.reshape(len(self.cell.bit_lines), cells, self.points)
        found[:, ~held(self.cell, outcome.values, bit=bit, cells=cells).all(axis=1)] = np.nan
        return found

    def charge_deck(self, shifts: Shifts, *, bit: int, x: int, t_pulse_s: float) -> Deck:
        """A deck for the charge of a pulse of the word line, an analysis for each voltage.

        The cells have long been at rest with their bit line at the supply. It goes to its voltage, then the word line
        rises, and falls after `t_pulse_s`.
        """
        vdd_v, up_s = self.technology.vdd_v, WORD_LINE_UP * EDGE_S
        down_s = up_s + t_pulse_s
        step_s = max(t_pulse_s / 20, EDGE_S / 4)
        words = (
            f"vup up 0 pwl(0 0 {up_s:.9g} 0 {up_s + EDGE_S:.9g} 1 {down_s:.9g} 1 {down_s + EDGE_S:.9g} 0)\n"
            + "".join(f"b{name} {name} 0 v={level_v:.9g}*v(up)\n" for name, level_v in self._words(x).items())
        )
        lines = (
            f"vpoint point 0 0\n{stepped('away', [v - vdd_v for v in self.v_bl_v])}"
            f"vgo go 0 pwl(0 0 {EDGE_S:.9g} 0 {2 * EDGE_S:.9g} 1)\nbline line 0 v={vdd_v:.9g}+v(go)*v(away)\n"
        )
        netlist = f"{self._bench(shifts, bit)}{words}{lines}{self._senses(len(shifts[0]))}{SOLVER_IN_TIME}"
        tran = f"tran {step_s:.6g} {down_s + 3 * EDGE_S:.6g} 0 {step_s:.6g}"
        others = [f"alter vpoint dc = {point}\n{tran}" for point in range(1, self.points)]
        return Deck(netlist=netlist, save=tuple(self._names(len(shifts[0]))), analyses=(tran, *others))

    def charges_c(self, outcome: Outcome, cells: int) -> NDArray[np.float64] | None:
        """Charges out of the bit lines, C, shape (lines, cells, points), from `charge_deck`; None if not solved."""
        if len(outcome.plots) != self.points:
            return None
        found = []
        for plot in outcome.plots:
            inside = plot["time"] >= WORD_LINE_UP * EDGE_S * (1 - 1e-6)
            current_a = np.array([plot[name][inside] for name in self._names(cells)])
            found.append(np.trapezoid(current_a, plot["time"][inside], axis=1))
        return np.array(found).T.reshape(len(self.cell.bit_lines), cells, self.points)

    def _words(self, x: int) -> dict[str, float]:
        levels = self.cell.levels(x, 0)
        return {name: level * self.v_wl_v for name, level in zip(self.cell.word_lines, levels, strict=True)}

    def _bench(self, shifts: Shifts, bit: int) -> str:
        driven = (*self.cell.word_lines, *self.cell.bit_lines)
        waiting = waiting_v(self.cell, self.technology.vdd_v, v_bl_v=0.0)
        level_v = {port: volts for port, volts in waiting.items() if port not in driven}
        title = "prcim curves of single cells"
        own = self.cell.bit_lines
        return f"{bench(title, self.technology, self.cell, shifts, bit=bit, level_v=level_v, own=own)}\n"

    def _senses(self, cells: int) -> str:
        places = [(port, index) for port in self.cell.bit_lines for index in range(cells)]
        return "".join(f"vs{port}{index} line {port}{index} 0\n" for port, index in places)

    def _names(self, cells: int) -> list[str]:
        return [f"i(vs{port}{index})" for port in self.cell.bit_lines for index in range(cells)]
