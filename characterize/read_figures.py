"""Noise, energy and settling of single reads of the column without mismatch."""

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


def read_figures(reads: pd.DataFrame, chips: pd.DataFrame, shots: pd.DataFrame, mac: Floats) -> dict[str, Floats]:
    """Noise, simulated at a few sums, and mean energy at every sum of the table.

    Every shot has an energy. What that of a steady-state shot leaves out (word lines, the cells' own capacitance) is
    the difference that reads in time make at a few sums of the column without mismatch.
    """
    if (reads["status"] != "ok").any():
        bad = reads.loc[reads["status"] != "ok", "status"].iloc[0]
        raise RunError(f"a read of the column without mismatch could not be simulated: {bad}")
    at = reads["mac"].to_numpy(dtype=np.float64)
    nominal = chips.query("chip == 0").sort_values("mac")
    left_out_j = reads["energy_j"].to_numpy() - np.interp(at, nominal["mac"], nominal["energy_j"])
    mean_j = shots.query("status == 'ok'").groupby("mac")["energy_j"].mean().sort_index()
    energy_j = np.interp(mac, mean_j.index.to_numpy(dtype=np.float64), mean_j.to_numpy()) + np.interp(
        mac, at, left_out_j
    )
    return {"noise_v": np.interp(mac, at, reads["noise_v"].to_numpy()), "energy_j": energy_j}


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
