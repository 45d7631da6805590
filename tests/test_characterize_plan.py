"""Plans: what is refused and how, what makes an identity, what a setting changes."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from prcim.cells.cell_8t import Cell8T
from prcim.cells.cell_8t1c import Cell8T1C
from prcim.cells.load import nmos_switch, pmos_load
from prcim.cells.readouts.reference import Trim
from prcim.cells.reads.charge_read import ChargeRead
from prcim.cells.reads.pulsed_read import PulsedRead
from prcim.cells.reads.steady_read import SteadyRead
from prcim.cells.registry import CELLS
from prcim.characterize import plan as plan_module
from prcim.characterize.plan import Plan, make_plan, named_plan, plan_id, plan_names
from prcim.characterize.settings import with_settings
from prcim.errors import InputError
from prcim.spice.library import own_library

PLAN = named_plan("8t-64-quick")
ID = plan_id(PLAN, simulator="ngspice-39")
#: Another allowed value for every field of a plan. A field that is new belongs here, or below, or has no identity.
OTHER = {
    "seed": 2,
    "engine": "composed",
    "technology.flavour": "hp",
    "technology.corner": "ss",
    "technology.vdd_v": 1.0,
    "technology.temp_c": 85.0,
    "mismatch.a_vt_v_m": 3.6e-9,
    "mismatch.a_beta_m": 1.1e-8,
    "mismatch.global_sigma_vt_v": 0.014,
    "mismatch.global_correlation": 0.6,
    "mismatch.load_rel_sigma": 0.02,
    "column.cell": "6t",
    "column.rows": 128,
    "column.n_used": 63,
    "column.c_bl_cell_f": 0.31e-15,
    "column.c_bl_fixed_f": 21e-15,
    "column.r_bl_row_ohm": 2.1,
    "column.r_vss_row_ohm": 0.1,
    "read.mode": "pulsed",
    "read.v_wl_v": 0.36,
    "read.swing_v": 0.11,
    "read.load": "pmos",
    "read.settle_tau": 8.0,
    "read.t_settle_s": 1.1e-9,
    "read.w_switch_m": 1.1e-6,
    "read.comparator_noise_v": 1.1e-3,
    "read.i_line_max_a": 2.1e-3,
    "reference.kind": "ideal",
    "reference.replicas": 15,
    "reference.shared_by": 255,
    "comparator.w_in_m": 1.1e-6,
    "comparator.l_m": 66e-9,
    "reference.trim_bits": 7,
    "reference.trim_range_v": 0.11,
    "sampling.sums": 17,
    "sampling.columns": 33,
    "sampling.patterns": 5,
    "pvt.corners": ["ss"],
    "pvt.vdds_v": [1.0],
    "pvt.temps_c": [85.0],
    "pvt.v_wl_follows_vdd": "true",
    "sampling.chips": 9,
    "sampling.cells": 129,
    "sampling.checks": 190,
    "sampling.failures_max": 0.002,
}
#: The name is no part of the identity; sizes, and the fields of a user's model file, have tests of their own.
WITHOUT_OTHER = {
    "name",
    "column.sizes",
    *(f"technology.{name}" for name in ("models", "nmos", "pmos", "section", "subckt", "size_unit_m")),
}


def leaves(data: dict[str, Any], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for key, value in data.items():
        # A section has fields; sizes are empty until a plan sets one.
        found |= leaves(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {prefix + key}
    return found


@pytest.mark.parametrize(("key", "value"), OTHER.items())
def test_every_field_is_part_of_the_identity(key: str, value: object) -> None:
    changed = PLAN.changed([f"{key}={value}"])
    assert changed != PLAN
    assert plan_id(changed, simulator="ngspice-39") != ID


def test_no_field_is_forgotten() -> None:
    assert leaves(PLAN.model_dump()) == set(OTHER) | WITHOUT_OTHER


def test_sizes_are_part_of_the_identity() -> None:
    first, other, both = (
        PLAN.changed(settings)
        for settings in (
            ["sizes.w_access_m=1.3e-7"],
            ["sizes.w_access_m=1.4e-7"],
            ["sizes.w_access_m=1.3e-7", "sizes.w_driver_m=1.3e-7"],
        )
    )
    assert len({ID, *(plan_id(plan, simulator="ngspice-39") for plan in (first, other, both))}) == 4
    assert both.changed(["sizes.w_access_m=1.4e-7"]).column.sizes == {"w_access_m": 1.4e-7, "w_driver_m": 1.3e-7}
    # As a user may leave them out or write them in any order.
    swapped = PLAN.changed(["sizes.w_driver_m=1.3e-7", "sizes.w_access_m=1.3e-7"])
    assert plan_id(swapped, simulator="ngspice-39") == plan_id(both, simulator="ngspice-39")


def test_name_is_no_part_of_the_identity() -> None:
    assert plan_id(PLAN.changed(["name=other"]), simulator="ngspice-39") == ID
    assert len(ID) == 64
    assert set(ID) <= set("0123456789abcdef")


def test_simulator_and_deck_are_part_of_the_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    assert plan_id(PLAN, simulator="ngspice-40") != ID
    for version in ("DECK_VERSION", "TABLE_VERSION"):
        with monkeypatch.context() as patch:
            patch.setattr(plan_module, version, getattr(plan_module, version) + 1)
            assert plan_id(PLAN, simulator="ngspice-39") != ID
    assert plan_id(PLAN, simulator="ngspice-39") == ID


def test_model_file_counts_by_its_content_not_its_place(tmp_path: Path) -> None:
    def identity(name: str, text: str) -> str:
        (tmp_path / name).write_text(text)
        models = [f"models={tmp_path / name}", "nmos=prcim65_nmos_sram", "pmos=prcim65_pmos_sram"]
        data = PLAN.model_dump()
        data["technology"] |= dict(setting.split("=") for setting in models)
        return plan_id(make_plan(data, origin="test"), simulator="ngspice-39")

    text = own_library().text
    assert identity("a.lib", text) == identity("b.lib", text)
    assert identity("a.lib", text + "*\n") != identity("b.lib", text)


def test_model_file_that_is_missing_or_lacks_a_model(tmp_path: Path) -> None:
    (tmp_path / "a.lib").write_text(".model nch nmos level=54\n")
    wanted = {"nowhere.lib": r"nowhere\.lib does not exist", "a.lib": r"a\.lib has no transistor model 'pch'"}
    for models, words in wanted.items():
        data = {"name": "own", "technology": {"models": str(tmp_path / models), "nmos": "nch", "pmos": "pch"}}
        with pytest.raises(InputError, match=words):
            plan_id(make_plan(data, origin="test"), simulator="ngspice-39")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = 'a'\nsedd = 1", r"sedd: Extra inputs are not permitted \(got 1\)"),
        ("name = 'a'\n[column]\nrow = 64", r"column\.row: Extra inputs"),
        ("name = 'a'\n[columns]\nrows = 64", r"columns: Extra inputs"),
        ("seed = 1", "name: Field required"),
        ("name = 'a b'", "name: String should match pattern"),
        ("name = '../a'", "name: String should match pattern"),
        ("name = 'a'\n[column]\nrows = 'many'", r"column\.rows: .*integer.*\(got 'many'\)"),
        ("name = 'a'\n[column]\nrows = 8.5", r"column\.rows: .*integer"),
        ("name = 'a'\n[column]\nrows = 0", r"column\.rows is 0; a column has 2 to 1024 rows"),
        ("name = 'a'\n[column]\nn_used = 65", r"column\.n_used is 65; it must lie in 1\.\.rows, and rows is 64"),
        ("name = 'a'\n[column]\ncell = '9t'", r"column\.cell is '9t'; known cells are: 6t, 8t, 8t1c, 1t1r"),
        ("name = 'a'\n[column.sizes]\nw_access_m = 0", r"column\.sizes\.w_access_m: .*greater than 0"),
        ("name = 'a'\n[column]\nr_vss_row_ohm = -1", r"column\.r_vss_row_ohm: .*greater than or equal to 0"),
        ("name = 'a'\n[column]\nc_bl_cell_f = -1e-15", r"column\.c_bl_cell_f: .*greater than 0"),
        ("name = 'a'\n[read]\nmode = 'fast'", r"read\.mode: Input should be 'steady', 'pulsed' or 'charge'"),
        ("name = 'a'\n[read]\nmode = 'charge'", r"read\.mode is 'charge'; a cell '8t' is read by: steady, pulsed"),
        ("name = 'a'\n[column]\ncell = '8t1c'", r"read\.mode is 'steady'; a cell '8t1c' is read by: charge"),
        ("name = 'a'\n[read]\nload = 'nmos'", r"read\.load: Input should be 'resistor' or 'pmos'"),
        ("name = 'a'\n[read]\nw_switch_m = 1e-8", r"read\.w_switch_m: .*greater than or equal to .*\(got 1e-08\)"),
        ("name = 'a'\n[reference]\nkind = 'ideal'\n[technology]\ncorner = 'ss'", "reference.kind is 'ideal', fixed"),
        ("name = 'a'\n[read]\nswing_v = 1.2", r"read\.swing_v is 1\.2 V; it must be below vdd_v"),
        ("name = 'a'\n[read]\nv_wl_v = inf", r"read\.v_wl_v: .*finite"),
        ("name = 'a'\n[technology]\nnmos = 'nch'", "models, nmos and pmos belong together"),
        ("name = 'a'\n[column]\nrows = 8\n[sampling]\nsums = 17", r"sampling\.sums is 17; 8 inputs have 9 sums"),
        (
            "name = 'a'\n[sampling]\nsums = 65\npatterns = 2100",
            "sampling asks for 2,100 patterns at 65 sums; a column has at most 131,072 reads",
        ),
        (
            "name = 'a'\n[sampling]\nsums = 65\npatterns = 8\ncolumns = 40000",
            "sampling asks for 20,800,000 reads of columns; a table is made from at most 20,000,000",
        ),
        (
            "name = 'a'\n[sampling]\nsums = 65\ncolumns = 40000\n[pvt]\ntemps_c = [0, 9, 18, 36, 45, 54, 63]",
            "the tables of 8 conditions would hold 21,149,440 numbers; at most 20,000,000 go into a file",
        ),
        (
            f"name = 'a'\n[pvt]\ncorners = ['ff']\ntemps_c = {[round(0.1 * i, 1) for i in range(1000)]}",
            "pvt asks for 1,001 conditions; a plan has at most 1,000",
        ),
        ("name = 'a'\n[sampling]\nchips = 1025", r"sampling\.chips: .*less than or equal to 1024"),
        ("name = 'a'\nseed = -1", "seed: .*greater than or equal to 0"),
        ("name = 'a'\ntechnology = 3", "technology: .*dictionary or instance"),
        ("name = 'a", "is not valid TOML"),
        ("name = 'a'\nname = 'b'", "is not valid TOML"),
    ],
)
def test_refused_plans(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"plan .*bad\.toml.*{words}"):
        named_plan(str(path))


def test_plan_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no plan '8t-63'; known plans are: .*8t-64-quick"):
        named_plan("8t-63")
    with pytest.raises(InputError, match=r"plan file .*none\.toml cannot be read"):
        named_plan(str(tmp_path / "none.toml"))
    (tmp_path / "latin.toml").write_bytes(b"name = 'caf\xe9'")
    with pytest.raises(InputError, match=r"plan file .*latin\.toml cannot be read"):
        named_plan(str(tmp_path / "latin.toml"))


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("row=8", "setting 'row=8' is not a key of a plan; the keys are: .*column.rows"),
        ("rows", "setting 'rows' is not of the form key=value"),
        ("columns.rows=8", "is not a key of a plan"),
        ("rows=many", r"the settings: column\.rows: .*\(got 'many'\)"),
        ("rows=", r"the settings: column\.rows"),
        ("=8", "is not a key of a plan"),
    ],
)
def test_refused_settings(setting: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        PLAN.changed([setting])


def test_ambiguous_setting() -> None:
    """No two keys of a plan are alike today; should that change, the short form is refused."""
    data = {"column": {"rows": 1}, "read": {"rows": 2}}
    with pytest.raises(InputError, match=r"setting 'rows=8' fits 2 keys; the keys are: column\.rows, read\.rows"):
        with_settings(data, ["rows=8"])
    assert with_settings(data, ["read.rows=8"]) == {"column": {"rows": 1}, "read": {"rows": 8}}


def test_settings_change_what_they_name_and_nothing_else() -> None:
    changed = PLAN.changed(["rows=8", "sampling.sums=5", "flavour=hp", "name=other"])
    assert (changed.column.rows, changed.sampling.sums, changed.name) == (8, 5, "other")
    assert changed.changed(["rows=64", "sums=9", "flavour=sram", f"name={PLAN.name}"]) == PLAN
    assert PLAN.changed([]) == PLAN


def test_plans_are_frozen_and_come_back_from_their_text() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        PLAN.seed = 2  # type: ignore[misc]
    for name in plan_names():
        plan = named_plan(name)
        assert plan.name == name
        assert make_plan(plan.model_dump(), origin="test") == plan
        assert Plan.model_validate_json(plan.model_dump_json()) == plan


def test_what_is_made_carries_the_plans_figures() -> None:
    changes = ["rows=8", "n_used=6", "sums=5", "vdd_v=1", "a_vt_v_m=4e-9", "v_wl_v=0.4", "r_vss_row_ohm=0.5"]
    plan = PLAN.changed([*changes, "sizes.w_access_m=2e-7"])
    load = pmos_load(3e-7)
    column = plan.make_column(load, 5e4)
    assert (column.rows, column.n_used, column.load, column.load_ohm) == (8, 6, load, 5e4)
    assert (column.technology.vdd_v, column.r_vss_row_ohm) == (1, 0.5)
    assert column.cell == Cell8T(w_access_m=2e-7)
    assert plan.make_mismatch().a_vt_v_m == 4e-9
    assert plan.make_read() == SteadyRead(v_wl_v=0.4, settle_tau=7)
    assert plan.changed(["mode=pulsed"]).make_read(3e-10) == PulsedRead(v_wl_v=0.4, t_pulse_s=3e-10)
    charge = PLAN.changed(["cell=8t1c", "mode=charge", "t_settle_s=2e-9"])
    assert charge.make_read() == ChargeRead(v_wl_v=0.35, t_settle_s=2e-9)
    assert charge.make_column(nmos_switch(1e-6), 300).cell == Cell8T1C()
    assert PLAN.changed(["trim_bits=5", "trim_range_v=0.2"]).make_trim() == Trim(bits=5, range_v=0.2)


def test_what_checks_itself_refuses_a_plan() -> None:
    with pytest.raises(InputError, match="settle_tau is 3"):
        PLAN.changed(["settle_tau=3"])
    with pytest.raises(InputError, match="mismatch a_vt_v_m is"):
        PLAN.changed(["a_vt_v_m=-1e-9"])
    with pytest.raises(InputError, match=r"v_wl_v is 2\.1 V"):
        PLAN.changed(["v_wl_v=2.1"])
    with pytest.raises(InputError, match="trim_bits is 0; a trim has 1 to 12 bits"):
        PLAN.changed(["trim_bits=0"])
    with pytest.raises(InputError, match=r"sizes\.w_gate_m is not a size of cell '8t': .*w_access_m"):
        PLAN.changed(["sizes.w_gate_m=1e-7"])
    with pytest.raises(InputError, match=r"r_on_ohm is 20000.*, r_off_ohm is 100.*; want 0 < r_on < r_off"):
        PLAN.changed(["cell=1t1r", "sizes.r_off_ohm=100"])
    # How long a pulse is, only a simulation says.
    assert PLAN.changed(["mode=pulsed", "settle_tau=3"]).read.settle_tau == 3


@pytest.mark.parametrize("cell", list(CELLS))
def test_every_cell_makes_a_column_for_each_of_its_reads(cell: str) -> None:
    for mode in CELLS[cell].reads:
        plan = make_plan({"name": "x", "column": {"cell": cell}, "read": {"mode": mode}}, origin="test")
        read = plan.make_read(3e-10)
        assert read.name == mode
        load = nmos_switch(1e-6) if mode == "charge" else pmos_load(1e-6)
        read.check(plan.make_column(load, 1e3))
