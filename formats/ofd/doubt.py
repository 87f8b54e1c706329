"""Whether two readers of OFD may take a document differently: then our picture of its page proves nothing.

What `document` reads by the first element of a name, another reader reads by the last; what it takes by the local
name, another passes over; a version, an action, an extension or a hidden object is shown by some. So with seals: a
stamp that stands elsewhere in the description, a picture that moves or brings colours of its own. Honest files of
ours have none of this. Source: GB/T 33190 §7 to §15, §18, its schemas; PNG, 3rd edition, clause 11;
ITU-T T.81 Annex B. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from mingzheng.formats.ofd.document import NAMESPACES, read_ofd
from mingzheng.formats.ofd.package import read_package
from mingzheng.formats.ofd.signedinfo import SignedInfo, read_signed_info, seal_of

if TYPE_CHECKING:
    from mingzheng.formats.limits import OfdLimits
    from mingzheng.formats.ofd.document import OfdFile
    from mingzheng.formats.ofd.xmlread import Element

__all__ = ["doubt_of", "picture_doubts"]

_NONE: Final[frozenset[str]] = frozenset()
_BOX: Final = (frozenset({"PhysicalBox"}), _NONE)
# element -> children that may stand in it once, and as often as one likes; elements not named here hold anything
_CHILDREN: Final[Mapping[str, tuple[frozenset[str], frozenset[str]]]] = {
    "OFD": (frozenset({"DocBody"}), _NONE),
    "DocBody": (frozenset({"DocInfo", "DocRoot", "Signatures"}), _NONE),
    "Document": (
        frozenset({"CommonData", "Pages", "Permissions", "Annotations", "CustomTags", "Attachments"}),
        _NONE,
    ),
    "CommonData": (frozenset({"MaxUnitID", "PageArea"}), frozenset({"PublicRes", "DocumentRes", "TemplatePage"})),
    "PageArea": _BOX,
    "Area": _BOX,
    "Pages": (_NONE, frozenset({"Page"})),
    "Res": (_NONE, frozenset({"Fonts", "MultiMedias", "ColorSpaces", "DrawParams", "CompositeGraphicUnits"})),
    "Annotations": (_NONE, frozenset({"Page"})),
    "PageAnnot": (_NONE, frozenset({"Annot"})),
    "Attachments": (_NONE, frozenset({"Attachment"})),
    "CustomTags": (_NONE, frozenset({"CustomTag"})),
    "Signatures": (frozenset({"MaxSignId"}), frozenset({"Signature"})),
}
_PAGE: Final = (frozenset({"Area", "Content"}), frozenset({"Template", "PageRes"}))
_ROOTS: Final = frozenset(_CHILDREN) - {"DocBody", "CommonData", "PageArea", "Area", "Pages"} | {"Page"}
_NUMBERED: Final = frozenset({"Page", "TemplatePage", "Font", "MultiMedia", "ColorSpace", "DrawParam", "Signature"})
_TRUE: Final = frozenset({None, "true", "1"})
# The same for the description of a seal; elements not named here hold no others.
_DESCRIPTION: Final[Mapping[str, tuple[frozenset[str], frozenset[str]]]] = {
    "Signature": (frozenset({"SignedInfo", "SignedValue"}), _NONE),
    "SignedInfo": (
        frozenset({"Provider", "SignatureMethod", "SignatureDateTime", "References", "Seal"}),
        frozenset({"StampAnnot"}),
    ),
    "References": (_NONE, frozenset({"Reference"})),
    "Reference": (frozenset({"CheckValue"}), _NONE),
    "Seal": (frozenset({"BaseLoc"}), _NONE),
}
_LEAF: Final = (_NONE, _NONE)
_STAMP: Final = frozenset({"ID", "PageRef", "Boundary", "Clip"})
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_JPEG: Final = b"\xff\xd8"
_START_OF_SCAN: Final = 0xDA
_APPLICATION: Final = frozenset(range(0xE1, 0xF0)) - {
    0xEE
}  # but JFIF's APP0, and APP14, which says how colours are held
_CHUNKS: Final = frozenset(
    (
        *(b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"sRGB"),
        *(b"pHYs", b"tEXt", b"zTXt", b"iTXt", b"tIME", b"sBIT", b"hIST"),
    )
)
_AS_SRGB: Final[Mapping[bytes, bytes]] = {  # clause 11.3.2.5: what a writer of sRGB puts beside it
    b"gAMA": (45_455).to_bytes(4),
    b"cHRM": b"".join(part.to_bytes(4) for part in (31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000)),
}


def doubt_of(file: OfdFile, *, limits: OfdLimits) -> str:
    """What readers may take differently, in a word; empty if nothing. Cost: one walk over every element.

    Raises FormatError for a seal that cannot be read.
    """
    return next(_doubts(file, limits), "")


def _doubts(file: OfdFile, limits: OfdLimits) -> Iterator[str]:
    yield from _of_document(file)
    for body in file.bodies:
        for signature in body.signatures:
            if signature.file is None:
                yield "seal"
            else:
                info = read_signed_info(file.package, signature.file, limits=limits)
                yield from _of_description(info)
                if info.stamps:
                    yield from picture_doubts(seal_of(file.package, info).info.picture, limits)


def _of_document(file: OfdFile) -> Iterator[str]:
    if file.two_ways:
        yield "link"
    if len(file.bodies) != 1 or file.missing or file.damaged:
        yield "incomplete"
    if any(b"<!" in file.package.files[name] for name in file.trees):
        yield "comment"  # the text around it is one text to some and two to others
    spaces: set[str] = set()
    numbers: set[tuple[str, str]] = set()
    for root in file.trees.values():
        if root.tag not in _ROOTS:
            yield "root"
        for element, parent in _walk(root):
            spaces.add(element.namespace)
            yield from _of_element(element, parent)
            if element.tag in _NUMBERED and parent is not None and parent.tag != "Annotations":
                key = (
                    "resource" if parent.tag not in ("Pages", "CommonData", "Signatures") else parent.tag,
                    element.get("ID") or "",
                )
                if key in numbers:
                    yield "twice"
                numbers.add(key)
    if len(spaces) != 1 or not spaces <= NAMESPACES:
        yield "namespace"
    if any(_is_animated(file.package.files[name]) for name in file.reachable):
        yield "animation"


def _of_description(info: SignedInfo) -> Iterator[str]:
    """Stamps that only some readers find, or put elsewhere."""
    if b"<!" in info.raw:
        yield "comment"
    for element, _ in _walk(info.root):
        once, often = _DESCRIPTION.get(element.tag, _LEAF)
        tags = [child.tag for child in element.children if child.tag not in often]
        if not once.issuperset(tags) or len(set(tags)) != len(tags):
            yield "structure"
        if element.namespace != info.root.namespace:
            yield "namespace"
        if element.tag == "StampAnnot" and not element.attributes.keys() <= _STAMP:
            yield "stamp"
    if any(stamp.visible != stamp.boundary for stamp in info.stamps):
        yield "clip"


def picture_doubts(picture: bytes, limits: OfdLimits) -> Iterator[str]:
    """A seal's picture: a PNG, an OFD of its own without seals, or a JPEG."""
    if picture.startswith(b"PK"):
        file = read_ofd(read_package(picture, limits=limits), limits=limits)
        yield from _of_document(file)
        if any(body.signatures for body in file.bodies):
            yield "nested"
    elif (is_plain := _PLAIN.get(picture[:2])) is not None and not is_plain(picture):
        yield "picture"


