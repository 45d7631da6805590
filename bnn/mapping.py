"""How a layer is cut into columns, and how many columns, arrays and reads that takes."""

from dataclasses import dataclass
from typing import final

from prcim.errors import InputError


@final
@dataclass(frozen=True, kw_only=True)
class LayerShape:
    """What a mapping must know of a layer.

    Attributes:
        name: in messages and tables.
        inputs: of one output: those of a window, k * k * C, for a convolution.
        outputs: output channels.
        positions: of the window, for each image.
        digital: whether the layer stays off the columns.
    """

    name: str
    inputs: int
    outputs: int
    positions: int = 1
    digital: bool = False


@final
@dataclass(frozen=True, kw_only=True)
class Cut:
    """Columns of one output.

    Attributes:
        groups: how many.
        weights: cells of each that carry weights.
        bias: constant cells of each; their input never changes.
    """

    groups: int
    weights: int
    bias: int = 0

    @property
    def n_used(self) -> int:
        """Rows of a column that are in use."""
        return self.weights + self.bias


def groups_for(inputs: int, rows: int) -> int:
    """Columns that one output with `inputs` inputs is cut into: the fewest equal parts that fit on `rows` rows.

    Source: input splitting as in Kim et al., arXiv 1811.02187.

    Example:
        >>> groups_for(256, 64), groups_for(1152, 128), groups_for(100, 64)
        (4, 9, 2)
    """
    groups = -(-inputs // rows)
    while inputs % groups:
        groups += 1
    return groups


def cut_layer(layer: str, inputs: int, *, rows: int, n_used: int, bias_rows: int | None = None) -> Cut:
    """Cuts a layer into columns of the size that a table was made for.

    Args:
        layer: its name, for the message.
        inputs: of one output.
        rows, n_used: rows of a column, and how many of them the table had in use.
        bias_rows: constant cells that each column has at least; rows that the equal parts leave over carry such cells
            too. None: no column has any.

    Raises:
        InputError: the layer needs columns with another number of used rows.

    Example:
        >>> cut_layer("conv", 288, rows=64, n_used=64, bias_rows=8)
        Cut(groups=6, weights=48, bias=16)
    """
    if bias_rows is None:
        groups = check_mapping(layer, inputs, rows=rows, n_used=n_used)
        return Cut(groups=groups, weights=inputs // groups)
    if not 0 <= bias_rows < n_used:
        raise InputError(
            f"{layer} asks for {bias_rows} bias cells a column; of {n_used} used rows 0 to {n_used - 1} can be"
        )
    groups = groups_for(inputs, n_used - bias_rows)
    return Cut(groups=groups, weights=inputs // groups, bias=n_used - inputs // groups)


def check_mapping(layer: str, inputs: int, *, rows: int, n_used: int) -> int:
    """The number of groups of a layer whose columns have the size that a table was made for.

    Raises:
        InputError: the layer needs columns with another number of used rows.
    """
    groups = groups_for(inputs, rows)
    needed = inputs // groups
    if needed != n_used:
        fits = [w for w in range(n_used, 2 * inputs + 8 * rows, n_used) if w // groups_for(w, rows) == n_used]
        near = min(fits, key=lambda width: abs(width - inputs), default=None)
        advice = "" if near is None else f"choose a width of {near}, "
        raise InputError(
            f"{layer} with {inputs} inputs on {rows} rows needs columns with {needed} used rows, but the table is for"
            f" {n_used}; {advice}fill columns with constant cells (bias_rows), or characterize with rows={rows}"
            f" n_used={needed}"
        )
    return groups
