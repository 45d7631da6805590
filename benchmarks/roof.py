"""What the steps of a noise kernel cost on this machine: cycles of one core for a partial sum of 64 rows.

`ratio` is seconds of a step for one partial sum / seconds of a cycle. A chain of additions of floating-point numbers
tells the latter: on the processors of today one takes 3 or 4 cycles, here `CYCLES_OF_ADDITION`.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numba
import numpy as np
import torch

from benchmarks.measurement import median, timed
from prcim.bnn.kernels.codes_by_limits import codes_by_limits
from prcim.bnn.kernels.emitter import has_byte_permutations

#: AMD since Zen 3: 3; Intel since Ice Lake: 4.
CYCLES_OF_ADDITION = 3
POSITIONS, GROUPS, OUTPUTS, ROWS = 25_600, 18, 128, 64
ADDITIONS, LOOKED_UP, REPETITIONS = 100_000_000, 4096, 5


def _compiled(function: Callable[..., Any]) -> Any:
    return numba.njit(function)


@_compiled
def _chain(count: int, start: float, step: float) -> float:
    for _ in range(count):
        start += step
    return start


@_compiled
def _look_up(table: Any, places: Any, found: Any, times: int) -> None:
    for _ in range(times):
        for j in range(len(places)):
            four = places[j]
            found[4 * j] = table[four & np.uint64(0xFFFF)]
            found[4 * j + 1] = table[(four >> np.uint64(16)) & np.uint64(0xFFFF)]
            found[4 * j + 2] = table[(four >> np.uint64(32)) & np.uint64(0xFFFF)]
            found[4 * j + 3] = table[four >> np.uint64(48)]


def measure(*, only: str, quick: bool, say: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """The entries of build/bench/roof.json."""
    count = 2 if quick else REPETITIONS
    torch.set_num_threads(1)
    cycle_s = _seconds(lambda: _chain(ADDITIONS, 1.0, 1e-9), count) / ADDITIONS / CYCLES_OF_ADDITION
    say(f"a cycle takes {cycle_s * 1e9:.3f} ns, if an addition takes {CYCLES_OF_ADDITION}")
    for name, work, sums in _steps():
        if f"roof/{name}".startswith(only):
            spent = _seconds(work, count) / sums
            yield {
                "name": f"roof/{name}",
                "ratio": float(f"{spent / cycle_s:.3g}"),
                "a_s": spent,
                "b_s": cycle_s,
                "n": count,
            }


def _steps() -> Iterator[tuple[str, Callable[[], Any], int]]:
    rng = np.random.default_rng(0)
    sums = POSITIONS * GROUPS * OUTPUTS
    left, right = torch.randn(4096, 16 * ROWS), torch.randn(1024, 16 * ROWS)
    yield "product", lambda: torch.nn.functional.linear(left, right), 4096 * 16 * 1024
    table = rng.integers(0, 255, 65 * 256).astype(np.uint8)
    places = (rng.integers(24, 40, LOOKED_UP) * 256 + rng.integers(0, 256, LOOKED_UP)).astype(np.uint16).view(np.uint64)
    found = np.empty(LOOKED_UP, np.uint8)
    yield "look-up", lambda: _look_up(table, places, found, 1000), 1000 * LOOKED_UP
    if not has_byte_permutations():
        return
    words = rng.integers(0, 2**63, (POSITIONS, GROUPS, 1), dtype=np.uint64)
    weights = rng.integers(0, 2**63, GROUPS * OUTPUTS, dtype=np.uint64)
    counters, key = np.zeros((POSITIONS, 2), np.uint64), np.array([1, 2], np.uint64)
    counters[:, 0] = np.arange(POSITIONS)
    totals, scale = np.empty((POSITIONS, OUTPUTS), np.float32), np.array([0, 1, 0], np.float32)

    def codes(cuts: int, *, draw: bool, each: bool = False, both: bool = False) -> Callable[[], Any]:
        size = 128 * (1 + cuts)
        tables = rng.integers(0, 8, 65 * size).astype(np.uint8)
        which = rng.integers(0, 65, GROUPS * OUTPUTS) * size if each else None
        by_draw = table if both else table[:0]
        return lambda: codes_by_limits(
            words, weights, tables, which, cuts, (0, 0), by_draw, 8, counters, 0, key, draw, 1, 0, POSITIONS // 64,
            totals, scale,
        )  # fmt: skip

    yield "counts", codes(0, draw=False), sums
    yield "counts, draws", codes(0, draw=True), sums
    yield "counts, draws, a limit for each column", codes(1, draw=True, each=True), sums
    yield "counts, draws, 31 limits", codes(31, draw=True), sums
    yield "counts, draws, 31 limits of half, look-ups of half", codes(31, draw=True, both=True), sums


def _seconds(work: Callable[[], Any], count: int) -> float:
    work()
    return median([timed(work) for _ in range(count)])
