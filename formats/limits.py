"""Every cap of the formats room in one place (docs/spec/credential.md, docs/spec/qr.md).

A cap is checked before the memory it guards is allocated. `CborLimits` bound one CBOR item,
`Limits` one uploaded file. There are no defaults in the fields: a caller names a constant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class CborLimits:
    """Caps for one strict CBOR item."""

    max_bytes: int
    max_depth: int  # arrays and maps open at once


@dataclass(frozen=True, slots=True, kw_only=True)
class OfdLimits:
    """Caps for one OFD package."""

    package_bytes: int
    entries: int  # files and folders
    total_bytes: int  # all entries, unpacked
    ratio: int  # unpacked to packed bytes of one entry
    name_chars: int  # of one entry
    name_parts: int
    xml_bytes: int  # one XML file
    xml_depth: int
    xml_attributes: int  # of one element
    xml_nodes: int  # elements of all XML files read
    documents: int  # DocBody elements
    pages: int
    items: int  # attachments, templates, resources or annotations of one document, each
    page_templates: int  # used by one page
    signatures: int
    references: int  # of one signature
    marks: int  # stamp annotations of one signature


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Caps for reading one uploaded file."""

    file_bytes: int  # any file
    text_bytes: int  # a file taken as text, or one line of many
    lines: int  # QR texts given one a line
    image_bytes: int
    image_pixels: int  # width x height, from the header, before decoding
    image_side: int  # width or height
    qr_symbols: int  # codes reported of one picture
    pdf_bytes: int
    pdf_pages: int
    pdf_attachments: int
    attachment_bytes: int  # one attachment, inflated
    ofd: OfdLimits


LIMITS_CREDENTIAL: Final = CborLimits(max_bytes=4096, max_depth=6)
LIMITS_CLAIMS: Final = LIMITS_CREDENTIAL

QR_DIGITS_MAX: Final = 3400  # docs/spec/qr.md
QR_BYTES_MAX: Final = 1411  # the most bytes that always fit: floor(3400 / log10(256))
QR_PREFIX_MAX: Final = 64  # characters

OFD_LIMITS: Final = OfdLimits(
    package_bytes=20 * 1024 * 1024,
    entries=2_000,
    total_bytes=64 * 1024 * 1024,
    ratio=100,
    name_chars=256,
    name_parts=16,
    xml_bytes=8 * 1024 * 1024,
    xml_depth=64,
    xml_attributes=64,
    xml_nodes=100_000,
    documents=8,
    pages=50,
    items=2_000,
    page_templates=16,
    signatures=16,
    references=2_000,
    marks=64,
)

LIMITS_DEFAULT: Final = Limits(
    file_bytes=20 * 1024 * 1024,
    text_bytes=64 * 1024,
    lines=20_000,
    image_bytes=20 * 1024 * 1024,
    image_pixels=40_000_000,
    image_side=32_767,
    qr_symbols=64,
    pdf_bytes=20 * 1024 * 1024,
    pdf_pages=20,
    pdf_attachments=16,
    attachment_bytes=1024 * 1024,
    ofd=OFD_LIMITS,
)
