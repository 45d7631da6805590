"""Where every draw of a chip comes from, word for word: what other kernels are held to."""

import dataclasses
from typing import Any

import pytest
import torch
from tables import make_tables, only, unit_gains

from prcim.bnn.keys import Purpose, column_draws, digest, make_key
from prcim.bnn.noise import Half, NoiseModel, Reads, VirtualChip
from prcim.bnn.philox import philox

N = 16
TABLES = unit_gains(make_tables(n_used=N, columns=12, dies=6))
X, IMAGES = torch.randint(0, 2, (40, 3, N), generator=torch.Generator().manual_seed(0)) * 2 - 1, torch.arange(100, 140)


@pytest.mark.parametrize(("model", "name"), [("column", "residual"), ("column", "read"), ("iid", "total")])
def test_draw_is_where_the_layout_of_counters_says(model: NoiseModel, name: str) -> None:
    """Key, counter, and the byte of the words."""
    change: dict[str, Any] = {name: torch.arange(256, dtype=torch.int32).expand(N + 1, -1)}
    tables = dataclasses.replace(only(TABLES), **change)
    made = VirtualChip(tables=tables, model=model, number=7, seed=2**35 + 1)
    layer = made.layer(4, groups=3, channels=19)
    n_on = torch.zeros(40, 3, 19, dtype=torch.int64)
    found = layer(n_on, X, Reads(images=IMAGES, read=2), position=9)
    purpose = Purpose.RESIDUAL if name == "residual" else Purpose.READ
    key = make_key(seed=2**35 + 1, purpose=purpose, chip=7, layer=4)
    low, high = digest(X)
    for image, group, channel in [(0, 0, 0), (3, 1, 7), (17, 2, 16), (39, 2, 18)]:
        words = (9, int(IMAGES[image]), 2)
        if name == "residual":
            words = (int(low[image, group]), int(high[image, group]), 0)
        word = philox((group * 2 + channel // 16, *words), key)[channel % 16 // 4]
        assert found[image, group, channel] == word.to_bytes(4, "little")[channel % 4]


@pytest.mark.parametrize("half", ["train", "evaluate"])
def test_lasting_draw_is_where_the_layout_says(half: Half) -> None:
    """Offsets by the top ten bits; curves by the draw times their number over 2^16, within the chip's half."""
    bank = 10_000 * torch.arange(12, dtype=torch.int32)[:, None].expand(-1, N + 1)
    offset = torch.arange(1024, dtype=torch.int32)
    tables = dataclasses.replace(only(TABLES), bank=bank, offset=offset)
    made = VirtualChip(tables=tables, model="column", number=7, seed=5, half=half)
    layer = made.layer(2, groups=3, channels=11)
    found = layer(torch.zeros(1, 3, 11, dtype=torch.int64), X[:1], Reads(images=IMAGES[:1]))[0]
    column, offset_draw = (
        column_draws(
            make_key(seed=5, purpose=purpose, chip=7, layer=2, step=int(half == "train")), groups=3, channels=11
        )
        for purpose in (Purpose.COLUMN, Purpose.OFFSET)
    )
    curve = column * 6 // 2**16 + (0 if half == "train" else 6)
    assert torch.equal(found.long(), 10_000 * curve + (offset_draw >> 6))


@pytest.mark.parametrize("half", ["train", "evaluate"])
@pytest.mark.parametrize("dies", [6, 7])
def test_die_is_where_the_sorted_words_of_its_round_say(half: Half, dies: int) -> None:
    """One word for each die of the half; chip `number` takes the die whose word is in its place among them."""
    tables = make_tables(n_used=N, dies=dies)
    first, count = (0, 3) if half == "train" else (3, dies - 3)
    for number in range(20):
        turn, place = number // count, number % count
        key = make_key(seed=2**33 + 3, purpose=Purpose.CHIP, chip=turn, layer=0, step=int(half == "train"))
        words = {philox((die, 0, 0, 0), key)[0]: die for die in range(count)}
        made = VirtualChip(tables=tables, model="column", number=number, seed=2**33 + 3, half=half)
        assert made.die == first + words[sorted(words)[place]]
