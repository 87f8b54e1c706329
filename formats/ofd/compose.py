"""A page as an OFD package, credential and receipt attached, ready to be sealed.

Spec: GB/T 33190-2016, elements in the order of its schemas. The same page, fonts and attachments give the same
bytes. Places are those of the page to 0.001 mm; text is real Unicode with an embedded TrueType subset that has a
cmap. `Permissions/ValidPeriod` repeats the usage window: readers may warn, only the credential counts. Fields
stand in CustomDatas and, by object, in a tag file. Choices beside the schema: ids of signatures and stamps are plain
integers as readers expect, CheckMethod is the OID of SM3 (both in `ofd.seal`). What sealing needs before the first
digest is there when `seals` are announced: the list of signatures and its node in OFD.xml. Effectful by the house's
list: it drives the font library; it opens no file, reads no clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, assert_never

from mingzheng.formats.civil import format_day
from mingzheng.formats.fontfile import FontSet
from mingzheng.formats.imagehead import ImageKind, read_head
from mingzheng.formats.ofd.licence import parse_licence_id
from mingzheng.formats.ofd.objects import GlyphRun, image_object, path_object, slot_outline, text_object
from mingzheng.formats.ofd.qrpng import qr_png
from mingzheng.formats.ofd.xmlwrite import OfdWriteError, document, element, escape, number
from mingzheng.formats.ofd.zipwrite import PackedFile, join_package, pack_file
from mingzheng.formats.page import Box, ImageBox, PageSpec, Path, QrSlot, Role, SealSlot, TextRun

__all__ = ["SIGNATURES", "TAGS_NAMESPACE", "OfdField", "OfdMetadata", "PageFiles", "compose_ofd", "page_files"]

DOC: Final = "Doc_0"
_DOCUMENT: Final = f"{DOC}/Document.xml"
_PUBLIC: Final = f"{DOC}/PublicRes.xml"
_PICTURES: Final = f"{DOC}/DocumentRes.xml"
_CONTENT: Final = f"{DOC}/Pages/Page_0/Content.xml"
SIGNATURES: Final = f"{DOC}/Signs/Signatures.xml"
TAGS_NAMESPACE: Final = "urn:mingzheng:ofd-tags:1"
LICENCE_FIELD: Final = "证照标识"
_DOC_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_LABEL: Final = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)
_FORMATS: Final = {"credential": "cose", "receipt": "txt"}
_BEYOND: Final = re.compile("([\U00010000-\U0010ffff])")
_FAMILY: Final = "楷体"  # what a reader without embedded fonts should take instead


@dataclass(frozen=True, slots=True, kw_only=True)
class OfdField:
    """A signed field: its value as text and the names of the page's boxes that show it."""

    name: str
    value: str
    boxes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfdMetadata:
    """Document properties besides the title, which is the page's. Days are since 1970-01-01, Beijing."""

    doc_id: str  # 32 hexadecimal digits
    author: str
    subject: str
    creator: str
    made_on: int
    valid_from: int | None
    valid_until: int | None  # last day
    fields: tuple[OfdField, ...]
    licence_id: str | None  # GB/T 36904


def compose_ofd(
    page: PageSpec, *, fonts: FontSet, attachments: Mapping[str, bytes], metadata: OfdMetadata, seals: int
) -> bytes:
    """The OFD package of a page, to be sealed `seals` times (then give it `page.without_slots`).

    `attachments` are hidden attachments by name ("credential", "receipt"). Raises MissingGlyphError, ImageError,
    LicenceIdError or OfdWriteError.
    """
    if not _DOC_ID.fullmatch(metadata.doc_id):
        raise OfdWriteError("the identifier of the document is not 32 hexadecimal digits")
    if metadata.licence_id is not None:
        parse_licence_id(metadata.licence_id)
    writer = _PageWriter(page, fonts)
    content = writer.content()
    files = [
        pack_file("OFD.xml", _root(page, metadata, seals)),
        pack_file(_DOCUMENT, _document(page, metadata, writer, attached=bool(attachments))),
        pack_file(_PUBLIC, _fonts(writer)),
        pack_file(_PICTURES, _pictures(writer)),
        *([] if writer.ground is None else [writer.ground.file]),
        pack_file(_CONTENT, content),
        *(pack_file(name, data) for name, data in writer.resources.items()),
        *_tags(metadata, writer),
        *_attachments(attachments, metadata),
    ]
    if seals:
        empty = element("Signatures", None, element("MaxSignId", None, "0"))
        files.append(pack_file(SIGNATURES, document(empty)))
    return join_package(files)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFiles:
    """The files of a package that show its page, by name; `document` are Document.xml's bytes up to what shows nothing.

    `page_id` is what the stamps of seals refer to.
    """

    files: Mapping[str, bytes]
    document: bytes
    page_id: int


