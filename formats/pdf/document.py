"""What a certificate's PDF may hold, as a closed world: pages, our attachments, signature fields, nothing that acts.

Spec: ISO 32000-1 §7.7 (catalogue, pages), §12.5 (annotations), §12.6 (actions), §12.7 (forms), §8.11 (optional
content). The faults are facts of the file, whoever sealed it. Works on any source of objects. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from mingzheng.formats.candidate import SealMark
from mingzheng.formats.page import Rect
from mingzheng.formats.pdf.syntax import Name, NotPlainError, Ref, StreamValue, Value

__all__ = ["Document", "Fault", "Objects", "SealField", "dangers", "fault_of", "is_suspect", "read_document"]

Fault = tuple[str, str]

_OUR_FILES: Final = (b"credential", b"receipt")
_PAGES_MAX: Final = 64
_DEPTH: Final = 8
_MM: Final = 25.4 / 72
_WIDGET: Final = "Widget"
_NODE_TYPES: Final = {True: "Pages", False: "Page"}  # by whether there are kids

# Dictionary keys and names that make a file act, hide, or hold more than a certificate.
_KEYS: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("JS", "JavaScript", "OpenAction", "AA", "Rendition", "RichMediaContent", "Requirements"), "file.active"
    ),
    **dict.fromkeys(("OCProperties", "OCGs", "OC"), "file.layers"),
    **dict.fromkeys(("XFA", "NeedsRendering", "NeedAppearances"), "file.form"),
    **dict.fromkeys(("Collection", "RF"), "file.attachment"),
    **dict.fromkeys(("Alternates", "OPI", "PS", "Ref"), "file.active"),
    "Encrypt": "file.encrypted",
    # what one reader heeds and another does not: other tables, sizes, colours
    **dict.fromkeys(("XRefStm", "UserUnit", "TR", "TR2"), "file.structure"),
    **dict.fromkeys(("DefaultGray", "DefaultRGB", "DefaultCMYK"), "file.structure"),
}
_NAMES: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            *("JavaScript", "Launch", "GoToR", "GoToE", "SubmitForm", "ImportData", "ResetForm", "URI", "Hide"),
            *("Rendition", "RichMedia", "RichMediaExecute", "SetOCGState", "Movie", "Sound", "3D", "GoTo3DView"),
        ),
        "file.active",
    ),
    **dict.fromkeys(("OCG", "OCMD"), "file.layers"),
    "FileAttachment": "file.attachment",
    "PS": "file.active",
}
# Entries that are names by chance: structure types, page labels and the like are free for an author to choose.
_FREE: Final = frozenset({"BaseFont", "FontName", "Encoding", "Ordering", "Registry", "CharSet"})
_WORDS: Final = frozenset(word.encode() for word in (*_KEYS, *_NAMES))
_NAME: Final = re.compile(rb"/([^\0\t\n\f\r ()<>\[\]{}/%]++)")
_DISGUISE: Final = re.compile(rb"#(?!2[Ff])")


class Objects(Protocol):
    """A state of a document, object by object; every method may raise NotPlainError."""

    @property
    def trailer(self) -> Mapping[str, Value]:
        """The newest trailer."""

    def resolve(self, value: Value) -> Value:
        """The value itself, or what it refers to."""

    def dictionary(self, value: Value) -> Mapping[str, Value]:
        """What must be a dictionary."""

    def array(self, value: Value) -> tuple[Value, ...]:
        """What must be an array."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealField:
    """A signature field; `value` is None while nobody has signed it."""

    name: str
    number: int
    entries: Mapping[str, Value]
    value: Value
    marks: tuple[SealMark, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The fields of a document in their order, and what should not be in it."""

    root: Mapping[str, Value]
    form: Mapping[str, Value]
    fields: tuple[SealField, ...]
    faults: tuple[Fault, ...]


def is_suspect(text: bytes) -> bool:
    """Whether the text of objects holds a name that `dangers` would look at, or a disguised one. Fast."""
    names = _NAME.findall(text)
    if not _WORDS.isdisjoint(names):
        return True
    return _DISGUISE.search(text) is not None and any(_DISGUISE.search(name) for name in names)


def fault_of(word: str) -> str | None:
    """The fault a name stands for, wherever it stands."""
    return _KEYS.get(word) or _NAMES.get(word)


def dangers(values: Iterable[Value]) -> Iterator[Fault]:
    """Every key and name that acts or hides, in any of the values and inside them."""
    pending = list(values)
    while pending:
        value = pending.pop()
        if isinstance(value, StreamValue):
            value = value.entries
        if isinstance(value, Mapping):
            for key, inner in value.items():
                if key in _KEYS:
                    yield _KEYS[key], key
                if key not in _FREE:
                    pending.append(inner)
        elif isinstance(value, tuple) and not isinstance(value, Ref):
            pending.extend(value)
        elif isinstance(value, Name) and value in _NAMES:
            yield _NAMES[value], str(value)


def read_document(objects: Objects) -> Document:
    """Walk catalogue, attachments, pages and form. Raises NotPlainError where they cannot be followed."""
    root = objects.dictionary(objects.trailer.get("Root"))
    if root.get("Type") != "Catalog":
        raise NotPlainError("no catalogue")
    form: Mapping[str, Value] = {}
    faults = list(_attachments(objects, root))
    if "AcroForm" in root:
        form = objects.dictionary(root["AcroForm"])
    fields, form_faults = _fields(objects, form)
    faults += form_faults
    places: dict[int, tuple[SealMark, ...]] = {}
    for number, page in enumerate(_pages(objects, root), start=1):
        faults += _annotations(objects, page, number, {field.number: field for field in fields}, places)
    placed = tuple(
        SealField(
            name=one.name, number=one.number, entries=one.entries, value=one.value, marks=places.get(one.number, ())
        )
        for one in fields
    )
    return Document(root=root, form=form, fields=placed, faults=tuple(dict.fromkeys(faults)))


def _attachments(objects: Objects, root: Mapping[str, Value]) -> Iterator[Fault]:
    """Only `credential` and `receipt`, each once, in one flat list."""
    if "Names" not in root:
        return
    names = objects.dictionary(root["Names"])
    for key in sorted(names.keys() - {"EmbeddedFiles", "Dests"}):
        yield "file.active", key
    if "EmbeddedFiles" not in names:
        return
    files = objects.dictionary(names["EmbeddedFiles"])
    if files.keys() != {"Names"}:
        yield "file.attachment", "tree"
        return
    labels = objects.array(files["Names"])[::2]
    for place, label in enumerate(labels):
        if label not in _OUR_FILES or label in labels[:place]:
            yield "file.attachment", "name"


def _fields(objects: Objects, form: Mapping[str, Value]) -> tuple[tuple[SealField, ...], list[Fault]]:
    """The signature fields; any other field is a fault."""
    fields: list[SealField] = []
    faults: list[Fault] = []
    for item in objects.array(form["Fields"]) if "Fields" in form else ():
        if not isinstance(item, Ref) or any(item.number == one.number for one in fields):
            raise NotPlainError("a field without a number of its own")
        entries = objects.dictionary(item)
        name = entries.get("T")
        if entries.get("FT") != "Sig" or not isinstance(name, bytes) or entries.keys() & {"Kids", "Parent"}:
            faults.append(("file.form", "field"))
            continue
        title = _text(name)
        if any(one.name == title for one in fields):
            faults.append(("file.form", "name twice"))
        fields.append(SealField(name=title, number=item.number, entries=entries, value=entries.get("V"), marks=()))
    return tuple(fields), faults


def _text(value: bytes) -> str:
    """A text string (§7.9.2.2); bytes of PDFDocEncoding above ASCII as Latin-1."""
    if value[:2] == b"\xfe\xff":
        return value[2:].decode("utf-16-be", "replace")
    return value.decode("latin-1")


def _pages(objects: Objects, root: Mapping[str, Value]) -> Iterator[Mapping[str, Value]]:
    """The pages in order, with the entries they inherit (§7.7.3.4); seen from above and from below it is one tree."""
    seen: set[Ref] = set()
    count = 0

    def walk(value: Value, path: tuple[Ref, ...], inherited: Mapping[str, Value]) -> Iterator[Mapping[str, Value]]:
        nonlocal count
        if not isinstance(value, Ref) or value in seen or len(path) == _DEPTH:
            raise NotPlainError("a page tree that is none")
        seen.add(value)
        node = objects.dictionary(value)
        parent, above = node.get("Parent"), path[-1] if path else None
        if type(parent) is not type(above) or parent != above or node.get("Type") != _NODE_TYPES["Kids" in node]:
            raise NotPlainError("a page that says it hangs elsewhere")
        passed = {key: node[key] for key in ("MediaBox", "CropBox", "Rotate", "Resources") if key in node}
        if "Kids" in node:
            before = count
            for kid in objects.array(node["Kids"]):
                yield from walk(kid, (*path, value), {**inherited, **passed})
            if objects.resolve(node.get("Count")) != count - before:
                raise NotPlainError("another number of pages than there are")
            return
        count += 1
        if count > _PAGES_MAX:
            raise NotPlainError("too many pages")
        yield {**inherited, **node}

    yield from walk(root.get("Pages"), (), {})


def _annotations(
    objects: Objects,
    page: Mapping[str, Value],
    number: int,
    fields: Mapping[int, SealField],
    places: dict[int, tuple[SealMark, ...]],
) -> Iterator[Fault]:
    """Only the widgets of signature fields, each on one page."""
    if "Annots" not in page:
        return
    for item in objects.array(page["Annots"]):
        field = fields.get(item.number) if isinstance(item, Ref) else None
        if field is None or field.entries.get("Subtype") != _WIDGET or field.number in places:
            yield "file.annotation", f"page {number}"
        else:
            places[field.number] = _mark(objects, page, number, field)


def _mark(objects: Objects, page: Mapping[str, Value], number: int, field: SealField) -> tuple[SealMark, ...]:
    """Where the widget stands, in millimetres from the top left corner of the unturned page."""
    box = _corners(objects, page.get("CropBox", page.get("MediaBox")))
    left, bottom, right, top = _corners(objects, field.entries.get("Rect"))
    if right - left <= 0 or top - bottom <= 0:
        return ()
    rect = Rect(
        x_mm=(left - box[0]) * _MM,
        y_mm=(box[3] - top) * _MM,
        width_mm=(right - left) * _MM,
        height_mm=(top - bottom) * _MM,
    )
    return (SealMark(page=number, rect=rect),)


def _corners(objects: Objects, value: Value) -> tuple[float, float, float, float]:
    numbers = [float(item) for item in map(objects.resolve, objects.array(value)) if isinstance(item, int | float)]
    if len(numbers) != 4:
        raise NotPlainError("a rectangle of other than four numbers")
    return min(numbers[0::2]), min(numbers[1::2]), max(numbers[0::2]), max(numbers[1::2])
