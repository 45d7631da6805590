"""Whether composed columns are what ngspice makes of the same columns."""

import math
from dataclasses import asdict, dataclass
from typing import Any, final

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

    Ratios of spreads on the same draws are far surer than either spread: with rms d, spread s and C columns their
    relative standard error is at most d / (s sqrt(C - 1)). The 40 columns of a plan's 200 checks give 0.01 to 0.06 %
    for the named plans, whose s is 3 to 13 S and d 0.005 to 0.02 S. With d at its limit and s = 3 S it is 0.3 %: no
    sum is then refused by chance. Where s is 1 S that takes 100 columns, 500 checks.

    Attributes:
        n: reads compared.
        rms_mac, max_mac: difference of their errors, in S.
        spread_ratio: standard deviation of errors over columns, composed over simulated, from the variances of all
            checked sums together.
        spread_ratio_worst: the same at the one sum where it is furthest from 1.
    """

    n: int
    rms_mac: float
    max_mac: float
    spread_ratio: float
    spread_ratio_worst: float

    @property
    def good(self) -> bool:
        """Whether a table may be made."""
        close = self.rms_mac <= RMS_MAX and self.max_mac <= LARGEST_MAX
        return close and all(abs(ratio - 1) <= SPREAD_MAX for ratio in (self.spread_ratio, self.spread_ratio_worst))

    def as_json(self) -> dict[str, Any]:
        """Plain values, to four digits; null for what was not compared.

        Example:
            >>> agreement(np.empty((0, 2, 5))).as_json()["rms_mac"] is None
            True
        """
        values = {name: float(f"{value:.4g}") for name, value in asdict(self).items() if not math.isnan(value)}
        return {**dict.fromkeys(asdict(self)), **values, "n": self.n}


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
        nan = math.nan
        return Agreement(n=0, rms_mac=nan, max_mac=nan, spread_ratio=nan, spread_ratio_worst=nan)
    off = pairs[:, 0] - pairs[:, 1]
    composed, simulated = pairs.var(axis=0, ddof=1)
    ratios = _ratio(composed, simulated)
    return Agreement(
        n=off.size,
        rms_mac=float(np.sqrt(np.mean(off**2))),
        max_mac=float(np.abs(off).max()),
        spread_ratio=float(_ratio(composed.sum(), simulated.sum())),
        spread_ratio_worst=float(ratios[np.argmax(np.abs(ratios - 1))]),
    )


def _ratio(composed: NDArray[np.float64], simulated: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of standard deviations, from variances; 1 where there is neither."""
    ratio = np.where(np.maximum(composed, simulated) > 0, np.inf, 1.0)
    np.divide(composed, simulated, out=ratio, where=simulated > 0)
    return np.sqrt(ratio)
