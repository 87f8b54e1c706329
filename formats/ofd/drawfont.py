"""Which glyph a TrueType font has for a character, where every table of the font says the same.

Source: ISO/IEC 14496-22 (`cmap` formats 0, 4, 6, 12). Readers choose among the subtables of a font differently, so a
character counts only if all Unicode subtables that know it agree. Fonts with colour, bitmap or CFF outlines, and
collections, are refused: readers draw them differently or not at all. Pure.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from mingzheng.formats.ofd.drawstate import DrawUnsupportedError

__all__ = ["CharacterMap"]

_TRUE_TYPE: Final = (b"\0\1\0\0", b"true")
_NEEDED: Final = frozenset({b"glyf", b"loca", b"head", b"hhea", b"hmtx", b"maxp"})
_REFUSED: Final = frozenset({b"CFF ", b"CFF2", b"EBDT", b"CBDT", b"sbix", b"SVG ", b"COLR", b"fvar", b"bdat"})
_TABLES_MAX: Final = 64
_SUBTABLES_MAX: Final = 16
_GROUPS_MAX: Final = 20_000


class CharacterMap:
    """The character map of one font file; `glyph_count` from its `maxp`."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        try:
            tables = _tables(data)
            if not tables.keys() >= _NEEDED or tables.keys() & _REFUSED:
                raise DrawUnsupportedError("font")
            self.glyph_count = int(struct.unpack_from(">H", data, tables[b"maxp"] + 4)[0])
            self.units_per_em = int(struct.unpack_from(">H", data, tables[b"head"] + 18)[0])
            self._maps = _subtables(data, tables[b"cmap"]) if b"cmap" in tables else ()
        except (struct.error, IndexError, KeyError):
            raise DrawUnsupportedError("font") from None
        if not self.units_per_em or not self.glyph_count:
            raise DrawUnsupportedError("font")

    def glyph(self, char: str) -> int:
        """The glyph of a character; DrawUnsupportedError without one, for another font would take its place."""
        found = {glyph for table in self._maps if (glyph := table.get(ord(char), 0))}
        if len(found) != 1:
            raise DrawUnsupportedError("glyph")
        return self.known(found.pop())

    def known(self, glyph: int) -> int:
        """A glyph number that the font has."""
        if not 0 < glyph < self.glyph_count:
            raise DrawUnsupportedError("glyph")
        return glyph


def _tables(data: bytes) -> dict[bytes, int]:
    """Offsets by tag; a tag given twice, or a table beyond the end, is refused."""
    if data[:4] not in _TRUE_TYPE:
        raise DrawUnsupportedError("font")
    (count,) = struct.unpack_from(">H", data, 4)
    if count > _TABLES_MAX:
        raise DrawUnsupportedError("font")
    found: dict[bytes, int] = {}
    for at in range(count):
        tag, _, offset, length = struct.unpack_from(">4sLLL", data, 12 + 16 * at)
        if tag in found or offset + length > len(data):
            raise DrawUnsupportedError("font")
        found[tag] = offset
    return found


def _subtables(data: bytes, start: int) -> tuple[Mapping[int, int], ...]:
    """The Unicode subtables: platform 0, and platform 3 with encoding 1 or 10."""
    (count,) = struct.unpack_from(">H", data, start + 2)
    if count > _SUBTABLES_MAX:
        raise DrawUnsupportedError("font")
    places = []
    for at in range(count):
        platform, encoding, offset = struct.unpack_from(">HHL", data, start + 4 + 8 * at)
        if (platform == 0 and encoding != 5) or (platform == 3 and encoding in (1, 10)):
            places.append(start + offset)
    return tuple(_subtable(data, place) for place in dict.fromkeys(places))


def _subtable(data: bytes, start: int) -> Mapping[int, int]:
    (kind,) = struct.unpack_from(">H", data, start)
    match kind:
        case 0:
            return {code: data[start + 6 + code] for code in range(256)}
        case 4:
            return _format4(data, start)
        case 6:
            first, count = struct.unpack_from(">HH", data, start + 6)
            return {first + at: struct.unpack_from(">H", data, start + 10 + 2 * at)[0] for at in range(count)}
        case 12:
            return _format12(data, start)
        case _:
            raise DrawUnsupportedError("font")


def _format4(data: bytes, start: int) -> Mapping[int, int]:
    (double,) = struct.unpack_from(">H", data, start + 6)
    count = double // 2
    ends, starts = start + 14, start + 16 + double
    deltas, offsets = starts + double, starts + 2 * double
    found: dict[int, int] = {}
    for at in range(count):
        (last,), (first,) = (
            struct.unpack_from(">H", data, ends + 2 * at),
            struct.unpack_from(">H", data, starts + 2 * at),
        )
        (delta,), (offset,) = (
            struct.unpack_from(">H", data, deltas + 2 * at),
            struct.unpack_from(">H", data, offsets + 2 * at),
        )
        for code in range(first, last + 1):
            glyph = code
            if offset:
                (glyph,) = struct.unpack_from(">H", data, offsets + 2 * at + offset + 2 * (code - first))
                if not glyph:
                    continue
            if code != 0xFFFF and (glyph + delta) & 0xFFFF:
                found.setdefault(code, (glyph + delta) & 0xFFFF)
    return found


def _format12(data: bytes, start: int) -> Mapping[int, int]:
    (count,) = struct.unpack_from(">L", data, start + 12)
    if count > _GROUPS_MAX:
        raise DrawUnsupportedError("font")
    found: dict[int, int] = {}
    for at in range(count):
        first, last, glyph = struct.unpack_from(">LLL", data, start + 16 + 12 * at)
        if last > 0x10FFFF or last - first > 0xFFFF or len(found) > 0x20000:
            raise DrawUnsupportedError("font")
        for code in range(first, last + 1):
            found.setdefault(code, glyph + code - first)
    return found
