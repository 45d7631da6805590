"""Reads with whole cells and with held latches: what they differ by is found, and decides what is simulated."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from prcim.cells.column import Column
from prcim.cells.reads.read import Read
from prcim.characterize.chunk import Chunk
from prcim.characterize.engine import Engine
from prcim.characterize.held import COLUMNS, MOVED_MAX_MAC, READS, WHOLE, Held, compare_held, draws_at_rest
from prcim.characterize.plan import Plan, named_plan
from prcim.characterize.read_cost import ReadCost
from prcim.characterize.size import size
from prcim.spice.deck import Deck
from prcim.spice.ngspice import Ngspice, find_ngspice
from prcim.spice.outcome import Outcome

BASE = named_plan("8t-64-quick").changed(["rows=8", "n_used=8", "sums=9", "swing_v=0.05"])
NOTHING = ReadCost(n_on=(0,), beyond_j=(0.0,), v_end_v=(0.0,), reference_j=0.0, decision_j=0.0)


@dataclass
class Runs:
    """Runs decks and keeps them; adds volts to the second read of those with held latches, or fails those without."""

    moved_v: float = 0.0
    whole_fails: bool = False
    decks: list[Deck] = field(default_factory=list)

    def __call__(self, decks: Sequence[Deck]) -> list[Outcome]:
        self.decks += decks
        return [self.one(deck) for deck in decks]

    def one(self, deck: Deck) -> Outcome:
        outcome = find_ngspice().run(deck)
        if "keepers" in deck.netlist:
            return outcome
        if "vhold" not in deck.netlist:
            return replace(outcome, status="failed: by the test", plots=()) if self.whole_fails else outcome
        # The column without mismatch, which has five reads, says what a volt is worth.
        if not self.moved_v or "dc vshot 0 2 1" not in deck.text:
            return outcome
        values = {name: v.copy() for name, v in outcome.values.items()}
        values["v(rbl0)"][1] += self.moved_v
        return replace(outcome, plots=(values,))


def sized(plan: Plan) -> tuple[Plan, Column, Read]:
    return plan, *size(plan, find_ngspice())


@pytest.fixture(scope="module")
def steady() -> tuple[Plan, Column, Read]:
    return sized(BASE)


def test_steady_reads_are_the_same(steady: tuple[Plan, Column, Read]) -> None:
    found = compare_held(*steady, Runs())
    assert found.n == COLUMNS * READS
    assert found.max_mac is not None
    assert 0 < found.max_mac < 1e-5
    assert found.used
    assert found.meta == {"n": 12, "max_mac": pytest.approx(found.max_mac, rel=0.05), "used": True}


@pytest.mark.parametrize(
    "settings",
    [["mode=pulsed", "v_wl_v=0.4", "swing_v=0.2"], ["cell=8t1c", "mode=charge", "v_wl_v=0.5", "swing_v=0.2"]],
)
def test_reads_in_time_are_within_the_bound(settings: list[str]) -> None:
    found = compare_held(*sized(BASE.changed(settings)), Runs())
    assert found.n == COLUMNS * READS
    assert found.used


def test_what_moves_a_read_is_found_in_units_of_the_sum(steady: tuple[Plan, Column, Read]) -> None:
    """8 conducting cells are a swing of 50 mV, 16 in S: 0.1 mV are 0.03, a third more or less as the curve bends."""
    for moved_v in (1e-4, -1e-4):
        found = compare_held(*steady, Runs(moved_v=moved_v))
        assert found.max_mac == pytest.approx(16 * 1e-4 / 0.05, rel=0.4)
        assert not found.used
    assert compare_held(*steady, Runs(moved_v=1e-5)).used


def test_limit() -> None:
    assert Held(n=1, max_mac=0.99 * MOVED_MAX_MAC).used
    assert not Held(n=1, max_mac=MOVED_MAX_MAC).used
    assert not Held(n=1, max_mac=float("nan")).used
    assert not WHOLE.used
    assert WHOLE.meta == {"n": 0, "max_mac": None, "used": False}


def test_nothing_to_compare(steady: tuple[Plan, Column, Read]) -> None:
    """Whole cells that cannot be simulated, and cells without a latch that could be held."""
    assert compare_held(*steady, Runs(whole_fails=True)) == WHOLE
    runs = Runs()
    plan = BASE.changed(["cell=6t"])
    column = plan.make_column(steady[1].load, steady[1].load_ohm)
    assert compare_held(plan, column, steady[2], runs) == WHOLE
    assert not runs.decks
    draw = column.nominal_draw()
    assert draws_at_rest(column, [draw, draw], runs) == [draw, draw]


@dataclass(frozen=True, kw_only=True)
class Recorder(Ngspice):
    """The simulator; it remembers what it was asked."""

    decks: list[Deck]

    def run(self, deck: Deck, **options: Any) -> Outcome:
        self.decks.append(deck)
        return super().run(deck, **options)


@pytest.mark.parametrize("kind", ["columns", "chips"])
def test_engine_holds_latches_only_if_it_may(steady: tuple[Plan, Column, Read], kind: Any) -> None:
    plan, column, read = steady
    rows = []
    for held in (WHOLE, Held(n=12, max_mac=1e-9)):
        ngspice = Recorder(path=find_ngspice().path, version=find_ngspice().version, decks=[])
        engine = Engine(plan=plan, plan_id="f" * 64, ngspice=ngspice, column=column, read=read, cost=NOTHING, held=held)
        rows.append(engine.simulate(Chunk(kind=kind, first=1, last=2)))
        reads = [deck for deck in ngspice.decks if "keepers" not in deck.netlist]
        assert len(ngspice.decks) - len(reads) == int(held.used)
        assert {"vhold" in deck.netlist for deck in reads} == {held.used}
    whole, reduced = rows
    assert set(reduced["status"]) == {"ok"}
    np.testing.assert_allclose(reduced["v_bl_v"], whole["v_bl_v"], atol=1e-8)
    np.testing.assert_allclose(reduced["energy_j"], whole["energy_j"], rtol=1e-5)
    np.testing.assert_array_equal(reduced["mac"], whole["mac"])
