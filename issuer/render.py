"""From a logged copy to a delivered file: compose the page, write it, read it back, compare.

Source: DESIGN §2 and §8. The file is written beside its name, made durable and renamed; a copy counts as delivered
only after the bytes on disk gave back, through the same reader a verifier uses, exactly the signed credential from
the attachment and from the visible QR code, and after signature and both receipts verified against its leaf.
File names hold kind, issuer and serial, nothing of the holder.
"""

import hashlib
import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mingzheng.formats.claims import Claims, parse_claims
from mingzheng.formats.credential import attach_receipt, open_credential, parse_credential, sign_credential
from mingzheng.formats.errors import FormatError
from mingzheng.formats.extract import extract
from mingzheng.formats.fontfile import load_fonts
from mingzheng.formats.layout import PageMaterial, layout
from mingzheng.formats.library import read_shipped_templates
from mingzheng.formats.limits import LIMITS_DEFAULT
from mingzheng.formats.page import PageSpec
from mingzheng.formats.pdf.compose import PdfMetadata, compose_pdf
from mingzheng.formats.profile import Profile
from mingzheng.formats.qrimage import encode_qr
from mingzheng.formats.qrtext import parse_qr_text, to_digits
from mingzheng.formats.template import parse_templates
from mingzheng.issuer.publish import entry_of, token_of
from mingzheng.issuer.refusals import ReadBackError
from mingzheng.issuer.rows import CopyRow, FileRow
from mingzheng.issuer.schema import CopyState, FileForm
from mingzheng.issuer.workspace import Workspace, log_vkey
from mingzheng.keys.alg import Alg, parse_public_key
from mingzheng.keys.errors import KeysError
from mingzheng.keys.trust import Role
from mingzheng.keys.vkey import parse_vkey
from mingzheng.log.durable import make_dirs, publish
from mingzheng.log.errors import LogError
from mingzheng.log.hashing import leaf_hash
from mingzheng.log.receipt import (
    parse_compact_receipt,
    parse_tlog_proof,
    verify_compact_receipt,
    verify_full_receipt,
)

__all__ = ["Press", "Renderer", "check_read_back", "file_name"]

PRODUCER: Final = "mingzheng"
RECEIPT_BASE: Final = 148  # bytes of the longest compact receipt without hashes (log.receipt) ...
RECEIPT_HASH: Final = 34  # ... and of each hash, at most one per level of a block
SURE_BYTES: Final = 760  # tokens up to here fit the QR slot: 1,832 digits, version 23 at level M

_logger = logging.getLogger(__name__)


