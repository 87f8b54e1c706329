"""Page templates: where things stand on a certificate, as data (docs/templates.md).

A template is TOML with lengths in tenths of a millimetre, read strictly. What stands in a place (labels, their
order, seals, title) comes from the profile and the claims; a further kind of certificate needs a profile and at
most another template, never code. Pure; the shipped files: `library.read_shipped_templates`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from mingzheng.formats.errors import FormatError
from mingzheng.formats.page import Colour, Rect, SealShape
from mingzheng.formats.strict_toml import ProfileError, ProfileValueError, Table, read_document

__all__ = [
    "FieldsPlace",
    "Frame",
    "SealPlace",
    "Template",
    "TemplateError",
    "TextPlace",
    "TitlePlace",
    "Words",
    "parse_template",
    "parse_templates",
]

_SCHEMA: Final = 1
_LENGTH_MAX: Final = 10_000  # tenths of a millimetre
_SEALS_MAX: Final = 4
_HEX: Final = re.compile(r"[0-9a-f]{6}")
_NUMBER_MAX: Final = 65_535


class TemplateError(FormatError):
    """A template file is not what docs/templates.md says; `__cause__` names the place."""

    code: ClassVar[str] = "template.malformed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The ornament: a band `depth_mm` deep inside `rect`, a pale rosette in the middle."""

    rect: Rect
    depth_mm: float
    wave_mm: float
    strands: int
    colour: Colour
    pale: Colour
    rosette_y_mm: float
    rosette_radius_mm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPlace:
    """A rectangle for text: largest size, and the floor to which it may shrink."""

    rect: Rect
    size_mm: float
    floor_mm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TitlePlace:
    """The title in one or two centred lines: a title that begins with `prefix` is parted behind it."""

    prefix: str
    prefix_place: TextPlace
    place: TextPlace
    tracking: float  # of the size, where the width allows it
    colour: Colour


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldsPlace:
    """Rows of label and value: the first `beside_rows` stand beside the photo, the others below it."""

    beside: TextPlace
    beside_rows: int
    below: TextPlace
    gap_mm: float  # most white between two rows below


@dataclass(frozen=True, slots=True, kw_only=True)
class SealPlace:
    """Where one seal goes."""

    rect: Rect
    shape: SealShape


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """Fixed words of the page; the others are the profile's."""

    usage: str
    approval: str
    signature_image: str
    qr_zh: str
    qr_en: str
    serial: str
    credential: str
    sealing_body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """All places of one page."""

    number: int
    name: str
    language: str
    width_mm: float
    height_mm: float
    frame: Frame
    accent: Colour  # marks and lines
    label_colour: Colour
    mark: TextPlace
    window: TextPlace
    title: TitlePlace
    photo: Rect
    fields: FieldsPlace
    signature: TextPlace  # the holder's signature image, its label above
    ink_signature: TextPlace
    ink_date: TextPlace
    seals: tuple[SealPlace, ...]
    issuer: TextPlace  # issuing body and day
    qr: Rect
    qr_caption: TextPlace
    foot: TextPlace
    words: Words


def parse_templates(files: Iterable[bytes]) -> Mapping[int, Template]:
    """Templates by number; TemplateError if two have one number."""
    found: dict[int, Template] = {}
    for data in files:
        template = parse_template(data)
        if template.number in found:
            raise TemplateError(f"two templates have number {template.number}")
        found[template.number] = template
    return found


def parse_template(data: bytes) -> Template:
    """The template of one TOML file; TemplateError if anything is missing, unknown or outside the page."""
    try:
        return _template(Table(read_document(data), ""))
    except ProfileError as error:
        raise TemplateError(f"template: {error.detail}") from error


def _template(root: Table) -> Template:
    root.integer("schema", _SCHEMA, _SCHEMA)
    page = root.table("page")
    colours = root.table("colours")
    template = Template(
        number=root.integer("number", 1, _NUMBER_MAX),
        name=root.text("name"),
        language=root.text("language"),
        width_mm=_length(page, "width"),
        height_mm=_length(page, "height"),
        accent=_colour(colours, "accent"),
        label_colour=_colour(colours, "label"),
        frame=_frame(root.table("frame"), colours),
        mark=_text_place(root.table("mark")),
        window=_text_place(root.table("window")),
        title=_title(root.table("title"), colours),
        photo=_rect(root.table("photo")),
        fields=_fields(root.table("fields")),
        signature=_text_place(root.table("signature")),
        ink_signature=_text_place(root.table("ink_signature")),
        ink_date=_text_place(root.table("ink_date")),
        seals=tuple(_seal(table) for table in root.tables("seals", low=1, high=_SEALS_MAX)),
        issuer=_text_place(root.table("issuer")),
        qr=_rect(root.table("qr")),
        qr_caption=_text_place(root.table("qr_caption")),
        foot=_text_place(root.table("foot")),
        words=_words(root.table("words")),
    )
    for table in (page, colours, root):
        table.done()
    _check_inside(template)
    return template


