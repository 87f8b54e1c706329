"""A page that need not be drawn: the file holds the very objects that our writer makes for the signed claims.

Source: docs/spec/verdicts.md, "Page"; docs/adr/0018. The page is laid out again from the claims, with the receipt and
the visible code that the credential's bytes give, and its objects are compared with those of the file, byte by byte.
Equal objects are an equal page, whatever draws them, and then the code in its place says what the attachment says. A
file that is not proved equal is read and drawn as any other: nothing here is a verdict. Effectful: it drives the font
and image libraries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol

from mingzheng.formats.candidate import Candidate, Extracted, FileFacts, SealFacts, SealForm, Source
from mingzheng.formats.credential import parse_credential
from mingzheng.formats.errors import FormatError
from mingzheng.formats.images import decode_image
from mingzheng.formats.likeness import is_red_picture, on_white
from mingzheng.formats.limits import LIMITS_DEFAULT
from mingzheng.formats.page import PageSpec, Rect, SealSlot, bounds, without_slots
from mingzheng.formats.pdf.compose import page_objects
from mingzheng.formats.pdf.imageembed import Pixels
from mingzheng.formats.pdf.raster import open_sheet
from mingzheng.formats.pdf.redface import Drawing
from mingzheng.formats.pdf.samepage import PICTURES_MAX, OwnPdf, draws_the_same, read_own
from mingzheng.formats.qrimage import read_qr
from mingzheng.formats.qrtext import to_digits
from mingzheng.formats.signedimages import find_signed
from mingzheng.formats.sniff import FileKind
from mingzheng.keys.errors import KeysError
from mingzheng.verifier.pagecheck import INK_BOXES, INK_GROW_MM, PageResult, page_again
from mingzheng.verifier.pipeline import verify_extracted
from mingzheng.verifier.report import Report

if TYPE_CHECKING:
    from mingzheng.formats.fontfile import FontSet
    from mingzheng.formats.limits import Limits
    from mingzheng.formats.ofd.compose import PageFiles
    from mingzheng.formats.ofd.document import OfdFile
    from mingzheng.verifier.checks import Subject
    from mingzheng.verifier.context import VerifyContext
    from mingzheng.verifier.pagekit import PageKit

__all__ = ["OwnFile", "prove_page", "proved_rows", "read_file"]

CREDENTIAL: Final = "credential"
RECEIPT: Final = "receipt"
_SLACK_MM: Final = 0.01  # of a seal in its slot: numbers in a PDF have three decimals of a point
_PICTURE_MAX: Final = 1 << 20  # bytes of a seal's picture that are remembered
_SEAL_PIXELS: Final = 600  # of the longer side where a seal is looked at for a code
_MM_PER_INCH: Final = 25.4


class OwnFile(Protocol):
    """A file that is built as ours are and holds no fault: what it shows is all in its page and its seals."""

    @property
    def kind(self) -> FileKind:
        """PDF or OFD."""
        ...

    @property
    def attachments(self) -> Sequence[tuple[str, bytes]]:
        """Our attachments by name."""
        ...

    @property
    def images(self) -> Sequence[bytes]:
        """Picture files that may be the signed ones."""
        ...

    @property
    def seals(self) -> tuple[SealFacts, ...]:
        """The seals, without faults."""
        ...

    @property
    def places(self) -> Sequence[Rect]:
        """Where the seals draw."""
        ...

    def is_red(self) -> bool:
        """Whether the seals' pictures are nothing but red."""
        ...

    def seals_code(self) -> bool:
        """Whether the picture of a seal shows a code."""
        ...

    def shows(self, page: PageSpec, fonts: FontSet) -> bool:
        """Whether the file's page is this one, object by object."""
        ...


class _NotProvedError(Exception):
    """The page was not shown to be equal: draw it."""


def proved_rows(
    data: bytes, kind: FileKind, name: str, ctx: VerifyContext, kit: PageKit, *, limits: Limits
) -> tuple[Report, ...]:
    """The rows of a file whose page was shown to be equal; none if it has to be drawn. Raises nothing on input.

    Cost: 10 ms for a PDF of ours, 3 ms for any other that begins like one.
    """
    try:
        if kit.reason:
            return ()
        own = read_file(data, kind, limits=limits)
        files = {} if own is None else dict(own.attachments)
        if any(len(body) > limits.attachment_bytes for body in files.values()) or not files.get(CREDENTIAL):
            return ()
        assert own is not None
        proof = _Proof(own, kit, limits)
        reports = verify_extracted(_extracted(own, files, ctx), ctx, name, pages=proof)
        return reports if proof.done else ()  # a credential that does not hold has no page: nothing was shown
    except (FormatError, KeysError, _NotProvedError):
        return ()


