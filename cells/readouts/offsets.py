"""What a search for the offsets of amplifiers found."""

import math
from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np
from numpy.typing import NDArray


@final
@dataclass(frozen=True, kw_only=True)
class Offsets:
    """One entry for each amplifier.

    Attributes:
        offset_v: the input difference v(inp) - v(inn) at which the amplifier is undecided, V; NaN without status "ok".
        half_width_v: half the interval in which it was caught, V.
        t_decide_s: from the clock's edge until the outputs are half the supply apart, at the search's overdrive, mean
            of both directions, s.
        status: "ok", or what is wrong.
        energy_j: drawn from the supply in one cycle, mean of the amplifiers, J: their own and that of a driver which
            charges their clock inputs from the supply.
    """

    offset_v: NDArray[np.float64]
    half_width_v: NDArray[np.float64]
    t_decide_s: NDArray[np.float64]
    status: tuple[str, ...]
    energy_j: float


def no_offsets(status: str, amplifiers: int) -> Offsets:
    """The offsets of amplifiers whose simulation gave nothing."""
    nothing = np.full(amplifiers, np.nan)
    return Offsets(
        offset_v=nothing,
        half_width_v=nothing,
        t_decide_s=nothing,
        status=(status,) * amplifiers,
        energy_j=math.nan,
    )


class Caught(NamedTuple):
    """The offset of one amplifier."""

    offset_v: float
    half_width_v: float
    status: str


def catch(
    input_v: NDArray[np.float64], apart_v: NDArray[np.float64], *, vdd_v: float, range_v: float, resolution_v: float
) -> Caught:
    """The offset that lies between an amplifier's decisions.

    Args:
        input_v: input difference in each cycle, V, shape (cycles,). In the last two it is above and below the offset
            on purpose: they check, and do not help to find.
        apart_v: v(outp) - v(outn) when the decision is looked at, V, shape (cycles,).
        vdd_v: supply, V; outputs less than half of it apart are no decision.
        range_v: where the offset was looked for, V.
        resolution_v: widest interval that counts, V.

    Example:
        >>> found = catch(
        ...     np.array([0.01, 0.005, 0.0075, 0.02, 0.0]),
        ...     np.array([1.1, -1.1, -1.1, 1.1, -1.1]),
        ...     vdd_v=1.1, range_v=0.02, resolution_v=0.003,
        ... )
        >>> round(found.offset_v, 5), round(found.half_width_v, 5), found.status
        (0.00875, 0.00125, 'ok')
    """
    undecided = ~(np.abs(apart_v) >= vdd_v / 2)
    if undecided[-2:].any():
        at_mv = input_v[-2:][undecided[-2:]][0] * 1e3
        return Caught(math.nan, math.nan, f"undecided at an input of {at_mv:.3f} mV")
    # Where the search met the offset so well that the clock was over before the decision, it lies on both sides.
    above = apart_v > 0
    searched_v, no, yes = input_v[:-2], (~above | undecided)[:-2], (above | undecided)[:-2]
    if not (no.any() and yes.any()):
        side = f"below {-range_v * 1e3:.4g}" if yes.any() else f"above {range_v * 1e3:.4g}"
        return Caught(math.nan, math.nan, f"out of range: the offset lies {side} mV")
    low_v, high_v = float(searched_v[no].max()), float(searched_v[yes].min())
    width_v = abs(high_v - low_v)
    if width_v > resolution_v or not above[-2] or above[-1]:
        status = f"inconsistent: - up to {low_v * 1e3:.3f} mV, + from {high_v * 1e3:.3f} mV"
        return Caught(math.nan, math.nan, status)
    return Caught((low_v + high_v) / 2, width_v / 2, "ok")
