"""A table in integers: what a layer looks errors up in."""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm
from torch import Tensor

from prcim.bnn.cell_table import CellTable, cell_table
from prcim.cells.mismatch import Mismatch
from prcim.cells.readouts.readout import SenseAmplifier
from prcim.characterize.lut.error_lut import ErrorLUT
from prcim.errors import InputError

#: Errors are kept in units of 2^-6 of the partial sum.
UNIT = 64
#: Offsets are looked up by the top bits of a draw of 16.
OFFSET_BITS = 10


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class IntegerTables:
    """An `ErrorLUT` for every number K of conducting cells, in units of 2^-6.

    Attributes:
        n_used: rows that carry weights; K runs from 0 to this.
        bank: lasting errors, int32, shape (columns, n_used + 1).
        chips: errors shared by a die, int32, shape (dies, n_used + 1).
        residual, read, total, gauss: errors by draw, int32, shape (n_used + 1, 256); `total` and `gauss` hold the
            amplifier's offset too, over all dies, since independent draws have no other place for it.
        cells: errors of single cells, in units of their own.
        offset: amplifier offsets by draw on a die of gain 1, int32, shape (1024,).
        offset_sigma: spread of the amplifier's offset, in S.
        volt_gain, cell_gain: of each die, as in `ErrorLUT`, shape (dies,).
        rounding: largest difference to the table in floating point, in S, but for single cells; at most 2^-7.
    """

    n_used: int
    bank: Tensor
    chips: Tensor
    residual: Tensor
    read: Tensor
    total: Tensor
    gauss: Tensor
    cells: CellTable
    offset: Tensor
    offset_sigma: float
    volt_gain: tuple[float, ...]
    cell_gain: tuple[float, ...]
    rounding: float

    @property
    def judging_dies(self) -> int:
        """Number of dies in the half that judges networks."""
        return len(self.chips) - len(self.chips) // 2


def integer_tables(lut: ErrorLUT, amplifier: SenseAmplifier) -> IntegerTables:
    """Prepares a table for networks.

    Between simulated sums curves and quantiles are interpolated linearly. The amplifier's offset is divided by the
    slope of the transfer curve at its middle, where thresholds lie.

    Args:
        lut: the table.
        amplifier: the comparator whose offset comes on top; its mismatch is that of the table's plan.

    Raises:
        InputError: an error is too large for 16 bits.
    """
    grid = np.arange(lut.n_used + 1) * 2.0 - lut.n_used
    mismatch_plan = {k: v for k, v in lut.meta["plan"]["mismatch"].items() if k != "load_rel_sigma"}
    offset_sigma = amplifier.offset_sigma_v(Mismatch(**mismatch_plan)) / float(np.interp(0.0, lut.mac, lut.slope_v))
    rounded: list[float] = []

    def spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values at the simulated sums, shape (M, ...), as values at every K, shape (n_used + 1, ...)."""
        flat = values.reshape(len(lut.mac), -1)
        wide = np.stack([np.interp(grid, lut.mac, column) for column in flat.T], axis=-1)
        return wide.reshape(len(grid), *values.shape[1:])

    def integer(values: NDArray[np.float64]) -> Tensor:
        scaled = np.rint(values * UNIT)
        rounded.append(float(np.abs(scaled / UNIT - values).max()))
        if np.abs(scaled).max() > np.iinfo(np.int16).max:
            raise InputError(
                f"the table holds an error of {np.abs(values).max():.0f} in S; 16 bits reach to 511, so the"
                " read is useless: raise v_wl_v or swing_v"
            )
        return torch.from_numpy(scaled.astype(np.int32))

    read_sigma = spread(lut.read_sigma)
    total = spread(lut.total_q)
    # Independent draws: the total and an offset on any die, which has no lasting place in this model.
    offsets = np.sort(np.outer(_normal(256) * offset_sigma, 1 / lut.chip_volt_gain).ravel())
    offsets = offsets.reshape(64, -1).mean(axis=1)
    both = np.sort((total[:, :, None] + offsets[None, None, :]).reshape(len(grid), -1), axis=1)
    both = both.reshape(len(grid), 256, -1).mean(axis=2)
    gauss = both.mean(axis=1)[:, None] + both.std(axis=1)[:, None] * _normal(256)
    return IntegerTables(
        n_used=lut.n_used,
        bank=integer(spread(lut.bank.T).T),
        chips=integer(spread(lut.chip_curves.T).T),
        residual=integer(spread(lut.residual_q)),
        read=integer(read_sigma[:, None] * _normal(256)),
        total=integer(both),
        gauss=integer(gauss),
        cells=cell_table(lut),
        offset=integer(_normal(1 << OFFSET_BITS) * offset_sigma),
        offset_sigma=offset_sigma,
        volt_gain=tuple(lut.chip_volt_gain.tolist()),
        cell_gain=tuple(lut.chip_cell_gain.tolist()),
        rounding=max(rounded),
    )


def _normal(count: int) -> NDArray[np.float64]:
    """`count` equally likely values of mean 0 and variance 1 that stand for a normal variable."""
    values = np.asarray(norm.ppf((np.arange(count) + 0.5) / count))
    return np.asarray(values / values.std())
