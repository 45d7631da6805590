"""The table in integers: what rounding costs, what lies between simulated sums, what the moments are."""

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm
from tables import make_lut
from torch import Tensor

from prcim.bnn.noise import VirtualChip
from prcim.bnn.tables import UNIT, IntegerTables, integer_tables
from prcim.cells.mismatch import Mismatch
from prcim.cells.readouts.readout import SenseAmplifier
from prcim.characterize.lut.error_lut import ErrorLUT
from prcim.errors import InputError

AMPLIFIER = SenseAmplifier()
#: With the gate of a house: no offset to speak of.
NO_OFFSET = SenseAmplifier(w_m=1.0, l_m=1.0)


@pytest.fixture(scope="module")
def lut() -> ErrorLUT:
    return make_lut()


@pytest.fixture(scope="module")
def tables(lut: ErrorLUT) -> IntegerTables:
    return integer_tables(lut, AMPLIFIER)


def in_mac(tensor: Tensor) -> NDArray[np.float64]:
    return tensor.double().numpy() / UNIT


def simulated(lut: ErrorLUT) -> NDArray[np.int64]:
    """The numbers K of conducting cells that were simulated."""
    return ((lut.mac + lut.n_used) / 2).astype(np.int64)


@pytest.mark.parametrize(("rows", "n_used", "sums"), [(64, 64, 17), (64, 64, 65), (64, 48, 17), (9, 9, 4)])
def test_simulated_sums_keep_their_errors_up_to_rounding(rows: int, n_used: int, sums: int) -> None:
    lut = make_lut(rows=rows, n_used=n_used, sums=sums)
    tables = integer_tables(lut, AMPLIFIER)
    assert tables.rounding <= 2**-7
    at = simulated(lut)
    for integers, table in (
        (in_mac(tables.bank), lut.bank),
        (in_mac(tables.chips), lut.chip_curves),
        (in_mac(tables.residual).T, lut.residual_q.T),
    ):
        assert integers.shape[1] == tables.n_used + 1 == n_used + 1
        assert np.abs(integers[:, at] - table).max() <= tables.rounding


def test_between_simulated_sums_errors_lie_on_the_line(lut: ErrorLUT, tables: IntegerTables) -> None:
    grid = np.arange(65) * 2.0 - 64
    for integers, table in ((in_mac(tables.bank), lut.bank), (in_mac(tables.residual).T, lut.residual_q.T)):
        wanted = np.stack([np.interp(grid, lut.mac, curve) for curve in table])
        assert np.abs(integers - wanted).max() <= 2**-7
        middle = (integers[:, 4:62:4] + integers[:, 8:66:4]) / 2
        assert np.abs(integers[:, 6:64:4] - middle).max() <= 2**-6


def test_tables_are_whole_numbers_of_32_bits_within_16(tables: IntegerTables) -> None:
    for name in ("bank", "chips", "residual", "read", "total", "gauss", "offset"):
        tensor: Tensor = getattr(tables, name)
        assert str(tensor.dtype) == "torch.int32", name
        assert int(tensor.abs().max()) < 2**15, name


@pytest.mark.parametrize("name", ["bank", "chip_curves", "residual_q", "total_q", "read_sigma"])
def test_error_beyond_16_bits_is_refused(lut: ErrorLUT, name: str) -> None:
    array = getattr(lut, name).copy()
    array.flat[-1] = 600.0
    with pytest.raises(InputError, match=r"16 bits reach to 511.* the read is useless"):
        integer_tables(dataclasses.replace(lut, **{name: array}), AMPLIFIER)


def test_sixteen_bits_are_used_to_their_end(lut: ErrorLUT) -> None:
    bank = lut.bank.copy()
    bank[0, 0], bank[1, 0] = 511.98, -511.98
    tables = integer_tables(dataclasses.replace(lut, bank=bank), AMPLIFIER)
    assert tables.bank[:2, 0].tolist() == [2**15 - 1, 1 - 2**15]
    bank[1, 0] = -512.0
    with pytest.raises(InputError, match="an error of 512 in S"):
        integer_tables(dataclasses.replace(lut, bank=bank), AMPLIFIER)


def test_steep_comparator_offset_is_refused(lut: ErrorLUT) -> None:
    with pytest.raises(InputError, match="the read is useless"):
        integer_tables(dataclasses.replace(lut, slope_v=lut.slope_v / 100), AMPLIFIER)


def test_quantiles_stay_in_order(tables: IntegerTables) -> None:
    for tensor in (tables.residual, tables.read, tables.total, tables.gauss, tables.offset):
        assert bool((tensor.diff(dim=-1) >= 0).all())


def test_offset_is_the_pair_s_over_the_slope_at_the_middle(lut: ErrorLUT) -> None:
    slope_v = np.interp(lut.mac, [-64, 0, 64], [1e-3, 2e-3, 4e-3])
    for sums in (17, 16):  # the second has no simulated sum in the middle
        other = make_lut(sums=sums)
        given = np.interp(other.mac, lut.mac, slope_v)
        tables = integer_tables(dataclasses.replace(other, slope_v=given), AMPLIFIER)
        wanted = AMPLIFIER.offset_sigma_v(Mismatch()) / float(np.interp(0, other.mac, given))
        assert tables.offset_sigma == pytest.approx(wanted, rel=1e-9)


