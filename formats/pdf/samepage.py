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
from mingzheng.formats.pdf.imageembed import Pixels
from mingzheng.formats.pdf.inflate import STREAM_MAX, TOTAL_MAX, check_inflated
from mingzheng.formats.pdf.lean import check_skeleton
from mingzheng.formats.pdf.objects import HEADER, PdfObjects
from mingzheng.formats.pdf.redface import Drawing, is_red_drawing
from mingzheng.formats.pdf.skeleton import Skeleton, View, read_skeleton
from mingzheng.formats.pdf.syntax import Name, NotPlainError, Ref, StreamValue, Value, parse_value
from mingzheng.formats.signedimages import png_around

__all__ = ["PICTURES_MAX", "OwnPdf", "draws_the_same", "read_own"]

PICTURES_MAX: Final = 3  # a PDF: ground, portrait, signature image; an OFD: the code in place of the ground
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
_FLATE_NAME: Final = Name("FlateDecode")
_IMAGE_DRAWN: Final = re.compile(rb"q 100 0 0 [0-9.]{1,12} 0 0 cm /X0 Do Q")
_IMAGE: Final[Mapping[str, Value]] = {
    "Type": Name("XObject"),
    "Subtype": Name("Image"),
    "BitsPerComponent": 8,
    "Filter": _FLATE_NAME,
}
_IMAGE_KEYS: Final = frozenset({*_IMAGE, "Width", "Height", "ColorSpace", "Length"})
_PIXELS_MAX: Final = 4_000_000
_FILE_KEYS: Final = frozenset({"Type", "Subtype", "Params", "Length"})
_FILES_MAX: Final = 2
_FLATE: Final = re.compile(rb"(<<[^\r]*?/Filter /FlateDecode) /Length (\d{1,9})>>\nstream\n")
_STREAM_END: Final = b"\nendstream"
_CHANNELS: Final[Mapping[Value, int]] = {Name("DeviceGray"): 1, Name("DeviceRGB"): 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPdf:
    """A file of our own shape that holds no fault.

    `attachments` by name, `images` the picture files of its page as they may have been before they went in, `places`
    where its seals stand, in millimetres from the top left corner of the page. Seals drawn as shapes, `drawings`, are
    red; whether one of them is a code is not told yet. `pictures` are those of the others, not yet looked at.
    """

    skeleton: Skeleton
    attachments: tuple[tuple[str, bytes], ...]
    images: tuple[bytes, ...]
    seals: tuple[SealFacts, ...]
    places: tuple[Rect, ...]
    drawings: tuple[Drawing, ...]
    pictures: tuple[Pixels, ...]


def read_own(data: bytes) -> OwnPdf:
    """Everything but the page's own objects, checked. Raises NotPlainError. Cost: 5 ms with two seals."""
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
    drawn = {number for face in faces for number in face.numbers}
    _check_streams(skeleton, {_profile(root), *drawn, *_page_streams(view)})
    return OwnPdf(
        skeleton=skeleton,
        attachments=tuple(_attachments(view, root)),
        images=tuple(_images(view)),
        seals=seals,
        places=places,
        drawings=tuple(face.drawing for face in faces if face.drawing is not None),
        pictures=tuple(face.picture for face in faces if face.picture is not None),
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
    return len(coded) == int(other[2]) and _inflated(coded, len(plain)) == plain


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Face:
    """The picture of a field: its objects, and red shapes, or pixels, or neither where there is nothing."""

    numbers: tuple[int, ...]
    drawing: Drawing | None = None
    picture: Pixels | None = None


def _places(
    view: View, root: Mapping[str, Value], seals: Sequence[SealFacts]
) -> tuple[tuple[Rect, ...], tuple[_Face, ...]]:
    """Where the seals stand, and their pictures; all annotations are signed fields of the form, clipped to places."""
    leaf = view.dictionary(Ref(_LEAF, 0))
    shown = leaf.get("Annots", ())
    if not seals:
        if "AcroForm" in root or "Annots" in leaf:
            raise NotPlainError("a form that nobody sealed")
        return (), ()
    form = root.get("AcroForm")
    if not isinstance(form, Mapping) or form != {"Fields": shown, "SigFlags": 3} or not isinstance(shown, tuple):
        raise NotPlainError("another form than ours")
    if not all(isinstance(item, Ref) for item in shown):
        raise NotPlainError("an annotation without a number")
    fields = [view.dictionary(item) for item in shown]
    faces = tuple(_face(view, field) for field in fields)
    places = [mark.rect for seal in seals for mark in seal.marks]
    if len(places) != len(seals) or sum(any(view.array(field.get("Rect"))) for field in fields) != len(seals):
        raise NotPlainError("a seal without its place")
    return tuple(places), faces


def _face(view: View, field: Mapping[str, Value]) -> _Face:
    """The picture of a field, which is red shapes or one image; or nothing where the field has no place."""
    rect, pictures = view.array(field.get("Rect")), field.get("AP")
    free = _WIDGET_FREE | {"Rect", "AP"}
    if not field.keys() <= _WIDGET.keys() | free or any(field.get(key) != value for key, value in _WIDGET.items()):
        raise NotPlainError("another widget than ours")
    picture = pictures.get("N") if isinstance(pictures, Mapping) and pictures.keys() == {"N"} else None
    face = view.resolve(picture)
    if not all(isinstance(item, Ref) for item in (picture, field.get("P"), field.get("V"))):
        raise NotPlainError("a seal without a picture or a signature")
    if not isinstance(picture, Ref) or not isinstance(face, StreamValue) or not face.entries.keys() <= _FACE_KEYS:
        raise NotPlainError("a picture of a seal of another shape")
    entries, coded = face.entries, view.data[face.start : face.end]
    packed, box = "Filter" in entries, entries.get("BBox")
    kinds = (entries.get("Type"), entries.get("Subtype"), entries.get("Filter", _FLATE_NAME))
    if kinds != (Name("XObject"), Name("Form"), _FLATE_NAME):
        raise NotPlainError("a picture of a seal that is no form")
    if len(rect) != 4 or not isinstance(box, tuple) or len(box) != 4 or not all(map(_is_number, (*box, *rect))):
        raise NotPlainError("a place that is no rectangle")
    if not any(rect):
        if coded or any(box) or entries.get("Resources") != {}:
            raise NotPlainError("a picture without a place")
        return _Face(numbers=(picture.number,))
    (left, low, width, height), (across, down) = map(_number, box), _sides(rect)
    if left or low or min(width, height, across, down) <= 0 or abs(width * down - height * across) > width * down / 50:
        raise NotPlainError("a picture of a seal that is turned over or stretched")
    if entries.get("Resources") == {}:
        if not is_red_drawing(coded, packed=packed):
            raise NotPlainError("a picture of a seal that is not told to be red")
        drawing = Drawing(coded=coded, packed=packed, width=width, height=height)
        return _Face(numbers=(picture.number,), drawing=drawing)
    image = _IMAGE_DRAWN.fullmatch(b"" if packed else coded)
    resources = entries.get("Resources")
    drawn = resources.get("XObject") if isinstance(resources, Mapping) and resources.keys() == {"XObject"} else None
    if image is None or width != 100 or not isinstance(drawn, Mapping) or drawn.keys() != {"X0"}:
        raise NotPlainError("a picture of a seal that does more than show an image")
    numbers, pixels = _pixels(view, drawn["X0"])
    return _Face(numbers=(picture.number, *numbers), picture=pixels)


def _pixels(view: View, link: Value) -> tuple[tuple[int, ...], Pixels]:
    """The samples of an image as `imageembed.embed_pixels` writes it, in colour, with its opacity."""
    image = view.resolve(link)
    if not isinstance(link, Ref) or not isinstance(image, StreamValue):
        raise NotPlainError("an image without a number")
    width, height, data = _samples(view, image, 3, frozenset({"SMask"}))
    numbers: tuple[int, ...] = (link.number,)
    alpha, mask = None, image.entries.get("SMask")
    if mask is not None:
        below = view.resolve(mask)
        if not isinstance(mask, Ref) or not isinstance(below, StreamValue):
            raise NotPlainError("an opacity without a number")
        numbers = (link.number, mask.number)
        *size, alpha = _samples(view, below, 1, frozenset())
        if size != [width, height]:
            raise NotPlainError("an opacity of another size")
    return numbers, Pixels(width=width, height=height, channels=3, data=data, alpha=alpha)


def _samples(view: View, image: StreamValue, channels: int, more: frozenset[str]) -> tuple[int, int, bytes]:
    entries = image.entries
    width, height = entries.get("Width"), entries.get("Height")
    wanted = {**_IMAGE, "ColorSpace": Name("DeviceRGB" if channels == 3 else "DeviceGray")}
    if any(entries.get(key) != value for key, value in wanted.items()) or not entries.keys() <= _IMAGE_KEYS | more:
        raise NotPlainError("an image of another shape")
    if type(width) is not int or type(height) is not int or not 0 < width * height <= _PIXELS_MAX or width < 0:
        raise NotPlainError("an image of no size, or too large")
    plain = _inflated(view.data[image.start : image.end], width * height * channels)
    if plain is None:
        raise NotPlainError("an image of other samples")
    return width, height, plain


def _inflated(coded: bytes, size: int) -> bytes | None:
    """So many bytes out of one whole stream; None for any other number, or anything behind it."""
    unpacker = zlib.decompressobj()
    try:
        found = unpacker.decompress(coded, size + 1)
    except zlib.error:
        return None
    return found if len(found) == size and unpacker.eof and not unpacker.unused_data else None


def _is_number(value: Value) -> bool:
    return type(value) in (int, float)


def _number(value: Value) -> float:
    assert isinstance(value, int | float)
    return float(value)


def _sides(rect: Sequence[Value]) -> tuple[float, float]:
    left, low, right, high = map(_number, rect)
    return right - left, high - low


def _page_streams(view: View) -> Iterator[int]:
    """The numbers of the objects in a row behind the page, up to its content; they will be compared with ours."""
    content = view.dictionary(Ref(_LEAF, 0)).get("Contents")
    if not isinstance(content, Ref):
        raise NotPlainError("a page without content of its own")
    yield from (number for number in view.spans if _LEAF < number <= content.number)  # the file may name any number


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
    if len(drawn) > PICTURES_MAX:
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
