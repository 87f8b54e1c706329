"""Does a PDF draw exactly the objects that our own writer makes for a page? Told without drawing anything.

A file is taken apart by the strict reader of our own shape: one plain table a revision, every object announced, defined
once, where its table says (`skeleton`, `lean`). If then the page and everything it refers to are byte for byte the
objects of `compose.page_objects`, if catalogue and page tree hold nothing else that could draw, hide or act, and if
every annotation is a seal whose picture is nothing but red and is clipped to its place, then every reader draws the
page that we would draw. Anything else raises NotPlainError and says nothing about the file: it is drawn and compared
then (docs/spec/documents.md, "Pages that need no drawing"). Spec: ISO 32000-1 §7.7, §12.5.5. Pure.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from mingzheng.formats.candidate import SealFacts
from mingzheng.formats.page import Rect
from mingzheng.formats.pdf.archive import output_intents
from mingzheng.formats.pdf.inflate import STREAM_MAX, TOTAL_MAX, check_inflated
from mingzheng.formats.pdf.lean import check_skeleton
from mingzheng.formats.pdf.objects import HEADER, PdfObjects
from mingzheng.formats.pdf.redface import is_red_drawing
from mingzheng.formats.pdf.skeleton import Skeleton, View, read_skeleton
from mingzheng.formats.pdf.syntax import Name, NotPlainError, Ref, StreamValue, Value, parse_value
from mingzheng.formats.signedimages import CANDIDATES_MAX, png_around

__all__ = ["OwnPdf", "draws_the_same", "read_own"]

_TREE, _LEAF = 2, 3  # numbers of page tree and page in a file of `compose_pdf`
_TREE_BODY: Final = b"<</Type /Pages /Kids [3 0 R] /Count 1>>"
_ANNOTATIONS: Final = re.compile(rb" /Annots \[((?:[1-9]\d{0,5} 0 R ?)+)\]>>")
_ROOT_KEYS: Final = frozenset(
    (
        *("Type", "Pages", "Lang", "MarkInfo", "StructTreeRoot", "ViewerPreferences", "OutputIntents", "Metadata"),
        *("Names", "AF", "AcroForm", "Perms", "DSS"),
    )
)
_ROOT_VALUES: Final[Mapping[str, Value]] = {
    "Type": Name("Catalog"),
    "Pages": Ref(_TREE, 0),
    "MarkInfo": {"Marked": True},
    "ViewerPreferences": {"DisplayDocTitle": True, "PrintScaling": Name("None")},
}
_WIDGET: Final[Mapping[str, Value]] = {
    "Type": Name("Annot"),
    "Subtype": Name("Widget"),
    "FT": Name("Sig"),
    "P": Ref(_LEAF, 0),
    "F": 132,  # print, locked
}
_WIDGET_FREE: Final = frozenset({"T", "TU", "Contents", "StructParent", "Lock", "V"})
_FACE_KEYS: Final = frozenset({"Type", "Subtype", "BBox", "Resources", "Filter", "Length"})
_FILE_KEYS: Final = frozenset({"Type", "Subtype", "Params", "Length"})
_FILES_MAX: Final = 2
_FLATE: Final = re.compile(rb"(<<[^\r]*?/Filter /FlateDecode) /Length (\d{1,9})>>\nstream\n")
_STREAM_END: Final = b"\nendstream"
_CHANNELS: Final[Mapping[Value, int]] = {Name("DeviceGray"): 1, Name("DeviceRGB"): 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPdf:
    """A file of our own shape that holds no fault.

    `attachments` by name, `images` the picture files of its page as they may have been before they went in, `places`
    where its seals stand, in millimetres from the top left corner of the page.
    """

    skeleton: Skeleton
    attachments: tuple[tuple[str, bytes], ...]
    images: tuple[bytes, ...]
    seals: tuple[SealFacts, ...]
    places: tuple[Rect, ...]


def read_own(data: bytes) -> OwnPdf:
    """Everything but the page's own objects, checked. Raises NotPlainError. Cost: 3 ms with two seals."""
    if not data.startswith(HEADER):
        raise NotPlainError("another head than ours")
    skeleton = read_skeleton(data)
    checked = check_skeleton(skeleton)
    if checked is None or checked[1] or any(seal.faults for seal in checked[0]):
        raise NotPlainError("a file with faults, or of another shape")
    seals = checked[0]
    if not seals and len(skeleton.revisions) > 1:
        raise NotPlainError("saved again, and nobody answers for it")
    _check_order(skeleton)
    view = skeleton.view(len(skeleton.revisions))
    root = view.dictionary(view.trailer.get("Root"))
    _check_catalogue(skeleton, view, root)
    places, faces = _places(view, root, seals)
    _check_streams(skeleton, {_profile(root), *faces, *_page_streams(view)})
    return OwnPdf(
        skeleton=skeleton,
        attachments=tuple(_attachments(view, root)),
        images=tuple(_images(view)),
        seals=seals,
        places=places,
    )


