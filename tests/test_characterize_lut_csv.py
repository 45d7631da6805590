"""A table as text, and back again: the same numbers."""

import csv
import io
import itertools
import json

import numpy as np
import pandas as pd
import pytest
from synthetic import World, changed, synthetic_lut

from prcim.characterize.lut.error_lut import ErrorLUT
from prcim.characterize.lut.file import open_lut
from prcim.characterize.lut.text import COLUMNS, PERCENT, as_csv, as_neurosim, csv_columns
from prcim.characterize.lut.total import total_moments


def read(text: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(text), comment="#", dtype=np.float32)


@pytest.fixture(params=["package", "synthetic"])
def lut(request: pytest.FixtureRequest) -> ErrorLUT:
    return open_lut("package:8t-64") if request.param == "package" else synthetic_lut(World(replicas=8), 0)


def test_numbers_come_back(lut: ErrorLUT) -> None:
    """A table is in single precision, and so every number of it comes back exactly."""
    found = read(as_csv([lut]))
    assert list(found) == [*COLUMNS, "q01", "q05", "q25", "q50", "q75", "q95", "q99"]
    stored = {"mac": "mac", "transfer_v": "transfer_v", "sigma_read": "read_sigma", "energy_j": "energy_j"}
    for column, name in {**stored, "count": "count", "failed": "failed"}.items():
        np.testing.assert_array_equal(found[column], getattr(lut, name).astype(np.float32))
    np.testing.assert_array_equal(found["n_on"], (lut.n_used + lut.mac) / 2)
    mean, variance = total_moments(lut)
    for column, values in {
        "mean_error": mean,
        "sigma_column": np.sqrt(np.maximum(lut.v_col, 0)),
        "sigma_pattern": np.sqrt(lut.v_res),
        "sigma_total": np.sqrt(variance),
    }.items():
        np.testing.assert_array_equal(found[column], values.astype(np.float32))


def test_each_number_is_the_shortest_that_comes_back(lut: ErrorLUT) -> None:
    rows = [line for line in as_csv([lut]).splitlines() if not line.startswith("#")][1:]
    for row in rows:
        for text in row.split(","):
            # One digit less would be another number.
            assert len(text) <= 16
            assert np.float32(text) == np.float32(float(text))


def test_quantiles_are_those_of_the_table(lut: ErrorLUT) -> None:
    """The table has (i + 1/2) / 256: half of all lies between the 128th and the 129th."""
    found = csv_columns(lut)
    np.testing.assert_allclose(found["q50"], (lut.total_q[:, 127] + lut.total_q[:, 128]) / 2)
    np.testing.assert_allclose(found["q25"], (lut.total_q[:, 63] + lut.total_q[:, 64]) / 2)
    # 1 % is 2.06 steps after the first.
    wanted = lut.total_q[:, 2] + 0.06 * (lut.total_q[:, 3] - lut.total_q[:, 2])
    np.testing.assert_allclose(found["q01"], wanted, rtol=1e-6)
    for below, above in itertools.pairwise(PERCENT):
        assert np.all(found[f"q{below:02d}"] < found[f"q{above:02d}"])


def test_what_the_table_does_not_hold_is_left_out(lut: ErrorLUT) -> None:
    """0.1 % lies beyond 1/512, about 0.2 %."""
    text = as_csv([lut])
    assert PERCENT == (1, 5, 25, 50, 75, 95, 99)
    assert "# quantiles of 0.1 and 99.9 % are left out: the table keeps none below 0.195 or above 99.8 %" in text


def test_a_negative_estimate_is_no_spread() -> None:
    lut = synthetic_lut(World(), 0, total=False)
    found = csv_columns(changed(lut, v_col=np.full(5, -0.5)))
    assert found["sigma_column"].tolist() == [0] * 5


def test_provenance_is_in_the_comments(lut: ErrorLUT) -> None:
    text = as_csv([lut])
    comments = [line for line in text.splitlines() if line.startswith("# ")]
    assert f"# plan_id {lut.plan_id}" in comments
    assert f"# sha256 {lut.sha256}" in comments
    plan = next(line for line in comments if line.startswith("# plan {"))
    assert json.loads(plan.removeprefix("# plan ")) == lut.meta["plan"]
    for name in COLUMNS:
        assert any(line.startswith(f"# {name}: ") for line in comments), name
    assert as_csv([lut]) == text


def test_several_conditions_have_theirs_in_front() -> None:
    one, two = (
        changed(synthetic_lut(World(), key, total=False), meta={"conditions": conditions})
        for key, conditions in ((0, ["tt", 1.1, 27.0]), (1, ["ss", 1.0, 85.0]))
    )
    rows = list(csv.DictReader(line for line in as_csv([one, two]).splitlines() if not line.startswith("#")))
    assert len(rows) == 10
    assert [row["corner"] for row in rows] == ["tt"] * 5 + ["ss"] * 5
    assert (rows[9]["vdd_v"], rows[9]["temp_c"]) == ("1.0", "85.0")
    assert np.float32(rows[9]["transfer_v"]) == np.float32(two.transfer_v[4])
    assert "\nmac,n_on," in as_csv([one])


def test_neurosim(lut: ErrorLUT) -> None:
    """A line for each of n + 1 ideal outputs: moments of the table at its sums, a straight line between them."""
    text = as_neurosim(lut)
    assert text.startswith("output,mean,std\n")
    found = read(text)
    n = lut.n_used
    assert found["output"].tolist() == list(range(-n, n + 1, 2))
    mean, variance = total_moments(lut)
    at = ((lut.mac + n) / 2).astype(int)
    np.testing.assert_array_equal(found["mean"].to_numpy()[at], (lut.mac + mean).astype(np.float32))
    np.testing.assert_array_equal(found["std"].to_numpy()[at], np.sqrt(variance).astype(np.float32))
    step = at[1] - at[0]
    if step > 1:
        between = found["std"].to_numpy()[at[0] + step // 2]
        assert between == pytest.approx((np.sqrt(variance[0]) + np.sqrt(variance[1])) / 2, rel=1e-5)
    # Without mean error the mean of an output is the output.
    assert np.all(np.abs(found["mean"] - found["output"]) < 0.5)
