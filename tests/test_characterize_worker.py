"""The slow ring: a run whose parent is killed leaves neither a worker nor a simulator."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CHILD = """
import multiprocessing, os, sys
from concurrent.futures import ProcessPoolExecutor
from prcim.characterize.worker import worker_setup
from prcim.spice.deck import Deck
from prcim.spice.ngspice import Ngspice

if __name__ == "__main__":
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=worker_setup) as pool:
        deck = Deck(netlist="* t", save=(), analyses=("op",))
        future = pool.submit(Ngspice(path=sys.argv[1], version="39").run, deck)
        print(next(iter(pool._processes)), flush=True)
        future.result()
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_parent_leaves_no_worker_and_no_simulator(tmp_path: Path, number: signal.Signals) -> None:
    hang, script, pid_file = tmp_path / "hang", tmp_path / "child.py", tmp_path / "pid"
    hang.write_text(f"#!/bin/sh\necho $$ > {pid_file}.part; mv {pid_file}.part {pid_file}; exec sleep 600\n")
    hang.chmod(0o755)
    script.write_text(CHILD)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command, quiet = [sys.executable, str(script), str(hang)], subprocess.DEVNULL
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=quiet, text=True, env=environment) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        for _ in range(600):
            if pid_file.exists():
                break
            time.sleep(0.05)
        pids = [worker, int(pid_file.read_text())]
        assert all(alive(pid) for pid in pids)
        parent.send_signal(number)
    for _ in range(100):
        if not any(alive(pid) for pid in pids):
            return
        time.sleep(0.1)
    for pid in pids:
        if alive(pid):
            os.kill(pid, signal.SIGKILL)
    pytest.fail("a worker or its simulator runs on")


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and waits for its parent to notice does not."""
    try:
        os.kill(pid, 0)
        if not Path("/proc/self").exists():
            return True
        return not Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].startswith(" Z")
    except (ProcessLookupError, FileNotFoundError):
        return False
