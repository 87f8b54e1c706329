"""The files of an OFD package, read in memory by a strict ZIP reader of our own.

Source: PKWARE APPNOTE 6.3.9 (§4.3.7, §4.3.9, §4.3.12, §4.3.16, §4.4.4), GB/T 33190 §7.1. Every byte belongs to
exactly one entry or to the directory, every header before an entry says what the directory says, and a name means
one file to every reader: NFC, no detours, no second spelling, no twin that differs by capital letters. Left out:
ZIP64 directories, volumes, encryption, methods other than stored and deflate. Tolerated, as honest makers write
them: folder entries, data descriptors, ZIP64 sizes in a local header, GBK names, a short comment (kept in
`comment`; no seal covers it). Pure; nothing is written anywhere.
"""

from __future__ import annotations

import re
import struct
import unicodedata
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from mingzheng.formats.ofd.errors import (
    OfdAliasError,
    OfdDamagedError,
    OfdDuplicateError,
    OfdEncryptedError,
    OfdEntriesError,
    OfdHeaderError,
    OfdMethodError,
    OfdNameError,
    OfdOutsideError,
    OfdOverlapError,
    OfdPathError,
    OfdRatioError,
    OfdSizeError,
    OfdZipError,
)

if TYPE_CHECKING:
    from mingzheng.formats.limits import OfdLimits

__all__ = ["Package", "read_package"]

_END: Final = struct.Struct("<4s4H2LH")  # §4.3.16
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")  # §4.3.12
_LOCAL: Final = struct.Struct("<4s5H3L2H")  # §4.3.7
_SIZES: Final = struct.Struct("<3L")
_WIDE_SIZES: Final = struct.Struct("<L2Q")  # as writers of Office packages give them that cannot know how large it gets
_UNSAID: Final = bytes(28)  # their ZIP64 field before the data
_LOCAL_MAGIC: Final = b"PK\x03\x04"
_CENTRAL_MAGIC: Final = b"PK\x01\x02"
_END_MAGIC: Final = b"PK\x05\x06"
_DESCRIPTOR_MAGIC: Final = b"PK\x07\x08"
_COMMENT_MAX: Final = 0xFFFF
_LARGE: Final = 0xFFFFFFFF  # the size stands in a ZIP64 field

_FLAG_ENCRYPTED: Final = 0x2041  # encrypted, strongly encrypted, masked header (§4.4.4)
_FLAG_DESCRIPTOR: Final = 0x0008
_FLAG_UTF8: Final = 0x0800
_FLAGS: Final = 0x0006 | _FLAG_DESCRIPTOR | _FLAG_UTF8  # bits 1 and 2: how hard deflate tried
_STORED: Final = 0
_DEFLATED: Final = 8
_MADE_BY_UNIX: Final = 3
_FILE_TYPE: Final = 0o170000
_FILE_TYPES: Final = frozenset({0, 0o100000, 0o040000})  # none given, file, folder: no links, no devices

_ZIP64: Final = 0x0001
_EXTRAS: Final = frozenset(  # times and owners; above all no second name (0x7075) and no encryption (0x9901)
    {_ZIP64, 0x000A, 0x5455, 0x5855, 0x7855, 0x7875, 0xCAFE}
)
_EXTRA_MAX: Final = 256  # bytes of extra fields of one entry: times and owners need 60
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]+(?:[./][A-Za-z0-9_-]+)*")  # the names that makers give
_GROWTH_HINT: Final = 0xA220  # ISO/IEC 29500-2: room that Office leaves behind a name
_PADDED_MAX: Final = 4_096
_BAD_CHARACTERS: Final = frozenset('\\:*?"<>|')  # §4.4.17.1, and what Windows reads as something else


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """The files of a package by name ("Doc_0/Document.xml"), in the order of the directory, and its comment."""

    files: Mapping[str, bytes]
    folded: Mapping[str, str]  # name without regard to capital letters -> name
    comment: bytes

    def find(self, name: str) -> str | None:
        """The name as the package spells it; other makers' links differ in capital letters. None: no such file."""
        return name if name in self.files else self.folded.get(_fold(name))


class _Entry(NamedTuple):
    name: str
    raw_name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int

    @property
    def is_folder(self) -> bool:
        return self.name.endswith("/")


