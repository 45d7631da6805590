"""Compilation of loops by Numba."""

from collections.abc import Callable
from typing import TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compiles at the first call, for the processor at hand; the lock of the interpreter is released while it runs.

    The machine code is kept beside the source, or in the user's cache when that cannot be written, so that only the
    first process compiles. Numba sees that a file has changed, not that another one has which it calls into: what is
    called together stands in one file.
    """
    try:
        made: Function = numba.njit(function, nogil=True, cache=True)
    except RuntimeError:  # neither place can be written: each process compiles for itself
        made = numba.njit(function, nogil=True)
    return made


def inlined(function: Function) -> Function:
    """A part of compiled functions, copied into each."""
    made: Function = numba.njit(function, inline="always")
    return made
