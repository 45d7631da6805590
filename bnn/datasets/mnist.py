"""MNIST from the four IDX files that its authors publish, packed or not."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from prcim.bnn.datasets.images import Images
from prcim.errors import InputError

#: Number of dimensions of a file -> its magic number (unsigned bytes).
MAGIC = {1: 0x0801, 3: 0x0803}


def load_mnist(data: Path | None = None) -> tuple[Images, Images]:
    """Training images (numbers 0..59,999) and test images (60,000..69,999).

    Args:
        data: the folder with `train-images-idx3-ubyte` and the three others, with or without `.gz`, or one above it
            (`MNIST/raw`).

    Raises:
        InputError: a file is missing or is not what its name says.

    Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", 1998.
    """
    if data is None:
        raise InputError("mnist needs the folder with its four files: give --data FOLDER or set PRCIM_DATA")
    parts = []
    first = 0
    for name in ("train", "t10k"):
        pixels = _read_idx(data, f"{name}-images-idx3-ubyte", 3)
        labels = _read_idx(data, f"{name}-labels-idx1-ubyte", 1)
        if len(pixels) != len(labels) or not len(labels) or labels.max() > 9:
            raise InputError(f"{data}: {name} has {len(pixels)} images and {len(labels)} labels; download it again")
        # Grey values 0..255 become -255..255 in odd numbers.
        centred = 2 * torch.from_numpy(pixels.reshape(len(pixels), -1).astype(np.float32)) - 255
        index = torch.arange(first, first + len(labels))
        parts.append(
            Images(
                pixels=centred,
                labels=torch.from_numpy(labels.astype(np.int64)),
                index=index,
                classes=10,
                size=(1, *pixels.shape[1:]),
                # Digits are light on black.
                background=-255.0,
            )
        )
        first += len(labels)
    return parts[0], parts[1]


def _read_idx(data: Path, name: str, dimensions: int) -> NDArray[np.uint8]:
    """One IDX file: magic number, sizes as big-endian 32-bit words, then bytes."""
    places = [folder / (name + end) for folder in (data, data / "raw", data / "MNIST" / "raw") for end in ("", ".gz")]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise InputError(f"there is no {name} or {name}.gz in {data} (nor in MNIST/raw below it); give another --data")
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read ({error}); download it again") from None
    start = 4 * (dimensions + 1)
    if len(content) < start or int.from_bytes(content[:4], "big") != MAGIC[dimensions]:
        raise InputError(f"{path} is not an IDX file of {dimensions} dimensions; download it again")
    sizes = tuple(int(size) for size in np.frombuffer(content[4:start], dtype=">u4"))
    body = np.frombuffer(content[start:], dtype=np.uint8)
    if len(body) != math.prod(sizes):
        raise InputError(f"{path} holds {len(body)} bytes, its header says {math.prod(sizes)}; download it again")
    return body.reshape(sizes)
