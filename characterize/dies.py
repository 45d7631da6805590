"""What a whole die does to its columns: curves that they share, and where its thresholds come from."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from prcim.cells.registry import CELLS
from prcim.characterize.plan import Plan
from prcim.characterize.streams import Stream
from prcim.characterize.transfer import TransferCurve
from prcim.errors import RunError

Floats = NDArray[np.float64]


def die_curves(chips: pd.DataFrame, plan: Plan, v_bl_v: Floats, curve: TransferCurve) -> tuple[Floats, Floats, Floats]:
    """Curves that whole dies share, and two gains of each die: of a voltage error, and of its cells.

    A die shifts the mean column by the factor that it shifts the column without mismatch by. Its thresholds come from
    the mean curve at nominal conditions (`ideal`), from that curve shifted to the die's own middle as far as a trim
    allows (`trimmed`), or from the mean of replica columns on the same die (`replica`): columns of the bank, so with
    mismatch of their own. All columns of a die share one reference.
    """
    if (chips["status"] != "ok").any():
        bad = chips.loc[chips["status"] != "ok", "status"].iloc[0]
        raise RunError(f"a column on a shifted die could not be simulated: {bad}")
    mac = curve.mac
    dies = chips.sort_values(["chip", "mac"])["v_bl_v"].to_numpy().reshape(-1, len(mac))
    columns = len(v_bl_v)
    curves, volt_gains, cell_gains = [], [], []
    for index, die_v in enumerate(dies[1:]):
        mean = TransferCurve(mac=mac, v_bl_v=_on_die(curve.v_bl_v, die_v, dies[0], plan))
        gain = float(np.interp(0.0, mac, mean.slope_v) / np.interp(0.0, mac, curve.slope_v))
        if plan.reference.kind == "replica":
            rng = np.random.default_rng((plan.seed, Stream.REPLICA, index))
            # Replicas come from the half of the bank that the die belongs to, so no column stands in both halves.
            first, last = (0, columns // 2) if index < len(dies[1:]) // 2 else (columns // 2, columns)
            chosen = rng.integers(first, last, plan.reference.replicas)
            pattern = rng.integers(0, v_bl_v.shape[1], plan.reference.replicas)
            replica_v = _on_die(v_bl_v[chosen, pattern].mean(axis=0), die_v, dies[0], plan)
            reference = TransferCurve(mac=mac, v_bl_v=replica_v)
            volt_gains.append(gain)
            cell_gains.append(1.0)
        else:
            shift_v = 0.0
            if plan.reference.kind == "trimmed":
                # At the conditions of the plan, on the mean column of the die, in the middle of the sums.
                middle_v = [float(np.interp(0.0, mac, v)) for v in (mean.v_bl_v, curve.v_bl_v)]
                shift_v = plan.make_trim().realised_v(middle_v[0] - middle_v[1])
            reference = TransferCurve(mac=mac, v_bl_v=curve.v_bl_v + shift_v)
            volt_gains.append(1.0)
            cell_gains.append(gain)
        curves.append(reference.mac_at(mean.v_bl_v) - mac)
    return np.array(curves), np.array(volt_gains), np.array(cell_gains)


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
