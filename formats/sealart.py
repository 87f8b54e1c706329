"""Pictures of seals: the faces of `sealshape` as a one-page PDF and as a transparent PNG.

The PDF carries the paths themselves and is what `pdf.seal` puts at a seal's place; the PNG is for OFD seals and for
people. Effectful: drives the PDF renderer and the image library; opens no file.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from io import BytesIO
from typing import Final

from mingzheng.formats.pdf import content
from mingzheng.formats.pdf.objects import PdfObjects, array, dictionary, number, ref, stream, text_string
from mingzheng.formats.sealshape import (
    SEAL_RED,
    SealArt,
    SealArtError,
    organisation_seal,
    personal_seal,
)

__all__ = [
    "SEAL_RED",
    "SealArt",
    "SealArtError",
    "organisation_seal",
    "personal_seal",
    "seal_art_pdf",
    "seal_art_png",
]

_DPI: Final = (50, 1200)


def seal_art_pdf(art: SealArt) -> bytes:
    """The seal as a PDF of one page of the seal's size, vectors only, no ground; the same art, the same bytes.

    Kept: an authority has few seals and many certificates.
    """
    return _art_pdf(art)


@lru_cache(maxsize=16)
def _art_pdf(art: SealArt) -> bytes:
    objects = PdfObjects()
    catalogue, pages, leaf = objects.reserve(), objects.reserve(), objects.reserve()
    shapes = b"\n".join(_shapes(art))
    size = array(number(mm * content.POINTS_PER_MM) for mm in (0, 0, art.width_mm, art.height_mm))
    drawn = objects.add(stream(shapes, level=9))
    objects.set(
        leaf,
        dictionary(Type=b"/Page", Parent=ref(pages), MediaBox=size, Resources=b"<<>>", Contents=ref(drawn)),
    )
    objects.set(pages, dictionary(Type=b"/Pages", Kids=array([ref(leaf)]), Count=b"1"))
    objects.set(catalogue, dictionary(Type=b"/Catalog", Pages=ref(pages)))
    return objects.file(root=catalogue, info=objects.add(dictionary(Producer=text_string("mingzheng"))))


def _shapes(art: SealArt) -> Iterator[bytes]:
    """The paths; the two of one outline, filled and stroked, as one."""
    lines = {path.data: path.line_mm for path in art.paths if path.name.endswith(".weight")}
    for path in art.paths:
        if path.line_mm == 0 and path.data in lines:
            yield content.filled_and_stroked(path, lines[path.data], art.height_mm)
        elif not path.name.endswith(".weight"):
            yield content.path(path, art.height_mm)


def seal_art_png(art: SealArt, dpi: int = 300) -> bytes:
    """The seal as RGBA pixels with a transparent ground."""
    import pypdfium2

    if not _DPI[0] <= dpi <= _DPI[1]:
        raise SealArtError("dpi outside 50 to 1200")
    with pypdfium2.PdfDocument(seal_art_pdf(art)) as document:
        bitmap = document[0].render(scale=dpi / 72, fill_color=(0, 0, 0, 0), maybe_alpha=True, rev_byteorder=True)
        picture = bitmap.to_pil().convert("RGBA")
    out = BytesIO()
    picture.save(out, "PNG", dpi=(dpi, dpi), optimize=False)
    return out.getvalue()
