"""Error tables of columns whose cells err in a known way: no simulator, the table's own arithmetic, known truth."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from prcim.characterize.lut.error_lut import SCHEMA, ErrorLUT
from prcim.characterize.plan import make_plan
from prcim.characterize.statistics.variance import shrunken_means, variance_components

Floats = NDArray[np.float64]
SLOPE_V = 1e-3
LEVELS = (np.arange(256) + 0.5) / 256


@final
@dataclass(frozen=True, kw_only=True)
class World:
    """A single-ended column: the first K rows of a pattern's order conduct, each errs by 2 d.

    Attributes:
        n: rows; sums: how many numbers K of them are looked at.
        columns, patterns, dies, cells: how much is drawn.
        sigma: spread of d.
        tail: d is log-normal instead of normal.
        offset: spread of an error that all sums of a column share, in S.
        die: spread of a die's own shift, in S.
        replicas: columns in a die's reference; 0 for a fixed one.
    """

    n: int = 16
    sums: int = 5
    columns: int = 64
    patterns: int = 4
    dies: int = 40
    cells: int = 200
    sigma: float = 0.3
    tail: bool = False
    offset: float = 0.0
    die: float = 0.5
    replicas: int = 0

    @property
    def n_on(self) -> NDArray[np.int_]:
        return np.array([round(i * self.n / (self.sums - 1)) for i in range(self.sums)])

    @property
    def mac(self) -> Floats:
        return 2.0 * self.n_on.astype(np.float64) - self.n

    @property
    def v_col(self) -> Floats:
        """A cell conducts in K / n of all patterns."""
        return np.asarray(4 * self.sigma**2 * self.n_on**2 / self.n + self.offset**2)

    @property
    def v_res(self) -> Floats:
        return np.asarray(4 * self.sigma**2 * self.n_on * (1 - self.n_on / self.n))

    @property
    def v_die(self) -> Floats:
        replica = (self.v_col + self.v_res) / self.replicas if self.replicas else 0.0
        return np.asarray(self.die**2 + np.zeros(self.sums) + replica)


def draw_cells(world: World, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Relative errors of cells with mean 0 and the world's spread."""
    z = rng.standard_normal(shape)
    if not world.tail:
        return np.asarray(world.sigma * z)
    width = np.sqrt(np.log(1 + world.sigma**2))
    return np.asarray(np.exp(width * z - width**2 / 2) - 1)


def draw_errors(world: World, rng: np.random.Generator) -> Floats:
    """Errors of all shots, shape (columns, patterns, M)."""
    shape = (world.columns, world.patterns, world.n)
    cell = 2 * draw_cells(world, rng, (world.columns, 1, world.n))
    rank = rng.permuted(np.broadcast_to(np.arange(world.n), shape), axis=2)
    ordered = np.take_along_axis(np.broadcast_to(cell, shape), rank, axis=2).cumsum(axis=2)
    err = np.concatenate((np.zeros((*shape[:2], 1)), ordered), axis=2)[:, :, world.n_on]
    return np.asarray(err + world.offset * rng.standard_normal((world.columns, 1, 1)))