def draws_the_same(own: OwnPdf, bodies: Sequence[bytes]) -> bool:
    """Tell whether the file's page is the one whose objects are `bodies` (`compose.page_objects`)."""
    skeleton = own.skeleton
    view = skeleton.view(len(skeleton.revisions))
    numbers = range(_LEAF, len(bodies) + 1)
    if any(_definitions(skeleton, number) != 1 for number in numbers):
        return False
    wanted = bodies[_LEAF - 1]
    leaf = _body(view, _LEAF)
    annotated = _ANNOTATIONS.fullmatch(leaf, len(wanted) - 2)
    if leaf != wanted and (annotated is None or leaf[: len(wanted) - 2] != wanted[:-2]):
        return False
    return all(_is_same(_body(view, number), bodies[number - 1]) for number in numbers[1:])


def _definitions(skeleton: Skeleton, number: int) -> int:
    return (
        sum(number in revision.spans for revision in skeleton.revisions) if number in skeleton.revisions[0].spans else 0
    )


def _body(view: View, number: int) -> bytes:
    """An object as it is written between its head and its end; empty if there is none."""
    span = view.spans.get(number)
    if span is None:
        return b""
    if span.data_start < 0:
        return view.data[span.start : span.end]
    return view.data[span.start : span.data_end + len(_STREAM_END)].removeprefix(b"\n")


def _is_same(theirs: bytes, ours: bytes) -> bool:
    """Equal bytes, or the same deflated by another library, which leaves no choice to who inflates it."""
    if theirs == ours:
        return True
    mine, other = _FLATE.match(ours), _FLATE.match(theirs)
    if mine is None or other is None or mine[1] != other[1] or not theirs.endswith(_STREAM_END):
        return False
    plain = zlib.decompress(ours[mine.end() : -len(_STREAM_END)])
    coded = theirs[other.end() : -len(_STREAM_END)]
    unpacker = zlib.decompressobj()
    try:
        found = unpacker.decompress(coded, len(plain) + 1)
    except zlib.error:
        return False
    return found == plain and unpacker.eof and not unpacker.unused_data and len(coded) == int(other[2])


def _check_order(skeleton: Skeleton) -> None:
    """The objects of the first save in the order of their numbers: no reader finds a linearized file (annex F)."""
    spans = skeleton.revisions[0].spans
    if sorted(spans, key=lambda number: spans[number].start) != list(range(1, len(spans) + 1)):
        raise NotPlainError("objects in another order than ours")


