"""Judging a network: the same images on many virtual chips."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import final

import torch

from prcim.bnn.datasets.images import Images
from prcim.bnn.models.network import Network
from prcim.bnn.noise import NoiseModel, Reads, VirtualChip
from prcim.bnn.recalibrate import Recalibration
from prcim.bnn.tables import IntegerTables


@final
@dataclass(frozen=True, kw_only=True)
class ChipResult:
    """What one chip made of all images.

    Attributes:
        chip: its number.
        accuracy: share of right answers, 0..1.
        predictions_sha256: checksum of the predicted classes, one byte an image, in the order of the data set.
    """

    chip: int
    accuracy: float
    predictions_sha256: str


def evaluate(
    network: Network,
    images: Images,
    tables: IntegerTables,
    model: NoiseModel,
    chips: Sequence[int],
    *,
    batch_size: int = 500,
    jobs: int = 1,
    recalibration: Recalibration | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[ChipResult]:
    """Runs all images on each chip.

    Nothing depends on the size of a batch, on the number of jobs, or on which chips are judged together.

    Args:
        network: in evaluation mode; it is run on the device that it is on.
        images: test images.
        tables: the errors.
        model: the noise model.
        chips: numbers of the chips; they are made of the half of the table that no training saw.
        batch_size: images at a time.
        jobs: chips at a time.
        recalibration: what is done on each chip first.
        progress: called after each chip with chips done, chips in all.

    Returns:
        One result a chip, in the order of `chips`.
    """
    images = images.on(network.device)

    def judge(number: int) -> ChipResult:
        made = VirtualChip(tables=tables, model=model, number=number, half="evaluate")
        on_chip, chip = (network, made) if recalibration is None else recalibration.apply(network, made)
        answers = []
        with torch.inference_mode():
            for first in range(0, len(images), batch_size):
                part = slice(first, first + batch_size)
                answers.append(on_chip(images.batch(part), chip, Reads(images=images.index[part])).argmax(1))
        predicted = torch.cat(answers)
        ordered = predicted[images.index.argsort()].to(torch.uint8)
        return ChipResult(
            chip=number,
            accuracy=float((predicted == images.labels).double().mean()),
            predictions_sha256=hashlib.sha256(ordered.cpu().numpy().tobytes()).hexdigest(),
        )

    results = []
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        for result in pool.map(judge, chips):
            results.append(result)
            progress(len(results), len(chips))
    return results
