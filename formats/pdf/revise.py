"""Our own PDF files taken apart again, and further revisions behind them (ISO 32000-1 §7.5.6).

Only what `objects.PdfObjects.file` and `append_revision` write is read here: objects in the order of their numbers,
one classic table, one spelling. A file of anybody else is refused, not understood; `pdf.extract` reads those. Pure.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import ClassVar, Final

from mingzheng.formats.errors import FormatError
from mingzheng.formats.pdf.objects import dictionary, ref

__all__ = ["PdfFile", "PdfSealError", "append_revision", "object_offset"]

_ENTRY_BYTES: Final = 20
_TABLE: Final = re.compile(rb"xref\n0 (\d{1,6})\n0000000000 65535 f \n")
_OFFSET: Final = re.compile(rb"(\d{10}) 00000 n \n")
_TRAILER: Final = re.compile(
    rb"trailer\n<</Size (\d{1,6}) /Root (\d{1,6}) 0 R /Info (\d{1,6}) 0 R /ID \[(<[0-9A-F]{32}>) \4\]>>\n"
    rb"startxref\n\d{1,10}\n%%EOF\n"
)
_ID: Final = re.compile(rb"/ID \[<([0-9A-F]{32})>")
_END: Final = re.compile(rb"startxref\n(\d{1,10})\n%%EOF\n\Z")


class PdfSealError(FormatError):
    """A PDF that cannot be sealed: not a page of this program, a key of another kind, two places of one name."""

    code: ClassVar[str] = "pdf.seal"


class PdfFile:
    """A file as `PdfObjects.file` wrote it, taken apart again; PdfSealError for any other."""

    def __init__(self, data: bytes) -> None:
        start = _last_start(data)
        count = _match(_TABLE, data, start)
        first = count.end()
        size = int(count[1])
        trailer = _match(_TRAILER, data, first + _ENTRY_BYTES * (size - 1))
        if int(trailer[1]) != size or trailer.end() != len(data):
            raise PdfSealError("the trailer does not belong to the table")
        places = range(first, trailer.start(), _ENTRY_BYTES)
        offsets = [int(_match(_OFFSET, data, place)[1]) for place in places]
        self.bodies: list[bytes] = []
        for index, (begin, end) in enumerate(pairwise((*offsets, start)), start=1):
            head = b"%d 0 obj\n" % index
            if data[begin : begin + len(head)] != head or data[end - 8 : end] != b"\nendobj\n":
                raise PdfSealError(f"object {index} is not where the table says")
            self.bodies.append(data[begin + len(head) : end - 8])
        self.root, self.info, self.identifier = int(trailer[2]), int(trailer[3]), trailer[4]


def append_revision(data: bytes, objects: Mapping[int, bytes], *, size: int, root: int, info: int) -> bytes:
    """A further revision of a file of ours (§7.5.6): new and replaced objects by number, table, trailer."""
    out = bytearray(data)
    sections = []
    for number_ in sorted(objects):
        sections.append(b"%d 1\n%010d 00000 n \n" % (number_, len(out)))
        out += b"%d 0 obj\n%b\nendobj\n" % (number_, objects[number_])
    previous = _last_start(data)
    first = _ID.findall(data[previous:])[-1]
    latest = hashlib.sha256(out).hexdigest()[:32].upper().encode()
    start = len(out)
    trailer = dictionary(
        Size=b"%d" % size,
        Root=ref(root),
        Info=ref(info),
        ID=b"[<%b> <%b>]" % (first, latest),
        Prev=b"%d" % previous,
    )
    out += b"xref\n%btrailer\n%b\nstartxref\n%d\n%%%%EOF\n" % (b"".join(sections), trailer, start)
    return bytes(out)


def object_offset(data: bytes, number: int) -> int:
    """Where the body of an object of the last revision begins."""
    head = b"\n%d 0 obj\n" % number
    found = re.search(rb"(?:^|\n)%d 1\n(\d{10}) " % number, data[_last_start(data) :])
    if found is None:
        table = _match(_TABLE, data, _last_start(data))
        place = table.end() + _ENTRY_BYTES * (number - 1)
        found = _match(_OFFSET, data, place)
    return int(found[1]) + len(head) - 1


def _last_start(data: bytes) -> int:
    found = _END.search(data, max(0, len(data) - 64))
    if found is None:
        raise PdfSealError("no end of a file of this program")
    return int(found[1])


def _match(pattern: re.Pattern[bytes], data: bytes, place: int) -> re.Match[bytes]:
    found = pattern.match(data, place)
    if found is None:
        raise PdfSealError("not a file of this program")
    return found
