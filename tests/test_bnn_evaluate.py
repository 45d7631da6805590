"""Judging: a chip's answers are its own, however the work is cut."""

import dataclasses
import hashlib
from typing import Any

import pytest
import torch
from tables import make_tables

from prcim.bnn.datasets.digits import load_digits
from prcim.bnn.datasets.images import Images
from prcim.bnn.evaluate import ChipResult, evaluate
from prcim.bnn.models.mlp import Mlp, MlpSpec
from prcim.bnn.noise import NOISE_MODELS, NoiseModel, Reads, VirtualChip
from prcim.bnn.tables import IntegerTables

TABLES = make_tables(columns=8, dies=4)


IMAGES = load_digits()[1].part(slice(0, 120))


@pytest.fixture(scope="module", params=["majority", "adc"])
def network(request: pytest.FixtureRequest) -> Mlp:
    """An untrained network, which is as good as any here; its statistics are those of the images."""
    spec = MlpSpec(inputs=64, classes=10, rows=64, n_used=64, width=128, hidden=2, readout=request.param)
    made = Mlp(spec, seed=1)
    for _ in range(20):
        made(load_digits()[0].pixels)
    return made.eval()


def judged(
    network: Mlp, images: Images = IMAGES, model: NoiseModel = "column", tables: IntegerTables = TABLES, **how: Any
) -> list[ChipResult]:
    return evaluate(network, images, tables, model, how.pop("chips", range(4)), **how)


@pytest.mark.parametrize("model", NOISE_MODELS)
def test_result_is_what_the_network_answers_on_that_chip(network: Mlp, model: NoiseModel) -> None:
    for result in judged(network, model=model):
        chip = VirtualChip(tables=TABLES, model=model, number=result.chip)
        with torch.inference_mode():
            answers = network(IMAGES.pixels, chip, Reads(images=IMAGES.index)).argmax(1)
        assert result.accuracy == float((answers == IMAGES.labels).sum()) / 120
        by_index = [int(answer) for _, answer in sorted(zip(IMAGES.index.tolist(), answers, strict=True))]
        assert result.predictions_sha256 == hashlib.sha256(bytes(by_index)).hexdigest()


@pytest.mark.parametrize("model", ["column", "iid"])
@pytest.mark.parametrize(("batch_size", "jobs"), [(1, 1), (7, 1), (500, 1), (7, 2), (120, 3)])
def test_batch_size_and_jobs_change_nothing(network: Mlp, model: NoiseModel, batch_size: int, jobs: int) -> None:
    wanted = judged(network, model=model, chips=[0, 1])
    assert judged(network, model=model, chips=[0, 1], batch_size=batch_size, jobs=jobs) == wanted


def test_chips_are_judged_apart_in_any_order(network: Mlp) -> None:
    wanted = {result.chip: result for result in judged(network, chips=range(6))}
    assert judged(network, chips=[5, 2, 0], jobs=2) == [wanted[5], wanted[2], wanted[0]]
    assert judged(network, chips=[3]) == [wanted[3]]
    assert len({result.predictions_sha256 for result in wanted.values()}) == 6


@pytest.mark.parametrize("model", ["column", "iid"])
def test_order_of_images_changes_nothing(network: Mlp, model: NoiseModel) -> None:
    order = torch.randperm(120, generator=torch.Generator().manual_seed(0))
    assert judged(network, IMAGES.part(order), model, batch_size=50) == judged(network, model=model)


def test_an_image_is_answered_alike_whatever_others_are_asked(network: Mlp) -> None:
    halves = [judged(network, IMAGES.part(part)) for part in (slice(0, 60), slice(60, 120))]
    for first, second, whole in zip(*halves, judged(network), strict=True):
        assert whole.accuracy == pytest.approx((first.accuracy + second.accuracy) / 2)


def test_network_is_left_as_it_was(network: Mlp) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    judged(network)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_every_chip_is_the_same_without_errors(network: Mlp) -> None:
    for model in NOISE_MODELS[:2]:
        results = judged(network, model=model)
        assert len({(result.accuracy, result.predictions_sha256) for result in results}) == 1


def test_judging_sees_only_its_half_of_the_table(network: Mlp) -> None:
    wanted = judged(network)
    bank, chips = TABLES.bank.clone(), TABLES.chips.clone()
    bank[:4] += 640
    chips[:2] -= 640
    volt, cell = (9.0, 9.0, *TABLES.volt_gain[2:]), (9.0, 9.0, *TABLES.cell_gain[2:])
    other = dataclasses.replace(TABLES, bank=bank, chips=chips, volt_gain=volt, cell_gain=cell)
    assert judged(network, tables=other) == wanted
    assert judged(network, tables=dataclasses.replace(TABLES, bank=TABLES.bank.flip(0))) != wanted


def test_progress_counts_chips(network: Mlp) -> None:
    calls: list[tuple[int, int]] = []
    judged(network, jobs=2, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(done, 4) for done in range(1, 5)]
