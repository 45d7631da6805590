"""Noise, energy and settling of reads."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from prcim.characterize.plan import Plan
from prcim.characterize.transfer import TransferCurve
from prcim.errors import InputError, RunError

#: Half a cell: how far the line may be from its steady state when a read ends. Assumption.
SETTLE_ERROR_MAX_MAC = 1.0

Floats = NDArray[np.float64]


def noise_v(reads: pd.DataFrame, mac: Floats) -> Floats:
    """Noise of the line at every sum of the table, V; simulated at a few."""
    if (reads["status"] != "ok").any():
        bad = reads.loc[reads["status"] != "ok", "status"].iloc[0]
        raise RunError(f"a read of the column without mismatch could not be simulated: {bad}")
    return np.asarray(np.interp(mac, reads["mac"].to_numpy(dtype=np.float64), reads["noise_v"].to_numpy()))


def energies_j(shots: pd.DataFrame, mac: Floats) -> tuple[Floats, Floats]:
    """Mean energy of a read at every sum of the table, and how far the means of columns spread, J."""
    mean_j, sd_j = np.full(len(mac), np.nan), np.zeros(len(mac))
    # Sum by sum: of all together there are millions.
    for place, value in enumerate(mac):
        here = shots.loc[(shots["mac"] == value) & (shots["status"] == "ok"), ["column", "energy_j"]]
        columns = here.groupby("column")["energy_j"].mean()
        if len(columns):
            mean_j[place] = columns.mean()
        if len(columns) > 1:
            sd_j[place] = columns.groupby(np.zeros(len(columns))).std(ddof=1).iloc[0]
    return mean_j, sd_j


def settle_error_v(samples: dict[str, pd.DataFrame], plan: Plan, curve: TransferCurve) -> float:
    """How far the column without mismatch is from its steady state when the read-out looks, V; a pulse has none."""
    reads, nominal = samples["reads"], samples["chips"].query("chip == 0").sort_values("mac")
    settled_v = PchipInterpolator(nominal["mac"], nominal["v_bl_v"])(reads["mac"])
    error_v = np.abs(reads["v_end_v"] - settled_v)
    error_mac = error_v / np.interp(reads["mac"], curve.mac, curve.slope_v)
    if error_mac.max() > SETTLE_ERROR_MAX_MAC:
        field = "t_settle_s" if plan.read.mode == "charge" else "settle_tau"
        raise InputError(
            f"the line is {error_mac.max():.2f} in S from its steady state when the read-out looks (limit"
            f" {SETTLE_ERROR_MAX_MAC:g}); raise {field}"
        )
    return float(error_v.max())
