"""Augmentation: each image is one of its own shifts and mirrors, by draws that depend on seed and step alone."""

import itertools

import pytest
import torch
from scipy.stats import chisquare

from prcim.bnn.datasets.augment import augmented

SIZE = (2, 5, 6)
COUNT = 4000


def images(count: int = COUNT) -> torch.Tensor:
    return torch.arange(1.0, 61.0).expand(count, -1)


@pytest.mark.parametrize(("flip", "background"), [(True, 0.0), (False, -7.0)])
def test_every_image_is_a_shift_or_mirror_of_itself_and_all_are_alike_frequent(flip: bool, background: float) -> None:
    moved = augmented(images(), SIZE, seed=1, step=2, flip=flip, shift=1, background=background)
    whole = images(1).reshape(SIZE)
    wide = torch.nn.functional.pad(whole, (1,) * 4, value=background)
    options = [
        (torch.flip(wide[:, y : y + 5, x : x + 6], (2,)) if mirrored else wide[:, y : y + 5, x : x + 6]).flatten()
        for y, x, mirrored in itertools.product(range(3), range(3), range(1 + flip))
    ]
    same = (moved[:, None] == torch.stack(options)).all(-1)
    assert bool((same.sum(1) == 1).all())
    # At these seeds; another would fail once in a thousand times.
    assert chisquare(same.sum(0).numpy()).pvalue > 1e-3


def test_draws_depend_on_seed_and_step_alone() -> None:
    torch.manual_seed(1)
    first = augmented(images(50), SIZE, seed=1, step=2)
    torch.manual_seed(2)
    assert torch.equal(augmented(images(50), SIZE, seed=1, step=2), first)
    for seed, step in ((1, 3), (2, 2)):
        assert not torch.equal(augmented(images(50), SIZE, seed=seed, step=step), first)


def test_no_shift_and_no_mirror_change_nothing() -> None:
    assert torch.equal(augmented(images(9), SIZE, seed=0, step=0, flip=False, shift=0), images(9))
