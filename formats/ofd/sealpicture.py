"""The face of a seal as an OFD of one page: the picture inside a seal, sharp at any size (GB/T 38540, type "ofd").

The page is as large as the seal and has no ground; nothing on it but paths, so no font is needed. The same art, the
same bytes. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, Protocol

from mingzheng.formats.ofd.objects import path_object
from mingzheng.formats.ofd.xmlwrite import document, element, number
from mingzheng.formats.ofd.zipwrite import write_package
from mingzheng.formats.page import PageSpec, Path

__all__ = ["Drawing", "seal_picture_ofd"]

_PAGE: Final = "Doc_0/Pages/Page_0/Content.xml"


class Drawing(Protocol):
    """Paths on a sheet: `sealshape.SealArt`."""

    @property
    def width_mm(self) -> float:
        """Width of the sheet."""
        ...

    @property
    def height_mm(self) -> float:
        """Height of the sheet."""
        ...

    @property
    def paths(self) -> Sequence[Path]:
        """What is drawn, in this order."""
        ...


def seal_picture_ofd(art: Drawing) -> bytes:
    """The OFD package of a seal's face."""
    page = PageSpec(width_mm=art.width_mm, height_mm=art.height_mm, language="", title="", boxes=())
    shapes = [path_object(path, number_=3 + at, page=page) for at, path in enumerate(art.paths)]
    box = element("PhysicalBox", None, f"0 0 {number(art.width_mm)} {number(art.height_mm)}")
    layer = element("Layer", {"ID": 2, "Type": "Body"}, *shapes)
    content = document(element("Page", None, element("Area", None, box), element("Content", None, layer)))
    common = [element("MaxUnitID", None, str(2 + len(shapes))), element("PageArea", None, box)]
    leaf = element("Page", {"ID": 1, "BaseLoc": f"/{_PAGE}"})
    body = element("Document", None, element("CommonData", None, *common), element("Pages", None, leaf))
    info = element("DocInfo", None, element("DocID", None, hashlib.sha256(content).hexdigest()[:32]))
    root = element("DocBody", None, info, element("DocRoot", None, "/Doc_0/Document.xml"))
    files = [
        ("OFD.xml", document(element("OFD", {"Version": "1.0", "DocType": "OFD"}, root))),
        ("Doc_0/Document.xml", document(body)),
        (_PAGE, content),
    ]
    return write_package(files)
