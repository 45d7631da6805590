"""Circuits that do not converge: what is tried, what is kept."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from prcim.cells.load import resistor_load
from prcim.characterize.chunk import chunks
from prcim.characterize.plan import named_plan
from prcim.characterize.run import Characterization, run_plan
from prcim.characterize.samples import chunk_file
from prcim.characterize.streams import Stream
from prcim.errors import RunError
from prcim.spice.deck import Deck
from prcim.spice.ladder import LADDER, climb
from prcim.spice.ngspice import Ngspice, find_ngspice

DIVIDER = Deck(netlist="* divider\nv1 a 0 1\nr1 a b 1k\nr2 b 0 1k\n", save=("v(b)",), analyses=("op",))
PLAN = named_plan("8t-64-quick").changed(
    ["rows=8", "sums=5", "sampling.columns=4", "patterns=2", "chips=2", "cells=16", "failures_max=0.5"]
)


def stubborn(tmp_path: Path, condition: str) -> Ngspice:
    """A simulator that finds no solution where a shell condition on the deck holds; the real one elsewhere."""
    path = tmp_path / "stubborn"
    path.write_text(
        f'#!/bin/sh\nif {condition}; then echo "Error: no convergence in this circuit" > out.log; exit 1; fi\n'
        f'exec {find_ngspice().path} "$@"\n'
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return Ngspice(path=str(path), version=find_ngspice().version)


@pytest.mark.parametrize("rung", range(len(LADDER)))
def test_each_rung_is_tried_in_turn(rung: int, tmp_path: Path) -> None:
    first_word = LADDER[rung].split()[-1]
    ngspice = stubborn(tmp_path, f"! grep -q '{first_word}' deck.cir")
    assert not ngspice.run(DIVIDER).ok
    outcome, deck = climb(ngspice, DIVIDER, 20)
    assert outcome.ok
    assert outcome.values["v(b)"][0] == pytest.approx(0.5)
    # No rung above the one that helped, and all below it.
    assert [line in deck.netlist for line in LADDER] == [k <= rung for k in range(len(LADDER))]


def test_top_of_the_ladder_keeps_the_words(tmp_path: Path) -> None:
    outcome, deck = climb(stubborn(tmp_path, "true"), DIVIDER, 20)
    assert outcome.status == "failed: Error: no convergence in this circuit"
    assert all(line in deck.netlist for line in LADDER)


def test_options_do_not_change_an_answer() -> None:
    ngspice = find_ngspice()
    for line in LADDER:
        tried = Deck(netlist=f"{DIVIDER.netlist}.options {line}\n", save=DIVIDER.save, analyses=DIVIDER.analyses)
        assert ngspice.run(tried).values["v(b)"][0] == pytest.approx(0.5, rel=1e-9)


def run(folder: Path, ngspice: Ngspice) -> Characterization:
    with ThreadPoolExecutor(1) as pool:
        return run_plan(PLAN, ngspice, folder, pool, workers=1)


def test_shot_that_is_never_solved_is_a_row_with_a_deck(tmp_path: Path) -> None:
    """The decks of one column find no solution; every one of its ten shots is a row, with its deck."""
    clean = run(tmp_path / "clean", find_ngspice())
    marks = _mark_of_column(2)
    found = run(tmp_path / "failed", stubborn(tmp_path, f"grep -q '{marks}' deck.cir"))
    work = [chunk for chunk in chunks(PLAN) if chunk.kind == "columns"]
    rows = pd.concat([pd.read_parquet(chunk_file(tmp_path / "failed", chunk)) for chunk in work])
    bad = rows[rows["status"] != "ok"]
    assert len(bad) == 10
    assert set(bad["column"]) == {2}
    assert bad["v_bl_v"].isna().all()
    for status in bad["status"]:
        words, _, file = status.partition("; its deck is ")
        assert words == "failed: Error: no convergence in this circuit"
        text = (tmp_path / "failed" / file).read_text()
        assert marks in text
        # The deck can be run as it stands.
        assert text.rstrip().endswith(".end")
    assert found.summary["failures"] == 10
    assert clean.summary["failures"] == 0
    assert not (tmp_path / "clean" / "failed").exists()


def test_too_many_and_there_is_no_table_but_the_decks_stay(tmp_path: Path) -> None:
    # Forty shots of columns, of 76 in all.
    marks = " ".join(f"-e '{_mark_of_column(index)}'" for index in range(4))
    ngspice = stubborn(tmp_path, f"grep -q {marks} deck.cir")
    with pytest.raises(RunError, match=r"shots failed, more than the allowed share 0\.5; there is no table"):
        run(tmp_path / "run", ngspice)
    assert list((tmp_path / "run" / "failed").glob("*.cir"))
    assert not (tmp_path / "run" / "lut.npz").exists()


def _mark_of_column(index: int) -> str:
    """Text that only the decks of one column hold: the first threshold shift of its first cell."""
    column = PLAN.make_column(resistor_load(1e5), 1e5)
    draw = column.draw(PLAN.make_mismatch(), (PLAN.seed, Stream.COLUMN, index))
    return f"dvt_pul={draw.dvt_v[0, 0, 0]:.6g} "
