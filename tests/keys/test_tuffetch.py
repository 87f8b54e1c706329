"""Where publications are read from: never past what was asked for, whatever the stick, archive or server does."""

import contextlib
import os
import socket
import struct
import threading
import urllib.error
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mingzheng.keys import tuffetch
from mingzheng.keys.tuferrors import (
    TufBadSourceError,
    TufEndlessError,
    TufFetchError,
    TufMissingFileError,
    TufSlowError,
)
from mingzheng.keys.tuffetch import (
    DirectorySource,
    HttpSource,
    MemorySource,
    OverlaySource,
    Source,
    ZipSource,
    open_source,
)

NAME = "metadata/timestamp.json"
BODY = b"0123456789"


class Handler(BaseHTTPRequestHandler):
    """A mirror that answers as its path says."""

    def do_GET(self) -> None:
        last = self.path.rpartition("/")[2]
        if last == "endless":
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                while True:
                    self.wfile.write(b"x" * 65_536)
        elif last == "short":
            self.send_response(200)
            self.send_header("Content-Length", "99")
            self.end_headers()
            self.wfile.write(BODY)
        elif last.isdigit():
            self.send_response(int(last))
            self.send_header("Location", "/mirror/metadata/timestamp.json")
            self.end_headers()
        elif last == "junk":
            self.wfile.write(b"no http at all\r\n\r\n")
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(BODY)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """On loopback, for as long as the module runs."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}/mirror"
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


def packed(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


@pytest.fixture(params=["memory", "overlay", "directory", "zip", "http"])
def source(request: pytest.FixtureRequest, tmp_path: Path, server: str) -> Source:
    files = {NAME: BODY}
    (tmp_path / "metadata").mkdir()
    (tmp_path / NAME).write_bytes(BODY)
    match request.param:
        case "memory":
            return MemorySource(files)
        case "overlay":
            return OverlaySource({"other": b""}, MemorySource(files))
        case "directory":
            return open_source(str(tmp_path))
        case "zip":
            return open_source(str(packed(tmp_path / "a.zip", files)))
        case _:
            return open_source(server)


def test_a_file_is_read_up_to_the_limit_and_not_beyond(source: Source) -> None:
    assert source.read(NAME, most=len(BODY)) == BODY
    with pytest.raises(TufEndlessError):
        source.read(NAME, most=len(BODY) - 1)


def test_what_is_not_there_is_missing(source: Source) -> None:
    missing = "metadata/404" if isinstance(source, HttpSource) else "metadata/2.root.json"
    with pytest.raises(TufMissingFileError):
        source.read(missing, most=10)


def test_the_overlay_lies_above() -> None:
    over = OverlaySource({NAME: b"new"}, MemorySource({NAME: b"old", "other": b"below"}))
    assert (over.read(NAME, most=9), over.read("other", most=9)) == (b"new", b"below")


@pytest.mark.parametrize(
    "place", ["nowhere", "ftp://x/y", "file:///etc/passwd", "https://", "http://h/?a", "http://h/#a"]
)
def test_places_that_are_none(place: str) -> None:
    with pytest.raises(TufBadSourceError):
        open_source(place)


# Directories


def test_links_pipes_and_directories_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    source = DirectorySource(tmp_path)
    for name in ("link", "pipe", "folder"):
        with pytest.raises(TufFetchError):
            source.read(name, most=10)
    with pytest.raises(TufMissingFileError):
        source.read("secret/below", most=10)


# ZIP files


def test_archives_that_are_none_or_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    for data in (b"", b"PK", b"x" * 100, b"PK\x05\x06" + b"\0" * 10):
        path.write_bytes(data)
        with pytest.raises(TufBadSourceError):
            ZipSource(path)
    whole = packed(path, {NAME: BODY * 100}).read_bytes()
    path.write_bytes(whole[:40] + b"\xff\xff\xff" + whole[43:])
    with pytest.raises((TufFetchError, TufBadSourceError)):
        ZipSource(path).read(NAME, most=2000)


def test_a_name_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(NAME, b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr(NAME, b"2")
    with pytest.raises(TufBadSourceError):
        ZipSource(path)


def test_too_many_entries_are_refused_before_they_are_read(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {NAME: BODY})
    whole = path.read_bytes()
    at = whole.rindex(b"PK\x05\x06")
    caps = ((10, tuffetch.MAX_ZIP_ENTRIES, "<H"), (12, tuffetch.MAX_ZIP_DIRECTORY_BYTES, "<I"))
    for field, cap, form in caps:
        size = struct.calcsize(form)
        path.write_bytes(whole[: at + field] + struct.pack(form, cap + 1) + whole[at + field + size :])
        with pytest.raises(TufBadSourceError):
            ZipSource(path)


def test_an_archive_over_its_cap_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with open(path, "wb") as file:
        file.truncate(tuffetch.MAX_ZIP_BYTES + 1)
    with pytest.raises(TufBadSourceError):
        ZipSource(path)


def test_a_bomb_is_read_to_the_limit_only(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {NAME: b"\0" * (64 << 20)})
    assert path.stat().st_size < 100_000
    with pytest.raises(TufEndlessError):
        ZipSource(path).read(NAME, most=16_384)


def test_other_ways_of_packing_and_encryption_are_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {NAME: BODY}, zipfile.ZIP_BZIP2)
    with pytest.raises(TufBadSourceError):
        ZipSource(path).read(NAME, most=10)
    whole = bytearray(packed(path, {NAME: BODY}).read_bytes())
    whole[whole.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(whole))
    with pytest.raises(TufBadSourceError):
        ZipSource(path).read(NAME, most=10)


# HTTP


def test_an_endless_answer_is_cut(server: str) -> None:
    with pytest.raises(TufEndlessError):
        HttpSource(server).read("endless", most=100_000)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 401, 500, 503])
def test_no_redirect_is_followed_and_no_error_taken_for_a_file(server: str, status: int) -> None:
    with pytest.raises(TufFetchError):
        HttpSource(server).read(str(status), most=100)


@pytest.mark.parametrize("status", [403, 404, 410])
def test_not_there(server: str, status: int) -> None:
    with pytest.raises(TufMissingFileError):
        HttpSource(server).read(str(status), most=100)


def test_an_answer_that_breaks_off_is_short_or_refused(server: str) -> None:
    """What is read is compared with length and hash; a short answer cannot pass for the file."""
    with contextlib.suppress(TufFetchError):
        assert HttpSource(server).read("short", most=100) == BODY


def test_an_answer_that_is_no_http_is_refused(server: str) -> None:
    with pytest.raises(TufFetchError):
        HttpSource(server).read("junk", most=100)


def test_a_server_that_is_not_there(server: str) -> None:
    with pytest.raises(TufFetchError):
        HttpSource("http://127.0.0.1:1/").read(NAME, most=100)


def test_all_reads_together_have_one_limit_of_time(server: str) -> None:
    seconds = iter([0.0, 1.0, 1.0, 1.0, tuffetch.WHOLE_SECONDS + 0.5])
    source = HttpSource(server, tick=lambda: next(seconds, 1e9))
    source.read(NAME, most=100)
    with pytest.raises(TufSlowError):
        for _ in range(3):
            source.read(NAME, most=100)


@pytest.mark.parametrize("reason", [TimeoutError(), OSError("no route")])
def test_a_connection_that_does_not_come_about(reason: OSError) -> None:
    source = HttpSource("http://mirror.example/")

    class Broken:
        def open(self, *arguments: object, **named: object) -> object:
            raise urllib.error.URLError(reason)

    source._opener = Broken()  # type: ignore[assignment]
    with pytest.raises(TufSlowError if isinstance(reason, TimeoutError) else TufFetchError):
        source.read(NAME, most=100)


def test_a_stick_that_fails_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(BODY)

    def torn(*arguments: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(tuffetch, "_capped", torn)
    with pytest.raises(TufFetchError):
        DirectorySource(tmp_path).read("a", most=100)


def test_silence_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes the connection and says nothing."""
    monkeypatch.setattr(tuffetch, "SILENCE_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TufSlowError):
        HttpSource(f"http://127.0.0.1:{silent.getsockname()[1]}").read(NAME, most=100)
