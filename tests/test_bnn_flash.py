"""Flash converters in a network: each threshold of each physical column has an offset of its own."""

import numpy as np
import pytest
import torch
from tables import make_tables, only, unit_gains
from torch import Tensor

from prcim.bnn.column_layers import ColumnLinear
from prcim.bnn.column_sum import CodeSum, noisy_sums, partial_sums
from prcim.bnn.noise import LayerErrors, NoiseModel, Reads, VirtualChip
from prcim.bnn.tables import UNIT, IntegerTables
from prcim.cells.readouts.readout import Adc

FLASH = Adc(bits=4, step=4, kind="flash")
SAR = Adc(bits=4, step=4)
BATCH, GROUPS, CHANNELS, ROWS = 30, 3, 10, 64


def signs(*shape: int) -> Tensor:
    return torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(4)) * 2.0 - 1


def layer_errors(tables: IntegerTables, adc: Adc, model: NoiseModel = "column") -> LayerErrors:
    chip = VirtualChip(tables=tables, model=model, number=2)
    return chip.layer(1, groups=GROUPS, channels=CHANNELS, comparators=adc.comparators)


def codes(adc: Adc, errors: LayerErrors, x: Tensor, weight: Tensor) -> Tensor:
    """Codes added over the groups, (B, O)."""
    total: Tensor = CodeSum.apply(x, weight, adc, errors, Reads(images=torch.arange(BATCH)))  # type: ignore[no-untyped-call]
    return total


def test_code_is_the_number_of_thresholds_that_are_reached_with_their_offsets() -> None:
    """Recomputed in NumPy by the read-out's own definition, from voltages."""
    x, weight = signs(BATCH, GROUPS, ROWS), signs(CHANNELS, GROUPS, ROWS)
    errors = layer_errors(make_tables(n_used=ROWS), FLASH)
    assert errors.offsets is not None
    assert errors.offsets.shape == (15, GROUPS, CHANNELS)
    sums = noisy_sums(partial_sums(x, weight), x, errors, Reads(images=torch.arange(BATCH))).numpy() / UNIT
    offsets = np.moveaxis(errors.offsets.numpy(), 0, -1) / UNIT
    # A voltage that falls by 1 for each unit of S; a comparator that is early has its threshold higher.
    number = FLASH.codes(-sums - 1e-9, -np.array(FLASH.thresholds(ROWS)) + offsets)
    wanted = np.array(FLASH.levels(ROWS))[number].sum(axis=1)
    np.testing.assert_array_equal(codes(FLASH, errors, x, weight).numpy(), wanted)


def test_without_offsets_a_flash_is_a_sar() -> None:
    tables = only(make_tables(n_used=ROWS), "bank", "chips", "residual", "read")
    x, weight = signs(BATCH, GROUPS, ROWS), signs(CHANNELS, GROUPS, ROWS)
    both = [codes(adc, layer_errors(tables, adc), x, weight) for adc in (FLASH, SAR)]
    assert torch.equal(*both)
    with_offsets = make_tables(n_used=ROWS)
    assert not torch.equal(codes(FLASH, layer_errors(with_offsets, FLASH), x, weight), both[0])


def test_comparators_are_independent_and_keyed() -> None:
    tables = unit_gains(make_tables(n_used=ROWS))
    chip = VirtualChip(tables=tables, model="column", number=1)
    errors = chip.layer(0, groups=40, channels=50, comparators=15)
    assert errors.offsets is not None
    offsets = errors.offsets.reshape(15, -1).double().numpy() / UNIT
    assert offsets.std() == pytest.approx(tables.offset_sigma, rel=0.02)
    # 105 correlations of 2000 pairs; 4.9 sigma is exceeded by one of them with a probability of 1e-4.
    correlation = np.asarray(np.corrcoef(offsets))[np.triu_indices(15, 1)]
    assert np.abs(correlation).max() < 4.9 / np.sqrt(offsets.shape[1])
    again = chip.layer(0, groups=40, channels=50, comparators=15)
    assert torch.equal(errors.offsets, again.offsets)  # type: ignore[arg-type]
    fewer = chip.layer(0, groups=40, channels=50, comparators=3)
    assert torch.equal(errors.offsets[:3], fewer.offsets)  # type: ignore[arg-type]


@pytest.mark.parametrize("model", ["ideal", "mean", "gaussian", "iid"])
def test_other_models_have_no_lasting_offsets(model: NoiseModel) -> None:
    assert layer_errors(make_tables(n_used=ROWS), FLASH, model).offsets is None


def test_a_layer_uses_them_and_passes_gradients() -> None:
    generator = torch.Generator().manual_seed(0)
    layer = ColumnLinear(
        GROUPS * ROWS, CHANNELS, index=1, rows=ROWS, n_used=ROWS, readout=FLASH, generator=generator
    ).eval()
    x = signs(BATCH, GROUPS * ROWS).requires_grad_()
    chip = VirtualChip(tables=make_tables(n_used=ROWS), model="column", number=2)
    reads = Reads(images=torch.arange(BATCH))
    noisy = layer(x, chip, reads)
    assert not torch.equal(noisy, layer(x, None, None))
    noisy.sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.abs().sum() > 0
