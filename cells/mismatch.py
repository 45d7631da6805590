"""How much two transistors that were drawn alike differ: Pelgrom's law, and the shift that a whole die shares."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from prcim.errors import InputError

if TYPE_CHECKING:
    from prcim.cells.devices.part import Part


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """Spread of threshold and gain, between neighbours and between dies.

    Pelgrom's coefficients are in the **pair** convention: the difference of two neighbours has a standard deviation
    of A / sqrt(W L), so a single device has A / sqrt(2 W L).

    Attributes:
        a_vt_v_m: threshold coefficient, V m. 3.5 mV um is usual at 65 nm.
        a_beta_m: gain coefficient, m (relative gain times length). 1..2 % um at 65 nm; 1 % um here.
        global_sigma_vt_v: spread of a die's common threshold shift, V. An assumption, as is the next.
        global_correlation: correlation of that shift between N and P devices (in the sense fast with fast).

    Source: Pelgrom et al., IEEE JSSC 24(5), 1989, for the law; Gonugondla et al., IEEE TCAD 2022, use 23.8 mV for
        cell devices at 65 nm, which 3.5 mV um gives at W = 166 nm.

    Example:
        >>> round(Mismatch().sigma_vt_v(90e-9, 65e-9) * 1e3, 1)
        32.4
    """

    a_vt_v_m: float = 3.5e-9
    a_beta_m: float = 1.0e-8
    global_sigma_vt_v: float = 0.015
    global_correlation: float = 0.5

    def __post_init__(self) -> None:
        for name in ("a_vt_v_m", "a_beta_m", "global_sigma_vt_v"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(
                    f"mismatch {name} is {getattr(self, name)}; it must be a spread in SI units, 0 or more"
                )
        if not -1 <= self.global_correlation <= 1:
            raise InputError(f"mismatch global_correlation is {self.global_correlation}; it must lie in -1..1")

    def sigma_vt_v(self, w_m: float, l_m: float) -> float:
        """Threshold spread of one device, V.

        Raises:
            InputError: the gate area is not positive.
        """
        return self.a_vt_v_m / math.sqrt(2 * _area_m2(w_m, l_m))

    def rel_sigma_beta(self, w_m: float, l_m: float) -> float:
        """Relative gain spread of one device."""
        return self.a_beta_m / math.sqrt(2 * _area_m2(w_m, l_m))

    def pair_sigma_vt_v(self, w_m: float, l_m: float) -> float:
        """Spread of the threshold difference of two devices, V: the offset of an input pair."""
        return math.sqrt(2) * self.sigma_vt_v(w_m, l_m)

    def draw_local(
        self, parts: "tuple[Part, ...]", cells: int, key: tuple[int, ...]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Shifts of every part of `cells` cells.

        Args:
            parts: the cell's parts, T of them.
            cells: number of cells C.
            key: integers that name this draw; the same key gives the same draw, whatever was drawn before.

        Returns:
            Magnitude by which each threshold grows, V, shape (C, T), and factor on each value (a transistor's
            mobility), shape (C, T).
        """
        normal = np.random.default_rng(key).standard_normal((2, cells, len(parts)))
        return self.scaled(parts, normal)

    def scaled(
        self, parts: "tuple[Part, ...]", normal: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Shifts from standard normal draws of shape (2, ..., T): thresholds first, then values."""
        sigma_vt_v = np.array([part.sigma_vt_v(self) for part in parts])
        rel_sigma = np.array([part.rel_sigma(self) for part in parts])
        # A normal factor could turn negative; at 10 % spread a log-normal one differs from it by half a per cent.
        return normal[0] * sigma_vt_v, np.exp(normal[1] * rel_sigma - rel_sigma**2 / 2)

    def draw_global(self, key: tuple[int, ...]) -> tuple[float, float]:
        """Shift of a die: by how much the magnitude of the N and of the P threshold grows, V."""
        first, second = np.random.default_rng(key).standard_normal(2)
        rest = math.sqrt(1 - self.global_correlation**2)
        p = self.global_correlation * first + rest * second
        return self.global_sigma_vt_v * float(first), self.global_sigma_vt_v * float(p)


def _area_m2(w_m: float, l_m: float) -> float:
    if not (w_m > 0 and l_m > 0):
        raise InputError(f"gate area needs a positive width and length, got {w_m} m and {l_m} m")
    return w_m * l_m
