"""Runs with ngspice on a small plan: the same bytes whatever the workers, the order and the interruptions."""

import json
import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from prcim.characterize.chunk import Chunk, Kind, chunks
from prcim.characterize.engine import Engine, engines
from prcim.characterize.plan import named_plan, plan_id
from prcim.characterize.run import Characterization, run_folder, run_plan
from prcim.characterize.samples import chunk_file, read_samples
from prcim.characterize.worker import worker_setup
from prcim.errors import InputError
from prcim.spice.ngspice import Ngspice, find_ngspice

SMALL = ["rows=8", "sums=5", "sampling.columns=8", "patterns=2", "chips=2", "cells=16"]
PLAN = named_plan("8t-64-quick").changed(SMALL)
WORK = chunks(PLAN)
TOTAL = sum(chunk.shots(PLAN) for chunk in WORK)
NGSPICE = find_ngspice()
ID = plan_id(PLAN, simulator=f"ngspice-{NGSPICE.version}")

Progress = Callable[[int, int], None]


def run(folder: Path, *, progress: Progress = lambda done, total: None) -> Characterization:
    with ThreadPoolExecutor(1) as pool:
        return run_plan(PLAN, NGSPICE, folder, pool, workers=1, progress=progress)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Characterization:
    return run(tmp_path_factory.mktemp("first"))


def table(folder: Path) -> bytes:
    return (folder / "lut.npz").read_bytes()


def same_samples(one: Path, other: Path) -> None:
    for kind, rows in read_samples(one, WORK, plan_id=ID).items():
        found = read_samples(other, WORK, plan_id=ID)[kind].drop(columns="seconds", errors="ignore")
        pd.testing.assert_frame_equal(found, rows.drop(columns="seconds", errors="ignore"))


class Backwards(Executor):
    """Waits until all chunks are handed in, then works from the last to the first; does anything else at once."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.waiting: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        if not isinstance(args[0], Chunk):
            future.set_result(function(*args, **kwargs))
            return future
        self.waiting.append((future, lambda: function(*args, **kwargs)))
        if len(self.waiting) == self.count:
            threading.Thread(target=self.work).start()
        return future

    def work(self) -> None:
        for future, call in reversed(self.waiting):
            future.set_result(call())


def test_two_processes(first: Characterization, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context, initializer=worker_setup) as pool:
        run_plan(PLAN, NGSPICE, tmp_path, pool, workers=2)
    assert table(tmp_path) == table(first.folder)
    same_samples(first.folder, tmp_path)


def test_backwards(first: Characterization, tmp_path: Path) -> None:
    run_plan(PLAN, NGSPICE, tmp_path, Backwards(len(WORK)), workers=len(WORK))
    assert table(tmp_path) == table(first.folder)
    same_samples(first.folder, tmp_path)


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> list[Chunk]:
    """The chunks that are simulated."""
    found: list[Chunk] = []
    simulate = Engine.simulate

    def noted(self: Engine, chunk: Chunk) -> pd.DataFrame:
        found.append(chunk)
        return simulate(self, chunk)

    monkeypatch.setattr(Engine, "simulate", noted)
    return found


def test_interrupted_again_and_again(first: Characterization, tmp_path: Path, simulated: list[Chunk]) -> None:
    """Ctrl-C while chunks come in, and a file that somebody deletes: only what is missing is simulated."""
    for stop in (1, 4, 8):
        done = [0]

        def stopping(shots: int, total: int, done: list[int] = done, stop: int = stop) -> None:
            assert total == TOTAL
            done[0] = shots
            if len(finished()) == stop:
                raise KeyboardInterrupt(f"after {stop} chunks")

        def finished() -> list[Chunk]:
            return [chunk for chunk in WORK if chunk_file(tmp_path, chunk).exists()]

        with pytest.raises(KeyboardInterrupt, match=f"after {stop} chunks"):
            run(tmp_path, progress=stopping)
        assert len(finished()) == stop
        assert done[0] == sum(chunk.shots(PLAN) for chunk in finished())
        assert not (tmp_path / "lut.npz").exists()
    deleted = finished()[3]
    chunk_file(tmp_path, deleted).unlink()
    simulated.clear()
    missing = [chunk for chunk in WORK if chunk not in finished()]
    result = run(tmp_path)
    assert simulated == missing == [deleted, *(chunk for chunk in missing if chunk != deleted)]
    assert result.summary["shots_resumed"] == TOTAL - sum(chunk.shots(PLAN) for chunk in missing)
    assert table(tmp_path) == table(first.folder)
    same_samples(first.folder, tmp_path)


def test_finished_run_is_not_simulated_again(
    first: Characterization, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even what decides its read: ngspice is not started."""
    folder = Path(shutil.copytree(first.folder, tmp_path / "copy"))
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr(Ngspice, "run", lambda *_, **__: pytest.fail("ngspice was started"))
    again = run(folder, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(TOTAL, TOTAL)]
    timing = {"shots_resumed": TOTAL, "seconds": again.summary["seconds"]}
    assert again.summary == first.summary | timing
    assert table(folder) == table(first.folder)


