"""What the engine makes of decks that stop, of cells that lose their data, of simulators that hang."""

import json
from collections import Counter
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from prcim.cells.column import Column, ColumnDraw
from prcim.cells.load import pmos_load, resistor_load
from prcim.cells.reads.charge_read import ChargeRead
from prcim.cells.reads.pulsed_read import PulsedRead
from prcim.cells.reads.read import NO_SHOTS, Read, Shots
from prcim.cells.reads.steady_read import SteadyRead
from prcim.characterize.chunk import Chunk
from prcim.characterize.engine import LOST, Engine
from prcim.characterize.patterns import input_patterns
from prcim.characterize.plan import named_plan
from prcim.characterize.read_cost import ReadCost
from prcim.characterize.size import size
from prcim.errors import RunError
from prcim.spice.deck import Deck
from prcim.spice.ladder import LADDER
from prcim.spice.ngspice import Ngspice, find_ngspice
from prcim.spice.outcome import Outcome

PLAN = named_plan("8t-64-quick").changed(["rows=16", "sums=9", "patterns=5"])
COLUMN = PLAN.make_column(resistor_load(1e4), 1e4)
DRAW = COLUMN.draw(PLAN.make_mismatch(), (PLAN.seed, 1, 3))
INPUTS, _ = input_patterns(DRAW.weights, PLAN, 3, range(PLAN.sampling.patterns))
COUNT = len(INPUTS)
NOTHING = ReadCost(n_on=(0,), beyond_j=(0.0,), v_end_v=(0.0,), reference_j=0.0, decision_j=0.0)
COST = ReadCost(n_on=(0, 16), beyond_j=(0.0, 16e-15), reference_j=1e-13, decision_j=2e-13)
CHEAP = settings(derandomize=True, deadline=None, max_examples=60)

Signs = NDArray[np.int8]


def shot_j(mac: int, number: int) -> Any:
    """Energy of a read of which the simulation says its number in fJ; a conducting cell adds one more."""
    return pytest.approx(1e-15 * (number + (mac + 16) / 2 + 300), rel=1e-12, abs=0)


class Scripted(Read):
    """A read that knows what becomes of each input vector; its deck is the list of their numbers.

    The voltage that a vector reads is its number. Reads after a lost one belong to another state: there are none.
    """

    name: ClassVar[str] = "steady"
    v_wl_v = 0.4

    def __init__(self, *, lost: set[int] = frozenset(), stops: set[int] = frozenset(), limit: int = 512) -> None:  # type: ignore[assignment]
        self.lost, self.stops = lost, stops
        self.shots_per_deck = limit  # type: ignore[misc]

    def t_read_s(self, column: Column) -> float:
        return 1e-9

    def deck(self, column: Column, draw: ColumnDraw, inputs: Signs) -> Deck:
        # Vectors at both ends of the patterns are alike, so equal ones share the number of the first.
        numbers = [int(np.flatnonzero((x == INPUTS).all(axis=1))[0]) for x in inputs]
        return Deck(netlist=json.dumps(numbers), save=(), analyses=())

    def result(self, column: Column, draw: ColumnDraw, inputs: Signs, outcome: Outcome) -> Shots:
        numbers: list[int] = json.loads(outcome.log.splitlines()[0])
        solved: list[int] = []
        for number in numbers:
            if number in self.stops:
                break
            solved.append(number)
            if number in self.lost:
                break
        if not solved:
            return NO_SHOTS
        held = np.array([number not in self.lost for number in solved])
        return Shots(v_bl_v=np.array(solved, dtype=float), energy_j=1e-15 * np.array(solved), held=held)

    def noise_deck(self, column: Column, inputs: Signs) -> Deck:
        raise NotImplementedError

    def noise_v(self, column: Column, outcome: Outcome) -> float | None:
        raise NotImplementedError


class Reader(Ngspice):
    """Gives back the deck that it is asked, and notes how many reads it has."""

    def __init__(self) -> None:
        super().__init__(path="none", version="0")
        object.__setattr__(self, "asked", [])

    def run(self, deck: Deck, *, timeout_s: float = 120.0) -> Outcome:
        asked: list[int] = self.asked  # type: ignore[attr-defined]
        # A deck on the ladder has options below.
        asked.append(len(json.loads(deck.netlist.splitlines()[0])))
        return Outcome(status="ok", plots=(), seconds=1.0, log=deck.netlist)


