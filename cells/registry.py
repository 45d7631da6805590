"""The cells that a plan can name. A new cell is a file of its own and one line here."""

from collections.abc import Mapping
from types import MappingProxyType

from prcim.cells.cell import Cell
from prcim.cells.cell_1t1r import Cell1T1R
from prcim.cells.cell_6t import Cell6T
from prcim.cells.cell_8t import Cell8T
from prcim.cells.cell_8t1c import Cell8T1C

CELLS: Mapping[str, type[Cell]] = MappingProxyType(
    {
        "6t": Cell6T,
        "8t": Cell8T,
        "8t1c": Cell8T1C,
        "1t1r": Cell1T1R,
    }
)
