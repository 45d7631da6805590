"""A process that simulates: how it is prepared, and how it ends with the one that started it."""

import os
import signal
import threading
import time

from threadpoolctl import threadpool_limits


def worker_setup() -> None:
    """Prepares a worker process: a Ctrl-C is the parent's business, and an end asked for ends the simulator too.

    One thread for arithmetic: sums are then added in one order, and workers do not wait for each other.
    """
    threadpool_limits(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_leave_with_parent, args=(os.getppid(),), daemon=True).start()


def _leave_with_parent(parent: int) -> None:
    """Ends the worker when its parent was killed: nobody would, and its simulator would run on."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(1)
    os._exit(1)


def _leave(_signum: int, _frame: object) -> None:
    """Unwinds what the worker does, which ends its simulator; the pool would catch that, so a timer ends the rest."""
    timer = threading.Timer(0.5, os._exit, (1,))
    timer.daemon = True
    timer.start()
    raise SystemExit(1)
