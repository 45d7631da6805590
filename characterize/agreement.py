"""Whether composed columns are what ngspice makes of the same columns."""

from dataclasses import dataclass
from typing import final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from prcim.characterize.transfer import TransferCurve
from prcim.errors import RunError

#: What a run may be off: rms and largest difference in S, and share by which its spread differs.
RMS_MAX, LARGEST_MAX, SPREAD_MAX = 0.06, 0.3, 0.02
#: What makes a read the same read.
KEY = ["column", "pattern", "mac"]


@final
@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far composed reads are from the column engine's on the same draws.

    Attributes:
        n: reads compared.
        rms_mac, max_mac: difference of their errors, in S.
        spread_ratio: standard deviation of errors over columns, composed over simulated, from the variances of all
            checked sums together.
    """

    n: int
    rms_mac: float
    max_mac: float
    spread_ratio: float

    @property
    def good(self) -> bool:
        """Whether a table may be made."""
        close = self.rms_mac <= RMS_MAX and self.max_mac <= LARGEST_MAX
        return close and abs(self.spread_ratio - 1) <= SPREAD_MAX


def compared(checks: pd.DataFrame, columns: pd.DataFrame, curve: TransferCurve) -> Agreement:
    """Compares the reads that ngspice did with those that were composed.

    Args:
        checks, columns: samples of these kinds.
        curve: from a voltage to a partial sum.

    Raises:
        RunError: a checked read failed, in ngspice or in the composition.
    """
    columns = columns[columns["column"].isin(set(checks["column"]))]
    both = checks.merge(columns, on=KEY, suffixes=("_true", "")).sort_values(KEY)
    failed = (both["status_true"] != "ok") | (both["status"] != "ok")
    if failed.any():
        first = both[failed].iloc[0]
        words = first["status_true"] if first["status_true"] != "ok" else first["status"]
        raise RunError(f"{failed.sum()} of {len(both)} checked reads failed ({words}); use engine=column")
    count = both["column"].nunique()
    pairs = [curve.mac_at(both[name].to_numpy()).reshape(count, -1) for name in ("v_bl_v", "v_bl_v_true")]
    return agreement(np.stack(pairs, axis=1))


def agreement(pairs: NDArray[np.float64]) -> Agreement:
    """The agreement of sums, shape (columns, 2, sums): composed, simulated.

    Example:
        >>> agreement(np.array([[[1.0, 5.0], [1.1, 5.0]], [[3.0, 9.0], [3.1, 9.0]]])).rms_mac.__round__(4)
        0.0707
    """
    if len(pairs) < 2:
        nan = float("nan")
        return Agreement(n=0, rms_mac=nan, max_mac=nan, spread_ratio=nan)
    off = pairs[:, 0] - pairs[:, 1]
    variance = pairs.var(axis=0, ddof=1).sum(axis=1)
    return Agreement(
        n=off.size,
        rms_mac=float(np.sqrt(np.mean(off**2))),
        max_mac=float(np.abs(off).max()),
        spread_ratio=float(np.sqrt(variance[0] / variance[1])) if variance[1] > 0 else 1.0,
    )
