"""How far the same array of two tables differs."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from prcim.characterize.lut.error_lut import ErrorLUT

Floats = NDArray[np.float64]
Places = tuple[NDArray[np.intp], NDArray[np.intp]]

#: Arrays in units of S; the slope of the curve turns them into volts.
IN_S = ("bank", "residual_q", "total_q", "read_sigma", "chip_curves")
UNITS = {
    "mac": "S",
    "transfer_v": "V",
    "slope_v": "V/S",
    "energy_j": "J",
    "energy_sd_j": "J",
    "noise_line_v": "V",
    "v_col": "S^2",
    "v_res": "S^2",
    **dict.fromkeys(IN_S, "S"),
}


@final
@dataclass(frozen=True, kw_only=True)
class ArrayDifference:
    """One array of both tables, at the sums that both have.

    Attributes:
        name, unit: of the array.
        shapes: in either table.
        largest, rms: difference B - A; None where shapes differ, and for curves of single columns and dies that means
            other columns or dies.
        largest_v, rms_v: the same in V, for arrays in units of S.
    """

    name: str
    unit: str
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    largest: float | None
    rms: float | None
    largest_v: float | None
    rms_v: float | None


def array_difference(
    name: str, a: ErrorLUT, b: ErrorLUT, at: tuple[NDArray[np.intp], NDArray[np.intp]]
) -> ArrayDifference:
    """Compares one array.

    Args:
        name: of the array.
        a, b: the tables.
        at: positions of the sums that both have, in either table.
    """
    values = [getattr(lut, name) for lut in (a, b)]
    shapes = values[0].shape, values[1].shape
    axis = {"bank": 1, "chip_curves": 1, "chip_volt_gain": None, "chip_cell_gain": None, "cell_q": None}.get(name, 0)
    if axis is not None:
        values = [np.take(value, index, axis=axis) for value, index in zip(values, at, strict=True)]
    gap = gap_v = None
    if values[0].shape == values[1].shape:
        gap = values[1] - values[0]
        if name in IN_S:
            slope_v = a.slope_v[at[0]]
            gap_v = gap * (slope_v if axis == 1 or gap.ndim == 1 else slope_v[:, None])
    largest, rms = _size(gap)
    largest_v, rms_v = _size(gap_v)
    unit = UNITS.get(name, "1")
    return ArrayDifference(
        name=name, unit=unit, shapes=shapes, largest=largest, rms=rms, largest_v=largest_v, rms_v=rms_v
    )


def _size(gap: Floats | None) -> tuple[float, float] | tuple[None, None]:
    return (None, None) if gap is None else (float(np.abs(gap).max()), float(np.sqrt((gap**2).mean())))
