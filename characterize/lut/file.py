"""Files of tables: one table each, or one for every condition of a plan."""

import hashlib
import json
import zlib
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from tokenize import TokenError
from zipfile import BadZipFile

import numpy as np

from prcim.characterize.lut.error_lut import SCHEMA, ErrorLUT, array_names
from prcim.errors import InputError
from prcim.files import replacing

#: What NumPy and zipfile raise on a file with a changed byte somewhere: RuntimeError for one that seems encrypted or
#: compressed by an unknown method, TokenError and SyntaxError for an array's header, TypeError for a bare .npy file.
_DAMAGE = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    TypeError,
    RuntimeError,
    SyntaxError,
    BadZipFile,
    TokenError,
    zlib.error,
)


def save_luts(luts: Sequence[ErrorLUT], path: Path) -> None:
    """Writes tables; the same tables give the same bytes.

    A single table is written as it is. Several have their conditions as a first axis of every array, and `meta` is a
    list; the checksum is then that of all of theirs.

    Raises:
        RunError: the disk is full or the folder cannot be written.
    """
    arrays = luts[0].arrays()
    if len(luts) > 1:
        arrays = {name: np.stack([lut.arrays()[name] for lut in luts]) for name in array_names()}
        metas = json.dumps([dict(lut.meta) for lut in luts], sort_keys=True)
        arrays["meta"] = np.frombuffer(metas.encode(), dtype=np.uint8)
    arrays["sha256"] = np.frombuffer(_checksum(luts).encode(), dtype=np.uint8)
    with replacing(path) as scratch:
        np.savez(scratch, **dict(sorted(arrays.items())))  # type: ignore[arg-type]


def load_luts(path: Path) -> tuple[ErrorLUT, ...]:
    """Reads the tables of a file and checks them.

    Raises:
        InputError: the file is missing, damaged, or of another schema version.
    """
    again = "make it anew with `prcim characterize`"
    try:
        # Opened here: np.load leaves a file open whose zip directory is damaged.
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        meta = json.loads(arrays.pop("meta").tobytes())
        checksum = arrays.pop("sha256").tobytes().decode()
    except FileNotFoundError:
        raise InputError(f"table {path} does not exist; {again}, or give another with --lut") from None
    except _DAMAGE as error:
        raise InputError(f"table {path} is damaged or no prcim table ({str(error)[:100]}); {again}") from None
    metas = meta if isinstance(meta, list) else [meta]
    found = [one.get("schema") if isinstance(one, dict) else None for one in metas]
    if set(found) != {SCHEMA}:
        first = found[0] if found else None
        raise InputError(f"table {path} has schema {first!r}; this version of prcim reads {SCHEMA!r}; {again}")
    wrong = sorted(set(array_names()) ^ set(arrays))
    if wrong:
        raise InputError(f"table {path} lacks or has too many of: {', '.join(wrong)}; {again}")
    if isinstance(meta, dict):
        arrays = {name: array[None] for name, array in arrays.items()}
    if any(len(array) != len(metas) for array in arrays.values() if array.ndim) or not all(
        array.ndim for array in arrays.values()
    ):
        raise InputError(f"table {path} does not have {len(metas)} conditions in every array; {again}")
    luts = tuple(
        ErrorLUT(**{name: array[k].astype(np.float64) for name, array in arrays.items()}, meta=one)
        for k, one in enumerate(metas)
    )
    if _checksum(luts) != checksum:
        raise InputError(f"table {path} does not match its checksum: it was changed or damaged; {again}")
    return luts


def load_lut(path: Path) -> ErrorLUT:
    """The first table of a file, at the plan's own conditions.

    Raises:
        InputError: the file is missing, damaged, or of another schema version.
    """
    return load_luts(path)[0]


def open_luts(name: str) -> tuple[ErrorLUT, ...]:
    """The tables of a file, or of one that comes with the package as package:NAME.

    Raises:
        InputError: there is none, or it is damaged.
    """
    kind, colon, inside = name.partition(":")
    if kind != "package" or not colon:
        return load_luts(Path(name))
    folder = files("prcim.characterize") / "tables"
    known = sorted(file.name.removesuffix(".npz") for file in folder.iterdir() if file.name.endswith(".npz"))
    if inside not in known:
        raise InputError(f"the package has no table {name!r}; it has: {', '.join(f'package:{k}' for k in known)}")
    with as_file(folder / f"{inside}.npz") as path:
        return load_luts(path)


def open_points(name: str) -> tuple[tuple[ErrorLUT, ...], tuple[ErrorLUT, ...]]:
    """The tables that NAME or NAME@CORNER/VDD/TEMP asks for, and all of their file.

    The first of the file holds the plan of all conditions, the others only their own.

    Raises:
        InputError: there is none, or it is damaged, or it lacks the conditions.

    Example:
        >>> [len(luts) for luts in open_points("package:8t-64@tt/1.1/27")]
        [1, 1]
    """
    file, at, wanted = name.rpartition("@") if "@" in name else (name, "", "")
    luts = open_luts(file)
    if not at:
        return luts, luts
    known = [conditions_text(lut) for lut in luts]
    for lut, text in zip(luts, known, strict=True):
        if _same(text, wanted):
            return (lut,), luts
    raise InputError(f"table {file} has no conditions {wanted!r}; it has: {', '.join(known)}")


def open_lut(name: str) -> ErrorLUT:
    """One table of a file or of the package: NAME, or NAME@CORNER/VDD/TEMP for one of its conditions.

    Raises:
        InputError: there is none, or it is damaged, or it lacks the conditions.

    Example:
        >>> open_lut("package:8t-64").rows
        64
        >>> open_lut("package:8t-64@tt/1.1/27").rows
        64
    """
    return open_points(name)[0][0]


def conditions_text(lut: ErrorLUT) -> str:
    """Corner, supply and temperature of a table, as in tt/1.1/27."""
    return "/".join(value if isinstance(value, str) else f"{value:g}" for value in lut.meta.get("conditions", ()))


def _same(one: str, other: str) -> bool:
    try:
        pairs = list(zip(one.split("/"), other.split("/"), strict=True))
        return pairs[0][0] == pairs[0][1] and all(float(a) == float(b) for a, b in pairs[1:])
    except ValueError:
        return False


def _checksum(luts: Sequence[ErrorLUT]) -> str:
    if len(luts) == 1:
        return luts[0].sha256
    return hashlib.sha256("".join(lut.sha256 for lut in luts).encode()).hexdigest()
