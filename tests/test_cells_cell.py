"""One cell: what a shift of each transistor does, that it holds its bit, and what is refused."""

import math
from dataclasses import FrozenInstanceError
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from prcim.cells.cell_8t import Cell8T
from prcim.cells.read_current import read_currents
from prcim.cells.registry import CELLS
from prcim.cells.technology import Technology, own_technology
from prcim.cells.transistor import Transistor
from prcim.errors import InputError
from prcim.spice.deck import Deck
from prcim.spice.library import own_library
from prcim.spice.ngspice import Ngspice, find_ngspice

CELL = Cell8T()
TECHNOLOGY = own_technology()
NAMES = [t.name for t in CELL.transistors]
#: Nodes that turn a transistor on (the cell's others are off), and the source through which its current flows.
BIASES: dict[str, tuple[dict[str, float], str]] = {
    "pul": ({"q": 0.5, "qb": 0.0}, "q"),
    "pur": ({"qb": 0.5, "q": 0.0}, "qb"),
    "pdl": ({"q": 0.5, "qb": 1.1}, "q"),
    "pdr": ({"qb": 0.5, "q": 1.1}, "qb"),
    "pgl": ({"q": 0.0, "qb": 1.1, "wl": 1.1}, "bl"),
    "pgr": ({"qb": 0.0, "q": 1.1, "wl": 1.1}, "blb"),
    "rd": ({"q": 1.1, "qb": 0.0, "rwl": 1.1}, "rbl"),
    "ra": ({"q": 1.1, "qb": 0.0, "rwl": 1.1}, "rbl"),
}


@pytest.fixture(scope="module")
def ngspice() -> Ngspice:
    return find_ngspice()


def currents(ngspice: Ngspice, name: str, shifts: list[tuple[float, float]]) -> NDArray[np.float64]:
    """Current through one transistor, on, for each (threshold shift, mobility factor), A."""
    inner, source = BIASES[name]
    lines = ["* one transistor at a time", TECHNOLOGY.library.text, str(CELL.subcircuit(TECHNOLOGY))]
    for k, (dvt_v, mu) in enumerate(shifts):
        nodes = {"rbl": 1.1, "rwl": 0.0, "wl": 0.0, "bl": 1.1, "blb": 1.1, "vdd": 1.1, "vss": 0.0} | inner
        given = CELL.shifts(
            np.array([dvt_v if n == name else 0.0 for n in NAMES]), np.array([mu if n == name else 1.0 for n in NAMES])
        )
        ports = " ".join(f"{port}{k}" for port in CELL.ports)
        lines.append(f"x{k} {ports} {CELL.name} {' '.join(f'{key}={value}' for key, value in given.items())}")
        for node, level_v in nodes.items():
            lines.append(f"v{node}{k} {f'{node}{k}' if node in CELL.ports else f'x{k}.{node}'} 0 {level_v}")
    saved = tuple(f"i(v{source}{k})" for k in range(len(shifts)))
    values = ngspice.run(Deck(netlist="\n".join([*lines, ""]), save=saved, analyses=("op",))).values
    return np.abs([values[name][0] for name in saved])


@pytest.mark.parametrize("name", NAMES)
def test_shift_weakens_and_mobility_strengthens(ngspice: Ngspice, name: str) -> None:
    """A growth of the threshold's magnitude weakens N and P devices alike."""
    weaker = currents(ngspice, name, [(-0.1, 1), (-0.05, 1), (0, 1), (0.05, 1), (0.1, 1)])
    stronger = currents(ngspice, name, [(0, 0.8), (0, 0.9), (0, 1), (0, 1.1), (0, 1.2)])
    assert np.all(np.diff(weaker) < -0.005 * weaker[2])
    assert np.all(np.diff(stronger) > 0.005 * stronger[2])
    # On, not leaking: else the test would look at the wrong branch.
    assert weaker[2] > 5e-6
    assert weaker[2] == pytest.approx(stronger[2], rel=1e-6, abs=0)


def test_every_transistor_has_a_bias() -> None:
    assert list(BIASES) == NAMES
    assert len(set(NAMES)) == len(NAMES)


def read_a(ngspice: Ngspice, dvt_v: NDArray[np.float64], *, v_wl_v: float, v_bl_v: float) -> NDArray[np.float64]:
    deck, names = read_currents(TECHNOLOGY, CELL, (dvt_v, np.ones_like(dvt_v)), v_wl_v=v_wl_v, v_bl_v=v_bl_v)
    values = ngspice.run(deck).values
    return np.array([-values[name][0] for name in names])


