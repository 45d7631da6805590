"""What is measured on single cells: draws of their own, failures that are counted, figures that add up."""

import json
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from prcim.cells.benches.read_current import read_currents
from prcim.cells.cell_6t import Cell6T
from prcim.cells.mismatch import Mismatch
from prcim.cells.registry import CELLS
from prcim.cells.technology import own_technology
from prcim.characterize.design.cell import measure_cell
from prcim.characterize.design.cell_bench import CellBench, Task
from prcim.characterize.design.cell_figures import write_cell_figure
from prcim.characterize.design.cell_result import CellFigures
from prcim.characterize.design.published import published_reads
from prcim.errors import InputError, RunError
from prcim.spice.deck import Deck
from prcim.spice.ngspice import Ngspice, find_ngspice
from prcim.spice.outcome import Outcome


def bench_of(name: str, ngspice: Ngspice | None = None) -> CellBench:
    return CellBench(
        technology=own_technology(flavour="hp"),
        cell=CELLS[name](),
        mismatch=Mismatch(),
        ngspice=ngspice or find_ngspice(),
    )


@pytest.fixture
def executor() -> Iterator[Executor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@cache
def figures(name: str) -> CellFigures:
    with ThreadPoolExecutor(1) as pool:
        return measure_cell(bench_of(name), pool, v_wl_v=(0.5, 0.9), draws=24)


def test_draws_depend_on_seed_deck_and_place_alone() -> None:
    bench = bench_of("6t")
    dvt_v, factor = bench.shifts(0, 10)
    np.testing.assert_array_equal(bench.shifts(0, 100)[0][:10], dvt_v)
    np.testing.assert_array_equal(bench.shifts(0, 100)[1][:10], factor)
    for other in (bench.shifts(1, 10)[0], replace(bench, seed=2).shifts(0, 10)[0]):
        assert np.all(np.abs(other - dvt_v) > 1e-9)
    # Another coefficient of the gain leaves the thresholds as they are.
    np.testing.assert_array_equal(bench.shifts(0, 10, a_beta_m=0.0)[0], dvt_v)
    np.testing.assert_array_equal(bench.shifts(0, 10, a_beta_m=0.0)[1], 1.0)


@pytest.mark.parametrize("kind", ["read", "margins", "trip", "leakage"])
def test_a_cell_has_the_same_figures_in_any_company(kind: str) -> None:
    """5 cells alone or the first 5 of 12."""
    bench = bench_of("6t")
    task = Task(kind=kind, cells=5, v_wl_v=(0.8,))  # type: ignore[arg-type]
    np.testing.assert_allclose(bench.measure(replace(task, cells=12))[:5], bench.measure(task), rtol=1e-4, atol=1e-13)


@dataclass(frozen=True, kw_only=True)
class Stubborn(Ngspice):
    """Gives up on decks with more than some cells, and on those with a certain text."""

    at_most: int
    never: str = "\0"

    def run(self, deck: Deck, *, timeout_s: float = 120.0) -> Outcome:
        if deck.netlist.count("\nX") > self.at_most or self.never in deck.netlist:
            return Outcome(status="failed: no convergence", plots=(), seconds=0.0, log="")
        return super().run(deck, timeout_s=timeout_s)


def stubborn(at_most: int, never: str = "\0") -> Stubborn:
    found = find_ngspice()
    return Stubborn(path=found.path, version=found.version, at_most=at_most, never=never)


@pytest.mark.parametrize("kind", ["read", "margins", "trip", "leakage"])
def test_a_deck_that_is_given_up_is_done_in_halves(kind: str) -> None:
    task = Task(kind=kind, cells=7, v_wl_v=(0.8,))  # type: ignore[arg-type]
    whole = bench_of("6t").measure(task)
    np.testing.assert_allclose(bench_of("6t", stubborn(2)).measure(task), whole, rtol=1e-4, atol=1e-13)


@pytest.mark.parametrize(("kind", "width"), [("read", 2), ("margins", 2), ("trip", 1), ("leakage", 3)])
def test_a_cell_that_cannot_be_simulated_costs_nobody_else(kind: str, width: int) -> None:
    dvt_v, _ = bench_of("6t").shifts(0, 5)
    ngspice = stubborn(100, f"dvt_pul={dvt_v[3, 0]:.6g}")
    task = Task(kind=kind, cells=5, v_wl_v=(0.5, 0.8))  # type: ignore[arg-type]
    found = bench_of("6t", ngspice).measure(task)
    assert found.shape == (5, width)
    assert np.isnan(found).all(axis=1).tolist() == [False, False, False, True, False]


def test_the_current_of_a_cell_that_lost_its_bit_is_none() -> None:
    """Wide pass gates over narrow pull-downs: read with a full word line, mismatch alone says which node is higher."""
    weak = Cell6T(w_pass_m=2e-6, w_pull_down_m=80e-9)
    found = replace(bench_of("6t"), cell=weak).measure(Task(kind="read", cells=20, v_wl_v=(0.3, 1.1)))
    assert np.isfinite(found[:, 0]).all()
    assert 4 < np.isnan(found[:, 1]).sum() < 16


def test_failures_are_counted_and_shown(executor: Executor) -> None:
    dvt_v, _ = bench_of("6t").shifts(0, 16)
    ngspice = stubborn(100, f"dvt_pul={dvt_v[3, 0]:.6g}")
    found = measure_cell(bench_of("6t", ngspice), executor, v_wl_v=(0.8,), draws=16)
    assert found.snm_read is not None
    counts = [
        found.read[0].current_a,
        found.snm_read.margin_v,
        found.disturb[0].trip_v,
        *(leak.total_a for leak in found.leakage),
    ]
    assert [(count.n, count.failed) for count in counts] == [(15, 1)] * 5
    shown = found.as_json()
    assert [shown[key][0]["failed"] for key in ("read", "read_off", "disturb", "leakage")] == [1] * 4


def test_figures_are_those_of_the_cells() -> None:
    """The read current from decks of their own; shares from trip voltages; the smaller margin."""
    found = figures("6t")
    bench = bench_of("6t")
    shifts = bench.shifts(0, 24, a_beta_m=0.0)
    deck, names = read_currents(bench.technology, bench.cell, shifts, v_wl_v=0.9, v_bl_v=1.1)
    values = bench.ngspice.run(deck).values
    current_a = -np.array([values[name][0] for name in names])
    assert found.read[1].current_a.mean == pytest.approx(current_a.mean(), rel=1e-6, abs=0)
    assert found.read[1].current_a.rel_sigma == pytest.approx(current_a.std(ddof=1) / current_a.mean(), rel=1e-4, abs=0)
    assert found.read_off[1].current_a.mean < 1e-4 * current_a.mean()
    spreads = [found.read[1], *(points[1] for points in found.read_with_gain.values())]
    assert list(found.read_with_gain) == [1e-8, 2e-8]
    assert np.all(np.diff([point.current_a.mean for point in spreads]) < 0)

    trip_v = bench.measure(Task(kind="trip", cells=24, v_wl_v=(0.9,)))[:, 0]
    point = found.disturb[1]
    assert point.v_wl_v == 0.9
    assert point.trip_v.high == pytest.approx(trip_v.max(), abs=1e-6)
    for line_v, (share, (low, high)) in point.lost.items():
        assert share == np.mean(trip_v > line_v)
        assert low <= share <= high
    assert set(point.lost) == {step / 10 for step in range(12)}
    # 1 in 1000 of a normal tail is 3.09 sigma out.
    assert point.limit_v(1e-3) == pytest.approx(point.trip_v.mean + 3.0902 * point.trip_v.sigma, abs=1e-5)

    assert found.snm_hold is not None
    margins_v = bench.measure(Task(kind="margins", cells=24)).min(axis=1)
    assert found.snm_hold.margin_v.mean == pytest.approx(margins_v.mean(), abs=1e-7)
    assert found.snm_hold.six_sigma_v == pytest.approx(margins_v.mean() - 6 * margins_v.std(ddof=1), abs=1e-6)
    leak = found.leakage[0]
    assert leak.supply_a + leak.bit_lines_a + leak.others_a == pytest.approx(leak.total_a.mean, rel=1e-9, abs=0)
    assert leak.nominal_a < leak.total_a.mean < leak.p99_a


@pytest.mark.parametrize(
    ("name", "current", "latch", "disturbed"),
    [("6t", True, True, True), ("8t", True, True, False), ("8t1c", False, True, False), ("1t1r", True, False, False)],
)
def test_what_makes_sense_of_a_cell(name: str, current: bool, latch: bool, disturbed: bool) -> None:
    shown = json.loads(json.dumps(figures(name).as_json(), allow_nan=False))
    assert [bool(shown[key]) for key in ("read", "read_with_gain", "read_off")] == [current] * 3
    assert [bool(shown[key]) for key in ("snm_read_v", "snm_hold_v")] == [latch] * 2
    assert bool(shown["disturb"]) == disturbed
    assert [leak["bit"] for leak in shown["leakage"]] == [0, 1]
    assert [p["rel_sigma"] for p in shown["passives"]] == {"8t1c": [0.01], "1t1r": [0.1]}.get(name, [])
    if name == "8t":
        # A decoupled read leaves the latch alone.
        assert shown["snm_read_v"]["mean"] == pytest.approx(shown["snm_hold_v"]["mean"], abs=1e-6)
    if name == "6t":
        assert shown["snm_read_v"]["mean"] < shown["snm_hold_v"]["mean"] - 0.1


def test_keys_that_programs_read() -> None:
    shown = figures("6t").as_json()
    assert list(shown["read"][0]) == ["v_wl_v", "i_mean_a", "rel_sigma", "ci95", "n", "failed"]
    assert [point["v_wl_v"] for point in shown["read"]] == [0.5, 0.9]
    assert shown["read"][0]["ci95"][0] < shown["read"][0]["rel_sigma"] < shown["read"][0]["ci95"][1]
    assert {"mean", "sigma", "n", "failed", "min"} <= shown["snm_read_v"].keys()
    assert (shown["snm_read_v"]["v_wl_v"], shown["snm_hold_v"]["v_wl_v"]) == (1.1, None)


def test_levels_above_a_low_supply_are_left_out(executor: Executor) -> None:
    bench = replace(bench_of("6t"), technology=own_technology(flavour="hp", vdd_v=0.5))
    found = measure_cell(bench, executor, draws=16)
    assert [point.v_wl_v for point in found.read] == [0.35, 0.4, 0.5]
    # A given level above the supply is read, but no disturb is known there.
    found = measure_cell(bench, executor, v_wl_v=(0.4, 0.6), draws=16)
    assert ([point.v_wl_v for point in found.read], [point.v_wl_v for point in found.disturb]) == ([0.4, 0.6], [0.4])


def test_published_figures_stand_beside_their_own_conditions_only() -> None:
    hp, mismatch = own_technology(flavour="hp"), Mismatch()
    assert published_reads(hp, CELLS["6t"](), mismatch)[0.4].optima == 0.284
    assert published_reads(hp, CELLS["8t"](), replace(mismatch, a_beta_m=0))[0.6].rel_sigma == 0.102
    for technology, cell, spread in (
        (own_technology(flavour="sram"), CELLS["6t"](), mismatch),
        (own_technology(flavour="hp", temp_c=85), CELLS["6t"](), mismatch),
        (hp, Cell6T(w_pass_m=1e-7), mismatch),
        (hp, CELLS["1t1r"](), mismatch),
        (hp, CELLS["6t"](), replace(mismatch, a_vt_v_m=4e-9)),
    ):
        assert published_reads(technology, cell, spread) == {}


@pytest.mark.parametrize("draws", [0, 15, 2_000_000])
def test_refused_numbers_of_draws(draws: int, executor: Executor) -> None:
    with pytest.raises(InputError, match=f"draws is {draws}; a spread takes 16 to 1000000 draws"):
        measure_cell(bench_of("6t"), executor, draws=draws)


@pytest.mark.parametrize("v_wl_v", [(), (0.5, 0.0), (-0.1,), (3.0,)])
def test_refused_levels(v_wl_v: tuple[float, ...], executor: Executor) -> None:
    with pytest.raises(InputError, match="each must lie above 0 and be at most 2 V"):
        measure_cell(bench_of("6t"), executor, v_wl_v=v_wl_v, draws=16)


def test_a_cell_that_cannot_be_simulated_ends_at_once(executor: Executor) -> None:
    with pytest.raises(RunError, match="cell_6t cannot be simulated: failed: no convergence"):
        measure_cell(bench_of("6t", stubborn(0)), executor, draws=16)


@pytest.mark.parametrize("name", list(CELLS))
def test_the_figure_is_the_same_file_each_time(name: str, tmp_path: Path) -> None:
    for file in ("a.png", "b.png"):
        write_cell_figure(figures(name), tmp_path / file)
    first = (tmp_path / "a.png").read_bytes()
    assert first.startswith(b"\x89PNG")
    assert len(first) > 10_000
    assert (tmp_path / "b.png").read_bytes() == first
