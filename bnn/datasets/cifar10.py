"""CIFAR-10 from the files that its authors publish: the binary version, or the Python version once its sums matched."""

import hashlib
import pickletools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from prcim.bnn.datasets.images import Images
from prcim.errors import InputError

CLASSES = 10
#: One label byte, then red, green and blue planes of 32 x 32.
RECORD = 1 + 3072
#: Images of a file of either version.
BATCH = 10_000
BINARY = "cifar-10-batches-bin"
PYTHON = "cifar-10-batches-py"
#: md5 of each file of the Python version.
#: Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009; sums as torchvision lists them.
PYTHON_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}


def load_cifar10(data: Path | None = None) -> tuple[Images, Images]:
    """Training images (numbers 0..49,999) and test images (50,000..59,999).

    Args:
        data: the folder `cifar-10-batches-bin` or `cifar-10-batches-py`, or the one above. The binary version is taken
            where both are.

    Raises:
        InputError: a file is missing, is not what its name says, or its md5 is not the published one.
    """
    if data is None:
        raise InputError("cifar10 needs the folder with its files: give --data FOLDER or set PRCIM_DATA")
    folder = next(
        (place for name in (BINARY, PYTHON) for place in (data / name, data) if _holds(place, name)),
        None,
    )
    if folder is None:
        raise InputError(
            f"there is neither {BINARY} nor {PYTHON} in {data}; give another --data, or run `prcim data get cifar10`"
        )
    names = list(PYTHON_MD5)
    parts = [_read_binary(folder / f"{n}.bin") if _holds(folder, BINARY) else _read_python(folder / n) for n in names]
    return _images(parts[:-1], 0), _images(parts[-1:], BATCH * len(parts[:-1]))


def _holds(folder: Path, version: str) -> bool:
    return (folder / ("test_batch.bin" if version == BINARY else "test_batch")).is_file()


def _images(parts: Sequence[tuple[NDArray[np.uint8], NDArray[np.uint8]]], first: int) -> Images:
    pixels = np.concatenate([pixels for pixels, _ in parts])
    labels = torch.from_numpy(np.concatenate([labels for _, labels in parts]).astype(np.int64))
    return Images(
        # Grey values 0..255 become -255..255 in odd numbers; 16 bits hold them in half the memory of float32.
        pixels=torch.from_numpy(2 * pixels.astype(np.int16) - 255),
        labels=labels,
        index=torch.arange(first, first + len(labels)),
        classes=CLASSES,
        size=(3, 32, 32),
        mirrored=True,
    )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); download it again") from None


def _read_binary(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    content = _content(path)
    if len(content) != BATCH * RECORD:
        raise InputError(f"{path} holds {len(content)} bytes, {BATCH * RECORD} belong there; download it again")
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, RECORD)
    if records[:, 0].max() >= CLASSES:
        raise InputError(f"{path} has a label of {records[:, 0].max()}, CIFAR-10 has 0 to 9; download it again")
    return records[:, 1:], records[:, 0]


def _read_python(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Finds pixels and labels among the operations of a file that its checksum vouches for; nothing is unpickled."""
    content = _content(path)
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != PYTHON_MD5.get(path.name):
        raise InputError(
            f"{path} has md5 {found}, the published one is {PYTHON_MD5.get(path.name)}; it is not opened, since a"
            f" pickle of unknown content can run any program; download it again, or take {BINARY}"
        )
    # Operations with their arguments, none of which is carried out.
    operations = [(code.name, argument) for code, argument, _ in pickletools.genops(content)]
    start = operations.index(("SHORT_BINSTRING", "labels"))
    end = operations.index(("SHORT_BINSTRING", "data"))
    labels = [argument for name, argument in operations[start:end] if name == "BININT1"]
    pixels = next(str(argument) for name, argument in operations[end:] if name == "BINSTRING")
    return (
        np.frombuffer(pixels.encode("latin-1"), dtype=np.uint8).reshape(BATCH, -1),
        np.array(labels, dtype=np.uint8),
    )