def _frame(table: Table, colours: Table) -> Frame:
    frame = Frame(
        rect=_rect(table, done=False),
        depth_mm=_length(table, "depth"),
        wave_mm=_length(table, "wave"),
        strands=table.integer("strands", 1, 8),
        colour=_colour(colours, "frame"),
        pale=_colour(colours, "pale"),
        rosette_y_mm=_length(table, "rosette_y"),
        rosette_radius_mm=_length(table, "rosette_radius"),
    )
    table.done()
    return frame


def _title(table: Table, colours: Table) -> TitlePlace:
    title = TitlePlace(
        prefix=table.text("prefix"),
        prefix_place=_text_place(table.table("prefix_place")),
        place=_text_place(table.table("place")),
        tracking=table.integer("tracking_percent", 0, 100) / 100,
        colour=_colour(colours, "title"),
    )
    table.done()
    return title


def _fields(table: Table) -> FieldsPlace:
    fields = FieldsPlace(
        beside=_text_place(table.table("beside")),
        beside_rows=table.integer("beside_rows", 0, 16),
        below=_text_place(table.table("below")),
        gap_mm=_length(table, "gap"),
    )
    table.done()
    return fields


def _seal(table: Table) -> SealPlace:
    seal = SealPlace(shape=SealShape(table.choice("shape", tuple(SealShape))), rect=_rect(table, done=False))
    table.done()
    return seal


def _words(table: Table) -> Words:
    words = Words(
        usage=table.text("usage"),
        approval=table.text("approval"),
        signature_image=table.text("signature_image"),
        qr_zh=table.text("qr_zh"),
        qr_en=table.text("qr_en"),
        serial=table.text("serial"),
        credential=table.text("credential"),
        sealing_body=table.text("sealing_body"),
    )
    table.done()
    return words


def _text_place(table: Table) -> TextPlace:
    place = TextPlace(rect=_rect(table, done=False), size_mm=_length(table, "size"), floor_mm=_length(table, "floor"))
    if place.floor_mm > place.size_mm:
        raise ProfileValueError(table.at("floor"), "the floor is above the size")
    table.done()
    return place


def _rect(table: Table, *, done: bool = True) -> Rect:
    rect = Rect(
        x_mm=_length(table, "x"),
        y_mm=_length(table, "y"),
        width_mm=_length(table, "width"),
        height_mm=_length(table, "height"),
    )
    if done:
        table.done()
    return rect


def _length(table: Table, key: str) -> float:
    return table.integer(key, 1, _LENGTH_MAX) / 10


def _colour(table: Table, key: str) -> Colour:
    text = table.text(key)
    if _HEX.fullmatch(text) is None:
        raise ProfileValueError(table.at(key), "a colour is six hexadecimal digits in lower case")
    red, green, blue = bytes.fromhex(text)
    return red, green, blue


def _check_inside(template: Template) -> None:
    """Every place lies inside the frame's band, and no two of them meet."""
    page = Rect(x_mm=0, y_mm=0, width_mm=template.width_mm, height_mm=template.height_mm)
    frame, depth = template.frame.rect, template.frame.depth_mm
    if not frame.inside(page) or min(frame.width_mm, frame.height_mm) <= 2 * depth:
        raise ProfileValueError("frame", "outside the page, or deeper than wide")
    inner = Rect(
        x_mm=frame.x_mm + depth,
        y_mm=frame.y_mm + depth,
        width_mm=frame.width_mm - 2 * depth,
        height_mm=frame.height_mm - 2 * depth,
    )
    places = _places(template)
    for index, (name, rect) in enumerate(places):
        if not rect.inside(inner):
            raise ProfileValueError(name, "reaches into the frame or beyond the page")
        for other, taken in places[:index]:
            if rect.meets(taken):
                raise ProfileValueError(name, f"overlaps {other}")


def _places(template: Template) -> list[tuple[str, Rect]]:
    return [
        ("mark", template.mark.rect),
        ("window", template.window.rect),
        ("title.prefix_place", template.title.prefix_place.rect),
        ("title.place", template.title.place.rect),
        ("photo", template.photo),
        ("fields.beside", template.fields.beside.rect),
        ("fields.below", template.fields.below.rect),
        ("signature", template.signature.rect),
        ("ink_signature", template.ink_signature.rect),
        ("ink_date", template.ink_date.rect),
        *((f"seals[{place}]", seal.rect) for place, seal in enumerate(template.seals)),
        ("issuer", template.issuer.rect),
        ("qr", template.qr),
        ("qr_caption", template.qr_caption.rect),
        ("foot", template.foot.rect),
    ]
