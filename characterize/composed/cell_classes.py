"""How the cells of a plan draw current: for each stored bit and word-line level, a surface or a mean curve."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from prcim.cells.benches.cell_curves import CellCurves
from prcim.cells.cell import Cell
from prcim.cells.column import ColumnDraw
from prcim.cells.devices.part import Part
from prcim.cells.mismatch import Mismatch
from prcim.characterize.composed.surface import Surface, fit_surface, terms_of
from prcim.errors import RunError
from prcim.spice.deck import Deck
from prcim.spice.outcome import Outcome

Array = NDArray[np.float64]
#: Runs decks and gives their outcomes in the same order; workers can share them.
Run = Callable[[Sequence[Deck]], Iterable[Outcome]]
#: (stored bit, whether the word line is active, bit line).
Class = tuple[int, bool, int]
#: Simulated cells of a class: those a surface is fitted to, with shifts so many times as wide that it holds in the
#: tails too; those that a mean is taken of and a surface tested on; those in a deck.
FIT_CELLS, FIT_WIDTH, MEAN_CELLS, DECK_CELLS = 1500, 1.5, 200, 100
#: A class that draws less than this share of the largest needs no surface.
MAIN_SHARE = 0.01
#: Cells and points of the surface of the charge that an open cell takes which does not conduct, and its degree.
SMALL_CELLS, SMALL_POINTS, SMALL_DEGREE = 300, 3, 3
#: A surface that misses cells it was not fitted to by more than this share, rms, is refused.
MISS_MAX = 0.01


@final
@dataclass(frozen=True, kw_only=True)
class CellClass:
    """One class of cells.

    Attributes:
        nominal: curve of the cell without mismatch, shape (points,).
        mean: mean curve of cells with mismatch, shape (points,).
        surface: from shifts to the curve; None where the mean is enough.
    """

    nominal: Array
    mean: Array
    surface: Surface | None = None


def standard(parts: Sequence[Part], mismatch: Mismatch, dvt_v: Array, factor: Array) -> Array:
    """Shifts in standard deviations, thresholds first: shapes (cells, parts) to (cells, 2 parts).

    The inverse of `Mismatch.scaled`; 0 for what does not vary.
    """
    sigma_v = np.array([part.sigma_vt_v(mismatch) for part in parts])
    rel_sigma = np.array([part.rel_sigma(mismatch) for part in parts])
    threshold = np.divide(dvt_v, sigma_v, out=np.zeros_like(dvt_v), where=sigma_v > 0)
    wide = np.log(factor) + rel_sigma**2 / 2
    return np.concatenate((threshold, np.divide(wide, rel_sigma, out=np.zeros_like(wide), where=rel_sigma > 0)), axis=1)


def curves_of(
    classes: Mapping[Class, CellClass], cell: Cell, mismatch: Mismatch, draw: ColumnDraw, *, nominal: bool = False
) -> tuple[Array, Array]:
    """Curves of all cells of a column with active and with resting word lines, shape (lines, rows, twins, points).

    Args:
        classes: from `simulate_classes`.
        cell, mismatch, draw: the column.
        nominal: whether the column has no local mismatch: then no mean curve stands for a cell.
    """
    rows, twins, parts = draw.dvt_v.shape
    flat = (rows * twins, parts)
    z = standard(cell.parts, mismatch, draw.dvt_v.reshape(flat), draw.factor.reshape(flat))
    bits = np.array([[cell.stored_bit(int(w), twin) for twin in range(twins)] for w in draw.weights]).reshape(-1)
    points = len(next(iter(classes.values())).mean)
    found = np.empty((2, len(cell.bit_lines), rows * twins, points))
    for (bit, active, line), known in classes.items():
        chosen = bits == bit
        curve = known.nominal if nominal else known.mean
        found[int(not active), line, chosen] = known.surface(z[chosen]) if known.surface else curve
    on, off = found.reshape(2, len(cell.bit_lines), rows, twins, points)
    return on, off


def simulate_classes(
    bench: CellCurves, mismatch: Mismatch, key: tuple[int, ...], run: Run, *, t_pulse_s: float = 0.0
) -> dict[Class, CellClass]:
    """Simulates cells and fits their surfaces.

    Args:
        bench: the cell, its word line, the nodes of the curves.
        mismatch: its spreads.
        key: names the draws.
        run: runs decks.
        t_pulse_s: length of a pulse, s: then curves are charges, C, else currents, A.

    Raises:
        RunError: a deck cannot be solved, cells lose their bits, or a surface misses cells it was not fitted to.
    """
    return _Classes(bench, mismatch, key, run, t_pulse_s).all()


class _Classes:
    def __init__(self, bench: CellCurves, mismatch: Mismatch, key: tuple[int, ...], run: Run, t_pulse_s: float) -> None:
        self.bench, self.mismatch, self.key, self.run, self.t_pulse_s = bench, mismatch, key, run, t_pulse_s
        self.parts = bench.cell.parts
        self.shifts = 2 * len(self.parts)

    def all(self) -> dict[Class, CellClass]:
        pairs = np.concatenate((np.zeros((1, self.shifts)), 2 * np.eye(self.shifts), -2 * np.eye(self.shifts)))
        tested = self.draw(0, MEAN_CELLS)
        first = np.concatenate((pairs, tested))
        kinds = [(bit, active) for bit in (0, 1) for active in (True, False)]
        found = dict(zip(kinds, self.currents([(first, *kind) for kind in kinds]), strict=True))
        largest = max(float(np.abs(values[:, 0]).max()) for values in found.values())
        drawn = self.draw(1, FIT_CELLS) * FIT_WIDTH
        lines = range(len(self.bench.cell.bit_lines))
        main = {
            kind: [line for line in lines if np.abs(values[line, 0]).max() > MAIN_SHARE * largest]
            for kind, values in found.items()
        }
        fitted = [kind for kind in kinds if main[kind]]
        fits = dict(zip(fitted, self.currents([(drawn, *kind) for kind in fitted]), strict=True))
        scale = self.t_pulse_s or 1.0
        classes: dict[Class, CellClass] = {}
        for kind, values in found.items():
            for line in lines:
                nominal, sides, others = values[line, 0], values[line, 1 : len(pairs)], values[line, len(pairs) :]
                surface = None
                if line in main[kind]:
                    surface = self.main_surface(nominal, sides, drawn, fits[kind][line] * scale, tested, others * scale)
                mean = np.nanmean(others, axis=0)
                classes[(*kind, line)] = CellClass(nominal=nominal * scale, mean=mean * scale, surface=surface)
        if self.t_pulse_s:
            classes |= self.small(classes)
        return classes

    def main_surface(
        self, nominal: Array, sides: Array, z: Array, values: Array, tested: Array, others: Array
    ) -> Surface:
        sides = np.where(np.isfinite(sides), sides, nominal)
        effect = np.abs(sides / nominal - 1).max(axis=1).reshape(2, -1).max(axis=0)
        good = np.asarray(np.isfinite(values).all(axis=1))
        kept = np.asarray(np.isfinite(others).all(axis=1))
        if kept.mean() < 0.98:
            raise RunError(
                f"{(~kept).sum()} of {len(kept)} cells of {self.bench.cell.name} lose their bit within the swing that"
                " curves are needed for; lower swing_v or v_wl_v, or use the engine 'column'"
            )
        surface = fit_surface(z[good], values[good], terms_of(effect))
        miss = float(np.sqrt(np.mean((surface(tested[kept]) / others[kept] - 1) ** 2)))
        if not miss < MISS_MAX:
            raise RunError(
                f"the fitted current of a {self.bench.cell.name} misses simulated cells by {miss:.2%} rms, more than"
                f" {MISS_MAX:.0%}; use the engine 'column'"
            )
        return surface

    def small(self, classes: Mapping[Class, CellClass]) -> dict[Class, CellClass]:
        """Open cells that do not conduct: their inner nodes take charge from the line all the same."""
        bench = self.bench
        nodes_v = np.array(bench.v_bl_v)
        ends = np.linspace(nodes_v[0], nodes_v[-1], SMALL_POINTS)
        coarse = CellCurves(
            technology=bench.technology, cell=bench.cell, v_wl_v=bench.v_wl_v, v_bl_v=tuple(ends.tolist())
        )
        drawn = self.draw(2, SMALL_CELLS)
        drawn[0] = 0.0
        between = np.polyfit(ends, np.eye(SMALL_POINTS), SMALL_POINTS - 1)
        spread = (nodes_v[:, None] ** np.arange(SMALL_POINTS)[::-1]) @ between
        bits = [bit for bit in (0, 1) if any(classes[bit, True, line].surface is None for line in self.lines)]
        jobs, decks = [(part, bit) for bit in bits for part in np.array_split(drawn, _decks(len(drawn)))], []
        for part, bit in jobs:
            decks.append(coarse.charge_deck(self.scaled(part), bit=bit, x=1, t_pulse_s=self.t_pulse_s))
        pieces: dict[int, list[Array]] = {bit: [] for bit in bits}
        for (part, bit), outcome in zip(jobs, self.run(decks), strict=True):
            values = coarse.charges_c(outcome, len(part))
            if values is None:
                raise RunError(f"charges of single cells cannot be simulated: {outcome.status_or('no result')}")
            pieces[bit].append(values)
        terms = terms_of(np.where(self.strong(classes), 1.0, 0.0), degree=SMALL_DEGREE)
        found: dict[Class, CellClass] = {}
        for bit in bits:
            values = np.concatenate(pieces[bit], axis=1) @ spread.T
            for line in self.lines:
                if classes[bit, True, line].surface is None:
                    found[bit, True, line] = CellClass(
                        nominal=values[line, 0],
                        mean=values[line].mean(axis=0),
                        surface=fit_surface(drawn, values[line], terms),
                    )
        return found

    def strong(self, classes: Mapping[Class, CellClass]) -> NDArray[np.bool_]:
        """Which shifts matter to any class that conducts."""
        result = np.zeros(self.shifts, dtype=np.bool_)
        for known in classes.values():
            for term in known.surface.terms if known.surface else ():
                if len(term) > 1:
                    result[list(term)] = True
        return result

    @property
    def lines(self) -> range:
        return range(len(self.bench.cell.bit_lines))

    def draw(self, stream: int, cells: int) -> Array:
        return np.random.default_rng((*self.key, stream)).standard_normal((cells, self.shifts))

    def scaled(self, z: Array) -> tuple[Array, Array]:
        return self.mismatch.scaled(self.parts, np.stack(np.split(z, 2, axis=1)))

    def currents(self, wanted: list[tuple[Array, int, bool]]) -> list[Array]:
        jobs = [
            (place, part, bit, active)
            for place, (z, bit, active) in enumerate(wanted)
            for part in np.array_split(z, _decks(len(z)))
        ]
        decks = [
            self.bench.current_deck(self.scaled(part), bit=bit, x=1 if active else -1) for _, part, bit, active in jobs
        ]
        pieces: list[list[Array]] = [[] for _ in wanted]
        for (place, part, bit, _), outcome in zip(jobs, self.run(decks), strict=True):
            values = self.bench.currents_a(outcome, len(part), bit=bit)
            if values is None:
                raise RunError(f"currents of single cells cannot be simulated: {outcome.status_or('no result')}")
            pieces[place].append(values)
        return [np.concatenate(each, axis=1) for each in pieces]


def _decks(cells: int) -> int:
    return -(-cells // DECK_CELLS)
