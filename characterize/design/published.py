"""Figures of others that the project's own are held against."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import final

from prcim.cells.cell import Cell
from prcim.cells.cell_6t import Cell6T
from prcim.cells.cell_8t import Cell8T
from prcim.cells.mismatch import Mismatch
from prcim.cells.technology import Technology, own_technology


@final
@dataclass(frozen=True, kw_only=True)
class PublishedRead:
    """Read current of a 6T cell at one level of the word line.

    Attributes:
        current_a: mean, A; None where it is not given.
        rel_sigma: relative standard deviation.
        optima: the same from OPTIMA's fit to a commercial 65 nm kit; None where that has no figure.
    """

    current_a: float | None
    rel_sigma: float
    optima: float | None


def _read(current_ua: float | None, percent: float, optima_percent: float | None) -> PublishedRead:
    return PublishedRead(
        current_a=current_ua and current_ua * 1e-6,
        rel_sigma=percent / 100,
        optima=optima_percent and optima_percent / 100,
    )


#: V_WL in V -> current and spread of a 6T cell, pass gate 90/65 nm over pull-down 130/65 nm, supply and bit line at
#: 1.1 V, 27 degrees Celsius, A_VT 3.5 mV um (pair), threshold mismatch alone. Source: a BSIM4 card with the anchors of
#: `prcim technology show`, simulated before this project's own cards were made; and OPTIMA, whose model is a fit to a
#: commercial 65 nm kit, an independent witness.
READ_6T: Mapping[float, PublishedRead] = MappingProxyType(
    {
        0.4: _read(8.4, 28.6, 28.4),
        0.5: _read(16.2, 17.8, 16.5),
        0.6: _read(24.9, 12.1, 11.2),
        0.7: _read(33.5, 9.0, 8.2),
        0.8: _read(42.1, 7.1, 6.4),
        0.9: _read(50.4, 5.8, 5.3),
        1.0: _read(None, 4.9, 4.6),
        1.1: _read(66.3, 4.2, None),
    }
)
#: The same for a stack of 120/65 nm over 120/65 nm, from the same card.
READ_8T: Mapping[float, PublishedRead] = MappingProxyType({0.6: _read(None, 10.2, None), 1.1: _read(77.0, 3.6, None)})


def published_reads(technology: Technology, cell: Cell, mismatch: Mismatch) -> Mapping[float, PublishedRead]:
    """Published figures that were found under the same conditions: V_WL in V -> figure; empty where there are none."""
    if technology != own_technology(flavour="hp") or mismatch.a_vt_v_m != Mismatch().a_vt_v_m:
        return {}
    return READ_6T if cell == Cell6T() else READ_8T if cell == Cell8T() else {}
