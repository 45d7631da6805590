"""Training: with the errors of a new virtual chip in every mini-batch, or without errors."""

import csv
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from prcim.bnn.checkpoint import load_tensors, save_tensors
from prcim.bnn.datasets.images import Images
from prcim.bnn.models.network import Network
from prcim.bnn.noise import NoiseModel, Reads, VirtualChip
from prcim.bnn.tables import IntegerTables
from prcim.errors import InputError, RunError

#: Called after each epoch with epochs done, epochs in all.
Progress = Callable[[int, int], None]


@final
@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained.

    Attributes:
        noise: the noise model; a new chip is drawn for every mini-batch.
        epochs, batch_size: length and size.
        learning_rate: Adam's, at the start; it falls to zero along a cosine.
        seed: of starting weights, order of images, and chips.
    """

    noise: NoiseModel = "column"
    epochs: int = 60
    batch_size: int = 64
    learning_rate: float = 3e-3
    seed: int = 0


def train(
    network: Network,
    images: Images,
    tables: IntegerTables,
    recipe: Recipe,
    *,
    identity: str,
    state: Path,
    log: Path,
    progress: Progress = lambda done, total: None,
) -> None:
    """Trains a network in place, and leaves it in evaluation mode.

    After each epoch the state is written, so that an interrupted training goes on exactly: everything random depends
    on the seed and on the number of the epoch or mini-batch, nothing on what was drawn before.

    Args:
        network: with its starting weights; those of `state` are taken when there are some of the same recipe.
        images: training images.
        tables: the errors.
        recipe: how.
        identity: names all else that decides the result: table and data.
        state: where to keep the state. That of a finished training ends the next one at once.
        log: CSV file to add to: name of the state, epoch, loss, training accuracy.
        progress: called after each epoch.

    Raises:
        InputError: the state is damaged, or of another recipe.
        RunError: the loss is not a number any more, or the disk is full.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate)
    first = _resume(network, optimizer, recipe, identity, state)
    batches = max(len(images) // recipe.batch_size, 1)
    for epoch in range(first, recipe.epochs):
        for group in optimizer.param_groups:
            angle = torch.tensor(torch.pi * epoch / recipe.epochs)
            group["lr"] = recipe.learning_rate * float(1 + torch.cos(angle)) / 2
        network.train()
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(recipe.seed * 100_003 + epoch))
        loss_sum, correct = 0.0, 0
        for batch in range(batches):
            chosen = order[batch * recipe.batch_size : (batch + 1) * recipe.batch_size]
            chip = VirtualChip(
                tables=tables, model=recipe.noise, number=epoch * batches + batch, seed=recipe.seed, half="train"
            )
            scores = network(images.batch(chosen), chip, Reads(images=images.index[chosen]))
            loss = nn.functional.cross_entropy(scores, images.labels[chosen])
            if not torch.isfinite(loss):
                raise RunError(
                    f"the loss is {loss.item()} in epoch {epoch + 1}; lower the learning rate and train again"
                )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            network.clamp_latent()
            loss_sum += loss.item()
            correct += int((scores.argmax(1) == images.labels[chosen]).sum())
        _save(network, optimizer, recipe, identity, epoch + 1, state)
        _log(log, state.stem, epoch, loss_sum / batches, correct / (batches * min(recipe.batch_size, len(images))))
        progress(epoch + 1, recipe.epochs)
    network.eval()


def _save(
    network: Network, optimizer: torch.optim.Adam, recipe: Recipe, identity: str, epoch: int, state: Path
) -> None:
    tensors: dict[str, Tensor] = {f"network.{k}": v.contiguous() for k, v in network.state_dict().items()}
    for name, parameter in network.named_parameters():
        for key, value in optimizer.state[parameter].items():
            tensors[f"adam.{key}.{name}"] = value.contiguous()
    save_tensors(state, tensors, {**_about(network, recipe, identity), "epoch": epoch})


def _resume(network: Network, optimizer: torch.optim.Adam, recipe: Recipe, identity: str, state: Path) -> int:
    """Takes the weights and the optimizer's moments from a state; returns the epoch to go on with."""
    if not state.exists():
        return 0
    tensors, about = load_tensors(state)
    wanted = _about(network, recipe, identity)
    if {name: about.get(name) for name in wanted} != wanted:
        raise InputError(
            f"{state} is of a training with other settings, table or data; use another folder with --out, or delete it"
        )
    prefix = "network."
    network.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
    for name, parameter in network.named_parameters():
        for key in ("step", "exp_avg", "exp_avg_sq"):
            optimizer.state[parameter][key] = tensors[f"adam.{key}.{name}"]
    return int(about["epoch"])


def _about(network: Network, recipe: Recipe, identity: str) -> dict[str, Any]:
    return {"recipe": asdict(recipe), "spec": asdict(network.spec), "identity": identity}


def _log(path: Path, name: str, epoch: int, loss: float, accuracy: float) -> None:
    new = not path.exists()
    try:
        with path.open("a", newline="") as handle:
            writer = csv.writer(handle)
            if new:
                writer.writerow(["training", "epoch", "loss", "train_accuracy"])
            writer.writerow([name, epoch + 1, f"{loss:.6f}", f"{accuracy:.6f}"])
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}; free some space or choose another folder") from error
