"""Decks of small fixed columns, as checksums: who changes a deck raises DECK_VERSION, so old samples are not mixed in.

After a change of a deck that is meant, raise DECK_VERSION in characterize/plan.py and put the checksums that the failed
test prints here.
"""

import hashlib
import re
from dataclasses import replace

import numpy as np
import pytest

from prcim.cells.benches.read_current import read_currents
from prcim.cells.cell_1t1r import Cell1T1R
from prcim.cells.cell_6t import Cell6T
from prcim.cells.cell_8t import Cell8T
from prcim.cells.cell_8t1c import Cell8T1C
from prcim.cells.column import Column
from prcim.cells.load import load_deck, nmos_switch, pmos_load, resistor_load
from prcim.cells.mismatch import Mismatch
from prcim.cells.readouts.offset_search import OffsetSearch
from prcim.cells.readouts.strongarm import StrongArm
from prcim.cells.reads.charge_read import ChargeRead
from prcim.cells.reads.pulsed_read import PulsedRead
from prcim.cells.reads.read import Read
from prcim.cells.reads.settling import settling_deck
from prcim.cells.reads.steady_read import SteadyRead
from prcim.cells.rest import rest_deck
from prcim.cells.technology import Technology
from prcim.characterize.plan import DECK_VERSION
from prcim.spice.deck import Deck
from prcim.spice.library import ModelLibrary

#: DECK_VERSION -> checksum of each deck.
GOLDEN: dict[int, dict[str, str]] = {
    3: {
        "8t-steady": "9aa0fd19eb347df9",
        "8t-steady-noise": "3fb877a94b8bb5d2",
        "8t-steady-rest": "a0a43056bbeda319",
        "8t-steady-held": "6c1404343b4ddeea",
        "8t-steady-probe": "641934dd5f5608c8",
        "8t-steady-settling": "c1f40a915f852579",
        "8t-steady-currents": "8785bc5171882d1c",
        "8t-steady-pmos": "8d9a7c446d187446",
        "8t-steady-pmos-noise": "d5fc63e899dc22a4",
        "8t-steady-pmos-rest": "a0a43056bbeda319",
        "8t-steady-pmos-held": "f4d74b2da1a5f4c8",
        "8t-steady-ground": "5d6a71302638d6c5",
        "8t-steady-ground-noise": "5104b5f3c7923674",
        "8t-steady-ground-rest": "a0a43056bbeda319",
        "8t-steady-ground-held": "d235d99dea398bc3",
        "8t-pulsed": "d425afd76ec8a39c",
        "8t-pulsed-noise": "6e8bdb9d9044469f",
        "8t-pulsed-brief": "814f1553910e9488",
        "8t-pulsed-rest": "a0a43056bbeda319",
        "8t-pulsed-held": "ae8f0b27d8d2b0eb",
        "6t-steady": "2cf19d636285c1d7",
        "6t-steady-noise": "611a794aee70d968",
        "6t-steady-probe": "50e485276af37c79",
        "6t-steady-settling": "6c987a937944004e",
        "6t-steady-currents": "dac2140cc8ba6d19",
        "6t-pulsed": "bc590730291057af",
        "6t-pulsed-noise": "fa16ccc8171fd196",
        "6t-pulsed-brief": "69efbe97e93836bb",
        "8t1c-charge": "ab1414caeaef4485",
        "8t1c-charge-noise": "6a72b25a1c9899f8",
        "8t1c-charge-rest": "ec38a71ca3d1359b",
        "8t1c-charge-held": "5eccc606022f3376",
        "1t1r-steady": "720edf04e3f59d2b",
        "1t1r-steady-noise": "45556bf94eb2643a",
        "1t1r-steady-probe": "c2b2424753f32a58",
        "1t1r-steady-settling": "6415da7423f021eb",
        "1t1r-steady-currents": "92d9ff3114532d9f",
        "load-p": "6aff22df2cb470bb",
        "load-n": "3eef326c69ba4c0f",
        "comparator": "593ca766e9026f86",
    }
}

#: A short card: the real one has a checksum of its own in the plan's identity.
CARD = ModelLibrary(name="card.lib", text=".model nch nmos level=54\n.model pch pmos level=54\n")
COLUMN = Column(
    technology=Technology(library=CARD, nmos="nch", pmos="pch", vdd_v=1.05, temp_c=40.0),
    cell=Cell8T(),
    rows=4,
    n_used=3,
    load=resistor_load(66e3),
    load_ohm=66e3,
)
STEADY, PULSED, CHARGE = SteadyRead(v_wl_v=0.35), PulsedRead(v_wl_v=0.35, t_pulse_s=3e-10), ChargeRead(v_wl_v=0.5)
#: Every cell with its reads, every load, and a ground wire.
COLUMNS: dict[str, tuple[Column, Read]] = {
    "8t-steady": (COLUMN, STEADY),
    "8t-steady-pmos": (replace(COLUMN, load=pmos_load(3e-7)), STEADY),
    "8t-steady-ground": (replace(COLUMN, r_vss_row_ohm=1.5), STEADY),
    "8t-pulsed": (replace(COLUMN, load=pmos_load(1e-6), load_ohm=1e3), PULSED),
    "6t-steady": (replace(COLUMN, cell=Cell6T()), STEADY),
    "6t-pulsed": (replace(COLUMN, cell=Cell6T(), load=pmos_load(1e-6), load_ohm=1e3), PULSED),
    "8t1c-charge": (replace(COLUMN, cell=Cell8T1C(), load=nmos_switch(1e-6), load_ohm=4e2), CHARGE),
    "1t1r-steady": (replace(COLUMN, cell=Cell1T1R()), STEADY),
}
INPUTS = np.array([[1, 1, -1], [1, -1, -1], [-1, -1, 1]], dtype=np.int8)


def decks() -> dict[str, Deck]:
    found = {}
    for name, (column, read) in COLUMNS.items():
        draw = column.draw(Mismatch(), (1, 2, 3))
        found[name] = read.deck(column, draw, INPUTS)
        found[f"{name}-noise"] = read.noise_deck(column, INPUTS[0])
        if read.brief is not read:
            found[f"{name}-brief"] = read.brief.deck(column, draw, INPUTS)
        if (rest := rest_deck(column, draw)) is not None:
            held_v = np.full((*draw.dvt_v.shape[:2], 2), 0.9)
            found[f"{name}-rest"] = rest
            found[f"{name}-held"] = read.deck(column, replace(draw, held_v=held_v), INPUTS)
        if name.endswith("-steady"):
            assert isinstance(read, SteadyRead)
            found[f"{name}-probe"] = read.probe_deck(column, 0.93)
            found[f"{name}-settling"] = settling_deck(read, column, column.nominal_draw(), INPUTS[0])
            shifts = draw.dvt_v[:, 0], draw.factor[:, 0]
            found[f"{name}-currents"], _ = read_currents(
                column.technology, column.cell, shifts, v_wl_v=0.35, v_bl_v=1.0
            )
    for load in (pmos_load(1e-6), nmos_switch(1e-6)):
        found[f"load-{load.kind}"] = load_deck(COLUMN.technology, load, supply_v=0.5, drop_v=0.05)
    search = OffsetSearch(technology=COLUMN.technology, amplifier=StrongArm())
    shape = (1, len(search.amplifier.parts))
    found["comparator"] = search.deck(np.zeros(shape), np.ones(shape))
    return found


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
