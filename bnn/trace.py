"""The layers of a user's own PyTorch model, in order, or the reason why they cannot be put on columns."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import fx, nn

from prcim.errors import InputError

#: What changes nothing when a network judges, or only the shape between convolutions and linear layers.
_PASSES = (nn.Identity, nn.Dropout, nn.Dropout2d, nn.Flatten, nn.Hardtanh)
_PASSING = ("flatten", "view", "reshape", "hardtanh", "dropout")
_SIGNS = (torch.sign, torch.Tensor.sign)


@final
@dataclass(kw_only=True)
class Block:
    """One layer with what follows it: a pool, a batch norm, a sign.

    Attributes:
        name: of the layer in the user's model.
        layer: it.
        pool: of its outputs; 1 is none.
        pool_last: whether the pool comes behind the sign.
        norm: the batch norm, if there is one.
        sign: whether a sign follows.
        edge: width of an edge of -1 around what it gives.
    """

    name: str
    layer: nn.Linear | nn.Conv2d
    pool: int = 1
    pool_last: bool = False
    norm: nn.BatchNorm1d | nn.BatchNorm2d | None = None
    sign: bool = False
    edge: int = 0


class _Tracer(fx.Tracer):
    """Looks into the user's modules, not into layers, PyTorch's own and those that are signs."""

    def __init__(self, signs: tuple[type[nn.Module], ...]) -> None:
        super().__init__()
        self._whole = (nn.Linear, nn.Conv2d, *signs)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, self._whole) or super().is_leaf_module(m, module_qualified_name)


def trace(model: nn.Module, signs: tuple[type[nn.Module], ...]) -> list[Block]:
    """Blocks of a model that is a chain.

    Args:
        model: the user's.
        signs: modules of the user that give +-1.

    Raises:
        InputError: the model is no chain, or has something between its layers that columns cannot do.
    """
    try:
        nodes = list(_Tracer(signs).trace(model).nodes)
    except Exception as error:  # noqa: BLE001 - the user's own code runs here
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"the model cannot be followed ({type(error).__name__}: {reason}); write its forward without branches that"
            " depend on data, and name the modules that binarize with signs=(...)"
        ) from None
    blocks: list[Block] = []
    for node in _chain(nodes):
        _add(blocks, node, dict(model.named_modules()), signs)
    if len(blocks) < 2:
        raise InputError(f"the model has {len(blocks)} layers; first and last are digital, so it takes 2 or more")
    for block in blocks[:-1]:
        if not block.sign:
            raise InputError(f"{block.name} is not followed by a sign; only +-1 can be put on the rows of a column")
    return blocks


def _chain(nodes: list[fx.Node]) -> Iterator[fx.Node]:
    """The nodes between input and output, each of which takes the one before."""
    before = None
    for node in nodes:
        if node.op == "placeholder":
            if before is not None:
                raise InputError(f"the model takes a second input {node.name!r}; on columns there are images alone")
        elif node.op not in ("output", "get_attr"):
            inputs = node.all_input_nodes
            if inputs != [before]:
                names = ", ".join(str(one.target) for one in inputs)
                raise InputError(
                    f"{_name(node)} takes {names}: the model is no chain; for shortcuts see the model resnet18"
                )
            yield node
        if node.op != "output":
            before = node


def _add(blocks: list[Block], node: fx.Node, modules: dict[str, nn.Module], signs: tuple[type[nn.Module], ...]) -> None:
    module: Any = modules[str(node.target)] if node.op == "call_module" else None
    name, block = _name(node), blocks[-1] if blocks else None
    if isinstance(module, nn.Linear | nn.Conv2d):
        blocks.append(Block(name=name, layer=module))
        return
    is_sign = (isinstance(module, signs) if signs else False) or node.target in (*_SIGNS, "sign")
    if isinstance(module, _PASSES) and not is_sign:
        return
    if module is None and not is_sign and str(getattr(node.target, "__name__", node.target)) in _PASSING:
        return
    if block is None:
        raise InputError(f"{name} comes before the first layer; feed images to the model as that layer should see them")
    if is_sign:
        block.sign = True
    elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        if block.norm is not None or block.sign:
            raise InputError(f"{name} stands behind another norm or a sign; put it between {block.name} and its sign")
        if module.running_mean is None:
            raise InputError(f"{name} keeps no running statistics, so there is no threshold; train it with them")
        block.norm = module
    elif isinstance(module, nn.ConstantPad2d):
        if module.value != -1 or len(set(module.padding)) > 1 or not block.sign:
            raise InputError(f"{name} is no even edge of -1 behind a sign, all that there is on columns; make it one")
        block.edge += module.padding[0]
    elif isinstance(module, nn.MaxPool2d):
        _check_pool(name, module)
        if block.pool != 1 or (block.norm is not None and not block.sign):
            raise InputError(f"{name} stands between a norm and its sign, or behind another pool; put it elsewhere")
        block.pool, block.pool_last = int(module.kernel_size), block.sign  # type: ignore[arg-type]
    else:
        kind = type(module).__name__ if module is not None else str(node.target)
        raise InputError(f"{name} is a {kind}, behind {block.name}; columns can do max pool, batch norm and sign there")


def _check_pool(name: str, pool: nn.MaxPool2d) -> None:
    square = isinstance(pool.kernel_size, int) and pool.stride == pool.kernel_size
    if not square or pool.padding != 0 or pool.dilation != 1 or pool.ceil_mode:
        raise InputError(f"{name} is a pool whose squares overlap, are padded or are no squares; take MaxPool2d(k)")


def _name(node: fx.Node) -> str:
    return str(node.target) if node.op == "call_module" else node.name
