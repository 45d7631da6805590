"""Decks of small fixed columns, as checksums: who changes a deck raises DECK_VERSION, so old samples are not mixed in.

After a change of a deck that is meant, raise DECK_VERSION in characterize/plan.py and put the checksums that the failed
test prints here.
"""

import hashlib
import re
from dataclasses import replace

import numpy as np
import pytest

from prcim.cells.cell_8t import Cell8T
from prcim.cells.column import Column
from prcim.cells.mismatch import Mismatch
from prcim.cells.read_current import read_currents
from prcim.cells.steady_read import SteadyRead
from prcim.cells.technology import Technology
from prcim.characterize.plan import DECK_VERSION
from prcim.spice.deck import Deck
from prcim.spice.library import ModelLibrary

#: DECK_VERSION -> checksum of each deck.
GOLDEN = {
    1: {
        "steady": "475f2d29c3d8742f",
        "probe": "6deb93540e69434e",
        "noise": "bc8056f480126e33",
        "transient": "53d58b9cb620ed02",
        "currents": "f4f4e67823ab20fb",
    }
}

#: A short card: the real one has a checksum of its own in the plan's identity.
CARD = ModelLibrary(name="card.lib", text=".model nch nmos level=54\n.model pch pmos level=54\n")
COLUMN = Column(
    technology=Technology(library=CARD, nmos="nch", pmos="pch", vdd_v=1.05, temp_c=40.0),
    cell=Cell8T(),
    rows=4,
    n_used=3,
    load_ohm=66e3,
)
READ = SteadyRead(v_wl_v=0.35)
INPUTS = np.array([[1, 1, -1], [1, -1, -1], [-1, -1, 1]], dtype=np.int8)


def decks() -> dict[str, Deck]:
    draw = COLUMN.draw(Mismatch(), (1, 2, 3))
    shifts = draw.dvt_v[:, 0], draw.mu[:, 0]
    return {
        "steady": READ.deck(COLUMN, draw, INPUTS),
        "probe": READ.probe_deck(COLUMN, 0.93),
        "noise": READ.noise_deck(COLUMN, INPUTS[0]),
        "transient": READ.transient_deck(COLUMN, INPUTS[0]),
        "currents": read_currents(COLUMN.technology, COLUMN.cell, shifts, v_wl_v=0.35, v_bl_v=1.0)[0],
    }


def checksum(deck: Deck) -> str:
    """Of the text with six digits of each number: the last of sixteen may differ from processor to processor."""
    text = re.sub(r"\d\.\d{6,}(e[-+]\d+)?|\d{2,}\.\d{5,}", lambda number: f"{float(number[0]):.6g}", deck.text)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def test_golden_decks() -> None:
    found = {name: checksum(deck) for name, deck in decks().items()}
    assert DECK_VERSION in GOLDEN, f"DECK_VERSION is {DECK_VERSION}: replace the entry of GOLDEN by {found}"
    assert found == GOLDEN[DECK_VERSION], (
        f"a deck has changed. If that is meant, set DECK_VERSION in characterize/plan.py to {DECK_VERSION + 1}"
        f" and GOLDEN to {{{DECK_VERSION + 1}: {found}}}"
    )


@pytest.mark.parametrize("name", list(decks()))
def test_checksum_sees_every_line(name: str) -> None:
    deck = decks()[name]
    lines = deck.netlist.splitlines(keepends=True)
    for i, line in enumerate(lines):
        shorter = replace(deck, netlist="".join(lines[:i] + lines[i + 1 :]))
        assert not line.strip() or checksum(shorter) != checksum(deck)
    assert checksum(replace(deck, save=("v(other)",))) != checksum(deck)
    assert checksum(replace(deck, analyses=("op 1",))) != checksum(deck)


def test_checksum_forgives_the_last_digits_only() -> None:
    one, same, other = (
        checksum(Deck(netlist=f"* t\nr1 a 0 {ohm}\n", save=(), analyses=()))
        for ohm in ("65885.73499543079", "65885.73499543086", "65885.9")
    )
    assert one == same
    assert one != other
