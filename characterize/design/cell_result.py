"""What was measured on a single cell, and how it is written down."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from scipy.stats import norm

from prcim.cells.devices.transistor import Transistor
from prcim.characterize.design.cell_bench import CellBench
from prcim.characterize.statistics.moments import Moments

#: Shares of lost cells for which the bit-line voltage is extrapolated.
LOST = (1e-4, 1e-5, 1e-6)


@final
@dataclass(frozen=True, kw_only=True)
class ReadPoint:
    """The read current at one level of the word line, bit line at the supply."""

    v_wl_v: float
    current_a: Moments

    def as_json(self) -> dict[str, Any]:
        """As plain numbers."""
        found = self.current_a
        return {
            "v_wl_v": self.v_wl_v,
            "i_mean_a": found.mean,
            "rel_sigma": found.rel_sigma,
            "ci95": list(found.rel_sigma_ci95),
            "n": found.n,
            "failed": found.failed,
        }


@final
@dataclass(frozen=True, kw_only=True)
class Margin:
    """Static noise margin: of each cell the smaller of its two.

    Attributes:
        v_wl_v: level of the word line, V; None at rest.
        nominal_v: that of a cell without mismatch.
        margin_v: its distribution.
    """

    v_wl_v: float | None
    nominal_v: float
    margin_v: Moments

    @property
    def six_sigma_v(self) -> float:
        """Mean less six standard deviations: what is left in one cell of a thousand million, if the tail is normal."""
        return self.margin_v.mean - 6 * self.margin_v.sigma

    def as_json(self) -> dict[str, Any]:
        """As plain numbers."""
        found = self.margin_v
        return {
            "v_wl_v": self.v_wl_v,
            "nominal": self.nominal_v,
            "mean": found.mean,
            "ci95": list(found.mean_ci95),
            "sigma": found.sigma,
            "sigma_ci95": list(found.sigma_ci95),
            "min": found.low,
            "mean_minus_6_sigma": self.six_sigma_v,
            "n": found.n,
            "failed": found.failed,
        }


@final
@dataclass(frozen=True, kw_only=True)
class DisturbPoint:
    """Read disturb at one level of the word line.

    Attributes:
        v_wl_v: level of the word line, V.
        nominal_v: bit-line voltage at which a cell without mismatch loses its bit.
        trip_v: distribution of that voltage.
        lost: for some bit-line voltages, V: the share of cells that lose their bit, and its exact 95 % interval.
    """

    v_wl_v: float
    nominal_v: float
    trip_v: Moments
    lost: Mapping[float, tuple[float, tuple[float, float]]]

    def limit_v(self, share: float) -> float:
        """Bit-line voltage at which this share of all cells is lost if the tail is normal: an extrapolation."""
        return self.trip_v.mean + self.trip_v.sigma * float(norm.isf(share))

    def as_json(self) -> dict[str, Any]:
        """As plain numbers."""
        found = self.trip_v
        return {
            "v_wl_v": self.v_wl_v,
            "trip_nominal_v": self.nominal_v,
            "trip_mean_v": found.mean,
            "trip_sigma_v": found.sigma,
            "trip_sigma_ci95": list(found.sigma_ci95),
            "trip_worst_v": found.high,
            "skew": found.skew,
            "n": found.n,
            "failed": found.failed,
            "lost": [{"v_bl_v": v, "share": s, "ci95": list(ci95)} for v, (s, ci95) in self.lost.items()],
            "extrapolated": [{"share": share, "v_bl_v": self.limit_v(share)} for share in LOST],
        }


@final
@dataclass(frozen=True, kw_only=True)
class Leakage:
    """Current of a cell at rest.

    Attributes:
        bit: what it stores.
        total_a: all currents that flow into it from the supply and from lines at the supply.
        p99_a: the current that 1 % of the cells exceed.
        nominal_a: that of a cell without mismatch.
        supply_a, bit_lines_a, others_a: means by where it comes from; others are word lines and write bit lines.
    """

    bit: int
    total_a: Moments
    p99_a: float
    nominal_a: float
    supply_a: float
    bit_lines_a: float
    others_a: float

    def as_json(self) -> dict[str, Any]:
        """As plain numbers."""
        found = self.total_a
        return {
            "bit": self.bit,
            "nominal_a": self.nominal_a,
            "mean_a": found.mean,
            "sigma_a": found.sigma,
            "p99_a": self.p99_a,
            "supply_a": self.supply_a,
            "bit_lines_a": self.bit_lines_a,
            "others_a": self.others_a,
            "n": found.n,
            "failed": found.failed,
        }


@final
@dataclass(frozen=True, kw_only=True)
class CellFigures:
    """All that was measured; what does not apply to a cell is empty or None.

    Attributes:
        bench: what was measured.
        draws: cells with a mismatch of their own.
        read: current of the cell that conducts; transistors differ in their thresholds alone.
        read_with_gain: the same with gain mismatch: coefficient in m -> points.
        read_off: as `read`, of a cell with the opposite weight.
        snm_read, snm_hold: noise margins with a word line at the supply, and at rest.
        disturb: read disturb; empty where a read does not touch the latch.
        leakage: for each stored bit.
    """

    bench: CellBench
    draws: int
    read: tuple[ReadPoint, ...]
    read_with_gain: Mapping[float, tuple[ReadPoint, ...]]
    read_off: tuple[ReadPoint, ...]
    snm_read: Margin | None
    snm_hold: Margin | None
    disturb: tuple[DisturbPoint, ...]
    leakage: tuple[Leakage, ...]

    def as_json(self) -> dict[str, Any]:
        """As plain numbers, with what they were measured on."""
        bench = self.bench
        technology, mismatch = bench.technology, bench.mismatch
        return {
            "cell": repr(bench.cell),
            "nmos": technology.nmos,
            "pmos": technology.pmos,
            "vdd_v": technology.vdd_v,
            "temp_c": technology.temp_c,
            "corner": technology.corner,
            "a_vt_v_m": mismatch.a_vt_v_m,
            "a_beta_m": mismatch.a_beta_m,
            "draws": self.draws,
            "seed": bench.seed,
            "simulator": f"ngspice-{bench.ngspice.version}",
            "passives": [
                {"kind": type(part).__name__.lower(), "name": part.name, "rel_sigma": part.rel_sigma(mismatch)}
                for part in bench.cell.parts
                if not isinstance(part, Transistor)
            ],
            "read": [point.as_json() for point in self.read],
            "read_with_gain": [
                {"a_beta_m": a, "read": [point.as_json() for point in points]}
                for a, points in self.read_with_gain.items()
            ],
            "read_off": [point.as_json() for point in self.read_off],
            "snm_read_v": self.snm_read and self.snm_read.as_json(),
            "snm_hold_v": self.snm_hold and self.snm_hold.as_json(),
            "disturb": [point.as_json() for point in self.disturb],
            "leakage": [leak.as_json() for leak in self.leakage],
        }
