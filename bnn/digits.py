"""scikit-learn's handwritten digits: 1,797 images of 8 x 8 pixels, embedded in that package."""

from typing import final
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

TEST_IMAGES = 500


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Images:
    """A set of labelled images.

    Attributes:
        pixels: integers as float32, centred, shape (B, inputs).
        labels: int64, shape (B,).
        index: number of each image in its data set, int64, shape (B,).
        classes: number of classes.
    """

    pixels: Tensor
    labels: Tensor
    index: Tensor
    classes: int

    def __len__(self) -> int:
        return len(self.labels)


def load_digits() -> tuple[Images, Images]:
    """Training and test images; the split is fixed.

    Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998.

    Example:
        >>> train, test = load_digits()
        >>> len(train), len(test), train.pixels.shape[1]
        (1297, 500, 64)
    """
    from sklearn import datasets

    pixels, labels = datasets.load_digits(return_X_y=True)
    # Grey values 0..16, so that -16..16 in even numbers: every sum of them is exact.
    centred = torch.from_numpy(2 * pixels.astype(np.float32) - 16)
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(labels)))
    classes = int(labels.max()) + 1

    def part(index: Tensor) -> Images:
        return Images(pixels=centred[index], labels=torch.from_numpy(labels)[index], index=index, classes=classes)

    return part(order[TEST_IMAGES:]), part(order[:TEST_IMAGES])
