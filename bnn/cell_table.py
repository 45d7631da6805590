"""Errors of single cells in integers, and how much of them a column's sum shows."""

import dataclasses
from dataclasses import dataclass
from typing import Literal, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import Tensor

from prcim.characterize.lut.error_lut import ErrorLUT
from prcim.errors import InputError

Kind = Literal["single", "differential", "charge"]
#: The largest error as an integer: 11 bits, which every format keeps that a matrix product may take its factors in.
CELL_REACH = 2047
#: Gains are in units of 2^-16.
GAIN_BITS = 16
#: float32 holds every integer up to here, so no sum of a column's cells is rounded.
_EXACT = (1 << 24) - 1

Floats = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class CellTable:
    """What the cells of a column err by, and what of it reaches the sum.

    With d the errors of the cells whose weight times input y is +1, and b those of the others, a column of K conducting
    cells errs, in S, by

        gain[0][K] * 2 sum(d) + gain[1][K] * 2 sum(b).

    Where a step of the transfer curve is the same everywhere, with m = S / n_used,

    ============ ======= ======== ==============================================
    kind         gain[0] gain[1]  error
    ============ ======= ======== ==============================================
    single       1       0        sum (1 + y) d: cells that conduct, on one line
    differential 1/2     -1/2     sum [(d - b) / 2 + y (d + b) / 2]: two lines
    charge       (1-m)/2 -(1+m)/2 sum (y - m) d: every capacitor loads the line
    ============ ======= ======== ==============================================

    A line that bends shows a cell's error by more or less than a whole cell; then `cell_table` scales the gains by K so
    that the variance is the table's.

    Attributes:
        quantiles: errors by draw, relative to a cell's mean current, int32, units of 2^-bits, shape
            (256,).
        bits: the unit; the largest error is 1024 to 2047 units, or less where a column has more than 8196 rows.
        gain: of the cells that conduct and of the others, int32, units of 2^-16, shape (2, n_used + 1).
        kind: how cells act on the line or lines.
    """

    quantiles: Tensor
    bits: int
    gain: Tensor
    kind: Kind

    def scaled(self, factor: float) -> Self:
        """The same with every error multiplied; gains are rounded again."""
        return dataclasses.replace(self, gain=(self.gain.double() * factor).round().to(torch.int32))


def cell_table(lut: ErrorLUT) -> CellTable:
    """Prepares the errors of a table's cells.

    Gains follow from the variance v_col + v_res at each simulated sum, over that of the closed form with the quantiles
    as they are drawn; between sums gains are interpolated linearly, and below the first sum with a conducting cell
    they are that sum's. So what else differs between columns, the mismatch of their loads, counts as the cells'.

    On two lines a cell on the lower line moves it less than one on the upper. To first order the sides' shares add up
    to 2: 1 + t and 1 - t, with t = tilt * S / n_used, which is 0 where both lines have as many cells. The tilt is the
    one whose static shares come nearest to the table's, least squares over sums.

    Assumption: cells on one line err alike whether few or many conduct beside them, but for the gain.

    Raises:
        InputError: a cell errs by more than 2047 times its mean.

    Example:
        >>> from prcim.characterize.lut.file import open_lut
        >>> table = cell_table(open_lut("package:8t-64"))
        >>> table.kind, table.bits, int(table.quantiles.max())
        ('single', 9, 1280)
    """
    largest = float(np.abs(lut.cell_q).max())
    reach = min(CELL_REACH, _EXACT // lut.n_used)
    if largest > reach:
        raise InputError(
            f"the table holds a cell whose current errs by {largest:.3g} times the mean; at most {reach} can be"
            " drawn: raise v_wl_v"
        )
    bits = int(np.floor(np.log2(reach / largest))) if largest > 0 else 0
    quantiles = np.rint(lut.cell_q * 2.0**bits)
    n, kind = lut.n_used, _kind(lut)
    tilt = _tilt(lut) if kind == "differential" else 0.0
    every = np.arange(n + 1.0)
    n_on = (lut.mac + n) / 2
    closed = float(quantiles.var()) / 4.0**bits * _closed_form(_sides(n_on, n, kind, tilt), n_on, n)
    known = closed > 0
    scale = np.zeros(n + 1)
    if known.any():
        total = np.maximum(lut.v_col, 0.0) + lut.v_res
        scale = np.interp(every, n_on[known], np.sqrt(total[known] / closed[known]))
    gain = scale * _sides(every, n, kind, tilt) / 2 * np.array([[1.0], [-1.0]])
    return CellTable(
        quantiles=torch.from_numpy(quantiles.astype(np.int32)),
        bits=bits,
        gain=torch.from_numpy(np.rint(gain * 2**GAIN_BITS).astype(np.int32)),
        kind=kind,
    )


def _kind(lut: ErrorLUT) -> Kind:
    if lut.meta["plan"]["read"].get("mode") == "charge":
        return "charge"
    return "differential" if lut.meta.get("bit_lines", 1) == 2 else "single"


def _sides(n_on: Floats, n: int, kind: Kind, tilt: float) -> Floats:
    """What one cell's error counts in S where weight times input is +1, and where it is -1, shape (2, sums)."""
    if kind == "single":
        return np.stack([np.full(n_on.shape, 2.0), np.zeros(n_on.shape)])
    bend = (tilt if kind == "differential" else -1.0) * (2 * n_on / n - 1)
    return np.stack([1 + bend, 1 - bend])


def _closed_form(sides: Floats, n_on: Floats, n: int) -> Floats:
    """Variance of a column's error over that of its cells."""
    return np.asarray(sides[0] ** 2 * n_on + sides[1] ** 2 * (n - n_on))


def _tilt(lut: ErrorLUT) -> float:
    """By how much the sides of a differential column differ where all cells conduct on one."""
    n_on, n = (lut.mac + lut.n_used) / 2, lut.n_used
    inside = (n_on > 0) & (n_on < n) & (lut.v_res > 0)
    if not inside.any():
        return 0.0
    some, share = n_on[inside], lut.icc[inside]

    def missed(tilt: float) -> float:
        sides = _sides(some, n, "differential", tilt)
        # A cell that conducts in a share p of all patterns adds p of its variance to what lasts.
        lasting = (sides[0] * some) ** 2 + (sides[1] * (n - some)) ** 2
        return float(((lasting / (n * _closed_form(sides, some, n)) - share) ** 2).sum())

    return float(minimize_scalar(missed, bounds=(-0.95, 0.95), method="bounded").x)
