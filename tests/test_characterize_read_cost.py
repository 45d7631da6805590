"""What a read costs beyond its shot: word lines of every shot, reference, comparator; failures."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from prcim.cells.reads.settling import settled, settling_deck
from prcim.cells.reads.steady_read import SteadyRead
from prcim.characterize.plan import Plan, named_plan
from prcim.characterize.read_cost import ReadCost, read_cost
from prcim.characterize.size import size
from prcim.errors import RunError
from prcim.spice.deck import Deck
from prcim.spice.ngspice import find_ngspice
from prcim.spice.outcome import Outcome

NGSPICE = find_ngspice()
N = 16
N_ON = (0, 4, 8, 12, 16)


def solve(decks: Sequence[Deck]) -> Iterable[Outcome]:
    return [NGSPICE.run(deck) for deck in decks]


def plan_of(*settings: str) -> Plan:
    return named_plan("8t-64-quick").changed([f"rows={N}", "sums=9", *settings])


def cost_of(plan: Plan, n_on: Sequence[int] = N_ON) -> ReadCost:
    column, read = size(plan, NGSPICE)
    return read_cost(plan, column, read, solve, n_on=n_on)


@pytest.fixture(scope="module")
def cost() -> ReadCost:
    return cost_of(plan_of())


@pytest.mark.parametrize("cell", ["8t", "6t", "1t1r"])
def test_shot_with_its_cost_is_a_read_in_time(cell: str) -> None:
    """Columns with mismatch, any pattern: the whole read, followed in time, takes what shot and cost say."""
    own = {"8t": [], "6t": ["v_wl_v=0.4"], "1t1r": ["v_wl_v=0.8", "swing_v=0.15"]}[cell]
    plan = plan_of(f"column.cell={cell}", *own)
    column, read = size(plan, NGSPICE)
    assert isinstance(read, SteadyRead)
    cost = read_cost(plan, column, read, solve, n_on=N_ON)
    rng = np.random.default_rng(61)
    for index in range(4):
        draw, n_on = column.draw(plan.make_mismatch(), (61, index)), np.array([(3, 7, 11, 16)[index]])
        rank = rng.permutation(N)
        inputs = np.where(rank < n_on[:, None], draw.weights, -draw.weights).astype(np.int8)
        shot, in_time = solve([read.deck(column, draw, inputs), settling_deck(read, column, draw, inputs[0])])
        found = settled(read, column, in_time)
        assert found is not None
        whole_j = read.result(column, draw, inputs, shot).energy_j + cost.added_j(n_on)
        whole_j -= cost.decision_j + cost.reference_j
        # 0.7 % at most in these draws; without word lines it is 5 to 10 %.
        np.testing.assert_allclose(whole_j, found.energy_j, rtol=0.015)


def test_word_lines_of_a_steady_read_cost_something_at_every_sum(cost: ReadCost) -> None:
    """Sixteen word lines of a 120 nm gate, some 0.1 fF each with overlap, go up to 0.35 V."""
    assert all(0.02e-15 * N < joule < 0.1e-15 * N for joule in cost.beyond_j)


@pytest.mark.parametrize(
    "settings", [["mode=pulsed", "swing_v=0.3"], ["column.cell=8t1c", "mode=charge", "v_wl_v=0.5"]]
)
def test_shot_in_time_lacks_reference_and_decision_only(settings: list[str]) -> None:
    cost = cost_of(plan_of(*settings))
    assert set(cost.beyond_j) == {0.0}
    assert cost.v_end_v == ()
    np.testing.assert_allclose(cost.added_j(np.arange(N + 1)), cost.reference_j + cost.decision_j, rtol=1e-12)


def test_added_energy_is_interpolated_between_sums() -> None:
    cost = ReadCost(n_on=(0, 4, 8), beyond_j=(1.0, 3.0, 0.0), reference_j=10.0, decision_j=100.0)
    np.testing.assert_allclose(cost.added_j(np.array([0, 1, 4, 6, 8])), [111, 111.5, 113, 111.5, 110])


def test_reference_is_a_share_of_reads_in_the_middle(cost: ReadCost) -> None:
    """Replicas are read once for all columns that share them; voltages from elsewhere cost nothing."""
    plan = plan_of()
    column, read = size(plan, NGSPICE)
    inputs = np.where(np.arange(N) < N // 2, 1, -1).astype(np.int8)
    (outcome,) = solve([settling_deck(read, column, column.nominal_draw(), inputs)])  # type: ignore[arg-type]
    middle = settled(read, column, outcome)  # type: ignore[arg-type]
    assert middle is not None
    share = plan.reference.replicas / plan.reference.shared_by
    assert cost.reference_j == pytest.approx(share * middle.energy_j, rel=1e-6, abs=0)
    more = read_cost(plan_of("replicas=32", "shared_by=128"), column, read, solve, n_on=(8,))
    assert more.reference_j == pytest.approx(4 * cost.reference_j, rel=1e-6, abs=0)
    for kind in ("ideal", "trimmed"):
        free = read_cost(plan_of(f"reference.kind={kind}"), column, read, solve, n_on=(8,))
        assert (free.reference_j, free.decision_j) == (0.0, cost.decision_j)


def test_decision_costs_more_with_size_and_supply(cost: ReadCost) -> None:
    """A load of 5 fF and the latch's own nodes swing by the supply: some 20 fF at (1.1 V)^2."""
    assert 15e-15 < cost.decision_j < 40e-15
    column, read = size(plan_of(), NGSPICE)
    found = {
        setting: read_cost(plan_of(setting), column, read, solve, n_on=(8,)).decision_j
        for setting in ("w_in_m=4e-6", "l_m=100e-9")
    }
    assert all(joule > 1.05 * cost.decision_j for joule in found.values())
    low = plan_of().changed(["vdd_v=0.9"])
    less = read_cost(low, replace(column, technology=low.make_technology()), read, solve, n_on=(8,))
    assert less.decision_j == pytest.approx(cost.decision_j * (0.9 / 1.1) ** 2, rel=0.15, abs=0)


def test_sums_that_coincide_count_once() -> None:
    cost = cost_of(plan_of("rows=2", "sums=3", "swing_v=0.03"), n_on=(0, 0, 1, 2, 2))
    assert cost.n_on == (0, 1, 2)
    assert len(cost.beyond_j) == len(cost.v_end_v) == 3


@pytest.mark.parametrize(
    ("failing", "words"),
    [
        (0, "the column without mismatch cannot be read: failed: singular matrix"),
        (1, "a read of the column without mismatch in time cannot be simulated: failed: singular matrix"),
        (2, "the comparator cannot be simulated: failed: singular matrix; comparator.w_in_m"),
    ],
)
def test_simulation_that_fails_is_named(failing: int, words: str) -> None:
    plan = plan_of()
    column, read = size(plan, NGSPICE)

    def run(decks: Sequence[Deck]) -> Iterable[Outcome]:
        for deck in decks:
            good = next(iter(solve([deck])))
            bad = next(k for k, word in enumerate(("steady-state", "in time", "offsets")) if word in deck.netlist[:80])
            yield replace(good, status="failed: singular matrix", plots=()) if bad == failing else good

    with pytest.raises(RunError, match=words):
        read_cost(plan, column, read, run, n_on=(8,))