def read_package(data: bytes, *, limits: OfdLimits, padded: bool = False) -> Package:
    """Every file of the package. `padded`: entries may bear the growth hint of Office packages, which is skipped, and
    sizes of 64 bits in the data descriptor, which must be true.

    Raises OfdZipError and its kin, OfdEntriesError, OfdSizeError, OfdRatioError; the limits are checked before
    anything is unpacked. Cost: one pass, 1 ms for a certificate.
    """
    if len(data) > limits.package_bytes:
        raise OfdSizeError("package bytes", limit=limits.package_bytes, got=len(data))
    start, end, count, comment = _read_end(data)
    if count > limits.entries:
        raise OfdEntriesError("entries of the package", limit=limits.entries, got=count)
    entries = list(_read_directory(data, start, end, count, padded))
    _check_sizes(entries, limits)
    folded = _name_table(entries, limits)
    bodies = dict(_read_bodies(data, entries, start, padded))
    files = {entry.name: bodies[entry.offset] for entry in entries if not entry.is_folder}
    return Package(files=MappingProxyType(files), folded=MappingProxyType(folded), comment=comment)


def _read_end(data: bytes) -> tuple[int, int, int, bytes]:
    """Where the directory starts and ends, how many entries it has, and the comment."""
    place = data.rfind(_END_MAGIC, max(0, len(data) - _END.size - _COMMENT_MAX))
    if place < 0 or place + _END.size > len(data):
        raise OfdZipError("no end of directory: not a whole ZIP file")
    _, disk, first_disk, here, count, size, start, comment_size = _END.unpack_from(data, place)
    comment = data[place + _END.size :]
    if len(comment) != comment_size or b"PK" in comment:
        raise OfdOutsideError("bytes behind the end of the directory", offset=place + _END.size)
    if disk or first_disk or here != count:
        raise OfdHeaderError("a package of several volumes", offset=place)
    if start + size != place:
        raise OfdOutsideError("bytes between the directory and its end", offset=place)
    return start, place, count, comment


def _read_directory(data: bytes, start: int, end: int, count: int, padded: bool) -> Iterator[_Entry]:
    place = start
    for _ in range(count):
        if place + _CENTRAL.size > end:
            raise OfdZipError("the directory ends within an entry", offset=place)
        entry, place = _central(data, place, end, padded)
        yield entry
    if place != end:
        raise OfdOutsideError("bytes behind the last entry of the directory", offset=place)


def _central(data: bytes, place: int, end: int, padded: bool) -> tuple[_Entry, int]:
    fields = _CENTRAL.unpack_from(data, place)
    magic, made_by, needed, flags, method, _, _, crc, packed, size = fields[:10]
    name_size, extra_size, comment_size, disk, _, attributes, offset = fields[10:]
    if magic != _CENTRAL_MAGIC:
        raise OfdZipError("not an entry of the directory", offset=place)
    if flags & _FLAG_ENCRYPTED:
        raise OfdEncryptedError("an entry is encrypted", offset=place)
    if method not in (_STORED, _DEFLATED):
        raise OfdMethodError(f"compression method {method}", offset=place)
    if flags & ~_FLAGS or needed > 45 or disk or comment_size or _LARGE in (packed, size, offset):
        raise OfdHeaderError("an entry with unusual fields", offset=place)
    if made_by >> 8 == _MADE_BY_UNIX and attributes >> 16 & _FILE_TYPE not in _FILE_TYPES:
        raise OfdHeaderError("an entry that is neither file nor folder", offset=place)
    if method == _STORED and packed != size:
        raise OfdHeaderError("a stored entry of two sizes", offset=place)
    at = place + _CENTRAL.size
    if at + name_size + extra_size > end:
        raise OfdZipError("the directory ends within an entry", offset=place)
    raw_name = data[at : at + name_size]
    if extra_size:
        _read_extras(data[at + name_size : at + name_size + extra_size], at, padded)
    entry = _Entry(
        name=_decoded(raw_name, flags, place),
        raw_name=raw_name,
        flags=flags,
        method=method,
        crc=crc,
        packed=packed,
        size=size,
        offset=offset,
    )
    return entry, at + name_size + extra_size


