"""How a network is trained: all that decides the result besides network, table and data."""

import math
from dataclasses import dataclass
from typing import Literal, final, get_args

import torch

from prcim.bnn.binarize import Gradient
from prcim.bnn.datasets.augment import SHIFT
from prcim.bnn.noise import NoiseModel
from prcim.errors import InputError

#: Type that digital layers compute in.
Precision = Literal["float32", "bfloat16"]


@final
@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained.

    Attributes:
        noise: the noise model; new chips are drawn for every mini-batch.
        epochs, batch_size: length and size.
        learning_rate: at the start; it falls to zero along a cosine.
        seed: of starting weights, order of images, augmentation, and chips.
        optimizer: "adam", or "sgd" with `momentum`.
        momentum: of sgd.
        weight_decay: on latent weights; thresholds and norms have none.
        warmup_epochs: over which the learning rate rises.
        chips_per_batch: chips that see each mini-batch; the loss is their mean.
        anneal: share of the epochs over which the errors grow from nothing to their size.
        augment: whether training images are shifted and, where that shows the same thing, mirrored.
        shift: pixels that they are shifted at most, either way.
        norms: by what norms normalize: "batch", the mini-batch on its chip, as fits a network whose norms will be
            estimated on every chip; "running", the mean over chips so far, as fits one whose norms will not.
        gradient: what a comparator's bit passes back, "smoothed" or "straight", as for `vote_slope`. A converter always
            passes what arrives, where it does not clip.
        precision: "float32", or "bfloat16" for digital layers and norms behind them, by torch's autocast; sums of
            columns, statistics, loss, latent weights and the optimizer stay in float32.
        channels_last: whether images lie in memory with their channels last, as columns give them.
        epoch_images: training images of an epoch, drawn anew for each; None: all.
    """

    noise: NoiseModel = "column"
    epochs: int = 60
    batch_size: int = 64
    learning_rate: float = 3e-3
    seed: int = 0
    optimizer: Literal["adam", "sgd"] = "adam"
    momentum: float = 0.9
    weight_decay: float = 0.0
    warmup_epochs: int = 0
    chips_per_batch: int = 1
    anneal: float = 0.0
    augment: bool = False
    shift: int = SHIFT
    norms: Literal["batch", "running"] = "batch"
    gradient: Gradient = "smoothed"
    precision: Precision = "float32"
    channels_last: bool = False
    epoch_images: int | None = None

    def __post_init__(self) -> None:
        if self.optimizer not in ("adam", "sgd"):
            raise InputError(f"there is no optimizer {self.optimizer!r}; there are adam and sgd")
        if self.norms not in ("batch", "running"):
            raise InputError(f"norms are by 'batch' or 'running', not by {self.norms!r}")
        if self.gradient not in get_args(Gradient):
            raise InputError(f"there is no gradient {self.gradient!r}; there are {' and '.join(get_args(Gradient))}")
        if self.precision not in get_args(Precision):
            raise InputError(f"there is no precision {self.precision!r}; there are {' and '.join(get_args(Precision))}")
        if not 0 <= self.anneal <= 1:
            raise InputError(f"anneal is {self.anneal}; it is a share of the epochs, 0 to 1")
        if self.chips_per_batch < 1 or self.batch_size < 1:
            raise InputError("a mini-batch takes at least one image and one chip")
        if self.epoch_images is not None and self.epoch_images < 1:
            raise InputError(f"epoch_images is {self.epoch_images}; an epoch takes at least one image")

    def rate(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0.

        Example:
            >>> [round(Recipe(epochs=4, learning_rate=1.0, warmup_epochs=1).rate(epoch), 2) for epoch in range(4)]
            [0.5, 0.85, 0.5, 0.15]
        """
        warm = min((epoch + 1) / (self.warmup_epochs + 1), 1.0)
        # In single precision, as trainings so far had it: a last digit here is another network in the end.
        fall = float(1 + torch.cos(torch.tensor(math.pi * epoch / self.epochs))) / 2
        return self.learning_rate * fall * warm

    def spread(self, epoch: int) -> float:
        """Size of the errors in an epoch, as a share of the table's.

        Example:
            >>> [Recipe(epochs=8, anneal=0.5).spread(epoch) for epoch in (0, 1, 3, 7)]
            [0.25, 0.5, 1.0, 1.0]
        """
        return min((epoch + 1) / (self.anneal * self.epochs), 1.0) if self.anneal else 1.0
