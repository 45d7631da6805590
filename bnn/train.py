"""Training: with the errors of new virtual chips in every mini-batch, or without errors."""

import csv
import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from prcim.bnn.annealing import scaled_tables
from prcim.bnn.datasets.augment import augmented
from prcim.bnn.datasets.images import Images
from prcim.bnn.models.network import Network
from prcim.bnn.noise import Reads, VirtualChip
from prcim.bnn.recipe import Recipe
from prcim.bnn.tables import IntegerTables
from prcim.bnn.training_state import load_state, save_state
from prcim.errors import RunError

#: Called after each epoch with epochs done, epochs in all.
Progress = Callable[[int, int], None]
#: A loss so many times that of answers by chance, ln(classes), does not come down again. Assumption.
DIVERGED = 20.0


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
        network: with its starting weights; those of `state` are taken when there are some of the same recipe. It is
            trained on the device that it is on; on a GPU sums of gradients depend on the order in which they are added.
        images: training images.
        tables: the errors.
        recipe: how.
        identity: names all else that decides the result: table and data.
        state: where to keep the state. That of a finished training ends the next one at once.
        log: CSV file to add to: name of the state, epoch, loss, training accuracy.
        progress: called after each epoch.

    Raises:
        InputError: the state is damaged, or of another recipe.
        RunError: the loss is not a number any more or far above chance, or the disk is full.
    """
    images = images.on(network.device)
    layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
    network.to(memory_format=layout)  # type: ignore[call-overload]
    optimizer = make_optimizer(network, recipe)
    first = load_state(network, optimizer, recipe, identity, state)
    for epoch in range(first, recipe.epochs):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(epoch)
        network.train()
        for norm in network.norms_of():
            norm.lasting = recipe.norms == "running"
            norm.channels_last = recipe.channels_last
        for layer in network.column_layers():
            layer.gradient = recipe.gradient
        loss, accuracy = _epoch(network, optimizer, images, scaled_tables(tables, recipe.spread(epoch)), recipe, epoch)
        limit = DIVERGED * math.log(images.classes)
        if not loss <= limit:
            raise RunError(
                f"the loss is {loss:.4g} in epoch {epoch + 1}, answers by chance have {math.log(images.classes):.2g};"
                " lower the learning rate and train again"
            )
        save_state(network, optimizer, recipe, identity, epoch + 1, state)
        _log(log, state.stem, epoch, loss, accuracy)
        progress(epoch + 1, recipe.epochs)
    network.eval()


def make_optimizer(network: Network, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimizer of a recipe; only latent weights decay."""
    latent = set(network.latent_weights())
    groups = [
        {"params": [p for p in network.parameters() if p in latent], "weight_decay": recipe.weight_decay},
        {"params": [p for p in network.parameters() if p not in latent], "weight_decay": 0.0},
    ]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum)
    return torch.optim.Adam(groups, lr=recipe.learning_rate)


def _epoch(
    network: Network,
    optimizer: torch.optim.Optimizer,
    images: Images,
    tables: IntegerTables,
    recipe: Recipe,
    epoch: int,
) -> tuple[float, float]:
    """One pass over the images; returns the mean loss and the share of right answers on the way.

    Raises:
        RunError: the loss is not a number any more.
    """
    count = min(recipe.epoch_images or len(images), len(images))
    batches = max(count // recipe.batch_size, 1)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(recipe.seed * 100_003 + epoch))[:count]
    chips = recipe.chips_per_batch
    loss_sum, correct = 0.0, 0
    for batch in range(batches):
        chosen = order[batch * recipe.batch_size : (batch + 1) * recipe.batch_size]
        step = epoch * batches + batch
        pixels, labels, reads = images.batch(chosen), images.labels[chosen], Reads(images=images.index[chosen])
        if recipe.augment:
            pixels = augmented(
                pixels,
                images.size,
                seed=recipe.seed,
                step=step,
                flip=images.mirrored,
                shift=recipe.shift,
                background=images.background,
            )
        optimizer.zero_grad()
        for number in range(step * chips, (step + 1) * chips):
            chip = VirtualChip(tables=tables, model=recipe.noise, number=number, seed=recipe.seed, half="train")
            with torch.autocast(pixels.device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
                scores = network(pixels, chip, reads)
            loss = nn.functional.cross_entropy(scores.float(), labels)
            if not torch.isfinite(loss):
                raise RunError(
                    f"the loss is {loss.item()} in epoch {epoch + 1}; lower the learning rate and train again"
                )
            (loss / chips).backward()
            loss_sum += loss.item() / chips
            correct += int((scores.argmax(1) == labels).sum())
        optimizer.step()
        network.clamp_latent()
    return loss_sum / batches, correct / (chips * batches * min(recipe.batch_size, count))


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
