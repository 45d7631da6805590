"""The comparator at the end of a bit line: a clocked latch, transistor by transistor."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray
from PySpice.Spice.Netlist import SubCircuit

from prcim.cells.devices.transistor import Transistor
from prcim.cells.mismatch import Mismatch
from prcim.cells.technology import Technology
from prcim.errors import InputError


@final
@dataclass(frozen=True, kw_only=True)
class StrongArm:
    """StrongARM latch with an N input pair, for inputs near the supply, where a bit line waits.

    While the clock is low, four P switches hold both outputs and both inner nodes at the supply. When it rises, the
    pair pulls the inner nodes down, the side of the higher input faster, until the cross-coupled N and then P devices
    take over: with `inp` above `inn` the output `outn` falls and `outp` stays high.

    Attributes:
        w_in_m, l_in_m: width and length of each input transistor, m.
        w_latch_n_m, w_latch_p_m: widths of the cross-coupled devices, m.
        w_tail_m: width of the clocked tail, m. Narrow, since near the supply a strong tail drives the pair out of
            saturation before it has amplified anything.
        w_precharge_m: width of each of the four switches, m.
        l_m: length of all transistors but the input pair, m.
        c_out_f: load of each output, F. Assumption: wire and gates of the latch that keeps the decision.

    Source: the circuit of Razavi, "The StrongARM Latch", IEEE Solid-State Circuits Magazine 7(2), 2015; the widths are
        assumptions of the usual proportions.

    Example:
        >>> round(StrongArm(w_in_m=2e-6).pair_sigma_v(Mismatch()) * 1e3, 1)
        9.7
    """

    w_in_m: float = 1e-6
    l_in_m: float = 65e-9
    w_latch_n_m: float = 1e-6
    w_latch_p_m: float = 0.5e-6
    w_tail_m: float = 0.2e-6
    w_precharge_m: float = 0.25e-6
    l_m: float = 65e-9
    c_out_f: float = 5e-15

    name: ClassVar[str] = "strongarm"
    ports: ClassVar[tuple[str, ...]] = ("inp", "inn", "clk", "outp", "outn", "vdd", "vss")
    #: Nodes inside: drains of the input pair, and its common source.
    inner: ClassVar[tuple[str, ...]] = ("midp", "midn", "tail")
    #: What the parts are for -> their names.
    roles: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType(
        {
            "input pair": ("inp", "inn"),
            "latch N": ("lnp", "lnn"),
            "latch P": ("lpp", "lpn"),
            "precharge": ("pop", "pon", "pip", "pin"),
            "tail": ("tail",),
        }
    )

    def __post_init__(self) -> None:
        if not 0 < self.c_out_f < 1e-9:
            raise InputError(f"c_out_f is {self.c_out_f}; the load of an output lies between 0 and 1 nF")
        # A size that no transistor can have is refused here, not in the middle of a deck.
        _ = self.parts

    @cached_property
    def parts(self) -> tuple[Transistor, ...]:
        """All transistors. `midn` and `outn` are on the side of `inp`, which pulls them down."""
        latch_n, latch_p, switch = self.w_latch_n_m, self.w_latch_p_m, self.w_precharge_m
        w_in, l_in, l_m = self.w_in_m, self.l_in_m, self.l_m
        return (
            Transistor(name="inp", kind="n", drain="midn", gate="inp", source="tail", w_m=w_in, l_m=l_in),
            Transistor(name="inn", kind="n", drain="midp", gate="inn", source="tail", w_m=w_in, l_m=l_in),
            Transistor(name="lnn", kind="n", drain="outn", gate="outp", source="midn", w_m=latch_n, l_m=l_m),
            Transistor(name="lnp", kind="n", drain="outp", gate="outn", source="midp", w_m=latch_n, l_m=l_m),
            Transistor(name="lpn", kind="p", drain="outn", gate="outp", source="vdd", w_m=latch_p, l_m=l_m),
            Transistor(name="lpp", kind="p", drain="outp", gate="outn", source="vdd", w_m=latch_p, l_m=l_m),
            Transistor(name="tail", kind="n", drain="tail", gate="clk", source="vss", w_m=self.w_tail_m, l_m=l_m),
            Transistor(name="pon", kind="p", drain="outn", gate="clk", source="vdd", w_m=switch, l_m=l_m),
            Transistor(name="pop", kind="p", drain="outp", gate="clk", source="vdd", w_m=switch, l_m=l_m),
            Transistor(name="pin", kind="p", drain="midn", gate="clk", source="vdd", w_m=switch, l_m=l_m),
            Transistor(name="pip", kind="p", drain="midp", gate="clk", source="vdd", w_m=switch, l_m=l_m),
        )

    def pair_sigma_v(self, mismatch: Mismatch) -> float:
        """Spread of the input pair's threshold difference, A_VT / sqrt(W L), V: the offset if all else matched."""
        return mismatch.pair_sigma_vt_v(self.w_in_m, self.l_in_m)

    def subcircuit(self, technology: Technology) -> SubCircuit:
        """The sub-circuit, with the parameters by which each transistor is shifted."""
        parameters: dict[str, str] = {}
        for part in self.parts:
            parameters.update(part.parameters(0.0, 1.0))
        circuit = SubCircuit(self.name, *self.ports, **parameters)
        for part in self.parts:
            part.add_to(circuit, technology)
        for side in ("p", "n"):
            circuit.C(f"out{side}", f"out{side}", "vss", self.c_out_f)
        return circuit

    def instance(self, dvt_v: NDArray[np.float64], factor: NDArray[np.float64]) -> dict[str, str]:
        """Parameters of one instance of `subcircuit`.

        Args:
            dvt_v: growth of each threshold's magnitude, V, shape (parts,).
            factor: factor on each mobility, shape (parts,).
        """
        values: dict[str, str] = {}
        for part, dvt, value in zip(self.parts, dvt_v, factor, strict=True):
            values.update(part.parameters(float(dvt), float(value)))
        return values
