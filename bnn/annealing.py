"""Tables whose errors are smaller than they will be: for the first epochs of a training."""

import dataclasses
from typing import Any

from torch import Tensor

from prcim.bnn.tables import IntegerTables

#: What is an error in S, and shrinks; gains and sizes stay.
_ERRORS = ("bank", "chips", "residual", "read", "total", "gauss", "offset")


def scaled_tables(tables: IntegerTables, factor: float) -> IntegerTables:
    """The tables with every error multiplied, rounded to integers again.

    This is a means of training: what a network is judged by has a table of its own at every design point.
    """
    if factor == 1:
        return tables

    def times(errors: Tensor) -> Tensor:
        return (errors.double() * factor).round().to(errors.dtype)

    errors: dict[str, Any] = {name: times(getattr(tables, name)) for name in _ERRORS}
    return dataclasses.replace(
        tables, cells=tables.cells.scaled(factor), offset_sigma=tables.offset_sigma * factor, **errors
    )
