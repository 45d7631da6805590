"""A pool of worker processes that ends with the command, whatever happens."""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from prcim.errors import RunError


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def worker_pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of `jobs` processes.

    Raises:
        RunError: a worker was killed.
    """
    from prcim.characterize.worker import worker_setup

    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=worker_setup)
    try:
        # Workers inherit what is blocked: a Ctrl-C is the parent's business, from their first moment on.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        for _ in range(jobs):
            pool.submit(int)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        yield pool
        # Idle ones end by themselves, and say nothing.
        pool.shutdown()
    except BrokenProcessPool:
        raise RunError("a worker process was killed; run the same command again to go on") from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            child.terminate()
