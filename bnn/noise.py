"""Virtual chips: which errors the columns of a network make, by which model."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal, final, get_args

import torch
from torch import Tensor

from prcim.bnn.cell_errors import CellErrors
from prcim.bnn.keys import Purpose, column_blocks, column_draws, digest, make_key, per_channel
from prcim.bnn.philox import draws8, philox
from prcim.bnn.tables import OFFSET_BITS, IntegerTables
from prcim.errors import InputError

NoiseModel = Literal["ideal", "mean", "gaussian", "iid", "column", "cell"]
NOISE_MODELS: tuple[NoiseModel, ...] = get_args(NoiseModel)
#: Of which errors last on a chip, so that something can be done about them there.
LASTING: tuple[NoiseModel, ...] = ("column", "cell")
Half = Literal["train", "evaluate"]


def noise_model(name: str) -> NoiseModel:
    """A noise model by name.

    Raises:
        InputError: there is none of that name.
    """
    for model in NOISE_MODELS:
        if name == model:
            return model
    raise InputError(f"there is no noise model {name!r}; known ones are: {', '.join(NOISE_MODELS)}")


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Reads:
    """Which reads a batch stands for; results depend on these numbers, not on the batch.

    Attributes:
        images: index of each image in its data set, int64, shape (B,).
        read: number of the read, for reads that are repeated.
    """

    images: Tensor
    read: int = 0


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class VirtualChip:
    """One chip: an integer that fixes every lasting error on it.

    Attributes:
        tables: the errors.
        model: "ideal" no errors; "mean" the mean curve of its half; "gaussian" and "iid" fresh draws on every read,
            normal or from the table's quantiles; "column" a lasting curve and offset for each physical column, a
            residual that is fixed by the column's input, and fresh read noise; "cell" two lasting errors for each
            weight (see `CellErrors`) around the mean curve of its half, the same offset, and fresh read noise.
        number: the chip.
        seed: another seed is another world of chips.
        half: which half of the table's columns and dies the chip is made of: networks are trained on one and judged
            on the other.
    """

    tables: IntegerTables
    model: NoiseModel
    number: int
    seed: int = 0
    half: Half = "evaluate"
    _cells: dict[tuple[int, int, int], CellErrors] = field(default_factory=dict, init=False, repr=False)

    def layer(self, index: int, *, groups: int, channels: int, comparators: int = 1) -> "LayerErrors":
        """The chip's columns that hold one layer."""
        return LayerErrors(chip=self, index=index, groups=groups, channels=channels, comparators=comparators)

    def cells(self, index: int, *, groups: int, channels: int) -> CellErrors:
        """The cells of the columns that hold one layer; drawn once, since every batch wants them again."""
        layout = index, groups, channels
        if layout not in self._cells:
            self._cells[layout] = CellErrors(
                table=self.tables.cells,
                key=self.key(Purpose.CELL, index),
                groups=groups,
                channels=channels,
                rows=self.tables.n_used,
                die_gain=self.tables.cell_gain[self.die],
            )
        return self._cells[layout]

    def key(self, purpose: Purpose, layer: int = 0) -> tuple[int, int]:
        """Key of a stream of this chip; chips that train and chips that judge share none."""
        step = 1 if self.half == "train" else 0
        return make_key(seed=self.seed, purpose=purpose, chip=self.number, layer=layer, step=step)

    def range(self, count: int) -> tuple[int, int]:
        """First and last (excluded) of `count` items that belong to the chip's half."""
        return (0, count // 2) if self.half == "train" else (count // 2, count)

    @property
    def die(self) -> int:
        """Which of the table's dies the chip is: chips with successive numbers go through all of their half in turn.

        Every round has an order of its own; the chips 0, 1, 2, ... are different dies as long as there are enough.
        """
        first, last = self.range(len(self.tables.chips))
        turn, place = divmod(self.number, last - first)
        step = 1 if self.half == "train" else 0
        key = make_key(seed=self.seed, purpose=Purpose.CHIP, chip=turn, step=step)
        zero = torch.zeros((), dtype=torch.int64)
        words = philox((torch.arange(last - first), zero, zero, zero), key)[0]
        return first + int(words.argsort(stable=True)[place])


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class ErrorTerms:
    """What a layer's errors are made of: those of a read are added from all terms that are not empty.

    Attributes:
        fresh, residual: by K and a READ or a RESIDUAL draw, shape (n_used + 1, 256).
        curves: over K, shape (curves, n_used + 1).
        column: the curve of each column, int64, shape (groups, channels); empty: the first one of all columns.
        offsets: of comparators, in place of a lower threshold, int32, shape (comparators, groups, channels).
        keys: of READ and of RESIDUAL, two words each.
    """

    fresh: Tensor
    residual: Tensor
    curves: Tensor
    column: Tensor
    offsets: Tensor
    keys: tuple[int, int, int, int]

    def on(self, device: torch.device) -> "ErrorTerms":
        """The same on a device. Chips are made on the CPU, so that they are the same everywhere."""
        names = ("fresh", "residual", "curves", "column", "offsets")
        moved: dict[str, Any] = {name: getattr(self, name).to(device) for name in names}
        return replace(self, **moved)


@final
class LayerErrors:
    """The errors of the columns that hold one layer on one chip.

    Args:
        chip: the chip.
        index: number of the layer in the network.
        groups: columns that one output is cut into.
        channels: outputs.
        comparators: of each column. The offset of a single one is an error like any other; those of several are kept
            apart, since each acts on a threshold of its own.

    Attributes:
        offsets: of the comparators where there are several, int32, shape (comparators, groups, channels), else None.
            Independent draws have them in their total.
        terms: what the errors are made of, but for those of single cells.
        cells: errors of single cells, which hang on weights too, or None.
        columns: groups and channels.
    """

    def __init__(self, *, chip: VirtualChip, index: int, groups: int, channels: int, comparators: int = 1) -> None:
        self._chip, self._index, self._groups, self._channels = chip, index, groups, channels
        self.columns = (groups, channels)
        tables = chip.tables
        self.offsets: Tensor | None = None
        self.cells: CellErrors | None = None
        size = tables.n_used + 1
        fresh = residual = torch.zeros(0, 256, dtype=torch.int32)
        curves, column = torch.zeros(0, size, dtype=torch.int32), torch.zeros(0, channels, dtype=torch.int64)
        offsets = torch.zeros(0, groups, channels, dtype=torch.int32)
        if chip.model in LASTING:
            die = chip.die
            offset, key = _times(tables.offset, 1 / tables.volt_gain[die]), chip.key(Purpose.OFFSET, index)
            draws = torch.stack(
                [column_draws(key, groups=groups, channels=channels, comparator=j) for j in range(comparators)]
            )
            offsets = offset[draws >> (16 - OFFSET_BITS)]
            if comparators > 1:
                self.offsets = offsets
            fresh = _times(tables.read, 1 / tables.volt_gain[die])
        if chip.model == "column":
            first, last = chip.range(len(tables.bank))
            draws = column_draws(chip.key(Purpose.COLUMN, index), groups=groups, channels=channels)
            # A 16-bit draw times the number of curves, over 2^16: an index without division.
            column = draws * (last - first) >> 16
            curves = _times(tables.bank[first:last], tables.cell_gain[die]) + tables.chips[die]
            residual = _times(tables.residual, tables.cell_gain[die])
        elif chip.model == "cell":
            mean = tables.bank[slice(*chip.range(len(tables.bank)))].double().mean(0)
            curves = (_times(mean, tables.cell_gain[die]) + tables.chips[die])[None]
            self.cells = chip.cells(index, groups=groups, channels=channels)
        elif chip.model == "mean":
            columns = slice(*chip.range(len(tables.bank)))
            dies = slice(*chip.range(len(tables.chips)))
            mean = tables.bank[columns].double().mean(0) + tables.chips[dies].double().mean(0)
            curves = mean.round().to(torch.int32)[None]
        elif chip.model == "iid":
            fresh = tables.total
        elif chip.model == "gaussian":
            fresh = tables.gauss
        keys = (*chip.key(Purpose.READ, index), *chip.key(Purpose.RESIDUAL, index))
        self.terms = ErrorTerms(
            fresh=fresh, residual=residual, curves=curves, column=column, offsets=offsets, keys=keys
        )

    def __call__(self, n_on: Tensor, inputs: Tensor, reads: Reads, position: int = 0) -> Tensor:
        """Errors of a batch of reads, but for those of single cells, which `cells` gives.

        Args:
            n_on: conducting cells K of each read, int64, shape (B, groups, channels), or (B, P, groups, channels) for
                P positions of a convolution.
            inputs: what stood on the rows, +1 or -1, shape (B, groups, n_used) or (B, P, groups, n_used).
            reads: which images these are.
            position: number of the first position.

        Returns:
            Errors in units of 2^-6 of the partial sum, int32, shape of `n_on`.
        """
        terms = self.terms.on(n_on.device)
        error = torch.zeros_like(n_on, dtype=torch.int32)
        if len(terms.curves):
            error += terms.curves[terms.column if len(terms.column) else 0, n_on]
        if len(terms.offsets) == 1:
            error += terms.offsets[0]
        if not len(terms.fresh):
            return error
        zero = torch.zeros((), dtype=torch.int64, device=n_on.device)
        blocks = column_blocks(groups=self._groups, channels=self._channels, each=16).to(n_on.device)
        images = reads.images.to(n_on.device)[:, None, None]
        if n_on.dim() == 4:
            positions = torch.arange(position, position + n_on.shape[1], device=n_on.device)[:, None, None]
            images = images[:, None]
        else:
            positions = zero + position
        counter = (blocks, positions, images, zero + reads.read)
        error += terms.fresh[n_on, per_channel(draws8(counter, terms.keys[:2]), self._channels)]
        if len(terms.residual):
            low, high = digest(inputs)
            counter = (blocks, low[..., None], high[..., None], zero)
            error += terms.residual[n_on, per_channel(draws8(counter, terms.keys[2:]), self._channels)]
        return error


def _times(errors: Tensor, gain: float) -> Tensor:
    """Errors times a gain, rounded to integers again."""
    return (errors.double() * gain).round().to(torch.int32)
