"""Where a publication of trust data is read from: a directory, a ZIP file, an HTTP server; never more than asked for.

Spec: docs/spec/trust.md, "Limits". Nothing that is read here is believed before it is checked. Left out:
redirects, authentication, resuming; a proxy is used if the environment names one.
"""

import os
import socket
import stat
import struct
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import IO, Any, Final, Protocol
from urllib.parse import urlsplit

from mingzheng.keys.deadline import within
from mingzheng.keys.tuferrors import (
    TufBadSourceError,
    TufEndlessError,
    TufFetchError,
    TufMissingFileError,
    TufSlowError,
)

MAX_ZIP_BYTES: Final = 128 << 20
MAX_ZIP_ENTRIES: Final = 8_192
MAX_ZIP_DIRECTORY_BYTES: Final = 4 << 20
SILENCE_SECONDS: Final = 10
WHOLE_SECONDS: Final = 300
CHUNK: Final = 65_536
_EOCD: Final = struct.Struct("<4s4H2LH")
_FLAGS: Final = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ZIP64_LOCATOR: Final = b"PK\x06\x07"
_ZIP64_LOCATOR_BYTES: Final = 20
_NOT_PLAIN: Final = 0x1 | 0x20 | 0x40  # flag bits: encrypted, a patch, strongly encrypted
# What zipfile lets out of a directory: no such file, no or a broken end record, a name that is not the UTF-8 it says,
# a version of the format above 6.3.
_BAD_DIRECTORY: Final = (OSError, zipfile.BadZipFile, UnicodeDecodeError, NotImplementedError)
# And out of an entry: a read that fails or an offset before the file's beginning (OSError), an offset past 63 bits or a
# name in its head that is not UTF-8 (ValueError), another head or checksum than listed, too few bytes, no deflate.
_BAD_ENTRY: Final = (OSError, ValueError, zipfile.BadZipFile, EOFError, zlib.error)


class Source(Protocol):
    """Something that holds the files of a publication by their paths."""

    def read(self, path: str, *, most: int) -> bytes:
        """The whole file. Raises TufMissingFileError, TufEndlessError over `most` bytes, TufFetchError."""
        ...


class MemorySource:
    """Files held in this process: a publication before it is one, and the tests' repository."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def read(self, path: str, *, most: int) -> bytes:
        """As in `Source`."""
        if path not in self.files:
            raise TufMissingFileError(f"{path}: not there")
        return _capped([self.files[path]], path, most)


class OverlaySource:
    """Some files in memory before those of another source."""

    def __init__(self, files: dict[str, bytes], below: Source) -> None:
        self._over, self._below = MemorySource(files), below

    def read(self, path: str, *, most: int) -> bytes:
        """As in `Source`."""
        return (self._over if path in self._over.files else self._below).read(path, most=most)


class DirectorySource:
    """A directory, say on a USB stick. A file that is a link, or no regular file, counts as unreadable."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str, *, most: int) -> bytes:
        """As in `Source`."""
        try:
            descriptor = os.open(self._root / path, _FLAGS)
        except (FileNotFoundError, NotADirectoryError):
            raise TufMissingFileError(f"{path}: not there") from None
        except OSError as error:
            raise TufFetchError(f"{path}: {error.strerror}") from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise TufFetchError(f"{path}: not a regular file")
            with open(descriptor, "rb", closefd=False) as file:
                return _capped(_chunks(file), path, most)
        except OSError as error:
            raise TufFetchError(f"{path}: {error.strerror}") from error
        finally:
            os.close(descriptor)


class ZipSource:
    """A ZIP file, read entry by entry, never past the limit of what is asked for."""

    def __init__(self, path: Path) -> None:
        try:
            with open(path, "rb") as file:
                _check_zip(file, path.name)
            self._zip = zipfile.ZipFile(path)
        except _BAD_DIRECTORY as error:
            raise TufBadSourceError(f"{path.name}: not a ZIP file that can be read") from error
        names = [entry.filename for entry in self._zip.infolist()]
        if len(names) > MAX_ZIP_ENTRIES:  # the end record need not tell the truth
            raise TufBadSourceError(f"{path.name}: {len(names)} entries, cap is {MAX_ZIP_ENTRIES}")
        if len(set(names)) != len(names):
            raise TufBadSourceError(f"{path.name}: holds a name twice")

    def read(self, path: str, *, most: int) -> bytes:
        """As in `Source`."""
        try:
            entry = self._zip.getinfo(path)
        except KeyError:
            raise TufMissingFileError(f"{path}: not there") from None
        if entry.flag_bits & _NOT_PLAIN or entry.compress_type not in _METHODS:
            raise TufBadSourceError(f"{path}: encrypted, or packed in a way that is not read here")
        try:
            with self._zip.open(entry) as file:
                return _capped(_chunks(file), path, most)
        except _BAD_ENTRY as error:
            raise TufFetchError(f"{path}: damaged in the ZIP file") from error