def test_only_the_read_stack_moves_the_read_current(ngspice: Ngspice) -> None:
    shifted = 0.05 * np.vstack([np.zeros(len(NAMES)), np.eye(len(NAMES))])
    current_a = read_a(ngspice, shifted, v_wl_v=0.5, v_bl_v=1.0)
    effect = dict(zip(NAMES, current_a[1:] / current_a[0] - 1, strict=True))
    assert effect.pop("ra") < -0.1
    assert effect.pop("rd") < -0.001
    np.testing.assert_allclose(list(effect.values()), 0, atol=1e-4)


def test_read_current_grows_with_both_lines(ngspice: Ngspice) -> None:
    none = np.zeros((1, len(NAMES)))
    word = [read_a(ngspice, none, v_wl_v=v, v_bl_v=1.0)[0] for v in (0.0, 0.3, 0.5, 0.8, 1.1)]
    bit = [read_a(ngspice, none, v_wl_v=0.5, v_bl_v=v)[0] for v in (0.0, 0.1, 0.3, 0.7, 1.1)]
    assert np.all(np.diff(word) > 0)
    assert np.all(np.diff(bit) > 0)
    # Off it leaks less than a thousandth of a milliampere-scale read; without a bit-line voltage nothing flows.
    assert 0 < word[0] < 5e-9
    assert abs(bit[0]) < 1e-9


@pytest.mark.parametrize("bit", [0, 1])
def test_cell_holds_its_bit(ngspice: Ngspice, bit: int) -> None:
    levels = {"rbl": 1.1, "rwl": 1.1, "wl": 0.0, "bl": 1.1, "blb": 1.1, "vdd": 1.1, "vss": 0.0}
    start = CELL.start_v(bit, 1.1)
    lines = ["* hold", TECHNOLOGY.library.text, str(CELL.subcircuit(TECHNOLOGY)), f"x0 {' '.join(levels)} {CELL.name}"]
    lines += [f"v{node} {node} 0 {level_v}" for node, level_v in levels.items()]
    lines += [f".nodeset v(x0.{node})={level_v}" for node, level_v in start.items()]
    deck = Deck(netlist="\n".join([*lines, ""]), save=("v(x0.q)", "v(x0.qb)"), analyses=("op",))
    values = ngspice.run(deck).values
    assert values["v(x0.q)"][0] == pytest.approx(1.1 * bit, abs=0.02)
    assert values["v(x0.qb)"][0] == pytest.approx(1.1 * (1 - bit), abs=0.02)


def test_cells_are_values() -> None:
    assert CELLS["8t"] is Cell8T
    assert eval(repr(CELL)) == CELL
    with pytest.raises(FrozenInstanceError, match="w_access_m"):
        CELL.w_access_m = 1e-6  # type: ignore[misc]
    wide = {t.name: t.w_m for t in Cell8T(w_access_m=200e-9, w_driver_m=300e-9).transistors}
    assert (wide["rd"], wide["ra"], wide["pgl"]) == (300e-9, 200e-9, CELL.w_pass_m)


@pytest.mark.parametrize("name", ["", "Rd", "r d", "rd\n.end", "r_d"])
def test_refused_names(name: str) -> None:
    with pytest.raises(InputError, match="must be lower case letters and digits"):
        Transistor(name=name, kind="n", drain="d", gate="g", source="s", w_m=1e-7)


@pytest.mark.parametrize(("w_m", "l_m"), [(0.0, 65e-9), (-1e-7, 65e-9), (90.0, 65e-9), (9e-8, 65.0), (math.nan, 65e-9)])
def test_refused_sizes(w_m: float, l_m: float) -> None:
    with pytest.raises(InputError, match=r"transistor rd: width .* m and length .* m must lie in 0\.\.1 mm"):
        Transistor(name="rd", kind="n", drain="d", gate="g", source="s", w_m=w_m, l_m=l_m)


@pytest.mark.parametrize(("kind", "bulk"), [("n", "vss"), ("p", "vdd")])
def test_bulk(kind: Literal["n", "p"], bulk: str) -> None:
    assert Transistor(name="m", kind=kind, drain="d", gate="g", source="s", w_m=1e-7).bulk == bulk
    assert TECHNOLOGY.model(kind) == f"prcim65_{kind}mos_sram"


def test_refused_technologies() -> None:
    with pytest.raises(InputError, match=r"prcim65\.lib has no transistor model 'prcim65_nmos_lowpower'"):
        own_technology(flavour="lowpower")
    with pytest.raises(InputError, match="has no transistor model 'nch'"):
        Technology(library=own_library(), nmos="prcim65_nmos_hp", pmos="nch")
    for vdd_v in (0.0, 3.3, math.nan):
        with pytest.raises(InputError, match=r"vdd_v is .* V; a 65nm-style column works from 0\.3 to 2\.0 V"):
            own_technology(vdd_v=vdd_v)
    with pytest.raises(InputError, match=r"temp_c is 300; it must lie in -55\.\.150 degrees Celsius"):
        own_technology(temp_c=300)
