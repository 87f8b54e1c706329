"""The tags of a tagged PDF: what a page says to someone who listens (ISO 32000-1 §14.7, §14.8).

One element per group of boxes, in reading order, under one Document element; figures carry their alternative
text and their rectangle. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from mingzheng.formats.page import Role
from mingzheng.formats.pdf.objects import PdfObjects, array, dictionary, name, number, ref, text_string

__all__ = ["Element", "Structure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One structure element: `alt` and `corners` (in points) for figures, `language` if not the page's."""

    role: Role
    alt: str = ""
    language: str | None = None
    corners: tuple[float, float, float, float] | None = None


class Structure:
    """Collects the elements of one page and writes them as objects."""

    def __init__(self) -> None:
        self._elements: list[Element] = []

    def begin(self, element: Element) -> bytes:
        """The operator that opens the element's marked content."""
        self._elements.append(element)
        return b"%b <</MCID %d>> BDC" % (name(element.role), len(self._elements) - 1)

    def write(self, objects: PdfObjects, *, page: int) -> int:
        """Write the tree; returns the number of the StructTreeRoot. The page's StructParents must be 0."""
        root, document = objects.reserve(), objects.reserve()
        numbers = [
            objects.add(self._element(element, mcid, parent=document, page=page))
            for mcid, element in enumerate(self._elements)
        ]
        kids = array(ref(item) for item in numbers)
        objects.set(document, dictionary(Type=b"/StructElem", S=b"/Document", P=ref(root), K=kids))
        parents = objects.add(dictionary(Nums=b"[0 " + kids + b"]"))
        objects.set(
            root,
            dictionary(
                Type=b"/StructTreeRoot", K=array([ref(document)]), ParentTree=ref(parents), ParentTreeNextKey=b"1"
            ),
        )
        return root

    def _element(self, element: Element, mcid: int, *, parent: int, page: int) -> bytes:
        entries = {
            "Type": b"/StructElem",
            "S": name(element.role),
            "P": ref(parent),
            "Pg": ref(page),
            "K": b"%d" % mcid,
        }
        if element.alt:
            entries["Alt"] = text_string(element.alt)
        if element.language is not None:
            entries["Lang"] = text_string(element.language)
        if element.corners is not None:
            box = array(number(value) for value in element.corners)
            entries["A"] = dictionary(O=b"/Layout", BBox=box, Placement=b"/Block")
        return dictionary(entries)
