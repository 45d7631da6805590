"""The simulator's door: a deck goes in, an outcome comes out. Nothing else in prcim starts ngspice."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from prcim.errors import InputError, RunError
from prcim.spice.deck import RESULT, Deck
from prcim.spice.outcome import Outcome
from prcim.spice.raw import read_raw

OLDEST_VERSION = 34
#: With less than this left on the disk after a run, its result may be cut off.
ROOM_BYTES = 1 << 20
_TROUBLE = re.compile(
    r"error|fatal|singular|iteration limit|no convergence|aborted|no such|can't find|unknown", re.IGNORECASE
)
#: What it says of itself, whatever the deck: a start-up file or a library of code models (.cm) is not there.
_CHATTER = re.compile(r"\bNote:|Warning: can't find the initialization file|\.cm\b")
_NO_SOLUTION = re.compile(r"timestep too small|operating point could not", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Ngspice:
    r"""An ngspice executable that was seen to run.

    Attributes:
        path: the executable.
        version: its major version, e.g. "39".

    Example:
        >>> ngspice = find_ngspice()
        >>> netlist = "* divider\nv1 a 0 1\nr1 a b 1k\nr2 b 0 1k"
        >>> deck = Deck(netlist=netlist, save=("v(b)",), analyses=("dc v1 0 2 1",))
        >>> ngspice.run(deck).values["v(b)"].round(6).tolist()
        [0.0, 0.5, 1.0]
    """

    path: str
    version: str

    def run(self, deck: Deck, *, timeout_s: float = 120.0) -> Outcome:
        """Runs one deck in a process of its own and reads back everything that the deck saves.

        Args:
            deck: circuit, vectors to keep, analyses.
            timeout_s: wall-clock limit, s; a simulator that hangs is killed with all it started.

        Returns:
            The outcome. It never raises for what the simulator does: a failed run is an outcome too.
        """
        started = time.monotonic()
        try:
            with tempfile.TemporaryDirectory(prefix="prcim-") as folder:
                work = Path(folder)
                (work / "deck.cir").write_text(deck.text, encoding="utf-8")
                code = self._wait(work, timeout_s)
                log_file = work / "out.log"
                log = log_file.read_text(encoding="utf-8", errors="replace") if log_file.exists() else ""
                plots = read_raw(work / RESULT)
                room = shutil.disk_usage(work).free
        except OSError as error:
            place = tempfile.gettempdir()
            raise RunError(
                f"ngspice cannot work in {place}: {error.strerror}; free some space or set TMPDIR"
            ) from error
        seconds = time.monotonic() - started
        if code is None:
            status = f"timeout: ngspice gave no answer within {timeout_s:.0f} s"
        elif code < 0:
            status = f"killed: ngspice was ended by signal {-code}"
        elif room < ROOM_BYTES:
            # ngspice does not notice that its result was cut off.
            status = f"no space: {tempfile.gettempdir()} is full; free some space or set TMPDIR"
        elif code > 0 or len(plots) < len(deck.analyses):
            status = f"failed: {_reason(log)}"
        else:
            status = "ok"
        return Outcome(status=status, plots=plots, seconds=seconds, log=log)

    def _wait(self, work: Path, timeout_s: float) -> int | None:
        """Runs `deck.cir` in a folder; its exit status, or None when it hangs. Nothing of it is left running."""
        # A session of its own: a Ctrl-C in the terminal reaches Python first, which then ends this process.
        process = subprocess.Popen(
            [self.path, "-n", "-b", "-o", "out.log", "deck.cir"],
            cwd=work,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def run_twice(ngspice: Ngspice, deck: Deck, timeout_s: float) -> Outcome:
    """Runs a deck, and once more if the first run was cut off from outside.

    Raises:
        RunError: it was cut off both times.
    """
    outcome = ngspice.run(deck, timeout_s=timeout_s)
    if outcome.interrupted:
        outcome = ngspice.run(deck, timeout_s=timeout_s)
    if outcome.interrupted:
        raise RunError(f"{outcome.status}, twice; finished chunks are kept: run the same command again to go on")
    return outcome


def find_ngspice() -> Ngspice:
    """The ngspice of `PRCIM_NGSPICE`, else the one on the PATH.

    Raises:
        InputError: there is none, it does not run, or it is older than the oldest that was tried.
    """
    wanted = os.environ.get("PRCIM_NGSPICE") or "ngspice"
    path = shutil.which(wanted)
    if path is None:
        raise InputError(
            f"ngspice was not found (looked for {wanted!r} on the PATH); install it with "
            "`sudo apt install ngspice`, `brew install ngspice` or `conda install -c conda-forge ngspice`, "
            "or name it in PRCIM_NGSPICE"
        )
    # It will be run from another folder.
    path = str(Path(path).absolute())
    try:
        answer = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(
            f"{path} does not run as ngspice ({error}); reinstall it or name another in PRCIM_NGSPICE"
        ) from error
    # Up to version 33 or so: "ngspice compiled from ngspice revision 32". A line may begin with "** ".
    match = re.search(
        r"^\W*ngspice(?:-| compiled from ngspice revision )(\d+)", answer.stdout + answer.stderr, re.MULTILINE
    )
    if match is None:
        raise InputError(f"{path} does not say that it is ngspice; name the right one in PRCIM_NGSPICE")
    if int(match.group(1)) < OLDEST_VERSION:
        raise InputError(f"{path} is ngspice {match.group(1)}; prcim needs {OLDEST_VERSION} or newer")
    return Ngspice(path=path, version=match.group(1))


def _reason(log: str) -> str:
    """The line in which the simulator itself says what went wrong: an error, or else a warning."""
    lines = [line.strip()[:200] for line in log.splitlines() if _TROUBLE.search(line) and not _CHATTER.search(line)]
    errors = [line for line in lines if "Warning:" not in line]
    # It gets over a singular matrix more often than not; where it does not, this says more than what it tried last.
    singular = [line for line in lines if "singular" in line] if errors and _NO_SOLUTION.search(errors[0]) else []
    return (singular or errors or lines or ["ngspice wrote no result and no reason"])[0]
