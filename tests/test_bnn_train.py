"""Training: it learns, sees only its half of the table, and does what its recipe says."""

import dataclasses
from pathlib import Path

import pytest
import torch
from tables import make_tables
from torch import Tensor
from trainings import MAJORITY, RECIPE, SOME, TABLES, equal, images, log, trained

from prcim.bnn.annealing import scaled_tables
from prcim.bnn.models.mlp import Mlp
from prcim.bnn.noise import Reads, VirtualChip
from prcim.bnn.recipe import Recipe
from prcim.bnn.tables import IntegerTables
from prcim.bnn.train import make_optimizer, train
from prcim.errors import InputError, RunError


@pytest.mark.parametrize("noise", ["ideal", "column"])
def test_two_epochs_teach_something(tmp_path: Path, noise: str) -> None:
    recipe = Recipe(noise="column" if noise == "column" else "ideal", epochs=2)
    trained(tmp_path, recipe, data=images(1297))
    first, second = log(tmp_path)
    assert (first["training"], first["epoch"], second["epoch"]) == ("net", "1", "2")
    assert float(second["loss"]) < float(first["loss"])
    # By chance a tenth would be right.
    assert float(second["train_accuracy"]) > 0.4


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


def test_loss_that_is_no_number_ends_the_training_and_keeps_the_state(tmp_path: Path) -> None:
    trained(tmp_path / "good", dataclasses.replace(RECIPE, epochs=1))
    with pytest.raises(RunError, match=r"the loss is (nan|inf) in epoch 1; lower the learning rate"):
        trained(tmp_path, dataclasses.replace(RECIPE, learning_rate=3e37))
    assert not (tmp_path / "net.state").exists()


# --- recipes ---


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
