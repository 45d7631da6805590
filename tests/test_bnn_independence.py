"""Independent errors held against lasting ones: what must be equal is, what must differ does, intervals cover."""

import json
from pathlib import Path

import numpy as np
import pytest
from tables import make_lut, make_tables, only

from prcim.bnn.checkpoint import Checkpoint
from prcim.bnn.datasets.digits import load_digits
from prcim.bnn.evaluate import evaluate
from prcim.bnn.independence import MODELS, TRUTH, _compared, predictions
from prcim.bnn.models.mlp import Mlp, MlpSpec

IMAGES = load_digits()[1].part(slice(0, 100))
SPEC = MlpSpec(inputs=64, classes=10, rows=64, n_used=64, width=64, hidden=1)


@pytest.fixture(scope="module")
def network() -> Mlp:
    made = Mlp(SPEC, seed=1)
    for _ in range(20):
        made(load_digits()[0].pixels)
    return made.eval()


def test_without_errors_all_models_say_the_same(network: Mlp) -> None:
    truth, others = predictions(network, IMAGES, only(make_tables()), chips=3)
    assert [other.model for other in others] == list(MODELS)
    for other in others:
        assert (other.spread.mean, other.spread.sd) == (truth.mean, 0.0)
        assert (other.gap, other.gap_ci95, other.sd_ratio) == (0.0, (0.0, 0.0), None)
        assert not other.misleads


def test_figures_are_those_of_each_models_chips(network: Mlp) -> None:
    tables = make_tables(columns=64, dies=32)
    truth, others = predictions(network, IMAGES, tables, chips=6)
    found = {
        model: np.array([chip.accuracy for chip in evaluate(network, IMAGES, tables, model, range(6))])
        for model in (TRUTH, *MODELS)
    }
    assert truth.mean == pytest.approx(found[TRUTH].mean())
    for other in others:
        assert other.gap == pytest.approx(found[other.model].mean() - found[TRUTH].mean())
        assert other.sd_ratio == pytest.approx(found[other.model].std(ddof=1) / found[TRUTH].std(ddof=1))


def test_spread_of_lasting_errors_is_missed_by_fresh_ones(network: Mlp) -> None:
    """Dies that differ and nothing fresh: independent draws of nothing give every chip the same accuracy."""
    tables = only(make_tables(columns=64, dies=64), "chips")
    _, others = predictions(network, IMAGES, tables, chips=24)
    (iid,) = [other for other in others if other.model == "iid"]
    assert iid.sd_ratio_ci95 is not None
    assert (iid.sd_ratio, iid.spread.sd, iid.sd_ratio_ci95[1]) == (0.0, 0.0, 0.0)
    assert iid.misleads


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """Of 200 pairs of normal samples 95 % of the intervals hold the true gap; 20 misses have a chance of 2e-3."""
    rng = np.random.default_rng(1)
    missed = 0
    for _ in range(200):
        a, b = rng.normal(0.8, 0.02, 50), rng.normal(0.7, 0.05, 50)
        _, (low, high) = _compared(a, b, lambda x, y: x.mean(-1) - y.mean(-1))
        missed += not low <= 0.1 <= high
    assert missed < 20


def test_script_writes_what_it_says(network: Mlp, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from importlib.util import module_from_spec, spec_from_file_location

    from rooms import ROOT

    found = spec_from_file_location("independence_script", ROOT / "scripts" / "independence.py")
    assert found is not None
    assert found.loader is not None
    script = module_from_spec(found)
    found.loader.exec_module(script)
    path, out = tmp_path / "network.safetensors", tmp_path / "out.json"
    Checkpoint(
        model="mlp", dataset="digits", network=network, lut=make_lut(), noise="iid", seed=0, epochs=0
    ).save(path)  # fmt: skip
    assert script.main([str(path), "--lut", "package:8t-64", "--chips", "2", "--jobs", "1", "--out", str(out)]) == 0
    (row,) = json.loads(out.read_text())
    assert (row["network"], row["trained_with"], row["lut"]) == ("network.safetensors", "iid", "package:8t-64")
    assert [each["model"] for each in row["predictions"]] == list(MODELS)
    printed = capsys.readouterr().out
    for each in (row[TRUTH], *row["predictions"]):
        assert f"{each['mean']:.2%}" in printed