def _read_extras(extra: bytes, offset: int, padded: bool) -> bytes | None:
    """Check the extra fields of a header; the content of its ZIP64 field, if it has one."""
    place, found = 0, None
    if len(extra) > (_PADDED_MAX if padded else _EXTRA_MAX):
        raise OfdHeaderError("long extra fields", offset=offset)
    while place < len(extra):
        if place + 4 > len(extra):
            raise OfdHeaderError("a damaged extra field", offset=offset)
        kind, size = struct.unpack_from("<2H", extra, place)
        body = extra[place + 4 : place + 4 + size]
        known = kind in _EXTRAS or (padded and kind == _GROWTH_HINT)
        if not known or len(body) != size or (kind == _ZIP64 and found is not None):
            raise OfdHeaderError("an extra field that is unknown or damaged", offset=offset)
        found = body if kind == _ZIP64 else found
        place += 4 + size
    return found


def _decoded(raw: bytes, flags: int, offset: int) -> str:
    """UTF-8, or GBK where the flag of UTF-8 is not set and the bytes are not UTF-8."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        if flags & _FLAG_UTF8:
            raise OfdNameError("a name that is not UTF-8", offset=offset) from None
    try:
        return raw.decode("gb18030")
    except UnicodeDecodeError:
        raise OfdNameError("a name that is neither UTF-8 nor GBK", offset=offset) from None


def _check_sizes(entries: list[_Entry], limits: OfdLimits) -> None:
    """The shared bytes first: an overlap is what makes many small bombs out of one."""
    offsets = [entry.offset for entry in entries]
    if len(set(offsets)) != len(offsets):
        raise OfdOverlapError("two entries with the same bytes")
    total = sum(entry.size for entry in entries)
    if total > limits.total_bytes:
        raise OfdSizeError("unpacked bytes of the package", limit=limits.total_bytes, got=total)
    for entry in entries:
        if entry.size > limits.ratio * max(1, entry.packed):
            raise OfdRatioError("growth of an entry", limit=limits.ratio, got=entry.size // max(1, entry.packed))


def _name_table(entries: list[_Entry], limits: OfdLimits) -> dict[str, str]:
    """Check that every name is good and unlike the others; the files by folded name."""
    folders: set[str] = set()
    files: dict[str, str] = {}
    for entry in entries:
        _check_name(entry.name, limits)
        name = entry.name.removesuffix("/")
        if entry.is_folder:
            if name in folders:
                raise OfdDuplicateError("a folder listed twice")
            if entry.size:
                raise OfdHeaderError("a folder with content", offset=entry.offset)
            folders.add(name)
            continue
        if _fold(name) in files:
            raise OfdDuplicateError("two entries of one name")
        files[_fold(name)] = name
    _check_aliases(entries, files, folders)
    return files


def _check_name(name: str, limits: OfdLimits) -> None:
    bare = name.removesuffix("/")
    if _PLAIN.fullmatch(bare) and len(bare) <= limits.name_chars and bare.count("/") < limits.name_parts:
        return  # nothing below finds fault with it
    if name.startswith(("/", "\\")) or bare[1:2] == ":":
        raise OfdPathError("an absolute name")
    segments = bare.split("/")
    if any(segment in ("", ".", "..") for segment in segments):
        raise OfdPathError("a name with an empty part, '.' or '..'")
    if not bare.isprintable() or not _BAD_CHARACTERS.isdisjoint(bare) or unicodedata.normalize("NFC", bare) != bare:
        raise OfdNameError("a name with characters that are not allowed")
    if any(segment[-1] in ". " or segment[0] == " " for segment in segments):
        raise OfdNameError("a name with a blank or a full stop at an edge")
    if len(bare) > limits.name_chars or len(segments) > limits.name_parts:
        raise OfdNameError("a name that is too long")


def _check_aliases(entries: list[_Entry], files: Mapping[str, str], folders: set[str]) -> None:
    """No file is a folder too, and no name of unsaid encoding is another's name when read the other way."""
    parents: set[str] = set()
    for name in files:
        folder = name.rpartition("/")[0]
        while folder and folder not in parents:  # else those above it are there as well
            parents.add(folder)
            folder = folder.rpartition("/")[0]
    parents.update(map(_fold, folders))
    if not parents.isdisjoint(files):
        raise OfdAliasError("a file and a folder of one name")
    for entry in entries:
        if entry.flags & _FLAG_UTF8 or entry.raw_name.isascii():
            continue
        others = {entry.raw_name.decode(encoding, "replace") for encoding in ("utf-8", "gb18030", "cp437")}
        if any(_fold(other) in files for other in others - {entry.name}):
            raise OfdAliasError("a name that is another's in another encoding")


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())


