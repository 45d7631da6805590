"""What can be done for a network once its chip is made: norms estimated anew on it, comparators trimmed."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from prcim.bnn.chip import Chip
from prcim.bnn.column_layers import ColumnLayer
from prcim.bnn.datasets.images import Images
from prcim.bnn.layers import BatchNorm
from prcim.bnn.models.network import Network
from prcim.bnn.noise import Reads, VirtualChip
from prcim.bnn.thresholds import ColumnNorm
from prcim.bnn.trim import TrimDac, trimmed

#: Number of the read of a calibration image in its READ key: a read of its own.
_READ = 1 << 17


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Recalibration:
    """What is done on each chip before it is judged; a trim comes first.

    Attributes:
        norms: images whose labels are not looked at, on which the chip's norms are estimated; none: they stay.
        trim: the DAC that shifts each comparator; none: there is none.
    """

    norms: Images | None = None
    trim: TrimDac | None = None

    def apply(self, network: Network, chip: VirtualChip) -> tuple[Network, Chip]:
        """The network and the chip as they are then."""
        after: Chip = chip if self.trim is None else trimmed(network, chip, self.trim)
        return (network if self.norms is None else estimated(network, after, self.norms)), after


@torch.no_grad()
def estimated(network: Network, chip: Chip, images: Images) -> Network:
    """A copy of a network whose statistics are those of some images on a chip; thresholds are realised again.

    Batch norms take mean and variance of what reaches them on the chip. Thresholds of one-bit columns follow mean and
    spread of their column's sums: with a norm of the column as in training, and else so that a threshold lies as many
    standard deviations from the mean as it does without errors.

    Assumption: a column that gives one bit shows mean and spread of its sums when its threshold is swept.

    Args:
        network: in evaluation mode; it is left as it is.
        chip: the chip.
        images: for calibration; labels play no part.
    """
    images = images.on(network.device)
    reads = Reads(images=images.index, read=_READ)
    pixels = images.batch(slice(None))
    wanted: dict[int, tuple[Tensor, Tensor]] = {}

    def look(layer: torch.nn.Module, given: tuple[Any, ...]) -> None:
        assert isinstance(layer, ColumnLayer)
        wanted[layer.index] = layer.moments(given[0], None, None)

    def move(layer: torch.nn.Module, given: tuple[Any, ...]) -> None:
        assert isinstance(layer, ColumnLayer)
        mean, var = layer.moments(given[0], chip, reads)
        past_mean, past_var = wanted[layer.index]
        layer.threshold.copy_(mean + (layer.threshold - past_mean) * torch.sqrt(var / past_var))

    made = copy.deepcopy(network)
    own = [layer for layer in made.column_layers() if hasattr(layer, "threshold")]
    _with_hooks(made, own, look, pixels)
    for norm in _norms_behind_columns(made, pixels):
        norm.train()
        norm.momentum = 1.0
    for layer in made.column_layers():
        layer.sampled = False
    _with_hooks(made, own, move, pixels, chip, reads)
    return made.eval()


def _norms_behind_columns(network: Network, pixels: Tensor) -> list[BatchNorm | ColumnNorm]:
    """The norms whose input comes from columns: what comes before sees nothing of a chip."""
    probe = copy.deepcopy(network).train()
    order: list[torch.nn.Module] = []
    # Norms are called as modules in training only; judging folds them.
    _with_hooks(probe, probe.modules(), lambda module, given: order.append(module), pixels[:2])
    first = next(i for i, module in enumerate(order) if isinstance(module, ColumnLayer))
    behind = set(order[first:])
    pairs = zip(network.modules(), probe.modules(), strict=True)
    return [own for own, other in pairs if isinstance(own, BatchNorm | ColumnNorm) and other in behind]


def _with_hooks(network: Network, modules: Iterable[torch.nn.Module], hook: Any, *given: Any) -> None:
    """Runs a network with a hook in front of some of its modules."""
    handles = [module.register_forward_pre_hook(hook) for module in modules]
    network(*given)
    for handle in handles:
        handle.remove()
