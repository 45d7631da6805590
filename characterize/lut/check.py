"""Whether a table keeps its laws: its parts add up to its totals, and both to what its plan says."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from prcim.characterize.lut.dof import between_squares, excess_kurtosis, pattern_dof, shots
from prcim.characterize.lut.error_lut import ErrorLUT
from prcim.characterize.lut.precision import estimates
from prcim.characterize.lut.total import total_moments
from prcim.characterize.statistics.effort import effort_of
from prcim.characterize.statistics.interval import satterthwaite_dof, share_interval, variance_interval
from prcim.characterize.statistics.variance import NONE

Floats = NDArray[np.float64]

#: Variances below this, S^2, are those of the arithmetic.
NEGLIGIBLE = 1e-6
#: How far a mean over quantiles may lie from the mean, in sigmas.
MEAN = 0.02
#: Rounding to single precision, of differences of voltages that are a hundred times as large.
ROUNDING = 1e-3
RELATIVE = "relative difference"
#: Share of an interval's half by which quantiles may differ from a sample.
SAME_SHOTS = 0.25


@final
@dataclass(frozen=True, kw_only=True)
class Check:
    """One law.

    Attributes:
        name: what must hold.
        passed: whether it does; None where the table does not say enough to tell.
        figure: what was found.
        limit: what it may be.
    """

    name: str
    passed: bool | None
    figure: str
    limit: str

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def check_arrays(lut: ErrorLUT) -> Iterator[Check]:
    """Laws of single arrays.

    Example:
        >>> from prcim.characterize.lut.file import open_lut
        >>> all(check.passed for check in check_arrays(open_lut("package:8t-64")))
        True
    """
    falls = -np.diff(lut.transfer_v)
    yield _at_least("the transfer curve falls", falls * 1e3, "mV from one sum to the next", strict=True)
    slope = -np.gradient(lut.transfer_v, lut.mac)
    yield _at_most("slope_v is its slope", np.abs(lut.slope_v / slope - 1), ROUNDING, RELATIVE, lut.mac)
    for name in ("residual_q", "total_q", "cell_q"):
        steps = np.diff(getattr(lut, name), axis=-1)
        yield _at_least(f"{name} is sorted", steps, "between neighbouring quantiles", strict=False)
    for name in ("v_res", "read_sigma", "noise_line_v", "energy_sd_j", "count", "failed"):
        yield _at_least(f"{name} is not negative", getattr(lut, name), "the smallest", strict=False)
    for name in ("energy_j", "chip_volt_gain", "chip_cell_gain"):
        yield _at_least(f"{name} is positive", getattr(lut, name), "the smallest", strict=True)
    comparator_v = lut.meta.get("comparator_noise_v")
    if comparator_v is None:
        missing = "no comparator noise in the table"
        yield Check(name="read_sigma is noise over slope", passed=None, figure=missing, limit="-")
    else:
        wanted = np.hypot(lut.noise_line_v, comparator_v) / lut.slope_v
        off = np.abs(lut.read_sigma - wanted) / np.maximum(wanted, 1e-300)
        yield _at_most("read_sigma is noise over slope", off, ROUNDING, RELATIVE, lut.mac)
    if "swing_v" in lut.meta:
        swing_v = lut.transfer_v[0] - lut.transfer_v[-1]
        off = np.abs([swing_v / lut.meta["swing_v"] - 1])
        yield _at_most("the curve has the stated swing", off, ROUNDING, RELATIVE)
    if "rel_sigma_cell" in lut.meta:
        sigma = estimates(lut, names=("rel_sigma_cell",))["rel_sigma_cell"]
        allowed = np.maximum(_tails(lut.cell_q) / 2, SAME_SHOTS * sigma.relative)
        off = np.abs([lut.cell_q.std() / sigma.value - 1])
        yield _at_most("cell_q has the stated spread", off, allowed, RELATIVE)


def check_law(lut: ErrorLUT) -> Iterator[Check]:
    """The law of a table: bank, residual and read reproduce each sum's variance and static share.

    Both within their 95 % intervals, which is what matters to who uses the table; and numbers that come from the same
    shots more closely than that, which finds a table that was changed. Tables of version 3 and before had other banks.

    Example:
        >>> from prcim.characterize.lut.file import open_lut
        >>> [check.name for check in check_law(open_lut("package:8t-64")) if not check.passed]
        []
    """
    effort = effort_of(lut)
    bank, residual = lut.bank.var(axis=0, ddof=1), lut.residual_q.var(axis=1)
    parts = shots(lut, effort)
    spread = parts[0][0] + parts[1][0]
    stated = spread + lut.read_sigma**2
    low, high = variance_interval(stated, satterthwaite_dof(stated, *parts))
    varies = spread > NEGLIGIBLE
    departure = _departure(bank + residual + lut.read_sigma**2, stated, low, high, varies)
    yield _at_most(
        "bank + residual + read have the variance of each sum", departure, 1.0, "of half its interval", lut.mac
    )
    share = np.divide(bank, bank + residual, out=np.zeros_like(bank), where=bank + residual > 0)
    ends = lut.icc_low - ROUNDING, lut.icc_high + ROUNDING
    departure = _departure(share, lut.icc, *ends, varies)
    yield _at_most("and its static share", departure, 1.0, "of half its interval", lut.mac)
    one = variance_interval(np.ones(len(lut.mac)), pattern_dof(lut, effort))
    allowed = np.maximum(_tails(lut.residual_q), SAME_SHOTS * (one.high - one.low) / 2)
    off = np.where(lut.v_res > NEGLIGIBLE, np.abs(residual / np.maximum(lut.v_res, NEGLIGIBLE) - 1), 0.0)
    yield _at_most("residual_q has the variance v_res", off, allowed, RELATIVE, lut.mac)
    # What is less than rounding of the shots has no part in the bank.
    wanted = np.where(lut.v_col > NONE * spread, lut.v_col, 0.0)
    off = np.abs(bank - wanted) / np.maximum(wanted, np.maximum(NONE * spread / ROUNDING, NEGLIGIBLE))
    yield _at_most("the bank has the variance v_col at each sum", off, ROUNDING, RELATIVE, lut.mac)
    between = between_squares(lut, effort)
    dof = effort.columns - 1.0, effort.columns * (effort.patterns - 1.0)
    ends = share_interval(between, lut.v_res, patterns=effort.patterns, dof=dof)
    off = np.maximum(np.abs(ends[0] - lut.icc_low), np.abs(ends[1] - lut.icc_high)) * varies
    yield _at_most("icc_low and icc_high follow from v_col and v_res", off, ROUNDING, "difference", lut.mac)
    yield from _check_total(lut, (effort.columns - 1) / effort.columns * parts[0][0] + parts[1][0])


def _check_total(lut: ErrorLUT, shot_variance: Floats) -> Iterator[Check]:
    """Dies included: quantiles of everything together against the parts they were made from."""
    mean, variance = total_moments(lut, shot_variance)
    sigma = np.sqrt(np.maximum(variance, NEGLIGIBLE))
    off = np.abs(lut.total_q.var(axis=1) / sigma**2 - 1)
    name = "total_q has the variance of all parts, dies included"
    yield _at_most(name, off, _tails(lut.total_q), RELATIVE, lut.mac)
    off = np.abs(lut.total_q.mean(axis=1) - mean) / sigma
    yield _at_most("and their mean", off, MEAN, "of sigma", lut.mac)


def _tails(quantiles: Floats) -> Floats:
    """What quantiles at (i + 1/2) / 256 may leave out of a variance: what lies beyond 1/512.

    Computed for the normal and for log-normal variables up to a relative spread of 1: 0.005 (1 + excess kurtosis of the
    quantiles). A sample scatters about that, so four times as much is let pass.
    """
    return np.asarray(0.02 + 0.02 * np.maximum(excess_kurtosis(quantiles), 0.0))


def _departure(value: Floats, centre: Floats, low: Floats, high: Floats, where: NDArray[np.bool_]) -> Floats:
    """Distance from the centre of an interval to a value, in lengths of the half on its side."""
    half = np.where(value < centre, centre - low, high - centre)
    away = np.abs(value - centre)
    return np.where(where & (away > 0), away / np.maximum(half, 1e-300), 0.0)


def _at_most(name: str, values: Floats, limits: Floats | float, unit: str, mac: Floats | None = None) -> Check:
    """The value that comes closest to its limit, or lies furthest beyond."""
    share = values / limits
    worst = int(np.argmax(share))
    found, limit = float(values.flat[worst]), float(np.broadcast_to(limits, values.shape).flat[worst])
    place = "" if mac is None else f" at S = {mac[worst]:g}"
    return Check(name=name, passed=found <= limit, figure=f"{found:.3g} {unit}{place}", limit=f"<= {limit:.3g}")


def _at_least(name: str, values: Floats, unit: str, *, strict: bool) -> Check:
    """The smallest value against 0."""
    found = float(values.min())
    sign = ">" if strict else ">="
    return Check(
        name=name, passed=found > 0 or (found == 0 and not strict), figure=f"{found:.3g} {unit}", limit=f"{sign} 0"
    )
