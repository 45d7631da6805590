"""From simulated shots to the table."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm
from threadpoolctl import threadpool_limits

from prcim.cells.reads.pulsed_read import PulsedRead
from prcim.characterize.composed.agreement import LARGEST_MAX, RMS_MAX, SPREAD_MAX, agreement, compared
from prcim.characterize.dies import Dies, die_curves
from prcim.characterize.engine import Engine
from prcim.characterize.lut.error_lut import QUANTILES, SCHEMA, ErrorLUT
from prcim.characterize.plan import Plan
from prcim.characterize.read_figures import energies_j, noise_v, settle_error_v
from prcim.characterize.statistics.variance import shrunken_means, variance_components
from prcim.characterize.transfer import TransferCurve
from prcim.errors import InputError, RunError

#: Smallest step of the transfer curve relative to the largest, below which a read is refused.
STEP_RATIO_MIN = 0.4
#: Where the read noise of each kind of read comes from.
NOISE_SOURCES = {
    "steady": "line, load and cells: ngspice .noise; comparator: assumption",
    "pulsed": "precharge: kT/C; cells: density from ngspice .noise over the pulse; comparator: assumption",
    "charge": "line and select transistors: kT/C; comparator: assumption",
}

#: Columns whose voltages become errors at a time, and reads that are put in their places.
COLUMNS_AT_ONCE, READS_AT_ONCE = 1024, 2**20
#: Most errors of a sum that are combined one by one with dies and noise.
ERRORS_MAX = 512

Floats = NDArray[np.float64]


def build_luts(
    plan_id: str, engines: Sequence[Engine], samples: Iterable[dict[str, pd.DataFrame]], simulator: str
) -> tuple[ErrorLUT, ...]:
    """Makes the tables of a plan, one for each of its conditions.

    Args:
        plan_id: identity of the plan.
        engines: those that simulated it, one for each of the plan's conditions.
        samples: for each of the plan's conditions kind -> rows, as `read_samples` returns them. They are asked for one
            after the other, each when the one before is gone: of all together memory would not do. The rows of columns
            are taken out, to be gone as soon as nothing needs them.
        simulator: name and version, for the provenance.

    Raises:
        InputError: the read is refused, since the transfer curve bends too much.
        RunError: the column without mismatch could not be simulated.
    """
    # One thread, so that sums are added in one order whatever the machine does besides.
    with threadpool_limits(1):
        luts: list[ErrorLUT] = []
        nominal: Dies | None = None
        conditions = iter(samples)
        for engine in engines:
            # No name for the rows here: it would keep them while the next are read.
            lut, dies = _build(plan_id, engine, next(conditions), simulator, nominal)
            luts.append(lut)
            nominal = nominal or dies
        return tuple(luts)


def _build(
    plan_id: str, engine: Engine, samples: dict[str, pd.DataFrame], simulator: str, nominal: Dies | None
) -> tuple[ErrorLUT, Dies]:
    plan = engine.plan
    mac = 2.0 * np.array(plan.n_on) - plan.n_used
    shots = samples.pop("columns")
    v_bl_v, good = _cube(shots, plan, mac)
    curve = TransferCurve(mac=mac, v_bl_v=v_bl_v.mean(axis=(0, 1)))
    if curve.step_ratio < STEP_RATIO_MIN:
        raise InputError(
            f"the smallest step of the transfer curve is {curve.step_ratio:.2f} of the largest (limit"
            f" {STEP_RATIO_MIN}); lower swing_v"
        )
    energy_j, energy_sd_j = energies_j(shots, mac)
    agreed = _agreement(samples, shots, plan, curve)
    del shots
    err = np.empty_like(v_bl_v)
    for first in range(0, len(err), COLUMNS_AT_ONCE):
        some = slice(first, first + COLUMNS_AT_ONCE)
        err[some] = curve.mac_at(v_bl_v[some]) - mac
    parts = variance_components(err)
    line_v = noise_v(samples["reads"], mac)
    read_sigma = np.hypot(line_v, plan.read.comparator_noise_v) / curve.slope_v
    dies = die_curves(samples["chips"], plan, v_bl_v, curve, nominal)
    good_cells = samples["cells"].query("status == 'ok'")
    value = "c_cell_f" if plan.read.mode == "charge" else "i_cell_a"
    cell = good_cells[value].to_numpy()
    if len(cell) < QUANTILES // 16:
        raise RunError("too few read currents of single cells could be simulated; see samples/cells-*.parquet")
    column = engine.column
    meta: dict[str, Any] = {
        "schema": SCHEMA,
        "plan_id": plan_id,
        "plan": plan.model_dump(exclude={"technology": {"models"}}),
        "models_sha256": column.technology.library.sha256,
        "engine": plan.engine,
        "agreement": agreed,
        "held": engine.held.meta,
        "simulator": simulator,
        "readout": "none",
        "conditions": list(plan.conditions[0]),
        "bit_lines": len(column.ends),
        "rows": plan.column.rows,
        "n_used": plan.n_used,
        "load_ohm": float(f"{column.load_ohm:.6g}"),
        "c_bl_f": float(f"{column.c_bl_f:.6g}"),
        "t_read_s": float(f"{engine.read.t_read_s(column):.6g}"),
        "t_pulse_s": float(f"{engine.read.t_pulse_s:.6g}") if isinstance(engine.read, PulsedRead) else None,
        # How far the line still is from its steady state when the read-out looks, from transients of whole columns.
        "settle_error_v": float(f"{settle_error_v(samples, plan, curve):.3g}"),
        "step_ratio": round(curve.step_ratio, 4),
        "swing_v": float(f"{curve.v_bl_v[0] - curve.v_bl_v[-1]:.6g}"),
        value: float(f"{cell.mean():.6g}"),
        "rel_sigma_cell": float(f"{cell.std(ddof=1) / cell.mean():.6g}"),
        "reference_j": float(f"{engine.cost.reference_j:.6g}"),
        "decision_j": float(f"{engine.cost.decision_j:.6g}"),
        "comparator_noise_v": plan.read.comparator_noise_v,
        "noise_source": NOISE_SOURCES[plan.read.mode],
    }
    lut = ErrorLUT(
        mac=mac,
        transfer_v=curve.v_bl_v,
        slope_v=curve.slope_v,
        bank=shrunken_means(err, parts),
        residual_q=_residual_quantiles(err),
        total_q=_total_quantiles(err, read_sigma, dies),
        read_sigma=read_sigma,
        chip_curves=dies.curves,
        chip_volt_gain=dies.volt_gain,
        chip_cell_gain=dies.cell_gain,
        cell_q=_quantiles(cell / cell.mean() - 1),
        energy_j=energy_j,
        energy_sd_j=energy_sd_j,
        noise_line_v=line_v,
        v_col=parts.v_col,
        v_res=parts.v_res,
        icc_low=parts.icc_low,
        icc_high=parts.icc_high,
        count=good.sum(axis=(0, 1)).astype(np.float64),
        failed=(~good).sum(axis=(0, 1)).astype(np.float64),
        meta=meta,
    )
    return lut, dies


def _agreement(
    samples: dict[str, pd.DataFrame], shots: pd.DataFrame, plan: Plan, curve: TransferCurve
) -> dict[str, Any]:
    """How far composed columns are from ngspice's; the column engine has nothing to be held against.

    Raises:
        RunError: too far for a table.
    """
    if plan.engine == "column":
        return agreement(np.empty((0, 2, len(curve.mac)))).as_json()
    found = compared(samples["checks"], shots, curve)
    if not found.good:
        raise RunError(
            f"composed columns differ from ngspice's by {found.rms_mac:.3f} rms and {found.max_mac:.2f} at most in S"
            f" (limits {RMS_MAX} and {LARGEST_MAX}), their spread is {found.spread_ratio:.3f} times ngspice's, at the"
            f" worst sum {found.spread_ratio_worst:.3f} times (1 within {SPREAD_MAX}), over {found.n} reads; there is"
            " no table. engine=column simulates every column"
        )
    return found.as_json()


def _cube(shots: pd.DataFrame, plan: Plan, mac: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Voltages and which of them are good, shape (columns, patterns, M).

    The few failed shots that are allowed take the mean of their column at that sum, or of all columns, so that the
    layout stays balanced; the table counts them.
    """
    shape = (plan.sampling.columns, plan.sampling.patterns, len(mac))
    v_bl_v, good = np.full(shape, np.nan), np.zeros(shape, dtype=np.bool_)
    for first in range(0, len(shots), READS_AT_ONCE):
        some = shots.iloc[first : first + READS_AT_ONCE]
        at = (some["column"].to_numpy(), some["pattern"].to_numpy(), np.searchsorted(mac, some["mac"].to_numpy()))
        v_bl_v[at] = some["v_bl_v"].to_numpy()
        good[at] = (some["status"] == "ok").to_numpy()
    for place in np.flatnonzero(~good.all(axis=(0, 1))):
        # Both are changed in place.
        its_v, fine = v_bl_v[:, :, place], good[:, :, place]
        its_v[~fine] = np.nan
        if not fine.any():
            raise RunError("at some sum every shot failed; see the status in samples/columns-*.parquet")
        count = fine.sum(axis=1, keepdims=True)
        own = np.where(count > 0, np.nansum(its_v, axis=1, keepdims=True) / np.maximum(count, 1), np.nanmean(its_v))
        its_v[:] = np.where(fine, its_v, own)
    return v_bl_v, good


