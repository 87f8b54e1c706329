"""The same page with one seal and with two, for tests that compare files; keys and pictures of `sealpress`."""

from functools import cache

import sealpress

from mingzheng.formats.page import Rect, SealShape
from mingzheng.formats.pdf.seal import PdfSealing, TimeStampService, seal_pdf
from mingzheng.keys.sealkey import MemorySealKey, SealAlg

BODIES = ("某省住房和城乡建设厅", "张建国")
PLACES = (Rect(x_mm=140, y_mm=220, width_mm=42, height_mm=42), Rect(x_mm=100, y_mm=232, width_mm=22, height_mm=22))
SHAPES = (SealShape.CIRCLE, SealShape.SQUARE)


def key_of(number: int, alg: SealAlg = SealAlg.P256) -> MemorySealKey:
    """The key of seal 1 or 2."""
    return sealpress.seal_key(BODIES[number - 1], alg)


@cache
def sealed(
    page: bytes,
    seals: int = 1,
    *,
    alg: SealAlg = SealAlg.P256,
    png: bool = False,
    timestamps: TimeStampService | None = None,
) -> bytes:
    """A page with one or two seals of different keys."""
    wanted = []
    for number in range(1, seals + 1):
        place = PLACES[number - 1]
        pdf, picture = sealpress.art(BODIES[number - 1], SHAPES[number - 1], place.width_mm)
        wanted.append(
            PdfSealing(
                key=key_of(number, alg),
                field=f"Seal{number}",
                rect=place,
                art_pdf=None if png else pdf,
                art_png=picture if png else None,
                reason="",
                alt=f"印章 / seal {number}",
            )
        )
    return seal_pdf(page, seals=wanted, at=sealpress.AT, timestamps=timestamps)
