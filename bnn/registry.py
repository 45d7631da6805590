"""The models and data sets that a command can name. A new one is a file of its own and one line here."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from prcim.bnn.digits import load_digits
from prcim.bnn.images import Images
from prcim.bnn.mlp import Mlp
from prcim.bnn.mnist import load_mnist
from prcim.errors import InputError

#: Loads training and test images from a folder, or from nowhere for a set that is embedded in a package.
Loader = Callable[[Path | None], tuple[Images, Images]]

MODELS: Mapping[str, type[Mlp]] = MappingProxyType({"mlp": Mlp})
DATASETS: Mapping[str, Loader] = MappingProxyType({"digits": load_digits, "mnist": load_mnist})


def named_model(name: str) -> type[Mlp]:
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
