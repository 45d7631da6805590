"""The offset of a sense amplifier over mismatch."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, shapiro, t

from prcim.cells.mismatch import Mismatch
from prcim.cells.readouts.offset_search import OffsetSearch
from prcim.cells.readouts.offsets import Offsets
from prcim.characterize.streams import Stream
from prcim.errors import InputError, RunError
from prcim.spice.ngspice import Ngspice, run_twice

#: Amplifiers in one deck.
DECK_AMPLIFIERS = 50
#: Fewest amplifiers that show a spread.
FEWEST = 8


@final
@dataclass(frozen=True, kw_only=True)
class OffsetSpread:
    """Offsets of amplifiers that were drawn alike.

    Attributes:
        offsets: what the search found, one entry a draw.
        pair_sigma_v: what the input pair's thresholds alone give by Pelgrom's law, V.
    """

    offsets: Offsets
    pair_sigma_v: float

    @property
    def found_v(self) -> NDArray[np.float64]:
        """The offsets of the amplifiers that have one, V."""
        return self.offsets.offset_v[np.isfinite(self.offsets.offset_v)]

    @property
    def failures(self) -> int:
        """Amplifiers without an offset: out of range, or without a decision."""
        return len(self.offsets.status) - self.offsets.status.count("ok")

    @property
    def mean_v(self) -> float:
        """Mean, V."""
        return float(self.found_v.mean())

    @property
    def mean_ci95_v(self) -> tuple[float, float]:
        """95 % interval of the mean, V; 0 should be in it, since the amplifier is symmetrical."""
        n = len(self.found_v)
        half = float(t.ppf(0.975, n - 1)) * self.sigma_v / math.sqrt(n)
        return self.mean_v - half, self.mean_v + half

    @property
    def sigma_v(self) -> float:
        """Standard deviation, V."""
        return float(self.found_v.std(ddof=1))

    @property
    def sigma_ci95_v(self) -> tuple[float, float]:
        """Its 95 % interval, V, if the offsets are normal: `normal_p` says whether they look so."""
        degrees = len(self.found_v) - 1
        low, high = self.sigma_v * np.sqrt(degrees / chi2.ppf([0.975, 0.025], degrees))
        return float(low), float(high)

    @property
    def normal_p(self) -> float:
        """Chance that normal offsets look less normal than these, by the test of Shapiro and Wilk."""
        return float(shapiro(self.found_v).pvalue)


def offset_spread(
    search: OffsetSearch,
    mismatch: Mismatch,
    ngspice: Ngspice,
    *,
    draws: int,
    seed: int,
    timeout_s: float = 300.0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> OffsetSpread:
    """Simulates amplifiers that differ by local mismatch.

    Amplifier i has the same standard normal numbers at all widths and operating points, so a comparison of two has less
    noise than either; all of them err to the same side.

    Args:
        search: the test bench.
        mismatch: the spreads.
        ngspice: the simulator.
        draws: number of amplifiers.
        seed: names the draws.
        timeout_s: after this time a simulator counts as hanging, s.
        progress: called with amplifiers done and in all.

    Raises:
        InputError: too few draws.
        RunError: fewer than half of the amplifiers have an offset.
    """
    if draws < FEWEST:
        raise InputError(f"draws is {draws}; a spread needs {FEWEST} or more")
    parts = search.amplifier.parts
    drawn = [mismatch.draw_local(parts, 1, (seed, Stream.AMPLIFIER, i)) for i in range(draws)]
    dvt_v, factor = (np.concatenate([shifts[side] for shifts in drawn]) for side in (0, 1))
    offsets = search_offsets(search, dvt_v, factor, ngspice, timeout_s=timeout_s, progress=progress)
    spread = OffsetSpread(offsets=offsets, pair_sigma_v=search.amplifier.pair_sigma_v(mismatch))
    if draws - spread.failures < max(FEWEST, draws / 2):
        reason = next(status for status in offsets.status if status != "ok")
        raise RunError(f"{spread.failures} of {draws} amplifiers have no offset; the first: {reason}")
    return spread


def search_offsets(
    search: OffsetSearch,
    dvt_v: NDArray[np.float64],
    factor: NDArray[np.float64],
    ngspice: Ngspice,
    *,
    timeout_s: float = 300.0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Offsets:
    """Offsets of amplifiers with given shifts, in as many decks as they need.

    Args:
        search: the test bench.
        dvt_v, factor: see `OffsetSearch.deck`.
        ngspice: the simulator.
        timeout_s: after this time a simulator counts as hanging, s.
        progress: called with amplifiers done and in all.
    """
    found: list[Offsets] = []
    counts: list[int] = []
    for first in range(0, len(dvt_v), DECK_AMPLIFIERS):
        chunk = slice(first, first + DECK_AMPLIFIERS)
        counts.append(len(dvt_v[chunk]))
        outcome = run_twice(ngspice, search.deck(dvt_v[chunk], factor[chunk]), timeout_s)
        found.append(search.result(outcome, counts[-1]))
        progress(sum(counts), len(dvt_v))
    return Offsets(
        offset_v=np.concatenate([offsets.offset_v for offsets in found]),
        half_width_v=np.concatenate([offsets.half_width_v for offsets in found]),
        t_decide_s=np.concatenate([offsets.t_decide_s for offsets in found]),
        status=tuple(status for offsets in found for status in offsets.status),
        energy_j=float(np.average([offsets.energy_j for offsets in found], weights=counts)),
    )
