"""The page of a file against the page its credential stands for, as the eye sees both.

Source: DESIGN §8; docs/spec/verdicts.md, "Page".

The page is laid out again from the signed claims, the names, profiles, templates and fonts of the trust data and
the very bytes of the credential, written by our own PDF writer; both pages are drawn by one renderer and compared
everywhere: every box, and all that lies outside the boxes. On a drawn page the least mark counts; a page that another
program drew anew is for people. Not compared are the pictures of seals in their places (where the page itself may add
nothing, and a seal nothing but red), the two boxes for ink (reported as filled or empty, never as genuine), and
portrait and signature image where the file does not hold the very files that were signed: those only a person can
judge, and then the page does not count as compared. Effectful: renderers in C are at work.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from mingzheng.formats import likeness
from mingzheng.formats.errors import FormatError
from mingzheng.formats.layout import PageMaterial, layout
from mingzheng.formats.likeness import COARSE_DPI, FINE_DPI, TINT_DPI
from mingzheng.formats.limits import LIMITS_DEFAULT, Limits
from mingzheng.formats.page import Box, ImageBox, PageSpec, QrSlot, Rect, SealSlot, TextRun, bounds
from mingzheng.formats.pdf.compose import PdfMetadata, compose_pdf
from mingzheng.formats.pdf.raster import Sheet, open_sheet
from mingzheng.formats.qrimage import encode_qr, read_qr
from mingzheng.formats.qrtext import parse_qr_text, to_digits
from mingzheng.formats.signedimages import BLANK_IMAGE, SignedImages, find_signed, png_around
from mingzheng.formats.sniff import FileKind
from mingzheng.formats.template import Template
from mingzheng.keys.errors import KeysError
from mingzheng.verifier.pagekit import PageKit
from mingzheng.verifier.pageoutcome import Mismatch, PageOutcome, PagePicture

if TYPE_CHECKING:
    from mingzheng.verifier.checks import Subject

__all__ = ["INK_BOXES", "INK_GROW_MM", "FilePages", "PageKit", "PageResult", "page_again"]

TEMPLATE_UNKNOWN: Final = "page.template_unknown"
PROFILE_UNKNOWN: Final = "page.profile_unknown"
PHOTO: Final = "page.photo"  # a photo or a picture: paper is for people to compare
SEVERAL: Final = "page.several"
SCAN: Final = "page.scan"  # a picture of a page that is not ours pixel by pixel
OTHER_LAYOUT: Final = "page.other_layout"
REDRAWN: Final = "page.redrawn"  # as ours to the eye, written by another program: pale marks would not be told
READERS_DIFFER: Final = "page.readers_differ"  # it looks right here, another reader may show something else
PERSON: Final = "page.only_a_person"  # all is equal that can be compared; `unproved` is left

PICTURE_DPI: Final = 110  # of the page in a report
_METADATA: Final = PdfMetadata(author="", subject="", producer="")
_SEAL_GROW_MM: Final = 0.6  # the seal's own edge
INK_GROW_MM: Final = 1.0  # a pen passes the line of its box
INK_BOXES: Final = (("ink.signature", "ink.signature.box"), ("ink.date", "ink.date.box"))  # and their frames
_IMAGE_GROW_MM: Final = 0.4
_AFAR_MM: Final = 2.0  # as far as the colours of one place reach when seen from afar
_NEAR_MM: Final = 0.5  # a difference this near to a box is the box's
_FRAME_SLACK_MM: Final = 0.4  # a frame farther off its place is moved or scaled
_ASPECT_SLACK: Final = 0.005
_SCALES: Final = (0.4, 2.5)
_LOST: Final = 0.3  # share of the page's tiles that differ when it is another page altogether
_PICTURE_MARGIN_MM: Final = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PageResult(PageOutcome):
    """A page outcome with what a report shows beside it.

    `shipped`: templates are the program's own, for the trust data names none. `picture` draws a mismatch: the
    expected page left, the page of the file right, as PNG.
    """

    shipped: bool = False
    picture: Callable[[Mismatch], bytes] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """The page of the file as PDF, and the pictures lying in the file, coded as they lie there."""

    pdf: bytes
    bare: bytes  # the same without the pictures of seals, as far as these are not annotations
    images: tuple[bytes, ...] | None  # None: those of the PDF
    doubted: bool  # readers may take the file differently


class FilePages:
    """The pages of one file; a `PageJudge`."""

    def __init__(self, data: bytes, kind: FileKind, kit: PageKit, *, limits: Limits = LIMITS_DEFAULT) -> None:
        self._data, self._kind, self._kit, self._limits = data, kind, kit, limits

    def compare(self, subject: Subject, tokens: Sequence[bytes]) -> PageResult:
        """Make the page of `subject` again and compare; `tokens`: its copies met in the file. Never raises on input.

        Cost: 0.1 s where the page is as we wrote it, 1 s where every place must be looked at closely.
        """
        try:
            return self._compare(subject, tokens)
        except (FormatError, KeysError) as error:
            return _not_compared(error.code, self._kit)

    def pictures(self) -> Iterator[PagePicture]:
        """The first page as it is seen; raises FormatError."""
        shown = _shown(self._data, self._kind, self._limits)
        with open_sheet(shown.pdf, limits=self._limits) as sheet:
            png = likeness.png_of(sheet.render(PICTURE_DPI, colour=True))
            yield PagePicture(page=1, width_mm=sheet.width_mm, height_mm=sheet.height_mm, png=png)

    def _compare(self, subject: Subject, tokens: Sequence[bytes]) -> PageResult:
        kit = self._kit
        template = kit.templates.get(subject.claims.template)
        if kit.reason:
            return _not_compared(kit.reason, kit)
        if template is None:
            return _not_compared(TEMPLATE_UNKNOWN, kit)
        if subject.profile is None:
            return _not_compared(PROFILE_UNKNOWN, kit)
        if self._kind not in (FileKind.PDF, FileKind.OFD):
            return _not_compared(PHOTO, kit)
        shown = _shown(self._data, self._kind, self._limits)
        with ExitStack() as stack:
            sheet = stack.enter_context(open_sheet(shown.pdf, limits=self._limits))
            if sheet.pages != 1:
                return _not_compared(SEVERAL, kit)
            bare = (
                sheet if shown.bare is shown.pdf else stack.enter_context(open_sheet(shown.bare, limits=self._limits))
            )
            view = _View(sheet, template, bare=bare)
            images = _signed_images(sheet, shown, subject.claims.image_digest)
            spec = page_again(subject, template, kit, tokens, images or _guessed(view, template))
            made = _made(spec, self._kind, kit)
            wanted = _View(stack.enter_context(open_sheet(made, limits=self._limits)), template)
            result = _Check(wanted, view, spec, proved=images is not None).result(tokens)
            if shown.doubted and result.compared and not result.mismatches:
                result = replace(result, compared=False, reason=READERS_DIFFER)
            return replace(result, shipped=kit.shipped, picture=partial(_draw, shown.pdf, made, template, self._limits))


class _View:
    """The page of the file, brought to the size and place of ours if it was scaled or moved."""

    def __init__(self, sheet: Sheet, template: Template, *, bare: Sheet | None = None) -> None:
        self.sheet, self._template, self._bare = sheet, template, bare or sheet
        self.is_picture = sheet.is_picture()
        self.papers = (False, True) if sheet.may_differ_on_paper() else (False,)
        self._scale, self._move = 1.0, (0.0, 0.0)
        self._drawn: dict[tuple[int, bool, bool], Any] = {}
        seen = likeness.ink_bounds(self.grey(COARSE_DPI), COARSE_DPI)
        if seen is not None and not _near(seen, _frame_ink(template)):
            self._register(_frame_ink(template))
            self._drawn.clear()

    def colour(self, dpi: int, *, paper: bool = False) -> Any:
        """An RGB picture of exactly the size of our page; `paper`: as it would be printed."""
        return self._kept(dpi, colour=True, paper=paper)

    def grey(self, dpi: int, *, paper: bool = False) -> Any:
        """A grey picture of exactly the size of our page."""
        return self._kept(dpi, colour=False, paper=paper)

    def unsealed(self, place: Rect, *, paper: bool = False) -> Any:
        """An RGB picture of a place without seals, where it stands on a page of our size."""
        return self._bare.render(COARSE_DPI, colour=True, paper=paper, place=place, bare=True)

    def _kept(self, dpi: int, *, colour: bool, paper: bool) -> Any:
        key = (dpi, colour, paper)
        if key not in self._drawn:
            if dpi == COARSE_DPI and not colour:
                self._drawn[key] = self.colour(dpi, paper=paper).convert("L")
            else:
                self._drawn[key] = self._fitted(self.sheet.render(dpi / self._scale, colour=colour, paper=paper), dpi)
        return self._drawn[key]

    def _fitted(self, drawn: Any, dpi: int) -> Any:
        sides = (self._template.width_mm, self._template.height_mm)
        size = tuple(math.ceil(side * dpi / 25.4 - 0.01) for side in sides)  # as PDFium counts them
        left, top = (round(part * dpi / 25.4) for part in self._move)
        exact = drawn.size == size and (left, top) == (0, 0)
        return drawn if exact else likeness.fitted(drawn, (size[0], size[1]), left=left, top=top)

    def _register(self, want: Rect) -> None:
        """Find scale and place by the frame, which is the outermost ink of our pages."""
        seen = likeness.ink_bounds(self.sheet.render(FINE_DPI / 2), FINE_DPI / 2)
        if seen is None:
            return
        across, down = seen.width_mm / want.width_mm, seen.height_mm / want.height_mm
        if abs(across / down - 1) > _ASPECT_SLACK or not _SCALES[0] < across < _SCALES[1]:
            return
        scale = (across + down) / 2
        self._scale = 1.0 if abs(scale - 1) < 0.0005 else scale
        self._move = (want.x_mm - seen.x_mm / self._scale, want.y_mm - seen.y_mm / self._scale)


class _Check:
    """One comparison of an expected page with a view of the file's."""

    def __init__(self, wanted: _View, view: _View, spec: PageSpec, *, proved: bool) -> None:
        self._wanted, self._view, self._spec, self._proved = wanted, view, spec, proved
        self._ink = [(name, bounds(box)) for name, frame in INK_BOXES for box in spec.named(frame)]
        self._slots = [box for box in spec.boxes if isinstance(box, SealSlot)]
        self._code = next(box.rect for box in spec.boxes if isinstance(box, QrSlot))
        frames = (("photo", "photo.frame"), ("signature.image", "signature.box"))
        self._images = [] if proved else [(name, bounds(box)) for name, frame in frames for box in spec.named(frame)]

    def result(self, tokens: Sequence[bytes]) -> PageResult:
        """Everything that differs, and what a person must look at."""
        filled = tuple(name for name, rect in self._ink if self._is_filled(rect))
        differences = self._differences(tokens)
        if differences is None:
            return PageResult(compared=False, reason=SCAN if self._view.is_picture else OTHER_LAYOUT, mismatches=())
        places, redrawn = differences
        seals, grey = self._seals(exact=not redrawn and not self._view.is_picture)
        mismatches = (*_merged(self._spec, places), *seals)
        unproved = (*grey, *(name for name, _ in self._images))
        reason = "" if mismatches else REDRAWN if redrawn else PERSON if unproved else ""
        return PageResult(
            compared=not reason,
            reason=reason,
            mismatches=mismatches,
            unproved=unproved,
            filled=filled,
            empty=tuple(name for name, _ in self._ink if name not in filled),
        )

    def _differences(self, tokens: Sequence[bytes]) -> tuple[list[Rect], bool] | None:
        """Where the pages differ, and whether ours was drawn anew; None if they are different pages altogether."""
        want, cleared = self._wanted.grey(COARSE_DPI), self._colours(COARSE_DPI, ())
        changed = {tile for seen in cleared for tile in likeness.changed_tiles(want, seen.convert("L"), COARSE_DPI)}
        most = int(_LOST * likeness.inked_tiles(want, COARSE_DPI)) if changed else 0
        found = [tile.rect for tile in self._unlike(sorted(changed), most)]
        if found and len(found) >= most:
            return None
        read: tuple[Rect, ...] = ()
        if any(rect.meets(self._code) for rect in found) and self._reads(tokens):
            read = (self._code,)
            found = [tile.rect for tile in self._unlike(sorted(changed), most, read=read)]
        tinted = self._tinted(cleared, COARSE_DPI) and self._tinted(self._colours(TINT_DPI, read), TINT_DPI)
        found += _apart(tinted, found, _AFAR_MM)
        if self._view.is_picture:
            return found, False
        touched, redrawn = self._touched(self._colours(COARSE_DPI, read) if read else cleared)
        return [*found, *_apart(touched, found, _NEAR_MM)], redrawn

    def _touched(self, pictures: Sequence[Any]) -> tuple[list[Rect], bool]:
        """The least differences: few of them are changes of our page, many mean that it was drawn anew."""
        want = self._wanted.colour(COARSE_DPI)
        touched = [rect for seen in pictures for rect in likeness.touched_places(want, seen, COARSE_DPI)]
        if not touched or len(touched) < _LOST * likeness.inked_tiles(self._wanted.grey(COARSE_DPI), COARSE_DPI):
            return touched, False
        return [], True

    def _tinted(self, pictures: Sequence[Any], dpi: int) -> list[Rect]:
        want = self._wanted.colour(dpi)
        return [rect for seen in pictures for rect in likeness.tinted_places(want, seen, dpi)]

    def _colours(self, dpi: int, read: Sequence[Rect]) -> list[Any]:
        """The view on the screen and, where that may differ, on paper."""
        want, papers = self._wanted.colour(dpi), self._view.papers
        return [self._cleared(self._view.colour(dpi, paper=paper), want, dpi, read) for paper in papers]

    def _unlike(self, tiles: Sequence[tuple[int, int]], most: int, *, read: Sequence[Rect] = ()) -> list[likeness.Tile]:
        """The tiles that show something else, on the screen or on paper."""
        if not tiles:
            return []
        want = self._wanted.grey(FINE_DPI)
        return [
            tile
            for paper in self._view.papers
            for tile in likeness.unlike_tiles(
                want,
                self._cleared(self._view.grey(FINE_DPI, paper=paper), want, FINE_DPI, read),
                tiles,
                FINE_DPI,
                most=most,
            )
        ]

    def _cleared(self, seen: Any, want: Any, dpi: int, read: Sequence[Rect]) -> Any:
        """The view with the expected page put into the places that are not compared."""
        picture = seen.copy()
        for places, grow in (
            ([box.rect for box in self._slots], _SEAL_GROW_MM),
            ([rect for _, rect in self._ink], INK_GROW_MM),
            ([rect for _, rect in self._images], _IMAGE_GROW_MM),
            (read, 0.0),
        ):
            likeness.transplant(picture, want, places, dpi, grow_mm=grow)
        return picture

    def _is_filled(self, rect: Rect) -> bool:
        box = likeness.to_pixels(rect, COARSE_DPI, grow_mm=INK_GROW_MM)
        want = self._wanted.grey(COARSE_DPI).crop(box)
        return any(
            likeness.has_ink(want, self._view.grey(COARSE_DPI, paper=paper).crop(box)) for paper in self._view.papers
        )

    def _seals(self, *, exact: bool) -> tuple[list[Mismatch], list[str]]:
        """Slots with other ink than a seal's, and slots whose ink has no colour to tell by."""
        wrong, grey = [], []
        for slot in self._slots:
            box = likeness.to_pixels(slot.rect, COARSE_DPI, grow_mm=_SEAL_GROW_MM)
            want = self._wanted.colour(COARSE_DPI).crop(box)
            for seen in (self._view.colour(COARSE_DPI, paper=paper).crop(box) for paper in self._view.papers):
                if likeness.only_red(want, seen) and not (exact and self._is_written_on(slot)):
                    continue
                if self._view.is_picture and likeness.is_grey(seen):
                    grey.append(slot.name)
                else:
                    wrong.append(Mismatch(name=slot.name, page=1, rect=slot.rect, reason="page.seal_place"))
                break
        return wrong, grey

    def _is_written_on(self, slot: SealSlot) -> bool:
        """Tell whether the place of a seal holds marks that are no seal's: part of the page, whatever their colour."""
        want = self._wanted.unsealed(slot.rect)
        seen = [self._view.unsealed(slot.rect, paper=paper) for paper in self._view.papers]
        return any(picture.size == want.size and likeness.adds_marks(want, picture) for picture in seen)

    def _reads(self, tokens: Sequence[bytes]) -> bool:
        """Tell whether the code in its place reads as one of the credential's copies, with nothing written over it."""
        box = likeness.to_pixels(self._code, FINE_DPI, grow_mm=_NEAR_MM)
        pictures = [self._view.grey(FINE_DPI, paper=paper).crop(box) for paper in self._view.papers]
        try:
            found = [read_qr(picture, limits=LIMITS_DEFAULT) for picture in pictures]
            plain = self._view.is_picture or all(
                likeness.is_modules(self._view.colour(FINE_DPI, paper=paper).crop(box)) for paper in self._view.papers
            )
            same = all(_token_of(symbol.text) in tokens for symbols in found for symbol in symbols)
            return plain and all(found) and same
        except FormatError:
            return False


