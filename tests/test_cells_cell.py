"""Every cell: what a shift of each part does, that it holds its bit, which current it draws, and what is refused."""

import math
from dataclasses import FrozenInstanceError
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from prcim.cells.benches.bench import bench, held, latch_names, pass_gate, waiting_v
from prcim.cells.benches.read_current import read_currents
from prcim.cells.cell import Cell
from prcim.cells.devices.passive import Capacitor
from prcim.cells.devices.transistor import Transistor
from prcim.cells.registry import CELLS
from prcim.cells.technology import Technology, own_technology
from prcim.errors import InputError
from prcim.spice.deck import Deck
from prcim.spice.library import own_library
from prcim.spice.ngspice import Ngspice, find_ngspice

TECHNOLOGY = own_technology()
VDD_V = TECHNOLOGY.vdd_v
ALL = [kind() for kind in CELLS.values()]
LATCHES = [cell for cell in ALL if cell.latch]
READABLE = [cell for cell in ALL if cell.reads != ("charge",)]
#: Nodes that turn a part of a latch on (all other nodes wait), and the source through which its current flows.
LATCH: dict[str, tuple[dict[str, float], str]] = {
    "pul": ({"q": 0.5, "qb": 0.0}, "q"),
    "pur": ({"qb": 0.5, "q": 0.0}, "qb"),
    "pdl": ({"q": 0.5, "qb": 1.1}, "q"),
    "pdr": ({"qb": 0.5, "q": 1.1}, "qb"),
    "pgl": ({"q": 0.0, "qb": 1.1, "wl": 1.1}, "bl"),
    "pgr": ({"qb": 0.0, "q": 1.1, "wl": 1.1}, "blb"),
}
#: Cell -> the same for each of its parts; a capacitor has a test of its own.
BIASES: dict[str, dict[str, tuple[dict[str, float], str]]] = {
    "6t": LATCH,
    "8t": LATCH
    | {
        "rd": ({"q": 1.1, "qb": 0.0, "rwl": 1.1}, "rbl"),
        "ra": ({"q": 1.1, "qb": 0.0, "rwl": 1.1}, "rbl"),
    },
    "8t1c": LATCH
    | {
        "sel": ({"q": 1.1, "qb": 0.0, "mwl": 0.5, "mwlb": 0.0, "plate": 0.0}, "mwl"),
        "selb": ({"qb": 1.1, "q": 0.0, "mwlb": 0.5, "mwl": 0.0, "plate": 0.0}, "mwlb"),
    },
    "1t1r": {"cell": ({"bl": 1.1, "mid": 0.6}, "bl"), "acc": ({"bl": 1.1, "wl": 1.1}, "bl")},
}
PARTS = [(name, part) for name in CELLS for part in BIASES[name]]


@pytest.fixture(scope="module")
def ngspice() -> Ngspice:
    return find_ngspice()


