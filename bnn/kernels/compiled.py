"""Compilation of loops by Numba."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., object])

#: Of all loops and what they are made of. Numba looks at the file of a function only, not at what it calls.
_SOURCES = hashlib.sha256(
    b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
).hexdigest()


def compiled(function: Function) -> Function:
    """Compiles at the first call, for the processor at hand; the lock of the interpreter is released while it runs.

    The machine code is kept beside the source, or in the user's cache when that cannot be written, so that only the
    first process compiles. It is made again when any file of this folder has changed.
    """
    try:
        made: Function = numba.njit(function, nogil=True, cache=True)
    except RuntimeError:  # neither place can be written: each process compiles for itself
        return numba.njit(function, nogil=True)  # type: ignore[no-any-return]
    kept = made._cache._cache_file  # type: ignore[attr-defined] # Numba has no other way to say it
    kept._source_stamp = (kept._source_stamp, _SOURCES)
    return made


def inlined(function: Function) -> Function:
    """A part of compiled functions, copied into each."""
    made: Function = numba.njit(function, inline="always")
    return made
