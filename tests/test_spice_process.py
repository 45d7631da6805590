"""Simulators that hang, die, or are none: scripts that stand in for ngspice."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

from prcim.errors import InputError
from prcim.spice.deck import Deck
from prcim.spice.ngspice import find_ngspice

DECK = Deck(netlist="* divider\nv1 a 0 1\nr1 a b 1k\nr2 b 0 1k\n", save=("v(b)",), analyses=("op",))

Fake = Callable[..., None]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Puts a shell script in ngspice's place."""
    real = find_ngspice().path

    def make(body: str) -> None:
        path = tmp_path / "fake-ngspice"
        path.write_text(
            f'#!/bin/sh\nif [ "$1" = --version ]; then echo "** ngspice-45"; exit 0; fi\nREAL={real}\n{body}\n'
        )
        path.chmod(0o755)
        monkeypatch.setenv("PRCIM_NGSPICE", str(path))

    return make


def runs(pid: int) -> bool:
    """Whether a process runs; one that is dead and waits for its parent to notice does not."""
    try:
        os.kill(pid, 0)
        if not Path("/proc/self").exists():  # there the first process of the system clears up at once
            return True
        return not Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].startswith(" Z")
    except (ProcessLookupError, FileNotFoundError):
        return False


def gone(*pid_files: Path) -> bool:
    """Whether none of the processes whose ids the files hold runs any more, within a second."""
    for _ in range(50):
        if not any(runs(int(path.read_text())) for path in pid_files):
            return True
        time.sleep(0.02)
    return False


def test_hanging_simulator_is_a_timeout_and_leaves_no_process(fake: Fake, tmp_path: Path) -> None:
    # It hangs in a child, and neither heeds a polite request to end.
    fake(f"trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > {tmp_path}/child; sleep 99' & echo $$ > {tmp_path}/own; wait")
    outcome = find_ngspice().run(DECK, timeout_s=1.0)
    assert outcome.status == "timeout: ngspice gave no answer within 1 s"
    assert outcome.interrupted
    assert not outcome.ok
    assert not outcome.values
    assert 1 <= outcome.seconds < 10
    assert gone(tmp_path / "own", tmp_path / "child")


def test_child_that_outlives_the_simulator_is_ended(fake: Fake, tmp_path: Path) -> None:
    fake(f'sleep 99 & echo $! > {tmp_path}/child; exec $REAL "$@"')
    assert find_ngspice().run(DECK).ok
    assert gone(tmp_path / "child")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_killed_simulator(fake: Fake, number: signal.Signals) -> None:
    fake(f"kill -{int(number)} $$")
    outcome = find_ngspice().run(DECK)
    assert outcome.status == f"killed: ngspice was ended by signal {int(number)}"
    assert outcome.interrupted


def test_ctrl_c_ends_the_simulator(fake: Fake, tmp_path: Path) -> None:
    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt("from the test")

    fake(f"echo $$ > {tmp_path}/own; sleep 99")
    ngspice = find_ngspice()
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 1.0)
        with pytest.raises(KeyboardInterrupt, match="from the test"):
            ngspice.run(DECK)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert gone(tmp_path / "own")


def test_exit_status_counts_even_with_a_result(fake: Fake) -> None:
    fake('$REAL "$@"; echo "Error: out of paper" >> out.log; exit 3')
    outcome = find_ngspice().run(DECK)
    assert outcome.status == "failed: Error: out of paper"


def test_silent_failure(fake: Fake) -> None:
    fake("exit 0")
    outcome = find_ngspice().run(DECK)
    assert outcome.status == "failed: ngspice wrote no result and no reason"
    assert outcome.log == ""


def test_log_that_is_no_text(fake: Fake) -> None:
    fake("printf 'Error: \\377\\376 bad\\n' > out.log; exit 1")
    assert find_ngspice().run(DECK).status.startswith("failed: Error: ")


def test_path_is_searched_without_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    path = find_ngspice().path
    monkeypatch.delenv("PRCIM_NGSPICE", raising=False)
    monkeypatch.setenv("PATH", os.path.dirname(path))  # noqa: PTH120
    assert find_ngspice().path == path


def test_no_ngspice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PRCIM_NGSPICE", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"ngspice was not found .*nowhere.*apt install.*brew install.*conda install"):
        find_ngspice()


def test_not_an_ngspice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRCIM_NGSPICE", sys.executable)
    with pytest.raises(InputError, match="does not say that it is ngspice"):
        find_ngspice()


def test_ngspice_that_does_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "ngspice"
    path.write_bytes(b"\x7fELF of another machine")
    path.chmod(0o755)
    monkeypatch.setenv("PRCIM_NGSPICE", str(path))
    with pytest.raises(InputError, match=r"does not run as ngspice \(.*; reinstall it"):
        find_ngspice()
