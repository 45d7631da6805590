"""MNIST's files: read packed or not, and refused with their names when they are not what they say."""

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from prcim.bnn.datasets.mnist import load_mnist
from prcim.errors import InputError

RNG = np.random.default_rng(0)
PIXELS = {"train": RNG.integers(0, 256, (12, 28, 28), np.uint8), "t10k": RNG.integers(0, 256, (5, 28, 28), np.uint8)}
LABELS = {"train": np.arange(12, dtype=np.uint8) % 10, "t10k": np.arange(5, dtype=np.uint8)}
NAMES = tuple(f"{part}-{kind}-ubyte" for part in PIXELS for kind in ("images-idx3", "labels-idx1"))


def idx(array: np.ndarray) -> bytes:
    """Zero, zero, 8 for unsigned bytes, number of dimensions; their sizes; the bytes."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write(folder: Path, *, packed: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for part in PIXELS:
        for name, array in ((f"{part}-images-idx3-ubyte", PIXELS[part]), (f"{part}-labels-idx1-ubyte", LABELS[part])):
            path = folder / (f"{name}.gz" if packed else name)
            path.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    return folder


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("place", [".", "raw", "MNIST/raw"])
def test_files_are_found_and_read_whole(tmp_path: Path, place: str, packed: bool) -> None:
    write(tmp_path / place, packed=packed)
    for part, images in zip(PIXELS, load_mnist(tmp_path), strict=True):
        pixels = PIXELS[part].reshape(len(PIXELS[part]), 784)
        assert images.pixels.dtype == torch.float32
        assert np.array_equal(images.pixels.numpy(), 2 * pixels.astype(np.int64) - 255)
        assert np.array_equal(images.labels.numpy(), LABELS[part])
        assert images.classes == 10
        # A black pixel.
        assert images.background == images.pixels.min() == -255


def test_every_image_has_a_number_of_its_own(tmp_path: Path) -> None:
    train, test = load_mnist(write(tmp_path))
    assert [*train.index.tolist(), *test.index.tolist()] == list(range(17))


def test_folder_must_be_given() -> None:
    with pytest.raises(InputError, match=r"mnist needs the folder .* --data FOLDER or set PRCIM_DATA"):
        load_mnist(None)


@pytest.mark.parametrize("name", NAMES)
def test_missing_file_is_named(tmp_path: Path, name: str) -> None:
    (write(tmp_path) / name).unlink()
    with pytest.raises(InputError, match=rf"there is no {name} or {name}\.gz in .*; give another --data"):
        load_mnist(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_file_cut_anywhere_is_refused(tmp_path: Path, name: str) -> None:
    path = write(tmp_path) / name
    whole = path.read_bytes()
    for keep in (*range(17), len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[: min(keep, len(whole) - 1)])
        with pytest.raises(InputError, match=f"{name} (is not an IDX file|holds .* bytes).*; download it again"):
            load_mnist(tmp_path)


def longer(content: bytes) -> bytes:
    return content + b"\0"


def other_magic(content: bytes) -> bytes:
    return b"\0\0\x09" + content[3:]


def page(content: bytes) -> bytes:
    return b"<html>404 not found</html>" * 10


@pytest.mark.parametrize("damage", [longer, other_magic, page])
def test_file_that_is_something_else_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = write(tmp_path) / NAMES[0]
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r"is not an IDX file|its header says .*; download it again"):
        load_mnist(tmp_path)


@pytest.mark.parametrize("damage", [page, lambda content: content[:-20], lambda content: content[:40] + b"\xff" * 400])
def test_packed_file_that_does_not_unpack_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = write(tmp_path, packed=True) / f"{NAMES[0]}.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r"images-idx3-ubyte\.gz cannot be read .*; download it again"):
        load_mnist(tmp_path)


def test_labels_that_do_not_fit_the_images_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path) / NAMES[1]
    for labels in (LABELS["train"][:-1], np.full(12, 10, np.uint8)):
        path.write_bytes(idx(labels))
        with pytest.raises(InputError, match=f"train has 12 images and {len(labels)} labels; download it again"):
            load_mnist(tmp_path)
