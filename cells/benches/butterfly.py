"""How much noise a latch bears: its two halves apart, and the largest square between their curves."""

from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray
from PySpice.Spice.Netlist import SubCircuit

from prcim.cells.benches.bench import SOLVER, Shifts, bench, latch_names, stepped, waiting_v
from prcim.cells.cell import Cell
from prcim.cells.devices.part import Part
from prcim.cells.devices.transistor import Transistor
from prcim.cells.technology import Technology
from prcim.errors import InputError
from prcim.spice.deck import Deck
from prcim.spice.outcome import Outcome

#: The port at which both halves of an opened latch get their input.
INPUT = "input"
#: Step of the input, V. Straight lines between its points make a margin 0.1 mV too small.
STEP_V = 0.01


@final
@dataclass(frozen=True, kw_only=True)
class Curves:
    """Transfer curves of the two halves of some latches.

    Attributes:
        input_v: voltage on the gates, rising, V, shape (points,).
        true_v: what the half that drives the true node makes of it, falling, V, shape (cells, points).
        false_v: the same for the other half.
    """

    input_v: NDArray[np.float64]
    true_v: NDArray[np.float64]
    false_v: NDArray[np.float64]


def opened(cell: Cell, technology: Technology) -> SubCircuit:
    """The cell's sub-circuit with every gate that hangs on a latch node moved to the port `INPUT`.

    Raises:
        InputError: the cell has no latch.
    """
    if not cell.latch:
        raise InputError(f"{cell.name} has no latch, so there is no noise margin to measure")
    parameters = dict(cell.state(1))
    parts = [_opened(part, cell.latch) for part in cell.parts]
    for part in parts:
        parameters.update(part.parameters(0.0, 1.0))
    circuit = SubCircuit(f"{cell.name}_opened", *cell.ports, INPUT, **parameters)
    for part in parts:
        part.add_to(circuit, technology)
    return circuit


def butterfly_deck(technology: Technology, cell: Cell, shifts: Shifts, *, v_wl_v: float | None) -> Deck:
    """A deck that sweeps the input of many opened latches.

    Args:
        technology, cell: the cell.
        shifts: its mismatch.
        v_wl_v: active level of the word lines that a read raises, with every bit line at the supply, V; None for a
            cell that is not read.
    """
    vdd_v = technology.vdd_v
    level_v = waiting_v(cell, vdd_v, v_bl_v=vdd_v)
    if v_wl_v is not None:
        level_v |= {name: v_wl_v * level for name, level in zip(cell.word_lines, cell.levels(1, 0), strict=True)}
    circuit = bench(
        "prcim opened latches", technology, cell, shifts, bit=1, level_v=level_v, subcircuit=opened(cell, technology)
    )
    circuit.V("point", "point", 0, 0)
    steps = round(vdd_v / STEP_V)
    return Deck(
        netlist=f"{circuit}\n{stepped(INPUT, list(np.linspace(0, vdd_v, steps + 1)))}{SOLVER}",
        save=tuple(latch_names(cell, len(shifts[0]))),
        analyses=(f"dc vpoint 0 {steps} 1",),
    )


def butterfly_curves(technology: Technology, cell: Cell, outcome: Outcome, *, cells: int) -> Curves | None:
    """What `butterfly_deck` measured; None when the sweep did not reach its end."""
    steps = round(technology.vdd_v / STEP_V)
    values, names = outcome.values, latch_names(cell, cells)
    if any(len(values.get(name, ())) != steps + 1 for name in names):
        return None
    curves = np.array([values[name] for name in names]).reshape(cells, 2, steps + 1)
    input_v = np.linspace(0, technology.vdd_v, steps + 1)
    return Curves(input_v=input_v, true_v=curves[:, 0], false_v=curves[:, 1])


def noise_margins(curves: Curves) -> NDArray[np.float64]:
    """Side of the largest square between the two curves, on either side of the diagonal, V, shape (cells, 2).

    With x the true and y the false node one half is the curve y = f(x), the other x = g(y). Along x - y both rise, so
    a square's corners on the two curves lie at the same x - y, and its side is half the difference of x + y. Between
    its points a curve is taken as straight, so the largest difference is at a point of one of them.

    The first margin belongs to the state that stores 0 (x below y), the second to the one that stores 1; the smaller
    one is the cell's static noise margin. A negative one means that the cell has no such state.

    Source: Seevinck, List, Lohstroh, IEEE JSSC 22(5), 1987.

    Example:
        >>> step = np.array([[1.0, 1.0, 0.0, 0.0]])
        >>> ideal = Curves(input_v=np.array([0, 0.499999, 0.500001, 1]), true_v=step, false_v=step)
        >>> noise_margins(ideal).round(3).tolist()
        [[0.5, 0.5]]
    """
    cells = len(curves.true_v)
    # x + y against x - y: the half that drives the false node with x as its input, the other one the wrong way round.
    first = curves.input_v - curves.false_v, curves.input_v + curves.false_v
    second = (curves.true_v - curves.input_v)[:, ::-1], (curves.true_v + curves.input_v)[:, ::-1]
    margins = np.empty((cells, 2))
    for i in range(cells):
        s1, t1, s2, t2 = first[0][i], first[1][i], second[0][i], second[1][i]
        s = np.unique(np.concatenate((s1, s2, [0.0])))
        s = s[(s >= max(s1[0], s2[0])) & (s <= min(s1[-1], s2[-1]))]
        side = (np.interp(s, s1, t1) - np.interp(s, s2, t2)) / 2
        margins[i] = side[s <= 0].max(), (-side[s >= 0]).max()
    return margins


def _opened(part: Part, latch: tuple[str, ...]) -> Part:
    if isinstance(part, Transistor) and part.gate in latch:
        return replace(part, gate=INPUT)
    return part
