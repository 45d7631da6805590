"""The models and data sets that a command can name. A new one is a file of its own and one line here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, final

from prcim.bnn.datasets.digits import load_digits
from prcim.bnn.datasets.images import Images
from prcim.bnn.datasets.mnist import load_mnist
from prcim.bnn.models.mlp import Mlp, MlpSpec
from prcim.bnn.models.network import Network
from prcim.bnn.models.spec import NetworkSpec
from prcim.errors import InputError

#: Loads training and test images from a folder, or from nowhere for a set that is embedded in a package.
Loader = Callable[[Path | None], tuple[Images, Images]]


@final
@dataclass(frozen=True)
class Model:
    """A kind of network: what describes one, and what builds it from the description and a seed."""

    spec: type[NetworkSpec]
    network: Callable[..., Network]

    def build(self, spec: NetworkSpec, *, seed: int = 0) -> Network:
        """A network with starting weights of the seed."""
        return self.network(spec, seed=seed)

    def load(self, spec: dict[str, Any]) -> Network:
        """A network from the fields of its description, as JSON gives them."""
        return self.network(self.spec.from_json(spec))


MODELS: Mapping[str, Model] = MappingProxyType({
    "mlp": Model(MlpSpec, Mlp),
})  # fmt: skip
DATASETS: Mapping[str, Loader] = MappingProxyType({
    "digits": load_digits,
    "mnist": load_mnist,
})  # fmt: skip


def named_model(name: str) -> Model:
    """A model by name.

    Raises:
        InputError: there is none of that name.
    """
    if name not in MODELS:
        raise InputError(f"there is no model {name!r}; known models are: {', '.join(MODELS)}")
    return MODELS[name]


def named_dataset(name: str) -> Loader:
    """What loads a data set, by name.

    Raises:
        InputError: there is none of that name.
    """
    if name not in DATASETS:
        raise InputError(f"there is no data set {name!r}; known data sets are: {', '.join(DATASETS)}")
    return DATASETS[name]
