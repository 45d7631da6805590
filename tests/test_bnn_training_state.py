"""A training's state on disk: it goes on exactly where it stopped, and nothing else is taken for it."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from disk import full_disk
from trainings import ADC, MAJORITY, RECIPE, equal, interrupt_after, log, trained

from prcim.bnn.checkpoint import load_tensors, save_tensors
from prcim.bnn.models.mlp import MlpSpec
from prcim.bnn.recipe import Recipe
from prcim.errors import InputError, RunError

OTHER = r"net\.state is of a training with other settings, table or data; use another folder with --out, or delete it$"


@pytest.mark.parametrize("spec", [MAJORITY, ADC], ids=["majority", "adc"])
@pytest.mark.parametrize("epoch", [1, 2])
def test_interrupted_training_ends_bit_for_bit_as_an_undisturbed_one(tmp_path: Path, spec: MlpSpec, epoch: int) -> None:
    wanted = trained(tmp_path / "whole", spec=spec)
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        trained(tmp_path / "cut", spec=spec, progress=interrupt_after(epoch))
    calls: list[tuple[int, int]] = []
    # It goes on from the state, whatever it would have started from.
    found = trained(tmp_path / "cut", spec=spec, seed=99, progress=lambda done, total: calls.append((done, total)))
    assert equal(found, wanted)
    assert calls == [(done, 3) for done in range(epoch + 1, 4)]
    assert log(tmp_path / "cut") == log(tmp_path / "whole")
    assert (tmp_path / "cut/net.state").read_bytes() == (tmp_path / "whole/net.state").read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": "sgd", "learning_rate": 0.05, "weight_decay": 1e-3},
        {"chips_per_batch": 3},
        {"anneal": 0.7, "augment": True, "warmup_epochs": 1},
        {"norms": "running"},
    ],
    ids=str,
)
@pytest.mark.parametrize("spec", [MAJORITY, dataclasses.replace(MAJORITY, column_norm=True)], ids=["free", "norm"])
def test_every_recipe_goes_on_bit_for_bit(tmp_path: Path, spec: MlpSpec, change: dict[str, Any]) -> None:
    recipe = dataclasses.replace(RECIPE, **change)
    wanted = trained(tmp_path / "whole", recipe, spec=spec)
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        trained(tmp_path / "cut", recipe, spec=spec, progress=interrupt_after(1))
    assert equal(trained(tmp_path / "cut", recipe, spec=spec, seed=9), wanted)
    assert not equal(trained(tmp_path / "other", spec=spec), wanted)


def test_finished_training_is_not_repeated(tmp_path: Path) -> None:
    wanted = trained(tmp_path)
    calls: list[int] = []
    assert equal(trained(tmp_path, seed=2, progress=lambda done, total: calls.append(done)), wanted)
    assert not calls


@pytest.mark.parametrize(
    "change", [{"seed": 6}, {"noise": "iid"}, {"epochs": 4}, {"batch_size": 16}, {"learning_rate": 1e-3}], ids=str
)
def test_state_of_another_recipe_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    trained(tmp_path, dataclasses.replace(RECIPE, epochs=1))
    recipe = Recipe(**{**dataclasses.asdict(RECIPE), "epochs": 1, **change})
    with pytest.raises(InputError, match=OTHER):
        trained(tmp_path, recipe)


def test_state_of_another_table_or_data_set_is_refused(tmp_path: Path) -> None:
    one = dataclasses.replace(RECIPE, epochs=1)
    wanted = trained(tmp_path, one, identity="table, data")
    before = (tmp_path / "net.state").read_bytes()
    for identity in ("another table, data", "table, another data", ""):
        with pytest.raises(InputError, match=OTHER):
            trained(tmp_path, one, identity=identity)
    assert (tmp_path / "net.state").read_bytes() == before
    assert equal(trained(tmp_path, one, identity="table, data", seed=9), wanted)


def test_state_without_an_identity_is_refused(tmp_path: Path) -> None:
    one = dataclasses.replace(RECIPE, epochs=1)
    trained(tmp_path, one)
    tensors, about = load_tensors(tmp_path / "net.state")
    assert about.pop("identity") == "table, data"
    save_tensors(tmp_path / "net.state", tensors, about)
    with pytest.raises(InputError, match=OTHER):
        trained(tmp_path, one)


def test_state_of_another_network_is_refused(tmp_path: Path) -> None:
    trained(tmp_path, dataclasses.replace(RECIPE, epochs=1))
    with pytest.raises(InputError, match="other settings"):
        trained(tmp_path, dataclasses.replace(RECIPE, epochs=1), spec=ADC)


def test_state_of_another_version_is_refused_while_unfinished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        trained(tmp_path, progress=interrupt_after(1))
    with monkeypatch.context() as patch:
        patch.setattr("prcim.bnn.training_state.__version__", "0.0.1")
        with pytest.raises(InputError, match=r"was begun with prcim .*, this is prcim 0.0.1, .*; going on"):
            trained(tmp_path)
    wanted = trained(tmp_path)
    monkeypatch.setattr("prcim.bnn.training_state.__version__", "0.0.1")
    assert equal(trained(tmp_path), wanted)


def test_damaged_state_is_refused_and_kept(tmp_path: Path) -> None:
    trained(tmp_path)
    path = tmp_path / "net.state"
    damaged = path.read_bytes()[:-100]
    path.write_bytes(damaged)
    with pytest.raises(InputError, match=r"net\.state is no prcim network or damaged"):
        trained(tmp_path)
    assert path.read_bytes() == damaged
    save_tensors(path, {"x": torch.zeros(1)}, {"schema": "another"})
    with pytest.raises(InputError, match="other settings"):
        trained(tmp_path)


def test_full_disk_ends_the_training_and_it_can_go_on(tmp_path: Path) -> None:
    """The state is the largest file: it meets the end of the disk first."""
    wanted = trained(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        trained(tmp_path / "cut", progress=interrupt_after(1))
    before = (tmp_path / "cut/net.state").read_bytes()
    rows = log(tmp_path / "cut")
    with full_disk(5000), pytest.raises(RunError, match=r"cannot write .*net\.state: .*; free some space"):
        trained(tmp_path / "cut")
    assert (tmp_path / "cut/net.state").read_bytes() == before
    assert log(tmp_path / "cut") == rows
    assert {path.name for path in (tmp_path / "cut").iterdir()} == {"net.state", "log.csv"}
    assert equal(trained(tmp_path / "cut"), wanted)
    assert log(tmp_path / "cut") == log(tmp_path / "whole")
