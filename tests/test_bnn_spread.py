"""Accuracy over chips in a few figures."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prcim.bnn.spread import CHIPS_FOR_P5, spread

LAWS = settings(derandomize=True, deadline=None, max_examples=40)
ACCURACIES = st.lists(st.integers(0, 500).map(lambda right: right / 500), min_size=1, max_size=100)


@LAWS
@given(values=ACCURACIES)
def test_figures_are_those_of_the_chips(values: list[float]) -> None:
    result = spread(values)
    assert (result.chips, result.dies, result.worst) == (len(values), len(values), min(values))
    assert result.mean == pytest.approx(sum(values) / len(values))
    assert result.sd == pytest.approx(np.std(values, ddof=1) if len(values) > 1 else 0.0)
    low, high = result.ci95
    assert min(values) <= low + 1e-12
    assert low <= result.mean <= high
    assert high <= max(values) + 1e-12


@LAWS
@given(values=ACCURACIES)
def test_fifth_percentile_is_given_from_72_chips_on(values: list[float]) -> None:
    assert CHIPS_FOR_P5 == 72
    p5 = spread(values).p5
    assert (p5 is None) == (len(values) < 72)
    if p5 is not None:
        # At least 5 % of the chips lie at or below it, at least 95 % at or above, but for the one it lies between.
        assert sum(value <= p5 + 1e-12 for value in values) >= 0.05 * len(values) - 1
        assert sum(value >= p5 - 1e-12 for value in values) >= 0.95 * len(values) - 1


def test_fifth_percentile_has_ninety_five_percent_above() -> None:
    values = np.random.default_rng(0).permutation(np.arange(101) / 100)
    assert spread(values.tolist()[:71]).p5 is None
    assert spread(values.tolist()).p5 == pytest.approx(0.05)


@LAWS
@given(values=st.lists(st.integers(0, 500).map(lambda right: right / 500), min_size=72, max_size=100), data=st.data())
def test_fifth_percentile_takes_72_different_dies_whatever_the_chips(values: list[float], data: st.DataObject) -> None:
    dies = data.draw(st.integers(1, len(values)) | st.sampled_from([71, 72]))
    result, plain = spread(values, dies=dies), spread(values)
    assert result.p5 == (plain.p5 if dies >= 72 else None)
    assert result.as_json() == {**plain.as_json(), "dies": dies, "p5": result.p5}


@LAWS
@given(value=st.integers(0, 1000).map(lambda right: right / 1000), chips=st.integers(1, 80))
def test_chips_that_agree_have_no_spread(value: float, chips: int) -> None:
    result = spread([value] * chips)
    assert (result.mean, result.sd, result.ci95) == (value, 0.0, (value, value))


@LAWS
@given(values=ACCURACIES)
def test_json_has_the_documented_fields_and_no_more(values: list[float]) -> None:
    block = spread(values).as_json()
    assert set(block) == {"chips", "dies", "mean", "sd", "worst", "p5", "ci95"}
    assert json.loads(json.dumps(block, allow_nan=False)) == block


def test_same_chips_give_the_same_interval() -> None:
    values = [0.9, 0.85, 0.8, 0.95]
    assert spread(values) == spread(values)


def test_more_chips_give_a_narrower_interval() -> None:
    values = 0.8 + 0.02 * np.random.default_rng(0).standard_normal(320)
    widths = [high - low for low, high in (spread(values[:n].tolist()).ci95 for n in (20, 80, 320))]
    # As the root of the number: halves each time, give or take the draw.
    assert 0.3 < widths[1] / widths[0] < 0.8
    assert 0.3 < widths[2] / widths[1] < 0.8


def test_interval_holds_the_true_mean_as_often_as_it_says() -> None:
    """A bootstrap of 20 values covers a little less than 95 %."""
    rng = np.random.default_rng(1)
    sets = 0.8 + 0.02 * rng.standard_normal((200, 20))
    intervals = [spread(values.tolist()).ci95 for values in sets]
    covered = np.mean([low <= 0.8 <= high for low, high in intervals])
    # At a true 93 % fewer than 85 % of 200 are seen once in 10^4 times, more than 99 % once in 2000.
    assert 0.85 <= covered <= 0.99
