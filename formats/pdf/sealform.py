"""Signature fields on a page of ours: fields, widgets, pictures, tags, and what later changes are allowed.

Specs: ISO 32000-1 §12.7.4.5 (signature fields, locks), §12.8.2 (DocMDP, FieldMDP), §14.7.4.4 (object references),
ISO 14289-1 §7.18 (every widget in a Form element with a description). All fields exist before the first seal; a field
that is not sealed yet shows nothing. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from mingzheng.formats.civil import date_of, day_of_time, day_start
from mingzheng.formats.page import Rect
from mingzheng.formats.pdf.content import POINTS_PER_MM, to_points
from mingzheng.formats.pdf.objects import array, dictionary, name, number, ref, stream, text_string
from mingzheng.formats.pdf.revise import PdfFile, PdfSealError

__all__ = ["Field", "SealPage", "Signature", "art_form", "fill_byte_range", "fit", "image_form", "signature_dictionary"]

_BOX: Final = re.compile(rb"/MediaBox \[([-0-9. ]+)\]")
_CATALOGUE: Final = re.compile(rb"<</Type /Catalog /Pages (\d+) 0 R .*?/StructTreeRoot (\d+) 0 R .*>>", re.DOTALL)
_PAGES: Final = re.compile(rb"<</Type /Pages /Kids \[(\d+) 0 R\] /Count 1>>")
_PAGE: Final = re.compile(rb"<</Type /Page /Parent \d+ 0 R /MediaBox \[[-0-9. ]+\] .*>>", re.DOTALL)
_TREE: Final = re.compile(
    rb"<</Type /StructTreeRoot /K \[(\d+) 0 R\] /ParentTree (\d+) 0 R /ParentTreeNextKey 1>>", re.DOTALL
)
_DOCUMENT: Final = re.compile(rb"(<</Type /StructElem /S /Document /P \d+ 0 R /K \[[0-9 R]*)(\]>>)")
_PARENTS: Final = re.compile(rb"(<</Nums \[0 \[[0-9 R]*\])(\]>>)")
_FLAGS: Final = b"132"  # print, locked
_FIELD_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{0,31}")
_MATRIX: Final = re.compile(rb"/MediaBox \[0 0 ([0-9.]+) ([0-9.]+)\] /Resources <<>> /Contents (\d+) 0 R")
_STREAM: Final = re.compile(rb"<</Filter /FlateDecode /Length \d+>>\n(stream\n.*)", re.DOTALL)
_REVISION_DATA: Final = b"/ByteRange [%-41b] /Contents <"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One signature field: its name, its place (none: invisible), what it is to someone who listens."""

    name: str
    rect: Rect | None
    alt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a signature dictionary says; `changes` is DocMDP's P, `lock` what FieldMDP locks."""

    kind: str  # ETSI.CAdES.detached, ETSI.RFC3161
    at: int | None
    reason: str
    changes: int | None
    lock: Mapping[str, bytes] | None
    size: int  # of the signature in bytes


