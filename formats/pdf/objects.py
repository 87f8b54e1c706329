"""PDF objects and the file around them (ISO 32000-1 §7): a small writer with a classic cross-reference table.

Same objects, same bytes: no clock, no random; the file identifier is the digest of the body. Left out: object
streams, encryption, incremental updates (sealing adds those with its own library). Pure.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterable, Mapping
from typing import Final

__all__ = ["HEADER", "LEVEL", "PdfObjects", "array", "dictionary", "name", "number", "ref", "stream", "text_string"]

HEADER: Final = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"  # §7.5.2: a comment of high bytes marks a binary file
_NAME_ESCAPE: Final = re.compile(rb"[^A-Za-z0-9._+\-]")
LEVEL: Final = 1  # a tenth larger than level 6 and three times as fast


class PdfObjects:
    """Numbered objects of one document; numbers rise from 1 in the order of reservation."""

    def __init__(self) -> None:
        self._bodies: list[bytes | None] = []

    def reserve(self) -> int:
        """A number for an object that is written later."""
        self._bodies.append(None)
        return len(self._bodies)

    def set(self, number: int, body: bytes) -> int:
        """Write a reserved object, once."""
        assert self._bodies[number - 1] is None
        self._bodies[number - 1] = body
        return number

    def add(self, body: bytes) -> int:
        """Write a new object."""
        return self.set(self.reserve(), body)

    def written(self) -> tuple[bytes, ...]:
        """The bodies of all objects written so far, in the order of their numbers; empty for one still reserved."""
        return tuple(body or b"" for body in self._bodies)

    def file(self, *, root: int, info: int) -> bytes:
        """The whole document (§7.5): header, body, cross-reference table, trailer."""
        out = bytearray(HEADER)
        offsets = []
        for index, body in enumerate(self._bodies):
            assert body is not None, f"object {index + 1} was reserved and never written"
            offsets.append(len(out))
            out += b"%d 0 obj\n%b\nendobj\n" % (index + 1, body)
        identifier = hashlib.sha256(out).hexdigest()[:32].upper().encode()
        start = len(out)
        out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(offsets) + 1)
        out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
        trailer = dictionary(
            Size=b"%d" % (len(offsets) + 1),
            Root=ref(root),
            Info=ref(info),
            ID=b"[<%b> <%b>]" % (identifier, identifier),
        )
        out += b"trailer\n%b\nstartxref\n%d\n%%%%EOF\n" % (trailer, start)
        return bytes(out)


def ref(number: int) -> bytes:
    """An indirect reference."""
    return b"%d 0 R" % number


def name(text: str) -> bytes:
    """A name object (§7.3.5); bytes other than plain ones as #xx."""
    return b"/" + _NAME_ESCAPE.sub(lambda match: b"#%02X" % match[0][0], text.encode())


def text_string(text: str) -> bytes:
    """A text string (§7.9.2.2) as hexadecimal UTF-16BE with its byte order mark."""
    return b"<FEFF" + text.encode("utf-16-be").hex().upper().encode() + b">"


def number(value: float) -> bytes:
    """A number with at most three decimals and no exponent (§7.3.3)."""
    text = f"{value:.3f}".rstrip("0").rstrip(".")
    return b"0" if text in ("", "-0") else text.encode()


def array(items: Iterable[bytes]) -> bytes:
    """An array object."""
    return b"[" + b" ".join(items) + b"]"


def dictionary(entries: Mapping[str, bytes] | None = None, /, **more: bytes) -> bytes:
    """A dictionary object, entries in the order given."""
    pairs = {**(entries or {}), **more}
    return b"<<" + b" ".join(name(key) + b" " + value for key, value in pairs.items()) + b">>"


def stream(
    data: bytes, entries: Mapping[str, bytes] | None = None, *, compress: bool = True, level: int = LEVEL
) -> bytes:
    """A stream object (§7.3.8), deflated unless the data is compressed already."""
    own = dict(entries or {})
    if compress:
        data = zlib.compress(data, level)
        own["Filter"] = b"/FlateDecode"
    own["Length"] = b"%d" % len(data)
    return dictionary(own) + b"\nstream\n" + data + b"\nendstream"
