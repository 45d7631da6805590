"""Work shared among threads."""

import threading
from collections.abc import Callable

import torch


def share(work: Callable[[int, int], None], count: int, *, least: int = 1) -> None:
    """Calls `work(first, last)` for parts that cover `range(count)`, on as many threads as torch computes with.

    A thread takes the next part when it is done with one, so that a core that is busy otherwise gets fewer.

    Args:
        work: what to do; it must release the interpreter's lock to gain from it, and parts must not touch each other.
        count: units of work.
        least: units that are worth a part.
    """
    threads = min(torch.get_num_threads(), -(-count // least))
    if threads <= 1:
        work(0, count)
        return
    size = max(-(-count // (8 * threads)), least)
    parts = iter(range(0, count, size))
    lock = threading.Lock()
    failed: list[BaseException] = []

    def take() -> None:
        try:
            while not failed:
                with lock:
                    first = next(parts, None)
                if first is None:
                    return
                work(first, min(first + size, count))
        except BaseException as error:  # noqa: BLE001 - handed to the caller
            failed.append(error)

    others = [threading.Thread(target=take) for _ in range(threads - 1)]
    for thread in others:
        thread.start()
    take()
    for thread in others:
        thread.join()
    if failed:
        raise failed[0]
