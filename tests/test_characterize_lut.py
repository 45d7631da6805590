"""The table's file: whole, checked, the same bytes for the same table."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from prcim.characterize.lut.error_lut import QUANTILES, SCHEMA, ErrorLUT, array_names, binomial_weights
from prcim.characterize.lut.file import load_lut, save_luts
from prcim.errors import InputError

SUMS, COLUMNS, DIES = 3, 4, 2


def table(**changes: Any) -> ErrorLUT:
    """A small table whose values float32 can hold."""
    mac = np.array([-8.0, 0.0, 8.0])
    rng = np.random.default_rng(40)
    shapes = {
        "bank": (COLUMNS, SUMS),
        "chip_curves": (DIES, SUMS),
        "chip_volt_gain": (DIES,),
        "chip_cell_gain": (DIES,),
        "cell_q": (QUANTILES,),
    }
    shapes |= {"residual_q": (SUMS, QUANTILES), "total_q": (SUMS, QUANTILES)}
    values: dict[str, Any] = {name: rng.integers(0, 1000, shapes.get(name, (SUMS,))) / 64 for name in array_names()}
    meta = {"schema": SCHEMA, "rows": 8, "n_used": 8, "plan_id": "0" * 64}
    return ErrorLUT(**(values | {"mac": mac, "meta": meta} | changes))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "lut.npz"
    save_luts((table(),), path)
    return path


def contents(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def test_what_is_saved_is_loaded(path: Path) -> None:
    saved, loaded = table(), load_lut(path)
    for name in array_names():
        np.testing.assert_array_equal(getattr(loaded, name), getattr(saved, name))
        assert getattr(loaded, name).dtype == np.float64
    assert loaded.meta == saved.meta
    assert loaded.sha256 == saved.sha256
    assert (loaded.rows, loaded.n_used, loaded.plan_id) == (8, 8, "0" * 64)
    assert loaded.failures == int(saved.failed.sum())


def test_numpy_alone_can_read_it(path: Path) -> None:
    arrays = contents(path)
    assert set(arrays) == {*array_names(), "meta", "sha256"}
    assert {array.dtype.str for array in arrays.values()} == {"<f4", "|u1"}
    assert json.loads(arrays["meta"].tobytes())["schema"] == SCHEMA


def test_same_table_same_bytes(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    again = tmp_path / "folder" / "other.npz"
    monkeypatch.setattr("time.time", lambda: 2e9)
    # The order of the fields, and of the keys of the provenance, is not part of a table.
    changed = table(meta=dict(reversed(list(table().meta.items()))))
    save_luts((changed,), again)
    assert again.read_bytes() == path.read_bytes()
    save_luts((load_lut(path),), again)
    assert again.read_bytes() == path.read_bytes()
    assert {tuple(info.date_time) for info in zipfile.ZipFile(path).infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize("name", [*array_names(), "meta"])
def test_checksum_covers_everything(name: str) -> None:
    value: Any = {**table().meta, "note": 1} if name == "meta" else getattr(table(), name).copy()
    if name != "meta":
        value.flat[1] += 0.125
    assert table(**{name: value}).sha256 != table().sha256


def test_any_changed_byte_is_seen_or_harmless(path: Path) -> None:
    """Every byte between the big arrays' contents, and some in each: refused, or the same table (dates, padding)."""
    whole, wanted = path.read_bytes(), table().sha256
    places = set(range(0, len(whole), 211)) | set(range(len(whole) - 40, len(whole)))
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist()[:: len(array_names()) // 2]:
            places |= set(range(info.header_offset, info.header_offset + 160))
        places |= set(range(archive.start_dir, archive.start_dir + 60))
    messages = []
    for place in sorted(places):
        damaged = bytearray(whole)
        damaged[place] ^= (1, 8, 64, 255)[place % 4]
        path.write_bytes(damaged)
        try:
            assert load_lut(path).sha256 == wanted, place
        except InputError as error:
            messages.append(str(error))
    assert len(messages) > len(places) / 2
    assert all(str(path) in message and "make it anew with `prcim" in message for message in messages)


@pytest.mark.parametrize("kept", [0, 1, 4, 100, 0.5, 0.99, -1])
def test_cut_off_file_is_refused(path: Path, kept: float) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if 0 < kept < 1 else int(kept)])
    with pytest.raises(InputError, match=r"table .*lut\.npz is damaged or no prcim table \(.*\); make it anew"):
        load_lut(path)


