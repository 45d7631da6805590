"""Files that are either whole or not there."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import filelock

from prcim.errors import InputError, RunError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A scratch path beside `path` that takes its place when the block ends well, and vanishes when it does not.

    The scratch file is flushed to the disk before it is renamed, so a reader sees the old file or the new one, whole.

    Args:
        path: the file to write; its folder is made when missing.

    Yields:
        The path to write to. It keeps the suffix of `path`, since some writers look at it.

    Raises:
        RunError: the disk is full or the folder cannot be written; the old file is untouched.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "a.txt"
        >>> with replacing(target) as scratch:
        ...     _ = scratch.write_text("whole")
        >>> target.read_text()
        'whole'
    """
    scratch = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield scratch
        with scratch.open("rb+") as handle:
            os.fsync(handle.fileno())
        scratch.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise RunError(f"cannot write {path}: {reason}; free some space or choose another folder") from error
    finally:
        with contextlib.suppress(OSError):
            scratch.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes `text` to `path` atomically, as UTF-8."""
    with replacing(path) as scratch:
        scratch.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Makes a folder and holds it, so that no second run works in it.

    Raises:
        InputError: another run holds it.
        RunError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / ".lock", timeout=0)
        lock.acquire()
    except filelock.Timeout:
        raise InputError(f"another run works in {folder}; wait for it or choose another folder with --out") from None
    except OSError as error:
        raise RunError(f"cannot work in {folder}: {error.strerror}; choose another folder with --out") from error
    try:
        yield
    finally:
        lock.release()
