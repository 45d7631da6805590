"""A table that is broken in one way is found, and by the law that it breaks; one that is not passes."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from synthetic import World, changed, synthetic_lut

from prcim.characterize.lut.check import Check, check_arrays, check_law
from prcim.characterize.lut.error_lut import ErrorLUT
from prcim.characterize.lut.file import open_lut
from prcim.characterize.lut.identity import check_plan, versions_of
from prcim.characterize.lut.total import total_moments
from prcim.characterize.plan import DECK_VERSION, TABLE_VERSION, Plan, make_plan, named_plan, plan_id

Floats = NDArray[np.float64]
SIMULATOR = "ngspice-39"


def checks(lut: ErrorLUT, *, first: ErrorLUT | None = None) -> list[Check]:
    return [*check_arrays(lut), *check_law(lut), *check_plan(lut, first=first)]


def broken(lut: ErrorLUT) -> list[str]:
    return [check.name for check in checks(lut) if check.passed is False]


def with_identity(lut: ErrorLUT) -> ErrorLUT:
    """The table with the identity that its plan has today."""
    plan = make_plan(lut.meta["plan"], origin="test")
    sha256 = plan.make_technology().library.sha256
    return changed(lut, meta={"models_sha256": sha256, "plan_id": plan_id(plan, simulator=SIMULATOR)})


@pytest.fixture(scope="module")
def lut() -> ErrorLUT:
    return with_identity(synthetic_lut(World(replicas=8), 0))


@pytest.mark.parametrize("key", range(3))
@pytest.mark.parametrize(
    "world",
    [
        World(),
        World(replicas=8, offset=1.0),
        World(tail=True, sigma=0.5, columns=128, dies=8),
        World(columns=32, patterns=2, dies=8),
        World(n=64, sums=65, columns=128, patterns=4, sigma=0.12, offset=5.0, dies=8),
        World(n=64, sums=65, columns=48, patterns=2, sigma=0.55, tail=True, dies=8),
    ],
    ids=["cells", "replicas", "tail", "few", "all sums, offset", "all sums, few"],
)
def test_a_sound_table_passes(world: World, key: int) -> None:
    assert broken(with_identity(synthetic_lut(world, key))) == []


def test_the_shipped_table_passes() -> None:
    lut = open_lut("package:8t-64")
    assert broken(lut) == []
    assert all(check.passed for check in (*check_arrays(lut), *check_law(lut)))


def swap(array: Floats, first: Any, second: Any) -> Floats:
    array[first], array[second] = array[second].copy(), array[first].copy()
    return array


def put(array: Floats, place: Any, value: float) -> Floats:
    array[place] = value
    return array


def scaled(factor: float, place: Any = ...) -> Callable[[Floats], Floats]:
    def change(array: Floats) -> Floats:
        array[place] *= factor
        return array

    return change


VARIANCE = "bank + residual + read have the variance of each sum"
TOTAL = "total_q has the variance of all parts, dies included"
IN_LAW = {
    "residual_q has the variance v_res",
    "the bank has the variance v_col at each sum",
    VARIANCE,
    "and its static share",
}


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"transfer_v": lambda v: swap(v, 1, 2)}, {"the transfer curve falls", "slope_v is its slope"}),
        ({"transfer_v": lambda v: put(v, 2, v[1])}, {"the transfer curve falls", "slope_v is its slope"}),
        ({"transfer_v": scaled(0.95)}, {"slope_v is its slope", "the curve has the stated swing"}),
        ({"slope_v": scaled(1.01, 2)}, {"slope_v is its slope", "read_sigma is noise over slope"}),
        ({"residual_q": lambda q: swap(q, (2, 100), (2, 101))}, {"residual_q is sorted"}),
        ({"total_q": lambda q: swap(q, (2, 100), (2, 101))}, {"total_q is sorted"}),
        ({"cell_q": lambda q: swap(q, 100, 101)}, {"cell_q is sorted"}),
        ({"read_sigma": lambda s: put(s, 1, -s[1])}, {"read_sigma is not negative", "read_sigma is noise over slope"}),
        ({"read_sigma": scaled(1.01, 1)}, {"read_sigma is noise over slope"}),
        ({"noise_line_v": scaled(1.01, 1)}, {"read_sigma is noise over slope"}),
        ({"noise_line_v": lambda v: put(v, 1, -v[1])}, {"noise_line_v is not negative"}),
        ({"energy_sd_j": lambda v: put(v, 1, -v[1])}, {"energy_sd_j is not negative"}),
        ({"energy_j": lambda e: put(e, 1, 0.0)}, {"energy_j is positive"}),
        ({"chip_volt_gain": lambda g: put(g, 3, 0.0)}, {"chip_volt_gain is positive"}),
        ({"chip_cell_gain": lambda g: put(g, 3, -1.0)}, {"chip_cell_gain is positive"}),
        ({"cell_q": scaled(1.1)}, {"cell_q has the stated spread"}),
        ({"bank": scaled(1.1)}, {"the bank has the variance v_col at each sum"}),
        ({"bank": scaled(0.9)}, {"the bank has the variance v_col at each sum"}),
        ({"bank": scaled(1.002, (slice(None), 2))}, {"the bank has the variance v_col at each sum"}),
        ({"bank": scaled(1.5, (slice(None), 2))}, {VARIANCE, "and its static share"}),
        ({"bank": lambda b: np.sort(b, axis=0) * 0}, IN_LAW - {"residual_q has the variance v_res"}),
        ({"bank": lambda b: b + 3.0}, {"and their mean"}),
        ({"residual_q": scaled(1.1)}, {"residual_q has the variance v_res"}),
        ({"residual_q": scaled(0.9, 3)}, {"residual_q has the variance v_res"}),
        ({"residual_q": scaled(0.3, 2)}, {"residual_q has the variance v_res", VARIANCE, "and its static share"}),
        ({"v_col": scaled(1.3)}, {"the bank has the variance v_col at each sum", TOTAL}),
        ({"v_res": scaled(0.8)}, {"residual_q has the variance v_res", TOTAL}),
        ({"v_res": lambda v: put(v, 0, -1e-4)}, {"v_res is not negative"}),
        ({"icc_low": lambda i: put(i, 2, i[2] - 0.01)}, {"icc_low and icc_high follow from v_col and v_res"}),
        ({"icc_high": lambda i: put(i, 2, i[2] + 0.01)}, {"icc_low and icc_high follow from v_col and v_res"}),
        ({"total_q": scaled(1.03, 2)}, {TOTAL}),
        ({"total_q": scaled(0.97, 2)}, {TOTAL}),
        ({"total_q": lambda q: q + 0.5}, {"and their mean"}),
        ({"chip_curves": scaled(1.5)}, {TOTAL}),
        ({"chip_curves": lambda c: c + 0.5}, {"and their mean"}),
        ({"chip_cell_gain": scaled(1.1)}, {TOTAL}),
        ({"chip_volt_gain": scaled(0.9)}, {TOTAL}),
        ({"count": lambda n: n - 1}, {"good and failed shots of each sum"}),
        ({"count": lambda n: put(n, 1, n[1] - 8)}, {"good and failed shots of each sum"}),
        ({"failed": lambda n: put(n, 1, -1.0), "count": lambda n: put(n, 1, n[1] + 1)}, {"failed is not negative"}),
        (
            {"failed": lambda n: n + 5, "count": lambda n: n - 5},
            {"good and failed shots of each sum"},
        ),
        ({"meta": {"swing_v": 0.04}}, {"the curve has the stated swing"}),
        ({"meta": {"comparator_noise_v": 2e-3}}, {"read_sigma is noise over slope"}),
        ({"meta": {"rel_sigma_cell": 0.4}}, {"cell_q has the stated spread"}),
        ({"meta": {"rows": 32}}, {"rows, n_used"}),
        ({"meta": {"plan_id": "0" * 64}}, {"plan_id follows from the plan"}),
        ({"meta": {"models_sha256": "0" * 64}}, {"plan_id follows from the plan"}),
        ({"meta": {"simulator": "ngspice-42"}}, {"plan_id follows from the plan"}),
    ],
)
def test_each_way_to_break_a_table_is_found(changes: dict[str, Any], names: set[str], lut: ErrorLUT) -> None:
    """Every named law finds it; others may find it too."""
    assert names <= set(broken(changed(lut, **changes)))


def plan_of(lut: ErrorLUT, section: str, **fields: Any) -> ErrorLUT:
    plan = {**lut.meta["plan"], section: {**lut.meta["plan"][section], **fields}}
    return changed(lut, meta={"plan": plan})


@pytest.mark.parametrize(
    ("section", "fields", "name"),
    [
        ("sampling", {"columns": 63}, "columns"),
        ("sampling", {"chips": 41}, "dies"),
        ("sampling", {"patterns": 5}, "good and failed shots of each sum"),
        ("sampling", {"sums": 9}, "sums of the plan's grid"),
        ("column", {"rows": 32}, "rows, n_used"),
        ("column", {"n_used": 8}, "rows, n_used"),
        ("read", {"swing_v": 0.09}, "plan_id follows from the plan"),
    ],
)
def test_a_plan_that_is_another_is_found(section: str, fields: dict[str, Any], name: str, lut: ErrorLUT) -> None:
    found = broken(plan_of(lut, section, **fields))
    assert name in found
    assert "plan_id follows from the plan" in found


def test_sums_that_are_not_those_of_the_plan() -> None:
    lut = synthetic_lut(World(), 0)
    assert "sums of the plan's grid" in broken(changed(lut, mac=np.array([-16.0, -8.0, 2.0, 8.0, 16.0])))


def test_failures_within_the_limit_pass(lut: ErrorLUT) -> None:
    """One of 1280 shots is below a thousandth; two are above."""
    one = changed(lut, failed=np.array([0.0, 1, 0, 0, 0]), count=lut.count - [0, 1, 0, 0, 0])
    assert broken(one) == []
    two = changed(lut, failed=np.array([0.0, 2, 0, 0, 0]), count=lut.count - [0, 2, 0, 0, 0])
    found = [check for check in checks(two) if check.passed is False]
    assert [(check.figure, check.limit) for check in found] == [("0.16% of the shots failed", "<= 0.10%")]


def test_the_identity_is_that_of_the_plan() -> None:
    """The same content as `plan_id` hashes: a change there must be followed here."""
    plan = named_plan("8t-64")
    content = plan.model_dump(exclude={"technology": {"models"}})
    meta = {
        "plan": content,
        "plan_id": plan_id(plan, simulator=SIMULATOR),
        "models_sha256": plan.make_technology().library.sha256,
        "engine": "column",
        "simulator": SIMULATOR,
    }
    assert versions_of(meta) == (DECK_VERSION, TABLE_VERSION)
    content["name"] = "another name"
    assert versions_of(meta) == (DECK_VERSION, TABLE_VERSION)
    content["seed"] = 2
    assert versions_of(meta) is None


def identity(lut: ErrorLUT, *, first: ErrorLUT | None = None) -> Check:
    return next(check for check in check_plan(lut, first=first) if check.name == "plan_id follows from the plan")


def test_an_older_version_is_named() -> None:
    lut = open_lut("package:8t-64")
    found, versions = identity(lut), versions_of(lut.meta)
    assert found.passed
    assert versions is not None
    assert ("an older version made it" in found.figure) == (versions != (DECK_VERSION, TABLE_VERSION))


def test_what_cannot_be_computed_is_not_called_broken(lut: ErrorLUT) -> None:
    """Fields that this version does not have, or not yet; no provenance at all."""
    other = changed(lut, meta={"plan_id": "0" * 64})
    more = {**lut.meta["plan"], "read": {**lut.meta["plan"]["read"], "volume": 11}}
    less = {**lut.meta["plan"], "read": {"comparator_noise_v": 0.5e-3}}
    for plan in (more, less):
        found = identity(changed(other, meta={"plan": plan}))
        assert found.passed is None
        assert "other fields than those of this version" in found.figure
    bare = {name: value for name, value in lut.meta.items() if name not in ("engine", "simulator")}
    found = identity(dataclasses.replace(lut, meta=bare))
    assert (found.passed, found.figure) == (None, "cannot be computed: the table lacks engine, simulator")


def test_tables_of_other_conditions_have_the_identity_of_the_first(lut: ErrorLUT) -> None:
    """The first holds the plan of all; each other one what that says for its conditions."""
    whole = make_plan(lut.meta["plan"], origin="test").changed(['pvt.corners=["ss", "ff"]', "pvt.temps_c=[85]"])
    common = plan_id(whole, simulator=SIMULATOR)

    def at(plan: Plan, **meta: Any) -> ErrorLUT:
        content = json.loads(plan.model_dump_json(exclude={"technology": {"models"}}))
        about = {"plan": content, "plan_id": common, "conditions": list(plan.conditions[0])}
        return changed(lut, meta={**about, **meta})

    first, second, third = at(whole), at(whole.at(1)), at(whole.at(2))
    for each in (first, second, third):
        found = identity(each, first=first)
        assert (found.passed, found.limit) == (True, common[:8])
    # Alone it says no more than that it has another identity.
    assert identity(second).passed is False
    wrong = [
        at(whole.at(1), plan_id="0" * 64),
        at(whole.at(1), conditions=["ff", 1.1, 85.0]),
        at(whole.at(1), conditions=["fs", 1.1, 85.0]),
        at(whole.changed(["seed=2"]).at(1)),
        at(whole.at(1).changed(["swing_v=0.11"])),
    ]
    for each in wrong:
        assert identity(each, first=first).passed is False
    assert identity(second, first=changed(first, meta={"plan_id": "0" * 64})).passed is False
    bare = {name: value for name, value in first.meta.items() if name != "plan"}
    assert identity(second, first=dataclasses.replace(first, meta=bare)).passed is None


def test_a_table_without_a_plan_has_little_to_be_held_against(lut: ErrorLUT) -> None:
    bare = dataclasses.replace(lut, meta={name: lut.meta[name] for name in ("schema", "rows", "n_used", "plan_id")})
    found = list(check_plan(bare))
    assert [check.passed for check in found] == [None] * 6
    names = {check.name: check.passed for check in check_arrays(bare)}
    assert "the curve has the stated swing" not in names
    assert names["read_sigma is noise over slope"] is None


def test_figures_and_limits_are_told(lut: ErrorLUT) -> None:
    found = next(check for check in checks(changed(lut, total_q=scaled(1.1, 2))) if check.name == TOTAL)
    assert found.passed is False
    size, _, place = found.figure.partition(" relative difference at ")
    assert float(size) == pytest.approx(0.2, abs=0.02)
    assert place == "S = 0"
    assert found.limit.startswith("<= 0.02")
    assert found.as_json() == {"name": TOTAL, "passed": False, "figure": found.figure, "limit": found.limit}


def test_moments_of_a_read_on_any_die_by_hand() -> None:
    """Two dies with gains and curves of their own, every shot and every step of noise written out."""
    base = synthetic_lut(World(columns=4, patterns=2, dies=2), 0)
    rng = np.random.default_rng(80)
    gain, volts, curves = np.array([0.8, 1.3]), np.array([1.2, 0.7]), rng.standard_normal((2, 5))
    err = 0.3 + rng.standard_normal((4000, 5))
    lut = changed(
        base,
        bank=lambda b: b - b.mean(axis=0) + err.mean(axis=0),
        chip_cell_gain=gain,
        chip_volt_gain=volts,
        chip_curves=curves,
    )
    reads = np.array([-1.0, 1.0]) * lut.read_sigma[:, None]
    for k in range(5):
        everything = np.concatenate(
            [np.add.outer(gain[i] * err[:, k] + curves[i, k], reads[k] / volts[i]).ravel() for i in range(2)]
        )
        mean, variance = (values[k] for values in total_moments(lut, err.var(axis=0)))
        assert mean == pytest.approx(everything.mean())
        assert variance == pytest.approx(everything.var())
