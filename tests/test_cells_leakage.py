"""Leakage of a cell at rest against the transistors that are off in it, and what moves it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from prcim.cells.benches.bench import Shifts
from prcim.cells.benches.leakage import leakage_currents, leakage_deck
from prcim.cells.cell import Cell
from prcim.cells.cell_6t import Cell6T
from prcim.cells.cell_8t import Cell8T
from prcim.cells.mismatch import Mismatch
from prcim.cells.registry import CELLS
from prcim.cells.technology import Technology, own_technology
from prcim.characterize.design.device import measure_device
from prcim.spice.ngspice import find_ngspice
from prcim.spice.outcome import Outcome

HP = own_technology(flavour="hp")


def leakage_a(
    cell: Cell, bit: int, *, technology: Technology = HP, shifts: Shifts | None = None
) -> dict[str, NDArray[np.float64]]:
    shifts = shifts or (np.zeros((1, len(cell.parts))), np.ones((1, len(cell.parts))))
    outcome = find_ngspice().run(leakage_deck(technology, cell, shifts, bit=bit))
    found = leakage_currents(technology, cell, outcome, cells=len(shifts[0]))
    assert found is not None, outcome.status
    return {str(name): current_a for name, current_a in found.items()}


def total_a(cell: Cell, bit: int, *, technology: Technology = HP) -> float:
    return float(sum(current_a[0] for current_a in leakage_a(cell, bit, technology=technology).values()))


@pytest.mark.parametrize("flavour", ["hp", "sram"])
@pytest.mark.parametrize("bit", [0, 1])
def test_a_6t_cell_leaks_what_its_off_transistors_do(bit: int, flavour: str) -> None:
    """At rest one pull-up, one pull-down and one pass gate are off with the whole supply across them."""
    technology, ngspice = own_technology(flavour=flavour), find_ngspice()
    cell = Cell6T()

    def off_a(kind: str, w_m: float) -> float:
        return measure_device(technology, "p" if kind == "p" else "n", ngspice, w_m=w_m).ioff_a_per_m * w_m

    found = leakage_a(cell, bit, technology=technology)
    supply_a = off_a("p", cell.w_pull_up_m) + off_a("n", cell.w_pull_down_m)
    # ngspice puts 1e-12 S across every junction; in the sram flavour that is a per cent.
    assert found["supply"][0] == pytest.approx(supply_a, rel=0.01, abs=5e-12)
    assert found["bit_lines"][0] == pytest.approx(off_a("n", cell.w_pass_m), rel=0.01, abs=5e-12)
    assert found["others"][0] == pytest.approx(0, abs=5e-12)


def test_the_read_port_of_an_8t_cell_leaks_more_when_it_stores_1() -> None:
    """Two transistors off in series leak far less than one."""
    one, zero = (leakage_a(Cell8T(), bit)["bit_lines"][0] for bit in (1, 0))
    assert one > 10 * zero > 0


@pytest.mark.parametrize("name", list(CELLS))
def test_heat_a_low_threshold_and_a_fast_die_leak(name: str) -> None:
    cell = CELLS[name]()
    heat = [total_a(cell, 1, technology=own_technology(flavour="hp", temp_c=t)) for t in (-40.0, 27.0, 125.0)]
    assert np.all(np.diff(np.log(heat)) > 1)
    assert total_a(cell, 1, technology=own_technology(flavour="sram")) < 0.05 * heat[1]
    dies = [total_a(cell, 1, technology=own_technology(flavour="hp", corner=c)) for c in ("ss", "tt", "ff")]
    assert np.all(np.diff(np.log(dies)) > 0.5)


def test_mismatch_raises_the_mean() -> None:
    """The current is exponential in the threshold, so its mean is above that of the mean cell.

    Log-normal: by exp(s^2 / 2), s = sigma_vt / (swing / ln 10); 300 draws know it to 6 %.
    """
    cell, mismatch = Cell6T(), Mismatch(a_beta_m=0)
    drawn = np.concatenate(
        [leakage_a(cell, 0, shifts=mismatch.draw_local(cell.parts, 100, (9, k)))["bit_lines"] for k in range(3)]
    )
    s = mismatch.sigma_vt_v(cell.w_pass_m, 65e-9) / (0.092 / np.log(10))
    assert drawn.mean() / leakage_a(cell, 0)["bit_lines"][0] == pytest.approx(np.exp(s**2 / 2), rel=0.15, abs=0)
    assert np.log(drawn).std() == pytest.approx(s, rel=0.15, abs=0)


def test_a_run_without_a_result() -> None:
    nothing = Outcome(status="failed: no", plots=(), seconds=0.0, log="")
    assert leakage_currents(HP, Cell6T(), nothing, cells=1) is None
