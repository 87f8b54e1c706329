"""The pages of an OFD as a PDF that shows what a reader of OFD shows: the eye's view of the file, for PDFium.

Source: GB/T 33190 §7.7 (order of templates and layers), §15 (annotations), §18.2.3 (seal pictures at their stamps),
GB/T 38540 (the picture inside the seal, a PNG, a JPEG or an OFD of its own). Drawn are background templates, layers,
foreground templates, annotations, seals. Whatever is outside the subset of `drawobjects`, or could be taken
differently by two readers, raises DrawUnsupportedError: then the page counts as not compared. Effectful by the
house's list: pictures are decoded by a library.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from mingzheng.formats.imagehead import read_head
from mingzheng.formats.images import decode_image
from mingzheng.formats.limits import LIMITS_DEFAULT, OFD_LIMITS
from mingzheng.formats.ofd.document import OfdFile, OfdPage, OfdResource, parse_box, read_ofd
from mingzheng.formats.ofd.drawfont import CharacterMap
from mingzheng.formats.ofd.drawobjects import draw_layer
from mingzheng.formats.ofd.drawstate import DrawUnsupportedError, Style, check_known, flag, only, style_of
from mingzheng.formats.ofd.package import read_package
from mingzheng.formats.ofd.ses import SesSeal
from mingzheng.formats.ofd.signedinfo import OfdStamp, read_signed_info, seal_of
from mingzheng.formats.ofd.xmlread import Element, parse_xml
from mingzheng.formats.pdf.imageembed import embed_direct, embed_pixels
from mingzheng.formats.pdf.objects import PdfObjects, array, dictionary, number, ref, stream

__all__ = ["DrawUnsupportedError", "ofd_pictures", "ofd_to_pdf"]

_POINTS: Final = 72 / 25.4
_LAYERS: Final = ("Background", "Body", "Foreground")
_LAYER_CHILDREN: Final = frozenset({"TextObject", "PathObject", "ImageObject", "CompositeObject", "PageBlock"})
_PAGE_CHILDREN: Final = frozenset({"Area", "Template", "PageRes", "Content", "Actions"})
_NEST_MAX: Final = 1  # a seal's picture may be an OFD, which has no seals of its own


def ofd_to_pdf(file: OfdFile, *, stamps: bool = True) -> bytes:
    """All pages of the file as one PDF, with the pictures of the seals unless `stamps` is False.

    Raises DrawUnsupportedError, ImageError, ResourceLimitError and what reading a seal or a picture's OFD raises.
    """
    if file.missing or file.damaged or len(file.bodies) != 1:
        raise DrawUnsupportedError("incomplete")
    _check_ids(file)
    objects = PdfObjects()
    catalogue, tree = objects.reserve(), objects.reserve()
    seals = tuple(_seals(file)) if stamps else ()
    leaves = []
    for page in file.pages:
        drawing = _Drawing(objects, file, page)
        body = drawing.page(page, seals)
        leaf = {
            "Type": b"/Page",
            "Parent": ref(tree),
            "MediaBox": array(number(mm * _POINTS) for mm in (0, 0, page.box.width_mm, page.box.height_mm)),
            "Resources": drawing.resources_object(),
            "Contents": ref(objects.add(stream(body))),
        }
        leaves.append(objects.add(dictionary(leaf)))
    objects.set(tree, dictionary(Type=b"/Pages", Kids=array(map(ref, leaves)), Count=b"%d" % len(leaves)))
    objects.set(catalogue, dictionary(Type=b"/Catalog", Pages=ref(tree)))
    return objects.file(root=catalogue, info=objects.add(dictionary()))


def ofd_pictures(file: OfdFile) -> tuple[bytes, ...]:
    """The picture files of the first document's pages, unchanged."""
    names: dict[str, None] = {}
    for page in file.pages:
        for resource in page.resources.values():
            if resource.kind == "MultiMedia" and resource.file is not None:
                names[resource.file] = None
    return tuple(file.package.files[name] for name in names)


