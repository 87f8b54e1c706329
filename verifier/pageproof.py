"""A page that need not be drawn: the file holds the very objects that our writer makes for the signed claims.

Source: docs/spec/verdicts.md, "Page"; docs/adr/0017. The page is laid out again from the claims, with the receipt and
the visible code that the credential's bytes give, and its objects are compared with those of the file, byte by byte.
Equal objects are an equal page, whatever draws them, and then the code in its place says what the attachment says. A
file that is not proved equal is read and drawn as any other: nothing here is a verdict. Effectful: it drives the font
and image libraries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from mingzheng.formats.candidate import Candidate, Extracted, FileFacts, Source
from mingzheng.formats.credential import parse_credential
from mingzheng.formats.errors import FormatError
from mingzheng.formats.page import PageSpec, Rect, SealSlot, bounds, without_slots
from mingzheng.formats.pdf.compose import page_objects
from mingzheng.formats.pdf.samepage import OwnPdf, draws_the_same, read_own
from mingzheng.formats.qrimage import read_qr
from mingzheng.formats.qrtext import to_digits
from mingzheng.formats.signedimages import find_signed
from mingzheng.formats.sniff import FileKind
from mingzheng.keys.errors import KeysError
from mingzheng.verifier.pagecheck import INK_BOXES, INK_GROW_MM, PageResult, page_again
from mingzheng.verifier.pipeline import verify_extracted
from mingzheng.verifier.report import Report

if TYPE_CHECKING:
    from mingzheng.formats.limits import Limits
    from mingzheng.verifier.checks import Subject
    from mingzheng.verifier.context import VerifyContext
    from mingzheng.verifier.pagekit import PageKit

__all__ = ["prove_page", "proved_rows"]

CREDENTIAL: Final = "credential"
RECEIPT: Final = "receipt"
_SLACK_MM: Final = 0.01  # of a seal in its slot: numbers in a PDF have three decimals of a point


class _NotProvedError(Exception):
    """The page was not shown to be equal: draw it."""


def proved_rows(data: bytes, name: str, ctx: VerifyContext, kit: PageKit, limits: Limits) -> tuple[Report, ...]:
    """The rows of a PDF whose page was shown to be equal; none if it has to be drawn. Raises nothing on input.

    Cost: 10 ms for a file of ours, 4 ms for any other that begins like one.
    """
    try:
        if kit.reason or len(data) > limits.pdf_bytes:
            return ()
        own = read_own(data)
        files = dict(own.attachments)
        if any(len(body) > limits.attachment_bytes for body in files.values()) or not files.get(CREDENTIAL):
            return ()
        return verify_extracted(_extracted(own, files, ctx), ctx, name, pages=_Proof(own, kit, limits))
    except (FormatError, KeysError, _NotProvedError):
        return ()


def _extracted(own: OwnPdf, files: dict[str, bytes], ctx: VerifyContext) -> Extracted:
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
        kind=FileKind.PDF,
        pages=1,
        attachments=tuple(files),
        full_receipts=tuple(body for label, body in files.items() if label == RECEIPT),
        seals=own.seals,
    )
    return Extracted(kind=FileKind.PDF, candidates=(attached, visible), facts=facts, problems=())


class _Proof:
    """A `PageJudge` that says equal, or gives up."""

    def __init__(self, own: OwnPdf, kit: PageKit, limits: Limits) -> None:
        self._own, self._kit, self._limits = own, kit, limits

    def compare(self, subject: Subject, tokens: Sequence[bytes]) -> PageResult:
        """The outcome of a comparison that finds nothing; raises _NotProvedError."""
        result = prove_page(self._own, subject, tokens, kit=self._kit, limits=self._limits)
        if result is None:
            raise _NotProvedError
        return result


def prove_page(
    own: OwnPdf, subject: Subject, tokens: Sequence[bytes], *, kit: PageKit, limits: Limits
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
    inks = _inks(spec)
    if not all(any(place.inside(slot, slack_mm=_SLACK_MM) for slot in slots) for place in own.places):
        return None
    if any(slot.meets(ink, slack_mm=-INK_GROW_MM) for slot in slots for _, ink in inks):
        return None  # a seal could be ink
    if not draws_the_same(own, page_objects(without_slots(spec) if own.seals else spec, fonts=kit.fonts)):
        return None
    if any(_shows_code(picture, limits) for picture in (images.photo, images.signature) if picture):
        return None
    return PageResult(
        compared=True, reason="", mismatches=(), empty=tuple(name for name, _ in inks), shipped=kit.shipped
    )


def _inks(spec: PageSpec) -> list[tuple[str, Rect]]:
    """The boxes for ink, which are empty on a page that is equal."""
    return [(name, bounds(box)) for name, frame in INK_BOXES for box in spec.named(frame)]


def _shows_code(picture: bytes, limits: Limits) -> bool:
    """Whether a portrait or signature image shows a code, which a look at the page would find."""
    return bool(read_qr(picture, limits=limits, patient=False))
