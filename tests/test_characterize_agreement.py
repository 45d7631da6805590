"""Agreement of composed with simulated reads: each figure by hand, the bound at each sum, how sure a ratio is."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from prcim.characterize.composed.agreement import SPREAD_MAX, Agreement, agreement


def drawn(*, columns: int = 40, spread: float = 3.0, rms: float = 0.01, key: int = 0) -> NDArray[np.float64]:
    """Errors at five sums, shape (columns, 2, 5): what was simulated, and that with a difference of its own."""
    rng = np.random.default_rng((99, key))
    true = spread * rng.standard_normal((columns, 5))
    return np.stack((true + rms * rng.standard_normal((columns, 5)), true), axis=1)


def test_by_hand() -> None:
    simulated = np.array([[0.0, 1.0], [2.0, 4.0], [4.0, 1.0]])
    composed = np.array([[0.0, 1.0], [2.0, 4.0], [4.2, 1.3]])
    found = agreement(np.stack((composed, simulated), axis=1))
    assert found.n == 6
    assert found.rms_mac == pytest.approx(np.sqrt((0.2**2 + 0.3**2) / 6))
    assert found.max_mac == pytest.approx(0.3)
    # Sums of squares about means 2, 2 and 2.0667, 2.1.
    squares = [8.0, 6.0, 8.826667, 5.46]
    assert found.spread_ratio == pytest.approx(np.sqrt((squares[2] + squares[3]) / (squares[0] + squares[1])), rel=1e-6)
    assert found.spread_ratio_worst == pytest.approx(np.sqrt(squares[2] / squares[0]), rel=1e-6)


@pytest.mark.parametrize("factor", [0.97, 1.03])
def test_one_sum_that_is_off_is_not_good(factor: float) -> None:
    """At the other four sums, and of all together, the spread is as simulated to 1 %."""
    pairs = drawn(spread=0.5, rms=0.0)
    pairs[:, 0, 2] *= factor
    found = agreement(pairs)
    assert abs(found.spread_ratio - 1) < 0.01
    assert found.spread_ratio_worst == pytest.approx(factor)
    assert found.rms_mac < 0.02
    assert not found.good
    pairs[:, 0, 2] = pairs[:, 1, 2] * (1 + 0.99 * SPREAD_MAX)
    assert agreement(pairs).good


def test_each_bound_counts() -> None:
    def with_(**changes: float) -> Agreement:
        good = {"n": 200, "rms_mac": 0.05, "max_mac": 0.2, "spread_ratio": 1.01, "spread_ratio_worst": 0.99}
        return Agreement(**(good | changes))  # type: ignore[arg-type]

    assert with_().good
    for name, value in (("rms_mac", 0.061), ("max_mac", 0.31), ("spread_ratio", 1.021), ("spread_ratio_worst", 0.979)):
        assert not with_(**{name: value}).good, name
        assert not with_(**{name: float("nan")}).good, name


def test_a_sum_at_which_nothing_varies() -> None:
    pairs = drawn()
    pairs[:, :, 0] = 1.5
    found = agreement(pairs)
    assert found.good
    pairs[0, 0, 0] += 1e-3
    assert agreement(pairs).spread_ratio_worst == np.inf
    assert not agreement(pairs).good


@pytest.mark.parametrize(("columns", "spread", "rms"), [(40, 3.0, 0.06), (40, 1.0, 0.06), (100, 1.0, 0.06)])
def test_how_sure_a_ratio_is(columns: int, spread: float, rms: float) -> None:
    """Relative standard error rms / (spread sqrt(C - 1)): of 2500 ratios it is known to 1.4 %, tested to 5 of that."""
    ratios = []
    for key in range(500):
        composed, simulated = drawn(columns=columns, spread=spread, rms=rms, key=key).var(axis=0, ddof=1)
        ratios.append(np.sqrt(composed / simulated))
    # What differs adds half of its share of the variance.
    assert np.mean(ratios) == pytest.approx(1 + (rms / spread) ** 2 / 2, abs=5 * np.std(ratios) / 50)
    assert np.std(ratios) == pytest.approx(rms / (spread * np.sqrt(columns - 1)), rel=0.07)
    refused = np.mean(np.abs(np.array(ratios) - 1).max(axis=1) > SPREAD_MAX)
    # At the limit of the rms: none of 500 where the spread is 3 S, one in seven or so with 40 columns of 1 S.
    assert refused == 0 if spread == 3 else refused < (0.02 if columns == 100 else 0.3)


def test_as_json() -> None:
    exact = agreement(drawn())
    found = exact.as_json()
    assert set(found) == {"n", "rms_mac", "max_mac", "spread_ratio", "spread_ratio_worst"}
    assert found["n"] == 200
    assert found["rms_mac"] == pytest.approx(0.01, rel=0.25)
    assert found["rms_mac"] == float(f"{exact.rms_mac:.4g}") != float(f"{exact.rms_mac:.3g}")
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    nothing = agreement(np.empty((0, 2, 5)))
    assert nothing.as_json() == {**dict.fromkeys(found), "n": 0}
    assert not nothing.good
