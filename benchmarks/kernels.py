"""Noise kernels of the network against plain torch, on one thread unless OMP_NUM_THREADS says otherwise.

Each name is `ratio/network/rows/read-out/device`; those that end in `cuda` are there where torch finds a GPU, and the
torch ways are then computed in bfloat16. The ratio a / b:

- `iid`, `column`: forward pass with that noise / the noise-free float32 product of the same layers by torch;
- `lookup`: bmm, randint and gather, the faster of eager and compiled / the i.i.d. forward pass;
- `gauss`: bmm and randn for every partial sum / the i.i.d. forward pass;
- `step`, `memory`: a training step of VGG-9 with i.i.d. noise / one without noise (see `steps.py`).

All go from float32 tensors of +-1 (bfloat16 where torch computes in it) to the layer's output. Seconds are processor
time, on a GPU time between events in its queue, medians, both ways in turn; those
of VGG-9 are sums over its layers 2 to 8 at batch 100. The plain ways are run on the images that fit in memory and
multiplied. `layers` has the ratio of each layer, `sums` the partial sums.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch

from benchmarks.gpu import timed_on_gpu
from benchmarks.layers import NETWORKS, Layer, noise_free, on_columns, plain, tables_for
from benchmarks.measurement import median, timed
from benchmarks.steps import peak_bytes, steps
from prcim.bnn.tables import IntegerTables

ROWS = (64, 128)
READOUTS = ("code", "majority")
RATIOS = ("iid", "column", "lookup", "gauss")
REPETITIONS, QUICK = 11, 3


def measure(*, only: str, quick: bool, say: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """The entries of build/bench/kernels.json."""
    count = QUICK if quick else REPETITIONS
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        yield from _on(device, only, quick, count, say)


def _on(device: str, only: str, quick: bool, count: int, say: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    for network, layers in NETWORKS.items():
        for rows in ROWS:
            tables = tables_for(rows)
            for readout in READOUTS:
                for ratio in RATIOS:
                    name = f"{ratio}/{network}/r{rows}/{readout}/{device}"
                    if name.startswith(only):
                        yield _forward(name, ratio, layers, tables, readout, count, say, device)
    for rows in ROWS:
        for readout in READOUTS:
            for ratio, compare in (("step", steps), ("memory", peak_bytes)):
                name = f"{ratio}/vgg9/r{rows}/{readout}/{device}"
                if name.startswith(only):
                    say(f"{name}: some minutes")
                    yield {"name": name, **compare(rows, readout, count, batch=10 if quick else 100, device=device)}


def _forward(
    name: str,
    ratio: str,
    layers: list[Layer],
    tables: IntegerTables,
    readout: str,
    count: int,
    say: Callable[[str], None],
    device: str = "cpu",
) -> dict[str, Any]:
    a_s, b_s, each = 0.0, 0.0, {}
    for layer in layers:
        scale = 1.0
        if ratio in ("lookup", "gauss"):
            eager, scale = plain(layer, tables, ratio, readout, device)
            ways = [eager, *_compiled(eager, say)]
            b = on_columns(layer, tables, "iid", readout, device)
        else:
            ways, b = [on_columns(layer, tables, ratio, readout, device)], noise_free(layer, device)  # type: ignore[arg-type]
        with torch.inference_mode():
            found = in_turn([*ways, b], count, timed_on_gpu if device == "cuda" else timed)
        a, b_each = min(found[:-1]) * scale, found[-1]
        each[layer.name] = float(f"{a / b_each:.3g}")
        a_s, b_s = a_s + a, b_s + b_each
    sums = sum(layer.sums(tables.n_used) for layer in layers)
    figures = {"ratio": a_s / b_s, "a_s": a_s, "b_s": b_s}
    return {
        "name": name,
        **{key: float(f"{value:.4g}") for key, value in figures.items()},
        "n": count,
        "threads": torch.get_num_threads(),
        "layers": each,
        "sums": sums,
    }


def in_turn(
    ways: list[Callable[[], Any]], count: int, clock: Callable[[Callable[[], Any]], float] = timed
) -> list[float]:
    """Median time of each, s; they take turns, so that what else the machine does meets all alike."""
    for way in ways:
        way()
    seconds: list[list[float]] = [[] for _ in ways]
    for _ in range(count):
        for way, found in zip(ways, seconds, strict=True):
            found.append(clock(way))
    return [median(found) for found in seconds]


def _compiled(function: Callable[[], Any], say: Callable[[str], None]) -> list[Callable[[], Any]]:
    """The function compiled by torch, where that works here: it needs a C++ compiler."""
    try:
        torch.compiler.reset()
        made: Callable[[], Any] = torch.compile(function)
        with torch.inference_mode():
            made()
    except Exception as error:  # noqa: BLE001 - whatever a compiler fails with
        say(f"torch.compile fails here, eager only: {type(error).__name__}")
        return []
    return [made]