def _apart(places: Sequence[Rect], found: Sequence[Rect], reach_mm: float) -> list[Rect]:
    """The places that are not among those found already."""
    return [rect for rect in places if not any(_shared(other, rect, reach_mm) for other in found)]


def _token_of(text: str | bytes) -> bytes:
    """What a code carries, whatever stands before its digits; the pipeline judges the prefix."""
    if isinstance(text, bytes):
        return text
    prefix = text.rstrip("0123456789")
    return parse_qr_text(text, prefixes=(prefix,) if prefix else ()).data


def _not_compared(reason: str, kit: PageKit) -> PageResult:
    return PageResult(compared=False, reason=reason, mismatches=(), shipped=kit.shipped)


def _shown(data: bytes, kind: FileKind, limits: Limits) -> _Shown:
    if kind is FileKind.PDF:
        return _Shown(pdf=data, bare=data, images=None, doubted=False)
    from mingzheng.formats.ofd.document import read_ofd
    from mingzheng.formats.ofd.doubt import doubt_of
    from mingzheng.formats.ofd.draw import ofd_pictures, ofd_to_pdf
    from mingzheng.formats.ofd.package import read_package

    file = read_ofd(read_package(data, limits=limits.ofd), limits=limits.ofd)
    return _Shown(
        pdf=ofd_to_pdf(file),
        bare=ofd_to_pdf(file, stamps=False),
        images=ofd_pictures(file),
        doubted=bool(doubt_of(file, limits=limits.ofd)),
    )