def _is_plain_png(picture: bytes) -> bool:
    """A PNG with no frames, profiles or curves of its own, and nothing behind it."""
    place, kind = len(_PNG), b""
    while kind != b"IEND" and place + 8 <= len(picture):
        kind, body = picture[place + 4 : place + 8], place + 8
        place = body + int.from_bytes(picture[place : place + 4]) + 4
        if kind not in _CHUNKS and _AS_SRGB.get(kind) != picture[body : place - 4]:
            return False
    return kind == b"IEND" and place == len(picture)


def _is_plain_jpeg(picture: bytes) -> bool:
    """A JPEG that is neither turned nor coloured by data beside its samples (Exif, ICC), and nothing behind it."""
    place = len(_JPEG)
    while picture[place : place + 1] == b"\xff" and place + 4 <= len(picture):
        mark = picture[place + 1]
        if mark == _START_OF_SCAN:
            return picture.endswith(b"\xff\xd9")
        if mark in _APPLICATION:
            return False
        place += 2 + int.from_bytes(picture[place + 2 : place + 4])
    return False


_PLAIN: Final[Mapping[bytes, Callable[[bytes], bool]]] = {_PNG[:2]: _is_plain_png, _JPEG: _is_plain_jpeg}


def _walk(root: Element) -> Iterator[tuple[Element, Element | None]]:
    waiting: list[tuple[Element, Element | None]] = [(root, None)]
    while waiting:
        element, parent = waiting.pop()
        yield element, parent
        waiting += ((child, element) for child in element.children)


def _of_element(element: Element, parent: Element | None) -> Iterator[str]:
    rule = _PAGE if element.tag == "Page" and parent is None else _CHILDREN.get(element.tag)
    if rule is not None:
        once, often = rule
        tags = [child.tag for child in element.children if child.tag not in often]
        if not once.issuperset(tags) or len(set(tags)) != len(tags):
            yield "structure"
    if element.get("Visible") not in _TRUE and element.tag != "Attachment":
        yield "hidden"
    if (
        element.tag == "Annot"
        and parent is not None
        and parent.tag == "PageAnnot"
        and ([child.tag for child in element.children].count("Appearance") != 1 or element.get("Print") not in _TRUE)
    ):
        yield "annotation"


def _is_animated(data: bytes) -> bool:
    """A PNG with further frames: the chunk that says so stands before the picture's data."""
    return data.startswith(b"\x89PNG") and b"acTL" in data[: max(0, data.find(b"IDAT"))]
