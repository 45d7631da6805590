"""Errors of the single cells of a layer's columns on one chip."""

from typing import final

import torch
from torch import Tensor

from prcim.bnn.cell_table import GAIN_BITS, CellTable
from prcim.bnn.keys import cell_draws
from prcim.errors import InputError

#: Errors of columns are in units of 2^-6 of the partial sum.
_UNIT_BITS = 6


@final
class CellErrors:
    """Two lasting errors for each weight of each column; which of them acts hangs on the weight and its input.

    On one bit line a weight has twin cells of which the one that stores 1 conducts, when weight times input is +1: a
    weight of +1 lets the first twin act, one of -1 the second. On two lines weight times input chooses the side that
    conducts: at +1 the first error acts, at -1 the second, with the opposite sign. So a weight that flips meets the
    other cell, and the first again when it flips back. Where charge is shared a weight has one capacitor, the first.

    All arithmetic is on integers, of which float32 holds every sum exactly, whatever the order; a column's error is
    rounded once, to the nearest 2^-6 of the partial sum, upwards at a tie.

    Args:
        table: the errors, and what of them reaches the sum.
        key: of the chip's stream CELL for the layer.
        groups, channels, rows: the columns, and the rows in use of each.
        die_gain: what the errors of cells count on the chip's die.
    """

    def __init__(
        self, *, table: CellTable, key: tuple[int, int], groups: int, channels: int, rows: int, die_gain: float = 1.0
    ) -> None:
        self._quantiles, self._key, self._shape = table.quantiles.to(torch.int16), key, (channels, groups, rows)
        self._drawn: Tensor | None = None
        #: As in `CellTable`, on this die, int64; a sum of cells times gain is an error shifted up by so many bits.
        self.gain, self.shift = table.scaled(die_gain).gain.to(torch.int64), GAIN_BITS + table.bits - _UNIT_BITS
        self._kind = table.kind

    def twins(self, device: torch.device) -> Tensor:
        """Both errors of each weight in units of 2^-bits, int16, shape (2, O, G, n); drawn where they are wanted."""
        if self._drawn is None or self._drawn.device != device:
            channels, groups, rows = self._shape
            draws = cell_draws(self._key, groups=groups, channels=channels, rows=rows, device=device)
            quantiles = self._quantiles.to(device)
            self._drawn = torch.stack([quantiles[twin.long()] for twin in draws])
        return self._drawn

    def sums(self, x: Tensor, weight: Tensor, n_on: Tensor) -> Tensor:
        """Errors of partial sums, by products of the inputs with the weights times their errors.

        Args:
            x: +-1, shape (..., G, n).
            weight: +-1, shape (O, G, n).
            n_on: conducting cells of each sum, int64, shape (..., G, O).

        Returns:
            int32 in units of 2^-6 of the partial sum, shape of `n_on`.

        Raises:
            InputError: as `products`.
        """
        products, totals = self.products(x, weight)
        twice = [product.to(torch.int64) + total for product, total in zip(products, totals, strict=True)]
        return self._rounded(twice, n_on.flatten(0, -3)).reshape(n_on.shape)

    def products(self, x: Tensor, weight: Tensor) -> tuple[list[Tensor], Tensor]:
        """Products of the inputs with the weights times their errors, and sums of the errors over the rows.

        A product and a sum make twice the sum over cells whose weight times input is +1, and second those with -1.

        Args:
            x, weight: as for `sums`.

        Returns:
            Integers in floating point, shape (M, G, O), one or two; and int64, shape (one or two, G, O).

        Raises:
            InputError: these are the errors of other columns.
        """
        if weight.shape != self._shape:
            raise InputError(
                f"columns of {tuple(weight.shape)} outputs, groups and rows, but errors of cells of"
                f" {self._shape}; make the errors for this layer with chip.layer"
            )
        acting, flat = self._acting(weight), x.flatten(0, -3)
        wide = torch.promote_types(x.dtype, torch.float32)
        with torch.autocast(x.device.type, enabled=False):
            products = [
                torch.einsum("bgn,ogn->bgo", flat.to(wide), sign * weight.to(wide) * errors.to(wide))
                for sign, errors in zip((1, -1), acting, strict=False)
            ]
        return products, torch.stack([errors.sum(-1, dtype=torch.int64).t() for errors in acting])

    def of_words(self, conducting: Tensor, weight: Tensor) -> Tensor:
        """Errors of one read in which every column has a word of its own on its rows.

        Args:
            conducting: which cells conduct, bool, shape (O, G, n).
            weight: +-1, shape (O, G, n).

        Returns:
            As `sums`, shape (G, O).
        """
        twice = [
            2 * torch.where(acts, errors, 0).sum(-1, dtype=torch.int64).t()
            for acts, errors in zip((conducting, ~conducting), self._acting(weight), strict=False)
        ]
        return self._rounded(twice, conducting.sum(-1).t())

    def _acting(self, weight: Tensor) -> tuple[Tensor, ...]:
        """The errors that act when weight times input is +1, and those that do when it is -1, if there are any."""
        first, second = self.twins(weight.device)
        if self._kind == "single":
            return (torch.where(weight > 0, first, second),)
        return (first, first if self._kind == "charge" else second)

    def _rounded(self, twice: list[Tensor], n_on: Tensor) -> Tensor:
        error = torch.zeros_like(n_on)
        for gain, found in zip(self.gain.to(n_on.device), twice, strict=False):
            error += gain[n_on] * found
        return (error + (1 << (self.shift - 1)) >> self.shift).to(torch.int32)