def _made(spec: PageSpec, kind: FileKind, kit: PageKit) -> bytes:
    """The expected page as PDF, written the way the file is, so that equal pages are equal to the pixel."""
    if kind is FileKind.PDF:
        return compose_pdf(spec, fonts=kit.fonts, attachments={}, metadata=_METADATA)
    from mingzheng.formats.ofd.compose import OfdMetadata, compose_ofd
    from mingzheng.formats.ofd.document import read_ofd
    from mingzheng.formats.ofd.draw import ofd_to_pdf
    from mingzheng.formats.ofd.package import read_package

    metadata = OfdMetadata(
        doc_id="0" * 32, author="", subject="", creator="", made_on=0,
        valid_from=None, valid_until=None, fields=(), licence_id=None,
    )  # fmt: skip
    data = compose_ofd(spec, fonts=kit.fonts, attachments={}, metadata=metadata, seals=0)
    return ofd_to_pdf(read_ofd(read_package(data, limits=LIMITS_DEFAULT.ofd), limits=LIMITS_DEFAULT.ofd))


def _signed_images(sheet: Sheet, shown: _Shown, digest: bytes) -> SignedImages | None:
    if shown.images is not None:
        return find_signed(shown.images, digest)
    files: list[bytes] = []
    for item in sheet.image_streams():
        if item.filters == ("DCTDecode",):
            files.append(item.data)
        elif item.filters == ("FlateDecode",):
            sizes = {"width": item.width, "height": item.height, "bits_per_pixel": item.bits_per_pixel}
            files.append(png_around(item.data, **sizes) or b"")
    return find_signed(files, digest)