def read_file(data: bytes, kind: FileKind, *, limits: Limits) -> OwnFile | None:
    """A file that is built as ours are; None or FormatError for any other."""
    if kind is FileKind.PDF and len(data) <= limits.pdf_bytes:
        return _Pdf(read_own(data))
    return _read_ofd(data, limits) if kind is FileKind.OFD else None


def _extracted(own: OwnFile, files: Mapping[str, bytes], ctx: VerifyContext) -> Extracted:
    """What is in the file if its page is the one we would make: the attachment, and the same in the visible code."""
    token = files[CREDENTIAL]
    key = ctx.trust.key(parse_credential(token).kid)
    if key is None or key.issuer not in ctx.trust.issuers:
        raise _NotProvedError
    prefixes = ctx.trust.issuers[key.issuer].prefixes
    text = (prefixes[0] if prefixes else "") + to_digits(token)
    attached = Candidate(source=Source.ATTACHMENT, page=None, text=None, data=token, where=f"attachment:{CREDENTIAL}")
    visible = Candidate(source=Source.QR, page=1, text=text, data=None, where="page:1:qr")
    facts = FileFacts(
        kind=own.kind,
        pages=1,
        attachments=tuple(files),
        full_receipts=tuple(body for label, body in files.items() if label == RECEIPT),
        seals=own.seals,
    )
    return Extracted(kind=own.kind, candidates=(attached, visible), facts=facts, problems=())


class _Proof:
    """A `PageJudge` that says equal, or gives up."""

    def __init__(self, own: OwnFile, kit: PageKit, limits: Limits) -> None:
        self._own, self._kit, self._limits = own, kit, limits
        self.done = False

    def compare(self, subject: Subject, tokens: Sequence[bytes]) -> PageResult:
        """The outcome of a comparison that finds nothing; raises _NotProvedError."""
        result = prove_page(self._own, subject, tokens, kit=self._kit, limits=self._limits)
        if result is None:
            raise _NotProvedError
        self.done = True
        return result


def prove_page(
    own: OwnFile, subject: Subject, tokens: Sequence[bytes], *, kit: PageKit, limits: Limits
) -> PageResult | None:
    """The outcome of a comparison that finds nothing, None if the page was not shown to be equal.

    Raises FormatError where the page of `subject` cannot be made.
    """
    template = kit.templates.get(subject.claims.template)
    images = find_signed(own.images, subject.claims.image_digest)
    if kit.reason or template is None or subject.profile is None or images is None:
        return None
    spec = page_again(subject, template, kit, tokens, images)
    slots = tuple(box.rect for box in spec.boxes if isinstance(box, SealSlot))
    inks = [(name, bounds(box)) for name, frame in INK_BOXES for box in spec.named(frame)]
    if not all(any(place.inside(slot, slack_mm=_SLACK_MM) for slot in slots) for place in own.places):
        return None
    if any(slot.meets(ink, slack_mm=-INK_GROW_MM) for slot in slots for _, ink in inks):
        return None  # a seal could be ink
    if not own.is_red() or not own.shows(without_slots(spec) if own.seals else spec, kit.fonts):
        return None
    if own.seals_code() or any(_shows_code(one, limits) for one in (images.photo, images.signature) if one):
        return None
    return PageResult(
        compared=True, reason="", mismatches=(), empty=tuple(name for name, _ in inks), shipped=kit.shipped
    )


def _shows_code(picture: bytes, limits: Limits) -> bool:
    """Whether a portrait or signature image shows a code, which a look at the page would find."""
    return bool(read_qr(picture, limits=limits, patient=False))


def _is_red(pixels: Pixels) -> bool:
    return pixels.channels == 3 and is_red_picture(pixels.data, pixels.alpha, (pixels.width, pixels.height))


def _is_code(pixels: Pixels) -> bool:
    picture = on_white(pixels.data, pixels.alpha, (pixels.width, pixels.height))
    return bool(read_qr(picture, limits=LIMITS_DEFAULT, patient=False))


