"""A column's answer by arithmetic: the curves of its cells added up, against a load or over a pulse.

A curve is its values at the nodes of a `Grid`; so is a sum of curves, and every pattern is a row of a matrix product.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

Array = NDArray[np.float64]
#: Newton steps of the load line: the currents of cells are all but straight, so four would do.
NEWTON = 6
#: Steps of the discharge (Runge-Kutta of fourth order), and of the wire's fixed point.
STEPS, WIRE_STEPS = 8, 3


@final
@dataclass(frozen=True, kw_only=True)
class Grid:
    """Voltages at which curves are known, and the polynomial between them.

    Attributes:
        low_v, high_v: range, V.
        points: number of nodes.

    Example:
        >>> grid = Grid(low_v=0.0, high_v=1.0, points=3)
        >>> (grid.at(np.array([0.25])) @ grid.nodes_v**2).round(6).tolist()
        [0.0625]
    """

    low_v: float
    high_v: float
    points: int = 8

    @property
    def nodes_v(self) -> Array:
        """The Chebyshev points of the range, falling, shape (points,)."""
        return np.asarray(self.low_v + (self._nodes + 1) * (self.high_v - self.low_v) / 2)

    @property
    def _nodes(self) -> Array:
        return np.asarray(np.cos(np.pi * (np.arange(self.points) + 0.5) / self.points))

    def polynomials(self, values: Array) -> Array:
        """Coefficients of curves given at the nodes, lowest power of the scaled voltage first; the same shape."""
        return np.asarray(values @ np.linalg.inv(np.vander(self._nodes, increasing=True)).T)

    def value(self, coefficients: Array, v: Array) -> Array:
        """Each curve of `polynomials` at a voltage of its own: shapes (shots, points) and (shots,)."""
        x = self._scaled(v)
        result = coefficients[:, -1].copy()
        for power in range(self.points - 2, -1, -1):
            result = result * x + coefficients[:, power]
        return result

    def slope(self, coefficients: Array, v: Array) -> Array:
        """Derivatives of the same by voltage."""
        x = self._scaled(v)
        result = (self.points - 1) * coefficients[:, -1]
        for power in range(self.points - 2, 0, -1):
            result = result * x + power * coefficients[:, power]
        return np.asarray(result * 2 / (self.high_v - self.low_v))

    def at(self, v: Array) -> Array:
        """Weights of the nodes that interpolate at voltages, shape (shots, points)."""
        return np.asarray(chebyshev.chebvander(self._scaled(v), self.points - 1) @ self._to_chebyshev)

    def slope_at(self, v: Array) -> Array:
        """Weights of the nodes that give the derivative by voltage, shape (shots, points)."""
        derivative = chebyshev.chebder(np.eye(self.points), axis=0) * 2 / (self.high_v - self.low_v)
        return np.asarray(chebyshev.chebvander(self._scaled(v), self.points - 2) @ derivative @ self._to_chebyshev)

    @property
    def _to_chebyshev(self) -> Array:
        return np.asarray(np.linalg.inv(chebyshev.chebvander(self._nodes, self.points - 1)), dtype=np.float64)

    def _scaled(self, v: Array) -> Array:
        return np.asarray((2 * v - self.low_v - self.high_v) / (self.high_v - self.low_v))


@final
@dataclass(frozen=True, kw_only=True)
class Line:
    """One bit line of one column with all its cells.

    Attributes:
        on: curves of cells whose word line is active, shape (rows, twins, points).
        off: the same at rest.
        r_row_ohm: wire from row to row, ohm.
        own_share: share of the line's capacitance that sits at each row, 0 in the steady state.
        t_s: time in which a value of a curve flows, s: 1 for currents, the pulse for charges.
    """

    on: Array
    off: Array
    r_row_ohm: float
    own_share: float = 0.0
    t_s: float = 1.0

    def sums(self, inputs: NDArray[np.int8]) -> Array:
        """The line's curve for every input vector of shape (shots, used rows), shape (shots, points)."""
        used, points = inputs.shape[1], self.on.shape[-1]
        moved = (self.on - self.off)[:used]
        total = (inputs == 1).astype(float) @ moved[:, 0]
        if moved.shape[1] > 1:
            total += (inputs == -1).astype(float) @ moved[:, 1]
        return np.asarray(total + self.off.reshape(-1, points).sum(axis=0))

    def lost(self, grid: Grid, inputs: NDArray[np.int8], v: Array) -> Array:
        """By how much the wire's resistance lowers each sum at these voltages of the line, shape (shots,).

        Rows far from the load see a lower line; the current of each falls with its own voltage as an exponential,
        which is what saturation current does. In the steady state all current passes the load's end; in a discharge
        only what a row draws beyond its own capacitance's share does, and the voltage is the mean over the line.
        """
        rows = len(self.on)
        first = _at_rows(grid.at(v), self.on, inputs)
        relative = _at_rows(grid.slope_at(v), self.on, inputs) / np.maximum(first, 1e-30)
        now = first
        for _ in range(WIRE_STEPS):
            current_a = np.zeros((len(v), rows))
            current_a[:, : inputs.shape[1]] = now / self.t_s
            current_a -= self.own_share * current_a.sum(axis=1, keepdims=True)
            beyond = np.cumsum(current_a[:, ::-1], axis=1)[:, ::-1]
            drop_v = self.r_row_ohm * np.cumsum(beyond, axis=1)
            drop_v -= self.own_share * drop_v.sum(axis=1, keepdims=True)
            now = first * np.exp(-np.clip(relative * drop_v[:, : inputs.shape[1]], -1, 1))
        return np.asarray((first - now).sum(axis=1))


