"""A study: each network once, from one clean start, judged as `prcim evaluate` does; and the verdict on it."""

import dataclasses
import importlib.util
import json
import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from rooms import ROOT
from tables import make_lut

from prcim.bnn.checkpoint import load_checkpoint
from prcim.bnn.datasets.digits import load_digits
from prcim.bnn.evaluate import evaluate
from prcim.bnn.models.mlp import MlpSpec
from prcim.bnn.recipe import Recipe
from prcim.bnn.study import Study
from prcim.bnn.tables import integer_tables
from prcim.characterize.lut.file import save_luts
from prcim.characterize.plan import named_plan

SPEC = MlpSpec(inputs=64, classes=10, rows=64, n_used=64, width=64, hidden=1, column_norm=True)
TRAIN, TEST = load_digits()
MILD = dataclasses.replace(make_lut(), bank=0.1 * make_lut().bank, total_q=0.1 * make_lut().total_q)


def study(**changes: Any) -> Study:
    settings: dict[str, Any] = {
        "model": "mlp",
        "dataset": "digits",
        "spec": SPEC,
        "images": (TRAIN.part(slice(0, 200)), TEST.part(slice(0, 60))),
        "luts": [make_lut(), MILD],
        "clean": Recipe(noise="ideal", epochs=2),
        "tuned": Recipe(epochs=1, norms="running"),
        "variants": ("ideal", "column"),
        "chips": 2,
        "calibration_images": 50,
    }
    return Study(**{**settings, **changes})


def test_every_variant_is_judged_in_every_way_at_every_point(tmp_path: Path) -> None:
    result = study().run(tmp_path)
    ways = ["nothing", "norms", "trim", "norms and trim"]
    rows = [(row["trained_with"], row["done"]) for row in result["rows"]]
    assert rows == 2 * [(variant, way) for variant in ("ideal", "column") for way in ways]
    assert len({row["lut_sha256"] for row in result["rows"]}) == 2
    assert json.loads((tmp_path / "study.json").read_text()) == result
    trained = {path.stem for path in tmp_path.glob("*.safetensors")}
    assert trained == {"clean", "ideal", "column-0", "column-1"}
    saved = load_checkpoint(tmp_path / "column-1.safetensors")
    assert saved.lut.sha256 == MILD.sha256
    tables = integer_tables(MILD, SPEC.make_readout().amplifier)
    wanted = [one.accuracy for one in evaluate(saved.network, TEST.part(slice(0, 60)), tables, "column", range(2))]
    (found,) = [row for row in result["rows"] if row["lut_sha256"] == MILD.sha256
                and (row["trained_with"], row["done"]) == ("column", "nothing")]  # fmt: skip
    assert found["accuracies"] == wanted


def test_an_interrupted_study_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    wanted = study().run(tmp_path / "whole")
    for stop in ("training: clean", "training: column-0", "column-0: chips, trim"):

        def interrupt(what: str, done: int, total: int, stop: str = stop) -> None:
            if what.startswith(stop):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            study().run(tmp_path / "cut", interrupt)
    assert study().run(tmp_path / "cut") == wanted
    again: list[str] = []
    study().run(tmp_path / "cut", lambda what, done, total: again.append(what))
    assert not again


def test_only_some_variants_are_recalibrated(tmp_path: Path) -> None:
    result = study(recalibrated=("column",), luts=[MILD]).run(tmp_path)
    ways = ["nothing", "norms", "trim", "norms and trim"]
    rows = [(row["trained_with"], row["done"]) for row in result["rows"]]
    assert rows == [("ideal", "nothing"), *[("column", way) for way in ways]]


def test_chips_judge_the_first_images_and_the_clean_network_is_judged_by_all(tmp_path: Path) -> None:
    # Of 59 images no share but 0 and 1 is also one of 20.
    images = (TRAIN.part(slice(0, 200)), TEST.part(slice(0, 59)))
    result = study(judged_images=20, images=images, luts=[MILD], variants=("column",)).run(tmp_path)
    assert result["judged_images"] == 20
    network = load_checkpoint(tmp_path / "column-0.safetensors").network
    tables = integer_tables(MILD, SPEC.make_readout().amplifier)
    wanted = [one.predictions_sha256 for one in evaluate(network, TEST.part(slice(0, 20)), tables, "column", range(2))]
    assert result["rows"][0]["predictions_sha256"] == wanted
    clean = load_checkpoint(tmp_path / "clean.safetensors").network
    whole = evaluate(clean, TEST.part(slice(0, 59)), tables, "ideal", [0])[0].accuracy
    assert result["clean"] == whole


