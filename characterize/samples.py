"""Simulated shots on disk: Parquet files, one for each chunk, every row of one plan."""

import hashlib
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from prcim.characterize.chunk import Chunk
from prcim.errors import InputError
from prcim.files import replacing


def chunk_file(folder: Path, chunk: Chunk) -> Path:
    """Where a chunk's rows lie."""
    return folder / "samples" / f"{chunk.name}.parquet"


def write_chunk(folder: Path, chunk: Chunk, rows: pd.DataFrame) -> None:
    """Writes a chunk's rows; the file is whole or not there.

    Raises:
        RunError: the disk is full or the folder cannot be written.
    """
    # Pages have checksums, the footer with its names and counts has none, so the whole gets one; it takes the place of
    # pandas' own notes, which a changed byte turns into a KeyError.
    table = pa.Table.from_pandas(rows, preserve_index=False).replace_schema_metadata({"sha256": _sha256(rows)})
    with replacing(chunk_file(folder, chunk)) as scratch:
        pq.write_table(table, scratch, write_page_checksum=True)


def read_chunk(folder: Path, chunk: Chunk, *, plan_id: str) -> pd.DataFrame | None:
    """A chunk's rows, or nothing if it was not simulated yet.

    Raises:
        InputError: the file is damaged or holds rows of another plan.
    """
    path = chunk_file(folder, chunk)
    if not path.exists():
        return None
    try:
        table = pq.read_table(path, page_checksum_verification=True)
        rows: pd.DataFrame = table.to_pandas()
        if (table.schema.metadata or {}).get(b"sha256") != _sha256(rows).encode():
            raise ValueError("its rows do not match their checksum")
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0][:120]
        raise InputError(
            f"sample file {path} is damaged ({reason}); delete it, and run again to simulate it anew"
        ) from None
    if "plan_id" not in rows or set(rows["plan_id"]) != {plan_id}:
        found = ", ".join(sorted(str(i)[:8] for i in set(rows.get("plan_id", ["none"]))))
        raise InputError(
            f"sample file {path} belongs to plan {found}, not {plan_id[:8]}; use another folder or delete it"
        )
    return rows


def read_samples(folder: Path, chunks: list[Chunk], *, plan_id: str) -> dict[str, pd.DataFrame]:
    """All rows of a finished run.

    Returns:
        Kind -> rows, in the order of the chunks, whatever order they were simulated in. Those of columns, of which
        there are millions, are without what they have in common, in narrow types.

    Raises:
        InputError: a file is missing, damaged, or of another plan.
    """
    frames: dict[str, list[pd.DataFrame]] = {}
    reads = _Reads(sum(chunk.kind == "columns" for chunk in chunks))
    for chunk in chunks:
        rows = read_chunk(folder, chunk, plan_id=plan_id)
        if rows is None:
            raise InputError(
                f"{chunk_file(folder, chunk)} is missing; run the same characterization again to finish it"
            )
        if chunk.kind == "columns":
            reads.add(rows)
        else:
            frames.setdefault(chunk.kind, []).append(rows)
    found = {kind: pd.concat(parts, ignore_index=True) for kind, parts in frames.items()}
    return found | {"columns": reads.frame()} if reads.chunks else found


class _Reads:
    """The millions of reads of columns, each kept once: what they have in common left out, the rest in narrow types.

    Args:
        chunks: how many chunks there will be.
    """

    TYPES: ClassVar[dict[str, type]] = {
        "column": np.int32,
        "pattern": np.int16,
        "mac": np.int16,
        "v_bl_v": np.float64,
        "energy_j": np.float64,
    }

    def __init__(self, chunks: int) -> None:
        self.chunks, self._count = chunks, 0
        self._values: dict[str, NDArray[Any]] = {}
        self._words: dict[str, int] = {}

    def add(self, rows: pd.DataFrame) -> None:
        """Takes the rows of a chunk; none has more than the first."""
        if not self._values:
            # The system gives memory as it is written, so what is too much costs nothing.
            size = len(rows) * self.chunks
            self._values = {name: np.empty(size, kind) for name, kind in {**self.TYPES, "status": np.int32}.items()}
        here = slice(self._count, self._count + len(rows))
        for name in self.TYPES:
            self._values[name][here] = rows[name]
        codes, words = pd.factorize(rows["status"])
        numbers = [self._words.setdefault(str(word), len(self._words)) for word in words]
        self._values["status"][here] = np.array(numbers, dtype=np.int32)[codes]
        self._count += len(rows)

    def frame(self) -> pd.DataFrame:
        """All rows."""
        columns: dict[str, Any] = {name: values[: self._count] for name, values in self._values.items()}
        columns["status"] = pd.Categorical.from_codes(columns["status"], categories=pd.Index(list(self._words)))
        return pd.DataFrame(columns, copy=False)


def _sha256(rows: pd.DataFrame) -> str:
    """Checksum of names and values."""
    digest = hashlib.sha256()
    for name in rows.columns:
        digest.update(f"{name}:".encode())
        values = rows[name].to_numpy()
        if values.dtype.kind in "iuf":
            # Of the many bit patterns of "not a number" a file keeps none.
            numbers = np.asarray(values, dtype="<f8")
            digest.update(np.where(np.isnan(numbers), np.nan, numbers).tobytes())
        else:
            digest.update("\n".join(map(str, values)).encode())
    return digest.hexdigest()
