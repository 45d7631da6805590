"""The mean transfer curve of a column, and its inverse: from a bit-line voltage back to a partial sum."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from prcim.errors import RunError


@final
@dataclass(frozen=True, kw_only=True)
class TransferCurve:
    """Voltage against partial sum; each further conducting cell lowers the bit line.

    Between the nodes it is a monotone cubic, beyond them the straight line through the last two.

    Attributes:
        mac: partial sums, increasing, shape (M,).
        v_bl_v: bit-line voltage at each, decreasing, V, shape (M,).

    Raises:
        RunError: the voltage does not fall from each sum to the next.

    Example:
        >>> f = TransferCurve(mac=np.array([-2.0, 0.0, 2.0]), v_bl_v=np.array([1.0, 0.9, 0.8]))
        >>> f.mac_at(np.array([0.95, 0.7])).round(3).tolist()
        [-1.0, 4.0]
    """

    mac: NDArray[np.float64]
    v_bl_v: NDArray[np.float64]

    def __post_init__(self) -> None:
        if not np.all(np.diff(self.v_bl_v) < 0):
            raise RunError("the transfer curve does not fall from each sum to the next; raise v_wl_v or swing_v")

    @property
    def slope_v(self) -> NDArray[np.float64]:
        """Volts that one unit of the partial sum moves the bit line at each node, positive, shape (M,)."""
        return -np.asarray(np.gradient(self.v_bl_v, self.mac))

    @property
    def step_ratio(self) -> float:
        """Smallest step of the curve relative to the largest, each per unit of the sum.

        One line is steepest where no cell conducts. The difference of two is steep at both ends.
        """
        steps = np.diff(self.v_bl_v) / np.diff(self.mac)
        return float(np.abs(steps).min() / np.abs(steps).max())

    def mac_at(self, v_bl_v: NDArray[np.float64]) -> NDArray[np.float64]:
        """The partial sum at which the mean curve has a voltage; any shape."""
        # The interpolator wants increasing abscissae.
        v, mac = self.v_bl_v[::-1], self.mac[::-1]
        inside = PchipInterpolator(v, mac, extrapolate=False)
        # The line through the last two nodes; the cubic's own slope at an end can be zero.
        slope = (np.diff(mac) / np.diff(v))[[0, -1]]
        result = np.asarray(inside(np.clip(v_bl_v, v[0], v[-1])))
        below, above = np.minimum(v_bl_v - v[0], 0.0), np.maximum(v_bl_v - v[-1], 0.0)
        return np.asarray(result + below * slope[0] + above * slope[1])
