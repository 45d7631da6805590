"""A plan's column as arithmetic: what preparation found, and the answer of any column to any pattern."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from prcim.cells.benches.cell_curves import CellCurves
from prcim.cells.benches.load_curves import load_curves, load_deck_of
from prcim.cells.column import Column, ColumnDraw
from prcim.cells.devices.passive import Resistor
from prcim.cells.mismatch import Mismatch
from prcim.cells.reads.pulsed_read import PulsedRead
from prcim.cells.reads.read import Read, Shots
from prcim.cells.reads.steady_read import SteadyRead
from prcim.characterize.composed.cell_classes import CellClass, Class, Run, curves_of, simulate_classes, standard
from prcim.characterize.composed.compose import Grid, Line, discharged_v, steady_v
from prcim.characterize.composed.surface import Surface, fit_surface, terms_of
from prcim.characterize.held import draws_at_rest
from prcim.characterize.plan import Plan
from prcim.characterize.transfer import TransferCurve
from prcim.errors import InputError, RunError
from prcim.spice.deck import Deck
from prcim.spice.outcome import Outcome

Array = NDArray[np.float64]
#: Key of the cells that surfaces are fitted to, behind the plan's seed.
CELLS_STREAM = 0xC0
#: Curves reach further below the supply than the column without mismatch by this over the root of its rows: some five
#: sigma of a column of cells that spread by 60 %, and twice that of log-normal tails. Above the supply so far as switch
#: and word lines lift a line, V.
STRONGER, ABOVE_V = 4.8, 0.03
#: Numbers of conducting cells at which the nominal column is simulated; columns with mismatch that a pulsed read is
#: fitted to, and the shares of conducting cells there.
NOMINAL_POINTS, FIT_COLUMNS, FIT_SHARES = 17, 6, (0.2, 0.4, 0.6, 0.8, 1.0)
#: Reads in a nominal column's deck.
READS_PER_DECK = 6


@final
@dataclass(frozen=True, kw_only=True)
class Composition:
    """One plan's column, ready for arithmetic. It can be sent to workers.

    Attributes:
        column, read, mismatch: the column.
        grid: nodes of all curves.
        classes: the cells.
        load: conductance of the load over its own shifts; None where a resistor or a pulse needs none.
        start_v, lift_v, c_f: of a pulsed read, see `discharged_v`.
        rest_w: power of a steady read that does not come through the loads, W.
        rest_j: energy of a pulsed read that does not recharge the lines, J.
        nominal_v: composed voltages of the column without mismatch, falling, V.
        shift_v: what ngspice has beyond them, V, same shape.
        transfer: ngspice's curve of that column.
    """

    column: Column
    read: Read
    mismatch: Mismatch
    grid: Grid
    classes: Mapping[Class, CellClass]
    load: Surface | None = None
    start_v: float = 0.0
    lift_v: float = 0.0
    c_f: tuple[float, float] = (0.0, 0.0)
    rest_w: float = 0.0
    rest_j: float = 0.0
    nominal_v: Array
    shift_v: Array
    transfer: TransferCurve

    def lines(self, draw: ColumnDraw, *, nominal: bool = False) -> list[Line]:
        """The bit lines of a column with all their curves."""
        on, off = curves_of(self.classes, self.column.cell, self.mismatch, draw, nominal=nominal)
        pulsed = isinstance(self.read, PulsedRead)
        own = self.column.cell.twins * self.column.c_bl_cell_f / self.column.c_bl_f if pulsed else 0.0
        t_s = self.read.t_pulse_s if isinstance(self.read, PulsedRead) else 1.0
        r_ohm = self.column.r_bl_row_ohm
        return [Line(on=on[i], off=off[i], r_row_ohm=r_ohm, own_share=own, t_s=t_s) for i in range(len(on))]

    def conductances_s(self, draw: ColumnDraw) -> Array:
        """Conductance of each line's load at the grid's nodes, S, shape (lines, points)."""
        load = self.column.load
        if isinstance(load, Resistor):
            ohm = float(load.ohm) * draw.load_factor
            return np.asarray(np.broadcast_to(1 / ohm, (len(ohm), self.grid.points)))
        if self.load is None:
            raise InputError("this composition knows no load")
        return self.load(standard((load,), self.mismatch, draw.load_dvt_v, draw.load_factor))

    def ends_v(self, lines: Sequence[Line], inputs: NDArray[np.int8], conductances_s: Array) -> Array:
        """Voltage of each line's end, V, shape (lines, shots)."""
        vdd_v = self.column.technology.vdd_v
        if isinstance(self.read, SteadyRead):
            pairs = zip(lines, conductances_s, strict=True)
            return np.array([steady_v(self.grid, line, inputs, load, vdd_v) for line, load in pairs])
        fitted = {"start_v": self.start_v, "lift_v": self.lift_v, "supply_v": vdd_v}
        return np.array([discharged_v(self.grid, line, inputs, c_f=self.c_f, **fitted) for line in lines])

    def shots(
        self, draw: ColumnDraw, inputs: NDArray[np.int8], *, nominal: bool = False
    ) -> tuple[Array, Array, NDArray[np.bool_]]:
        """What the column engine would measure: voltage, V, energy, J, whether curves reach so far; each (shots,)."""
        steady = isinstance(self.read, SteadyRead)
        loads_s = self.conductances_s(draw) if steady else np.empty((0, 0))
        ends_v = self.ends_v(self.lines(draw, nominal=nominal), inputs, loads_s)
        raw_v = _difference(ends_v)
        v = raw_v + np.interp(raw_v, self.nominal_v[::-1], self.shift_v[::-1])
        vdd_v = self.column.technology.vdd_v
        if isinstance(self.read, SteadyRead):
            weights = [self.grid.at(each) for each in ends_v]
            current_a = sum(
                ((w @ s) * (vdd_v - e) for w, s, e in zip(weights, loads_s, ends_v, strict=True)), start=0.0
            )
            energy_j = self.read.t_settle_s(self.column) * (self.rest_w + vdd_v * current_a)
        else:
            energy_j = self.rest_j + vdd_v * self.c_f[0] * (self.start_v - ends_v).sum(axis=0)
        inside = np.asarray(((ends_v >= self.grid.low_v) & (ends_v <= self.grid.high_v)).all(axis=0))
        return v, np.asarray(energy_j, dtype=np.float64), inside


