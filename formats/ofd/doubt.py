"""Whether two readers of OFD may take a document differently: then our picture of its page proves nothing.

What `document` reads by the first element of a name, another reader reads by the last; what it takes by the local
name, another passes over; a version, an action, an extension or a hidden object is shown by some. Honest files of
ours have none of this. Source: GB/T 33190 §7 to §15, its schemas. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from mingzheng.formats.ofd.document import NAMESPACES

if TYPE_CHECKING:
    from mingzheng.formats.ofd.document import OfdFile
    from mingzheng.formats.ofd.xmlread import Element

__all__ = ["doubt_of"]

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


def doubt_of(file: OfdFile) -> str:
    """What readers may take differently, in a word; empty if nothing. Cost: one walk over every element."""
    return next(_doubts(file), "")


def _doubts(file: OfdFile) -> Iterator[str]:
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
