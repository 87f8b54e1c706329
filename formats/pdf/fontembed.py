"""A TrueType subset as a composite font: Type0, CIDFontType2, Identity-H, ToUnicode (ISO 32000-1 §9.7, §9.10.3).

CIDs count the characters of the document, not the glyphs of the font, and CIDToGIDMap leads to the glyph: two
characters that share one glyph (some radicals and ideographs do) still come back as what was written. Pure: it
takes the subset as made by `fontfile`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mingzheng.formats.pdf.objects import LEVEL, PdfObjects, array, dictionary, name, ref, stream, text_string

__all__ = ["EmbeddedFont", "FontFacts", "embed_font"]

_SYMBOLIC: Final = 4  # §9.8.2, flag 3: glyphs outside the standard Latin set
_CMAP_BLOCK: Final = 100  # entries of one bfchar block (CMap specification)
_CMAP_HEAD: Final = b"""/CIDInit /ProcSet findresource begin
12 dict begin
begincmap
/CIDSystemInfo <</Registry (Adobe) /Ordering (UCS) /Supplement 0>> def
/CMapName /Adobe-Identity-UCS def
/CMapType 2 def
1 begincodespacerange
<0000> <FFFF>
endcodespacerange
"""
_CMAP_TAIL: Final = b"endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class FontFacts:
    """A subset and what the font descriptor says of it, in 1/1000 em."""

    base_name: str
    data: bytes
    glyphs: Mapping[int, int]  # character -> glyph
    widths: Mapping[int, int]  # character -> advance
    ascent: int
    descent: int
    box: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedFont:
    """The font object and how to write text with it."""

    number: int
    cids: Mapping[int, int]

    def encode(self, text: str) -> bytes:
        """A hexadecimal string of two-byte CIDs."""
        return b"<" + b"".join(b"%04X" % self.cids[ord(char)] for char in text) + b">"


def embed_font(objects: PdfObjects, facts: FontFacts, *, level: int = LEVEL) -> EmbeddedFont:
    """Write the objects of one font, its streams deflated at this level."""
    points = sorted(facts.glyphs)
    cids = {point: place for place, point in enumerate(points, start=1)}
    tag = _tag(facts.data)
    base = name(f"{tag}+{facts.base_name}")
    file = objects.add(stream(facts.data, {"Length1": b"%d" % len(facts.data)}, level=level))
    descriptor = objects.add(
        dictionary(
            Type=b"/FontDescriptor",
            FontName=base,
            Flags=b"%d" % _SYMBOLIC,
            FontBBox=array(b"%d" % edge for edge in facts.box),
            ItalicAngle=b"0",
            Ascent=b"%d" % facts.ascent,
            Descent=b"%d" % facts.descent,
            CapHeight=b"%d" % facts.ascent,
            StemV=b"80",
            FontFile2=ref(file),
        )
    )
    to_glyph = b"\0\0" + b"".join(facts.glyphs[point].to_bytes(2, "big") for point in points)
    descendant = objects.add(
        dictionary(
            Type=b"/Font",
            Subtype=b"/CIDFontType2",
            BaseFont=base,
            CIDSystemInfo=dictionary(Registry=b"(Adobe)", Ordering=b"(Identity)", Supplement=b"0"),
            FontDescriptor=ref(descriptor),
            DW=b"1000",
            W=b"[1 " + array(b"%d" % facts.widths[point] for point in points) + b"]",
            CIDToGIDMap=ref(objects.add(stream(to_glyph, level=level))),
        )
    )
    font = objects.add(
        dictionary(
            Type=b"/Font",
            Subtype=b"/Type0",
            BaseFont=base,
            Encoding=b"/Identity-H",
            DescendantFonts=array([ref(descendant)]),
            ToUnicode=ref(objects.add(stream(_to_unicode(points), level=level))),
        )
    )
    return EmbeddedFont(number=font, cids=cids)


def _to_unicode(points: Sequence[int]) -> bytes:
    parts = [_CMAP_HEAD]
    for start in range(0, len(points), _CMAP_BLOCK):
        block = points[start : start + _CMAP_BLOCK]
        parts.append(b"%d beginbfchar\n" % len(block))
        for cid, point in enumerate(block, start=start + 1):
            unicode = text_string(chr(point)).replace(b"FEFF", b"", 1)
            parts.append(b"<%04X> %b\n" % (cid, unicode))
        parts.append(b"endbfchar\n")
    parts.append(_CMAP_TAIL)
    return b"".join(parts)


def _tag(data: bytes) -> str:
    """Six capital letters that differ between subsets (§9.6.4), out of the subset itself."""
    value = int.from_bytes(hashlib.sha256(data).digest()[:8], "big")
    letters = []
    for _ in range(6):
        value, letter = divmod(value, 26)
        letters.append(chr(ord("A") + letter))
    return "".join(letters)
