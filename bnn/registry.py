"""The models and data sets that a command can name. A new one is a file of its own and one line here."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from prcim.bnn.digits import Images, load_digits
from prcim.bnn.mlp import Mlp

MODELS: Mapping[str, type[Mlp]] = MappingProxyType({"mlp": Mlp})
DATASETS: Mapping[str, Callable[[], tuple[Images, Images]]] = MappingProxyType({"digits": load_digits})