def _check_catalogue(skeleton: Skeleton, view: View, root: Mapping[str, Value]) -> None:
    """One page in the tree, which gives nothing to it, and no entry that we do not write."""
    if not root.keys() <= _ROOT_KEYS or any(root.get(key) != value for key, value in _ROOT_VALUES.items()):
        raise NotPlainError("another catalogue than ours")
    if _definitions(skeleton, _TREE) != 1 or _body(view, _TREE) != _TREE_BODY:
        raise NotPlainError("another page tree than ours")
    number = _profile(root)
    text, profile = _intent(number)
    if root.get("OutputIntents") != parse_value(text, 0, len(text)) or _definitions(skeleton, number) != 1:
        raise NotPlainError("colours meant otherwise")
    if not _is_same(_body(view, number), profile):
        raise NotPlainError("another colour profile")


def _profile(root: Mapping[str, Value]) -> int:
    """The number of the colour profile."""
    intents = root.get("OutputIntents")
    if isinstance(intents, tuple) and len(intents) == 1 and isinstance(intents[0], Mapping):
        found = intents[0].get("DestOutputProfile")
        if isinstance(found, Ref):
            return found.number
    raise NotPlainError("no colour profile")


@lru_cache(maxsize=8)
def _intent(number: int) -> tuple[bytes, bytes]:
    """The output intents as we write them, their profile being the object of this number; and the profile."""
    sink = PdfObjects()
    text = output_intents(sink)
    (profile,) = sink.written()
    return text.replace(b" 1 0 R", b" %d 0 R" % number), profile


def _attachments(view: View, root: Mapping[str, Value]) -> Iterator[tuple[str, bytes]]:
    """Our attachments as every reader finds them: one name, one stream, not packed."""
    if "Names" not in root:
        return
    names = view.dictionary(root["Names"])
    files = view.dictionary(names.get("EmbeddedFiles"))
    items = view.array(files.get("Names"))
    labels = items[0::2]
    if names.keys() != {"EmbeddedFiles"} or files.keys() != {"Names"} or len(items) > 2 * _FILES_MAX:
        raise NotPlainError("other names than ours")
    if len(items) % 2 or list(labels) != sorted({label for label in labels if isinstance(label, bytes)}):
        raise NotPlainError("names out of order")
    for label, item in zip(labels, items[1::2], strict=True):
        spec = view.dictionary(item)
        held = view.dictionary(spec.get("EF"))
        link = held.get("F")
        file = view.resolve(link)
        assert isinstance(label, bytes)
        same = spec.get("F") == label and spec.get("UF") == b"\xfe\xff" + label.decode("latin-1").encode("utf-16-be")
        if not same or held.keys() != {"F", "UF"} or not isinstance(link, Ref) or held["UF"] != link:
            raise NotPlainError("an attachment of two names or two bodies")
        if not isinstance(file, StreamValue) or not file.entries.keys() <= _FILE_KEYS:
            raise NotPlainError("an attachment of another shape")
        yield label.decode("latin-1"), view.data[file.start : file.end]


def _places(view: View, root: Mapping[str, Value], seals: Sequence[SealFacts]) -> tuple[tuple[Rect, ...], set[int]]:
    """Where the seals stand; every annotation is a signed field of the form and adds nothing but red to its place."""
    leaf = view.dictionary(Ref(_LEAF, 0))
    shown = leaf.get("Annots", ())
    if not seals:
        if "AcroForm" in root or "Annots" in leaf:
            raise NotPlainError("a form that nobody sealed")
        return (), set()
    form = root.get("AcroForm")
    if not isinstance(form, Mapping) or form != {"Fields": shown, "SigFlags": 3} or not isinstance(shown, tuple):
        raise NotPlainError("another form than ours")
    faces: set[int] = set()
    for item in shown:
        if not isinstance(item, Ref):
            raise NotPlainError("an annotation without a number")
        faces.add(_face(view, view.dictionary(item)))
    places = [mark.rect for seal in seals for mark in seal.marks]
    drawn = [item for item in shown if any(view.array(view.dictionary(item).get("Rect")))]
    if len(places) != len(seals) or len(drawn) != len(seals):
        raise NotPlainError("a seal without its place")
    return tuple(places), faces