class HttpSource:
    """A web server. `tick` counts seconds; the whole source has one time limit, asked before and within each body."""

    def __init__(self, base: str, *, tick: Callable[[], float] = time.monotonic) -> None:
        try:
            parts = urlsplit(base)
            host = (parts.hostname or "").encode("idna")
        except ValueError as error:  # brackets that do not pair; a host with an empty or too long label
            raise TufBadSourceError("not an address: its host is none") from error
        odd = parts.query or parts.fragment or "@" in parts.netloc
        if parts.scheme not in ("http", "https") or not host or odd:
            raise TufBadSourceError("an address is http:// or https://, with a host and without ?, # and @")
        if not parts.path.isascii():
            raise TufBadSourceError("the path of an address is ASCII: write other characters as %XX")
        self._base = base if base.endswith("/") else f"{base}/"
        self._tick, self._end = tick, tick() + WHOLE_SECONDS
        self._line = _Line()
        self._opener = urllib.request.build_opener(_NoRedirect, _Http(self._line), _Https(self._line))

    def read(self, path: str, *, most: int) -> bytes:
        """As in `Source`; raises TufSlowError past the time limit too."""
        request = urllib.request.Request(self._base + path, headers={"Accept-Encoding": "identity"})  # noqa: S310 - checked
        try:
            left = self._in_time()
            with (
                within(self._line.socket, left),
                self._opener.open(request, timeout=min(SILENCE_SECONDS, left)) as reply,
            ):
                return _capped(self._timed(reply), path, most)
        except urllib.error.HTTPError as error:
            with error:
                if error.code in (403, 404, 410):
                    raise TufMissingFileError(f"{path}: the server answers {error.code}") from None
                raise TufFetchError(f"{path}: the server answers {error.code}") from None
        except TimeoutError as error:
            self._in_time()
            raise TufSlowError(f"{path}: no byte for {SILENCE_SECONDS} seconds") from error
        except urllib.error.URLError as error:
            if isinstance(error.reason, TimeoutError):
                self._in_time()
                raise TufSlowError(f"{path}: no answer for {SILENCE_SECONDS} seconds") from error
            raise TufFetchError(f"{path}: {error.reason}") from error
        except (OSError, HTTPException) as error:
            raise TufFetchError(f"{path}: {error}") from error

    def _timed(self, reply: IO[bytes]) -> Iterator[bytes]:
        for chunk in _chunks(reply):
            self._in_time()
            yield chunk

    def _in_time(self) -> float:
        """The seconds that are left."""
        left = self._end - self._tick()
        if left <= 0:
            raise TufSlowError(f"the server took over {WHOLE_SECONDS} seconds")
        return left


class _Line:
    """The connection of the moment and its socket, which a connection forgets where the server will close it."""

    def __init__(self) -> None:
        self.connection: HTTPConnection | None = None
        self.kept: socket.socket | None = None

    def socket(self) -> socket.socket | None:
        """What is waited on."""
        return (None if self.connection is None else self.connection.sock) or self.kept

    def connect(self, connection: HTTPConnection, connect: Callable[[], None]) -> None:
        """Connect, and know what is connected."""
        self.connection, self.kept = connection, None
        connect()
        self.kept = connection.sock


class _Connection(HTTPConnection):
    def __init__(self, line: _Line, host: str, **more: Any) -> None:
        super().__init__(host, **more)
        self._line = line

    def connect(self) -> None:
        """As its base, on the line."""
        self._line.connect(self, super().connect)


class _SecureConnection(HTTPSConnection):
    def __init__(self, line: _Line, host: str, **more: Any) -> None:
        super().__init__(host, **more)
        self._line = line

    def connect(self) -> None:
        """As its base, on the line."""
        self._line.connect(self, super().connect)


class _Http(urllib.request.HTTPHandler):
    def __init__(self, line: _Line) -> None:
        super().__init__()
        self._line = line

    def http_open(self, req: urllib.request.Request) -> HTTPResponse:
        """Open on the line."""
        return self.do_open(partial(_Connection, self._line), req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, line: _Line) -> None:
        super().__init__()
        self._line = line

    def https_open(self, req: urllib.request.Request) -> HTTPResponse:
        """Open on the line, with the system's roots."""
        return self.do_open(partial(_SecureConnection, self._line), req)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A server that sends us elsewhere is an error: the address is what somebody chose."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """Follow nowhere."""
        return


def open_source(place: str) -> Source:
    """The source that a command names: an address, a directory or a ZIP file. Raises TufBadSourceError."""
    if "://" in place:
        return HttpSource(place)
    path = Path(place)
    if path.is_dir():
        return DirectorySource(path)
    if path.is_file():
        return ZipSource(path)
    raise TufBadSourceError(f"{path.name}: no directory, ZIP file or http(s) address")


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    """What there is, piece by piece, as it comes."""
    read = getattr(file, "read1", file.read)
    while chunk := read(CHUNK):
        yield chunk


def _capped(chunks: "Iterator[bytes] | list[bytes]", path: str, most: int) -> bytes:
    held = bytearray()
    for chunk in chunks:
        held += chunk
        if len(held) > most:
            raise TufEndlessError(f"{path}: more than {most} bytes")
    return bytes(held)


def _check_zip(file: IO[bytes], name: str) -> None:
    """Look at the end record before the library reads the whole directory into memory.

    A ZIP64 record beside it would overrule it, and nothing within the limits needs one.
    """
    size = file.seek(0, os.SEEK_END)
    if size > MAX_ZIP_BYTES:
        raise TufBadSourceError(f"{name}: {size} bytes, cap is {MAX_ZIP_BYTES}")
    file.seek(max(0, size - _EOCD.size - 65_535 - _ZIP64_LOCATOR_BYTES))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + _EOCD.size > len(tail):
        raise TufBadSourceError(f"{name}: not a whole ZIP file")
    if tail[max(0, at - _ZIP64_LOCATOR_BYTES) : at].startswith(_ZIP64_LOCATOR):
        raise TufBadSourceError(f"{name}: ZIP64 is not read here")
    fields = _EOCD.unpack_from(tail, at)
    if fields[4] > MAX_ZIP_ENTRIES or fields[5] > MAX_ZIP_DIRECTORY_BYTES:
        raise TufBadSourceError(f"{name}: over {MAX_ZIP_ENTRIES} entries or {MAX_ZIP_DIRECTORY_BYTES} bytes of names")
