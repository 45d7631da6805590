"""What can go wrong in a run: shots that fail, a simulator that dies, reads that are refused, a full disk."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from disk import full_disk

from prcim.characterize.chunk import Chunk, chunks
from prcim.characterize.engine import Engine, engines
from prcim.characterize.lut.file import save_luts
from prcim.characterize.plan import Plan, named_plan, plan_id
from prcim.characterize.run import Characterization, run_plan
from prcim.characterize.samples import chunk_file, write_chunk
from prcim.characterize.size import size
from prcim.errors import InputError, RunError
from prcim.spice.ngspice import Ngspice, find_ngspice

SMALL = ["rows=8", "sums=5", "sampling.columns=8", "patterns=2", "chips=2", "cells=16"]
PLAN = named_plan("8t-64-quick").changed(SMALL)
TOTAL = sum(chunk.shots(PLAN) for chunk in chunks(PLAN))
COLUMNS = Chunk(kind="columns", first=0, last=4)


def run(folder: Path, plan: Plan = PLAN, ngspice: Ngspice | None = None, **more: Any) -> Characterization:
    with ThreadPoolExecutor(1) as pool:
        return run_plan(plan, ngspice or find_ngspice(), folder, pool, workers=1, **more)


@pytest.fixture
def ready(first: Characterization, monkeypatch: pytest.MonkeyPatch) -> dict[str, pd.DataFrame]:
    """Chunk name -> rows, of a finished run; the engine hands these out instead of simulating."""
    rows = {chunk.name: pd.read_parquet(chunk_file(first.folder, chunk)) for chunk in chunks(PLAN)}
    monkeypatch.setattr(Engine, "simulate", lambda self, chunk: rows[chunk.name].assign(plan_id=self.plan_id))
    return rows


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Characterization:
    return run(tmp_path_factory.mktemp("first"))


def fail(rows: dict[str, pd.DataFrame], shots: int) -> None:
    """Makes the first shots of a chunk of columns fail."""
    rows[COLUMNS.name].loc[: shots - 1, "status"] = "failed: no convergence"
    rows[COLUMNS.name].loc[: shots - 1, "v_bl_v"] = np.nan


def test_too_many_failed_shots_and_there_is_no_table(ready: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    fail(ready, 7)
    plan = PLAN.changed(["failures_max=0.06"])
    words = rf"7 of {TOTAL} shots failed, more than the allowed share 0\.06; there is no table.*failures_max raises"
    with pytest.raises(RunError, match=words):
        run(tmp_path, plan)
    assert not (tmp_path / "lut.npz").exists()
    # The rows stay, with their reason, and the same run says the same again without simulating anything.
    assert chunk_file(tmp_path, COLUMNS).exists()
    ready.clear()
    with pytest.raises(RunError, match=words):
        run(tmp_path, plan)


def test_few_failed_shots_are_in_the_table(
    ready: dict[str, pd.DataFrame], first: Characterization, tmp_path: Path
) -> None:
    fail(ready, 7)
    result = run(tmp_path, PLAN.changed(["failures_max=0.061"]))
    assert result.summary["failures"] == result.lut.failures == 7
    # The first seven shots of a column: all five sums of the first pattern, the two largest of the second.
    assert result.lut.failed.tolist() == [1, 1, 1, 2, 2]
    assert (result.lut.count + result.lut.failed).tolist() == first.lut.count.tolist()
    assert np.isfinite(result.lut.bank).all()


def test_cells_that_lose_their_data_fail(tmp_path: Path) -> None:
    """A real failure: with a spread of 0.2 V and half the supply many cells cannot hold both bits."""
    hard = ["rows=4", "a_vt_v_m=3e-8", "vdd_v=0.5", "swing_v=0.1", "failures_max=0.2"]
    plan = PLAN.changed(hard)
    with pytest.raises(RunError, match=r"shots failed, more than the allowed share 0\.2; there is no table"):
        run(tmp_path, plan)
    written = pd.concat([pd.read_parquet(path) for path in (tmp_path / "samples").glob("columns-*.parquet")])
    bad = written[written["status"] != "ok"]
    assert set(bad["status"]) <= {"failed: a cell lost its data or never held it", "failed: no convergence"}
    assert len(bad) > 20


def dying(tmp_path: Path, when: str, body: str) -> Ngspice:
    """An ngspice that does `body` instead when the number of its run with a deck of noise, $n, fulfils `when`."""
    real, count, path = find_ngspice(), tmp_path / "count", tmp_path / "dying"
    head = f"#!/bin/sh\nif grep -q 'prcim noise' deck.cir; then\necho x >> {count}\nn=$(wc -l < {count})\n"
    path.write_text(f'{head}if [ $n {when} ]; then {body}; fi\nfi\nexec {real.path} "$@"\n')
    path.chmod(0o755)
    return replace(real, path=str(path))


def test_simulator_that_hangs_ends_the_run(tmp_path: Path) -> None:
    words = r"timeout: ngspice gave no answer within 1 s, twice; finished chunks are kept: run the same command again"
    with pytest.raises(RunError, match=words):
        run(tmp_path / "run", ngspice=dying(tmp_path, "-gt 1", "sleep 99"), timeout_s=1.0)
    # Every single read has one deck of noise.
    assert len(list((tmp_path / "run" / "samples").iterdir())) == 1


def test_simulator_that_dies_ends_the_run_which_can_go_on(first: Characterization, tmp_path: Path) -> None:
    """Nothing that a killed simulator says is taken for data."""
    folder = tmp_path / "run"
    with pytest.raises(RunError, match=r"killed: ngspice was ended by signal 9, twice; finished chunks are kept"):
        run(folder, ngspice=dying(tmp_path, "-gt 1", "kill -9 $$"))
    assert len(list((folder / "samples").iterdir())) == 1
    assert not (folder / "lut.npz").exists()
    result = run(folder)
    assert result.summary["shots_resumed"] == 1
    assert (folder / "lut.npz").read_bytes() == (first.folder / "lut.npz").read_bytes()


def test_simulator_that_dies_once_is_asked_again(first: Characterization, tmp_path: Path) -> None:
    run(tmp_path / "run", ngspice=dying(tmp_path, "= 3", "kill -9 $$"))
    assert (tmp_path / "run" / "lut.npz").read_bytes() == (first.folder / "lut.npz").read_bytes()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["swing_v=0.95"], r"the bit line falls to 0\.150 V, where .* \(limit 0\.200 V.*; lower swing_v"),
        (["swing_v=0.6", "v_wl_v=0.85"], r"falls to 0\.500 V, where .* \(limit 0\.600 V"),
        (["i_line_max_a=1e-6"], r"together draw 0\.00\d+ mA; the limit i_line_max_a is 0\.001 mA; lower v_wl_v"),
        (["settle_tau=4"], r"settle_tau is 4\.0; a steady state takes at least 5 time constants"),
        (["v_wl_v=2.5"], r"v_wl_v is 2\.5 V; an active word line needs"),
        (["vdd_v=2.5"], r"vdd_v is 2\.5 V; a 65nm-style column works"),
        (["mode=pulsed", "v_wl_v=0.6"], r"t_pulse_s is \d\d\.\d ps; a pulse needs at least 100 ps .*; lower v_wl_v"),
        (["load=pmos", "swing_v=0.5"], r"a PMOS load .* would be .* nm wide, less than 80 nm; raise v_wl_v"),
        (["cell=8t1c", "mode=charge", "t_settle_s=9e-11"], r"t_settle_s is 9e-11 s; plates need at least 1e-10 s"),
        (["cell=8t1c"], r"read\.mode is 'steady'; a cell '8t1c' is read by: charge"),
    ],
)
def test_refused_reads(settings: list[str], words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        run(tmp_path, PLAN.changed(settings))
    assert not list(tmp_path.rglob("*.parquet"))


def test_load_gives_the_swing_that_was_asked_for() -> None:
    ohm = {}
    for swing_v in (0.05, 0.1, 0.2):
        column, _ = size(PLAN.changed([f"swing_v={swing_v}"]), find_ngspice())
        ohm[swing_v] = column.load_ohm
    # The current falls with the bit line, so twice the swing needs more than twice the load.
    assert 2 < ohm[0.1] / ohm[0.05] < ohm[0.2] / ohm[0.1] < 3
    with pytest.raises(RunError, match="the column without mismatch cannot be simulated: failed: ngspice wrote no"):
        size(PLAN, Ngspice(path="/bin/true", version="39"))


@pytest.mark.parametrize("free", [0, 1000, 5000])
def test_full_disk_leaves_the_old_table_whole(first: Characterization, tmp_path: Path, free: int) -> None:
    path = tmp_path / "lut.npz"
    save_luts((first.lut,), path)
    before = path.read_bytes()
    changed = replace(first.lut, bank=first.lut.bank + 1)
    with full_disk(free), pytest.raises(RunError, match=r"cannot write .*lut\.npz: .*; free some space or"):
        save_luts((changed,), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    # Who reads while the file is replaced sees the old one to its end.
    with path.open("rb") as reader:
        save_luts((changed,), path)
        assert reader.read() == before
    assert path.read_bytes() != before


@pytest.mark.parametrize("free", [0, 1000])
def test_full_disk_leaves_no_half_sample_file(first: Characterization, tmp_path: Path, free: int) -> None:
    rows = pd.read_parquet(chunk_file(first.folder, COLUMNS))
    with full_disk(free), pytest.raises(RunError, match=r"cannot write .*columns-00000-00004\.parquet: .*; free some"):
        write_chunk(tmp_path, COLUMNS, rows)
    assert not list((tmp_path / "samples").iterdir())


def test_run_on_a_full_disk_can_go_on(
    first: Characterization, ready: dict[str, pd.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk that the folder lies on; ngspice's own scratch files lie elsewhere."""
    ngspice = find_ngspice()
    at = engines(PLAN, first.lut.plan_id, ngspice, lambda decks: [ngspice.run(deck) for deck in decks])
    monkeypatch.setattr("prcim.characterize.run.engines", lambda *_, **__: at)
    with full_disk(3000), pytest.raises(RunError, match=r"cannot write .*\.parquet: .*; free some space"):
        run(tmp_path, plan=PLAN)
    assert run(tmp_path).summary["plan_id"] == plan_id(PLAN, simulator=f"ngspice-{find_ngspice().version}")
    assert (tmp_path / "lut.npz").read_bytes() == (first.folder / "lut.npz").read_bytes()
    assert set(ready) == {path.stem for path in (tmp_path / "samples").iterdir()}


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match=r"cannot work in .*file/run: .*; choose another folder with --out"):
        run(tmp_path / "file" / "run")
