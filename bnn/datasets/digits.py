"""scikit-learn's handwritten digits: 1,797 images of 8 x 8 pixels, embedded in that package."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from prcim.bnn.datasets.images import Images

TEST_IMAGES = 500


def load_digits(data: Path | None = None) -> tuple[Images, Images]:
    """Training and test images; the split is fixed.

    Args:
        data: not needed; the images come with scikit-learn.

    Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998.

    Example:
        >>> train, test = load_digits()
        >>> len(train), len(test), train.pixels.shape[1]
        (1297, 500, 64)
    """
    from sklearn import datasets

    pixels, labels = datasets.load_digits(return_X_y=True)
    # Grey values 0..16 become -16..16 in even numbers.
    centred = torch.from_numpy(2 * pixels.astype(np.float32) - 16)
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(labels)))
    classes = int(labels.max()) + 1

    def part(index: Tensor) -> Images:
        return Images(
            pixels=centred[index],
            labels=torch.from_numpy(labels)[index],
            index=index,
            classes=classes,
            size=(1, 8, 8),
        )

    return part(order[TEST_IMAGES:]), part(order[:TEST_IMAGES])
