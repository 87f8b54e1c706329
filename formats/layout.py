"""Claims, profile, template and images become a page: every box placed, every text measured and broken.

Spec: DESIGN §8; order and labels of the fields are the profile's (facts: the printed face of the national
electronic certificate), places are the template's. Everything printed except the images is in the claims, so
a verifier lays the same page out again and compares. Nothing overlaps and nothing leaves its place: a text
that does not fit at the smallest size is TextOverflowError. Pure.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sized
from dataclasses import dataclass, replace
from typing import Final

from mingzheng.formats.civil import MAX_DAY, format_day_zh
from mingzheng.formats.claims import Claims, Copy, Sex
from mingzheng.formats.imagehead import read_head
from mingzheng.formats.ornament import band, rectangle, rosette
from mingzheng.formats.page import (
    ASCENT,
    QR_MODULE_MIN_MM,
    QR_QUIET,
    Box,
    Colour,
    ImageBox,
    PageError,
    PageSpec,
    Path,
    QrSlot,
    QrTooLargeError,
    Rect,
    Role,
    SealShape,
    SealSlot,
    TextOverflowError,
    TextRun,
)
from mingzheng.formats.profile import FieldName, Profile
from mingzheng.formats.template import SealPlace, Template, TextPlace
from mingzheng.formats.textfit import LINE_PITCH, TextMeasure, fit_line, wrap

__all__ = ["PageDataError", "PageMaterial", "layout"]

_INK: Final[Colour] = (0, 0, 0)
_FAINT: Final[Colour] = (150, 150, 150)
_SEAL_TEXT_MM: Final = 3.0
_SEAL_TEXT_FLOOR_MM: Final = 1.8
_SEAL_TEXT_SHARE: Final = 0.68  # of the width: the square inside a circle
_LABEL_EM: Final = 5.2  # label column of the boxes for ink: four characters and the colon
_MARK_PAD: Final = 0.22  # of the size
_GAP_MIN: Final = 0.25  # of the text size, between two rows
_JOINED: Final = 0.55  # a further specialty stands closer to the one before
_SHRINK: Final = 0.9  # a row may be this much smaller than the others to stay on one line
_SIZE_STEP_MM: Final = 0.1
_LINE_MM: Final = 0.2
_CAPTION_ZH: Final = 0.3  # of the caption's height
_SEX: Final = {Sex.MALE: "男", Sex.FEMALE: "女"}


class PageDataError(PageError):
    """Claims and material do not go together: a body or specialty without a name."""

    code = "page.data"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageMaterial:
    """What a page shows beside the claims: names of bodies, image files, QR modules, the credential's identity."""

    bodies: Mapping[int, str]
    photo: bytes | None
    signature: bytes | None
    qr_rows: tuple[bytes, ...] | None  # one byte (0, 1) per module, without quiet zone
    identity: bytes | None  # 32 bytes; the first 8 go into the small print


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One labelled row; an empty label continues the row above."""

    name: str
    label: str
    value: str


def layout(
    claims: Claims, profile: Profile, template: Template, *, material: PageMaterial, measure: TextMeasure
) -> PageSpec:
    """The certificate page of one copy.

    Raises MissingGlyphError, TextOverflowError, QrTooLargeError, PageDataError or ImageError.
    Cost: about half a millisecond.
    """
    work = _Layout(claims, profile, template, material, measure)
    return PageSpec(
        width_mm=template.width_mm,
        height_mm=template.height_mm,
        language=template.language,
        title=profile.title_zh,
        boxes=tuple(work.boxes()),
    )


class _Layout:
    """One run; holds the inputs so that the steps below stay short."""

    def __init__(
        self, claims: Claims, profile: Profile, template: Template, material: PageMaterial, measure: TextMeasure
    ) -> None:
        self.claims, self.profile, self.template = claims, profile, template
        self.material, self.measure = material, measure
        self.labels = {field.name: field.label_zh for field in profile.fields}
        self._colon_mm = template.fields.beside.size_mm  # one em of the larger text

    def boxes(self) -> Iterator[Box]:
        """All boxes in reading order."""
        yield from self._frame()
        yield from self._window()
        yield from self._mark()
        yield from self._title()
        yield from self._photo()
        yield from self._fields()
        yield from self._seals()
        yield from self._signature()
        yield from self._issuer()
        yield from self._qr()
        yield from self._foot()

    def _frame(self) -> Iterator[Box]:
        frame = self.template.frame
        page = Rect(x_mm=0, y_mm=0, width_mm=self.template.width_mm, height_mm=self.template.height_mm)
        outer, depth = frame.rect, frame.depth_mm
        inner = _inset(outer, depth)
        middle = rosette(
            self.template.width_mm / 2,
            frame.rosette_y_mm,
            radius_mm=frame.rosette_radius_mm,
            petals=31,
            inner=0.3,
            turns=9,
            points=1500,
        )
        waves = band(outer, depth_mm=depth, wave_mm=frame.wave_mm, strands=frame.strands)
        yield _decoration("frame.rosette", page, middle, 0.12, frame.pale)
        yield _decoration("frame.band", page, waves, 0.12, frame.colour)
        for name, rect, line in (
            ("frame.outer", outer, 0.5),
            ("frame.inner", inner, 0.25),
            ("frame.hair", _inset(inner, 0.9), 0.12),
        ):
            yield _decoration(name, rect, rectangle(rect), line, frame.colour)

    def _window(self) -> Iterator[Box]:
        until, label = self.claims.usage_until, self.labels.get(FieldName.USAGE_WINDOW)
        if until is None or label is None:
            return
        first, last = format_day_zh(self.claims.copy_issued_on), format_day_zh(until)
        yield from self._lines("window", f"{label}：{first} 至 {last}", self.template.window, align=1.0)

    def _mark(self) -> Iterator[Box]:
        """使用件 or 批准件 in a small frame at the left edge of its place."""
        place, words = self.template.mark, self.template.words
        text = words.usage if self.claims.copy is Copy.USAGE else words.approval
        pad = _MARK_PAD * place.size_mm
        inside = _inset(place.rect, pad)
        (run,) = self._one_line("mark", text, inside, place, self.template.accent)
        box = Rect(
            x_mm=place.rect.x_mm,
            y_mm=run.y_mm - ASCENT * run.size_mm - pad,
            width_mm=run.width_mm + 2 * pad,
            height_mm=run.size_mm + 2 * pad,
        )
        yield _decoration("mark.frame", box, rectangle(box), 0.35, self.template.accent)
        yield run

    def _title(self) -> Iterator[Box]:
        title, text = self.template.title, self.profile.title_zh
        lines = [("title", text, title.place)]
        if text.startswith(title.prefix) and text != title.prefix:
            head, tail = title.prefix, text[len(title.prefix) :]
            lines = [("title.prefix", head, title.prefix_place), ("title", tail, title.place)]
        for name, line, place in lines:
            spaced = 1 + title.tracking * (len(line) - 1) / len(line)
            size = fit_line(
                line,
                width_mm=place.rect.width_mm / spaced,
                size_mm=place.size_mm,
                floor_mm=place.floor_mm,
                measure=self.measure,
            )
            if size is None:
                raise TextOverflowError(name)
            tracking = size * title.tracking
            width = self.measure.width(line, size) + tracking * (len(line) - 1)
            yield TextRun(
                name=name,
                group="title",
                role=Role.TITLE,
                x_mm=place.rect.x_mm + (place.rect.width_mm - width) / 2,
                y_mm=place.rect.y_mm + (place.rect.height_mm - size) / 2 + ASCENT * size,
                width_mm=width,
                size_mm=size,
                text=line,
                tracking_mm=tracking,
                colour=title.colour,
                language=self.template.language,
            )

    def _photo(self) -> Iterator[Box]:
        rect = self.template.photo
        yield _decoration("photo.frame", rect, rectangle(rect), _LINE_MM, _FAINT)
        if self.material.photo is not None:
            yield _image("photo", "持证人照片", rect, self.material.photo)

    def _fields(self) -> Iterator[Box]:
        rows, place = self._rows(), self.template.fields
        split = min(place.beside_rows, len(rows))
        labels_mm = max((self.measure.width(row.label, place.beside.size_mm) for row in rows), default=0.0)
        for part, where, gap_mm in (
            (rows[:split], place.beside, place.beside.rect.height_mm),
            (rows[split:], place.below, place.gap_mm),
        ):
            if part:
                yield from self._block(part, where, gap_mm, labels_mm)

    def _rows(self) -> list[_Row]:
        rows: list[_Row] = []
        for field in self.profile.fields:
            for number, value in enumerate(self._values(field.name)):
                rows.append(_Row(name=field.name, label="" if number else field.label_zh, value=value))
        return rows

    def _values(self, name: FieldName) -> list[str]:
        claims = self.claims
        match name:
            case FieldName.NAME:
                return [claims.name]
            case FieldName.SEX:
                return [_SEX[claims.sex]]
            case FieldName.BIRTH:
                return [format_day_zh(claims.birth)]
            case FieldName.REGISTRATION_NO:
                return [claims.registration_no]
            case FieldName.EMPLOYER:
                return [] if claims.employer is None else [claims.employer]
            case FieldName.PURPOSE:
                return [] if claims.purpose is None else [claims.purpose]
            case FieldName.REGISTERED_UNTIL:
                return [_day(claims.registered_until)]
            case FieldName.SPECIALTIES:
                return [
                    f"{self._specialty(item.code)}（有效期：{_day(item.first_day)}至{_day(item.last_day)}）"
                    for item in claims.specialties
                ]
            case (
                FieldName.USAGE_WINDOW
                | FieldName.ISSUING_BODY
                | FieldName.SIGNATURE
                | FieldName.SIGNATURE_DATE
                | FieldName.ISSUED_ON
            ):
                return []  # these have places of their own

    def _block(self, rows: list[_Row], place: TextPlace, gap_mm: float, labels_mm: float) -> Iterator[Box]:
        """Rows under each other in one size, the largest at which they all fit."""
        size = place.size_mm
        while size >= place.floor_mm - 1e-6:
            column = place.rect.width_mm - labels_mm - self._colon_mm
            set_rows = self._set_rows(rows, column, size) if column > 0 else []
            free = place.rect.height_mm - sum(_height(lines, size) for lines in set_rows if lines)
            weights = [0.0] + [_JOINED if not row.label else 1.0 for row in rows[1:]]
            if set_rows and all(set_rows) and free >= _GAP_MIN * size * sum(weights):
                break
            size = round(size - _SIZE_STEP_MM, 3)
        else:
            raise TextOverflowError(f"field.{rows[0].name}")
        gap = min(gap_mm, free / sum(weights)) if sum(weights) else 0.0
        top = place.rect.y_mm
        for row, lines, weight in zip(rows, set_rows, weights, strict=True):
            top += gap * weight
            yield from self._row(row, lines or (), x=place.rect.x_mm, top=top, size=size, labels_mm=labels_mm)
            top += _height(lines or (), size)

    def _set_rows(self, rows: list[_Row], column: float, size: float) -> list[tuple[tuple[str, float], ...]]:
        """Lines of every value with their sizes; () for a value that cannot be broken.

        A value stays on one line if it fits a little smaller; rows of one name share the size of the longest.
        """
        sizes: dict[str, float | None] = {}
        for row in rows:
            fitted = fit_line(row.value, width_mm=column, size_mm=size, floor_mm=size * _SHRINK, measure=self.measure)
            known = sizes.get(row.name, size)
            sizes[row.name] = None if fitted is None or known is None else min(fitted, known)
        found = []
        for row in rows:
            one = sizes[row.name]
            lines = [row.value] if one else wrap(row.value, width_mm=column, size_mm=size, measure=self.measure)
            found.append(tuple((line, one or size) for line in lines or ()))
        return found

    def _row(
        self, row: _Row, lines: tuple[tuple[str, float], ...], *, x: float, top: float, size: float, labels_mm: float
    ) -> Iterator[Box]:
        name, base = f"field.{row.name}", top + ASCENT * size
        colour = self.template.label_colour
        if row.label:
            natural = self.measure.width(row.label, size)
            tracking = (labels_mm - natural) / (len(row.label) - 1) if len(row.label) > 1 else 0.0
            yield self._run(f"{name}.label", row.label, x=x, y=base, size=size, tracking=tracking, colour=colour)
            yield self._run(f"{name}.colon", "：", x=x + labels_mm, y=base, size=size, colour=colour)
        for number, (line, line_size) in enumerate(lines):
            y = base + number * LINE_PITCH * size
            yield self._run(f"{name}.value", line, x=x + labels_mm + self._colon_mm, y=y, size=line_size)

    def _seals(self) -> Iterator[Box]:
        """Slots in the order of the profile's seals; without such rules one for the sealing body."""
        names = [seal.name for seal in self.profile.seals_on(self.claims.copy_issued_on)]
        names = names or [self._body(self.claims.sealing_body)]
        if len(names) > len(self.template.seals):
            raise PageDataError(f"{len(names)} seals, the template has places for {len(self.template.seals)}")
        for number, (name, place) in enumerate(zip(names, self.template.seals, strict=False)):
            yield SealSlot(
                name=f"seal.{number}",
                alt=f"印章位置：{name}",
                rect=place.rect,
                shape=place.shape,
                body=name,
                colour=_FAINT,
            )
            yield from self._seal_text(number, name, place)

    def _seal_text(self, number: int, name: str, place: SealPlace) -> Iterator[Box]:
        share = _SEAL_TEXT_SHARE if place.shape is SealShape.CIRCLE else 0.88
        margin = place.rect.width_mm * (1 - share) / 2
        words = TextPlace(rect=_inset(place.rect, margin), size_mm=_SEAL_TEXT_MM, floor_mm=_SEAL_TEXT_FLOOR_MM)
        yield from self._lines(f"seal.{number}.body", name, words, colour=_FAINT, middle=True)

    def _signature(self) -> Iterator[Box]:
        """The holder's signature image, then the two boxes for ink."""
        words, place = self.template.words, self.template.signature
        if self.material.signature is not None:
            inside = yield from self._labelled_box("signature", words.signature_image, place)
            yield _image("signature.image", "持证人签名图像", _inset(inside, 0.8), self.material.signature)
        for field, name, place in (
            (FieldName.SIGNATURE, "ink.signature", self.template.ink_signature),
            (FieldName.SIGNATURE_DATE, "ink.date", self.template.ink_date),
        ):
            label = self.labels.get(field)
            if label is not None:
                yield from self._labelled_box(name, label, place)

    def _labelled_box(self, name: str, label: str, place: TextPlace) -> Generator[Box, None, Rect]:
        """A label at the left of a place and a thin box over the rest of it; returns the box."""
        width = _LABEL_EM * place.size_mm
        left = Rect(
            x_mm=place.rect.x_mm,
            y_mm=place.rect.y_mm,
            width_mm=width,
            height_mm=place.rect.height_mm,
        )
        yield from self._one_line(f"{name}.label", f"{label}：", left, place, self.template.label_colour)
        box = Rect(
            x_mm=left.right_mm,
            y_mm=place.rect.y_mm,
            width_mm=place.rect.width_mm - width,
            height_mm=place.rect.height_mm,
        )
        yield _decoration(f"{name}.box", box, rectangle(box), _LINE_MM, _FAINT)
        return box

    def _issuer(self) -> Iterator[Box]:
        """Issuing body, sealing body where it is another, and the day of issue."""
        claims, texts = self.claims, []
        if (label := self.labels.get(FieldName.ISSUING_BODY)) is not None:
            texts.append(f"{label}：{self._body(claims.issuing_body)}")
            if claims.sealing_body != claims.issuing_body:
                texts.append(f"{self.template.words.sealing_body}：{self._body(claims.sealing_body)}")
        if (label := self.labels.get(FieldName.ISSUED_ON)) is not None:
            texts.append(f"{label}：{format_day_zh(claims.certificate_issued_on)}")
        if texts:
            yield from self._texts("issuer", texts, self.template.issuer)

    def _qr(self) -> Iterator[Box]:
        rows, rect, words = self.material.qr_rows, self.template.qr, self.template.words
        if rows is None:
            return
        if not rows or any(len(row) != len(rows) for row in rows):
            raise PageDataError("the QR modules are not a square")
        module_mm = rect.width_mm / (len(rows) + 2 * QR_QUIET)
        if module_mm < QR_MODULE_MIN_MM:
            raise QrTooLargeError(modules=len(rows), module_mm=module_mm)
        yield QrSlot(name="qr", alt="二维码：本证的签名数据，可离线核验", rect=rect, rows=rows)
        place, colour = self.template.qr_caption, self.template.label_colour
        high = place.rect.height_mm
        for name, text, language, down, share in (
            ("qr.caption.zh", words.qr_zh, self.template.language, 0.0, _CAPTION_ZH),
            ("qr.caption.en", words.qr_en, "en", _CAPTION_ZH * high, 1 - _CAPTION_ZH),
        ):
            part = Rect(
                x_mm=place.rect.x_mm,
                y_mm=place.rect.y_mm + down,
                width_mm=place.rect.width_mm,
                height_mm=share * high,
            )
            where = TextPlace(rect=part, size_mm=place.size_mm, floor_mm=place.floor_mm)
            yield from self._lines(name, text, where, align=0.5, colour=colour, language=language, role=Role.CAPTION)

    def _foot(self) -> Iterator[Box]:
        words, identity = self.template.words, self.material.identity
        text = f"{words.serial} {self.claims.serial}"
        if identity is not None:
            digits = identity[:8].hex()
            text += f"　{words.credential} " + "-".join(digits[at : at + 4] for at in range(0, 16, 4))
        yield from self._lines("foot", text, self.template.foot, align=0.5, colour=self.template.label_colour)

    def _lines(
        self,
        name: str,
        text: str,
        place: TextPlace,
        *,
        align: float = 0.0,
        colour: Colour = _INK,
        middle: bool = False,
        language: str | None = None,
        role: Role = Role.TEXT,
    ) -> Iterator[TextRun]:
        """One text in a place."""
        for run in self._texts(name, [text], place, align=align, middle=middle):
            yield replace(run, colour=colour, role=role, language=language or run.language)

    def _texts(
        self, name: str, texts: list[str], place: TextPlace, *, align: float = 0.0, middle: bool = False
    ) -> Iterator[TextRun]:
        """Texts under each other in the largest size at which all their lines fit the place.

        `align`: 0 left, 0.5 centred, 1 right; `middle`: centred upright, and lines centred.
        """
        rect, size = place.rect, place.size_mm
        while size >= place.floor_mm - 1e-6:
            parts = [wrap(text, width_mm=rect.width_mm, size_mm=size, measure=self.measure) for text in texts]
            count = sum(len(part or ()) for part in parts)
            if all(parts) and _height(range(count), size) <= rect.height_mm + 1e-6:
                break
            size = round(size - _SIZE_STEP_MM, 3)
        else:
            raise TextOverflowError(name)
        top = rect.y_mm + ((rect.height_mm - _height(range(count), size)) / 2 if middle else 0.0)
        lines = [line for part in parts for line in part or ()]
        for number, line in enumerate(lines):
            free = rect.width_mm - self.measure.width(line, size)
            x = rect.x_mm + free * (0.5 if middle else align)
            yield self._run(name, line, x=x, y=top + (ASCENT + number * LINE_PITCH) * size, size=size)

    def _one_line(self, name: str, text: str, rect: Rect, place: TextPlace, colour: Colour) -> tuple[TextRun]:
        """One line at the left of a rectangle, upright in its middle."""
        size = fit_line(
            text, width_mm=rect.width_mm, size_mm=place.size_mm, floor_mm=place.floor_mm, measure=self.measure
        )
        if size is None or size > rect.height_mm + 1e-6:
            raise TextOverflowError(name)
        y = rect.y_mm + (rect.height_mm - size) / 2 + ASCENT * size
        return (self._run(name, text, x=rect.x_mm, y=y, size=size, colour=colour),)

    def _run(
        self, name: str, text: str, *, x: float, y: float, size: float, tracking: float = 0.0, colour: Colour = _INK
    ) -> TextRun:
        return TextRun(
            name=name,
            group=name.rpartition(".")[0] if name.startswith("field.") else name,
            role=Role.TEXT,
            x_mm=x,
            y_mm=y,
            width_mm=self.measure.width(text, size) + tracking * (len(text) - 1),
            size_mm=size,
            text=text,
            tracking_mm=tracking,
            colour=colour,
            language=self.template.language,
        )

    def _body(self, number: int) -> str:
        try:
            return self.material.bodies[number]
        except KeyError:
            raise PageDataError(f"body {number} has no name in the issuer's record") from None

    def _specialty(self, code: int) -> str:
        try:
            return self.profile.specialties[code].name_zh
        except KeyError:
            raise PageDataError(f"specialty {code} has no name in profile {self.profile.id}") from None


