"""Sizing: the swing that a plan asks for is what its column has; what a line forbids is refused."""

from pathlib import Path

import numpy as np
import pytest
from columns import Case, conducting, read_v

from prcim.cells.devices.part import Part
from prcim.cells.devices.passive import Resistor
from prcim.cells.devices.transistor import Transistor
from prcim.cells.load import load_deck
from prcim.cells.mismatch import Mismatch
from prcim.cells.reads.pulsed_read import PulsedRead
from prcim.cells.reads.read import NO_SHOTS
from prcim.characterize.plan import Plan
from prcim.characterize.size import size
from prcim.errors import InputError, RunError
from prcim.spice.ngspice import Ngspice, find_ngspice

PLAN = Plan(name="sizes").changed(["rows=8", "sums=3"])


@pytest.fixture(scope="module")
def ngspice() -> Ngspice:
    return find_ngspice()


def sized(ngspice: Ngspice, *settings: str) -> Case:
    column, read = size(PLAN.changed(list(settings)), ngspice)
    return Case(column=column, read=read)


def swing_v(ngspice: Ngspice, case: Case) -> float:
    """From the supply, or the balance of two lines, to where all cells pull."""
    n = case.column.n_used
    full_v = read_v(ngspice, case, case.column.nominal_draw(), conducting(n, [n]))[0]
    return float((1.1 if len(case.column.ends) == 1 else 0.0) - full_v)


