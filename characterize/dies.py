"""What a whole die does to its columns: curves that they share, and where its thresholds come from."""

from dataclasses import dataclass
from typing import final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from prcim.cells.registry import CELLS
from prcim.characterize.plan import Plan
from prcim.characterize.streams import Stream
from prcim.characterize.transfer import TransferCurve
from prcim.errors import RunError

Floats = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Dies:
    """What whole dies do, at one point of a plan's conditions; G dies, M sums.

    Attributes:
        curves: error that all columns of a die share, reference included, in S, shape (G, M).
        volt_gain: slope of each die's reference relative to the mean curve, shape (G,).
        cell_gain: current of each die's cells relative to what its reference expects, shape (G,).
        fixed: the mean transfer curve that fixed thresholds were made from.
        trim_v: shift of these thresholds on each die, V, shape (G,); 0 where nothing is trimmed.
    """

    curves: Floats
    volt_gain: Floats
    cell_gain: Floats
    fixed: TransferCurve
    trim_v: Floats


def die_curves(
    chips: pd.DataFrame, plan: Plan, v_bl_v: Floats, curve: TransferCurve, nominal: Dies | None = None
) -> Dies:
    """Curves that whole dies share, and two gains of each die: of a voltage error, and of its cells.

    Thresholds come from the mean curve at the plan's own conditions (`ideal`), from that curve shifted to the die's own
    middle as far as a trim allows (`trimmed`), or from the mean of replica columns on the same die (`replica`): columns
    of the bank, so with mismatch of their own. All columns of a die share one reference.

    Args:
        chips: samples of the column without mismatch on shifted dies.
        plan: the plan of this point.
        v_bl_v: voltages of all columns, V, shape (columns, patterns, M).
        curve: their mean transfer curve.
        nominal: the dies at the plan's own conditions, where thresholds are fixed and trimmed; None for these.
    """
    if (chips["status"] != "ok").any():
        bad = chips.loc[chips["status"] != "ok", "status"].iloc[0]
        raise RunError(f"a column on a shifted die could not be simulated: {bad}")
    mac = curve.mac
    dies = _at_all_sums(chips, mac)
    means = [TransferCurve(mac=mac, v_bl_v=_on_die(curve.v_bl_v, die_v, dies[0], plan)) for die_v in dies[1:]]
    fixed = curve if nominal is None else nominal.fixed
    trim_v = np.zeros(len(means)) if nominal is None else nominal.trim_v
    if plan.reference.kind == "trimmed" and nominal is None:
        # On the mean column of the die, in the middle of the sums.
        middle_v = [_middle(mac, mean.v_bl_v) - _middle(mac, fixed.v_bl_v) for mean in means]
        trim_v = np.array([plan.make_trim().realised_v(v) for v in middle_v])
    curves, volt_gain, cell_gain = [], [], []
    for index, mean in enumerate(means):
        if plan.reference.kind == "replica":
            rng = np.random.default_rng((plan.seed, Stream.REPLICA, index))
            # Replicas come from the half of the bank that the die belongs to, so no column stands in both halves.
            half = len(v_bl_v) // 2
            first, last = (0, half) if index < len(means) // 2 else (half, len(v_bl_v))
            chosen = rng.integers(first, last, plan.reference.replicas)
            pattern = rng.integers(0, v_bl_v.shape[1], plan.reference.replicas)
            replica_v = v_bl_v[chosen, pattern].mean(axis=0)
            reference = TransferCurve(mac=mac, v_bl_v=_on_die(replica_v, dies[index + 1], dies[0], plan))
            # The reference follows the die: its cells count as much as it expects, volts as much as its slope says.
            volt_gain.append(_middle(mac, mean.slope_v) / _middle(mac, curve.slope_v))
            cell_gain.append(1.0)
        else:
            reference = TransferCurve(mac=mac, v_bl_v=fixed.v_bl_v + trim_v[index])
            volt_gain.append(_middle(mac, fixed.slope_v) / _middle(mac, curve.slope_v))
            cell_gain.append(_middle(mac, mean.slope_v) / _middle(mac, fixed.slope_v))
        curves.append(reference.mac_at(mean.v_bl_v) - mac)
    return Dies(
        curves=np.array(curves),
        volt_gain=np.array(volt_gain),
        cell_gain=np.array(cell_gain),
        fixed=fixed,
        trim_v=trim_v,
    )


def _at_all_sums(chips: pd.DataFrame, mac: Floats) -> Floats:
    """Voltage of every die at every sum, V, shape (dies, M).

    Dies may have been simulated at a few sums only. How far a die is from the one without a shift, which has them all,
    is smooth, and is interpolated.
    """
    table = chips.pivot(index="chip", columns="mac", values="v_bl_v").sort_index()
    nominal_v = table.loc[0].to_numpy()
    at = table.columns.to_numpy(dtype=np.float64)
    apart_v = table.to_numpy() - nominal_v
    some = np.isfinite(apart_v).all(axis=0)
    if some.all():
        return np.asarray(table.to_numpy())
    return np.asarray(nominal_v + PchipInterpolator(at[some], apart_v[:, some], axis=1)(mac))


def _middle(mac: Floats, values: Floats) -> float:
    return float(np.interp(0.0, mac, values))


def counts_cells(plan: Plan) -> bool:
    """Whether one line counts the cells that conduct; otherwise every cell pushes one way or the other."""
    return plan.read.mode != "charge" and len(CELLS[plan.column.cell].bit_lines) == 1


def _on_die(v_bl_v: Floats, die_v: Floats, nominal_v: Floats, plan: Plan) -> Floats:
    """A transfer curve moved to a die, by what the die does to the column without mismatch.

    What mismatch does to a curve, it does on the die by as much more as that die's column moves more. One line falls
    by a factor more at each sum, counted from where it stands with no cell on: the supply, or what the precharge switch
    leaves. A balanced curve (two lines, or charge) has cells at work at every sum, so one factor holds, that of its
    whole swing.
    """
    if counts_cells(plan):
        fall_v, nominal_fall_v = die_v[0] - die_v[1:], nominal_v[0] - nominal_v[1:]
        factor = fall_v / nominal_fall_v
        # With no cell on there is only leakage.
        factor = np.concatenate((factor[:1], factor))
    else:
        factor = (die_v[0] - die_v[-1]) / (nominal_v[0] - nominal_v[-1])
    return np.asarray(die_v + (v_bl_v - nominal_v) * factor)
