"""CIFAR-10 in the layouts of its authors: made-up batches in both, and what is refused."""

import hashlib
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from prcim.bnn.datasets.cifar10 import BINARY, PYTHON, PYTHON_MD5, RECORD, load_cifar10
from prcim.errors import InputError

NAMES = list(PYTHON_MD5)
COUNT = 8


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prcim.bnn.datasets.cifar10.BATCH", COUNT)


def batch(number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    rng = np.random.default_rng(number)
    return rng.integers(0, 256, (COUNT, RECORD - 1), dtype=np.uint8), rng.integers(0, 10, COUNT, dtype=np.uint8)


def write_binary(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for number, name in enumerate(NAMES):
        pixels, labels = batch(number)
        (folder / f"{name}.bin").write_bytes(np.column_stack([labels, pixels]).tobytes())
    return folder


def write_python(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files of the kind that Python 2 wrote: protocol 2, strings as bytes, labels in a list, an array's state."""
    folder.mkdir(parents=True)
    sums = {}
    for number, name in enumerate(NAMES):
        pixels, labels = batch(number)
        key = [b"U" + bytes([len(word)]) + word for word in (b"labels", b"data", b"filenames")]
        listed = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
        array = b"(K\x01K\x08T" + struct.pack("<I", pixels.size) + pixels.tobytes() + b"t"
        content = b"\x80\x02}(" + key[0] + listed + key[1] + array + key[2] + b"]u."
        (folder / name).write_bytes(content)
        sums[name] = hashlib.md5(content).hexdigest()
    monkeypatch.setattr("prcim.bnn.datasets.cifar10.PYTHON_MD5", sums)
    return folder


@pytest.mark.parametrize("version", [BINARY, PYTHON])
@pytest.mark.parametrize("above", [False, True])
def test_images_are_those_of_the_files(
    version: str, above: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / version
    _ = write_binary(folder) if version == BINARY else write_python(folder, monkeypatch)
    train, test = load_cifar10(tmp_path if above else folder)
    assert (len(train), len(test), train.classes, train.size) == (5 * COUNT, COUNT, 10, (3, 32, 32))
    pixels = np.concatenate([batch(number)[0] for number in range(6)]).astype(int)
    labels = np.concatenate([batch(number)[1] for number in range(6)])
    assert torch.equal(torch.cat([train.pixels, test.pixels]), torch.from_numpy(2 * pixels - 255).short())
    assert torch.cat([train.labels, test.labels]).tolist() == labels.tolist()
    assert torch.cat([train.index, test.index]).tolist() == list(range(6 * COUNT))
    some = train.batch(torch.tensor([3, 1]))
    assert some.dtype == torch.float32
    assert torch.equal(some, train.pixels[[3, 1]].float())


def test_binary_version_is_taken_where_both_are(tmp_path: Path) -> None:
    write_binary(tmp_path / BINARY)
    (tmp_path / PYTHON).mkdir()
    (tmp_path / PYTHON / "test_batch").write_bytes(b"anything")
    assert len(load_cifar10(tmp_path)[0]) == 5 * COUNT


def test_python_version_with_another_sum_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_python(tmp_path / PYTHON, monkeypatch)
    # An instruction to create a file, as a pickle can carry one.
    (folder / "data_batch_2").write_bytes(b"cos\nmkdir\n(S'" + os.fsencode(tmp_path / "made") + b"'\ntR.")
    with pytest.raises(InputError, match=r"data_batch_2 has md5 \w+, the published one is \w+; it is not opened"):
        load_cifar10(folder)
    assert not (tmp_path / "made").exists()


def test_no_file_is_taken_for_a_whole_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cifar10 needs the folder with its files: give --data"):
        load_cifar10()
    with pytest.raises(InputError, match=f"there is neither {BINARY} nor {PYTHON} in .*prcim data get cifar10"):
        load_cifar10(tmp_path)
    folder = write_binary(tmp_path / BINARY)
    whole = (folder / "data_batch_3.bin").read_bytes()
    (folder / "data_batch_3.bin").write_bytes(whole[:-1])
    with pytest.raises(InputError, match=r"data_batch_3.bin holds 24583 bytes, 24584 belong there"):
        load_cifar10(folder)
    (folder / "data_batch_3.bin").write_bytes(b"\x0a" + whole[1:])
    with pytest.raises(InputError, match=r"data_batch_3.bin has a label of 10"):
        load_cifar10(folder)
    (folder / "data_batch_3.bin").unlink()
    with pytest.raises(InputError, match=r"data_batch_3.bin cannot be read"):
        load_cifar10(folder)
