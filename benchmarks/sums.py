"""Seconds of a layer on columns from 10^6 to 10^9 partial sums: a linear layer of 1024 x 1024, its batch growing.

`b_s` is the layer's time, `a_s` what it were if that of the smallest batch grew in proportion: a ratio of one or more
says that time grows no faster than the sums.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import torch

from benchmarks.layers import NETWORKS, on_columns, tables_for
from benchmarks.measurement import Measurement, median, timed

ROWS = 64
COUNTS, QUICK = (10**6, 10**7, 10**8, 10**9), (10**6, 10**7)
REPETITIONS = 11


def measure(*, only: str, quick: bool, say: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """The entries of build/bench/sums.json."""
    (layer,), tables = NETWORKS["linear1024"], tables_for(ROWS)
    for readout in ("code", "majority"):
        for model in ("iid", "column"):
            first_s = 0.0
            for count in QUICK if quick else COUNTS:
                name = f"sums/linear1024/r{ROWS}/{model}/{readout}/{count:.0e}".replace("+0", "")
                if not name.startswith(only):
                    continue
                some = dataclasses.replace(layer, batch=round(count * layer.batch / layer.sums(ROWS)))
                say(f"{name}: batch {some.batch}")
                forward = on_columns(some, tables, model, readout, "cpu")
                forward()
                spent = median([timed(forward) for _ in range(REPETITIONS)])
                sums = some.sums(ROWS)
                first_s = first_s or spent / sums
                notes = {"sums": sums, "ns_each": round(spent / sums * 1e9, 3), "threads": torch.get_num_threads()}
                yield Measurement(name=name, a_s=first_s * sums, b_s=spent, n=REPETITIONS, notes=notes).entry
