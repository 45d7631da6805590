"""What halves an interval: the smallest number that does, and what never does."""

import dataclasses
import json

import numpy as np
import pytest
from synthetic import World, changed, synthetic_lut

from prcim.characterize.lut.error_lut import ErrorLUT
from prcim.characterize.lut.file import open_lut
from prcim.characterize.lut.need import Need, maybe_zero, needs
from prcim.characterize.lut.precision import estimates
from prcim.characterize.statistics.effort import effort_of

#: What varies.
NOISY = ("bank", "residual_q", "v_col", "v_res", "chip_curves", "energy_sd_j")


@pytest.fixture(scope="module")
def lut() -> ErrorLUT:
    return open_lut("package:8t-64")


@pytest.fixture(scope="module")
def found(lut: ErrorLUT) -> list[Need]:
    return needs(lut)


def by_name(found: list[Need]) -> dict[str, Need]:
    return {need.name: need for need in found}


def test_the_number_is_the_smallest_that_halves(lut: ErrorLUT, found: list[Need]) -> None:
    effort = effort_of(lut)
    for need in found:
        k = 0 if need.mac is None else int(np.flatnonzero(lut.mac == need.mac)[0])
        half = (need.high - need.low) / 2
        for name, more in need.more.items():
            if more is None:
                continue
            count = getattr(effort, name) + more
            widths = [
                estimates(lut, names=(need.name,), effort=effort.changed(name, n))[need.name].width.flat[k]
                for n in (count - 1, count)
            ]
            assert widths[1] <= half < widths[0], (need.name, name)


def test_a_width_that_falls_with_the_root_takes_three_times_as_many_more(found: list[Need]) -> None:
    cells = by_name(found)["rel_sigma_cell"]
    assert cells.rests_on == {"cells": 512}
    # The file's rounding is part of both widths.
    assert cells.more["cells"] == pytest.approx(3 * 512, abs=3)
    assert by_name(found)["i_cell_a"].more["cells"] == pytest.approx(3 * 512, abs=3)
    # Student's factor of 127 degrees of freedom is a little larger than that of 500: somewhat fewer do.
    assert 370 < (by_name(found)["transfer_v"].more["columns"] or 0) < 3 * 128


def test_patterns_do_not_halve_what_columns_share(found: list[Need]) -> None:
    """Endless patterns leave the spread of 128 columns: half of v_col + v_res / 4 remains where half of it lasts."""
    for name in ("sigma_column", "transfer_v", "swing_v", "pooled_static_share", "static_share"):
        need = by_name(found)[name]
        assert need.more["patterns"] is None, name
        assert 0.5 < need.limit["patterns"] <= 1
        assert need.more["columns"] is not None
    need = by_name(found)["transfer_v"]
    shares = open_lut("package:8t-64")
    k = int(np.flatnonzero(shares.mac == need.mac)[0])
    mean = shares.v_col[k] + shares.v_res[k] / 4
    assert need.limit["patterns"] == pytest.approx(np.sqrt(shares.v_col[k] / mean), rel=1e-3)
    assert by_name(found)["sigma_pattern"].more["patterns"] is not None


def test_dies_of_replicas_need_columns_too(found: list[Need]) -> None:
    need = by_name(found)["sigma_die"]
    assert need.more == {"dies": None, "columns": None, "patterns": None}
    assert need.scale == pytest.approx(4, abs=0.3)


def test_scale_halves(lut: ErrorLUT, found: list[Need]) -> None:
    need = by_name(found)["sigma_die"]
    k = int(np.flatnonzero(lut.mac == need.mac)[0])
    widths = [
        estimates(lut, names=("sigma_die",), effort=effort_of(lut).scaled(scale))["sigma_die"].width[k]
        for scale in (need.scale - 0.02, need.scale)
    ]
    assert widths[1] <= (need.high - need.low) / 2 < widths[0]


def test_the_least_certain_comes_first(lut: ErrorLUT, found: list[Need]) -> None:
    sizes = [need.relative for need in found]
    assert sizes == sorted(sizes, reverse=True)
    figures = estimates(lut)
    near = np.abs(lut.mac) <= 16
    for name, figure in figures.items():
        values = figure.relative[near] if figure.value.ndim else figure.relative
        assert by_name(found)[name].relative == pytest.approx(float(np.max(values))), name
    assert {need.mac for need in found if need.mac is not None} <= set(lut.mac[near])


def test_what_may_be_none_has_no_size_to_be_relative_to() -> None:
    lut = synthetic_lut(World(sigma=0.02, offset=0.0), 0, total=False)
    none = changed(lut, v_col=np.array([0.0, 1e-6, -1e-4, 1e-3, 1e-2]), v_res=np.full(5, 1e-3))
    # F is 1, 1.004, 0.6, 5 and 41; 0.6 is so small that even the upper end is 0.
    assert maybe_zero(none) == {"sigma_column": [-16.0, -8.0]}
    # 8 is the only sum within 2 sqrt(16) that has a spread for sure.
    assert by_name(needs(none))["sigma_column"].mac == 8.0


def test_a_table_in_which_nothing_varies_needs_nothing() -> None:
    lut = synthetic_lut(World(), 0, total=False)
    zero = {name: np.zeros_like(getattr(lut, name)) for name in NOISY}
    meta = {name: value for name, value in lut.meta.items() if name not in ("i_cell_a", "rel_sigma_cell")}
    for need in needs(dataclasses.replace(changed(lut, **zero), meta=meta)):
        assert need.relative < 1e-6, need


def test_as_json(found: list[Need]) -> None:
    for need in found:
        content = json.loads(json.dumps(need.as_json(), allow_nan=False))
        assert content["name"] == need.name
        assert content["more"] == need.more
        assert content["relative"] == pytest.approx((need.high - need.low) / 2 / abs(need.value))
