"""What the end of a composed run takes: samples to disk, back, and made into a table."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks.measurement import timed
from prcim.characterize.build import build_luts
from prcim.characterize.chunk import Chunk, checked_columns, checked_sums, chunks
from prcim.characterize.engine import engines
from prcim.characterize.lut.file import save_luts
from prcim.characterize.plan import Plan
from prcim.characterize.run import Maker
from prcim.characterize.samples import read_samples, write_chunk
from prcim.spice.deck import Deck
from prcim.spice.ngspice import find_ngspice, run_twice
from prcim.spice.outcome import Outcome


def table_s(plan: Plan) -> float:
    """Processor time of that for a composed plan, s.

    A chunk of columns is composed and one of dies simulated; the others are copies with other numbers, so that the work
    is that of all columns and dies.
    """
    ngspice, identity = find_ngspice(), "0" * 64

    def run(decks: Sequence[Deck]) -> list[Outcome]:
        return [run_twice(ngspice, deck, 120.0) for deck in decks]

    at = engines(plan, identity, ngspice, run)
    maker = Maker(engine=at[0]).composing(run)
    work = chunks(plan)
    known: dict[str, pd.DataFrame] = {}
    for chunk in work:
        name = chunk.name if chunk.kind == "reads" else chunk.kind
        if name not in known and chunk.kind != "checks":
            known[name] = maker.make(chunk)
    known["checks"] = _checks(plan, known["columns"])
    rows = {chunk: _numbered(known.get(chunk.name, known.get(chunk.kind)), chunk, plan) for chunk in work}
    with tempfile.TemporaryDirectory(prefix="prcim-") as scratch:
        folder = Path(scratch)

        def end() -> None:
            for chunk in work:
                write_chunk(folder, chunk, rows[chunk])
            samples = read_samples(folder, work, plan_id=identity)
            save_luts(build_luts(identity, at, [samples], "ngspice"), folder / "lut.npz")

        return timed(end)


def _numbered(rows: pd.DataFrame | None, chunk: Chunk, plan: Plan) -> pd.DataFrame:
    """The rows of a chunk of the same kind as if they were this one's."""
    assert rows is not None
    if chunk.kind == "checks":
        return rows[rows["column"].isin(checked_columns(plan)[chunk.first : chunk.last])]
    name = {"columns": "column", "chips": "chip", "cells": "cell"}.get(chunk.kind)
    if name is None or chunk.first == 0:
        return rows
    # Of dies without the first, which has more sums.
    some = rows[rows[name] > 0] if chunk.kind == "chips" else rows
    count = int(some[name].max() - some[name].min()) + 1
    copies = [
        some.assign(**{name: some[name] - some[name].min() + first}) for first in range(chunk.first, chunk.last, count)
    ]
    together = pd.concat(copies)
    return together[together[name] < chunk.last]


def _checks(plan: Plan, rows: pd.DataFrame) -> pd.DataFrame:
    """Checked reads that agree with the composed ones."""
    count, patterns = rows["column"].nunique(), plan.sampling.patterns
    macs = [2 * plan.n_on[k] - plan.n_used for k in checked_sums(plan)]
    found = []
    for index in checked_columns(plan):
        its = rows[(rows["column"] == index % count) & (rows["pattern"] == index % patterns) & rows["mac"].isin(macs)]
        found.append(its.assign(column=index, kind="checks"))
    return pd.concat(found)