def test_changed_number_with_a_sound_zip_is_refused(path: Path) -> None:
    arrays = contents(path)
    arrays["bank"][1, 1] += 1
    np.savez(path, **arrays)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"lut\.npz does not match its checksum: it was changed or damaged; make it"):
        load_lut(path)


@pytest.mark.parametrize("schema", ["prcim-lut-2", "prcim-lut-4", None, 1])
def test_table_of_another_version_is_refused(path: Path, schema: object) -> None:
    arrays = contents(path)
    arrays["meta"] = np.frombuffer(json.dumps({**table().meta, "schema": schema}).encode(), dtype=np.uint8)
    np.savez(path, **arrays)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=rf"has schema {schema!r}; this version of prcim reads '{SCHEMA}'; make it"):
        load_lut(path)


def test_array_that_is_missing_or_unknown_is_named(path: Path) -> None:
    arrays = contents(path)
    for changed in ({k: v for k, v in arrays.items() if k != "v_res"}, {**arrays, "v_res2": arrays["v_res"]}):
        np.savez(path, **changed)  # type: ignore[arg-type]
        with pytest.raises(InputError, match=r"lacks or has too many of: v_res"):
            load_lut(path)


def test_no_table_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"table .*none\.npz does not exist; make it anew .*--lut"):
        load_lut(tmp_path / "none.npz")
    other = {"npy": io.BytesIO(), "npz": io.BytesIO()}
    np.save(other["npy"], np.ones(3))
    np.savez(other["npz"], a=np.ones(3))
    files = {"text": b"output,mean,std\n", "npy": other["npy"].getvalue(), "npz": other["npz"].getvalue()}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=f"table .*{name} is damaged or no prcim table"):
            load_lut(tmp_path / name)
    with pytest.raises(InputError, match="is damaged or no prcim table"):
        load_lut(tmp_path)


def test_pickles_are_not_loaded(tmp_path: Path) -> None:
    arrays = {name: np.array([object]) for name in (*array_names(), "meta", "sha256")}
    np.savez(tmp_path / "lut.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"is damaged or no prcim table .*allow_pickle=False"):
        load_lut(tmp_path / "lut.npz")


@pytest.mark.parametrize("name", array_names())
def test_values_must_be_finite(name: str) -> None:
    for bad in (np.nan, np.inf, -np.inf):
        values = getattr(table(), name).copy()
        values.flat[-1] = bad
        with pytest.raises(InputError, match=f"table: {name} holds values that are not finite numbers"):
            table(**{name: values})


def test_shapes_must_fit() -> None:
    for name in array_names():
        wrong = np.ones((2, 2, 2))
        with pytest.raises(InputError, match=r"table: .* has shape \(.*\), wanted \(.*\)"):
            table(**{name: wrong})
    with pytest.raises(InputError, match=r"table: mac must reach from -8 to 8"):
        table(mac=np.array([-8.0, 0.0, 6.0]))
    for mac in ([-8.0, 8.0, 8.0], [8.0, 0.0, -8.0]):
        with pytest.raises(InputError, match="table: mac must hold at least 3 increasing sums"):
            table(mac=np.array(mac))


def test_static_share_weighs_sums_by_how_often_they_come() -> None:
    weights = binomial_weights(8, np.arange(-8.0, 9.0, 2.0))
    np.testing.assert_allclose(weights * 256, [1, 8, 28, 56, 70, 56, 28, 8, 1])
    # Of -8, 0 and 8 the middle one comes 70 times as often.
    lut = table(v_col=np.array([0.0, 1.0, 4.0]), v_res=np.array([9.0, 3.0, 0.0]))
    assert lut.static_share == pytest.approx((70 * 1 + 4) / (9 + 70 * 4 + 4))
    # An estimate below zero counts as zero.
    assert table(v_col=np.full(3, -1.0)).static_share == 0
