"""A layer on columns against aihwkit-lightning's noisy layer of the same shape, split at as many rows.

`a_s` is theirs, `b_s` ours, `noise_free_s` the product by torch of the same tensors. They do not compute the same:

- Theirs, in training mode (judging has no read noise): weights and inputs are floats; each slice of `rows` inputs is a
  product of its own, a Gaussian of one spread is added to each of its results, and an ADC of 5 bits rounds it.
- Ours: weights and inputs are +-1; each column's error is drawn from a table by its number of conducting cells, with
  the mean and the spread that each number has, or it is that of a drawn column; and the same ADC.
"""

import contextlib
import importlib.util
import io
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from benchmarks.layers import NETWORKS, Layer, noise_free, on_columns, tables_for
from benchmarks.measurement import Measurement, median, timed
from prcim.errors import InputError

#: Partial sums of a timed call of theirs, at most: beyond, fewer images are timed and multiplied.
AT_ONCE = 1 << 25
REPETITIONS, QUICK = 11, 3
BITS = 5


def measure(*, only: str, quick: bool, say: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """The entries of build/bench/peers.json."""
    if importlib.util.find_spec("aihwkit_lightning") is None:
        raise InputError("aihwkit-lightning is not installed; in a clone: .venv/bin/pip install -e '.[peers]'")
    count = QUICK if quick else REPETITIONS
    for rows in (64, 128):
        tables = tables_for(rows)
        for network, layers in NETWORKS.items():
            for model in ("iid", "column"):
                name = f"peers/aihwkit-lightning/{network}/r{rows}/{model}/cpu"
                if not name.startswith(only):
                    continue
                say(f"{name}: {len(layers)} layers")
                seconds = [0.0, 0.0, 0.0]
                for layer in layers:
                    theirs, times = _analog(layer, rows)
                    ways = (theirs, on_columns(layer, tables, model, "code", "cpu"), noise_free(layer, "cpu"))
                    found = _in_turn(ways, count)
                    seconds = [total + s * k for total, s, k in zip(seconds, found, (times, 1, 1), strict=True)]
                notes = {"noise_free_s": float(f"{seconds[2]:.4g}"), "threads": torch.get_num_threads()}
                yield Measurement(name=name, a_s=seconds[0], b_s=seconds[1], n=count, notes=notes).entry


def _analog(layer: Layer, rows: int) -> tuple[Callable[[], Tensor], float]:
    """Their layer, and how many times what it computes is the whole batch."""
    # It prints that Triton is not there.
    with contextlib.redirect_stdout(io.StringIO()):
        from aihwkit_lightning.nn import AnalogConv2d, AnalogLinear
        from aihwkit_lightning.simulator.configs import TorchInferenceRPUConfig

    config = TorchInferenceRPUConfig()
    config.mapping.max_input_size = rows
    config.pre_post.input_range.enable = True
    config.pre_post.input_range.init_value = 1.0
    # A range that is learnt from data would cost a standard deviation of every input more.
    config.pre_post.input_range.init_from_data = 0
    config.forward.out_noise = 0.1
    config.forward.out_bound = float(rows)
    config.forward.out_res = 1 / (2**BITS - 2)
    batch = max(min(layer.batch, layer.batch * AT_ONCE // layer.sums(rows)), 1)
    x, weight = layer.tensors("cpu", batch)
    if layer.side:
        made = AnalogConv2d(layer.inputs, layer.outputs, 3, padding=1, bias=False, rpu_config=config)
    else:
        made = AnalogLinear(layer.inputs, layer.outputs, bias=False, rpu_config=config)
    made.train()
    with torch.no_grad():
        made.weight.copy_(weight.reshape(made.weight.shape))

    def forward() -> Tensor:
        with torch.no_grad():
            found: Tensor = made(x)
        return found

    return forward, layer.batch / batch


def _in_turn(ways: tuple[Callable[[], Tensor], ...], count: int) -> list[float]:
    """Medians of `count` timings of each way, one after the other, the first of each left out."""
    seconds: list[list[float]] = [[] for _ in ways]
    for number in range(count + 1):
        for way, found in zip(ways, seconds, strict=True):
            spent = timed(way)
            if number:
                found.append(spent)
    return [median(found) for found in seconds]