def _face(view: View, field: Mapping[str, Value]) -> int:
    """The number of a field's picture, which is red and clipped to the field; or nothing where it has no place."""
    rect, pictures = view.array(field.get("Rect")), field.get("AP")
    free = _WIDGET_FREE | {"Rect", "AP"}
    if (
        not isinstance(field.get("P"), Ref)
        or not field.keys() <= _WIDGET.keys() | free
        or any(field.get(key) != value for key, value in _WIDGET.items())
    ):
        raise NotPlainError("another widget than ours")
    picture = pictures.get("N") if isinstance(pictures, Mapping) and pictures.keys() == {"N"} else None
    face = view.resolve(picture)
    if not isinstance(picture, Ref) or not isinstance(face, StreamValue) or not isinstance(field.get("V"), Ref):
        raise NotPlainError("a seal without a picture or a signature")
    entries, coded = face.entries, view.data[face.start : face.end]
    form = (entries.get("Type"), entries.get("Subtype"), entries.get("Resources"))
    packed = entries.get("Filter") == Name("FlateDecode")
    if (
        not entries.keys() <= _FACE_KEYS
        or form != (Name("XObject"), Name("Form"), {})
        or packed != ("Filter" in entries)
    ):
        raise NotPlainError("a picture of a seal of another shape")
    box = entries.get("BBox")
    if len(rect) != 4 or not isinstance(box, tuple) or len(box) != 4 or not all(map(_is_number, (*box, *rect))):
        raise NotPlainError("a place that is no rectangle")
    if not any(rect):
        if coded or any(box):
            raise NotPlainError("a picture without a place")
    elif not is_red_drawing(coded, packed=packed):
        raise NotPlainError("a picture of a seal that is not told to be red")
    return picture.number


def _is_number(value: Value) -> bool:
    return type(value) in (int, float)


def _page_streams(view: View) -> Iterator[int]:
    """The numbers of the objects in a row behind the page, up to its content; they will be compared with ours."""
    content = view.dictionary(Ref(_LEAF, 0)).get("Contents")
    if not isinstance(content, Ref):
        raise NotPlainError("a page without content of its own")
    yield from range(_LEAF + 1, content.number + 1)


def _check_streams(skeleton: Skeleton, known: set[int]) -> None:
    """Whatever is deflated beside what is compared must not be too large for other readers of the file."""
    data = skeleton.data
    for revision in skeleton.revisions:
        for number, span in revision.spans.items():
            if number not in known and span.data_start >= 0 and data[span.data_start : span.data_start + 1] in _PACKED:
                check_inflated(data, stream_max=STREAM_MAX, total_max=TOTAL_MAX)
                return


_PACKED: Final = frozenset(bytes([high << 4 | 8]) for high in range(16))  # RFC 1950: the method is deflate


def _images(view: View) -> Iterator[bytes]:
    """The pictures of the page as files; a digest decides whether they are what was signed."""
    resources = view.dictionary(view.dictionary(Ref(_LEAF, 0)).get("Resources"))
    drawn = view.dictionary(resources.get("XObject", {}))
    if len(drawn) > CANDIDATES_MAX:
        raise NotPlainError("more pictures than a certificate has")
    for item in drawn.values():
        image = view.resolve(item)
        if not isinstance(image, StreamValue) or image.entries.get("Subtype") != Name("Image"):
            continue
        body, entries = view.data[image.start : image.end], image.entries
        if entries.get("Filter") == Name("DCTDecode"):
            yield body
        elif entries.get("Filter") == Name("FlateDecode"):
            width, height, bits = (entries.get(key) for key in ("Width", "Height", "BitsPerComponent"))
            space = entries.get("ColorSpace")
            channels = _CHANNELS.get(space, 0) if isinstance(space, Name) else 0
            if isinstance(width, int) and isinstance(height, int) and isinstance(bits, int):
                yield png_around(body, width=width, height=height, bits_per_pixel=bits * channels) or b""
