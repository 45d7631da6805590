"""The table: what a column's partial sums err by, in one file that NumPy alone can read."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from prcim.errors import InputError

SCHEMA = "prcim-lut-3"
#: Quantiles are kept at (i + 1/2) / 256.
QUANTILES = 256

Floats = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class ErrorLUT:
    """Errors of a column's partial sums, before any read-out, for one number of rows and one operating point.

    All errors are in units of the partial sum S = sum x_i w_i (`mac`), in which one conducting cell counts 2.
    M sums, C columns, G dies.

    Attributes:
        mac: the sums that were simulated, increasing, shape (M,).
        transfer_v: mean bit-line voltage at each, V, shape (M,).
        slope_v: volts by which one unit of S moves the bit line there, shape (M,).
        bank: one curve a physical column: its lasting error at each sum, shape (C, M). The first half of the bank
            trains networks, the second half judges them.
        residual_q: quantiles of the error that the pattern adds to the column's own, shape (M, 256).
        total_q: quantiles of everything that varies from die to die, column to column, pattern to pattern and read to
            read, shape (M, 256).
        read_sigma: noise of a single read, shape (M,).
        chip_curves: error that a whole die shares, reference included, shape (G, M); halves as in `bank`.
        chip_volt_gain: slope of each die's reference relative to the mean curve, shape (G,): an error in volts, such as
            an amplifier's offset, counts 1 / chip_volt_gain as much in S.
        chip_cell_gain: current of each die's cells relative to what its reference expects, shape (G,): `bank` and
            `residual_q` count so much on that die. 1 for a replica reference, which follows the die.
        cell_q: quantiles of the relative error of one cell's current, shape (256,).
        energy_j: energy of one read of one column, all sources: supplies, word lines, recovery of the lines, a share of
            the reference's columns (`reference_j` of `meta`), one decision of the comparator (`decision_j`); J, shape
            (M,).
        energy_sd_j: spread between columns of a column's mean energy, J, shape (M,).
        noise_line_v: noise of line, load and cells, V, shape (M,); the comparator's is in `meta`.
        v_col, v_res, icc_low, icc_high: variance between columns and between patterns, and the 95 % interval of the
            static share, shape (M,).
        count: good shots behind each sum, shape (M,).
        failed: failed shots at each sum, shape (M,).
        meta: plan, identity, simulator, sizes; plain JSON, without dates, hosts and paths.
    """

    mac: Floats
    transfer_v: Floats
    slope_v: Floats
    bank: Floats
    residual_q: Floats
    total_q: Floats
    read_sigma: Floats
    chip_curves: Floats
    chip_volt_gain: Floats
    chip_cell_gain: Floats
    cell_q: Floats
    energy_j: Floats
    energy_sd_j: Floats
    noise_line_v: Floats
    v_col: Floats
    v_res: Floats
    icc_low: Floats
    icc_high: Floats
    count: Floats
    failed: Floats
    meta: Mapping[str, Any]

    def __post_init__(self) -> None:
        sums = len(self.mac)
        for name, shape in self._shapes(sums).items():
            array = getattr(self, name)
            if array.shape != shape:
                raise InputError(f"table: {name} has shape {array.shape}, wanted {shape}")
            if not np.all(np.isfinite(array)):
                raise InputError(f"table: {name} holds values that are not finite numbers")
        if len(self.bank) < 2 or len(self.chip_curves) < 2:
            raise InputError("table: it takes at least 2 columns and 2 dies, one for training and one for judging")
        if sums < 3 or not np.all(np.diff(self.mac) > 0):
            raise InputError("table: mac must hold at least 3 increasing sums")
        if self.mac[0] != -self.n_used or self.mac[-1] != self.n_used:
            raise InputError(f"table: mac must reach from {-self.n_used} to {self.n_used}")

    def _shapes(self, sums: int) -> dict[str, tuple[int, ...]]:
        special = {
            "bank": (len(self.bank), sums),
            "residual_q": (sums, QUANTILES),
            "total_q": (sums, QUANTILES),
            "chip_curves": (len(self.chip_curves), sums),
            "chip_volt_gain": (len(self.chip_curves),),
            "chip_cell_gain": (len(self.chip_curves),),
            "cell_q": (QUANTILES,),
        }
        return {name: special.get(name, (sums,)) for name in array_names()}

    @property
    def rows(self) -> int:
        """Rows of the column."""
        return int(self.meta["rows"])

    @property
    def n_used(self) -> int:
        """Rows that carry weights; the table belongs to this number and no other."""
        return int(self.meta["n_used"])

    @property
    def plan_id(self) -> str:
        """Identity of the plan that made the table."""
        return str(self.meta["plan_id"])

    @property
    def failures(self) -> int:
        """Failed shots of columns."""
        return int(self.failed.sum())

    @property
    def icc(self) -> Floats:
        """Static share of the variance at each sum, shape (M,); 0 where nothing varies."""
        v_col = np.maximum(self.v_col, 0.0)
        total = v_col + self.v_res
        return np.asarray(np.divide(v_col, total, out=np.zeros_like(total), where=total > 0))

    @property
    def static_share(self) -> float:
        """Static share of the variance, pooled over sums with the weights of fair inputs (binomial)."""
        weights = binomial_weights(self.n_used, self.mac)
        v_col = np.maximum(self.v_col, 0.0)
        return float((weights * v_col).sum() / max((weights * (v_col + self.v_res)).sum(), 1e-300))

    @property
    def sha256(self) -> str:
        """Checksum of everything in the table."""
        digest = hashlib.sha256()
        for name, array in sorted(self.arrays().items()):
            digest.update(f"{name}:{array.dtype.str}:{array.shape}:".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything as it stands in a file: single precision, and `meta` as bytes."""
        arrays: dict[str, NDArray[Any]] = {name: getattr(self, name).astype("<f4") for name in array_names()}
        arrays["meta"] = np.frombuffer(json.dumps(dict(self.meta), sort_keys=True).encode(), dtype=np.uint8)
        return arrays


def array_names() -> list[str]:
    """Names of a table's arrays."""
    return [field.name for field in fields(ErrorLUT) if field.name != "meta"]


def binomial_weights(n_used: int, mac: Floats) -> Floats:
    """Probability of each sum when inputs and weights are fair, scaled to add up to 1 over `mac`."""
    from scipy.stats import binom

    weights = np.asarray(binom.pmf((n_used + mac) / 2, n_used, 0.5))
    return np.asarray(weights / weights.sum())