class _Drawing:
    """Draws one page and gathers the PDF resources it needs; a `drawobjects.Canvas`."""

    def __init__(self, objects: PdfObjects, file: OfdFile, page: OfdPage, *, nested: int = 0) -> None:
        self._objects, self._file, self._nested = objects, file, nested
        self.resources: Mapping[str, OfdResource] = page.resources
        self._fonts: dict[str, tuple[bytes, CharacterMap, int]] = {}
        self._shapes: dict[str, tuple[bytes, int]] = {}
        self._states: dict[tuple[float, float], bytes] = {}

    def page(self, page: OfdPage, seals: tuple[tuple[OfdStamp, SesSeal], ...]) -> bytes:
        """The content of a page."""
        if (page.box.x_mm, page.box.y_mm) != (0, 0):
            raise DrawUnsupportedError("page box")
        parts = [b"q %b 0 0 %b 0 %b cm" % (_exact(_POINTS), _exact(-_POINTS), _exact(page.box.height_mm * _POINTS))]
        for template in page.templates:
            if not template.foreground:
                parts += self._content(template.root)
        parts += self._content(page.root)
        for template in page.templates:
            if template.foreground:
                parts += self._content(template.root)
        for note in page.annotations:
            parts += self._annotation(note)
        for at, (stamp, seal) in enumerate(seals):
            if stamp.page_id == page.id:
                parts += self._stamp(stamp, seal, f"seal {at}")
        return b"\n".join([*parts, b"Q"])

    def resources_object(self) -> bytes:
        """The resource dictionary, once everything is drawn."""
        fonts = {label.decode(): ref(item) for label, _, item in self._fonts.values()}
        shapes = {label.decode(): ref(item) for label, item in self._shapes.values()}
        states = {
            label.decode(): dictionary(ca=_exact(fill), CA=_exact(stroke))
            for (fill, stroke), label in self._states.items()
        }
        return dictionary(Font=dictionary(fonts), XObject=dictionary(shapes), ExtGState=dictionary(states))

    def font(self, key: str) -> tuple[bytes, CharacterMap]:
        """The name and character map of an embedded TrueType font; others would be replaced by each reader's own."""
        if key not in self._fonts:
            resource = self.resources.get(key)
            if resource is None or resource.kind != "Font" or resource.file is None:
                raise DrawUnsupportedError("font")
            only(resource.element, "FontFile")
            data = self._file.package.files[resource.file]
            glyphs = CharacterMap(data)
            self._fonts[key] = (b"F%d" % len(self._fonts), glyphs, _font_object(self._objects, data))
        label, glyphs, _ = self._fonts[key]
        return label, glyphs

    def image(self, key: str) -> bytes:
        """The name of a picture."""
        resource = self.resources.get(key)
        if resource is None or resource.kind != "MultiMedia" or resource.file is None:
            raise DrawUnsupportedError("picture")
        only(resource.element, "MediaFile")
        if resource.element.get("Type") != "Image":
            raise DrawUnsupportedError("picture")
        return self._picture(resource.file, self._file.package.files[resource.file])

    def opacity(self, fill: float, stroke: float) -> bytes:
        """The name of a graphics state."""
        return self._states.setdefault((fill, stroke), b"G%d" % len(self._states))

    def _content(self, root: Element) -> Iterator[bytes]:
        check_known(root, frozenset({"ID"}), _PAGE_CHILDREN)
        content = only(root, "Content")
        layers = [] if content is None else list(content.children)
        for layer in layers:
            check_known(layer, frozenset({"ID", "Type", "DrawParam"}), _LAYER_CHILDREN)
            if layer.tag != "Layer" or (layer.get("Type") or "Body") not in _LAYERS:
                raise DrawUnsupportedError("layer")
        for kind in _LAYERS:
            for layer in layers:
                if (layer.get("Type") or "Body") == kind:
                    yield from draw_layer(self, layer, style_of(Style(), layer, self.resources))

    def _annotation(self, note: Element) -> Iterator[bytes]:
        """The appearance; an annotation that is only on the screen or only on paper shows two things."""
        shown = flag(note, "Visible", default=True)
        if shown != flag(note, "Print", default=True):
            raise DrawUnsupportedError("annotation")
        appearance = only(note, "Appearance")
        if not shown or appearance is None:
            return
        boundary = parse_box(appearance.get("Boundary"))
        if boundary is None:
            raise DrawUnsupportedError("annotation")
        yield b"q 1 0 0 1 %b %b cm" % (_exact(boundary.x_mm), _exact(boundary.y_mm))
        yield from draw_layer(self, appearance, Style())
        yield b"Q"

    def _stamp(self, stamp: OfdStamp, seal: SesSeal, key: str) -> Iterator[bytes]:
        """A seal's picture stretched over its boundary, cut off at the clip."""
        box, shown = stamp.boundary, stamp.visible
        yield b"q %b re W n" % b" ".join(map(_exact, (shown.x_mm, shown.y_mm, shown.width_mm, shown.height_mm)))
        yield b"%b 0 0 %b %b %b cm" % tuple(
            map(_exact, (box.width_mm, -box.height_mm, box.x_mm, box.y_mm + box.height_mm))
        )
        if seal.info.picture.startswith(b"PK"):
            yield b"/%b Do Q" % self._nested_picture(key, seal.info.picture)
        else:
            yield b"/%b Do Q" % self._picture(key, seal.info.picture)

    def _picture(self, key: str, data: bytes) -> bytes:
        if key not in self._shapes:
            head = read_head(data)
            item = embed_direct(self._objects, head, data)
            if item is None:
                item = embed_pixels(self._objects, decode_image(data, limits=LIMITS_DEFAULT))
            self._shapes[key] = (b"X%d" % len(self._shapes), item)
        return self._shapes[key][0]

    def _nested_picture(self, key: str, data: bytes) -> bytes:
        """The first page of a seal's own OFD as a form of one by one."""
        if self._nested >= _NEST_MAX:
            raise DrawUnsupportedError("nested")
        if key not in self._shapes:
            file = read_ofd(read_package(data, limits=OFD_LIMITS), limits=OFD_LIMITS)
            if file.missing or file.damaged or len(file.pages) != 1:
                raise DrawUnsupportedError("incomplete")
            _check_ids(file)
            page = file.pages[0]
            drawing = _Drawing(self._objects, file, page, nested=self._nested + 1)
            body = drawing.page(page, ())
            width, height = page.box.width_mm * _POINTS, page.box.height_mm * _POINTS
            entries = {
                "Type": b"/XObject",
                "Subtype": b"/Form",
                "BBox": array(map(_exact, (0, 0, width, height))),
                "Matrix": array(map(_exact, (1 / width, 0, 0, 1 / height, 0, 0))),
                "Resources": drawing.resources_object(),
            }
            self._shapes[key] = (b"X%d" % len(self._shapes), self._objects.add(stream(body, entries)))
        return self._shapes[key][0]