@pytest.mark.parametrize("left", ["nothing", "a half", "that of another plan"])
def test_table_of_a_finished_run_is_made_anew(
    first: Characterization, tmp_path: Path, simulated: list[Chunk], left: str
) -> None:
    folder = Path(shutil.copytree(first.folder, tmp_path / "copy"))
    whole = table(folder)
    path = folder / "lut.npz"
    path.unlink()
    if left == "a half":
        path.write_bytes(whole[: len(whole) // 2])
    elif left == "that of another plan":
        path.write_bytes(Path("characterize/tables/8t-64.npz").read_bytes())
    assert run(folder).summary["shots_resumed"] == TOTAL
    assert not simulated
    assert table(folder) == whole


def test_progress_grows_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: Characterization) -> None:
    ready = {chunk: pd.read_parquet(chunk_file(first.folder, chunk)) for chunk in WORK}
    monkeypatch.setattr(Engine, "simulate", lambda _, chunk: ready[chunk])
    seen: list[int] = []
    run(tmp_path, progress=lambda done, total: seen.append(done))
    assert seen == sorted(seen)
    assert (seen[0], seen[-1], len(seen)) == (0, TOTAL, len(WORK) + 1)
    assert table(tmp_path) == table(first.folder)


def test_shot_does_not_depend_on_its_chunk(first: Characterization) -> None:
    """An item is drawn and simulated alone; the same one in other company is the same, and no two are alike."""
    (engine,) = engines(PLAN, ID, NGSPICE, lambda decks: [NGSPICE.run(deck) for deck in decks])
    samples = read_samples(first.folder, WORK, plan_id=ID)
    wanted: list[tuple[Kind, str, int]] = [("columns", "column", 5), ("chips", "chip", 1)]
    for kind, name, item in wanted:
        alone = engine.simulate(Chunk(kind=kind, first=item, last=item + 1)).drop(columns="seconds")
        rows = samples[kind].drop(columns="seconds", errors="ignore")
        # Rows of columns come without what they have in common, in narrow types.
        alone = alone[list(rows.columns)].astype(rows.dtypes)
        pd.testing.assert_frame_equal(alone, rows[rows[name] == item].reset_index(drop=True))
        assert len({tuple(rows["v_bl_v"][rows[name] == index]) for index in rows[name]}) == rows[name].nunique()


def test_second_run_at_once_is_refused(tmp_path: Path) -> None:
    def second(_done: int, _total: int) -> None:
        with pytest.raises(InputError, match=r"another run works in .*; wait for it or choose another folder"):
            run(tmp_path)
        raise KeyboardInterrupt("seen")

    with pytest.raises(KeyboardInterrupt, match="seen"):
        run(tmp_path, progress=second)
    # The interrupted run has let the folder go.
    with pytest.raises(KeyboardInterrupt, match="seen"):
        run(tmp_path, progress=second)


def test_folder_of_another_plan_is_refused(first: Characterization) -> None:
    before = table(first.folder)
    with ThreadPoolExecutor(1) as pool, pytest.raises(InputError, match=rf"belongs to plan {ID[:8]}, not"):
        run_plan(PLAN.changed(["seed=2"]), NGSPICE, first.folder, pool, workers=1)
    assert table(first.folder) == before


def test_result_says_what_a_program_reads(first: Characterization) -> None:
    summary = json.loads((first.folder / "summary.json").read_text())
    assert summary == first.summary
    assert (summary["plan_id"], summary["engine"], summary["failures"]) == (ID, "column", 0)
    assert (summary["shots"], summary["shots_resumed"]) == (TOTAL, 0)
    assert set(summary["agreement"]) == {"n", "rms_mac", "max_mac", "spread_ratio", "spread_ratio_worst"}
    assert (summary["held"]["n"], summary["held"]["used"]) == (12, True)
    assert summary["held"]["max_mac"] < 0.01
    assert 0 < summary["static_share"] < 1
    assert run_folder(PLAN, NGSPICE, Path("a")) == Path("a") / f"{PLAN.name}-{ID[:8]}"


def test_table_holds_no_date_host_or_path(first: Characterization) -> None:
    meta = json.dumps(dict(first.lut.meta))
    for word in (str(first.folder), str(Path.home()), os.uname().nodename, "seconds", "date", "parquet"):
        assert word not in meta
    assert first.lut.meta["simulator"] == f"ngspice-{NGSPICE.version}"
    assert first.lut.plan_id == ID


def test_lut_is_sound(first: Characterization) -> None:
    lut = first.lut
    assert (lut.failures, lut.count.tolist()) == (0, [16.0] * 5)
    assert lut.transfer_v[0] - lut.transfer_v[-1] == pytest.approx(PLAN.read.swing_v, rel=0.3)
    assert (lut.energy_j > 0).all()
    # At the ends all patterns meet.
    assert lut.v_res[[0, -1]] == pytest.approx([0, 0], abs=1e-6)


def test_simulator_version_is_part_of_the_identity(tmp_path: Path) -> None:
    newer = Ngspice(path=NGSPICE.path, version="99")
    assert run_folder(PLAN, newer, tmp_path) != run_folder(PLAN, NGSPICE, tmp_path)
