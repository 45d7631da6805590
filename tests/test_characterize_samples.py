"""Samples on disk: what was written comes back; what is damaged, missing or another plan's is refused by name."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from prcim.characterize.chunk import Chunk
from prcim.characterize.samples import chunk_file, read_chunk, read_samples, write_chunk
from prcim.errors import InputError

ID, OTHER_ID = "a" * 64, "b" * 64
CHUNK = Chunk(kind="checks", first=0, last=4)
CHUNKS = [CHUNK, Chunk(kind="checks", first=4, last=8), Chunk(kind="chips", first=0, last=3)]


def rows(chunk: Chunk, *, plan_id: str = ID, shots: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng((50, chunk.first))
    v_bl_v = rng.normal(size=shots)
    # A failed shot has no voltage.
    v_bl_v[3] = np.nan
    return pd.DataFrame(
        {
            "plan_id": plan_id,
            "kind": chunk.kind,
            "column": chunk.first + np.arange(shots) // 10,
            "mac": np.tile(np.arange(-8, 9, 4), shots // 5),
            "v_bl_v": v_bl_v,
            "status": ["failed: no convergence" if k == 3 else "ok" for k in range(shots)],
            "seconds": rng.random(shots),
        }
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for chunk in reversed(CHUNKS):
        write_chunk(tmp_path, chunk, rows(chunk))
    return tmp_path


def test_what_was_written_comes_back(folder: Path) -> None:
    found = read_chunk(folder, CHUNK, plan_id=ID)
    assert found is not None
    pd.testing.assert_frame_equal(found, rows(CHUNK))
    assert sorted(path.name for path in (folder / "samples").iterdir()) == sorted(f"{c.name}.parquet" for c in CHUNKS)


def test_rows_come_in_the_order_of_the_chunks(folder: Path) -> None:
    samples = read_samples(folder, CHUNKS, plan_id=ID)
    assert list(samples) == ["checks", "chips"]
    wanted = pd.concat([rows(CHUNKS[0]), rows(CHUNKS[1])], ignore_index=True)
    pd.testing.assert_frame_equal(samples["checks"], wanted)


def test_chunk_that_was_not_simulated(tmp_path: Path) -> None:
    assert read_chunk(tmp_path, CHUNK, plan_id=ID) is None


def test_missing_file_of_a_finished_run(folder: Path) -> None:
    chunk_file(folder, CHUNKS[1]).unlink()
    with pytest.raises(InputError, match=r"checks-00004-00008\.parquet is missing; run the same"):
        read_samples(folder, CHUNKS, plan_id=ID)


@pytest.mark.parametrize("kept", [0, 3, 0.1, 0.5, 0.9, -1])
def test_cut_off_file(folder: Path, kept: float) -> None:
    path = chunk_file(folder, CHUNK)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if 0 < kept < 1 else int(kept)])
    for read in (lambda: read_chunk(folder, CHUNK, plan_id=ID), lambda: read_samples(folder, CHUNKS, plan_id=ID)):
        with pytest.raises(InputError, match=r"sample file .*checks-00000-00004\.parquet is damaged \(.+\); del"):
            read()


@pytest.mark.parametrize("text", [b"", b"plan_id,mac\n", b"PAR1" + 100 * b"\x00" + b"PAR1"])
def test_file_of_something_else(folder: Path, text: bytes) -> None:
    chunk_file(folder, CHUNK).write_bytes(text)
    with pytest.raises(InputError, match=r"sample file .*checks-00000-00004\.parquet is damaged"):
        read_chunk(folder, CHUNK, plan_id=ID)


def test_any_changed_byte_is_seen_or_harmless(folder: Path) -> None:
    """Every third byte: refused, or the same rows; nothing else ever comes of it."""
    path, wanted = chunk_file(folder, CHUNK), rows(CHUNK)
    whole = path.read_bytes()
    refused = 0
    for place in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[place] ^= (1, 8, 64, 255)[place % 4]
        path.write_bytes(damaged)
        try:
            found = read_chunk(folder, CHUNK, plan_id=ID)
        except InputError:
            refused += 1
            continue
        assert found is not None
        assert found.equals(wanted), place
    assert refused > len(whole) / 6


def test_rows_of_another_plan(folder: Path) -> None:
    with pytest.raises(InputError, match=r"checks-00000-00004\.parquet belongs to plan aaaaaaaa, not bbbbbbbb; use"):
        read_chunk(folder, CHUNK, plan_id=OTHER_ID)
    mixed = pd.concat([rows(CHUNK, shots=20), rows(CHUNK, plan_id=OTHER_ID, shots=20)])
    write_chunk(folder, CHUNK, mixed)
    with pytest.raises(InputError, match="belongs to plan aaaaaaaa, bbbbbbbb, not aaaaaaaa"):
        read_chunk(folder, CHUNK, plan_id=ID)
    write_chunk(folder, CHUNK, rows(CHUNK).drop(columns="plan_id"))
    with pytest.raises(InputError, match="belongs to plan none, not aaaaaaaa"):
        read_chunk(folder, CHUNK, plan_id=ID)


def test_file_without_rows(folder: Path) -> None:
    write_chunk(folder, CHUNK, rows(CHUNK).iloc[:0])
    with pytest.raises(InputError, match=r"checks-00000-00004\.parquet belongs to plan"):
        read_chunk(folder, CHUNK, plan_id=ID)
