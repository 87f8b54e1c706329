"""Is the picture of a seal nothing but red shapes? Told from its operators, without drawing it.

What `pdf.content` writes for the paths of a seal's face: each shape sets its own colour, then draws lines and curves,
then fills or strokes. There is no text, no picture, no state but colour and line; so it darkens no ground in the red
channel by more than seals do. It may cover what lies under it, as any seal does, and it may draw a code: that only a
look at `Drawing.sheet` tells. Anything else is not judged here, which says nothing against it. Pure.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from mingzheng.formats.pdf.objects import PdfObjects, array, dictionary, number, ref

__all__ = ["Drawing", "is_red_drawing"]

CODED_MAX: Final = 1 << 18
PLAIN_MAX: Final = 1 << 20
RED_MIN: Final = 0.75  # brighter in red than any ink of writing (likeness.only_red takes 0.57)
OTHER_MAX: Final = 0.35

_NUMBER: Final = rb"-?[0-9]{1,6}(?:\.[0-9]{1,6})?"
_COLOUR: Final = rb"(" + _NUMBER + rb") (" + _NUMBER + rb") (" + _NUMBER + rb") "
_WIDTH: Final = _NUMBER + rb" w "
_DASH: Final = rb"\[(?:" + _NUMBER + rb"(?: " + _NUMBER + rb")?)?\] 0 d"
_STEPS: Final = rb"(?>(?:\n(?:(?:" + _NUMBER + rb" ){2}[ml]|(?:" + _NUMBER + rb" ){6}c|h))*)"
_SHAPE: Final = re.compile(
    rb"q\n(?:"
    + rb"(?:" + _COLOUR + rb"rg" + _STEPS + rb"\nf Q)"
    + rb"|(?:" + _COLOUR + rb"RG " + _WIDTH + _DASH + _STEPS + rb"\nS Q)"
    + rb"|(?:" + _COLOUR + rb"rg " + _COLOUR + rb"RG " + _WIDTH + rb"1 j" + _STEPS + rb"\nB Q)"
    + rb")(?:\n|\Z)"
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """The shapes of a seal: a content stream, deflated if `packed`, on a sheet of `width` by `height`."""

    coded: bytes
    packed: bool
    width: float
    height: float

    def sheet(self) -> bytes:
        """The same as the one page of a PDF file, to be looked at."""
        entries = {"Length": b"%d" % len(self.coded), **({"Filter": b"/FlateDecode"} if self.packed else {})}
        objects = PdfObjects()
        root, pages = objects.reserve(), objects.reserve()
        content = objects.add(dictionary(entries) + b"\nstream\n" + self.coded + b"\nendstream")
        page = dictionary(
            Type=b"/Page",
            Parent=ref(pages),
            MediaBox=array([b"0", b"0", number(self.width), number(self.height)]),
            Contents=ref(content),
        )
        objects.set(pages, dictionary(Type=b"/Pages", Kids=array([ref(objects.add(page))]), Count=b"1"))
        objects.set(root, dictionary(Type=b"/Catalog", Pages=ref(pages)))
        return objects.file(root=root, info=objects.add(b"<<>>"))


@lru_cache(maxsize=64)
def is_red_drawing(coded: bytes, *, packed: bool) -> bool:
    """Tell whether a content stream, deflated if `packed`, draws red shapes and nothing else.

    Kept for the last few, for a body's seal is the same on all its certificates. Cost: 1 ms for a new one.
    """
    if len(coded) > CODED_MAX:
        return False
    plain = _unpacked(coded) if packed else coded
    if plain is None:
        return False
    place = 0
    while place < len(plain):
        shape = _SHAPE.match(plain, place)
        if shape is None:
            return False
        parts = [float(part) for part in shape.groups() if part is not None]
        for red, green, blue in zip(parts[0::3], parts[1::3], parts[2::3], strict=True):
            if not (RED_MIN <= red <= 1 and 0 <= green <= OTHER_MAX and 0 <= blue <= OTHER_MAX):
                return False
        place = shape.end()
    return True


def _unpacked(coded: bytes) -> bytes | None:
    unpacker = zlib.decompressobj()
    try:
        plain = unpacker.decompress(coded, PLAIN_MAX)
    except zlib.error:
        return None
    return plain if unpacker.eof and not unpacker.unused_data else None
