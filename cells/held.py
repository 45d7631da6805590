"""A cell reduced to what its read goes through: the latch's nodes are held, the transistors that hold them left out."""

from dataclasses import replace
from typing import Any

from PySpice.Spice.Netlist import SubCircuit

from prcim.cells.cell import Cell
from prcim.cells.column import Column, ColumnDraw
from prcim.cells.part import Part
from prcim.cells.technology import Technology
from prcim.cells.transistor import Transistor


def read_parts(cell: Cell) -> tuple[int, ...]:
    """Indices of the parts that remain when the latch's nodes are held; all where a read goes through the latch.

    Example:
        >>> from prcim.cells.cell_6t import Cell6T
        >>> from prcim.cells.cell_8t import Cell8T
        >>> read_parts(Cell8T()), len(read_parts(Cell6T()))
        ((6, 7), 6)
    """
    parts = range(len(cell.parts))
    latch = [i for i in parts if set(cell.latch) & _ends(cell.parts[i])]
    # A transistor between latch and bit line is a part of the read.
    if any(set(cell.bit_lines) & _ends(cell.parts[i]) for i in latch):
        return tuple(parts)
    return tuple(i for i in parts if i not in latch)


def _ends(part: Part) -> set[str]:
    return {part.drain, part.source} if isinstance(part, Transistor) else set()


def held_cell(cell: Cell, *, vdd_v: float) -> Cell:
    """The cell with its latch held at the supply and at ground; the cell itself where nothing can be left out.

    Assumption, to be shown for each plan: the latch moves the read by less than it matters. Its leakage and its
    energy are left out.

    Args:
        cell: the whole cell.
        vdd_v: supply, V.
    """
    chosen = read_parts(cell)
    if len(chosen) == len(cell.parts):
        return cell
    kept = tuple(cell.parts[i] for i in chosen)
    nodes = set().union(
        *(_ends(part) | {part.gate for part in [part] if isinstance(part, Transistor)} for part in kept)
    )

    class Held(Cell):
        name = f"{cell.name}_held"
        ports = tuple(p for p in cell.ports if p in nodes | set(cell.word_lines) | {"vdd", "vss"})
        bit_lines = cell.bit_lines
        word_lines = cell.word_lines
        idle = {port: level for port, level in cell.idle.items() if port in nodes}  # noqa: RUF012
        twins = cell.twins
        read_path = cell.read_path
        reads = cell.reads

        @property
        def parts(self) -> tuple[Part, ...]:
            return kept

        def start_v(self, bit: int, vdd_v: float) -> dict[str, float]:
            return {node: v for node, v in cell.start_v(bit, vdd_v).items() if node not in cell.latch}

        def stored_bit(self, weight: int, twin: int) -> int:
            return cell.stored_bit(weight, twin)

        def levels(self, x: int, twin: int) -> tuple[float, ...]:
            return cell.levels(x, twin)

        def state(self, bit: int) -> dict[str, str]:
            start = cell.start_v(bit, vdd_v)
            return {**cell.state(bit), **{f"v_{node}": f"{start[node]:.6g}" for node in cell.latch}}

        def subcircuit(self, technology: Technology) -> SubCircuit:
            circuit = super().subcircuit(technology)
            circuit.raw_spice += "".join(f"v{node} {node} 0 {{v_{node}}}\n" for node in cell.latch if node in nodes)
            return circuit

        def __eq__(self, other: object) -> bool:
            return type(other).__qualname__ == type(self).__qualname__ and other.__reduce__() == self.__reduce__()

        def __hash__(self) -> int:
            return hash((cell, vdd_v))

        def __reduce__(self) -> tuple[Any, ...]:
            return _again, (cell, vdd_v)

    return Held()


def _again(cell: Cell, vdd_v: float) -> Cell:
    return held_cell(cell, vdd_v=vdd_v)


def held_column(column: Column, draw: ColumnDraw) -> tuple[Column, ColumnDraw]:
    """A column of reduced cells and its share of a draw: the same mismatch for the parts that remain."""
    chosen = list(read_parts(column.cell))
    cell = held_cell(column.cell, vdd_v=column.technology.vdd_v)
    return (
        replace(column, cell=cell),
        replace(draw, dvt_v=draw.dvt_v[..., chosen], factor=draw.factor[..., chosen]),
    )
