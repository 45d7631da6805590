"""What a read is: how the word lines of a column are driven, when its bit lines are looked at, what that costs."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from prcim.cells.column import Column, ColumnDraw, instance, word_line
from prcim.errors import InputError
from prcim.spice.deck import Deck
from prcim.spice.outcome import Outcome

#: Word-line edges, s. Assumption: two inverter delays at 65 nm.
EDGE_S = 20e-12
BOLTZMANN_J_PER_K = 1.380649e-23
#: Kinds of load in words.
LOADS = {"": "a resistor", "p": "a PMOS", "n": "an NMOS"}


@final
@dataclass(frozen=True, kw_only=True)
class Shots:
    """What the reads of one deck gave, up to the first that was not solved.

    Attributes:
        v_bl_v: voltage of the bit line, or difference of the two, when the read-out looks, V, shape (reads,).
        energy_j: energy from all supplies, J, shape (reads,); what a read leaves out, it says.
        held: whether every cell still holds its data, shape (reads,).
    """

    v_bl_v: NDArray[np.float64]
    energy_j: NDArray[np.float64]
    held: NDArray[np.bool_]


NO_SHOTS = Shots(v_bl_v=np.empty(0), energy_j=np.empty(0), held=np.empty(0, dtype=np.bool_))


class Read(ABC):
    """A way to read a column.

    Attributes:
        name: "steady", "pulsed" or "charge".
        v_wl_v: voltage of an active word line, V.
        loads: kinds of load that it works with, see `Part.kind`.
        shots_per_deck: reads that one deck should hold at most.
    """

    name: ClassVar[str]
    loads: ClassVar[tuple[str, ...]]
    shots_per_deck: ClassVar[int]
    v_wl_v: float

    @abstractmethod
    def t_read_s(self, column: Column) -> float:
        """Time that one read takes, until the next can begin, s."""

    @abstractmethod
    def deck(self, column: Column, draw: ColumnDraw, inputs: NDArray[np.int8]) -> Deck:
        """A deck that reads one column once for every input vector.

        Args:
            column, draw: the column.
            inputs: +1 or -1, shape (reads, n_used).
        """

    @abstractmethod
    def result(self, column: Column, draw: ColumnDraw, inputs: NDArray[np.int8], outcome: Outcome) -> Shots:
        """What `deck` measured, up to the first read that was not solved."""

    @property
    def brief(self) -> "Read":
        """The same read where its voltage is all that is wanted: its energy may not be a number."""
        return self

    @abstractmethod
    def noise_deck(self, column: Column, inputs: NDArray[np.int8]) -> Deck:
        """A deck for the noise of a column without mismatch, whose weights are all +1.

        Args:
            column: the column.
            inputs: one input vector, shape (n_used,).
        """

    @abstractmethod
    def noise_v(self, column: Column, outcome: Outcome) -> float | None:
        """Standard deviation of what the read-out sees, V, from `noise_deck`; None where it was not solved."""

    def check(self, column: Column) -> None:
        """Refuses a column that this read does not suit.

        Raises:
            InputError: its cell is not made for this read, or its load would never conduct or never let go.
        """
        if self.name not in column.cell.reads:
            known = ", ".join(column.cell.reads)
            raise InputError(f"a {column.cell.name} has no {self.name} read; its reads are: {known}")
        if column.load.kind not in self.loads:
            wanted = " or ".join(LOADS[kind] for kind in self.loads)
            raise InputError(
                f"a {self.name} read needs {wanted} at the end of the bit line; this column has"
                f" {LOADS[column.load.kind]}"
            )

    def check_word_line(self) -> None:
        """Refuses a word-line voltage that is not one.

        Raises:
            InputError: it is not positive or above 2 V.
        """
        if not 0 < self.v_wl_v <= 2:
            raise InputError(f"v_wl_v is {self.v_wl_v} V; an active word line needs more than 0 and at most 2 V")


def word_levels(column: Column, inputs: NDArray[np.int8]) -> NDArray[np.float64]:
    """Level of every word line as a fraction of the active one, shape (reads, rows, twins, word lines of a cell)."""
    padded = np.zeros((len(inputs), column.rows), dtype=np.int8)
    padded[:, : column.n_used] = inputs
    twins = range(column.cell.twins)
    table = np.array([[column.cell.levels(x, twin) for twin in twins] for x in (-1, 0, 1)])
    return np.asarray(table[padded + 1])


def word_line_sources(
    column: Column,
    v_wl_v: float,
    inputs: NDArray[np.int8],
    times_s: tuple[float, float, float, float] | None = None,
) -> str:
    """Netlist lines with a source for every word line, for one read.

    Args:
        column: the column.
        v_wl_v: voltage of an active word line, V.
        inputs: one input vector, shape (n_used,).
        times_s: begin and end of the rising edge and of the falling one, s; without them the levels are steady.
    """
    levels_v = v_wl_v * word_levels(column, inputs[None])[0]
    lines = []
    for row, twin in column.places:
        for i, port in enumerate(column.cell.word_lines):
            node, level_v = word_line(port, row, twin), levels_v[row, twin, i]
            value = f"{level_v:.6g}"
            if times_s is not None and level_v > 0:
                points = zip(times_s, (0.0, level_v, level_v, 0.0), strict=True)
                value = "pwl(" + " ".join(f"{t:.6g} {v:.6g}" for t, v in points) + ")"
            lines.append(f"v{node} {node} 0 {value}\n")
    return "".join(lines)


def levels_by_shot(levels_v: NDArray[np.float64]) -> str:
    """A voltage of the netlist that takes these values while the source `vshot` is at 0, 1, 2, ...

    Example:
        >>> levels_by_shot(np.array([0.0, 0.0, 0.0, 0.4]))
        'pwl(v(shot),0,0,2,0,3,0.4,4,0.4)'
    """
    # Only points beside a change, and one beyond the last.
    change = np.flatnonzero(np.diff(levels_v))
    points = np.unique(np.concatenate(([0, len(levels_v)], change, change + 1)))
    levels_v = np.append(levels_v, levels_v[-1])
    return "pwl(v(shot)," + ",".join(f"{k},{levels_v[k]:.6g}" for k in points) + ")"


def latch_nodes(column: Column, draw: ColumnDraw) -> list[str]:
    """Both nodes of the latch of every cell: one alone can look well at a metastable point. Held ones cannot move."""
    if draw.held_v is not None:
        return []
    return [f"x{instance(row, twin)}.{node}" for row, twin in column.places for node in column.cell.latch]


def data_held(column: Column, draw: ColumnDraw, levels_v: NDArray[np.float64], margin: float) -> NDArray[np.bool_]:
    """Whether every latch is within a margin of the bit that was stored.

    Args:
        column, draw: the column.
        levels_v: voltage of `latch_nodes`, V, shape (nodes, reads).
        margin: fraction of the supply; at a metastable point one of the two nodes is 0.4 off or more.
    """
    if not column.cell.latch:
        return np.ones(levels_v.shape[-1], dtype=np.bool_)
    stored = [column.cell.stored_bit(int(draw.weights[row]), twin) for row, twin in column.places]
    bits = np.array([level for bit in stored for level in (bit, 1 - bit)])[:, None]
    return np.asarray(np.all(np.abs(levels_v / column.technology.vdd_v - bits) < margin, axis=0))
