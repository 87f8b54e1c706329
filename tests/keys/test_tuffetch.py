"""Where publications are read from: never past what was asked for, whatever the stick, archive or server does."""

import contextlib
import io
import os
import socket
import struct
import tempfile
import threading
import urllib.error
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import FULL
from hypothesis import given, settings
from hypothesis import strategies as st

from mingzheng.keys import tuffetch
from mingzheng.keys.tuferrors import (
    TufBadSourceError,
    TufEndlessError,
    TufError,
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
    "place",
    [
        *("nowhere", "ftp://x/y", "file:///etc/passwd", "https://", "http://h/?a", "http://h/#a", "http://me:word@h/"),
        *("http://[h/", "http://a..b/", f"http://{'a' * 64}.cn/", "http://h/信任/"),
    ],
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


def _directory_of(count: int) -> bytes:
    """A directory of entries without content."""
    head = struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", 20, 0, 20, *(0,) * 8, 8, *(0,) * 6)
    return b"".join(head + b"%08d" % number for number in range(count))


def test_an_end_record_that_lies_about_the_entries_opens_nothing(tmp_path: Path) -> None:
    path, names = tmp_path / "a.zip", _directory_of(tuffetch.MAX_ZIP_ENTRIES + 1)
    path.write_bytes(names + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(names), 0, 0))
    with pytest.raises(TufBadSourceError, match="entries"):
        ZipSource(path)


def test_a_zip64_record_does_not_overrule_the_limits(tmp_path: Path) -> None:
    """The library goes by it whenever it is there, whatever the record says that was looked at."""
    path, names = tmp_path / "a.zip", _directory_of(2)
    large = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 2, 2, len(names), 0)
    large += struct.pack("<4sLQL", b"PK\6\7", 0, len(names), 1)
    for comment in (b"", b"c" * 65_535):
        end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, 54, 0, len(comment)) + comment
        path.write_bytes(names + large + end)
        with zipfile.ZipFile(path) as archive:
            assert len(archive.namelist()) == 2
        with pytest.raises(TufBadSourceError, match="ZIP64"):
            ZipSource(path)


def test_entries_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    whole = bytearray(packed(path, {"é": BODY}).read_bytes())
    whole[whole.index("é".encode())] = 0xFF  # in the entry's own head only
    path.write_bytes(whole)
    with pytest.raises(TufFetchError):
        ZipSource(path).read("é", most=10)
    far = struct.pack("<HHQ", 1, 8, 2**64 - 5)
    names = struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", 20, 0, 20, *(0,) * 6, 1, 1, 1, len(far), *(0,) * 4, 2**32 - 1)
    names += b"a" + far
    path.write_bytes(names + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(names), 0, 0))
    with pytest.raises(TufFetchError):
        ZipSource(path).read("a", most=10)


@settings(max_examples=300 if FULL else 60)
@given(st.data())
def test_a_changed_archive_raises_nothing_without_a_name(data: st.DataObject) -> None:
    """Whatever the bytes, the library's own errors stay inside."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("é", BODY * 9)
    whole = bytearray(file.getvalue())
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with tempfile.NamedTemporaryFile(suffix=".zip") as held:
        Path(held.name).write_bytes(whole)
        with contextlib.suppress(TufError):
            assert ZipSource(Path(held.name)).read("é", most=100) == BODY * 9


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
    flags = whole.rindex(b"PK\x01\x02") + 8
    for bit in (0x1, 0x20, 0x40):
        path.write_bytes(whole[:flags] + bytes([bit]) + whole[flags + 1 :])
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
