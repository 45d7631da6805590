"""Made-up error tables for tests: the shapes of real ones, no simulator; and a disk that is full."""

import dataclasses
from typing import Any

import numpy as np
import torch
from scipy.stats import norm

from prcim.bnn.tables import IntegerTables, integer_tables
from prcim.cells.readouts.readout import SenseAmplifier
from prcim.characterize.lut.error_lut import SCHEMA, ErrorLUT

USUAL = SenseAmplifier()


def make_lut(
    *, rows: int = 64, n_used: int | None = None, sums: int = 17, columns: int = 16, dies: int = 4
) -> ErrorLUT:
    """A table with errors of a few S, curves that differ in level and shape, and a skewed residual."""
    rng = np.random.default_rng(0)
    n = rows if n_used is None else n_used
    mac = 2.0 * np.rint(np.linspace(0, n, sums)) - n
    size = 1.0 + np.sqrt(1 - (mac / n) ** 2)
    quantiles = norm.ppf((np.arange(256) + 0.5) / 256)
    bank = rng.standard_normal((columns, 1)) * size + 0.5 * rng.standard_normal((columns, sums))
    residual = 0.8 * size[:, None] * (quantiles + 0.1 * (quantiles**2 - 1))
    total = np.hypot(size, 0.8 * size)[:, None] * quantiles + 0.25
    ones = np.ones(sums)
    arrays = {
        "mac": mac,
        "transfer_v": 1.1 - 1.25e-3 * (mac + n),
        "slope_v": 1.25e-3 * ones,
        "bank": bank,
        "residual_q": residual,
        "total_q": total,
        "read_sigma": 0.75 + 0.25 * size,
        "chip_curves": 0.5 * rng.standard_normal((dies, 1)) * size,
        "chip_volt_gain": np.linspace(0.8, 1.25, dies),
        "chip_cell_gain": np.linspace(1.1, 0.9, dies),
        "cell_q": 0.6 * quantiles,
        "energy_j": 1e-15 * (mac + n + 1),
        "energy_sd_j": 1e-16 * ones,
        "noise_line_v": 4e-4 * ones,
        "v_col": bank.var(axis=0),
        "v_res": residual.var(axis=1),
        "icc_low": 0.2 * ones,
        "icc_high": 0.8 * ones,
        "count": 4.0 * columns * ones,
        "failed": 0.0 * ones,
    }
    mismatch = {
        "a_vt_v_m": 3.5e-9,
        "a_beta_m": 1e-8,
        "global_sigma_vt_v": 0.015,
        "global_correlation": 0.5,
        "load_rel_sigma": 0.01,
    }
    plan = {"mismatch": mismatch, "read": {"v_wl_v": 0.35, "swing_v": 0.12}}
    meta: dict[str, Any] = {"schema": SCHEMA, "plan_id": "made-up", "rows": rows, "n_used": n, "plan": plan}
    # A table on disk holds float32; one that was saved and read again is then the same.
    return ErrorLUT(**{name: array.astype("<f4").astype(np.float64) for name, array in arrays.items()}, meta=meta)


def make_tables(
    *, n_used: int = 64, columns: int = 16, dies: int = 4, amplifier: SenseAmplifier = USUAL
) -> IntegerTables:
    """The same in integers."""
    lut = make_lut(rows=n_used, sums=min(17, n_used + 1), columns=columns, dies=dies)
    return integer_tables(lut, amplifier)


def unit_gains(tables: IntegerTables) -> IntegerTables:
    """The tables with dies whose slope and current are those of the mean one: entries are errors as they stand."""
    ones = (1.0,) * len(tables.chips)
    return dataclasses.replace(tables, volt_gain=ones, cell_gain=ones)


def only(tables: IntegerTables, *names: str) -> IntegerTables:
    """The tables with all errors but the named ones zero."""
    errors = ("bank", "chips", "residual", "read", "total", "gauss", "offset")
    assert set(names) <= {*errors, "cells"}
    cells = tables.cells
    if "cells" not in names:
        cells = dataclasses.replace(cells, quantiles=torch.zeros_like(cells.quantiles))
    zeros: dict[str, Any] = {name: torch.zeros_like(getattr(tables, name)) for name in errors if name not in names}
    return dataclasses.replace(tables, cells=cells, **zeros)