def test_comparator_takes_the_mismatch_of_the_table_s_plan(lut: ErrorLUT, tables: IntegerTables) -> None:
    plan = {**lut.meta["plan"], "mismatch": {**lut.meta["plan"]["mismatch"], "a_vt_v_m": 7e-9}}
    doubled = integer_tables(dataclasses.replace(lut, meta={**lut.meta, "plan": plan}), AMPLIFIER)
    assert doubled.offset_sigma == pytest.approx(2 * tables.offset_sigma)


def test_offsets_and_read_noise_are_normal_about_zero(lut: ErrorLUT, tables: IntegerTables) -> None:
    for values, sigma in [
        (in_mac(tables.offset), tables.offset_sigma),
        *[(in_mac(tables.read)[k], s) for k, s in zip(simulated(lut), lut.read_sigma, strict=True)],
    ]:
        assert abs(values.mean()) < 2**-7
        assert values.var() == pytest.approx(sigma**2, rel=0.01)
        assert np.array_equal(values, -values[::-1])
        # So few values, scaled to the right variance, reach a little further out than the normal quantiles.
        normal = sigma * norm.ppf((np.arange(len(values)) + 0.5) / len(values))
        assert np.abs(values - normal).max() < 0.03 * sigma + 2**-7


def test_independent_draws_have_the_moments_of_total_and_offset_together(lut: ErrorLUT, tables: IntegerTables) -> None:
    for table in (tables.total, tables.gauss):
        values = in_mac(table)[simulated(lut)]
        assert np.abs(values.mean(axis=1) - lut.total_q.mean(axis=1)).max() < 0.01 * tables.offset_sigma
        offset_var = tables.offset_sigma**2 * (1 / lut.chip_volt_gain**2).mean()
        assert values.var(axis=1) == pytest.approx(lut.total_q.var(axis=1) + offset_var, rel=0.01)


@pytest.mark.parametrize("gains", [(1.0, 1.0, 1.0, 1.0), (0.5, 0.8, 1.25, 3.0)], ids=str)
def test_independent_draws_meet_the_offset_of_any_die(lut: ErrorLUT, gains: tuple[float, ...]) -> None:
    """Without any other error the total is a mixture of normals, one a die; half of these dies judge, all count."""
    nothing = dataclasses.replace(lut, total_q=np.zeros_like(lut.total_q), chip_volt_gain=np.array(gains))
    tables = integer_tables(nothing, AMPLIFIER)
    values = in_mac(tables.total)[32]
    below = np.mean([norm.cdf(values * gain / tables.offset_sigma) for gain in gains], axis=0)
    # 64 steps of equal weight stand for the mixture, four draws each.
    assert np.abs(below - (np.arange(256) + 0.5) / 256).max() < 2.5 / 256
    # The normal model has the whole mixture's spread, and no other shape.
    gauss = in_mac(tables.gauss)[32]
    sigma = np.sqrt(np.mean([(tables.offset_sigma / gain) ** 2 for gain in gains]))
    assert gauss.std() == pytest.approx(sigma, rel=0.02)
    assert abs(gauss.mean()) < 2**-7
    assert np.abs(gauss - sigma * norm.ppf((np.arange(256) + 0.5) / 256)).max() < 0.08 * sigma
    # On a die of gain 1, the lasting offset of a column.
    assert in_mac(tables.offset).std() == pytest.approx(tables.offset_sigma, rel=0.01)


def test_independent_draws_without_an_offset_are_the_total_s_quantiles(lut: ErrorLUT) -> None:
    tables = integer_tables(lut, NO_OFFSET)
    assert tables.offset_sigma < 1e-4
    assert int(tables.offset.abs().max()) == 0
    assert np.abs(in_mac(tables.total)[simulated(lut)] - lut.total_q).max() <= 2**-7 + 1e-4


def test_gaussian_draws_forget_the_shape_of_the_total(lut: ErrorLUT) -> None:
    skewed = np.sort(np.random.default_rng(0).exponential(3.0, lut.total_q.shape), axis=1)
    tables = integer_tables(dataclasses.replace(lut, total_q=skewed), NO_OFFSET)
    values = in_mac(tables.gauss)[simulated(lut)]
    assert values.mean(axis=1) == pytest.approx(skewed.mean(axis=1), abs=2**-7)
    assert values.var(axis=1) == pytest.approx(skewed.var(axis=1), rel=0.01)
    middle = values.mean(axis=1, keepdims=True)
    assert np.abs((values - middle) + (values - middle)[:, ::-1]).max() < 2**-5


def test_gains_of_each_die_are_handed_on(lut: ErrorLUT, tables: IntegerTables) -> None:
    assert tables.volt_gain == tuple(lut.chip_volt_gain)
    assert tables.cell_gain == tuple(lut.chip_cell_gain)
    assert tables.volt_gain != tables.cell_gain


@pytest.mark.parametrize("dies", [2, 5, 8])
def test_second_half_of_the_dies_judges(dies: int) -> None:
    tables = integer_tables(make_lut(dies=dies), AMPLIFIER)
    first, last = VirtualChip(tables=tables, model="column", number=0).range(dies)
    assert tables.judging_dies == last - first == -(-dies // 2)