def _difference(ends_v: Array) -> Array:
    return np.asarray(ends_v[0] - ends_v[1:].sum(axis=0))


def compose(plan: Plan, column: Column, read: Read, run: Run, *, hold: bool = False) -> Composition:
    """Simulates single cells and the columns without mismatch that a composition needs.

    Args:
        plan, column, read: what `size` made of the plan.
        run: runs decks; the result does not depend on who runs them.
        hold: whether sources hold the latches of the columns that are simulated.

    Raises:
        InputError: the read moves charge between capacitors, which no curve describes.
        RunError: a simulation fails, or the arithmetic does not give the column without mismatch.
    """
    if not isinstance(read, SteadyRead | PulsedRead):
        raise InputError(f"the engine 'composed' knows steady and pulsed reads; for a {read.name} read use 'column'")
    if column.r_vss_row_ohm > 0:
        raise InputError("the engine 'composed' knows no resistance of a ground line (r_vss_row_ohm); use 'column'")
    vdd_v, mismatch = column.technology.vdd_v, plan.make_mismatch()
    pulse_s = read.t_pulse_s if isinstance(read, PulsedRead) else 0.0
    drawn = FIT_COLUMNS if pulse_s else 0
    known = _known_columns(column, read, mismatch, (plan.seed, CELLS_STREAM), run, drawn=drawn, hold=hold)
    n_on, v, energy_j = known[0].n_on, known[0].v, known[0].energy_j
    # Half of the whole way where two lines share it; a column may be stronger than the one without mismatch.
    fall_v = (v[0] - v[-1]) / len(column.ends) * (1 + STRONGER / np.sqrt(column.n_used))
    grid = Grid(low_v=max(0.02, vdd_v - fall_v), high_v=vdd_v + (ABOVE_V if pulse_s else 0.0))
    nodes_v = tuple(float(v) for v in grid.nodes_v)
    bench = CellCurves(technology=column.technology, cell=column.cell, v_wl_v=read.v_wl_v, v_bl_v=nodes_v)
    classes = simulate_classes(bench, mismatch, (plan.seed, CELLS_STREAM), run, t_pulse_s=pulse_s)
    load = None
    if not pulse_s and not isinstance(column.load, Resistor):
        load = _load_surface(column, mismatch, grid, (plan.seed, CELLS_STREAM, 9), run)
    draft = Composition(
        column=column,
        read=read,
        mismatch=mismatch,
        grid=grid,
        classes=classes,
        load=load,
        nominal_v=v,
        shift_v=np.zeros_like(v),
        transfer=TransferCurve(mac=(2 * n_on - column.n_used).astype(np.float64), v_bl_v=v),
    )
    if pulse_s:
        draft = _fitted(draft, known)
    raw_v, guess_j, _ = draft.shots(column.nominal_draw(), known[0].inputs, nominal=True)
    rest_j = float(np.mean(energy_j - guess_j))
    rest_w = rest_j / read.t_settle_s(column) if isinstance(read, SteadyRead) else 0.0
    return replace(draft, nominal_v=raw_v, shift_v=v - raw_v, rest_j=rest_j, rest_w=rest_w)


@final
@dataclass(frozen=True, kw_only=True)
class _Known:
    """A column that ngspice has read: inputs, conducting cells, voltages, energies."""

    draw: ColumnDraw
    inputs: NDArray[np.int8]
    n_on: NDArray[np.int_]
    v: Array
    energy_j: Array


def spread_inputs(n_used: int, n_on: int) -> NDArray[np.int8]:
    """An input vector that opens conducting cells at even distances, as patterns do in the mean.

    Example:
        >>> spread_inputs(6, 2).tolist()
        [-1, 1, -1, -1, 1, -1]
    """
    found = np.full(n_used, -1, dtype=np.int8)
    if n_on:
        found[((np.arange(n_on) + 0.5) * n_used / n_on).astype(int)] = 1
    return found


