"""By what norms normalize in training: the batch on its chip, or the mean over chips."""

import dataclasses

import pytest
import torch
from tables import only, unit_gains
from trainings import MAJORITY, SOME, TABLES

from prcim.bnn.layers import BatchNorm
from prcim.bnn.models.mlp import Mlp
from prcim.bnn.noise import Reads, VirtualChip
from prcim.bnn.thresholds import ColumnNorm


def test_lasting_batch_norm_follows_the_batch_and_normalizes_by_what_it_has() -> None:
    x = 3 + 2 * torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    plain, lasting = BatchNorm(4), BatchNorm(4)
    lasting.lasting = True
    for _ in range(3):
        by_batch, found = plain(x), lasting(x)
    for name in ("running_mean", "running_var"):
        assert torch.equal(getattr(plain, name), getattr(lasting, name))
    assert not torch.allclose(found, by_batch, atol=0.1)
    assert torch.equal(found, lasting.eval()(x))
    assert torch.equal(lasting.train()(x.reshape(50, 4, 1, 1)).flatten(1), lasting.eval()(x))


def test_lasting_column_norm_follows_the_batch_and_takes_what_it_has() -> None:
    norm = ColumnNorm(2, 3, shift=0.5)
    norm.lasting = True
    mean = torch.full((2, 3), 10.0, requires_grad=True)
    threshold = norm(lambda: (mean * 1.0, torch.full((2, 3), 5.0)))
    assert torch.allclose(norm.running_mean, torch.full((2, 3), 1.0))
    assert torch.allclose(norm.running_var, torch.full((2, 3), 1.4))
    assert torch.allclose(threshold, 1.0 + 0.5 * torch.full((2, 3), 1.4).sqrt())
    threshold.sum().backward()
    assert mean.grad is None
    assert norm.shift.grad is not None


@pytest.mark.parametrize("norms", ["batch", "running"])
def test_a_chip_s_offset_is_seen_only_by_running_norms(norms: str) -> None:
    """An offset that all sums of a column share is taken off by the batch's own mean."""
    tables = unit_gains(only(TABLES, "offset"))
    network = Mlp(dataclasses.replace(MAJORITY, column_norm=True, dac_bits=10), seed=1)
    x, reads = SOME.batch(slice(None)), Reads(images=SOME.index)
    for _ in range(40):
        network(x)
    for norm in network.norms_of():
        norm.lasting = norms == "running"
    layer = next(network.column_layers())
    h = network.first_norm.binarized(network.first(x)).detach()
    with torch.no_grad():
        clean = layer(h, None, None)
        noisy = layer(h, VirtualChip(tables=tables, model="column", number=0, half="train"), reads)
    changed = float((clean != noisy).double().mean())
    assert changed < 0.08 if norms == "batch" else changed > 0.25
