"""Time on a GPU."""

from collections.abc import Callable
from typing import Any

import torch


def timed_on_gpu(work: Callable[..., Any], *arguments: Any) -> float:
    """Time of a call on the GPU, s: between two marks in its queue, waits for the processor's orders included."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    work(*arguments)
    end.record()
    torch.cuda.synchronize()
    return float(begin.elapsed_time(end)) * 1e-3