class SealPage:
    """A page as `compose_pdf` made it, on the way to be sealed."""

    def __init__(self, data: bytes, fields: Sequence[Field]) -> None:
        names = [field.name for field in fields]
        if len(set(names)) != len(names) or not all(_FIELD_NAME.fullmatch(label) for label in names):
            raise PdfSealError("names of seal fields are letters and digits, each once")
        self.file = PdfFile(data)
        self.bodies = list(self.file.bodies)
        self._fields = tuple(fields)
        catalogue = self._match(_CATALOGUE, self.file.root)
        self._page = int(self._match(_PAGES, int(catalogue[1]))[1])
        self._match(_PAGE, self._page)
        self._tree = int(catalogue[2])
        box = [float(part) for part in self._found(_BOX, self._page)[1].split()]
        self._high_mm = box[3] / POINTS_PER_MM
        self.numbers = {field.name: self.add(b"") for field in fields}
        self._empty = self.add(_form(b"0 0 0 0", b""))
        self._write_fields()

    @property
    def size(self) -> int:
        """One more than the highest object number."""
        return len(self.bodies) + 1

    @property
    def catalogue(self) -> bytes:
        """The document catalogue as it stands now."""
        return self.bodies[self.file.root - 1]

    @property
    def lock(self) -> Mapping[str, bytes]:
        """What the last seal locks: every field, but not the one of the archive's time stamp."""
        open_fields = [b"(" + field.name.encode() + b")" for field in self._fields if field.rect is None]
        if open_fields:
            return {"Action": b"/Exclude", "Fields": array(open_fields)}
        return {"Action": b"/All"}

    def add(self, body: bytes) -> int:
        """A further object."""
        self.bodies.append(body)
        return len(self.bodies)

    def widget(self, label: str, *, picture: int | None, signature: int | None) -> bytes:
        """The field of a name, which is its widget as well: empty, or with picture and signature."""
        place = next(index for index, field in enumerate(self._fields) if field.name == label)
        field = self._fields[place]
        corners = (0.0, 0.0, 0.0, 0.0) if field.rect is None else to_points(field.rect, self._high_mm)
        entries = {
            "Type": b"/Annot",
            "Subtype": b"/Widget",
            "FT": b"/Sig",
            "T": b"(" + label.encode() + b")",
            "TU": text_string(field.alt),
            "Contents": text_string(field.alt),
            "Rect": array(number(value) for value in corners),
            "P": ref(self._page),
            "F": _FLAGS,
            "StructParent": b"%d" % (place + 1),
            "AP": dictionary(N=ref(self._empty if picture is None else picture)),
        }
        if place and field.rect is not None:
            entries["Lock"] = dictionary({"Type": b"/SigFieldLock", **self.lock, "P": b"1"})
        if signature is not None:
            entries["V"] = ref(signature)
        return dictionary(entries)

    def _write_fields(self) -> None:
        numbers = self.numbers
        tree = self._match(_TREE, self._tree)
        document, parents = int(tree[1]), int(tree[2])
        forms = []
        for field in self._fields:
            self.bodies[numbers[field.name] - 1] = self.widget(field.name, picture=None, signature=None)
            forms.append(self.add(self._form_element(field, document)))
        shown = array(ref(numbers[field.name]) for field in self._fields)
        self._extend(self.file.root, b" /AcroForm <</Fields %b /SigFlags 3>>" % shown)
        self._extend(self._page, b" /Annots %b" % shown)
        kids = b"".join(b" " + ref(form) for form in forms)
        self._insert(_DOCUMENT, document, kids)
        self._insert(_PARENTS, parents, b"".join(b" %d %b" % (at, ref(form)) for at, form in enumerate(forms, 1)))
        old = self.bodies[self._tree - 1]
        self.bodies[self._tree - 1] = old.replace(b"NextKey 1>>", b"NextKey %d>>" % (1 + len(forms)))

    def _form_element(self, field: Field, document: int) -> bytes:
        kid = dictionary(Type=b"/OBJR", Obj=ref(self.numbers[field.name]), Pg=ref(self._page))
        return dictionary(
            Type=b"/StructElem", S=b"/Form", P=ref(document), Pg=ref(self._page), K=kid, Alt=text_string(field.alt)
        )

    def _extend(self, item: int, entries: bytes) -> None:
        body = self.bodies[item - 1]
        self.bodies[item - 1] = body[:-2] + entries + b">>"

    def _insert(self, pattern: re.Pattern[bytes], item: int, entries: bytes) -> None:
        found = self._match(pattern, item)
        self.bodies[item - 1] = found[1] + entries + found[2]

    def _match(self, pattern: re.Pattern[bytes], item: int) -> re.Match[bytes]:
        found = pattern.fullmatch(self.bodies[item - 1]) if 0 < item <= len(self.bodies) else None
        if found is None:
            raise PdfSealError("只能给本程序制作、尚未加盖印章的 PDF 盖章 / not an unsealed page of this program")
        return found

    def _found(self, pattern: re.Pattern[bytes], item: int) -> re.Match[bytes]:
        found = pattern.search(self.bodies[item - 1])
        assert found is not None  # _PAGE has it
        return found