class Press:
    """Templates and fonts of a workspace: what turns claims into a page."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._fonts = load_fonts(workspace.fallback_font())
        self._templates = parse_templates(read_shipped_templates().values())

    def page(self, claims: Claims, profile: Profile, material: PageMaterial) -> PageSpec:
        """The page in millimetres. Raises MissingGlyphError, TextOverflowError and the like."""
        return layout(claims, profile, self._templates[claims.template], material=material, measure=self._fonts)

    def check(self, claims: Claims, profile: Profile, issuer: int, images: tuple[bytes | None, bytes | None]) -> None:
        """Refuse before anything is logged what could not be printed: a missing glyph, a text or code too large.

        Raises a FormatError.
        """
        receipt = RECEIPT_BASE + RECEIPT_HASH * self._workspace.config.origin.block_height
        token = attach_receipt(sign_credential(claims, _Stamp()), bytes(receipt))
        rows = encode_qr(to_digits(token), self._prefix(issuer)).rows if len(token) > SURE_BYTES else None
        self.page(claims, profile, self._material(issuer, images, (rows, bytes(32))))

    def page_of(self, row: CopyRow, profile: Profile) -> PageSpec:
        """The page of a logged copy; the same every time."""
        claims, token = parse_claims(row.claims), token_of(row)
        images = (self._workspace.read_image(row.photo), self._workspace.read_image(row.signature_image))
        rows = encode_qr(to_digits(token), self._prefix(row.issuer)).rows
        material = self._material(row.issuer, images, (rows, parse_credential(token).identity))
        return self.page(claims, profile, material)

    def compose(self, row: CopyRow, profile: Profile) -> bytes:
        """The unsealed PDF of a logged copy; the same bytes every time."""
        assert row.proof is not None  # schema: logged
        author = self._workspace.config.issuer_records()[row.issuer].name
        return compose_pdf(
            self.page_of(row, profile),
            fonts=self._fonts,
            attachments={"credential": token_of(row), "receipt": row.proof},
            metadata=PdfMetadata(author=author, subject=f"{profile.id} {row.issuer}-{row.serial}", producer=PRODUCER),
        )

    def _prefix(self, issuer: int) -> str | None:
        prefixes = self._workspace.config.issuer_records()[issuer].prefixes
        return prefixes[0] if prefixes else None

    def _material(
        self,
        issuer: int,
        images: tuple[bytes | None, bytes | None],
        code: tuple[tuple[bytes, ...] | None, bytes],
    ) -> PageMaterial:
        return PageMaterial(
            bodies=self._workspace.config.issuer_records()[issuer].bodies,
            photo=images[0],
            signature=images[1],
            qr_rows=code[0],
            identity=code[1],
        )


class Renderer:
    """Renders copies of one workspace into one directory."""

    def __init__(self, workspace: Workspace, out: Path) -> None:
        self._workspace, self._out = workspace, out
        self._forms: tuple[FileForm, ...] = (FileForm.PDF,)
        self._press = Press(workspace)
        make_dirs(out)
        with tempfile.TemporaryFile(dir=out):  # raises OSError where no file can be made
            pass

    def deliver(self, row: CopyRow) -> tuple[Path, ...]:
        """Bring a logged copy to `delivered` in every form asked for; returns the files in the order of the forms.

        Of a delivered copy a file that is there and unchanged is left alone. Raises ReadBackError, an error of layout,
        composing or sealing, or OSError.
        """
        profile = self._profile(row)
        forms = self._forms
        if row.state is CopyState.RENDERED:  # a killed command's files are finished, whatever is asked for now
            forms = tuple(form for form in FileForm if form in forms or row.file(form) is not None)
        paths = {form: self._out / file_name(profile.id, row, form) for form in forms}
        missing = [form for form in forms if not _is_there(paths[form], row.file(form))]
        if missing or row.state is not CopyState.DELIVERED:
            self._render(row, profile, {form: paths[form] for form in missing})
            for path in paths.values():
                check_read_back(self._workspace, row, path.read_bytes())
            self._workspace.ledger.store_delivered(row.issuer, row.serial)
            _logger.info("delivered issuer=%d serial=%d files=%d", row.issuer, row.serial, len(paths))
        return tuple(paths[form] for form in self._forms)

    def _render(self, row: CopyRow, profile: Profile, paths: Mapping[FileForm, Path]) -> None:
        files = []
        for form, path in paths.items():
            data = self._press.compose(row, profile)
            publish(path, data, temporary=path.with_name(f".{path.name}.tmp"))
            files.append(FileRow(form=form, name=path.name, sha256=hashlib.sha256(data).digest()))
        self._workspace.ledger.store_rendered(row.issuer, row.serial, files)

    def _profile(self, row: CopyRow) -> Profile:
        claims = parse_claims(row.claims)
        profile = self._workspace.profiles().select(claims.kind, claims.jurisdiction, claims.copy_issued_on)
        if profile is None:
            raise ReadBackError(row.serial, "profile")
        return profile


class _Stamp:
    """Signs nothing: 64 zero bytes under a key that is in no trust data, to measure a credential before it exists."""

    public_key: Final = parse_public_key(
        bytes.fromhex("302a300506032b6570032100") + b"\x58" + bytes([0x66]) * 31, alg=Alg.ED25519
    )

    def sign(self, message: bytes) -> bytes:
        """64 zero bytes."""
        return bytes(64)


def file_name(kind: str, row: CopyRow, form: FileForm) -> str:
    """`<kind>-<issuer>-<serial>.<form>`."""
    return f"{kind}-{row.issuer}-{row.serial:06d}.{form}"


def check_read_back(workspace: Workspace, row: CopyRow, data: bytes) -> None:
    """Read a produced file as a verifier would and compare it with the ledger. Raises ReadBackError."""
    token = token_of(row)
    try:
        found = extract(data, limits=LIMITS_DEFAULT)
        prefixes = workspace.config.issuer_records()[row.issuer].prefixes
        attached = [item.data for item in found.candidates if item.source == "attachment"]
        visible = [
            parse_qr_text(item.text, prefixes=prefixes).data
            for item in found.candidates
            if item.source == "qr" and item.text is not None
        ]
    except FormatError as error:
        raise ReadBackError(row.serial, error.code) from error
    if attached != [token]:
        raise ReadBackError(row.serial, "attachment credential")
    if visible != [token]:
        raise ReadBackError(row.serial, "QR")
    if list(found.facts.full_receipts) != [row.proof]:
        raise ReadBackError(row.serial, "attachment receipt")
    try:
        _check_proofs(workspace, row, token)
    except (FormatError, KeysError, LogError) as error:
        raise ReadBackError(row.serial, error.code) from error


def _check_proofs(workspace: Workspace, row: CopyRow, token: bytes) -> None:
    """Signature, claims, compact and full receipt, each against public keys only."""
    unverified, config = parse_credential(token), workspace.config
    key = config.key_records().get(unverified.kid)
    if key is None:
        raise ReadBackError(row.serial, "kid")
    claims: Claims = open_credential(unverified, key).claims
    if claims != parse_claims(row.claims):
        raise ReadBackError(row.serial, "claims")
    leaf = leaf_hash(entry_of(row))
    receipt_key = next(spec.public_key for spec in config.keys if spec.role is Role.RECEIPT)
    assert row.receipt is not None  # schema: logged
    assert row.proof is not None
    compact = parse_compact_receipt(row.receipt)
    index = verify_compact_receipt(compact, leaf, key=receipt_key, block_height=config.origin.block_height)
    proof = parse_tlog_proof(row.proof)
    verify_full_receipt(proof, leaf, vkey=parse_vkey(log_vkey(config)), origin=config.origin.name)
    if not index == proof.index == row.leaf_index or compact.origin != config.origin.number:
        raise ReadBackError(row.serial, "index")


def _is_there(path: Path, file: FileRow | None) -> bool:
    """Whether the file is where it belongs, as the ledger knows it."""
    try:
        return file is not None and hashlib.sha256(path.read_bytes()).digest() == file.sha256
    except FileNotFoundError:
        return False