def _guessed(view: _View, template: Template) -> SignedImages:
    """Without the signed files: no portrait, and a blank signature image where its place is not empty."""
    box = likeness.to_pixels(template.signature.rect, COARSE_DPI)
    drawn = likeness.marked(view.grey(COARSE_DPI).crop(box))
    return SignedImages(photo=None, signature=BLANK_IMAGE if drawn else None)


def page_again(
    subject: Subject, template: Template, kit: PageKit, tokens: Sequence[bytes], images: SignedImages
) -> PageSpec:
    """The page of a subject laid out as its issuer did, with the code of the first of `tokens` under the first prefix.

    The subject has a profile. Raises FormatError where there is no such page.
    """
    assert subject.profile is not None
    prefix = subject.issuer.prefixes[0] if subject.issuer.prefixes else None
    material = PageMaterial(
        bodies=subject.issuer.bodies,
        photo=images.photo,
        signature=images.signature,
        qr_rows=encode_qr(to_digits(tokens[0]), prefix).rows,
        identity=subject.credential.identity,
    )
    return layout(subject.claims, subject.profile, template, material=material, measure=kit.fonts)


def _frame_ink(template: Template) -> Rect:
    """The bounds of the outer line of the frame, which is half a millimetre wide."""
    rect = template.frame.rect
    return Rect(
        x_mm=rect.x_mm - 0.25, y_mm=rect.y_mm - 0.25, width_mm=rect.width_mm + 0.5, height_mm=rect.height_mm + 0.5
    )


