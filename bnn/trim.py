"""A trim of every comparator's threshold, found on the chip with test words."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from prcim.bnn.cell_errors import CellErrors
from prcim.bnn.column_layers import ColumnLayer
from prcim.bnn.models.network import Network
from prcim.bnn.noise import LASTING, LayerErrors, Reads, VirtualChip
from prcim.bnn.tables import UNIT
from prcim.errors import InputError

#: Test reads of a column, half of them just above its threshold, half just below.
TEST_READS = 64
#: Number of the read in their READ key, which no image of a data set has.
_READ = 1 << 16


@final
@dataclass(frozen=True, kw_only=True)
class TrimDac:
    """The DAC that shifts a comparator's threshold.

    Attributes:
        bits: of its code.
        reach: how far it reaches either way, in S.

    Example:
        >>> TrimDac(bits=3, reach=8.0).nearest(torch.tensor([-9.0, 0.9, 1.1, 9.0])).tolist()
        [-8.0, 0.0, 2.0, 6.0]
    """

    bits: int
    reach: float

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 12 or not self.reach > 0:
            raise InputError(f"a trim of {self.bits} bits and {self.reach} in S is none; 1 to 12 bits and more than 0")

    def nearest(self, wanted: Tensor) -> Tensor:
        """The shift in S that comes nearest to each wanted one; codes go from -2^(bits-1) to 2^(bits-1) - 1."""
        step, half = 2 * self.reach / 2**self.bits, 2 ** (self.bits - 1)
        codes = (wanted / step).round().clamp(-half, half - 1)
        return torch.mul(codes, step)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class TrimmedChip:
    """A chip whose comparators are trimmed.

    Attributes:
        chip: as it was made.
        trims: of each layer, added to the error of every column, int32 in units of 2^-6, shape (G, O).
    """

    chip: VirtualChip
    trims: Mapping[int, Tensor]

    def layer(self, index: int, *, groups: int, channels: int, comparators: int = 1) -> LayerErrors:
        """The chip's columns that hold one layer."""
        errors = self.chip.layer(index, groups=groups, channels=channels, comparators=comparators)
        offsets = errors.terms.offsets + self.trims[index]
        errors.terms = dataclasses.replace(errors.terms, offsets=offsets)
        if errors.offsets is not None:
            errors.offsets = offsets
        return errors


def trimmed(network: Network, chip: VirtualChip, dac: TrimDac) -> TrimmedChip:
    """Trims every column of a network on a chip.

    The tester puts words on the rows whose sums lie just above and just below the column's threshold, equally often,
    and counts the ones that come out. It takes the code with which half of them are ones: residual and read noise
    average out over `TEST_READS` words, what lasts is taken off up to half a step. Converters are trimmed at the
    threshold in their middle.

    Args:
        network: in evaluation mode.
        chip: with a model whose errors last, "column" or "cell"; others have no comparators that do.
        dac: bits and range.

    Raises:
        InputError: the chip has no lasting errors.
    """
    if chip.model not in LASTING:
        raise InputError(
            f"errors of the model {chip.model!r} do not last, so there is nothing to trim; use {' or '.join(LASTING)}"
        )
    return TrimmedChip(chip=chip, trims={layer.index: _trims(layer, chip, dac) for layer in network.column_layers()})


@torch.no_grad()
def _trims(layer: ColumnLayer, chip: VirtualChip, dac: TrimDac) -> Tensor:
    errors = layer.errors(chip)
    assert errors is not None
    n = layer.n_used
    threshold = layer.decision()
    # Sums just below and just above, by turns.
    below = ((threshold - 1 + n) / 2).long().clamp(0, n - 1)
    n_on = below + torch.arange(TEST_READS, device=below.device)[:, None, None] % 2
    generator = torch.Generator().manual_seed(layer.index)
    words = torch.randint(0, 2, (TEST_READS, layer.groups, n), generator=generator).to(below.device) * 2.0 - 1
    added: Tensor | None = None
    if errors.cells is not None:
        # What single cells add hangs on weights: which cells conduct is drawn, then the word follows.
        n_on, added = _of_cells(layer, errors.cells, n_on, generator)
    found = errors(n_on, words, Reads(images=torch.arange(TEST_READS), read=_READ))
    if added is not None:
        found = found + added
    if errors.offsets is not None:
        found = found + errors.offsets[len(errors.offsets) // 2].to(found.device)
    margin = 2 * n_on - n - threshold + found / UNIT
    ordered = margin.sort(0).values
    middle = (ordered[TEST_READS // 2 - 1] + ordered[TEST_READS // 2]) / 2
    return (dac.nearest(-middle) * UNIT).round().to(torch.int32).cpu()


def _of_cells(layer: ColumnLayer, cells: CellErrors, n_on: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Test reads of columns whose single cells err: how many conduct, and what their errors add up to, (reads, G, O).

    Constant cells stand as they do in use; of the others as many conduct as are wanted, or as there are.
    """
    weight, count = layer.stored(), layer.cut.weights
    constant = weight[..., count:] > 0
    wanted = (n_on.transpose(1, 2) - constant.sum(-1)).clamp(0, count)
    ranks = torch.rand(len(n_on), layer.groups, count, generator=generator).argsort(-1).to(weight.device)
    conducting, errors = [], []
    for rank, most in zip(ranks, wanted, strict=True):
        on = torch.cat([rank < most[..., None], constant], -1)
        conducting.append(on.sum(-1).t())
        errors.append(cells.of_words(on, weight))
    return torch.stack(conducting), torch.stack(errors)
