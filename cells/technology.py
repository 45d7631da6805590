"""The transistors that a foundry gives, and the conditions that they work under."""

from dataclasses import dataclass

from prcim.cells.devices.corner import Shift, corner_shift
from prcim.errors import InputError
from prcim.spice.library import ModelLibrary, own_library

#: Levels at which ngspice has BSIM4, and those at which it has BSIM3.
BSIM4_LEVELS, BSIM3_LEVELS = (14, 54), (8, 49)


@dataclass(frozen=True, kw_only=True)
class Technology:
    """Model cards and operating conditions.

    Attributes:
        library: the model file: BSIM4 or BSIM3 cards, or sub-circuits around whatever ngspice has.
        nmos, pmos: names of the two models in it, or of the sub-circuits that wrap them.
        vdd_v: supply, V.
        temp_c: junction temperature, degrees Celsius.
        corner: "tt", "ff", "ss", "fs" or "sf": speed of N, then of P devices, on top of what the cards say.
        subckt: whether the names are those of sub-circuits with the pins drain, gate, source, bulk and the
            parameters `w` and `l`.
        size_unit_m: unit of `w` and `l`, m; 1e-6 where a kit counts in micrometres.
        gate_sources: whether shifts enter by a source in series with each gate and a mirror of the drain current even
            where the model has parameters for them: for simulators that ignore these. A threshold shift is then the
            same but for mobility, which the parameter lowers a little too; a gain acts on the whole current, where
            the parameter acts on mobility alone (at full drive 10 % of it are 1 % of an N and 5 % of a P current).

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
    corner: str = "tt"
    subckt: bool = False
    size_unit_m: float = 1.0
    gate_sources: bool = False

    def __post_init__(self) -> None:
        for kind in ("n", "p"):
            if self.subckt:
                self._check_subckt(self.model(kind))
            else:
                self._check_model(self.model(kind), kind)
        corner_shift(self.corner, "n")
        if not 0 < self.size_unit_m <= 1:
            raise InputError(f"size_unit_m is {self.size_unit_m}; a unit of length lies between 0 and 1 m")
        if not 0.3 <= self.vdd_v <= 2.0:
            raise InputError(f"vdd_v is {self.vdd_v} V; a 65nm-style column works from 0.3 to 2.0 V")
        if not -55 <= self.temp_c <= 150:
            raise InputError(f"temp_c is {self.temp_c}; it must lie in -55..150 degrees Celsius")

    def _check_model(self, name: str, kind: str) -> None:
        card = self.library.model(name)
        if card.type != f"{kind}mos":
            raise InputError(f"{self.library.name}: model {name!r} is of type {card.type!r}, not {kind}mos")
        if card.level not in BSIM4_LEVELS + BSIM3_LEVELS:
            # ngspice takes a card without a level for one of level 1 and says nothing.
            has = "does not say its level" if card.level is None else f"has level {card.level}"
            raise InputError(
                f"{self.library.name}: model {name!r} {has}; give a BSIM4 card (level 14 or 54), a BSIM3 card"
                " (level 8 or 49), or a sub-circuit with subckt = true (--subckt)"
            )

    def _check_subckt(self, name: str) -> None:
        card = self.library.subckt(name)
        if len(card.pins) != 4:
            raise InputError(
                f"{self.library.name}: sub-circuit {name!r} has the pins {', '.join(card.pins) or 'none'}; it must have"
                " four: drain, gate, source, bulk"
            )
        # ngspice would take a width that the sub-circuit has no use for, and simulate the same device at all widths.
        if not {"w", "l"} <= card.parameters:
            had = ", ".join(sorted(card.parameters)) or "none"
            raise InputError(
                f"{self.library.name}: sub-circuit {name!r} must take the parameters w and l; it takes: {had}"
            )

    @property
    def preamble(self) -> str:
        """What every deck begins with: model cards and temperature."""
        return self.library.text.rstrip("\n") + f"\n.temp {self.temp_c:.6g}\n"

    @property
    def shifts_by_parameter(self) -> bool:
        """Whether mismatch enters by `delvto` and `mulu0`, which ngspice's BSIM4 has on every instance.

        Elsewhere a source in series with the gate and a mirror of the drain current do the same.
        """
        if self.gate_sources or self.subckt:
            return False
        return all(self.library.model(name).level in BSIM4_LEVELS for name in (self.nmos, self.pmos))

    def shift(self, kind: str) -> Shift:
        """What the corner does to an "n" or "p" device."""
        return corner_shift(self.corner, kind)

    def model(self, kind: str) -> str:
        """Name of the model of an "n" or "p" device."""
        return self.nmos if kind == "n" else self.pmos


def own_technology(
    *, flavour: str = "sram", vdd_v: float = 1.1, temp_c: float = 27.0, corner: str = "tt"
) -> Technology:
    """The project's own 65nm-style cards.

    Args:
        flavour: "hp" (high performance) or "sram" (threshold 0.15 V higher, leakage of a cell a tenth).
        vdd_v: supply, V.
        temp_c: temperature, degrees Celsius.
        corner: process corner.

    Raises:
        InputError: the flavour or the corner is unknown.
    """
    return Technology(
        library=own_library(),
        nmos=f"prcim65_nmos_{flavour}",
        pmos=f"prcim65_pmos_{flavour}",
        vdd_v=vdd_v,
        temp_c=temp_c,
        corner=corner,
    )
