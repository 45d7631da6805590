"""Short trainings on digits, for tests."""

import csv
import dataclasses
from collections.abc import Callable
from pathlib import Path

import torch
from tables import make_tables
from torch import Tensor

from prcim.bnn.datasets.digits import load_digits
from prcim.bnn.datasets.images import Images
from prcim.bnn.models.mlp import Mlp, MlpSpec
from prcim.bnn.recipe import Recipe
from prcim.bnn.tables import IntegerTables
from prcim.bnn.train import train

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
