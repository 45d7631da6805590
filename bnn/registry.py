"""The models and data sets that a command can name. A new one is a file of its own and one line here."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from prcim.bnn.digits import Images, load_digits
from prcim.bnn.mlp import Mlp
from prcim.errors import InputError

MODELS: Mapping[str, type[Mlp]] = MappingProxyType({"mlp": Mlp})
DATASETS: Mapping[str, Callable[[], tuple[Images, Images]]] = MappingProxyType({"digits": load_digits})


def named_model(name: str) -> type[Mlp]:
    """A model by name.

    Raises:
        InputError: there is none of that name.
    """
    if name not in MODELS:
        raise InputError(f"there is no model {name!r}; known models are: {', '.join(MODELS)}")
    return MODELS[name]


def named_dataset(name: str) -> Callable[[], tuple[Images, Images]]:
    """What loads a data set, by name.

    Raises:
        InputError: there is none of that name.
    """
    if name not in DATASETS:
        raise InputError(f"there is no data set {name!r}; known data sets are: {', '.join(DATASETS)}")
    return DATASETS[name]


def input_size(load: Callable[[], tuple[Images, Images]]) -> tuple[int, int]:
    """Inputs and classes of a data set."""
    images, _ = load()
    return images.pixels.shape[1], images.classes