@lru_cache(maxsize=16)
def art_form(art: bytes) -> tuple[bytes, float]:
    """A page of `sealart.seal_art_pdf` as a form object, and its height by its width."""
    for body in PdfFile(art).bodies:
        found = _MATRIX.search(body)
        if found is not None:
            drawn = _STREAM.fullmatch(PdfFile(art).bodies[int(found[3]) - 1])
            if drawn is not None:
                data = drawn[1].removeprefix(b"stream\n").removesuffix(b"\nendstream")
                return _form(b"0 0 %b %b" % (found[1], found[2]), data, packed=True), float(found[2]) / float(found[1])
    raise PdfSealError("the picture of a seal is made by seal_art_pdf, or is a PNG")


def fit(rect: Rect, shape: float) -> Rect:
    """The largest rectangle of a shape (height by width) in the middle of another."""
    width = min(rect.width_mm, rect.height_mm / shape)
    height = width * shape
    return Rect(
        x_mm=rect.x_mm + (rect.width_mm - width) / 2,
        y_mm=rect.y_mm + (rect.height_mm - height) / 2,
        width_mm=width,
        height_mm=height,
    )


def image_form(image: int, shape: float) -> bytes:
    """A form object that shows an image object."""
    high = number(100 * shape)
    drawing = b"q 100 0 0 %b 0 0 cm /X0 Do Q" % high
    return _form(b"0 0 100 " + high, drawing, resources=dictionary(XObject=dictionary(X0=ref(image))))


def signature_dictionary(signature: Signature) -> bytes:
    """A signature dictionary with room for byte range and signature."""
    entries: dict[str, bytes] = {}
    if signature.at is not None:
        entries["M"] = _moment(signature.at)
    if signature.reason:
        entries["Reason"] = text_string(signature.reason)
    references = []
    if signature.changes is not None:
        references.append(_transform("DocMDP", {"P": b"%d" % signature.changes}))
    if signature.lock is not None:
        references.append(_transform("FieldMDP", signature.lock))
    if references:
        entries["Reference"] = array(references)
    kind = b"/DocTimeStamp" if signature.kind == "ETSI.RFC3161" else b"/Sig"
    head = b"<</Type %b /Filter /Adobe.PPKLite /SubFilter %b " % (kind, name(signature.kind))
    rest = dictionary(entries)[2:]
    return head + _REVISION_DATA % b"" + b"0" * (2 * signature.size) + b"> " + rest


def fill_byte_range(data: bytes, offset: int) -> tuple[bytearray, int, int]:
    """Write the byte range of the signature dictionary at `offset`; returns the file and the ends of the gap."""
    place = data.index(b"/ByteRange [", offset)
    begin = data.index(b"<", place)
    end = data.index(b">", begin) + 1
    out = bytearray(data)
    numbers = b"0 %d %d %d" % (begin, end, len(data) - end)
    filled = b"/ByteRange [%b]" % numbers
    room = begin - len(b"/Contents ") - place
    out[place : place + room] = filled.ljust(room)
    return out, begin, end


def _transform(method: str, parameters: Mapping[str, bytes]) -> bytes:
    inner = dictionary({"Type": b"/TransformParams", **parameters, "V": b"/1.2"})
    return dictionary(Type=b"/SigRef", TransformMethod=name(method), TransformParams=inner)


def _form(box: bytes, data: bytes, *, packed: bool = False, resources: bytes = b"<<>>") -> bytes:
    entries = {
        "Type": b"/XObject",
        "Subtype": b"/Form",
        "BBox": b"[" + box + b"]",
        "Resources": resources,
    }
    if packed:
        entries["Filter"] = b"/FlateDecode"
    return stream(data, entries, compress=False)


def _moment(at: int) -> bytes:
    day = day_of_time(at)
    seconds = at - day_start(day)
    clock = b"%02d%02d%02d" % (seconds // 3600, seconds // 60 % 60, seconds % 60)
    return b"(D:%b%b+08'00')" % (date_of(day).strftime("%Y%m%d").encode(), clock)