def _day(day: int) -> str:
    return "长期" if day == MAX_DAY else format_day_zh(day)


def _height(lines: Sized, size: float) -> float:
    """Height of some lines of text of one size."""
    return (1 + (len(lines) - 1) * LINE_PITCH) * size if len(lines) else 0.0


def _inset(rect: Rect, by_mm: float) -> Rect:
    return Rect(
        x_mm=rect.x_mm + by_mm,
        y_mm=rect.y_mm + by_mm,
        width_mm=rect.width_mm - 2 * by_mm,
        height_mm=rect.height_mm - 2 * by_mm,
    )


def _decoration(name: str, rect: Rect, data: str, line_mm: float, colour: Colour) -> Path:
    return Path(
        name=name,
        role=Role.DECORATION,
        alt="",
        rect=rect,
        data=data,
        line_mm=line_mm,
        dash_mm=(),
        colour=colour,
    )


def _image(name: str, alt: str, rect: Rect, data: bytes) -> ImageBox:
    """An image as large as fits its rectangle, in the middle of it."""
    head = read_head(data)
    scale = min(rect.width_mm / head.width, rect.height_mm / head.height)
    width, height = head.width * scale, head.height * scale
    place = Rect(
        x_mm=rect.x_mm + (rect.width_mm - width) / 2,
        y_mm=rect.y_mm + (rect.height_mm - height) / 2,
        width_mm=width,
        height_mm=height,
    )
    return ImageBox(name=name, alt=alt, rect=place, data=data)
