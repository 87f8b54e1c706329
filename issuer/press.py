"""Claims to unsealed files: templates and fonts of a workspace, a page, and the page as PDF or OFD.

Source: DESIGN §2 and §8. Everything here gives the same bytes every time; seals come later (`sealing`). Effectful: it
reads stored images and drives the font library.
"""

import hashlib
from collections.abc import Iterator
from typing import Final

from mingzheng.formats.claims import Claims, parse_claims
from mingzheng.formats.credential import attach_receipt, parse_credential, sign_credential
from mingzheng.formats.fontfile import load_fonts
from mingzheng.formats.layout import PageMaterial, layout
from mingzheng.formats.library import read_shipped_templates
from mingzheng.formats.ofd.compose import OfdField, OfdMetadata, compose_ofd
from mingzheng.formats.page import PageSpec, TextRun, without_slots
from mingzheng.formats.pdf.compose import PdfMetadata, compose_pdf
from mingzheng.formats.profile import FieldName, Profile
from mingzheng.formats.qrimage import encode_qr
from mingzheng.formats.qrtext import to_digits
from mingzheng.formats.template import parse_templates
from mingzheng.issuer.publish import token_of
from mingzheng.issuer.rows import CopyRow
from mingzheng.issuer.schema import FileForm
from mingzheng.issuer.workspace import Workspace
from mingzheng.keys.alg import Alg, parse_public_key
from mingzheng.keys.trust import IssuerRecord

__all__ = ["Press", "signed_fields"]

PRODUCER: Final = "mingzheng"
RECEIPT_BASE: Final = 148  # bytes of the longest compact receipt without hashes (log.receipt) ...
RECEIPT_HASH: Final = 34  # ... and of each hash, at most one per level of a block
SURE_BYTES: Final = 760  # tokens up to here fit the QR slot: 1,832 digits, version 23 at level M
_OWN_PLACES: Final = {FieldName.USAGE_WINDOW: "window", FieldName.ISSUING_BODY: "issuer"}


class Press:
    """Templates and fonts of a workspace: what turns claims into a page, and a page into a file."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.fonts = load_fonts(workspace.fallback_font())
        self._templates = parse_templates(read_shipped_templates().values())

    def page(self, claims: Claims, profile: Profile, material: PageMaterial) -> PageSpec:
        """The page in millimetres. Raises MissingGlyphError, TextOverflowError and the like."""
        return layout(claims, profile, self._templates[claims.template], material=material, measure=self.fonts)

    def check(
        self, claims: Claims, profile: Profile, issuer: int, images: tuple[bytes | None, bytes | None]
    ) -> PageSpec:
        """The page as it will be; refuses before anything is logged what could not be printed.

        Raises a FormatError: a missing glyph, a text or code too large.
        """
        receipt = RECEIPT_BASE + RECEIPT_HASH * self._workspace.config.origin.block_height
        token = attach_receipt(sign_credential(claims, _Stamp()), bytes(receipt))
        rows = encode_qr(to_digits(token), self._prefix(issuer)).rows if len(token) > SURE_BYTES else None
        return self.page(claims, profile, self._material(issuer, images, (rows, bytes(32))))

    def page_of(self, row: CopyRow, profile: Profile) -> PageSpec:
        """The page of a logged copy; the same every time."""
        claims, token = parse_claims(row.claims), token_of(row)
        images = (self._workspace.read_image(row.photo), self._workspace.read_image(row.signature_image))
        rows = encode_qr(to_digits(token), self._prefix(row.issuer)).rows
        material = self._material(row.issuer, images, (rows, parse_credential(token).identity))
        return self.page(claims, profile, material)

    def compose(self, row: CopyRow, profile: Profile, form: FileForm = FileForm.PDF, *, seals: int = 0) -> bytes:
        """The unsealed file of a logged copy, ready for that many seals; the same bytes every time."""
        assert row.proof is not None  # schema: logged
        page, attachments = self.page_of(row, profile), {"credential": token_of(row), "receipt": row.proof}
        if seals:
            page = without_slots(page)
        author, subject = self._issuer(row.issuer).name, f"{profile.id} {row.issuer}-{row.serial}"
        if form is FileForm.PDF:
            metadata = PdfMetadata(author=author, subject=subject, producer=PRODUCER, made_on=row.day)
            return compose_pdf(page, fonts=self.fonts, attachments=attachments, metadata=metadata)
        claims = parse_claims(row.claims)
        described = OfdMetadata(
            doc_id=_document_id(row),
            author=author,
            subject=subject,
            creator=PRODUCER,
            made_on=row.day,
            valid_from=claims.copy_issued_on,
            valid_until=claims.registered_until if claims.usage_until is None else claims.usage_until,
            fields=signed_fields(page, profile),
            licence_id=None,
        )
        return compose_ofd(page, fonts=self.fonts, attachments=attachments, metadata=described, seals=seals)

    def _issuer(self, number: int) -> IssuerRecord:
        return self._workspace.config.issuer_records()[number]

    def _prefix(self, issuer: int) -> str | None:
        prefixes = self._issuer(issuer).prefixes
        return prefixes[0] if prefixes else None

    def _material(
        self,
        issuer: int,
        images: tuple[bytes | None, bytes | None],
        code: tuple[tuple[bytes, ...] | None, bytes],
    ) -> PageMaterial:
        return PageMaterial(
            bodies=self._issuer(issuer).bodies,
            photo=images[0],
            signature=images[1],
            qr_rows=code[0],
            identity=code[1],
        )


def signed_fields(page: PageSpec, profile: Profile) -> tuple[OfdField, ...]:
    """The fields that stand on the page, by their labels, in the profile's order, with the boxes that show them."""
    return tuple(_fields(page, profile))


def _fields(page: PageSpec, profile: Profile) -> Iterator[OfdField]:
    for field in profile.fields:
        box = _OWN_PLACES.get(field.name, f"field.{field.name}.value")
        text = "".join(run.text for run in page.named(box) if isinstance(run, TextRun))
        if text:
            yield OfdField(name=field.label_zh, value=text, boxes=(box,))


def _document_id(row: CopyRow) -> str:
    """32 hexadecimal digits that are the copy's own."""
    return hashlib.sha256(b"ofd" + token_of(row)).hexdigest()[:32]


class _Stamp:
    """Signs nothing: 64 zero bytes under a key that is in no trust data, to measure a credential before it exists."""

    public_key: Final = parse_public_key(
        bytes.fromhex("302a300506032b6570032100") + b"\x58" + bytes([0x66]) * 31, alg=Alg.ED25519
    )

    def sign(self, message: bytes) -> bytes:
        """64 zero bytes."""
        return bytes(64)