def page_files(page: PageSpec, *, fonts: FontSet) -> PageFiles:
    """What `compose_ofd` writes of a page itself. Raises what it raises for page and fonts."""
    writer = _PageWriter(page, fonts)
    content = writer.content()
    files = {_PUBLIC: _fonts(writer), _PICTURES: _pictures(writer), _CONTENT: content, **writer.resources}
    if writer.ground is not None:
        files[writer.ground.file.name] = writer.ground.data
    head = document(element("Document", None, *_shown(page, writer))).removesuffix(b"</ofd:Document>")
    return PageFiles(files=files, document=head, page_id=writer.page_id)


@dataclass(frozen=True, slots=True)
class _Ground:
    """The decoration that comes first, as a template page: the same for every copy of a template."""

    id: int
    file: PackedFile
    data: bytes
    last_id: int


@lru_cache(maxsize=16)
def _ground(page: PageSpec) -> _Ground:
    """The template page of a page that is nothing but decoration; its ids start at 1."""
    shapes = [path_object(box, number_=3 + at, page=page) for at, box in enumerate(page.boxes) if isinstance(box, Path)]
    layer = element("Layer", {"ID": 2, "Type": "Background"}, *shapes)
    root = element("Page", None, _area(page), element("Content", None, layer))
    data = document(root)
    file = pack_file(f"{DOC}/Tpls/Tpl_0/Content.xml", data, level=9)
    return _Ground(id=1, file=file, data=data, last_id=2 + len(shapes))


@dataclass(slots=True)
class _Used:
    """What the objects of a page need: (id, name, file) of fonts and pictures."""

    fonts: dict[int, tuple[int, str, str]] = field(default_factory=dict)
    pictures: list[tuple[int, str, str]] = field(default_factory=list)


class _PageWriter:
    """Writes the boxes of one page, hands out ids, and remembers resources and which object shows which box."""

    def __init__(self, page: PageSpec, fonts: FontSet) -> None:
        self._page, self._fonts = page, fonts
        boxes = page.boxes
        lead = next((at for at, box in enumerate(boxes) if not _is_decoration(box)), len(boxes))
        self.ground = _ground(_only(page, boxes[:lead])) if lead else None
        self._boxes = boxes[lead:]
        self._last = self.ground.last_id if self.ground else 0
        self.page_id = self.next_id()
        self.used = _Used()
        self._glyphs: dict[int, Mapping[int, int]] = {}
        self.resources: dict[str, bytes] = {}
        self.objects: dict[str, list[int]] = {}

    def next_id(self) -> int:
        """A number not used before."""
        self._last += 1
        return self._last

    @property
    def max_id(self) -> int:
        """The highest number handed out."""
        return self._last

    def content(self) -> bytes:
        """Content.xml of the page; embeds fonts and pictures on the way."""
        self._embed_fonts()
        layer_id = self.next_id()
        layer = element("Layer", {"ID": layer_id, "Type": "Body"}, *self._objects())
        parts = [_area(self._page), element("Content", None, layer)]
        if self.ground is not None:
            parts.insert(0, element("Template", {"TemplateID": self.ground.id, "ZOrder": "Background"}))
        return document(element("Page", None, *parts))

    def _objects(self) -> Iterator[str]:
        for box in self._boxes:
            match box:
                case TextRun():
                    yield from self._text(box)
                case Path():
                    yield path_object(box, number_=self._number(box), page=self._page)
                case SealSlot():
                    yield path_object(slot_outline(box), number_=self._number(box), page=self._page)
                case QrSlot():
                    resource = self._picture("qr.png", "PNG", qr_png(box.rows))
                    yield image_object(box.rect, number_=self._number(box), resource=resource)
                case ImageBox():
                    is_jpeg = read_head(box.data).kind is ImageKind.JPEG
                    name = f"image_{len(self.used.pictures)}.{'jpg' if is_jpeg else 'png'}"
                    resource = self._picture(name, "JPEG" if is_jpeg else "PNG", box.data)
                    yield image_object(box.rect, number_=self._number(box), resource=resource)
                case _:
                    assert_never(box)

    def _number(self, box: Box) -> int:
        number_ = self.next_id()
        self.objects.setdefault(box.name, []).append(number_)
        return number_

    def _text(self, run: TextRun) -> Iterator[str]:
        """Text objects: one for a stretch of one font, one for each character outside the basic plane."""
        x = run.x_mm
        for index, stretch in self._fonts.split(run.text):
            font = self._fonts.fonts[index]
            for text in _BEYOND.split(stretch):
                if not text:
                    continue
                advances = [self._fonts.width(char, run.size_mm) + run.tracking_mm for char in text]
                part = GlyphRun(
                    text=text,
                    advances_mm=advances,
                    glyph=self._glyphs[index][ord(text)] if ord(text[0]) > 0xFFFF else None,
                    x_mm=x,
                    y_mm=run.y_mm,
                    size_mm=run.size_mm,
                    ascent=font.ascent / 1000,
                    descent=-font.descent / 1000,
                    colour=run.colour,
                )
                yield text_object(part, number_=self._number(run), font=self.used.fonts[index][0])
                x += sum(advances)

    def _embed_fonts(self) -> None:
        points: dict[int, set[int]] = {}
        for box in self._boxes:
            if isinstance(box, TextRun):
                for index, stretch in self._fonts.split(box.text):
                    points.setdefault(index, set()).update(map(ord, stretch))
        for index in sorted(points):
            font = self._fonts.fonts[index]
            file, part = f"font_{index}.ttf", font.subset(points[index], standalone=True)
            self.resources[f"{DOC}/Res/{file}"] = part.data
            self.used.fonts[index] = (self.next_id(), font.postscript_name, file)
            self._glyphs[index] = part.glyphs

    def _picture(self, file: str, kind: str, data: bytes) -> int:
        number_ = self.next_id()
        self.used.pictures.append((number_, kind, file))
        self.resources[f"{DOC}/Res/{file}"] = data
        return number_