def _read_bodies(data: bytes, entries: list[_Entry], directory: int, padded: bool) -> Iterator[tuple[int, bytes]]:
    """The unpacked bytes by offset. The entries lie one behind the other from the first byte to the directory."""
    place = 0
    for entry in sorted(entries, key=lambda entry: entry.offset):
        if entry.offset != place:
            wrong = OfdOverlapError if entry.offset < place else OfdOutsideError
            raise wrong("entries that do not lie one behind the other", offset=place)
        begin = _check_local(data, entry, padded)
        place = begin + entry.packed
        if place > directory:
            raise OfdOverlapError("an entry that reaches into the directory", offset=entry.offset)
        if entry.flags & _FLAG_DESCRIPTOR:
            place = _check_descriptor(data, place, entry, padded)
        yield entry.offset, _unpacked(data[begin : begin + entry.packed], entry)
    if place != directory:
        raise OfdOutsideError("bytes between the last entry and the directory", offset=place)


def _check_local(data: bytes, entry: _Entry, padded: bool) -> int:
    """Hold the header before the entry against the directory; where its packed bytes begin."""
    at = entry.offset  # not behind the start of the directory, which is longer than a header
    magic, _, flags, method, _, _, crc, packed, size, name_size, extra_size = _LOCAL.unpack_from(data, at)
    begin: int = at + _LOCAL.size + name_size + extra_size
    name = data[at + _LOCAL.size : at + _LOCAL.size + name_size]
    if magic != _LOCAL_MAGIC or begin > len(data):
        raise OfdZipError("no entry where the directory says", offset=at)
    if flags & _FLAG_ENCRYPTED:
        raise OfdEncryptedError("an entry is encrypted", offset=at)
    if name != entry.raw_name or flags != entry.flags or method != entry.method:
        raise OfdHeaderError("an entry and the directory disagree", offset=at)
    large = _read_extras(data[at + _LOCAL.size + name_size : begin], at, padded) if extra_size else None
    if padded and large == _UNSAID and flags & _FLAG_DESCRIPTOR and packed == size == _LARGE:
        size = packed = 0
    elif large is not None and packed == size == _LARGE:
        if len(large) != 16:
            raise OfdHeaderError("a damaged ZIP64 field", offset=at)
        size, packed = struct.unpack("<2Q", large)
    elif large is not None:
        raise OfdHeaderError("a ZIP64 field without need", offset=at)
    told = crc, packed, size
    true = entry.crc, entry.packed, entry.size
    if told != true and not (flags & _FLAG_DESCRIPTOR and told == (0, 0, 0)):
        raise OfdHeaderError("an entry and the directory disagree", offset=at)
    return begin


def _check_descriptor(data: bytes, place: int, entry: _Entry, padded: bool) -> int:
    """Hold the data descriptor behind the entry against the directory; where it ends (§4.3.9)."""
    begin = place + (4 if data[place : place + 4] == _DESCRIPTOR_MAGIC else 0)
    end, true = begin + _SIZES.size, (entry.crc, entry.packed, entry.size)
    if padded and begin > place and _WIDE_SIZES.unpack_from(data, begin) == true:
        return begin + _WIDE_SIZES.size
    if _SIZES.unpack_from(data, begin) != true:
        raise OfdHeaderError("a data descriptor and the directory disagree", offset=place)
    return end


def _unpacked(packed: bytes, entry: _Entry) -> bytes:
    body = packed
    if entry.method == _DEFLATED:
        inflater = zlib.decompressobj(-15)
        try:
            body = inflater.decompress(packed, entry.size + 1)
        except zlib.error as error:
            raise OfdDamagedError("an entry that does not unpack", offset=entry.offset) from error
        if not inflater.eof or inflater.unused_data:
            raise OfdDamagedError("an entry that ends too late or too early", offset=entry.offset)
    if len(body) != entry.size or zlib.crc32(body) != entry.crc:
        raise OfdDamagedError("an entry of another size or check sum", offset=entry.offset)
    return body