def synthetic_lut(world: World, key: int, *, total: bool = True, **meta: Any) -> ErrorLUT:
    """The table that such columns would give, as `prcim.characterize.build` makes one; single precision.

    Without `total`, which takes longest, the quantiles of everything together are those of the residual.
    """
    rng = np.random.default_rng((90, key))
    err = draw_errors(world, rng)
    voltages = 1.1 - SLOPE_V * (world.mac + world.n + err)
    transfer_v = voltages.mean(axis=(0, 1))
    slope_v = -np.gradient(transfer_v, world.mac)
    err = err - err.mean(axis=(0, 1))
    parts = variance_components(err)
    chips = world.die * rng.standard_normal((world.dies, 1)) * np.ones(world.sums)
    if world.replicas:
        half = world.columns // 2
        for die in range(world.dies):
            chosen = rng.integers(0, half, world.replicas) + (half if die >= world.dies // 2 else 0)
            chips[die] -= err[chosen, rng.integers(0, world.patterns, world.replicas)].mean(axis=0)
    noise_v = 1e-3 * np.ones(world.sums)
    read_sigma = np.hypot(noise_v, 0.5e-3) / slope_v
    normal = norm.ppf((np.arange(16) + 0.5) / 16)
    reads = normal / normal.std() * read_sigma[:, None]
    residual = (err - err.mean(axis=1, keepdims=True)) * np.sqrt(world.patterns / (world.patterns - 1))
    cell = draw_cells(world, rng, (world.cells,)) + 1
    flat = err.reshape(-1, world.sums)
    residual_q = _quantiles(residual.reshape(-1, world.sums))
    sums = [np.add.outer(np.add.outer(flat[:, k], chips[:, k]), reads[k]).ravel() for k in range(world.sums) if total]
    column = {"rows": world.n}
    read = {"comparator_noise_v": 0.5e-3}
    counts = {"columns": world.columns, "patterns": world.patterns, "chips": world.dies, "cells": world.cells}
    sampling = {"sums": world.sums, **counts}
    reference = {"kind": "replica", "replicas": world.replicas} if world.replicas else {"kind": "ideal"}
    named = {"name": "synthetic", "column": column, "read": read, "reference": reference, "sampling": sampling}
    plan = make_plan(named, origin="test").model_dump(exclude={"technology": {"models"}})
    steps = np.abs(np.diff(transfer_v) / np.diff(world.mac))
    about = {
        "schema": SCHEMA,
        "plan_id": "made-up",
        "plan": plan,
        "models_sha256": "0" * 64,
        "engine": "column",
        "simulator": "ngspice-39",
        "bit_lines": 1,
        "rows": world.n,
        "n_used": world.n,
        "load_ohm": 2500.0,
        "t_read_s": 1e-9,
        "settle_error_v": 1e-4,
        "i_cell_a": 1e-6 * cell.mean(),
        "rel_sigma_cell": cell.std(ddof=1) / cell.mean(),
        "comparator_noise_v": 0.5e-3,
        "swing_v": transfer_v[0] - transfer_v[-1],
        "step_ratio": steps.min() / steps.max(),
    }
    shots = float(world.columns * world.patterns) * np.ones(world.sums)
    arrays = {
        "mac": world.mac,
        "transfer_v": transfer_v,
        "slope_v": slope_v,
        "bank": shrunken_means(err, parts),
        "residual_q": residual_q,
        "total_q": np.concatenate([_quantiles(values[:, None]) for values in sums]) if total else residual_q,
        "read_sigma": read_sigma,
        "chip_curves": chips,
        "chip_volt_gain": np.ones(world.dies),
        "chip_cell_gain": np.ones(world.dies),
        "cell_q": _quantiles((cell / cell.mean() - 1)[:, None])[0],
        "energy_j": 1e-15 * (1 + world.n_on),
        "energy_sd_j": 1e-16 * (1 + world.n_on),
        "noise_line_v": noise_v,
        "v_col": parts.v_col,
        "v_res": parts.v_res,
        "icc_low": parts.icc_low,
        "icc_high": parts.icc_high,
        "count": shots,
        "failed": 0 * shots,
    }
    single = {name: array.astype("<f4").astype(np.float64) for name, array in arrays.items()}
    # As it comes back from a file.
    return ErrorLUT(**single, meta=json.loads(json.dumps(about | meta)))


def changed(lut: ErrorLUT, **changes: Any) -> ErrorLUT:
    """The table with some arrays replaced, or functions of the arrays; `meta` entries are merged."""
    new = {name: value(getattr(lut, name).copy()) if callable(value) else value for name, value in changes.items()}
    if "meta" in changes:
        new["meta"] = {**lut.meta, **changes["meta"]}
    return dataclasses.replace(lut, **new)


def _quantiles(values: Floats) -> Floats:
    return np.asarray(np.quantile(values, LEVELS, axis=0, method="hazen").T)