@pytest.fixture
def gates(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("gates", ROOT / "scripts" / "gates.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "gates", module)
    spec.loader.exec_module(module)
    return module


def row(noise: str, done: str, mean: float, worst: float, severity: float = 2.0) -> dict[str, Any]:
    return {"trained_with": noise, "done": done, "mean": mean, "worst": worst, "severity": severity}


def test_verdict_looks_at_the_hardest_point_and_at_every_limit(
    gates: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = gates.GATES["mnist-majority"]
    good = [row("ideal", "nothing", 0.5, 0.2), row("column", "nothing", 0.94, 0.9), row("column", "trim", 0.975, 0.956)]
    mild = [row("ideal", "nothing", 0.98, 0.97, 0.5), row("column", "nothing", 0.5, 0.5, 0.5)]
    assert gates.verdict(gate, {"clean": 0.988, "rows": good + mild})
    assert "FAILS" not in capsys.readouterr().out
    for clean, rows, fails in (
        (0.969, good, "clean"),
        (0.988, [row("ideal", "nothing", 0.61, 0.2), *good[1:]], "unaware, mean"),
        (0.988, [good[0], row("column", "nothing", 0.92, 0.9), good[2]], "column-aware, mean"),
        (0.988, [*good[:2], row("column", "trim", 0.969, 0.96)], "column-aware, trim, mean"),
        (0.988, [*good[:2], row("column", "trim", 0.99, 0.96)], "its worst chip below the mean"),
    ):
        assert not gates.verdict(gate, {"clean": clean, "rows": rows})
        lines = capsys.readouterr().out.splitlines()
        assert next(line for line in lines if line.startswith("FAILS")).startswith(f"FAILS  {fails}:")


def test_noise_that_is_named_goes_before_the_gates_own(gates: ModuleType) -> None:
    """Of codes of 5 bits on MNIST only the clean network is asked, so nothing is tuned."""
    own, named, clean = (
        Namespace(variant=variant, clean=clean) for variant, clean in ((None, False), (["iid"], False), (["iid"], True))
    )
    assert gates.variants_of(gates.GATES["mnist"], own) == ()
    assert gates.variants_of(gates.GATES["mnist"], named) == ("iid",)
    assert gates.variants_of(gates.GATES["cifar10"], own) == gates.VARIANTS
    assert gates.variants_of(gates.GATES["cifar10"], clean) == ()
    for clean_accuracy, held in ((0.988, True), (0.986, False)):
        assert gates.verdict(gates.GATES["mnist"], {"clean": clean_accuracy, "rows": []}) == held


def test_verdict_says_nothing_of_what_was_left_out(gates: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    gate = gates.GATES["mnist-majority"]
    assert gates.verdict(gate, {"clean": 0.988, "rows": []})
    assert gates.verdict(gate, {"clean": 0.988, "rows": [row("ideal", "nothing", 0.5, 0.2), row("iid", "trim", 0, 0)]})
    assert capsys.readouterr().out.splitlines() == [
        "holds  clean: 98.80% >= 97.00%",
        "holds  clean: 98.80% >= 97.00%",
        "holds  unaware, mean: 50.00% <= 60.00%",
    ]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([], ("ideal", "column", "gaussian", "iid")),
        (["--variant", "column", "--variant", "ideal"], ("column", "ideal")),
        (["--clean"], ()),
    ],
)
def test_variants_are_those_that_were_asked_for(
    gates: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: list[str], wanted: tuple[str, ...]
) -> None:
    studies: list[Study] = []

    def run(self: Study, folder: Path, progress: object) -> dict[str, Any]:
        studies.append(self)
        return {"clean": 1.0, "rows": []}

    monkeypatch.setattr(Study, "run", run)
    monkeypatch.setattr(sys, "argv", ["gates", "digits", "--out", str(tmp_path), *given])
    assert gates.main() == 0
    assert [study.variants for study in studies] == [wanted]
    assert [(study.device, study.chips, study.judged_images) for study in studies] == [("cpu", 50, None)]


def test_design_points_are_made_unless_tables_are_named(
    gates: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made: list[Any] = []

    def characterize(plan: Any, folder: None, **how: Any) -> Any:
        made.append(plan)
        return SimpleNamespace(lut=len(made))

    monkeypatch.setattr(gates, "characterize_plan", characterize)
    gate, arguments = gates.GATES["cifar10"], Namespace(lut=None, jobs=1)
    assert gates.tables(gate, arguments) == [1, 2, 3]
    assert [(plan.column.rows, plan.read.v_wl_v, plan.read.swing_v) for plan in made] == [
        (32, 0.4, 0.1), (32, 0.45, 0.2), (32, 0.6, 0.35),
    ]  # fmt: skip
    save_luts((MILD,), tmp_path / "lut.npz")
    (named,) = gates.tables(gate, Namespace(lut=[str(tmp_path / "lut.npz")], jobs=1))
    assert named.sha256 == MILD.sha256
    assert [lut.rows for lut in gates.tables(gates.GATES["digits"], arguments)] == [64]
    assert len(made) == 3


def test_what_a_gate_says_and_the_device_reach_the_study(
    gates: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    studies: list[Study] = []

    def run(self: Study, folder: Path, progress: object) -> dict[str, Any]:
        studies.append(self)
        return {"clean": 1.0, "rows": []}

    gate = dataclasses.replace(gates.GATES["digits"], chips=7, judged_images=30, recalibrated=("column",))
    monkeypatch.setattr(Study, "run", run)
    monkeypatch.setattr(gates, "named_device", lambda name: None)
    monkeypatch.setitem(gates.GATES, "digits", gate)
    for given in ([], ["--chips", "5"]):
        monkeypatch.setattr(sys, "argv", ["gates", "digits", "--out", str(tmp_path), "--device", "cuda", *given])
        assert gates.main() == 0
    assert [(one.device, one.chips, one.judged_images, one.recalibrated) for one in studies] == [
        ("cuda", 7, 30, ("column",)), ("cuda", 5, 30, ("column",)),
    ]  # fmt: skip


def test_a_device_that_is_not_there_is_refused_before_anything_starts(
    gates: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gates", "digits", "--out", str(tmp_path / "out"), "--device", "cuda"])
    assert gates.main() == 2
    assert "gates: torch finds no GPU" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_every_gate_builds_its_network(gates: ModuleType) -> None:
    from prcim.bnn.registry import DATASETS, named_model

    for gate in gates.GATES.values():
        size = DATASETS[gate.dataset].size
        plans = [named_plan(point.plan).changed(list(point.settings)) for point in gate.points]
        ((rows, n_used),) = {(plan.column.rows, plan.n_used) for plan in plans} or {(64, 64)}
        spec = named_model(gate.model).spec.for_images(size, rows=rows, n_used=n_used, classes=10, **gate.options)
        spec.check_table(rows, n_used)
