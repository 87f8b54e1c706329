"""Kinds by the first bytes only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.formats.sniff import FileKind, sniff


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"%PDF-1.7\n", FileKind.PDF),
        (b"\xef\xbb\xbf%PDF-1.4", FileKind.PDF),
        (b"\0" * 1000 + b"%PDF-1.4", FileKind.PDF),
        (b"\0" * 1030 + b"%PDF-1.4", FileKind.UNKNOWN),
        (b"\x89PNG\r\n\x1a\n%PDF-1.4", FileKind.PNG),
        (b"\x89PNG", FileKind.UNKNOWN),
        (b"\xff\xd8\xff\xe0%PDF-", FileKind.JPEG),
        (b"PK\x03\x04....OFD.xml", FileKind.OFD),
        (b"PK\x03\x04....word/document.xml", FileKind.ZIP),
        (b"PK\x05\x06" + bytes(18), FileKind.ZIP),
        (b"123456789", FileKind.TEXT),
        (b"https://example.org/v#123\r\n", FileKind.TEXT),
        ("二维码".encode(), FileKind.TEXT),
        (b"", FileKind.UNKNOWN),
        (b"\n", FileKind.UNKNOWN),
        (b"12\0", FileKind.UNKNOWN),
        (b"\xff\xfe1\x002\x00", FileKind.UNKNOWN),
        (b"GIF89a\x01\x00", FileKind.UNKNOWN),
        (b"II*\0", FileKind.UNKNOWN),
    ],
)
def test_kind(data: bytes, kind: FileKind) -> None:
    assert sniff(data) is kind


@given(st.binary(max_size=300))
def test_every_file_has_a_kind(data: bytes) -> None:
    kind = sniff(data)
    assert kind is not FileKind.TEXT or data.decode("utf-8")
