"""The cells that a plan can name. A new cell is a file of its own and one line here."""

from collections.abc import Mapping
from types import MappingProxyType

from prcim.cells.cell import Cell
from prcim.cells.cell_8t import Cell8T

CELLS: Mapping[str, type[Cell]] = MappingProxyType({"8t": Cell8T})