def _is_decoration(box: Box) -> bool:
    return isinstance(box, Path) and box.role is Role.DECORATION


def _only(page: PageSpec, boxes: tuple[Box, ...]) -> PageSpec:
    return PageSpec(width_mm=page.width_mm, height_mm=page.height_mm, language=page.language, title="", boxes=boxes)


def _area(page: PageSpec) -> str:
    physical = element("PhysicalBox", None, f"0 0 {number(page.width_mm)} {number(page.height_mm)}")
    return element("Area", None, physical)


def _root(page: PageSpec, metadata: OfdMetadata, seals: int) -> bytes:
    """OFD.xml (§7.4)."""
    custom = [(item.name, item.value) for item in metadata.fields]
    if metadata.licence_id is not None:
        custom.append((LICENCE_FIELD, metadata.licence_id))
    if len({name for name, _ in custom}) != len(custom):
        raise OfdWriteError("two fields of one name")
    texts = {
        "DocID": metadata.doc_id,
        "Title": page.title,
        "Author": metadata.author,
        "Subject": metadata.subject,
        "CreationDate": format_day(metadata.made_on),
        "Creator": metadata.creator,
    }
    info = [element(tag, None, escape(text)) for tag, text in texts.items()]
    if custom:
        datas = [element("CustomData", {"Name": name}, escape(value)) for name, value in custom]
        info.append(element("CustomDatas", None, *datas))
    body = [element("DocInfo", None, *info), element("DocRoot", None, f"/{_DOCUMENT}")]
    if seals:
        body.append(element("Signatures", None, f"/{SIGNATURES}"))
    return document(element("OFD", {"Version": "1.0", "DocType": "OFD"}, element("DocBody", None, *body)))


def _document(page: PageSpec, metadata: OfdMetadata, writer: _PageWriter, *, attached: bool) -> bytes:
    """Document.xml (§7.5)."""
    parts = [*_shown(page, writer), _permissions(metadata)]
    if metadata.fields:
        parts.append(element("CustomTags", None, f"/{DOC}/Tags/CustomTags.xml"))
    if attached:
        parts.append(element("Attachments", None, f"/{DOC}/Attachs/Attachments.xml"))
    return document(element("Document", None, *parts))


