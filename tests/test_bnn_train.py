"""Training: it learns, goes on exactly where it stopped, and sees only its half of the table."""

import csv
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from disk import full_disk
from tables import make_tables, only, unit_gains
from torch import Tensor

from prcim.bnn.annealing import scaled_tables
from prcim.bnn.checkpoint import load_tensors, save_tensors
from prcim.bnn.datasets.digits import load_digits
from prcim.bnn.datasets.images import Images
from prcim.bnn.layers import BatchNorm
from prcim.bnn.models.mlp import Mlp, MlpSpec
from prcim.bnn.noise import Reads, VirtualChip
from prcim.bnn.recipe import Recipe
from prcim.bnn.tables import IntegerTables
from prcim.bnn.thresholds import ColumnNorm
from prcim.bnn.train import make_optimizer, train
from prcim.errors import InputError, RunError

TABLES = make_tables(columns=8, dies=4)
RECIPE = Recipe(epochs=3, batch_size=32, seed=5)
MAJORITY = MlpSpec(inputs=64, classes=10, rows=64, n_used=64, width=64, hidden=1)
ADC = dataclasses.replace(MAJORITY, readout="adc")


def images(count: int) -> Images:
    return load_digits()[0].part(slice(0, count))


SOME = images(96)


def trained(
    folder: Path,
    recipe: Recipe = RECIPE,
    *,
    spec: MlpSpec = MAJORITY,
    tables: IntegerTables = TABLES,
    data: Images = SOME,
    seed: int = 1,
    identity: str = "table, data",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Tensor]:
    """The state of a network after training in a folder."""
    network = Mlp(spec, seed=seed)
    folder.mkdir(exist_ok=True)
    train(
        network,
        data,
        tables,
        recipe,
        identity=identity,
        state=folder / "net.state",
        log=folder / "log.csv",
        progress=progress,
    )
    assert not network.training
    return network.state_dict()


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def log(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open(newline="") as handle:
        return list(csv.DictReader(handle))


def interrupt_after(epoch: int) -> Callable[[int, int], None]:
    def progress(done: int, total: int) -> None:
        if done == epoch:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("noise", ["ideal", "column"])
def test_two_epochs_teach_something(tmp_path: Path, noise: str) -> None:
    recipe = Recipe(noise="column" if noise == "column" else "ideal", epochs=2)
    trained(tmp_path, recipe, data=images(1297))
    first, second = log(tmp_path)
    assert (first["training"], first["epoch"], second["epoch"]) == ("net", "1", "2")
    assert float(second["loss"]) < float(first["loss"])
    # By chance a tenth would be right.
    assert float(second["train_accuracy"]) > 0.4


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


def test_finished_training_is_not_repeated(tmp_path: Path) -> None:
    wanted = trained(tmp_path)
    calls: list[int] = []
    assert equal(trained(tmp_path, seed=2, progress=lambda done, total: calls.append(done)), wanted)
    assert not calls


def test_training_depends_on_nothing_but_its_settings(tmp_path: Path) -> None:
    torch.manual_seed(1)
    wanted = trained(tmp_path / "a")
    torch.manual_seed(2)
    assert equal(trained(tmp_path / "b"), wanted)
    for number, other in enumerate([
        dataclasses.replace(RECIPE, seed=6),
        dataclasses.replace(RECIPE, noise="iid"),
        dataclasses.replace(RECIPE, learning_rate=1e-3),
    ]):  # fmt: skip
        assert not equal(trained(tmp_path / f"c{number}", other), wanted)


@pytest.mark.parametrize("noise", ["column", "mean"])
def test_training_sees_only_its_half_of_the_table(tmp_path: Path, noise: str) -> None:
    recipe = dataclasses.replace(RECIPE, noise="column" if noise == "column" else "mean")
    wanted = trained(tmp_path / "a", recipe)

    def changed(part: slice, dies: slice) -> IntegerTables:
        bank, chips = TABLES.bank.clone(), TABLES.chips.clone()
        volt, cell = list(TABLES.volt_gain), list(TABLES.cell_gain)
        bank[part] += 640
        chips[dies] -= 320
        for gain in (volt, cell):
            gain[dies] = [2.0 * old for old in gain[dies]]
        return dataclasses.replace(TABLES, bank=bank, chips=chips, volt_gain=tuple(volt), cell_gain=tuple(cell))

    assert equal(trained(tmp_path / "b", recipe, tables=changed(slice(4, 8), slice(2, 4))), wanted)
    assert not equal(trained(tmp_path / "c", recipe, tables=changed(slice(0, 4), slice(0, 2))), wanted)


def test_every_mini_batch_meets_other_images_on_a_chip_of_its_own(tmp_path: Path) -> None:
    network = Mlp(MAJORITY, seed=1)
    seen: list[tuple[VirtualChip, list[int]]] = []

    def note(module: torch.nn.Module, given: tuple[Tensor, VirtualChip, Reads]) -> None:
        seen.append((given[1], given[2].images.tolist()))

    network.register_forward_pre_hook(note)
    train(network, SOME, TABLES, RECIPE, identity="test", state=tmp_path / "net.state", log=tmp_path / "log.csv")
    assert len(seen) == 9
    assert len({chip.number for chip, _ in seen}) == 9
    assert {(chip.model, chip.seed, chip.half) for chip, _ in seen} == {("column", 5, "train")}
    epochs = [[image for _, batch in seen[first : first + 3] for image in batch] for first in (0, 3, 6)]
    assert all(sorted(epoch) == sorted(SOME.index.tolist()) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_without_noise_the_table_plays_no_part(tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPE, noise="ideal")
    other = make_tables(columns=6)
    assert equal(trained(tmp_path / "a", recipe), trained(tmp_path / "b", recipe, tables=other))


def test_latent_weights_stay_where_their_sign_can_turn(tmp_path: Path) -> None:
    state = trained(tmp_path, dataclasses.replace(RECIPE, learning_rate=0.5))
    for name in ("first.weight", "columns.0.weight", "last.weight"):
        assert float(state[name].abs().max()) == 1.0


# --- what is refused ---

OTHER = r"net\.state is of a training with other settings, table or data; use another folder with --out, or delete it$"


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


def test_loss_that_is_no_number_ends_the_training_and_keeps_the_state(tmp_path: Path) -> None:
    trained(tmp_path / "good", dataclasses.replace(RECIPE, epochs=1))
    with pytest.raises(RunError, match=r"the loss is (nan|inf) in epoch 1; lower the learning rate"):
        trained(tmp_path, dataclasses.replace(RECIPE, learning_rate=3e37))
    assert not (tmp_path / "net.state").exists()


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


# --- recipes ---


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


def test_images_are_shifted_as_far_as_the_recipe_says_over_their_background(tmp_path: Path) -> None:
    inner = torch.zeros(1, 8, 8)
    inner[:, 2:-2, 2:-2] = 1
    # What shifts by up to 2 leave over is background again.
    framed = dataclasses.replace(
        SOME, pixels=torch.where(inner.flatten() > 0, SOME.pixels, torch.tensor(-3.0)), background=-3.0
    )
    seen: list[Tensor] = []
    network = Mlp(MAJORITY, seed=1)
    network.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    recipe = dataclasses.replace(RECIPE, epochs=1, augment=True, shift=2)
    train(network, framed, TABLES, recipe, identity="", state=tmp_path / "a", log=tmp_path / "log.csv")
    moved, still = torch.cat(seen).sort().values, framed.pixels.sort().values
    assert sorted(map(tuple, moved.tolist())) == sorted(map(tuple, still.tolist()))
    assert not torch.equal(torch.cat(seen).sum(0), framed.pixels.sum(0))


def test_several_chips_see_the_same_images_and_the_loss_is_their_mean(tmp_path: Path) -> None:
    network = Mlp(MAJORITY, seed=1)
    seen: list[tuple[int, list[int]]] = []
    network.register_forward_pre_hook(lambda module, given: seen.append((given[1].number, given[2].images.tolist())))
    recipe = dataclasses.replace(RECIPE, chips_per_batch=2, epochs=1, optimizer="sgd", momentum=0.0)
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    one_batch = SOME.part(slice(0, 32))
    train(network, one_batch, TABLES, recipe, identity="", state=tmp_path / "a", log=tmp_path / "log.csv")
    assert [number for number, _ in seen] == [0, 1]
    assert seen[0][1] == seen[1][1]
    steps = []
    for number in (0, 1):
        single = Mlp(MAJORITY, seed=1)
        chip = VirtualChip(tables=TABLES, model="column", number=number, seed=5, half="train")
        torch.nn.functional.cross_entropy(
            single(one_batch.batch(slice(0, 32)), chip, Reads(images=one_batch.index)), one_batch.labels
        ).backward()
        steps.append({name: value.grad for name, value in single.named_parameters()})
    for name, value in network.named_parameters():
        grads = [step[name] for step in steps]
        assert grads[0] is not None
        assert grads[1] is not None
        wanted = (before[name] - recipe.learning_rate * (grads[0] + grads[1]) / 2).clamp(-1, 1)
        if "threshold" not in name and "norm" not in name:
            assert torch.allclose(value, wanted, atol=1e-5), name


def test_only_latent_weights_decay() -> None:
    network = Mlp(dataclasses.replace(MAJORITY, column_norm=True), seed=1)
    recipe = Recipe(optimizer="sgd", learning_rate=1.0, weight_decay=0.25, momentum=0.0)
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    optimizer = make_optimizer(network, recipe)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, value in network.named_parameters():
        latent = name in ("first.weight", "columns.0.weight", "last.weight")
        assert torch.allclose(value, before[name] * (0.75 if latent else 1.0)), name


def test_annealing_multiplies_every_error_and_nothing_else() -> None:
    tables = make_tables()
    half = scaled_tables(tables, 0.5)
    assert scaled_tables(tables, 1.0) is tables
    for name in ("bank", "chips", "residual", "read", "total", "gauss", "offset"):
        whole, part = getattr(tables, name), getattr(half, name)
        assert part.dtype == whole.dtype
        assert float((part - whole.double() / 2).abs().max()) <= 0.5
        assert float(whole.abs().max()) > 10
    assert (half.volt_gain, half.cell_gain, half.n_used) == (tables.volt_gain, tables.cell_gain, tables.n_used)
    zero = scaled_tables(tables, 0.0)
    assert not zero.bank.any()
    assert not zero.total.any()


def test_what_is_no_recipe_is_refused() -> None:
    for change, message in (
        ({"optimizer": "lion"}, "there is no optimizer 'lion'; there are adam and sgd"),
        ({"anneal": 1.5}, "anneal is 1.5; it is a share of the epochs"),
        ({"norms": "mine"}, "norms are by 'batch' or 'running', not by 'mine'"),
        ({"chips_per_batch": 0}, "a mini-batch takes at least one image and one chip"),
    ):
        with pytest.raises(InputError, match=message):
            Recipe(**change)


def test_diverging_loss_ends_the_training(tmp_path: Path) -> None:
    network = Mlp(MAJORITY, seed=1)
    network.last_norm.weight.data.fill_(1e4)
    with pytest.raises(RunError, match=r"the loss is \d.* in epoch 1, answers by chance have 2.3; lower the learning"):
        train(network, SOME, TABLES, RECIPE, identity="", state=tmp_path / "a", log=tmp_path / "log.csv")
    assert not (tmp_path / "a").exists()


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


# --- by what norms normalize ---


def test_lasting_batch_norm_follows_the_batch_and_normalizes_by_what_it_has() -> None:
    x = 3 + 2 * torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    plain, lasting = BatchNorm(4), BatchNorm(4)
    lasting.lasting = True
    for _ in range(3):
        by_batch, found = plain(x), lasting(x)
    for name in ("running_mean", "running_var"):
        assert torch.equal(getattr(plain, name), getattr(lasting, name))
    assert not torch.allclose(found, by_batch, atol=0.1)
    assert torch.equal(found, lasting.eval()(x))
    assert torch.equal(lasting.train()(x.reshape(50, 4, 1, 1)).flatten(1), lasting.eval()(x))


def test_lasting_column_norm_follows_the_batch_and_takes_what_it_has() -> None:
    norm = ColumnNorm(2, 3, shift=0.5)
    norm.lasting = True
    mean = torch.full((2, 3), 10.0, requires_grad=True)
    threshold = norm(lambda: (mean * 1.0, torch.full((2, 3), 5.0)))
    assert torch.allclose(norm.running_mean, torch.full((2, 3), 1.0))
    assert torch.allclose(norm.running_var, torch.full((2, 3), 1.4))
    assert torch.allclose(threshold, 1.0 + 0.5 * torch.full((2, 3), 1.4).sqrt())
    threshold.sum().backward()
    assert mean.grad is None
    assert norm.shift.grad is not None


@pytest.mark.parametrize("norms", ["batch", "running"])
def test_a_chip_s_offset_is_seen_only_by_running_norms(norms: str) -> None:
    """An offset that all sums of a column share is taken off by the batch's own mean."""
    tables = unit_gains(only(TABLES, "offset"))
    network = Mlp(dataclasses.replace(MAJORITY, column_norm=True, dac_bits=10), seed=1)
    x, reads = SOME.batch(slice(None)), Reads(images=SOME.index)
    for _ in range(40):
        network(x)
    for norm in network.norms_of():
        norm.lasting = norms == "running"
    layer = next(network.column_layers())
    h = network.first_norm.binarized(network.first(x)).detach()
    with torch.no_grad():
        clean = layer(h, None, None)
        noisy = layer(h, VirtualChip(tables=tables, model="column", number=0, half="train"), reads)
    changed = float((clean != noisy).double().mean())
    assert changed < 0.08 if norms == "batch" else changed > 0.25
