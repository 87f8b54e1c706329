"""The container of an OFD package, written so that the same files give the same bytes.

Source: PKWARE APPNOTE 6.3.9 (§4.3.7, §4.3.12, §4.3.16). One date for all entries, no extra fields, no descriptors,
sizes in every local header; files that are compressed already or too small to gain are stored. Entries can be taken
over from a package written here without compressing them again. Left out: ZIP64, other names than ASCII. Pure.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mingzheng.formats.ofd.xmlwrite import OfdWriteError

__all__ = ["PackedFile", "join_package", "pack_file", "split_package", "write_package"]

_END: Final = struct.Struct("<4s4H2LH")
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_VERSION: Final = 20
_DATE: Final = 0x0021  # 1980-01-01, the first date there is
_STORED, _DEFLATED = 0, 8
_LEVEL: Final = 3  # a fiftieth larger than level 6, twice as fast
_AS_IT_IS: Final = (".png", ".jpg", ".cose", ".dat", ".esl")
_FILES_MAX: Final = 0xFFFF
_BYTES_MAX: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedFile:
    """A file as it stands in the container."""

    name: str  # "Doc_0/Document.xml"
    method: int
    crc: int
    size: int
    packed: bytes


def pack_file(name: str, data: bytes, *, level: int = _LEVEL) -> PackedFile:
    """A file made ready: deflated where that makes it smaller, stored otherwise."""
    if not name.isascii() or not name.isprintable() or name.startswith("/"):
        raise OfdWriteError("a file name in the package that is not plain ASCII")
    method, packed = _STORED, data
    if not name.endswith(_AS_IT_IS):
        deflater = zlib.compressobj(level, zlib.DEFLATED, -15)
        smaller = deflater.compress(data) + deflater.flush()
        if len(smaller) < len(data):
            method, packed = _DEFLATED, smaller
    return PackedFile(name=name, method=method, crc=zlib.crc32(data), size=len(data), packed=packed)


def write_package(files: Sequence[tuple[str, bytes]]) -> bytes:
    """The package of some files, in this order."""
    return join_package(pack_file(name, data) for name, data in files)


def join_package(files: Iterable[PackedFile]) -> bytes:
    """The package of files made ready, in this order."""
    out, directory, seen = bytearray(), bytearray(), set()
    for file in files:
        if file.name in seen:
            raise OfdWriteError("two files of one name in the package")
        seen.add(file.name)
        name = file.name.encode("ascii")
        common = (0, file.method, 0, _DATE, file.crc, len(file.packed), file.size, len(name), 0)
        directory += _CENTRAL.pack(b"PK\x01\x02", _VERSION, _VERSION, *common, 0, 0, 0, 0, len(out)) + name
        out += _LOCAL.pack(b"PK\x03\x04", _VERSION, *common) + name + file.packed
    if len(seen) > _FILES_MAX or len(out) + len(directory) > _BYTES_MAX:
        raise OfdWriteError("more than a ZIP file without extensions can hold")
    end = _END.pack(b"PK\x05\x06", 0, 0, len(seen), len(seen), len(directory), len(out), 0)
    return bytes(out + directory + end)


def split_package(data: bytes) -> Iterator[PackedFile]:
    """The files of a package as they stand, in order; OfdWriteError if this module did not write it."""
    files = tuple(_entries(data))
    if join_package(files) != data:
        raise OfdWriteError("a package this program did not write")
    yield from files


def _entries(data: bytes) -> Iterator[PackedFile]:
    try:
        *_, count, _, place, _ = _END.unpack_from(data, len(data) - _END.size)
        for _ in range(count):
            fields = _CENTRAL.unpack_from(data, place)
            method, crc, packed, size, name_size, offset = (fields[at] for at in (4, 7, 8, 9, 10, 16))
            name = data[place + _CENTRAL.size : place + _CENTRAL.size + name_size].decode("ascii")
            begin = offset + _LOCAL.size + name_size
            yield PackedFile(name=name, method=method, crc=crc, size=size, packed=data[begin : begin + packed])
            place += _CENTRAL.size + name_size
    except (struct.error, UnicodeDecodeError) as error:
        raise OfdWriteError("a package this program did not write") from error
