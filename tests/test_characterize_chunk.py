"""How a plan is cut into chunks, and the input vectors of a column."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from prcim.characterize.chunk import READS, Chunk, chunks, read_sums
from prcim.characterize.patterns import input_patterns
from prcim.characterize.plan import named_plan

PLAN = named_plan("8t-64-quick")
EVERY = range(PLAN.sampling.patterns)
CHEAP = settings(derandomize=True, deadline=None)


@CHEAP
@given(
    columns=st.integers(4, 300),
    chips=st.integers(2, 50),
    cells=st.integers(16, 3000),
    patterns=st.integers(2, 9),
    mode=st.sampled_from([["mode=steady"], ["mode=pulsed"], ["cell=8t1c", "mode=charge"]]),
)
def test_chunks_cover_every_item_once(columns: int, chips: int, cells: int, patterns: int, mode: list[str]) -> None:
    counts = [f"sampling.columns={columns}", f"chips={chips}", f"cells={cells}", f"patterns={patterns}"]
    plan = PLAN.changed([*counts, *mode])
    work = chunks(plan)
    wanted = {"reads": 5, "cells": cells, "chips": chips + 1, "columns": columns}
    for kind, count in wanted.items():
        items = [i for chunk in work if chunk.kind == kind for i in range(chunk.first, chunk.last)]
        assert items == list(range(count))
    assert len({chunk.name for chunk in work}) == len(work)
    shots = 5 + cells + (chips + 1) * 9 + columns * patterns * 9
    assert sum(chunk.shots(plan) for chunk in work) == shots


def test_chunks_do_not_depend_on_what_is_not_sampled() -> None:
    assert chunks(PLAN.changed(["seed=9", "v_wl_v=0.5", "rows=32"])) == chunks(PLAN)
    # A larger plan of the same kind begins with the same chunks, the last of each kind apart.
    more = chunks(PLAN.changed(["sampling.columns=64"]))
    assert [c for c in chunks(PLAN) if c.kind == "columns"] == [c for c in more if c.kind == "columns"][:8]


def test_chunks_of_reads_in_time_are_small() -> None:
    """A pulsed read of 64 rows takes half a second, a steady one a fortieth: no chunk should take minutes."""
    largest = {
        mode: max(chunk.shots(plan) for chunk in chunks(plan) if chunk.kind in ("columns", "chips"))
        for mode, plan in {mode: PLAN.changed([f"mode={mode}"]) for mode in ("steady", "pulsed")}.items()
    }
    assert largest == {"steady": 4 * 9 * 4, "pulsed": 9 * 4}


@CHEAP
@given(sums=st.integers(3, 65), patterns=st.integers(2, 2016), engine=st.sampled_from(["column", "composed"]))
def test_chunks_of_columns_fit_memory(sums: int, patterns: int, engine: str) -> None:
    plan = PLAN.changed([f"sums={sums}", f"patterns={patterns}", f"engine={engine}", "sampling.columns=70"])
    of_columns = [chunk for chunk in chunks(plan) if chunk.kind == "columns"]
    assert all(chunk.shots(plan) <= READS for chunk in of_columns)
    assert [i for chunk in of_columns for i in range(chunk.first, chunk.last)] == list(range(70))


def test_names_sort_as_the_work_does() -> None:
    names = [Chunk(kind="columns", first=first, last=first + 4).name for first in range(0, 2000, 4)]
    assert names == sorted(names)


@given(n_used=st.integers(4, 1024))
@CHEAP
def test_noise_is_read_from_none_to_all(n_used: int) -> None:
    sums = read_sums(PLAN.changed(["rows=1024", f"n_used={n_used}", "sums=3"]))
    assert (len(sums), sums[0], sums[-1]) == (5, 0, n_used)
    assert list(sums) == sorted(set(sums))


@given(n_used=st.integers(2, 1024), data=st.data())
@CHEAP
def test_sums_are_evenly_spaced_from_none_to_all(n_used: int, data: st.DataObject) -> None:
    sums = data.draw(st.integers(3, min(n_used + 1, 40)))
    n_on = PLAN.changed(["rows=1024", f"n_used={n_used}", f"sums={sums}"]).n_on
    assert (len(n_on), n_on[0], n_on[-1]) == (sums, 0, n_used)
    steps = {after - before for before, after in pairwise(n_on)}
    assert min(steps) >= 1
    assert max(steps) - min(steps) <= 2


def weights(count: int = 64) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
    return (2 * np.random.default_rng(5).integers(0, 2, count) - 1).astype(np.int8)


@pytest.mark.parametrize("setting", ["seed=1", "n_used=63", "patterns=7", "sums=33"])
def test_just_k_rows_conduct(setting: str) -> None:
    plan = PLAN.changed([setting])
    w = weights(plan.n_used)
    inputs, n_on = input_patterns(w, plan, 3, range(plan.sampling.patterns))
    assert inputs.dtype == np.int8
    assert inputs.shape == (plan.sampling.patterns * plan.sampling.sums, plan.n_used)
    assert set(np.unique(inputs)) == {-1, 1}
    np.testing.assert_array_equal((inputs * w == 1).sum(axis=1), n_on)
    # The sum itself, and every pattern has every sum once.
    np.testing.assert_array_equal((inputs.astype(int) * w).sum(axis=1), 2 * n_on - plan.n_used)
    for pattern in n_on.reshape(plan.sampling.patterns, -1):
        assert sorted(pattern) == list(plan.n_on)


def test_patterns_are_keyed_by_column_and_number() -> None:
    w = weights()
    first, _ = input_patterns(w, PLAN, 3, EVERY)
    np.testing.assert_array_equal(input_patterns(w, PLAN, 3, EVERY)[0], first)
    assert not np.array_equal(input_patterns(w, PLAN, 4, EVERY)[0], first)
    assert not np.array_equal(input_patterns(w, PLAN.changed(["seed=2"]), 3, EVERY)[0], first)
    more, _ = input_patterns(w, PLAN.changed(["patterns=6"]), 3, range(6))
    np.testing.assert_array_equal(more[: len(first)], first)
    one, _ = input_patterns(w, PLAN, 3, [1])
    np.testing.assert_array_equal(one, first[len(one) : 2 * len(one)])
    # Which rows conduct does not depend on the weights, so that flipping one keeps the others' patterns.
    np.testing.assert_array_equal(input_patterns(-w, PLAN, 3, EVERY)[0], -first)


def test_every_row_conducts_equally_often() -> None:
    """A chi-square at each of 7 inner sums, over 600 columns: a false alarm in 1e-4.

    Rows of one pattern exclude each other, which scales the statistic by (N - 1) / N.
    """
    w, columns = weights(), 600
    first = np.array([input_patterns(w, PLAN, index, EVERY)[0][:9] for index in range(columns)])
    conducts = (first * w == 1).sum(axis=0)
    for n_on, found in list(zip(PLAN.n_on, conducts, strict=True))[1:-1]:
        share = n_on / 64
        expected = columns * share
        statistic = ((found - expected) ** 2).sum() / (expected * (1 - share)) * 63 / 64
        assert 1e-5 < stats.chi2.sf(statistic, 63) < 1 - 1e-5


def test_rows_conduct_independently_of_their_neighbours() -> None:
    """Correlation of neighbouring rows at K = 32 is that of drawing without putting back: 4 standard errors, 6e-5."""
    w = weights()
    half = np.array([input_patterns(w, PLAN, index, EVERY)[0][4] for index in range(600)]) * w
    together = (half[:, 1:] * half[:, :-1]).astype(float).mean()
    assert abs(together + 1 / 63) < 4 / np.sqrt(600 * 63)
