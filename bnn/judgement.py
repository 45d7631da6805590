"""A network judged in several ways on the same chips: as it is, with its norms estimated there, trimmed, or both."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, final

import torch

from prcim.bnn.datasets.images import Images
from prcim.bnn.design_point import DesignPoint
from prcim.bnn.evaluate import ChipResult, evaluate
from prcim.bnn.models.network import Network
from prcim.bnn.noise import LASTING, NoiseModel
from prcim.bnn.recalibrate import Recalibration
from prcim.bnn.spread import Spread, spread
from prcim.bnn.tables import integer_tables
from prcim.bnn.trim import TrimDac
from prcim.characterize.lut.error_lut import ErrorLUT
from prcim.errors import InputError

#: Called with what is done, units done, units in all.
Progress = Callable[[str, int, int], None]


@final
@dataclass(frozen=True, kw_only=True)
class Row:
    """One way of judging.

    Attributes:
        done: what was done on each chip: "nothing", "norms", "trim" or "norms and trim".
        label, severity: of the design point, as in `DesignPoint`.
        lut_sha256: the table.
        results: of each chip.
        spread: of their accuracies.
    """

    done: str
    label: str
    severity: float
    lut_sha256: str
    results: tuple[ChipResult, ...]
    spread: Spread

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        return {
            **self.spread.as_json(),
            "done": self.done,
            "label": self.label,
            "severity": self.severity,
            "lut_sha256": self.lut_sha256,
            "accuracies": [result.accuracy for result in self.results],
            "predictions_sha256": [result.predictions_sha256 for result in self.results],
        }


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Judgement:
    """How a network is judged at every design point.

    Attributes:
        network: in evaluation mode.
        images: test images.
        model: the noise model.
        chips: how many.
        batch_size, jobs: as for `evaluate`.
        calibration: images for norms on the chip; none: chips are left as they are made.
        trim_bits: of the trim of each comparator.
        trim_reach: how far it reaches, in units of sqrt(n_used).

    Raises:
        InputError: the errors of the noise model do not last.
    """

    network: Network
    images: Images
    model: NoiseModel
    chips: int
    batch_size: int = 500
    jobs: int = 1
    calibration: Images | None = None
    trim_bits: int = 5
    trim_reach: float = 4.0

    def __post_init__(self) -> None:
        if self.calibration is not None and self.model not in LASTING:
            raise InputError(
                f"errors of the model {self.model!r} do not last, so there is nothing to trim; recalibrate with"
                f" {' or '.join(LASTING)}"
            )

    def rows(self, lut: ErrorLUT, progress: Progress = lambda what, done, total: None) -> Iterator[Row]:
        """Judges at one design point."""
        amplifier = self.network.spec.make_readout().amplifier
        point = DesignPoint(lut=lut, amplifier=amplifier)
        tables = integer_tables(lut, amplifier)
        for done, recalibration in self.ways(lut.n_used).items():
            results = evaluate(
                self.network,
                self.images,
                tables,
                self.model,
                range(self.chips),
                batch_size=self.batch_size,
                jobs=self.jobs,
                recalibration=recalibration,
                progress=lambda part, total, what=done: progress(f"chips, {what} done", part, total),  # type: ignore[misc]
            )
            yield Row(
                done=done,
                label=point.label,
                severity=point.severity,
                lut_sha256=lut.sha256,
                results=tuple(results),
                spread=spread([result.accuracy for result in results], dies=min(self.chips, tables.judging_dies)),
            )

    def ways(self, n_used: int) -> dict[str, Recalibration | None]:
        """What is done on each chip, by name."""
        if self.calibration is None:
            return {"nothing": None}
        trim = TrimDac(bits=self.trim_bits, reach=self.trim_reach * math.sqrt(n_used))
        return {
            "nothing": None,
            "norms": Recalibration(norms=self.calibration),
            "trim": Recalibration(trim=trim),
            "norms and trim": Recalibration(norms=self.calibration, trim=trim),
        }


def calibration_images_of(images: Images, count: int) -> Images:
    """Some training images, the same ones every time; what reads them looks at no label."""
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return images.part(order[:count])
