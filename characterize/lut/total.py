"""Mean and variance of one read of any column on any die, from the parts that a table keeps apart."""

import numpy as np
from numpy.typing import NDArray

from prcim.characterize.lut.error_lut import ErrorLUT

Floats = NDArray[np.float64]


def total_moments(lut: ErrorLUT, shots: Floats | None = None) -> tuple[Floats, Floats]:
    """Mean and variance of the error at each sum, over columns, patterns, dies and reads, both of shape (M,).

    On a die with cells of gain g, volts of gain u and a curve d of its own a read errs by g e + d + r / u, where e is
    what columns and patterns err by and r the noise of the read. So with means E over dies
    mean = E g E e + E d and variance = E (g e + d)^2 + E u^-2 read_sigma^2 - mean^2.

    Args:
        lut: the table.
        shots: variance of e, shape (M,); v_col + v_res unless given.

    Example:
        >>> from prcim.characterize.lut.file import open_lut
        >>> mean, variance = total_moments(open_lut("package:8t-64"))
        >>> bool(np.all(variance > open_lut("package:8t-64").read_sigma ** 2))
        True
    """
    gain, curve = lut.chip_cell_gain[:, None], lut.chip_curves
    error = lut.bank.mean(axis=0)
    if shots is None:
        shots = np.maximum(lut.v_col, 0.0) + lut.v_res
    mean = gain.mean() * error + curve.mean(axis=0)
    together = 2 * error * (gain * curve).mean(axis=0) + (curve**2).mean(axis=0)
    square = (gain**2).mean() * (shots + error**2) + together
    read = mean_square_inverse(lut.chip_volt_gain) * lut.read_sigma**2
    return np.asarray(mean), np.asarray(square + read - mean**2)


def mean_square_inverse(volt_gain: Floats) -> float:
    """How much larger the variance of an error in volts is in S, over dies; a gain that is not positive has none."""
    positive = volt_gain[volt_gain > 0]
    return float((positive**-2).mean()) if len(positive) else 1.0
