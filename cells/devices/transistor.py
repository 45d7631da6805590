"""One transistor of a cell: what it is, how large, where it is connected."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, final

from PySpice.Spice.Netlist import Netlist

from prcim.cells.devices.part import Part, checked_name
from prcim.cells.mismatch import Mismatch
from prcim.cells.technology import Technology
from prcim.errors import InputError


@final
@dataclass(frozen=True, kw_only=True)
class Transistor(Part):
    """A MOSFET inside a sub-circuit.

    Attributes:
        name: unique in the sub-circuit, lower case letters and digits.
        kind: "n" or "p".
        drain, gate, source: node names of the sub-circuit. The bulk is `vss` for "n" and `vdd` for "p".
        w_m: drawn gate width, m.
        l_m: drawn gate length, m.

    Example:
        >>> from prcim.cells.mismatch import Mismatch
        >>> device = Transistor(name="pg", kind="n", drain="bl", gate="wl", source="q", w_m=90e-9)
        >>> round(device.sigma_vt_v(Mismatch()) * 1e3, 1)
        32.4
    """

    name: str
    kind: Literal["n", "p"]
    drain: str
    gate: str
    source: str
    w_m: float
    l_m: float = 65e-9

    def __post_init__(self) -> None:
        checked_name(self.name)
        if not (0 < self.w_m < 1e-3 and 0 < self.l_m < 1e-3):
            raise InputError(f"transistor {self.name}: width {self.w_m} m and length {self.l_m} m must lie in 0..1 mm")

    @property
    def bulk(self) -> str:
        """Node of the bulk."""
        return "vss" if self.kind == "n" else "vdd"

    def sigma_vt_v(self, mismatch: Mismatch) -> float:  # noqa: D102
        return mismatch.sigma_vt_v(self.w_m, self.l_m)

    def rel_sigma(self, mismatch: Mismatch) -> float:  # noqa: D102
        return mismatch.rel_sigma_beta(self.w_m, self.l_m)

    def parameters(self, dvt_v: float, factor: float) -> Mapping[str, str]:  # noqa: D102
        return {f"dvt_{self.name}": f"{dvt_v:.6g}", f"mu_{self.name}": f"{factor:.6g}"}

    def add_to(self, circuit: Netlist, technology: Technology) -> None:  # noqa: D102
        corner = technology.shift(self.kind)
        dvt = f"dvt_{self.name}" + (f"+{corner.dvt_v:.6g}" if corner.dvt_v > 0 else "")
        dvt += f"{corner.dvt_v:.6g}" if corner.dvt_v < 0 else ""
        factor = f"mu_{self.name}" + (f"*{corner.factor:.6g}" if corner.factor != 1 else "")
        unit = technology.size_unit_m
        size = f"w={self.w_m / unit:.6g} l={self.l_m / unit:.6g}"
        model = technology.model(self.kind)
        if technology.shifts_by_parameter:
            # BSIM4 adds delvto to VTH0, which is negative in a P device: there a larger magnitude is a minus.
            delvto = dvt if self.kind == "n" else f"-{dvt}" if corner.dvt_v == 0 else f"-({dvt})"
            shifts = f"{size} delvto={{{delvto}}} mulu0={{{factor}}}"
            circuit.M(self.name, self.drain, self.gate, self.source, self.bulk, model=model, raw_spice=shifts)
            return
        # A source in series with the gate takes the shift off the gate voltage; a mirror of the drain current adds
        # what the gain has more than the model.
        gate, drain = f"{self.name}_gate", f"{self.name}_drain"
        plus, minus = (self.gate, gate) if self.kind == "n" else (gate, self.gate)
        element = "x" if technology.subckt else "m"
        circuit.raw_spice += (
            f"v{gate} {plus} {minus} {{{dvt}}}\n"
            f"v{drain} {self.drain} {drain} 0\n"
            f"f{drain} {self.drain} {self.source} v{drain} {{{factor}-1}}\n"
            f"{element}{self.name} {drain} {gate} {self.source} {self.bulk} {model} {size}\n"
        )