@pytest.mark.parametrize(
    ("settings", "within"),
    [
        (["cell=8t"], 0.001),
        (["cell=8t", "n_used=3"], 0.001),
        (["cell=8t", "swing_v=0.3"], 0.001),
        (["cell=8t", "load=pmos", "rows=32"], 0.01),
        (["cell=8t", "load=pmos", "swing_v=0.3", "v_wl_v=0.5"], 0.01),
        (["cell=8t", "mode=pulsed"], 0.01),
        (["cell=8t", "mode=pulsed", "swing_v=0.3"], 0.01),
        (["cell=8t", "mode=pulsed", "n_used=3", "swing_v=0.05"], 0.01),
        (["cell=6t"], 0.005),
        (["cell=6t", "mode=pulsed"], 0.01),
        (["cell=6t", "flavour=hp", "v_wl_v=0.9"], 0.005),
        (["cell=1t1r", "v_wl_v=0.4"], 0.001),
        (["cell=1t1r", "mode=pulsed", "c_bl_fixed_f=1e-13"], 0.01),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_swing(ngspice: Ngspice, settings: list[str], within: float) -> None:
    plan = PLAN.changed(settings)
    found = swing_v(ngspice, sized(ngspice, *settings))
    assert found == pytest.approx(plan.read.swing_v, rel=within)


def test_charge_domain(ngspice: Ngspice) -> None:
    """Nothing to find; the switch's resistance falls with its width, and 12 time constants with it."""
    narrow, wide = (sized(ngspice, "cell=8t1c", "mode=charge", f"w_switch_m={w}") for w in ("1e-6", "2e-6"))
    assert narrow.column.load_ohm / wide.column.load_ohm == pytest.approx(2, rel=0.03)
    assert narrow.read.t_read_s(narrow.column) > wide.read.t_read_s(wide.column)
    n = narrow.column.n_used
    volts = read_v(ngspice, narrow, narrow.column.nominal_draw(), conducting(n, [0, n]))
    # By hand: 8 capacitors of 4 fF on a line of 22 fF, each moved by 0.35 V.
    assert volts[0] - volts[1] == pytest.approx(0.35 * 32 / (32 + 22.4), rel=0.05)


def test_unused_rows_take_longer(ngspice: Ngspice) -> None:
    """The same cells on a longer line: a longer pulse, or the same load with a longer time constant."""
    short, long = (sized(ngspice, "mode=pulsed", "n_used=4", f"rows={rows}") for rows in (4, 40))
    assert isinstance(short.read, PulsedRead)
    assert isinstance(long.read, PulsedRead)
    ratio = long.column.c_bl_f / short.column.c_bl_f
    # Drains of the cells' transistors count too; and what the switch lifts the line by is the less the longer it is.
    assert 0.85 * ratio < long.read.t_pulse_s / short.read.t_pulse_s < 1.15 * ratio
    assert ratio > 1.9
    short, long = (sized(ngspice, "n_used=4", f"rows={rows}") for rows in (4, 40))
    assert long.column.load_ohm == pytest.approx(short.column.load_ohm, rel=0.02)
    assert long.read.t_read_s(long.column) == pytest.approx(ratio * short.read.t_read_s(short.column), rel=0.02)


def test_loads(ngspice: Ngspice) -> None:
    resistor: Part = sized(ngspice, "load_rel_sigma=0.03").column.load
    assert isinstance(resistor, Resistor)
    assert resistor.rel_sigma(Mismatch()) == 0.03
    pmos = sized(ngspice, "load=pmos", "rows=32").column.load
    assert isinstance(pmos, Transistor)
    assert pmos.kind == "p"
    wider = sized(ngspice, "load=pmos", "rows=64").column.load
    assert isinstance(wider, Transistor)
    # Twice the cells need twice the width, less the part of a width that does not conduct.
    assert wider.w_m / pmos.w_m == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize(
    ("settings", "supply_v"), [(["mode=pulsed"], 1.1), (["cell=8t1c", "mode=charge", "v_wl_v=0.6"], 0.3)]
)
def test_resistance_of_a_switch(ngspice: Ngspice, settings: list[str], supply_v: float) -> None:
    """By Ohm's law at a drop of 50 mV."""
    column = sized(ngspice, *settings).column
    deck = load_deck(column.technology, column.load, supply_v=supply_v, drop_v=0.05)
    assert column.load_ohm == pytest.approx(0.05 / ngspice.run(deck).values["i(vline)"][0], rel=1e-6)


def test_other_swings_of_one_line(ngspice: Ngspice) -> None:
    """Ohm's law: where cells are current sources the load grows as the swing does."""
    ohm = [sized(ngspice, f"swing_v={v}").column.load_ohm for v in (0.05, 0.1)]
    assert 2 < ohm[1] / ohm[0] < 2.3


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["swing_v=0.95"], r"falls to 0\.150 V, where the read transistors leave saturation \(limit 0\.200 V"),
        (["flavour=hp", "v_wl_v=1.0", "swing_v=0.4"], r"falls to 0\.700 V, where .* \(limit 0\.750 V, the larger of"),
        (["flavour=hp", "v_wl_v=1.0", "mode=pulsed", "swing_v=0.4"], r"falls to 0\.700 V, where the read transistors"),
        (["flavour=hp", "v_wl_v=1.0", "rows=64"], r"draw 4\.\d* mA; the limit i_line_max_a is 2 mA; lower v_wl_v"),
        (["i_line_max_a=1e-6"], r"draw 0\.00\d* mA; the limit i_line_max_a is 0\.001 mA"),
        (["mode=pulsed", "flavour=hp", "v_wl_v=0.6"], r"t_pulse_s is .* ps; a pulse needs at least 100 ps \(3 edges"),
        (["load=pmos", "rows=4"], r"a PMOS load for \d.* uA at 0\.08 V would be -?\d+ nm wide, less than 80 nm; raise"),
        (
            ["cell=6t", "flavour=hp", "v_wl_v=1.1", "a_vt_v_m=1.3e-8", "swing_v=0.24"],
            r"falls to 0\.860 V, where it overwrites cells \(limit 0\.9\d\d V, 4 sigma above .*; lower swing_v",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_refused(ngspice: Ngspice, settings: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        sized(ngspice, *settings)


def test_limits_are_where_the_messages_say(ngspice: Ngspice) -> None:
    """Just inside each limit a plan passes."""
    hp = ["flavour=hp", "v_wl_v=1.0"]
    assert sized(ngspice, *hp, "swing_v=0.34").column.load_ohm > 0
    current_a = 0.08 / sized(ngspice, *hp).column.load_ohm
    assert sized(ngspice, *hp, f"i_line_max_a={1.001 * current_a}").column.load_ohm > 0
    with pytest.raises(InputError, match="the limit i_line_max_a"):
        sized(ngspice, *hp, f"i_line_max_a={0.999 * current_a}")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ([], "the column without mismatch cannot be simulated: failed: "),
        (["mode=pulsed"], "the load of the bit line cannot be simulated: failed: "),
        (["cell=8t1c", "mode=charge"], "the load of the bit line cannot be simulated: failed: "),
    ],
)
def test_simulator_that_fails(tmp_path: Path, settings: list[str], words: str) -> None:
    broken = tmp_path / "ngspice"
    broken.write_text("#!/bin/sh\necho Fatal error: no luck > out.log\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(RunError, match=words):
        sized(Ngspice(path=str(broken), version="39"), *settings)


def test_pulse_that_cannot_be_simulated(ngspice: Ngspice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PulsedRead, "result", lambda *_: NO_SHOTS)
    with pytest.raises(RunError, match="the pulsed read of the column without mismatch cannot be simulated"):
        sized(ngspice, "mode=pulsed")


@pytest.mark.slow
@pytest.mark.parametrize("settings", [["cell=8t"], ["cell=8t", "n_used=100"], ["cell=6t"]], ids=" ".join)
def test_512_rows(ngspice: Ngspice, settings: list[str]) -> None:
    """One read with mismatch, of half of the rows; it lands within 6 standard errors of half of the swing.

    The cells' spread is 35 % or less at this word line, so that of K = n/2 of them 50 %/sqrt(K).
    """
    case = sized(ngspice, *settings, "rows=512", "swing_v=0.1")
    n = case.column.n_used
    draw = case.column.draw(Mismatch(), (50, 1))
    # Every other row, so that both ends of the wire take part.
    products = np.where(np.arange(n) % 2 == 0, 1, -1).astype(np.int8)
    inputs = (products * draw.weights[:n]).astype(np.int8)
    half_v, full_v = read_v(ngspice, case, case.column.nominal_draw(), np.array([products, np.ones(n, dtype=np.int8)]))
    found_v = read_v(ngspice, case, draw, inputs[None])[0]
    one_v = 0.1 / n
    assert (1.1 if len(case.column.ends) == 1 else 0.0) - full_v == pytest.approx(0.1, rel=0.005)
    assert abs(found_v - half_v) < 6 * 0.5 * np.sqrt(n) * one_v
    # A mean of exp(x) above exp of the mean: cells with mismatch draw more.
    assert found_v != pytest.approx(half_v, abs=0.1 * one_v)
