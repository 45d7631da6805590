"""What a designer asks of a sense amplifier: spread and origin of its offset, noise, energy, time, inputs it stands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np

from prcim.cells.mismatch import Mismatch
from prcim.cells.readouts.comparator_noise import ComparatorNoise
from prcim.cells.readouts.offset_search import OffsetSearch
from prcim.characterize.design.offsets import OffsetSpread, offset_spread, search_offsets
from prcim.errors import InputError, RunError
from prcim.spice.ngspice import Ngspice, run_twice

#: Distance of the points at which the common-mode range is looked for, V.
COMMON_STEP_V = 0.05
#: Offsets are looked for up to so many standard deviations.
RANGE_SIGMAS = 6.0


@final
@dataclass(frozen=True, kw_only=True)
class AmplifierFigures:
    """One amplifier at one operating point.

    Attributes:
        search: amplifier and operating point.
        spread: the offsets over mismatch.
        contributions_v: standard deviation that each kind of mismatch adds, see `offset_contributions`, V.
        noise_v: standard deviation of the input noise; None where it was not asked for, V.
    """

    search: OffsetSearch
    spread: OffsetSpread
    contributions_v: Mapping[str, float]
    noise_v: float | None

    @property
    def linear_sigma_v(self) -> float:
        """Standard deviation of the offset to first order, V: without the chance of the draws."""
        return _norm(self.contributions_v)

    @property
    def summary(self) -> dict[str, Any]:
        """The figures, ready for JSON."""
        spread, offsets = self.spread, self.spread.offsets
        return {
            "w_m": self.search.amplifier.w_in_m,
            "l_m": self.search.amplifier.l_in_m,
            "n": len(spread.found_v),
            "failures": spread.failures,
            "failed": sorted({status for status in offsets.status if status != "ok"}),
            "mean_v": spread.mean_v,
            "mean_ci95_v": list(spread.mean_ci95_v),
            "sigma_v": spread.sigma_v,
            "sigma_ci95_v": list(spread.sigma_ci95_v),
            "normal_p": spread.normal_p,
            "pair_sigma_v": spread.pair_sigma_v,
            "ratio": spread.sigma_v / spread.pair_sigma_v if spread.pair_sigma_v > 0 else None,
            "linear_sigma_v": self.linear_sigma_v,
            "contributions_v": dict(self.contributions_v),
            "energy_j": offsets.energy_j,
            "overdrive_v": self.search.overdrive_v,
            "t_decide_s": {"mean": float(np.nanmean(offsets.t_decide_s)), "max": float(np.nanmax(offsets.t_decide_s))},
            "noise_v": self.noise_v,
        }


def measure_amplifier(
    search: OffsetSearch,
    mismatch: Mismatch,
    ngspice: Ngspice,
    *,
    draws: int,
    seed: int,
    noise: bool = False,
    timeout_s: float = 300.0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> AmplifierFigures:
    """Measures one amplifier. Offsets are looked for up to six standard deviations, as the first order has them.

    Args:
        search: amplifier and operating point; its range is that of single transistors.
        mismatch: the spreads.
        ngspice: the simulator.
        draws: number of amplifiers.
        seed: names the draws.
        noise: whether to find the noise too.
        timeout_s: after this time a simulator counts as hanging, s.
        progress: called with amplifiers done and in all.

    Raises:
        InputError: the amplifier does not decide at these inputs, or there are too few draws.
        RunError: too many amplifiers have no offset.
    """
    contributions_v = offset_contributions(search, mismatch, ngspice, timeout_s=timeout_s)
    range_v = max(RANGE_SIGMAS * _norm(contributions_v), 8 * search.resolution_v)
    wide = replace(search, range_v=min(range_v, search.technology.vdd_v))
    spread = offset_spread(wide, mismatch, ngspice, draws=draws, seed=seed, timeout_s=timeout_s, progress=progress)
    noise_v = None
    if noise:
        window_s = float(np.nanmean(spread.offsets.t_decide_s))
        noise_v = comparator_noise_v(ComparatorNoise(search=search, window_s=window_s), ngspice, timeout_s=timeout_s)
    return AmplifierFigures(search=wide, spread=spread, contributions_v=contributions_v, noise_v=noise_v)


def offset_contributions(
    search: OffsetSearch, mismatch: Mismatch, ngspice: Ngspice, *, timeout_s: float = 300.0
) -> Mapping[str, float]:
    """What each kind of mismatch adds to the spread of the offset, to first order.

    Every transistor's threshold, and then its gain, is one standard deviation off, to either side, all else matched;
    half the difference of the two offsets is its share, and shares add as variances.

    Returns:
        "input pair Vth", "latch N gain", ... -> standard deviation of the offset from it, V.

    Raises:
        InputError: an amplifier has no offset, most often because it does not decide at these inputs.
    """
    parts = search.amplifier.parts
    one, none = np.eye(len(parts)), np.zeros((len(parts), len(parts)))
    # In the first amplifiers a threshold is off, in the others a gain.
    moved = np.array([np.concatenate((one, none)), np.concatenate((none, one))])
    found = []
    for sign in (1, -1):
        dvt_v, factor = mismatch.scaled(parts, sign * moved)
        offsets = search_offsets(search, dvt_v, factor, ngspice, timeout_s=timeout_s)
        bad = [status for status in offsets.status if status != "ok"]
        if bad:
            raise InputError(
                f"the amplifier has no offset at a common mode of {search.vcm_v:g} V ({bad[0]}); change the common"
                " mode, the widths or the clock"
            )
        found.append(offsets.offset_v)
    share_v = ((found[0] - found[1]) / 2).reshape(2, len(parts))
    index = {part.name: i for i, part in enumerate(parts)}
    return {
        f"{role} {what}": float(np.linalg.norm(share_v[side, [index[name] for name in names]]))
        for side, what in enumerate(("Vth", "gain"))
        for role, names in search.amplifier.roles.items()
    }


def common_mode_range(search: OffsetSearch, ngspice: Ngspice, *, timeout_s: float = 300.0) -> tuple[float, float]:
    """Lowest and highest common mode at which the amplifier without mismatch finds its offset of 0, V.

    Looked at every 50 mV from 0 to the supply. Where there are several ranges it is the one closest to the search's own
    common mode.

    Raises:
        RunError: it decides nowhere.
    """
    last = round(search.technology.vdd_v / COMMON_STEP_V)
    common_v = np.linspace(0, search.technology.vdd_v, last + 1)
    dvt_v = np.zeros((len(common_v), len(search.amplifier.parts)))
    outcome = run_twice(ngspice, search.deck(dvt_v, np.ones_like(dvt_v), common_v), timeout_s)
    offsets = search.result(outcome, len(common_v))
    good = np.array([status == "ok" for status in offsets.status])
    if not good.any():
        raise RunError(f"the amplifier decides at no common mode; at the supply: {offsets.status[-1]}")
    low = high = int(np.argmin(np.where(good, np.abs(common_v - search.vcm_v), np.inf)))
    while low > 0 and good[low - 1]:
        low -= 1
    while high < last and good[high + 1]:
        high += 1
    return float(common_v[low]), float(common_v[high])


def comparator_noise_v(noise: ComparatorNoise, ngspice: Ngspice, *, timeout_s: float = 300.0) -> float:
    """Standard deviation of an amplifier's thermal noise, referred to its input, V.

    Raises:
        RunError: a deck fails.
    """
    weights = {}
    for place in noise.places:
        outcome = run_twice(ngspice, noise.push_deck(place), timeout_s)
        weights[place] = noise.weight_v_per_c(outcome)
        if not np.isfinite(weights[place]).all():
            raise RunError(f"the noise of the amplifier cannot be found: {outcome.status_or('it does not decide')}")
    outcome = run_twice(ngspice, noise.conductance_deck(), timeout_s)
    if "time" not in outcome.values:
        raise RunError(f"the noise of the amplifier cannot be found: {outcome.status_or('no result')}")
    return _norm(noise.sigma_v(weights, outcome))


def _norm(sigma_v: Mapping[str, float]) -> float:
    """Standard deviation of a sum of independent parts."""
    return float(np.linalg.norm(list(sigma_v.values())))
