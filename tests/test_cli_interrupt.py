"""Ctrl-C and kill -9 in the middle of a run: nothing is lost, nothing is left running, the table is the same."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SETTINGS = ["engine=column", "rows=8", "sums=5", "sampling.columns=80", "patterns=4", "chips=2", "cells=16"]
CHUNKS = 5 + 1 + 1 + 20


def command(*more: str) -> list[str]:
    """The command line of a run that takes some seconds."""
    sets = [part for setting in SETTINGS for part in ("--set", setting)]
    return [sys.executable, "-m", "prcim.cli.main", "characterize", "--jobs", "2", "--out", "out", *sets, *more]


def finished(folder: Path) -> int:
    """Chunks that are on the disk."""
    return len(list((folder / "out/samples").glob("[!.]*.parquet")))


def start_and_wait(folder: Path, chunks: int) -> subprocess.Popen[str]:
    """Starts the run in a session of its own, and returns when so many chunks are on the disk."""
    process = subprocess.Popen(
        command(),
        cwd=folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Tests that were started in the background of a shell have the signal ignored, and so would the run.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while finished(folder) < chunks:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def simulators(folder: Path) -> list[str]:
    """Command lines of this run's processes that are still there: workers have its folder as their own."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").resolve() == folder.resolve():
                found.append((entry / "cmdline").read_text())
        except OSError:
            continue
    return found


def wait_until_gone(folder: Path) -> None:
    """Waits some seconds for workers to notice that they are alone."""
    deadline = time.monotonic() + 20
    while simulators(folder) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert simulators(folder) == []


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The table of a run that nobody disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    subprocess.run(command(), cwd=folder, check=True, capture_output=True)
    return (folder / "out/lut.npz").read_bytes()


def test_ctrl_c_keeps_what_is_finished(tmp_path: Path, undisturbed: bytes) -> None:
    process = start_and_wait(tmp_path, 6)
    # A terminal sends the signal to every process of the foreground group.
    os.killpg(process.pid, signal.SIGINT)
    _, messages = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted; what is finished is kept: run the same command again to go on" in messages
    assert "Traceback" not in messages
    wait_until_gone(tmp_path)
    kept = finished(tmp_path)
    assert 6 <= kept < CHUNKS
    again = subprocess.run(command("--json"), cwd=tmp_path, check=True, capture_output=True, text=True)
    summary = json.loads(again.stdout)
    assert 0 < summary["shots_resumed"] < summary["shots"]
    assert (tmp_path / "out/lut.npz").read_bytes() == undisturbed


@pytest.mark.slow
def test_kill_9_keeps_what_is_finished(tmp_path: Path, undisturbed: bytes) -> None:
    for chunks in (3, 9, 16):
        process = start_and_wait(tmp_path, chunks)
        process.kill()
        process.communicate()
        wait_until_gone(tmp_path)
        assert chunks <= finished(tmp_path) < CHUNKS
        assert not (tmp_path / "out/lut.npz").exists()
    subprocess.run(command(), cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "out/lut.npz").read_bytes() == undisturbed
    assert list((tmp_path / "out/samples").glob(".*")) == []


def test_a_simulator_that_is_killed_in_the_middle_is_started_again(tmp_path: Path, undisturbed: bytes) -> None:
    process = start_and_wait(tmp_path, 4)
    killed = 0
    deadline = time.monotonic() + 20
    while killed == 0 and time.monotonic() < deadline:
        for child in Path("/proc").glob("[0-9]*"):
            try:
                name, parent = (child / "comm").read_text().strip(), (child / "stat").read_text().split()[3]
                grandparent = Path(f"/proc/{parent}/stat").read_text().split()[3]
            except (OSError, IndexError):
                continue
            if name == "ngspice" and grandparent == str(process.pid):
                os.kill(int(child.name), signal.SIGKILL)
                killed += 1
                break
    assert killed == 1
    _, messages = process.communicate(timeout=120)
    assert process.returncode == 0, messages
    assert (tmp_path / "out/lut.npz").read_bytes() == undisturbed