def numbers() -> list[int]:
    return list(json.loads(Scripted().deck(COLUMN, DRAW, INPUTS).netlist))


def rows(read: Scripted) -> tuple[list[dict[Any, Any]], list[int]]:
    """Rows of one column, and the sizes of all decks."""
    ngspice = Reader()
    engine = Engine(plan=PLAN, plan_id="f" * 64, ngspice=ngspice, column=COLUMN, read=read, cost=COST)
    found = engine.simulate(Chunk(kind="columns", first=3, last=4)).to_dict("records")
    return found, ngspice.asked  # type: ignore[attr-defined]


def test_rows_are_those_of_the_plan() -> None:
    found, asked = rows(Scripted())
    assert asked == [COUNT]
    assert [row["pattern"] for row in found] == [number // 9 for number in range(COUNT)]
    # Odd patterns run from the largest sum down.
    assert [row["mac"] for row in found[:18]] == [*range(-16, 17, 4), *range(16, -17, -4)]
    assert [row["v_bl_v"] for row in found] == numbers()
    assert [row["energy_j"] for row in found] == [
        shot_j(row["mac"], number) for row, number in zip(found, numbers(), strict=True)
    ]
    assert {(row["status"], row["column"], row["chip"], row["kind"]) for row in found} == {("ok", 3, -1, "columns")}
    assert sum(row["seconds"] for row in found) == pytest.approx(1)


@given(limit=st.integers(1, 60))
@CHEAP
def test_decks_are_no_longer_than_the_read_allows(limit: int) -> None:
    found, asked = rows(Scripted(limit=limit))
    assert sum(asked) == COUNT
    assert max(asked) <= limit
    assert len(asked) == -(-COUNT // limit)
    assert [row["v_bl_v"] for row in found] == numbers()


@given(
    lost=st.sets(st.integers(0, COUNT - 1), max_size=6),
    stops=st.sets(st.integers(0, COUNT - 1), max_size=6),
    limit=st.sampled_from([7, 16, 512]),
)
@CHEAP
def test_every_read_gets_what_it_would_get_alone(lost: set[int], stops: set[int], limit: int) -> None:
    """Whatever else is in its deck; where a deck stops, a read that stops it fails and no other."""
    found, asked = rows(Scripted(lost=lost, stops=stops, limit=limit))
    assert len(found) == COUNT
    for number, row in zip(numbers(), found, strict=True):
        if number in stops:
            assert row["status"].startswith("failed: no convergence; its deck is failed/columns-00003-00004-")
            assert np.isnan([row["v_bl_v"], row["energy_j"]]).all()
        else:
            assert row["status"] == (LOST if number in lost else "ok")
            assert (row["v_bl_v"], row["energy_j"]) == (number, shot_j(row["mac"], number))
    # Halving: each unlucky read costs a deck of every size on the way down to it, and one for the other half.
    bad = sum(number in lost | stops for number in numbers())
    # And one that stops goes up the ladder.
    climbs = len(LADDER) * sum(number in stops for number in numbers())
    assert len(asked) <= -(-COUNT // limit) + 2 * bad * (np.log2(min(limit, COUNT)) + 1) + climbs


@pytest.mark.parametrize("read", [Scripted(lost=set(range(COUNT))), Scripted(stops=set(range(COUNT)))])
def test_column_that_never_works_costs_n_log_n_reads(read: Scripted) -> None:
    found, asked = rows(read)
    assert "ok" not in {row["status"] for row in found}
    assert sum(asked) <= COUNT * (np.ceil(np.log2(COUNT)) + 1 + len(LADDER))


def engine_of_three(read: Read) -> Engine:
    plan = PLAN.changed(["cell=6t", "rows=3", "sums=3"])
    load, ohm = (resistor_load(4e4), 4e4) if read.name == "steady" else (pmos_load(1e-6), 1e3)
    column = plan.make_column(load, ohm)
    return Engine(plan=plan, plan_id="f" * 64, ngspice=find_ngspice(), column=column, read=read, cost=NOTHING)


@pytest.mark.parametrize("read", [SteadyRead(v_wl_v=1.0), PulsedRead(v_wl_v=1.0, t_pulse_s=1e-9)])
def test_reads_after_a_flipped_cell_are_those_of_a_fresh_column(read: Read) -> None:
    """6T cells with a full word line: two that pull one line to ground write the third, which stores a 1 on that side.

    When all three pull the same line there is nothing to write.
    """
    engine = engine_of_three(read)
    draw = engine.column.nominal_draw()
    alike, mixed = [[1, 1, 1], [-1, -1, -1]], [1, 1, -1]
    order = [alike[0], mixed, alike[0], alike[1]]
    found = list(engine._shots(draw, np.array(order, dtype=np.int8)))
    assert [shot.status for shot in found] == ["ok", LOST, "ok", "ok"]
    for x, shot in zip(order, found, strict=True):
        if shot.status == "ok":
            (alone,) = engine._shots(draw, np.array([x], dtype=np.int8))
            assert shot.v_bl_v == pytest.approx(alone.v_bl_v, abs=1e-5)
            assert shot.energy_j == pytest.approx(alone.energy_j, rel=1e-3, abs=0)
    # The third cell, written, would stand against the others and keep the lines apart by less.
    assert found[3].v_bl_v > 0.9


def test_nominal_column_that_loses_its_data_is_a_row_with_a_reason() -> None:
    """Sums between all and none write cells: the reads of single columns in time say so, and there is no table."""
    engine = engine_of_three(PulsedRead(v_wl_v=1.0, t_pulse_s=1e-9))
    found = [engine.simulate(Chunk(kind="reads", first=i, last=i + 1)).iloc[0] for i in (0, 1)]
    assert [row["status"] for row in found] == ["ok", LOST]


def test_charge_domain_read_says_how_far_its_plates_settle() -> None:
    """Plates that go up to where an N transistor hardly passes them; four times the time leaves much less."""
    left_v = []
    for t_settle_s in (1.2e-10, 4.8e-10, 1.92e-9):
        plan = PLAN.changed(["cell=8t1c", "mode=charge", "v_wl_v=0.5", "rows=4", "sums=3", f"t_settle_s={t_settle_s}"])
        column, read = size(plan, find_ngspice())
        assert isinstance(read, ChargeRead)
        engine = Engine(plan=plan, plan_id="f" * 64, ngspice=find_ngspice(), column=column, read=read, cost=NOTHING)
        end_v = engine.simulate(Chunk(kind="reads", first=0, last=1))["v_end_v"][0]
        (look,) = engine._shots(column.nominal_draw(), -np.ones((1, 4), dtype=np.int8))
        left_v.append(float(end_v - look.v_bl_v))
    assert left_v[0] > 3 * left_v[1] > 9 * left_v[2] > -1e-4
    assert left_v[0] > 1e-3


@pytest.mark.parametrize("kind", ["reads", "cells", "chips", "columns"])
@pytest.mark.parametrize(
    ("status", "words"), [("timeout: no answer within 120 s", "timeout"), ("killed: ended by signal 9", "killed")]
)
def test_simulator_that_hangs_or_dies_gives_no_rows(kind: Any, status: str, words: str) -> None:
    """Whatever is simulated: it is asked a second time, with its own time limit, and then the run ends."""

    class Hanging(Ngspice):
        def run(self, deck: Deck, *, timeout_s: float = 120.0) -> Outcome:
            limits[timeout_s] += 1
            return Outcome(status=status, plots=(), seconds=timeout_s, log="")

    limits = Counter[float]()
    ngspice = Hanging(path="none", version="0")
    engine = Engine(
        plan=PLAN,
        plan_id="f" * 64,
        ngspice=ngspice,
        column=COLUMN,
        read=SteadyRead(v_wl_v=0.4),
        cost=NOTHING,
        timeout_s=7,
    )
    with pytest.raises(RunError, match=rf"{words}.*, twice; finished chunks are kept: run the same command again"):
        engine.simulate(Chunk(kind=kind, first=0, last=1))
    assert limits == {7: 2}