@lru_cache(maxsize=16)
def _draws_code(drawing: Drawing) -> bool:
    """Kept for the last few, as below."""
    with open_sheet(drawing.sheet(), limits=LIMITS_DEFAULT) as sheet:
        dpi = _SEAL_PIXELS * _MM_PER_INCH / max(sheet.width_mm, sheet.height_mm)
        return bool(read_qr(sheet.render(dpi), limits=LIMITS_DEFAULT, patient=False))


class _Pdf:
    """A PDF of ours."""

    kind: Final = FileKind.PDF

    def __init__(self, own: OwnPdf) -> None:
        self._own = own
        self.attachments, self.images, self.seals, self.places = own.attachments, own.images, own.seals, own.places

    def is_red(self) -> bool:
        """Shapes were looked at already."""
        return all(map(_is_red, self._own.pictures))

    def seals_code(self) -> bool:
        """Of shapes and pictures."""
        return any(map(_draws_code, self._own.drawings)) or any(map(_is_code, self._own.pictures))

    def shows(self, page: PageSpec, fonts: FontSet) -> bool:
        """Object by object."""
        return draws_the_same(self._own, page_objects(page, fonts=fonts))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ofd:
    """An OFD of ours."""

    file: OfdFile
    attachments: tuple[tuple[str, bytes], ...]
    images: tuple[bytes, ...]
    seals: tuple[SealFacts, ...]
    stamps: tuple[tuple[str, Rect, bytes], ...]  # page, place, picture
    kind: FileKind = FileKind.OFD

    @property
    def places(self) -> tuple[Rect, ...]:
        """The whole boundaries: a reader may leave a clip out of account."""
        return tuple(place for _, place, _ in self.stamps)

    def is_red(self) -> bool:
        """Of the pictures inside the seals."""
        return all(_is_red_file(picture) for _, _, picture in self.stamps)

    def seals_code(self) -> bool:
        """Of the same pictures, which are red."""
        return any(_is_code_png(picture) for _, _, picture in self.stamps)

    def shows(self, page: PageSpec, fonts: FontSet) -> bool:
        """File by file."""
        from mingzheng.formats.ofd.compose import page_files
        from mingzheng.formats.ofd.samepage import shows_the_same

        made: PageFiles = page_files(page, fonts=fonts)
        return all(page_id == str(made.page_id) for page_id, _, _ in self.stamps) and shows_the_same(self.file, made)


def _read_ofd(data: bytes, limits: Limits) -> _Ofd | None:
    from mingzheng.formats.ofd.document import read_ofd
    from mingzheng.formats.ofd.doubt import doubt_of
    from mingzheng.formats.ofd.draw import ofd_pictures
    from mingzheng.formats.ofd.integrity import check_ofd
    from mingzheng.formats.ofd.package import read_package
    from mingzheng.formats.ofd.samepage import stamps_of

    package = read_package(data, limits=limits.ofd)
    file = read_ofd(package, limits=limits.ofd)
    seals, faults = check_ofd(package, file, limits=limits.ofd)
    if faults or any(seal.faults or seal.form is not SealForm.SES for seal in seals):
        return None
    if doubt_of(file, limits=limits.ofd):
        return None
    images = ofd_pictures(file)
    if len(images) > PICTURES_MAX:
        return None
    held = [(item.name, item.file) for item in file.bodies[0].attachments]
    attachments = tuple((name, package.files[place]) for name, place in held if place is not None)
    stamps = tuple(stamps_of(file, limits=limits.ofd))
    known = {CREDENTIAL, RECEIPT}
    if (
        len({name for name, _ in held}) != len(held)
        or len(attachments) != len(held)
        or not known.issuperset(dict(held))
    ):
        return None
    return _Ofd(
        file=file,
        attachments=attachments,
        images=images,
        seals=seals,
        stamps=tuple((one.stamp.page_id, one.stamp.boundary, one.picture) for one in stamps),
    )


def _is_red_file(picture: bytes) -> bool:
    return len(picture) <= _PICTURE_MAX and picture.startswith(b"\x89PNG") and _is_red_png(picture)


@lru_cache(maxsize=16)
def _is_red_png(picture: bytes) -> bool:
    """Kept for the last few, for a body's seal is the same on all its certificates."""
    return _is_red(decode_image(picture, limits=LIMITS_DEFAULT))


@lru_cache(maxsize=16)
def _is_code_png(picture: bytes) -> bool:
    return _is_code(decode_image(picture, limits=LIMITS_DEFAULT))