def _seals(file: OfdFile) -> Iterator[tuple[OfdStamp, SesSeal]]:
    """Every stamp with its seal, in the order of the signature list; the picture is the one that was signed."""
    for signature in file.bodies[0].signatures:
        if signature.file is None:
            raise DrawUnsupportedError("signature")
        info = read_signed_info(file.package, signature.file, limits=OFD_LIMITS)
        if info.stamps:
            seal = seal_of(file.package, info)
            for stamp in info.stamps:
                yield stamp, seal


def _font_object(objects: PdfObjects, data: bytes) -> int:
    """A composite font whose codes are glyph numbers."""
    file = objects.add(stream(data, {"Length1": b"%d" % len(data)}))
    name = b"/OFD%d" % file
    descriptor = dictionary(
        Type=b"/FontDescriptor",
        FontName=name,
        Flags=b"4",
        FontBBox=b"[-1000 -1000 2000 2000]",
        ItalicAngle=b"0",
        Ascent=b"880",
        Descent=b"-120",
        CapHeight=b"880",
        StemV=b"80",
        FontFile2=ref(file),
    )
    descendant = dictionary(
        Type=b"/Font",
        Subtype=b"/CIDFontType2",
        BaseFont=name,
        CIDSystemInfo=dictionary(Registry=b"(Adobe)", Ordering=b"(Identity)", Supplement=b"0"),
        FontDescriptor=ref(objects.add(descriptor)),
        DW=b"1000",
        CIDToGIDMap=b"/Identity",
    )
    font = dictionary(
        Type=b"/Font",
        Subtype=b"/Type0",
        BaseFont=name,
        Encoding=b"/Identity-H",
        DescendantFonts=array([ref(objects.add(descendant))]),
    )
    return objects.add(font)


def _check_ids(file: OfdFile) -> None:
    """Refuse two resources of one number: readers take the first or the last of them."""
    seen: set[str] = set()
    for name in sorted(file.reachable):
        if not name.lower().endswith(".xml"):
            continue
        root = parse_xml(file.package.files[name], limits=OFD_LIMITS)
        if root.tag != "Res":
            continue
        for group in root.children:
            for item in group.children:
                key = item.get("ID") or ""
                if key in seen:
                    raise DrawUnsupportedError("twice")
                seen.add(key)


def _exact(value: float) -> bytes:
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    return b"0" if text in ("", "-0") else text.encode()
