"""Data sets from where their authors publish them, checked against the published sums."""

import hashlib
import http.client
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import final

from prcim.bnn.datasets.cifar10 import BINARY
from prcim.errors import InputError, RunError
from prcim.files import replacing

#: Called with the name of a file, and bytes done and in all; 0 in all where a server does not say.
Progress = Callable[[str, int, int], None]

_BLOCK = 1 << 18
_TIMEOUT_S = 60.0


@final
@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a data set lies.

    Attributes:
        url: folder of its files, with a slash at its end.
        md5: published sum of each file.
        folder: where they go, below the folder that a user names.
        unpack: members of a tar archive that are kept in its place; none: the files stay as they are.
    """

    url: str
    md5: Mapping[str, str]
    folder: str
    unpack: tuple[str, ...] = ()


SOURCES: Mapping[str, Source] = MappingProxyType({
    "mnist": Source(
        url="https://ossci-datasets.s3.amazonaws.com/mnist/",
        md5={
            "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
        },
        folder="MNIST/raw",
    ),
    "cifar10": Source(
        url="https://www.cs.toronto.edu/~kriz/",
        md5={"cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530"},
        folder=BINARY,
        unpack=(*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin", "batches.meta.txt"),
    ),
})  # fmt: skip


def download(
    source: Source, folder: Path, *, url: str | None = None, progress: Progress = lambda name, done, total: None
) -> list[Path]:
    """Fetches what is missing of a data set; files that are there and whole are left.

    Args:
        source: what, and from where.
        folder: where to; the set's own folder is made below.
        url: another place with the same files.
        progress: called now and then.

    Returns:
        The files of the set.

    Raises:
        InputError: the address is none.
        RunError: the server cannot be reached, breaks off, or sends something else than was published.
    """
    target = folder / source.folder
    wanted = source.unpack or tuple(source.md5)
    if source.unpack and all((target / name).is_file() for name in wanted):
        return [target / name for name in wanted]
    for name, md5 in source.md5.items():
        if not (target / name).is_file() or _md5(target / name) != md5:
            fetch(f"{(url or source.url).rstrip('/')}/{name}", target / name, md5=md5, progress=progress)
        if source.unpack:
            _unpack(target / name, source.unpack)
    return [target / name for name in wanted]


def fetch(address: str, path: Path, *, md5: str, progress: Progress) -> None:
    """One file, written only when its sum is the published one.

    Raises:
        InputError: the address is none.
        RunError: the server cannot be reached, breaks off, or sends something else.
    """
    if not address.startswith(("http://", "https://")):
        raise InputError(f"{address!r} is no address; it begins with https:// or http://")
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with urllib.request.urlopen(address, timeout=_TIMEOUT_S) as reply, replacing(path) as scratch:
            total, done = int(reply.headers.get("Content-Length") or 0), 0
            with scratch.open("wb") as file:
                while block := reply.read(_BLOCK):
                    done += file.write(block)
                    digest.update(block)
                    progress(path.name, done, total)
            if digest.hexdigest() != md5:
                raise RunError(
                    f"{address} sent {done} bytes with md5 {digest.hexdigest()}, the published one is {md5};"
                    " try again, or name another place with --url"
                )
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise RunError(f"{address} cannot be fetched ({reason}); try again, or name another place with --url") from None


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _unpack(archive: Path, members: tuple[str, ...]) -> None:
    """Writes the named members beside the archive, by their last name alone, and removes the archive."""
    try:
        with tarfile.open(archive) as tar:
            found = {Path(member.name).name: member for member in tar if member.isfile()}
            for name in members:
                content = tar.extractfile(found[name])
                with replacing(archive.with_name(name)) as scratch:
                    scratch.write_bytes(content.read() if content else b"")
    except (tarfile.TarError, EOFError, KeyError) as error:
        raise RunError(f"{archive} is not the archive that was published ({error}); delete it and try again") from None
    archive.unlink()