def _shown(page: PageSpec, writer: _PageWriter) -> tuple[str, str]:
    """The parts of Document.xml that say what is shown."""
    common = [
        element("MaxUnitID", None, str(writer.max_id)),
        element(
            "PageArea", None, element("PhysicalBox", None, f"0 0 {number(page.width_mm)} {number(page.height_mm)}")
        ),
        element("PublicRes", None, f"/{_PUBLIC}"),
        element("DocumentRes", None, f"/{_PICTURES}"),
    ]
    if writer.ground is not None:
        place: dict[str, str | int] = {
            "ID": writer.ground.id,
            "ZOrder": "Background",
            "BaseLoc": f"/{writer.ground.file.name}",
        }
        common.append(element("TemplatePage", place))
    leaf = element("Page", {"ID": writer.page_id, "BaseLoc": f"/{_CONTENT}"})
    return element("CommonData", None, *common), element("Pages", None, leaf)


def _permissions(metadata: OfdMetadata) -> str:
    """No editing; printing and further seals are allowed (§7.5, table 9)."""
    answers = {"Edit": 0, "Annot": 0, "Export": 1, "Signature": 1, "Watermark": 0, "PrintScreen": 1}
    parts = [element(tag, None, "true" if answer else "false") for tag, answer in answers.items()]
    parts.append(element("Print", {"Printable": "true", "Copies": -1}))
    period = {}
    if metadata.valid_from is not None:
        period["StartDate"] = f"{format_day(metadata.valid_from)}T00:00:00"
    if metadata.valid_until is not None:
        period["EndDate"] = f"{format_day(metadata.valid_until)}T23:59:59"
    if period:
        parts.append(element("ValidPeriod", period))
    return element("Permissions", None, *parts)


def _fonts(writer: _PageWriter) -> bytes:
    """PublicRes.xml; file names are relative to BaseLoc, the form every reader knows (§7.9)."""
    items = []
    for number_, name, file in writer.used.fonts.values():
        names: dict[str, str | int] = {"ID": number_, "FontName": name, "FamilyName": _FAMILY}
        items.append(element("Font", names, element("FontFile", None, file)))
    inside = [element("Fonts", None, *items)] if items else []
    return document(element("Res", {"BaseLoc": "Res"}, *inside))


def _pictures(writer: _PageWriter) -> bytes:
    """DocumentRes.xml."""
    items = []
    for number_, kind, file in writer.used.pictures:
        names: dict[str, str | int] = {"ID": number_, "Type": "Image", "Format": kind}
        items.append(element("MultiMedia", names, element("MediaFile", None, file)))
    inside = [element("MultiMedias", None, *items)] if items else []
    return document(element("Res", {"BaseLoc": "Res"}, *inside))


def _tags(metadata: OfdMetadata, writer: _PageWriter) -> Iterator[PackedFile]:
    """CustomTags.xml and the tag file: for every field the objects that show it."""
    if not metadata.fields:
        return
    name = f"{DOC}/Tags/Tag_Certificate.xml"
    tag = element("CustomTag", {"NameSpace": TAGS_NAMESPACE}, element("FileLoc", None, f"/{name}"))
    yield pack_file(f"{DOC}/Tags/CustomTags.xml", document(element("CustomTags", None, tag)))
    items = []
    for item in metadata.fields:
        shown = [number_ for box in item.boxes for number_ in writer.objects.get(box, ())]
        links = [element("ObjectRef", {"PageRef": writer.page_id}, str(number_), prefix="mz") for number_ in shown]
        items.append(element("Field", {"Name": item.name}, *links, prefix="mz"))
    root = element("Certificate", None, *items, prefix="mz")
    yield pack_file(name, document(root, prefix="mz", namespace=TAGS_NAMESPACE))


def _attachments(attachments: Mapping[str, bytes], metadata: OfdMetadata) -> Iterator[PackedFile]:
    """Attachments.xml and the files, hidden from a reader's list (§20)."""
    if not attachments:
        return
    items, files = [], []
    for at, label in enumerate(sorted(attachments), start=1):
        if not _LABEL.fullmatch(label):
            raise OfdWriteError("the name of an attachment is small ASCII letters, digits and underscores")
        kind, data = _FORMATS.get(label, "bin"), attachments[label]
        file = f"{DOC}/Attachs/{label}.{kind}"
        facts = {
            "ID": f"a{at}",
            "Name": label,
            "Format": kind,
            "CreationDate": f"{format_day(metadata.made_on)}T00:00:00",
            "Size": number(len(data) / 1024),
            "Visible": "false",
            "Usage": label,
        }
        items.append(element("Attachment", facts, element("FileLoc", None, f"/{file}")))
        files.append(pack_file(file, data))
    yield pack_file(f"{DOC}/Attachs/Attachments.xml", document(element("Attachments", None, *items)))
    yield from files
