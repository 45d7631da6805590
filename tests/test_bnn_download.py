"""Downloads from a server on this machine: whole files or none, and only what was published."""

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from prcim.bnn.datasets.download import SOURCES, Source, download
from prcim.cli.main import status
from prcim.errors import InputError, RunError

CONTENT = bytes(range(256)) * 3000


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder; a file called `cut` ends in its middle."""

    def log_message(self, format: str, *args: object) -> None:
        pass

    def copyfile(self, source: object, outputfile: object) -> None:
        assert isinstance(source, io.BufferedReader)
        assert isinstance(outputfile, io.RawIOBase | io.BufferedIOBase)
        content = source.read()
        outputfile.write(content[: len(content) // 2] if "cut" in self.path else content)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and its address."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def source(*names: str, content: bytes = CONTENT) -> Source:
    return Source(url="http://127.0.0.1:9/", md5={name: md5(content) for name in names}, folder="set/raw")


def test_files_are_fetched_once_with_progress(served: tuple[Path, str], tmp_path: Path) -> None:
    folder, url = served
    for name in ("a.gz", "b.gz"):
        (folder / name).write_bytes(CONTENT)
    calls: list[tuple[str, int, int]] = []
    made = download(source("a.gz", "b.gz"), tmp_path, url=url, progress=lambda *call: calls.append(call))
    assert made == [tmp_path / "set/raw/a.gz", tmp_path / "set/raw/b.gz"]
    assert [path.read_bytes() for path in made] == [CONTENT, CONTENT]
    assert {name for name, _, _ in calls} == {"a.gz", "b.gz"}
    assert {total for _, _, total in calls} == {len(CONTENT)}
    assert [done for name, done, _ in calls if name == "a.gz"] == [1 << 18, 2 << 18, len(CONTENT)]
    (folder / "a.gz").unlink()
    made[1].write_bytes(b"damaged")
    assert download(source("a.gz", "b.gz"), tmp_path, url=url) == made
    assert made[1].read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["other", "cut"])
def test_what_was_not_published_is_not_kept(name: str, served: tuple[Path, str], tmp_path: Path) -> None:
    folder, url = served
    (folder / name).write_bytes(CONTENT if name == "cut" else CONTENT[::-1])
    with pytest.raises(RunError, match=f"{name} sent .* bytes with md5 .*, the published one is|cannot be fetched"):
        download(source(name), tmp_path, url=url)
    assert not (tmp_path / "set/raw" / name).exists()
    assert not list((tmp_path / "set/raw").glob("*"))


def test_an_unreachable_server_and_a_missing_file(served: tuple[Path, str], tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"http://127.0.0.1:9/x cannot be fetched \(.*refused.*\); try again, or name"):
        download(source("x"), tmp_path)
    with pytest.raises(RunError, match=r"/x cannot be fetched \(.*\)"):
        download(source("x"), tmp_path, url=served[1])
    with pytest.raises(InputError, match="'ftp://host/x' is no address; it begins with https://"):
        download(source("x"), tmp_path, url="ftp://host")


def archive(*members: str) -> bytes:
    with io.BytesIO() as buffer:
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            for name in members:
                info = tarfile.TarInfo(name)
                info.size = len(CONTENT)
                tar.addfile(info, io.BytesIO(CONTENT))
        return buffer.getvalue()


def test_an_archive_gives_its_named_members_and_nothing_else(served: tuple[Path, str], tmp_path: Path) -> None:
    folder, url = served
    packed = archive("top/one.bin", "../../outside", "top/two.bin", "top/readme.html")
    (folder / "all.tar.gz").write_bytes(packed)
    wanted = Source(url=url, md5={"all.tar.gz": md5(packed)}, folder="bin", unpack=("one.bin", "two.bin"))
    made = download(wanted, tmp_path / "to")
    assert sorted(path.name for path in (tmp_path / "to/bin").iterdir()) == ["one.bin", "two.bin"]
    assert [path.read_bytes() for path in made] == [CONTENT, CONTENT]
    assert not list(tmp_path.rglob("outside"))
    (folder / "all.tar.gz").unlink()
    assert download(wanted, tmp_path / "to") == made


def test_an_archive_without_a_member_is_refused(served: tuple[Path, str], tmp_path: Path) -> None:
    folder, url = served
    for content in (archive("top/one.bin"), CONTENT):
        (folder / "all.tar.gz").write_bytes(content)
        wanted = Source(url=url, md5={"all.tar.gz": md5(content)}, folder="bin", unpack=("two.bin",))
        with pytest.raises(RunError, match=r"all.tar.gz is not the archive that was published"):
            download(wanted, tmp_path)


def test_the_command(served: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, url = served
    arguments = ["data", "get", "mnist", "--to", str(tmp_path / "to"), "--url", url]
    assert status(arguments) == 1
    assert "cannot be fetched" in capsys.readouterr().err
    for name in SOURCES["mnist"].md5:
        (folder / name).write_bytes(CONTENT)
    assert status(arguments) == 1
    assert "the published one is" in capsys.readouterr().err
    assert status(["data", "get", "letters"]) == 2
    assert "there is no data set 'letters' to download; there are: mnist, cifar10" in capsys.readouterr().err


def test_the_command_names_what_it_wrote(
    served: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = served
    (folder / "a.gz").write_bytes(CONTENT)
    monkeypatch.setattr("prcim.bnn.datasets.download.SOURCES", {"mnist": source("a.gz")})
    assert status(["data", "get", "mnist", "--to", str(tmp_path), "--url", url, "--json"]) == 0
    block = json.loads(capsys.readouterr().out)
    assert block == {"name": "mnist", "folder": str(tmp_path), "files": [str(tmp_path / "set/raw/a.gz")]}
