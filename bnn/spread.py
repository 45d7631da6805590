"""Accuracy over chips: never a number without its spread."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np
from scipy.stats import bootstrap

#: Below 72 chips the 5th percentile has no lower 95 % confidence bound.
CHIPS_FOR_P5 = 72


@final
@dataclass(frozen=True, kw_only=True)
class Spread:
    """Accuracies of many chips in a few figures, as fractions.

    Attributes:
        chips: number of chips.
        dies: how many different dies of the table they are; only these are independent.
        mean, sd, worst: of their accuracies.
        p5: 5th percentile, from 72 different dies on.
        ci95: 95 % interval of the mean, by bootstrap over chips (bias-corrected and accelerated).

    Example:
        >>> spread([0.9, 0.8, 0.85]).worst
        0.8
    """

    chips: int
    dies: int
    mean: float
    sd: float
    worst: float
    p5: float | None
    ci95: tuple[float, float]

    def as_json(self) -> dict[str, Any]:
        """For a result file."""
        return {**asdict(self), "ci95": list(self.ci95)}


def spread(accuracies: Sequence[float], *, dies: int | None = None) -> Spread:
    """Summarizes accuracies of chips, of which there must be at least one.

    Args:
        accuracies: one a chip.
        dies: number of different dies among them; all of them unless said otherwise.
    """
    independent = len(accuracies) if dies is None else dies
    values = np.asarray(accuracies, dtype=np.float64)
    # Of equal values the computed mean can differ by a rounding, and the bootstrap would divide zero by zero.
    mean, sd = float(values[0]), 0.0
    low = high = mean
    if values.min() < values.max():
        mean, sd = float(values.mean()), float(values.std(ddof=1))
        interval = bootstrap((values,), np.mean, rng=np.random.default_rng(0)).confidence_interval
        low, high = float(interval.low), float(interval.high)
    return Spread(
        chips=len(values),
        dies=independent,
        mean=mean,
        sd=sd,
        worst=float(values.min()),
        p5=float(np.quantile(values, 0.05)) if independent >= CHIPS_FOR_P5 else None,
        ci95=(low, high),
    )
