"""The transistors that a foundry gives, and the conditions that they work under."""

from dataclasses import dataclass

from prcim.errors import InputError
from prcim.spice.library import ModelLibrary, own_library


@dataclass(frozen=True, kw_only=True)
class Technology:
    """Model cards and operating conditions.

    Attributes:
        library: the model file.
        nmos, pmos: names of the two models in it. They must be BSIM4 (level 54 or 14), since mismatch enters by the
            instance parameters `delvto` and `mulu0`.
        vdd_v: supply, V.
        temp_c: junction temperature, degrees Celsius.

    Example:
        >>> own_technology().nmos
        'prcim65_nmos_sram'
        >>> own_technology(flavour="hp", vdd_v=1.0).vdd_v
        1.0
    """

    library: ModelLibrary
    nmos: str
    pmos: str
    vdd_v: float = 1.1
    temp_c: float = 27.0

    def __post_init__(self) -> None:
        self.library.require(self.nmos)
        self.library.require(self.pmos)
        if not 0.3 <= self.vdd_v <= 2.0:
            raise InputError(f"vdd_v is {self.vdd_v} V; a 65nm-style column works from 0.3 to 2.0 V")
        if not -55 <= self.temp_c <= 150:
            raise InputError(f"temp_c is {self.temp_c}; it must lie in -55..150 degrees Celsius")

    @property
    def preamble(self) -> str:
        """What every deck begins with: model cards and temperature."""
        return self.library.text.rstrip("\n") + f"\n.temp {self.temp_c:.6g}\n"

    def model(self, kind: str) -> str:
        """Name of the model of an "n" or "p" device."""
        return self.nmos if kind == "n" else self.pmos


def own_technology(*, flavour: str = "sram", vdd_v: float = 1.1, temp_c: float = 27.0) -> Technology:
    """The project's own 65nm-style cards.

    Args:
        flavour: "hp" (high performance) or "sram" (threshold 0.15 V higher, leakage of a cell a tenth).
        vdd_v: supply, V.
        temp_c: temperature, degrees Celsius.

    Raises:
        InputError: the flavour is unknown.
    """
    return Technology(
        library=own_library(),
        nmos=f"prcim65_nmos_{flavour}",
        pmos=f"prcim65_pmos_{flavour}",
        vdd_v=vdd_v,
        temp_c=temp_c,
    )
