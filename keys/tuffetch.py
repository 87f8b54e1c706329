"""Where a publication of trust data is read from: a directory, a ZIP file, an HTTP server; never more than asked for.

Spec: docs/spec/trust.md, "Limits". Nothing that is read here is believed before it is checked. Left out:
redirects, authentication, resuming; a proxy is used if the environment names one.
"""

import contextlib
import os
import stat
import struct
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Final, Protocol
from urllib.parse import urlsplit

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
    """A directory, say on a USB stick. A link or anything but a regular file counts as unreadable."""

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
                _check_zip(file)
            self._zip = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError, UnicodeDecodeError) as error:
            raise TufBadSourceError(f"{path.name}: not a ZIP file that can be read") from error
        names = [entry.filename for entry in self._zip.infolist()]
        if len(set(names)) != len(names):
            raise TufBadSourceError(f"{path.name}: holds a name twice")

    def read(self, path: str, *, most: int) -> bytes:
        """As in `Source`."""
        try:
            entry = self._zip.getinfo(path)
        except KeyError:
            raise TufMissingFileError(f"{path}: not there") from None
        if entry.flag_bits & 1 or entry.compress_type not in _METHODS:
            raise TufBadSourceError(f"{path}: encrypted, or packed in a way that is not read here")
        try:
            with self._zip.open(entry) as file:
                return _capped(_chunks(file), path, most)
        except (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
            raise TufFetchError(f"{path}: damaged in the ZIP file") from error


class HttpSource:
    """A web server. `tick` counts seconds; the whole source has one time limit."""

    def __init__(self, base: str, *, tick: Callable[[], float] = time.monotonic) -> None:
        parts = urlsplit(base)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise TufBadSourceError("an address is http:// or https://, with a host and without ? and #")
        self._base = base if base.endswith("/") else f"{base}/"
        self._tick, self._end = tick, tick() + WHOLE_SECONDS
        self._opener = urllib.request.build_opener(_NoRedirect)

    def read(self, path: str, *, most: int) -> bytes:
        """As in `Source`; raises TufSlowError past the time limit too."""
        request = urllib.request.Request(self._base + path, headers={"Accept-Encoding": "identity"})  # noqa: S310 - checked
        try:
            self._in_time()
            with self._opener.open(request, timeout=SILENCE_SECONDS) as reply:
                return _capped(self._timed(reply), path, most)
        except urllib.error.HTTPError as error:
            with error:
                if error.code in (403, 404, 410):
                    raise TufMissingFileError(f"{path}: the server answers {error.code}") from None
                raise TufFetchError(f"{path}: the server answers {error.code}") from None
        except TimeoutError as error:
            raise TufSlowError(f"{path}: no byte for {SILENCE_SECONDS} seconds") from error
        except urllib.error.URLError as error:
            if isinstance(error.reason, TimeoutError):
                raise TufSlowError(f"{path}: no answer for {SILENCE_SECONDS} seconds") from error
            raise TufFetchError(f"{path}: {error.reason}") from error
        except (OSError, HTTPException) as error:
            raise TufFetchError(f"{path}: {error}") from error

    def _timed(self, reply: IO[bytes]) -> Iterator[bytes]:
        for chunk in _chunks(reply):
            self._in_time()
            yield chunk

    def _in_time(self) -> None:
        if self._tick() > self._end:
            raise TufSlowError(f"the server took over {WHOLE_SECONDS} seconds")


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


def _check_zip(file: IO[bytes]) -> None:
    """Look at the end record before the library reads the whole directory into memory."""
    size = file.seek(0, os.SEEK_END)
    if size > MAX_ZIP_BYTES:
        raise ValueError
    file.seek(max(0, size - _EOCD.size - 65_535))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    with contextlib.suppress(struct.error):
        fields = _EOCD.unpack_from(tail, at) if at >= 0 else ()
        if fields and fields[4] <= MAX_ZIP_ENTRIES and fields[5] <= MAX_ZIP_DIRECTORY_BYTES:
            return
    raise ValueError