def shifts_of(
    cell: Cell, part: str, shifts: list[tuple[float, float]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cells in which one part alone is shifted, each by (threshold, factor)."""
    mine = np.array([p.name == part for p in cell.parts])
    dvt_v, factor = np.array(shifts).T
    return np.outer(dvt_v, mine), np.where(mine, factor[:, None], 1.0)


def currents(ngspice: Ngspice, name: str, part: str, shifts: list[tuple[float, float]]) -> NDArray[np.float64]:
    """Current through one part, on, for each shift of it, A. Its cell's inner nodes are held by sources."""
    cell = CELLS[name]()
    given, source = BIASES[name][part]
    level_v = waiting_v(cell, VDD_V, v_bl_v=VDD_V) | {k: v for k, v in given.items() if k in cell.ports}
    circuit = bench(
        "parts", TECHNOLOGY, cell, shifts_of(cell, part, shifts), bit=1, level_v=level_v, own=tuple(level_v)
    )
    inner = "".join(
        f"v{node}{k} x{k}.{node} 0 {volts}\n"
        for k in range(len(shifts))
        for node, volts in given.items()
        if node not in cell.ports
    )
    saved = tuple(f"i(v{source}{k})" for k in range(len(shifts)))
    values = ngspice.run(Deck(netlist=f"{circuit}\n{inner}", save=saved, analyses=("op",))).values
    return np.abs([values[one][0] for one in saved])


def test_every_part_has_a_bias() -> None:
    for name, biases in BIASES.items():
        parts = [part for part in CELLS[name]().parts if not isinstance(part, Capacitor)]
        assert sorted(biases) == sorted(part.name for part in parts)
    assert list(BIASES) == list(CELLS)


@pytest.mark.parametrize(("name", "part"), [(n, p) for n, p in PARTS if (n, p) != ("1t1r", "cell")])
def test_shift_weakens_and_factor_strengthens(ngspice: Ngspice, name: str, part: str) -> None:
    """A growth of the threshold's magnitude weakens N and P devices alike."""
    weaker = currents(ngspice, name, part, [(-0.1, 1), (-0.05, 1), (0, 1), (0.05, 1), (0.1, 1)])
    stronger = currents(ngspice, name, part, [(0, 0.8), (0, 0.9), (0, 1), (0, 1.1), (0, 1.2)])
    # A resistor in series leaves less to the transistor of 1T1R.
    least = 0.0005 if name == "1t1r" else 0.005
    assert np.all(np.diff(weaker) < -least * weaker[2])
    assert np.all(np.diff(stronger) > least * stronger[2])
    # On, not leaking: else the test would look at the wrong branch.
    assert weaker[2] > 5e-6
    assert weaker[2] == pytest.approx(stronger[2], rel=1e-6, abs=0)


def test_factor_of_a_resistor_divides_its_current(ngspice: Ngspice) -> None:
    current_a = currents(ngspice, "1t1r", "cell", [(0, 0.5), (0, 1), (0, 2)])
    np.testing.assert_allclose(current_a, 0.5 / (2e4 * np.array([0.5, 1, 2])), rtol=1e-4)


def test_factor_of_a_capacitor_multiplies_its_charge(ngspice: Ngspice) -> None:
    """A bit line that rises by 0.1 V in 1 ns drives C dV/dt through a capacitor whose plate is held."""
    cell = CELLS["8t1c"]()
    level_v = waiting_v(cell, VDD_V, v_bl_v=VDD_V)
    del level_v["mbl"]
    shifts = shifts_of(cell, "cell", [(0, 0.5), (0, 1), (0, 2)])
    circuit = bench("capacitor", TECHNOLOGY, cell, shifts, bit=1, level_v=level_v, own=("mbl",))
    lines = "".join(f"vmbl{k} mbl{k} 0 pwl(0 0 1n 0.1)\nvplate{k} x{k}.plate 0 0\n" for k in range(3))
    saved = tuple(f"i(vmbl{k})" for k in range(3))
    values = ngspice.run(Deck(netlist=f"{circuit}\n{lines}", save=saved, analyses=("tran 10p 1n",))).values
    current_a = [-float(np.interp(0.5e-9, values["time"], values[name])) for name in saved]
    np.testing.assert_allclose(current_a, 4e-15 * 1e8 * np.array([0.5, 1, 2]), rtol=1e-3)


@pytest.mark.parametrize("cell", LATCHES, ids=lambda cell: cell.name)
@pytest.mark.parametrize("bit", [0, 1])
def test_cell_holds_its_bit(ngspice: Ngspice, cell: Cell, bit: int) -> None:
    level_v = waiting_v(cell, VDD_V, v_bl_v=VDD_V)
    none = (np.zeros((1, len(cell.parts))), np.ones((1, len(cell.parts))))
    circuit = bench("hold", TECHNOLOGY, cell, none, bit=bit, level_v=level_v)
    deck = Deck(netlist=f"{circuit}\n", save=tuple(latch_names(cell, 1)), analyses=("op",))
    values = ngspice.run(deck).values
    true_v, false_v = (values[name][0] for name in latch_names(cell, 1))
    assert true_v == pytest.approx(VDD_V * bit, abs=0.02)
    assert false_v == pytest.approx(VDD_V * (1 - bit), abs=0.02)
    assert held(cell, values, bit=bit, cells=1).all()
    assert not held(cell, values, bit=1 - bit, cells=1).any()


def read_a(
    ngspice: Ngspice, cell: Cell, dvt_v: NDArray[np.float64], *, v_wl_v: float, v_bl_v: float, weight: int = 1
) -> NDArray[np.float64]:
    shifts = (dvt_v, np.ones_like(dvt_v))
    deck, names = read_currents(TECHNOLOGY, cell, shifts, v_wl_v=v_wl_v, v_bl_v=v_bl_v, weight=weight)
    values = ngspice.run(deck).values
    return np.array([-values[name][0] for name in names])


#: Cell -> the transistors that its current flows through, that next to the bit line first.
PATHS = {"6t": ("pgl", "pdl"), "8t": ("ra", "rd"), "1t1r": ("acc",)}


@pytest.mark.parametrize("name", PATHS)
def test_only_the_read_path_moves_the_read_current(ngspice: Ngspice, name: str) -> None:
    cell = CELLS[name]()
    names = [part.name for part in cell.parts]
    shifted = 0.05 * np.vstack([np.zeros(len(names)), np.eye(len(names))])
    current_a = read_a(ngspice, cell, shifted, v_wl_v=0.5, v_bl_v=1.0)
    effect = dict(zip(names, current_a[1:] / current_a[0] - 1, strict=True))
    first, *rest = PATHS[name]
    assert effect.pop(first) < -0.1
    assert all(effect.pop(other) < -0.001 for other in rest)
    np.testing.assert_allclose(list(effect.values()), 0, atol=1e-4)


@pytest.mark.parametrize("cell", READABLE, ids=lambda cell: cell.name)
def test_read_current_grows_with_both_lines(ngspice: Ngspice, cell: Cell) -> None:
    none = np.zeros((1, len(cell.parts)))
    word = [read_a(ngspice, cell, none, v_wl_v=v, v_bl_v=1.0)[0] for v in (1e-3, 0.3, 0.5, 0.8, 1.1)]
    bit = [read_a(ngspice, cell, none, v_wl_v=0.5, v_bl_v=v)[0] for v in (0.0, 0.1, 0.3, 0.7, 1.1)]
    assert np.all(np.diff(word) > 0)
    assert np.all(np.diff(bit) > 0)
    # Off it leaks; without a bit-line voltage nothing flows.
    assert 0 < word[0] < 5e-9
    assert abs(bit[0]) < 1e-9


@pytest.mark.parametrize("cell", READABLE, ids=lambda cell: cell.name)
def test_the_weight_that_conducts_is_plus_one(ngspice: Ngspice, cell: Cell) -> None:
    none = np.zeros((1, len(cell.parts)))
    on, off = (read_a(ngspice, cell, none, v_wl_v=0.8, v_bl_v=1.1, weight=weight)[0] for weight in (1, -1))
    assert on > 20 * abs(off)


def test_a_cell_of_charge_draws_no_current() -> None:
    cell = CELLS["8t1c"]()
    none = (np.zeros((1, len(cell.parts))), np.ones((1, len(cell.parts))))
    with pytest.raises(InputError, match="cell_8t1c is read by charge; it draws no current that could be measured"):
        read_currents(TECHNOLOGY, cell, none, v_wl_v=1.0, v_bl_v=1.0)


def test_which_ports_a_word_line_connects_with_the_latch() -> None:
    found = {cell.name: [pass_gate(cell, port) for port in cell.ports] for cell in ALL}
    assert found["cell_6t"] == ["q", "qb", "", "", ""]
    # The write ports of the others have a word line that no read raises.
    assert all(set(ports) == {""} for name, ports in found.items() if name != "cell_6t")


@pytest.mark.parametrize("cell", ALL, ids=lambda cell: cell.name)
def test_cells_are_values(cell: Cell) -> None:
    assert eval(repr(cell), {type(cell).__name__: type(cell)}) == cell
    names = [part.name for part in cell.parts]
    assert len(set(names)) == len(names)
    size = next(iter(cell.__dataclass_fields__))  # type: ignore[attr-defined]
    with pytest.raises(FrozenInstanceError, match=size):
        setattr(cell, size, 1e-6)
    wider = type(cell)(**{size: 1.5 * getattr(cell, size)})
    widths = [[part.w_m for part in c.parts if isinstance(part, Transistor)] for c in (cell, wider)]
    assert widths[0] != widths[1]


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
