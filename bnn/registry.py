"""The models and data sets that a command can name. A new one is a file of its own and one line here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, final

from prcim.bnn.datasets.cifar10 import load_cifar10
from prcim.bnn.datasets.digits import load_digits
from prcim.bnn.datasets.images import Images
from prcim.bnn.datasets.mnist import load_mnist
from prcim.bnn.models.chain import Chain
from prcim.bnn.models.converted import ConvertedSpec
from prcim.bnn.models.convnet import ConvNetSpec
from prcim.bnn.models.mlp import Mlp, MlpSpec
from prcim.bnn.models.network import Network
from prcim.bnn.models.resnet18 import ResNet18, ResNet18Spec
from prcim.bnn.models.spec import NetworkSpec
from prcim.bnn.models.vgg9 import Vgg9Spec
from prcim.errors import InputError


@final
@dataclass(frozen=True)
class DataSet:
    """A set of labelled images in ten classes.

    Attributes:
        load: gives training and test images from a folder, or from nowhere for a set that is embedded in a package.
        size: channels, height and width.
    """

    load: Callable[[Path | None], tuple[Images, Images]]
    size: tuple[int, int, int]


@final
@dataclass(frozen=True)
class Model:
    """A kind of network.

    Attributes:
        spec: what describes one.
        network: what builds it from the description and a seed.
        dataset: its usual data set.
    """

    spec: type[NetworkSpec]
    network: Callable[..., Network]
    dataset: str

    def build(self, spec: NetworkSpec, *, seed: int = 0) -> Network:
        """A network with starting weights of the seed."""
        return self.network(spec, seed=seed)

    def load(self, spec: dict[str, Any]) -> Network:
        """A network from the fields of its description, as JSON gives them."""
        return self.network(self.spec.from_json(spec))


MODELS: Mapping[str, Model] = MappingProxyType({
    "mlp": Model(MlpSpec, Mlp, "digits"),
    "convnet": Model(ConvNetSpec, Chain, "mnist"),
    "vgg9": Model(Vgg9Spec, Chain, "cifar10"),
    "resnet18": Model(ResNet18Spec, ResNet18, "cifar10"),
})  # fmt: skip
#: Name in a checkpoint of what came from a user's own model; it has no size to build it from, so no list shows it.
CONVERTED = "converted"
DATASETS: Mapping[str, DataSet] = MappingProxyType({
    "digits": DataSet(load_digits, (1, 8, 8)),
    "mnist": DataSet(load_mnist, (1, 28, 28)),
    "cifar10": DataSet(load_cifar10, (3, 32, 32)),
})  # fmt: skip


def named_model(name: str) -> Model:
    """A model by name.

    Raises:
        InputError: there is none of that name.
    """
    if name == CONVERTED:
        return Model(ConvertedSpec, Chain, "digits")
    if name not in MODELS:
        raise InputError(f"there is no model {name!r}; known models are: {', '.join(MODELS)}")
    return MODELS[name]


def named_dataset(name: str) -> DataSet:
    """A data set by name.

    Raises:
        InputError: there is none of that name.
    """
    if name not in DATASETS:
        raise InputError(f"there is no data set {name!r}; known data sets are: {', '.join(DATASETS)}")
    return DATASETS[name]