def _known_columns(
    column: Column, read: Read, mismatch: Mismatch, key: tuple[int, ...], run: Run, *, drawn: int, hold: bool
) -> list[_Known]:
    """The column without mismatch, then so many with; patterns of these are random."""
    n_on = np.unique(np.round(np.linspace(0, column.n_used, NOMINAL_POINTS)).astype(int))
    jobs = [(column.nominal_draw(), n_on, np.array([spread_inputs(column.n_used, int(k)) for k in n_on]))]
    for index in range(drawn):
        draw = column.draw(mismatch, (*key, 20, index))
        some = np.round(np.array(FIT_SHARES) * column.n_used).astype(int)
        rank = np.random.default_rng((*key, 21, index)).permutation(column.n_used)
        weights = draw.weights[: column.n_used]
        jobs.append((draw, some, np.where(rank < some[:, None], weights, -weights).astype(np.int8)))
    size = READS_PER_DECK if read.shots_per_deck <= 2 * NOMINAL_POINTS else NOMINAL_POINTS
    work = [
        (place, inputs[first : first + size])
        for place, (_, _, inputs) in enumerate(jobs)
        for first in range(0, len(inputs), size)
    ]
    draws = [draw for draw, _, _ in jobs]
    if hold:
        draws = draws_at_rest(column, draws, run)
    # Energy is taken from the column without mismatch alone.
    reads = [read if place == 0 else read.brief for place in range(len(jobs))]
    decks: list[Deck] = [reads[place].deck(column, draws[place], inputs) for place, inputs in work]
    outcomes: Iterable[Outcome] = run(decks)
    parts: list[list[Shots]] = [[] for _ in jobs]
    for (place, inputs), outcome in zip(work, outcomes, strict=True):
        shots = reads[place].result(column, draws[place], inputs, outcome)
        if len(shots.held) < len(inputs) or not shots.held.all():
            raise RunError(f"a column to compare with cannot be simulated: {outcome.status_or('no convergence')}")
        parts[place].append(shots)
    return [
        _Known(
            draw=draw,
            n_on=counts,
            inputs=inputs,
            v=np.concatenate([shots.v_bl_v for shots in found]),
            energy_j=np.concatenate([shots.energy_j for shots in found]),
        )
        for (draw, counts, inputs), found in zip(jobs, parts, strict=True)
    ]


def _fitted(draft: Composition, known: list[_Known]) -> Composition:
    """Finds what a pulse needs beyond cells: the line before it, how far word lines lift it, its capacitance.

    Word lines lift the bit line while they are up, by 10 mV or so. That tells cells apart less than their currents at
    rest would: with drain-induced barrier lowering, strong cells gain less. The column without mismatch does not show
    it, and ends where columns with mismatch, whose mean cell is stronger, go on: so some of these are fitted to too.
    """
    column, c_f = draft.column, draft.column.c_bl_f
    step_v = (known[0].v[0] - known[0].v[-1]) / (2 * column.n_used)
    lines = [draft.lines(each.draw, nominal=place == 0) for place, each in enumerate(known)]
    both = len(column.ends) > 1
    vdd_v = column.technology.vdd_v

    def at(x: Array) -> Composition:
        # The difference of two lines says nothing of where both began. Assumption: a switch lifts them by 5 mV.
        start_v = vdd_v + (5e-3 if both else float(x[0]) * 1e-2)
        return replace(draft, start_v=start_v, lift_v=float(x[1]) * 1e-2, c_f=(c_f * float(x[2]), c_f * float(x[3])))

    def off(x: Array) -> Array:
        now, none = at(x), np.empty((0, 0))
        pairs = zip(lines, known, strict=True)
        found = [_difference(now.ends_v(its, each.inputs, none)) - each.v for its, each in pairs]
        return np.asarray(np.concatenate(found) / step_v, dtype=np.float64)

    first = np.array([0.0 if both else (known[0].v[0] - vdd_v) * 100, 0.5, 1.25, 0.0])
    found = least_squares(off, first, x_scale=np.array([1.0, 1.0, 0.2, 0.2]), bounds=([-9, -1, 0.2, -2], [9, 9, 9, 9]))
    return at(found.x)


def _load_surface(column: Column, mismatch: Mismatch, grid: Grid, key: tuple[int, ...], run: Run) -> Surface:
    z = np.random.default_rng(key).standard_normal((100, 2)) * 1.5
    shifts = mismatch.scaled((column.load,), np.stack(np.split(z, 2, axis=1)))
    nodes_v = tuple(float(v) for v in grid.nodes_v)
    (outcome,) = run([load_deck_of(column.technology, column.load, shifts, v_line_v=nodes_v)])
    current_a = load_curves(outcome, len(z))
    if current_a is None:
        raise RunError(f"loads of bit lines cannot be simulated: {outcome.status_or('no convergence')}")
    return fit_surface(z, current_a / (column.technology.vdd_v - grid.nodes_v), terms_of(np.ones(2)))
