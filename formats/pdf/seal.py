"""Seals on a PDF: PAdES baseline B, T with time stamps, LTA with evidence (ETSI EN 319 142-1; docs/spec/documents.md).

The first seal goes into the file's only revision and certifies it; a second one is a further revision that changes
its own field and nothing else; then everything is locked. Signature values of P-256 keys are deterministic (RFC 6979),
so the same page sealed at the same time is the same file. Own writer: pyHanko takes 17 ms for what takes one here;
pyHanko, poppler and the EU's validator are the judges of it in the tests. Effectful: keys and time stamps may be
devices and services.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol

from mingzheng.formats.imagehead import ImageKind, read_head
from mingzheng.formats.images import decode_image
from mingzheng.formats.limits import LIMITS_DEFAULT
from mingzheng.formats.page import Rect
from mingzheng.formats.pdf.cms import Signer, detached_cms, signer_of
from mingzheng.formats.pdf.imageembed import Pixels, embed_direct, embed_pixels
from mingzheng.formats.pdf.objects import PdfObjects, array, dictionary, ref, stream
from mingzheng.formats.pdf.revise import PdfSealError, append_revision, object_offset
from mingzheng.formats.pdf.sealform import (
    Field,
    SealPage,
    Signature,
    art_form,
    fill_byte_range,
    fit,
    image_form,
    signature_dictionary,
)

if TYPE_CHECKING:
    from mingzheng.keys.sealkey import SealKey

__all__ = ["Evidence", "PdfSealError", "PdfSealing", "TimeStampService", "seal_pdf"]

SEALS_MAX: Final = 4
_SPARE: Final = 64  # bytes behind the longest signature
_STAMP_FIELD: Final = "TimeStamp"


@dataclass(frozen=True, slots=True, kw_only=True)
class PdfSealing:
    """One seal: its key, the name of its field, its place on the page, its picture, and why it is set."""

    key: SealKey
    field: str  # letters and digits, e.g. "Seal1"
    rect: Rect
    art_pdf: bytes | None  # of `sealart.seal_art_pdf`
    art_png: bytes | None  # any PNG, used if there is no art_pdf
    reason: str
    alt: str = ""  # what the seal says, for someone who listens; the reason if empty


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a reader needs to check the signatures in ten years: certificates and revocation data, DER."""

    certificates: tuple[bytes, ...]
    crls: tuple[bytes, ...]
    ocsps: tuple[bytes, ...]


class TimeStampService(Protocol):
    """A time-stamping authority (RFC 3161)."""

    @property
    def token_bytes_max(self) -> int:
        """Room for a token."""
        ...  # pragma: no cover - protocol

    @property
    def evidence(self) -> Evidence | None:
        """For level LTA; None: level T."""
        ...  # pragma: no cover - protocol

    def stamp(self, digest: bytes) -> bytes:
        """The token (ContentInfo, DER) over a SHA-256 digest."""
        ...  # pragma: no cover - protocol


def seal_pdf(data: bytes, *, seals: Sequence[PdfSealing], at: int, timestamps: TimeStampService | None) -> bytes:
    """The file of `compose_pdf` with its seals, in the order given; `at` is the time of sealing (unix seconds).

    Raises PdfSealError, ImageError, and what the keys and the service raise. Cost: about 1 ms for a P-256 key.
    """
    if not 1 <= len(seals) <= SEALS_MAX:
        raise PdfSealError(f"a file takes 1 to {SEALS_MAX} seals")
    return _Sealing(data, seals, at, timestamps).run()


