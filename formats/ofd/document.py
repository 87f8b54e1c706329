"""What an OFD package shows: documents, pages, templates, resources, annotations, attachments, signature list.

Source: GB/T 33190 §7 (document structure), its schemas. Elements go by their local names; the namespaces of 2016 and
before, and none, are accepted. Links (ST_Loc) are absolute ("/Doc_0/…") or relative to the file that holds them;
as other makers write them, they may differ in capital letters from the entry they mean, which is no doubt because
a package holds no two such names. A page, template or resource whose XML is broken is listed in `damaged`, a link
to nothing in `missing`: both are for the integrity check to judge; only without a root, a document or a page there
is nothing to show. Pure.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from mingzheng.formats.ofd.errors import OfdDocumentError, OfdDocumentLimitError, OfdXmlError
from mingzheng.formats.ofd.xmlread import Element, parse_counted
from mingzheng.formats.page import Rect

if TYPE_CHECKING:
    from mingzheng.formats.limits import OfdLimits
    from mingzheng.formats.ofd.package import Package

__all__ = [
    "NAMESPACES",
    "OfdAttachment",
    "OfdBody",
    "OfdFile",
    "OfdPage",
    "OfdResource",
    "OfdSignature",
    "OfdTemplate",
    "name_at",
    "parse_box",
    "read_ofd",
]

NAMESPACES: Final = frozenset({"http://www.ofdspec.org/2016", "http://www.ofdspec.org", ""})

_ROOT: Final = "OFD.xml"
_MM_MAX: Final = 100_000.0
_RESOURCE_GROUPS: Final = {
    "Fonts": "Font",
    "MultiMedias": "MultiMedia",
    "ColorSpaces": "ColorSpace",
    "DrawParams": "DrawParam",
    "CompositeGraphicUnits": "CompositeGraphicUnit",
}
_LIST_ATTRIBUTES: Final = frozenset({"ID", "Type", "BaseLoc", "Relative"})
_KINDS: Final = frozenset({"Seal", "Sign"})
_DETOURS: Final = frozenset({"", ".", ".."})
_ODD: Final = frozenset("\\%#?: \t\r\n")  # a reader who takes a link for an address or a Windows path goes elsewhere


@dataclass(frozen=True, slots=True, kw_only=True)
class OfdResource:
    """A font, picture, colour space, drawing parameter or composite object; `file` is the name in the package."""

    id: str
    kind: str  # "Font", "MultiMedia", "ColorSpace", "DrawParam", "CompositeGraphicUnit"
    element: Element
    file: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfdTemplate:
    """A template page as one page uses it; `foreground`: drawn over the page's content."""

    id: str
    file: str
    root: Element
    foreground: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OfdPage:
    """A page, drawn in this order: background templates, layers of `root`, foreground templates, annotations, seals.

    `resources` are those of the document overlaid with the page's own, by ID; `annotations` are Annot elements.
    """

    number: int  # from 1
    id: str
    file: str
    root: Element
    box: Rect  # PhysicalBox; its corner is the origin of the page
    templates: tuple[OfdTemplate, ...]
    resources: Mapping[str, OfdResource]
    annotations: tuple[Element, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfdAttachment:
    """An attachment; `file` is None if its link leads nowhere."""

    id: str
    name: str
    format: str
    file: str | None
    visible: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OfdSignature:
    """An entry of the signature list; `file` is its Signature.xml, None if the link leads nowhere."""

    id: str
    kind: str  # "Seal", "Sign"
    file: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfdBody:
    """One DocBody: most files have one; the others are judged as well and flagged."""

    doc_id: str
    custom: Mapping[str, str]  # CustomData by name, the first of each
    root_file: str  # Document.xml
    pages: tuple[OfdPage, ...]
    resources: Mapping[str, OfdResource]
    attachments: tuple[OfdAttachment, ...]
    list_named: bool  # OFD.xml names a list of signatures
    signature_list: str | None  # Signatures.xml; None: not named, or not there
    list_faulty: bool  # the list holds something that does not belong in it, or cannot be read
    signatures: tuple[OfdSignature, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfdFile:
    """The package as a whole. `reachable`: every file a reader comes to from OFD.xml, signature files excepted."""

    package: Package  # the bytes of every file
    bodies: tuple[OfdBody, ...]
    reachable: frozenset[str]
    missing: tuple[str, ...]  # linked, not there
    damaged: tuple[str, ...]  # not well-formed XML
    two_ways: tuple[str, ...]  # links that another reader may follow to another file, or to none
    trees: Mapping[str, Element]  # every XML file that was read, by name

    @property
    def pages(self) -> tuple[OfdPage, ...]:
        """The pages of the first document, which is what readers open."""
        return self.bodies[0].pages


def read_ofd(package: Package, *, limits: OfdLimits) -> OfdFile:
    """The structure of the package.

    Raises OfdDocumentError (no root, document or page), OfdXmlError of hostile XML, limits of XML and document.
    Cost: every XML file once; 2 ms for a certificate.
    """
    reader = _Reader(package, limits)
    root = reader.need(_ROOT)
    if root.tag != "OFD" or root.namespace not in NAMESPACES:
        raise OfdDocumentError("OFD.xml is not the root of an OFD package")
    bodies = tuple(_read_body(reader, item) for item in reader.items(root, "DocBody", limit=limits.documents))
    if not bodies:
        raise OfdDocumentError("an OFD package without a document")
    return OfdFile(
        package=package,
        bodies=bodies,
        reachable=frozenset(reader.reachable),
        missing=tuple(dict.fromkeys(reader.missing)),
        damaged=tuple(dict.fromkeys(reader.damaged)),
        two_ways=tuple(dict.fromkeys(reader.two_ways)),
        trees=MappingProxyType({name: tree for name, tree in reader.trees.items() if tree is not None}),
    )


def parse_box(text: str | None) -> Rect | None:
    """ST_Box: four numbers in millimetres with any blanks between, of positive size; None for anything else."""
    try:
        left, top, width, height = (float(part) for part in (text or "").split())
    except ValueError:
        return None
    if not all(abs(value) <= _MM_MAX for value in (left, top, width, height)) or width <= 0 or height <= 0:
        return None
    return Rect(x_mm=left, y_mm=top, width_mm=width, height_mm=height)


def name_at(start: str, location: str) -> str:
    """The name that a location means to who starts in that folder of the package, "" being the topmost."""
    bare = location.removeprefix("/")
    if _DETOURS.isdisjoint(bare.split("/")) and (not start or _DETOURS.isdisjoint(start.split("/"))):
        absolute = not start or location.startswith("/")
        return bare if absolute else f"{start}/{bare}"  # what the line below comes to, ten times faster
    return posixpath.normpath(posixpath.join("/", start, location)).lstrip("/")


def _inner(start: str, folder: str) -> str:
    return posixpath.join(start, folder) if folder else start


class _Reader:
    """Resolves links, parses each file once, and remembers what it met."""

    def __init__(self, package: Package, limits: OfdLimits) -> None:
        self.package, self.limits = package, limits
        self.nodes = limits.xml_nodes
        self.reachable: set[str] = set()
        self.missing: list[str] = []
        self.damaged: list[str] = []
        self.two_ways: list[str] = []
        self.trees: dict[str, Element | None] = {}
        self.templates: set[str] = set()

    def link(self, base: str, location: str | None, *, folder: str = "", keep: bool = True) -> str | None:
        """The file that a link in file `base` means; `folder` is the BaseLoc of a resource file."""
        if not location:
            return None
        folder = folder.strip()
        name = name_at(_inner(base.rpartition("/")[0], folder), location.strip())
        found = self.package.find(name)
        if found is None:
            self.missing.append(name)
        elif keep:
            self.reachable.add(found)
        plain = found == name and location.strip() == location and _ODD.isdisjoint(location)
        plain &= _DETOURS.isdisjoint(location.removeprefix("/").split("/"))
        if not plain or self._elsewhere(base, folder, location) - {found}:
            self.two_ways.append(name)
        return found

    def _elsewhere(self, base: str, folder: str, location: str) -> set[str]:
        """The files of the package that this link means to readers who start from another folder."""
        starts, start = [""], base.rpartition("/")[0]
        while start:
            starts.append(start)
            start = start.rpartition("/")[0]
        if folder:
            starts += [_inner(start, folder) for start in starts]
        bare = location.lstrip("/")
        names = {self.package.find(name_at(start, bare)) for start in starts}
        return {name for name in names if name is not None}

    def need(self, name: str) -> Element:
        """The tree of a file without which there is nothing to show."""
        found = self.package.find(name)
        if found is None:
            raise OfdDocumentError("a file that the package cannot do without is missing")
        self.reachable.add(found)
        tree = self.trees[found] = self._parse(found)
        return tree

    def tree(self, name: str | None) -> Element | None:
        """The tree of a linked file; None if there is no file or it is broken."""
        if name is None:
            return None
        if name not in self.trees:
            try:
                self.trees[name] = self._parse(name)
            except OfdXmlError as error:
                if type(error) is not OfdXmlError:  # hostile, not merely broken
                    raise
                self.damaged.append(name)
                self.trees[name] = None
        return self.trees[name]

    def items(self, parent: Element | None, tag: str, *, limit: int | None = None) -> list[Element]:
        """The children of this name, within the limit."""
        found = [] if parent is None else parent.every(tag)
        most = self.limits.items if limit is None else limit
        if len(found) > most:
            raise OfdDocumentLimitError(f"{tag} elements", limit=most, got=len(found))
        return found

    def _parse(self, name: str) -> Element:
        root, count = parse_counted(self.package.files[name], limits=self.limits, nodes=self.nodes)
        self.nodes -= count
        return root


def _read_body(reader: _Reader, element: Element) -> OfdBody:
    info = element.first("DocInfo")
    place = reader.link(_ROOT, element.text_of("DocRoot"))
    if place is None:
        raise OfdDocumentError("a document of the package is missing")
    document = reader.need(place)
    if document.tag != "Document" or document.namespace not in NAMESPACES:
        raise OfdDocumentError("a document of the package is none")
    listed = reader.link(_ROOT, element.text_of("Signatures"), keep=False)
    signatures, faulty = _read_list(reader, listed)
    _touch_others(reader, element, place, document)
    common = document.first("CommonData")
    resources = _resources(reader, place, [] if common is None else [*common.children])
    return OfdBody(
        doc_id="" if info is None else info.text_of("DocID") or "",
        custom=_custom(info),
        root_file=place,
        pages=_read_pages(reader, place, document, resources),
        resources=resources,
        attachments=tuple(_read_attachments(reader, place, document)),
        list_named=bool(element.text_of("Signatures")),
        signature_list=listed,
        list_faulty=faulty,
        signatures=signatures,
    )


def _custom(info: Element | None) -> Mapping[str, str]:
    datas = None if info is None else info.first("CustomDatas")
    found: dict[str, str] = {}
    for item in () if datas is None else datas.every("CustomData"):
        found.setdefault(item.get("Name") or "", item.text)
    return MappingProxyType(found)


def _read_list(reader: _Reader, place: str | None) -> tuple[tuple[OfdSignature, ...], bool]:
    """The signature list. No seal covers it, so nothing may be in it that need not be."""
    if place is None:
        return (), False
    root = reader.tree(place)
    if root is None or root.tag != "Signatures" or root.namespace not in NAMESPACES:
        return (), True
    items = reader.items(root, "Signature", limit=reader.limits.signatures)
    faulty = bool(root.text.strip() or root.attributes)
    for child in root.children:
        known = child.tag == "MaxSignId" and not child.attributes
        known |= child.tag == "Signature" and child.attributes.keys() <= _LIST_ATTRIBUTES and not child.text.strip()
        faulty |= not known or bool(child.children) or child.namespace != root.namespace
    signatures = []
    for item in items:
        file = reader.link(place, item.get("BaseLoc"), keep=False)
        signatures.append(OfdSignature(id=item.get("ID") or "", kind=item.get("Type") or "Seal", file=file))
    files = [item.file for item in signatures]
    faulty |= len(set(files)) != len(files) or None in files or any(item.kind not in _KINDS for item in signatures)
    return tuple(signatures), faulty


def _touch_others(reader: _Reader, body: Element, place: str, document: Element) -> None:
    """Follow the links that lead to no page: versions, tags, extensions."""
    versions = body.first("Versions")
    for version in reader.items(versions, "Version"):
        listed = reader.link(_ROOT, version.get("BaseLoc"))
        tree = reader.tree(listed)
        files = None if tree is None else tree.first("FileList")
        for item in reader.items(files, "File"):
            reader.link(listed or _ROOT, item.text.strip(), keep=False)  # a list of what there was, no content
    tags = reader.link(place, document.text_of("CustomTags"))
    for item in reader.items(reader.tree(tags), "CustomTag"):
        reader.link(tags or place, item.text_of("SchemaLoc"))
        reader.link(tags or place, item.text_of("FileLoc"))
    extensions = reader.link(place, document.text_of("Extensions"))
    for item in reader.items(reader.tree(extensions), "Extension"):
        reader.link(extensions or place, item.text_of("ExtendData"))


def _resources(reader: _Reader, base: str, links: list[Element]) -> Mapping[str, OfdResource]:
    """The resources behind the links to resource files among these elements, by ID; the first of each."""
    found: dict[str, OfdResource] = {}
    places = [reader.link(base, link.text) for link in links if link.tag in ("PublicRes", "DocumentRes", "PageRes")]
    for place in dict.fromkeys(places):  # a file linked a thousand times is read once
        tree = reader.tree(place)
        if tree is None or place is None:
            continue
        for group, kind in _RESOURCE_GROUPS.items():
            for holder in reader.items(tree, group):
                for item in reader.items(holder, kind):
                    resource = _resource(reader, place, tree.get("BaseLoc") or "", item)
                    found.setdefault(resource.id, resource)
    return MappingProxyType(found)


def _resource(reader: _Reader, base: str, folder: str, item: Element) -> OfdResource:
    location = {"Font": item.text_of("FontFile"), "MultiMedia": item.text_of("MediaFile")}.get(item.tag)
    if item.tag == "ColorSpace":
        location = item.get("Profile")
    file = reader.link(base, location, folder=folder)
    return OfdResource(id=item.get("ID") or "", kind=item.tag, element=item, file=file)


def _read_pages(
    reader: _Reader, base: str, document: Element, resources: Mapping[str, OfdResource]
) -> tuple[OfdPage, ...]:
    common = document.first("CommonData")
    area = None if common is None else common.first("PageArea")
    whole = None if area is None else parse_box(area.text_of("PhysicalBox"))
    templates = {item.get("ID") or "": item for item in reversed(reader.items(common, "TemplatePage"))}
    files = {key: reader.link(base, item.get("BaseLoc")) for key, item in templates.items()}
    notes = _annotations(reader, base, document)
    pages = []
    items = reader.items(document.first("Pages"), "Page", limit=reader.limits.pages)
    for number, item in enumerate(items, start=1):
        place = reader.link(base, item.get("BaseLoc"))
        root = reader.tree(place)
        if place is None or root is None:
            continue  # noted as missing or damaged
        own = root.first("Area")
        box = (None if own is None else parse_box(own.text_of("PhysicalBox"))) or whole
        if box is None:
            raise OfdDocumentError("a page without a size")
        page = OfdPage(
            number=number,
            id=item.get("ID") or "",
            file=place,
            root=root,
            box=box,
            templates=tuple(_templates(reader, root, templates, files)),
            resources=MappingProxyType({**resources, **_resources(reader, place, [*root.children])}),
            annotations=notes.get(item.get("ID") or "", ()),
        )
        pages.append(page)
    if not items:
        raise OfdDocumentError("a document without a page")
    return tuple(pages)


def _templates(
    reader: _Reader, page: Element, templates: Mapping[str, Element], files: Mapping[str, str | None]
) -> Iterator[OfdTemplate]:
    for use in reader.items(page, "Template", limit=reader.limits.page_templates):
        key = use.get("TemplateID") or ""
        place = files.get(key)
        root = reader.tree(place)
        if place is None or root is None:
            continue
        order = use.get("ZOrder") or templates[key].get("ZOrder") or "Background"
        if place not in reader.templates:
            reader.templates.add(place)
            _resources(reader, place, [*root.children])
        yield OfdTemplate(id=key, file=place, root=root, foreground=order == "Foreground")


def _annotations(reader: _Reader, base: str, document: Element) -> Mapping[str, tuple[Element, ...]]:
    """The annotations by ID of their page."""
    place = reader.link(base, document.text_of("Annotations"))
    found: dict[str, list[Element]] = {}
    count = 0
    for item in reader.items(reader.tree(place), "Page"):
        file = reader.link(place or base, item.text_of("FileLoc"))
        notes = reader.items(reader.tree(file), "Annot")
        count += len(notes)
        if count > reader.limits.items:
            raise OfdDocumentLimitError("annotations", limit=reader.limits.items, got=count)
        found.setdefault(item.get("PageID") or "", []).extend(notes)
    return {key: tuple(notes) for key, notes in found.items()}


def _read_attachments(reader: _Reader, base: str, document: Element) -> Iterator[OfdAttachment]:
    place = reader.link(base, document.text_of("Attachments"))
    for item in reader.items(reader.tree(place), "Attachment"):
        yield OfdAttachment(
            id=item.get("ID") or "",
            name=item.get("Name") or "",
            format=item.get("Format") or "",
            file=reader.link(place or base, item.text_of("FileLoc")),
            visible=item.get("Visible") != "false",
        )