def _quantiles(values: Floats) -> Floats:
    """Quantiles at (i + 1/2) / 256, shape (256,)."""
    return np.quantile(values, (np.arange(QUANTILES) + 0.5) / QUANTILES, method="hazen")


def _residual_quantiles(err: Floats) -> Floats:
    """Quantiles of what patterns add to the errors of a column, shape (M, 256)."""
    # The mean over P patterns takes a share of 1/P of the residual variance with it.
    patterns = err.shape[1]
    scale = np.sqrt(patterns / (patterns - 1))
    means = err.mean(axis=1, keepdims=True)
    # Sum by sum: of all together there are millions.
    return np.array([_quantiles((err[:, :, k] - means[:, :, k]) * scale) for k in range(err.shape[2])])


def _total_quantiles(err: Floats, read_sigma: Floats, dies: Dies) -> Floats:
    """Quantiles of a read of any column on any die: its error, the die's, and normal read noise in 16 steps."""
    noise = norm.ppf((np.arange(16) + 0.5) / 16)
    noise /= noise.std()
    rows = []
    for k in range(err.shape[2]):
        its = err[:, :, k].ravel()
        if len(its) > ERRORS_MAX:
            # As many quantiles stand for them: with every die and every step of noise there would be too many.
            its = np.quantile(its, (np.arange(ERRORS_MAX) + 0.5) / ERRORS_MAX, method="hazen")
        cells = its[:, None, None] * dies.cell_gain[:, None]
        spread = cells + dies.curves[:, k, None] + noise * read_sigma[k] / dies.volt_gain[:, None]
        rows.append(_quantiles(spread))
    return np.array(rows)
