"""What a network takes on columns: columns, arrays, reads and energy of each layer."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

from prcim.bnn.mapping import Cut, LayerShape, cut_layer, groups_for
from prcim.characterize.lut.error_lut import ErrorLUT, binomial_weights
from prcim.errors import InputError


@final
@dataclass(frozen=True, kw_only=True)
class LayerMap:
    """One layer on columns, or beside them.

    Attributes:
        name: of the layer.
        digital: whether it stays off the columns; then all that follows is 0.
        inputs, outputs, positions: as in `LayerShape`.
        groups: columns of each output.
        rows_used: rows in use, of which `weights` carry weights and `bias_cells` are constant.
        weights: cells of a column that carry weights.
        bias_cells: constant cells of a column.
        columns: physical columns.
        arrays: of so many rows and `array_columns` columns; columns of one group share their inputs, so that no array
            holds columns of two groups.
        reads: of columns, for one image.
        energy_j: of these reads, J; None without a table.
    """

    name: str
    digital: bool
    inputs: int
    outputs: int
    positions: int
    groups: int = 0
    rows_used: int = 0
    weights: int = 0
    bias_cells: int = 0
    columns: int = 0
    arrays: int = 0
    reads: int = 0
    energy_j: float | None = None


@final
@dataclass(frozen=True, kw_only=True)
class NetworkMap:
    """All layers of a network.

    Attributes:
        rows, array_columns: of an array.
        layers: in the order of the network.

    Example:
        >>> from prcim.bnn.models.vgg9 import Vgg9Spec
        >>> layers = Vgg9Spec.for_images((3, 32, 32), classes=10, rows=128, n_used=128).layers()
        >>> [layer.groups for layer in map_network(layers, rows=128).layers]
        [0, 9, 9, 18, 18, 36, 64, 8, 0]
    """

    rows: int
    array_columns: int
    layers: tuple[LayerMap, ...]

    def total(self, name: str) -> float:
        """Sum of a figure over all layers."""
        return sum(getattr(layer, name) or 0 for layer in self.layers)

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        totals: dict[str, Any] = {name: self.total(name) for name in ("columns", "arrays", "reads")}
        on_columns = [layer for layer in self.layers if not layer.digital]
        known = all(layer.energy_j is not None for layer in on_columns)
        return {
            "rows": self.rows,
            "array_columns": self.array_columns,
            "layers": [asdict(layer) for layer in self.layers],
            "total": {**totals, "energy_j": self.total("energy_j") if known else None},
        }


def map_network(
    layers: Sequence[LayerShape],
    *,
    rows: int,
    bias_rows: int | None = None,
    lut: ErrorLUT | None = None,
    array_columns: int | None = None,
    decisions: int = 1,
) -> NetworkMap:
    """Cuts every layer of a network into columns and counts.

    Args:
        layers: of the network.
        rows: of a column.
        bias_rows: constant cells that each column has at least.
        lut: a table for columns of this size. Every layer must then fit it; without one each layer is cut for itself,
            into the fewest equal parts. The table also knows the energy of a read, here the mean over the sums that
            fair inputs and weights give.
        array_columns: columns of an array; as many as rows unless given.
        decisions: of comparators in one read. The energy of a read has one; each more takes as much again.

    Raises:
        InputError: a layer cannot be cut, or the table is for other rows, or does not know what a decision takes.
    """
    if lut is not None and lut.rows != rows:
        raise InputError(f"the table is for {lut.rows} rows, not for {rows}; give --rows {lut.rows} or another table")
    wide = rows if array_columns is None else array_columns
    energy_j = None if lut is None else _read_energy_j(lut, decisions)

    def cut(layer: LayerShape) -> Cut:
        if lut is not None:
            return cut_layer(layer.name, layer.inputs, rows=rows, n_used=lut.n_used, bias_rows=bias_rows)
        least = bias_rows or 0
        if least >= rows:
            raise InputError(f"{least} bias cells leave no row of {rows} for weights; take fewer")
        groups = groups_for(layer.inputs, rows - least)
        return Cut(groups=groups, weights=layer.inputs // groups, bias=least)

    return NetworkMap(
        rows=rows,
        array_columns=wide,
        layers=tuple(
            LayerMap(**asdict(layer)) if layer.digital else _on_columns(layer, cut(layer), wide, energy_j)
            for layer in layers
        ),
    )


def _read_energy_j(lut: ErrorLUT, decisions: int) -> float:
    """Mean energy of a read over the sums that fair inputs and weights give."""
    if decisions > 1 and "decision_j" not in lut.meta:
        raise InputError(
            f"the table does not say what a decision of its comparator takes, and a read has {decisions}; leave the"
            " table out, or make one with `prcim characterize`"
        )
    more_j = (decisions - 1) * float(lut.meta.get("decision_j", 0.0))
    return float((binomial_weights(lut.n_used, lut.mac) * lut.energy_j).sum()) + more_j


def _on_columns(layer: LayerShape, cut: Cut, array_columns: int, energy_j: float | None) -> LayerMap:
    columns = cut.groups * layer.outputs
    reads = columns * layer.positions
    return LayerMap(
        **asdict(layer),
        groups=cut.groups,
        rows_used=cut.n_used,
        weights=cut.weights,
        bias_cells=cut.bias,
        columns=columns,
        arrays=cut.groups * -(-layer.outputs // array_columns),
        reads=reads,
        energy_j=None if energy_j is None else reads * energy_j,
    )