def _at_rows(weights: Array, on: Array, inputs: NDArray[np.int8]) -> Array:
    """Value of the active cell of every row, shape (shots, used rows); weights as of `Grid.at`."""
    used = inputs.shape[1]
    opened = weights @ on[:used, 0].T
    if on.shape[1] == 1:
        return np.asarray(np.where(inputs == 1, opened, 0.0))
    return np.asarray(np.where(inputs == 1, opened, weights @ on[:used, 1].T))


def steady_v(grid: Grid, line: Line, inputs: NDArray[np.int8], conductance_s: Array, supply_v: float) -> Array:
    """Where the load line meets the sum of the currents.

    Args:
        grid, line: currents of the cells, A.
        inputs: +1 or -1, shape (shots, used rows).
        conductance_s: of the load at the grid's nodes, S, shape (points,).
        supply_v: voltage behind the load, V.

    Returns:
        Voltage of the line's end, V, shape (shots,).

    Example:
        Two cells of 1 kohm each against a load of 1 kohm.

        >>> grid = Grid(low_v=0.0, high_v=1.0, points=3)
        >>> on = np.tile(grid.nodes_v / 1e3, (2, 1, 1))
        >>> line = Line(on=on, off=0 * on, r_row_ohm=1e-9)
        >>> steady_v(grid, line, np.array([[-1, -1], [1, -1], [1, 1]], dtype=np.int8), np.full(3, 1e-3), 1.0).round(4)
        array([1.    , 0.5   , 0.3333])
    """
    balance = grid.polynomials(line.sums(inputs) - conductance_s * (supply_v - grid.nodes_v))
    v, lost = np.full(len(inputs), grid.high_v), np.zeros(len(inputs))
    for last in (False, True):
        for _ in range(NEWTON):
            v = v - (grid.value(balance, v) - lost) / grid.slope(balance, v)
        if not last:
            lost = line.lost(grid, inputs, v)
    return v


def discharged_v(
    grid: Grid,
    line: Line,
    inputs: NDArray[np.int8],
    *,
    start_v: float,
    lift_v: float,
    c_f: tuple[float, float],
    supply_v: float,
) -> Array:
    """Where a line stands after the pulse: C dV = -sum of charges, the pulse's length being 1.

    Args:
        grid, line: charges of a whole pulse with the line held at each node, C.
        inputs: +1 or -1, shape (shots, used rows).
        start_v: the line before the pulse, V.
        lift_v: by how much the word lines lift the line as long as they are up, V.
        c_f: the line's capacitance at the supply, F, and its growth with the voltage below that, F/V.
        supply_v: the supply, V.

    Example:
        >>> grid = Grid(low_v=0.0, high_v=1.0, points=3)
        >>> on = np.full((1, 1, 3), 1e-15)
        >>> line = Line(on=on, off=0 * on, r_row_ohm=1e-9, own_share=0.01, t_s=1e-10)
        >>> one = np.ones((1, 1), dtype=np.int8)
        >>> discharged_v(grid, line, one, start_v=1.0, lift_v=0.0, c_f=(1e-14, 0.0), supply_v=1.0).round(4)
        array([0.9])
    """
    total = grid.polynomials(line.sums(inputs))
    share = np.ones(len(inputs))

    def rate(v: Array) -> Array:
        return np.asarray(-share * grid.value(total, v + lift_v) / (c_f[0] + c_f[1] * (supply_v - v)))

    for last in (False, True):
        v, h = np.full(len(inputs), start_v), 1 / STEPS
        for _ in range(STEPS):
            one = rate(v)
            two = rate(v + h / 2 * one)
            three = rate(v + h / 2 * two)
            v = v + h / 6 * (one + 2 * two + 2 * three + rate(v + h * three))
        if not last:
            middle = (v + start_v) / 2 + lift_v
            share = 1 - line.lost(grid, inputs, middle) / np.maximum(grid.value(total, middle), 1e-30)
    return v