def _near(one: Rect, other: Rect) -> bool:
    pairs = zip(
        (one.x_mm, one.y_mm, one.right_mm, one.bottom_mm),
        (other.x_mm, other.y_mm, other.right_mm, other.bottom_mm),
        strict=True,
    )
    return all(abs(left - right) <= _FRAME_SLACK_MM for left, right in pairs)


def _merged(spec: PageSpec, places: Sequence[Rect]) -> list[Mismatch]:
    """One mismatch for each box that differs, and one for each place outside the boxes."""
    found: dict[str, Mismatch] = {}
    outside = []
    for rect in places:
        box = _box_at(spec, rect)
        if box is None:
            outside.append(Mismatch(name="outside", page=1, rect=rect, reason="page.outside"))
        else:
            found.setdefault(box.name, Mismatch(name=box.name, page=1, rect=bounds(box), reason="page.box"))
    return [*found.values(), *outside]


def _box_at(spec: PageSpec, rect: Rect) -> Box | None:
    """The box of text, picture or code that a difference lies in; of several the one it lies in most."""
    best, most = None, 0.0
    for box in spec.boxes:
        if isinstance(box, TextRun | ImageBox | QrSlot):
            area = _shared(bounds(box), rect, _NEAR_MM)
            if area > most:
                best, most = box, area
    return best


