"""Whether errors drawn anew on every read say what errors that last do to a network: means and spreads over chips."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap

from prcim.bnn.datasets.images import Images
from prcim.bnn.evaluate import evaluate
from prcim.bnn.models.network import Network
from prcim.bnn.noise import NoiseModel
from prcim.bnn.spread import Spread, spread
from prcim.bnn.tables import IntegerTables

#: The model whose chips are taken for the truth: what a column's transistors do lasts as long as the chip.
TRUTH: NoiseModel = "column"
#: Those that are held against it.
MODELS: tuple[NoiseModel, ...] = ("gaussian", "iid", "cell")

#: Stands for a ratio to nothing.
ENDLESS = 1e6

Floats = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What one model says of a network, held against `TRUTH`; accuracies as fractions.

    Attributes:
        model: the noise model.
        spread: of its chips.
        gap, gap_ci95: mean over its chips less that of the truth, and its 95 % interval, by bootstrap over both.
        sd_ratio, sd_ratio_ci95: standard deviation over chips relative to the truth's; None where that is nothing.
    """

    model: NoiseModel
    spread: Spread
    gap: float
    gap_ci95: tuple[float, float]
    sd_ratio: float | None
    sd_ratio_ci95: tuple[float, float] | None

    @property
    def misleads(self) -> bool:
        """Whether chance explains neither a difference of the means nor one of the spreads."""
        low, high = self.gap_ci95
        differs = not low <= 0 <= high
        if self.sd_ratio_ci95 is None:
            return differs
        return differs or not self.sd_ratio_ci95[0] <= 1 <= self.sd_ratio_ci95[1]

    def as_json(self) -> dict[str, Any]:
        """For a result file."""
        return {
            "model": self.model,
            **self.spread.as_json(),
            "gap": self.gap,
            "gap_ci95": list(self.gap_ci95),
            "sd_ratio": self.sd_ratio,
            "sd_ratio_ci95": None if self.sd_ratio_ci95 is None else list(self.sd_ratio_ci95),
            "misleads": self.misleads,
        }


def predictions(
    network: Network,
    images: Images,
    tables: IntegerTables,
    *,
    chips: int,
    jobs: int = 1,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> tuple[Spread, tuple[Prediction, ...]]:
    """Judges a network on chips of every model.

    Args:
        network: in evaluation mode.
        images: test images.
        tables: the errors.
        chips, jobs: how many of each model, how many at a time.
        progress: called with the model, chips done, chips in all.

    Returns:
        What the truth says, and the others.
    """

    def accuracies(model: NoiseModel) -> list[float]:
        found = evaluate(
            network,
            images,
            tables,
            model,
            range(chips),
            jobs=jobs,
            progress=lambda done, total: progress(model, done, total),
        )
        return [result.accuracy for result in found]

    dies = min(chips, tables.judging_dies)
    truth = accuracies(TRUTH)
    made = []
    for model in MODELS:
        found = accuracies(model)
        gap, gap_ci95 = _compared(found, truth, lambda a, b: a.mean(-1) - b.mean(-1))
        ratio, ratio_ci95 = None, None
        if np.ptp(truth) > 0:
            ratio, ratio_ci95 = _compared(found, truth, _sd_ratio)
        made.append(
            Prediction(
                model=model,
                spread=spread(found, dies=dies),
                gap=gap,
                gap_ci95=gap_ci95,
                sd_ratio=ratio,
                sd_ratio_ci95=ratio_ci95,
            )
        )
    return spread(truth, dies=dies), tuple(made)


def _sd_ratio(a: Floats, b: Floats) -> Any:
    """How many times b's spread a has; where chips drawn again are all alike, `ENDLESS`."""
    sd_a, sd_b = a.std(-1, ddof=1), b.std(-1, ddof=1)
    return np.divide(sd_a, sd_b, out=np.full_like(sd_a, ENDLESS), where=sd_b > 0)


def _compared(
    found: Sequence[float] | Floats, truth: Sequence[float] | Floats, figure: Callable[[Floats, Floats], Any]
) -> tuple[float, tuple[float, float]]:
    """A figure of two sets of chips, and its 95 % interval."""
    a, b = np.asarray(found), np.asarray(truth)
    value = float(figure(a, b))
    if np.ptp(a) == 0 and np.ptp(b) == 0:
        return value, (value, value)
    # Chips of one set have nothing to do with those of the other with the same number.
    drawn = bootstrap(
        (a, b),
        lambda x, y, axis: figure(np.moveaxis(x, axis, -1), np.moveaxis(y, axis, -1)),
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(0),
    ).confidence_interval
    return value, (float(drawn.low), float(drawn.high))
