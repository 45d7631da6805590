"""Models and sub-circuits of a text."""

import pytest

from prcim.spice.cards import logical_lines, read_cards

CORE = "m1 d g s b core w={w} l={l}\n.ends\n"


@pytest.mark.parametrize(
    ("card", "level"),
    [
        (".model n nmos level=54", 54),
        (".MODEL N NMOS ( LEVEL = 49\n+ TOX=2n )", 49),
        (".model n nmos\n* comment\n\n+ version=4.5\n* another\n+ level = 14.0", 14),
        (".model n nmos (version=4.5 level=8)", 8),
        (".model n nmos ; level=54", None),
        (".model n nmos $ level=54", None),
        (".model n nmos // level=54", None),
        (".model n nmos\n* + level=54\n", None),
        (".model n nmos mylevel=54", None),
        (".model n nmos level={lv}", None),
        (".model n nmos", None),
        (".model n nmos\n.model other nmos\n+ level=54", None),
    ],
)
def test_level(card: str, level: int | None) -> None:
    first = read_cards(card)[0][0]
    assert (first.name, first.type, first.level) == ("n", "nmos", level)


def test_a_model_without_a_type() -> None:
    assert [card.type for card in read_cards(".model\n.model n\n.model p(level=54)")[0]] == ["-", "level=54)"]


def test_what_is_inside_of_a_subcircuit_is_nobody_elses() -> None:
    models, subckts = read_cards(
        ".model before nmos\n.subckt outer a b w=1\n.model core nmos\n.subckt inner c d\n.param x=1\n.ends inner\n"
        ".model core2 nmos\n.ends outer\n.ends\n.model after pmos\n.subckt next a\n.ends"
    )
    assert [card.name for card in models] == ["before", "after"]
    assert [card.name for card in subckts] == ["outer", "next"]
    assert subckts[0].parameters == {"w"}


@pytest.mark.parametrize(
    "head",
    [
        ".subckt dev d g s b w=1 l=0.065",
        ".SUBCKT DEV D G S B\n+ W = 1\n* comment\n+ L = {2 * 0.0325}",
        ".subckt dev d g s b params: w=1 l=2",
        ".subckt dev d g s b\n.param w=1 l=2",
        ".subckt dev d g s b w=1\n.param\n+ l={nf==1}",
        ".subckt dev d g s b w=1 $ mult=1\n.param l=2 ; nf=1",
    ],
)
def test_pins_and_parameters(head: str) -> None:
    (card,) = read_cards(f"{head}\n{CORE}")[1]
    assert card.name == "dev"
    assert card.pins == ("d", "g", "s", "b")
    assert card.parameters == {"w", "l"}


def test_parameters_outside_of_a_subcircuit_are_not_its_own() -> None:
    text = f".param l=2\n.subckt dev d g s b w=1\n{CORE}.param nf=1\n.subckt\n.ends"
    assert [(card.name, card.parameters) for card in read_cards(text)[1]] == [
        ("dev", frozenset("w")),
        ("", frozenset()),
    ]


def test_lines() -> None:
    text = "* comment\n A 1\n\n+2;3\n  * no\n\t+ 4 // 5\nB $6\nc$7\n"
    assert list(logical_lines(text)) == ["a 1 2  4", "b", "c$7"]
    assert read_cards("+\n") == read_cards("+ stray\n") == ((), ())
