"""Codes of a column by its number of conducting cells and a draw, as tables of bytes for the loops over positions."""

import functools
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

#: Entries of a small table; a large one has twice as many.
TABLE = 128
#: Limits from which on it is faster to look each error up.
CUTS_MAX = 48
#: Limits from which on half of the codes are looked up in memory: 0.91 against 0.044 cycles by `make bench ARGS=roof`.
LOOKED_UP_FROM = 20


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class CodeTables:
    """What a code is, for each kind of column: those with the same threshold.

    Attributes:
        tables: for each kind 1 + `cuts` tables by n - K: the code of the draw 0, and the limits above which a draw
            makes it one more; flat.
        which: kind of each column, (G, O).
        cuts: how many limits.
        by_draw: the codes themselves by n - K and draw, flat, where there are many limits and one kind; or empty.
    """

    tables: NDArray[np.uint8]
    which: NDArray[np.int64]
    cuts: int
    by_draw: NDArray[np.uint8]


def code_tables(errors: NDArray[Any], below: NDArray[np.int32], steps: NDArray[np.int32]) -> CodeTables | None:
    """The tables of some columns.

    Args:
        errors: by K and draw, in units of 2^-6, not falling with the draw, (n + 1, draws).
        below: what 128 K + error of each column must reach for the middle code, (G, O).
        steps: what has to be added to that for each code from 1 on, rising, (codes - 1,).

    Returns:
        None: there are too many limits, or rows, or codes for it to work, or to be of use.
    """
    if len(errors) > 2 * TABLE or len(steps) > 255:
        return None
    kinds, which = below.ravel()[:1], np.zeros(below.shape, np.int64)
    if (below != kinds).any():
        kinds, which = np.unique(below, return_inverse=True)
        which = which.reshape(below.shape).astype(np.int64)
    found = _of_kinds(_Content(errors.tobytes()), errors.dtype, errors.shape, kinds.tobytes(), steps.tobytes())
    return None if found is None else CodeTables(tables=found[0], which=which, cuts=found[1], by_draw=found[2])


@final
class _Content:
    """Bytes as a key: found by a few of them and then compared, since a hash of all takes as long as a small layer."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def __hash__(self) -> int:
        return hash(self.content[:: len(self.content) // 64 + 1])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Content) and self.content == other.content


@functools.lru_cache(maxsize=16)
def _of_kinds(
    content: _Content, dtype: np.dtype[Any], shape: tuple[int, int], kinds: bytes, steps: bytes
) -> tuple[NDArray[np.uint8], int, NDArray[np.uint8]] | None:
    """Tables, cuts and codes of columns of some thresholds; kept, since layers and mini-batches mostly share them.

    Args:
        content, dtype, shape: of the errors.
        kinds, steps: 32-bit integers.
    """
    errors, places = (
        np.frombuffer(content.content, dtype).reshape(shape).astype(np.int32),
        np.frombuffer(kinds, np.int32),
    )
    if (np.diff(errors, axis=1) < 0).any():
        return None
    count, draws = shape
    codes = len(steps) // 4
    wanted = (places[:, None] + np.frombuffer(steps, np.int32)).ravel()
    # How many draws leave each code unreached; 256: all.
    missed = np.stack([row.searchsorted(wanted - 128 * k) for k, row in enumerate(errors)], axis=-1)
    missed = np.where(missed == draws, 256, missed).reshape(len(places), codes, count)
    first = (missed == 0).sum(axis=1)
    cuts = int(((missed > 0) & (missed < 256)).sum(axis=1).max(initial=0))
    if cuts > CUTS_MAX:
        return None
    size = TABLE if count <= TABLE else 2 * TABLE
    tables = np.zeros((len(places), 1 + cuts, size), np.uint8)
    tables[:, 0, :count] = first[:, ::-1]
    place = first[:, None] + np.arange(cuts)[:, None]
    limits = np.take_along_axis(missed, np.minimum(place, codes - 1), axis=1) - 1
    tables[:, 1:, :count] = np.where(place < codes, limits, 255)[..., ::-1]
    by_draw = np.zeros(0, np.uint8)
    if cuts > LOOKED_UP_FROM and len(places) == 1:
        # A draw has reached each code that no more draws than its number leave unreached.
        cell = 257 * np.arange(count) + missed[0]
        reached = np.bincount(cell.ravel(), minlength=257 * count).reshape(count, 257)
        by_draw = np.cumsum(reached[::-1, :draws], axis=1, dtype=np.uint8).ravel()
    return tables.ravel(), cuts, by_draw
