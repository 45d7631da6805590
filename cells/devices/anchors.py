"""What the transistors of a published 65 nm-class process measure: the figures that the project's cards aim at."""

from collections.abc import Mapping
from types import MappingProxyType

from prcim.cells.benches.device import DeviceFigures
from prcim.cells.technology import Technology, own_technology

#: Figures of a reference BSIM4 card of a 65 nm-class bulk process in ngspice-39: W = 1 um, L = 65 nm, 1.1 V, 27 C.
ANCHORS: Mapping[str, DeviceFigures] = MappingProxyType(
    {
        "n": DeviceFigures(
            ion_a_per_m=1148.0,
            ioff_a_per_m=67e-3,
            dibl_v_per_v=0.130,
            ss_v_per_dec=0.090,
            vth_lin_v=0.270,
            vth_sat_v=0.133,
        ),
        "p": DeviceFigures(
            ion_a_per_m=531.0,
            ioff_a_per_m=48e-3,
            dibl_v_per_v=0.169,
            ss_v_per_dec=0.088,
            vth_lin_v=0.327,
            vth_sat_v=0.150,
        ),
    }
)


def has_anchors(technology: Technology) -> bool:
    """Whether the anchors describe this technology: the project's high-performance cards at their nominal point.

    Example:
        >>> has_anchors(own_technology(flavour="hp")), has_anchors(own_technology(flavour="sram"))
        (True, False)
    """
    return technology == own_technology(flavour="hp")
