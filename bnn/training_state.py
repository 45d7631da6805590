"""Where a training stands, on disk: from it the training goes on as if it had never been interrupted."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from prcim import __version__
from prcim.bnn.checkpoint import load_tensors, save_tensors
from prcim.bnn.models.network import Network
from prcim.bnn.recipe import Recipe
from prcim.errors import InputError


def save_state(
    network: Network, optimizer: torch.optim.Optimizer, recipe: Recipe, identity: str, epoch: int, path: Path
) -> None:
    """Writes weights, statistics and the optimizer's moments after some epochs.

    No generator has a state to keep: what is random follows from the seed and the number of the epoch or mini-batch.

    Raises:
        RunError: the disk is full or the folder cannot be written.
    """
    tensors = {f"network.{k}": v.contiguous() for k, v in network.state_dict().items()}
    for name, parameter in network.named_parameters():
        for key, value in optimizer.state[parameter].items():
            tensors[f"optimizer.{key}.{name}"] = value.contiguous()
    save_tensors(path, tensors, {**_about(network, recipe, identity), "epoch": epoch, "versions": _versions()})


def load_state(network: Network, optimizer: torch.optim.Optimizer, recipe: Recipe, identity: str, path: Path) -> int:
    """Takes over what `save_state` wrote; returns the epoch to go on with, 0 where there is no file.

    Raises:
        InputError: the file is damaged, of another training, or, unfinished, of another version of torch or prcim.
    """
    if not path.exists():
        return 0
    tensors, about = load_tensors(path)
    wanted = _about(network, recipe, identity)
    if isinstance(about.get("recipe"), dict):
        # What an older version had no name for, it did as the default does.
        about["recipe"] = {**asdict(Recipe()), **about["recipe"]}
    if {name: about.get(name) for name in wanted} != wanted:
        raise InputError(
            f"{path} is of a training with other settings, table or data; use another folder with --out, or delete it"
        )
    epoch = int(about["epoch"])
    if epoch < recipe.epochs and about.get("versions") != _versions():
        raise InputError(
            f"{path} was begun with {_text(about.get('versions'))}, this is {_text(_versions())}; going on would not"
            " give what an undisturbed training gives: use another folder with --out, or delete it"
        )
    prefix = "network."
    network.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
    for name, parameter in network.named_parameters():
        end = f".{name}"
        for key in tensors:
            if key.startswith("optimizer.") and key.endswith(end):
                moment = key.removeprefix("optimizer.").removesuffix(end)
                if "." not in moment:
                    # The optimizer counts steps on the CPU.
                    if moment == "step":
                        optimizer.state[parameter][moment] = tensors[key]
                    else:
                        optimizer.state[parameter][moment] = torch.empty_like(parameter.data).copy_(tensors[key])
    return epoch


def _about(network: Network, recipe: Recipe, identity: str) -> dict[str, Any]:
    # JSON knows no tuples; what was written and what is wanted are compared as lists.
    return {"recipe": asdict(recipe), "spec": network.spec.as_json(), "identity": identity}


def _versions() -> dict[str, str]:
    return {"prcim": __version__, "torch": torch.__version__}


def _text(versions: dict[str, str] | None) -> str:
    return ", ".join(f"{name} {version}" for name, version in (versions or {}).items()) or "unknown versions"
