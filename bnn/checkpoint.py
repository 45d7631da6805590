"""A network on disk, with all that it takes to judge it again: a safetensors file, no pickle."""

import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from prcim import __version__
from prcim.bnn.models.network import Network
from prcim.bnn.registry import named_model
from prcim.characterize.lut.error_lut import ErrorLUT
from prcim.characterize.lut.file import load_lut, save_luts
from prcim.errors import InputError
from prcim.files import replacing

SCHEMA = "prcim-network-1"


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """A trained network and where it comes from.

    Attributes:
        model, dataset: names in the registries.
        network: the network, in evaluation mode.
        lut: the table that it was trained for.
        noise: the noise model that it was trained with.
        seed: of its training.
        epochs: how long it was trained.
        precision, channels_last: as in the `Recipe` of its training.
    """

    model: str
    dataset: str
    network: Network
    lut: ErrorLUT
    noise: str
    seed: int
    epochs: int
    precision: str = "float32"
    channels_last: bool = False

    def save(self, path: Path) -> None:
        """Writes the checkpoint; the table's file travels inside it.

        Raises:
            RunError: the disk is full or the folder cannot be written.
        """
        tensors = {f"network.{name}": tensor.contiguous() for name, tensor in self.network.state_dict().items()}
        with tempfile.TemporaryDirectory(prefix="prcim-") as folder:
            save_luts((self.lut,), Path(folder) / "lut.npz")
            tensors["lut"] = torch.frombuffer(bytearray((Path(folder) / "lut.npz").read_bytes()), dtype=torch.uint8)
        about = {
            "schema": SCHEMA,
            "prcim": __version__,
            "torch": torch.__version__,
            "model": self.model,
            "dataset": self.dataset,
            "spec": self.network.spec.as_json(),
            "plan_id": self.lut.plan_id,
            "lut_sha256": self.lut.sha256,
            "noise": self.noise,
            "seed": self.seed,
            "epochs": self.epochs,
            "precision": self.precision,
            "channels_last": self.channels_last,
        }
        save_tensors(path, tensors, about)


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint and builds its network.

    Raises:
        InputError: the file is missing, damaged, no network of prcim, or of another schema version.
    """
    tensors, about = load_tensors(path)
    if about.get("schema") != SCHEMA:
        raise InputError(
            f"{path} has schema {about.get('schema')!r}; this version of prcim reads {SCHEMA!r}; train again"
        )
    try:
        with tempfile.TemporaryDirectory(prefix="prcim-") as folder:
            table = Path(folder) / "lut.npz"
            table.write_bytes(tensors.pop("lut").numpy().tobytes())
            lut = load_lut(table)
        if lut.sha256 != about["lut_sha256"]:
            raise InputError(f"{path} names another table than it holds; train again")
        network = named_model(about["model"]).load(about["spec"])
        network.load_state_dict({name.removeprefix("network."): tensor for name, tensor in tensors.items()})
        network.eval()
        return Checkpoint(
            model=about["model"],
            dataset=about["dataset"],
            network=network,
            lut=lut,
            noise=about["noise"],
            seed=about["seed"],
            epochs=about["epochs"],
            # Files of before have neither.
            precision=about.get("precision", "float32"),
            channels_last=about.get("channels_last", False),
        )
    except (KeyError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:100]
        raise InputError(f"{path} is a damaged network file ({reason}); train again") from None


def save_tensors(path: Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Writes named tensors and a JSON description atomically, with a checksum, which safetensors has none of."""
    about = {**about, "tensors_sha256": _checksum(tensors)}
    content = save(tensors, metadata={"prcim": json.dumps(about, sort_keys=True)})
    with replacing(path) as scratch:
        scratch.write_bytes(content)


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads what `save_tensors` wrote.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})["prcim"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; train a network first with `make train`") from None
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise InputError(f"{path} is no prcim network or damaged ({str(error)[:100]}); train again") from None
    if not isinstance(about, dict) or about.pop("tensors_sha256", None) != _checksum(tensors):
        raise InputError(f"{path} does not match its checksum: it was changed or damaged; train again")
    return tensors, about


def _checksum(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}:".encode())
        digest.update(tensor.contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()