def _shared(box: Rect, rect: Rect, grow_mm: float) -> float:
    """Square millimetres that a rectangle shares with a box grown on every side."""
    width = min(box.right_mm + grow_mm, rect.right_mm) - max(box.x_mm - grow_mm, rect.x_mm)
    height = min(box.bottom_mm + grow_mm, rect.bottom_mm) - max(box.y_mm - grow_mm, rect.y_mm)
    return max(0.0, width) * max(0.0, height)


def _draw(shown: bytes, made: bytes, template: Template, limits: Limits, mismatch: Mismatch) -> bytes:
    """Both pages at the place of a mismatch, side by side, the place outlined in red."""
    with open_sheet(made, limits=limits) as ours, open_sheet(shown, limits=limits) as theirs:
        want, seen = (_View(sheet, template).colour(COARSE_DPI) for sheet in (ours, theirs))
    box = likeness.to_pixels(mismatch.rect, COARSE_DPI, grow_mm=_PICTURE_MARGIN_MM)
    part = (max(0, box[0]), max(0, box[1]), min(want.width, box[2]), min(want.height, box[3]))
    inner = likeness.to_pixels(mismatch.rect, COARSE_DPI, grow_mm=_NEAR_MM)
    outline = (inner[0] - part[0], inner[1] - part[1], inner[2] - part[0], inner[3] - part[1])
    return likeness.paired_png(want.crop(part), seen.crop(part), [outline])
