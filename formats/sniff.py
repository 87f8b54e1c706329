"""The kind of a file by its first bytes, never by its name.

A text is what is left: UTF-8 without control characters, short enough to be the text of a QR code. Pure.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

__all__ = ["FileKind", "sniff"]

_HEAD_BYTES: Final = 1024  # a PDF header may stand behind other bytes (ISO 32000-1 annex H.3.4.1)
_MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
)


class FileKind(StrEnum):
    """Kinds of file told apart; a ZIP that is no OFD is known but not read."""

    PDF = "pdf"
    PNG = "png"
    JPEG = "jpeg"
    TEXT = "text"
    OFD = "ofd"
    ZIP = "zip"
    UNKNOWN = "unknown"


def sniff(data: bytes) -> FileKind:
    """The kind of the file whose bytes these are; UNKNOWN for everything else, among it an empty file."""
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return _archive(data) if kind == "zip" else FileKind(kind)
    if b"%PDF-" in data[:_HEAD_BYTES]:
        return FileKind.PDF
    return FileKind.TEXT if _is_text(data) else FileKind.UNKNOWN


def _archive(data: bytes) -> FileKind:
    """An OFD package is a ZIP file with an entry OFD.xml (GB/T 33190); its name stands in the directory."""
    return FileKind.OFD if b"OFD.xml" in data else FileKind.ZIP


def _is_text(data: bytes) -> bool:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    body = text.removesuffix("\n").removesuffix("\r")
    return bool(body) and all(char.isprintable() or char in "\r\n\t" for char in body)