class _Sealing:
    """One run over one file."""

    def __init__(self, data: bytes, seals: Sequence[PdfSealing], at: int, service: TimeStampService | None) -> None:
        self._seals, self._at, self._service = seals, at, service
        self._pictures = [_picture(seal) for seal in seals]
        fields = [
            Field(name=seal.field, rect=fit(seal.rect, picture.shape), alt=seal.alt or seal.reason)
            for seal, picture in zip(seals, self._pictures, strict=True)
        ]
        if service is not None and service.evidence is not None:
            fields.append(Field(name=_STAMP_FIELD, rect=None, alt="归档时间戳 / archive time stamp"))
        self._page = SealPage(data, fields)

    def run(self) -> bytes:
        """All revisions."""
        data = self._seal(b"", 0)
        for place in range(1, len(self._seals)):
            data = self._seal(data, place)
        if self._service is not None and self._service.evidence is not None:
            data = self._archive(data, self._service, self._service.evidence)
        return data

    def _seal(self, data: bytes, place: int) -> bytes:
        page, seal, last = self._page, self._seals[place], place == len(self._seals) - 1
        signer = _signer(str(seal.key.alg), seal.key.certificate, seal.key.chain)
        room = signer.size_max + _SPARE + (self._service.token_bytes_max if self._service else 0)
        before = len(page.bodies)
        picture = self._pictures[place].write(page)
        signature = page.add(
            signature_dictionary(
                Signature(
                    kind="ETSI.CAdES.detached",
                    at=self._at,
                    reason=seal.reason,
                    changes=None if place else (1 if last else 2),
                    lock=page.lock if place and last else None,
                    size=room,
                )
            )
        )
        field = page.numbers[seal.field]
        page.bodies[field - 1] = page.widget(seal.field, picture=picture, signature=signature)
        if place == 0:
            root = page.file.root
            page.bodies[root - 1] = page.catalogue[:-2] + b" /Perms <</DocMDP %b>>>>" % ref(signature)
            data = self._whole()
        else:
            data = self._append(data, before, [field])
        return self._sign(data, signature, seal.key, signer)

    def _sign(self, data: bytes, number: int, key: SealKey, signer: Signer) -> bytes:
        stamp = self._service.stamp if self._service is not None else None

        def cms(digest: bytes) -> bytes:
            return detached_cms(signer, digest=digest, sign=key.sign, stamp=stamp)

        return _fill(data, number, cms)

    def _archive(self, data: bytes, service: TimeStampService, evidence: Evidence) -> bytes:
        """Evidence and a time stamp over the whole file (§5.4.2, §5.5 of EN 319 142-1)."""
        page, root = self._page, self._page.file.root
        before = len(page.bodies)
        store = {"Type": b"/DSS"}
        for label, items in (
            ("Certs", evidence.certificates),
            ("CRLs", evidence.crls),
            ("OCSPs", evidence.ocsps),
        ):
            if items:
                store[label] = array([ref(page.add(stream(item))) for item in items])
        page.bodies[root - 1] = page.catalogue[:-2] + b" /DSS %b>>" % ref(page.add(dictionary(store)))
        data = self._append(data, before, [root])
        before = len(page.bodies)
        signature = page.add(
            signature_dictionary(
                Signature(
                    kind="ETSI.RFC3161", at=None, reason="", changes=None, lock=None, size=service.token_bytes_max
                )
            )
        )
        field = page.numbers[_STAMP_FIELD]
        page.bodies[field - 1] = page.widget(_STAMP_FIELD, picture=None, signature=signature)
        return _fill(self._append(data, before, [field]), signature, service.stamp)

    def _whole(self) -> bytes:
        objects = PdfObjects()
        for body in self._page.bodies:
            objects.add(body)
        return objects.file(root=self._page.file.root, info=self._page.file.info)

    def _append(self, data: bytes, before: int, changed: Sequence[int]) -> bytes:
        """A revision of the changed objects and of those added since there were `before` of them."""
        page = self._page
        numbers = [*changed, *range(before + 1, len(page.bodies) + 1)]
        bodies = {number: page.bodies[number - 1] for number in numbers}
        return append_revision(data, bodies, size=page.size, root=page.file.root, info=page.file.info)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Picture:
    """The face of a seal: a ready form object, or an image to be put into one; `shape` is height by width."""

    shape: float
    form: bytes | None
    png: bytes

    def write(self, page: SealPage) -> int:
        """Number of the form object."""
        if self.form is not None:
            return page.add(self.form)
        image = embed_direct(page, read_head(self.png), self.png)
        if image is None:
            image = embed_pixels(page, _pixels(self.png))
        return page.add(image_form(image, self.shape))


def _picture(seal: PdfSealing) -> _Picture:
    if seal.art_pdf is not None:
        form, shape = art_form(seal.art_pdf)
        return _Picture(shape=shape, form=form, png=b"")
    if seal.art_png is None:
        raise PdfSealError("a seal needs a picture")
    head = read_head(seal.art_png)
    if head.kind is not ImageKind.PNG:
        raise PdfSealError("the picture of a seal is a PNG")
    return _Picture(shape=head.height / head.width, form=None, png=seal.art_png)


@lru_cache(maxsize=16)
def _pixels(png: bytes) -> Pixels:
    return decode_image(png, limits=LIMITS_DEFAULT)


def _fill(data: bytes, number: int, sign: Callable[[bytes], bytes]) -> bytes:
    """Byte range and signature into the gap of a signature dictionary."""
    out, begin, end = fill_byte_range(data, object_offset(data, number))
    digest = hashlib.sha256(memoryview(out)[:begin])
    digest.update(memoryview(out)[end:])
    value = sign(digest.digest()).hex().encode()
    if len(value) > end - begin - 2:
        raise PdfSealError("the signature is longer than its key or time stamp service said")
    out[begin + 1 : begin + 1 + len(value)] = value
    return bytes(out)


@lru_cache(maxsize=64)
def _signer(algorithm: str, certificate: bytes, chain: tuple[bytes, ...]) -> Signer:
    return signer_of(algorithm, certificate, chain)
