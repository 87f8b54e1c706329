"""From a logged copy to delivered files: compose, seal, write, read back, compare.

Source: DESIGN §2 and §8. A file is written beside its name, made durable and renamed; a copy counts as delivered only
after the bytes on disk gave back, through the same reader a verifier uses, exactly the signed credential from the
attachment and from the visible QR code, after signature and both receipts verified against its leaf, and after the
rule's seals, and they alone, were found to hold. File names hold kind, issuer and serial, nothing of the holder.
"""

import hashlib
import logging
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mingzheng.formats.claims import Claims, parse_claims
from mingzheng.formats.credential import open_credential, parse_credential
from mingzheng.formats.errors import FormatError
from mingzheng.formats.extract import extract
from mingzheng.formats.limits import LIMITS_DEFAULT
from mingzheng.formats.profile import Profile
from mingzheng.formats.qrtext import parse_qr_text
from mingzheng.issuer.press import Press
from mingzheng.issuer.publish import entry_of, token_of
from mingzheng.issuer.refusals import NameTakenError, ReadBackError
from mingzheng.issuer.rows import CopyRow, FileRow
from mingzheng.issuer.schema import CopyState, FileForm
from mingzheng.issuer.sealing import Sealer, Sheet
from mingzheng.issuer.workspace import Workspace, log_vkey
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

__all__ = ["Outbox", "Renderer", "check_read_back", "file_name"]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbox:
    """Where files go, and in which forms; None: what the workspace makes by default."""

    directory: Path
    forms: tuple[FileForm, ...] | None


class Renderer:
    """Renders copies of one workspace into one directory."""

    def __init__(self, workspace: Workspace, out: Path | Outbox, *, now: int) -> None:
        """`now`: the time of the command."""
        forms = out.forms if isinstance(out, Outbox) else None
        self._workspace, self._out = workspace, out.directory if isinstance(out, Outbox) else out
        self._forms = workspace.config.sealing.forms if forms is None else forms
        self._press = Press(workspace)
        self._sealer = Sealer(workspace, self._press.fonts, now=now)
        make_dirs(self._out)
        with tempfile.TemporaryFile(dir=self._out):  # raises OSError where no file can be made
            pass

    def check(self, claims: Claims, profile: Profile, issuer: int) -> None:
        """Open every seal that such a copy takes today; raises what would keep it from being sealed."""
        page = self._press.check(claims, profile, issuer, (None, None))
        sheet = Sheet(issuer=issuer, claims=claims, page=page)
        self._sealer.check(sheet, self._forms)
        self._sealer.open_keys(sheet, self._forms)

    def bodies(self, row: CopyRow) -> tuple[int, ...]:
        """The bodies whose seals its files bear, in order."""
        return self._sealer.bodies(row.issuer, parse_claims(row.claims))

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
            sheet = Sheet(issuer=row.issuer, claims=parse_claims(row.claims), page=self._press.page_of(row, profile))
            self._render(row, profile, sheet, {form: paths[form] for form in missing})
            for form, path in paths.items():
                data = path.read_bytes()
                check_read_back(self._workspace, row, data)
                self._sealer.check_sealed(data, sheet, form)
            self._workspace.ledger.store_delivered(row.issuer, row.serial)
            _logger.info("delivered issuer=%d serial=%d files=%d", row.issuer, row.serial, len(paths))
        return tuple(paths[form] for form in self._forms)

    def _render(self, row: CopyRow, profile: Profile, sheet: Sheet, paths: Mapping[FileForm, Path]) -> None:
        """Compose, seal and publish; signatures may differ from run to run, so the ledger keeps the digest of each."""
        assert row.logged_at is not None  # schema: logged
        files = []
        for path in paths.values():
            _check_free(path, token_of(row))
        for form, path in paths.items():
            data = self._press.compose(row, profile, form, seals=len(self.bodies(row)))
            data = self._sealer.seal(data, sheet, form, logged_at=row.logged_at)
            publish(path, data, temporary=path.with_name(f".{path.name}.tmp"))
            files.append(FileRow(form=form, name=path.name, sha256=hashlib.sha256(data).digest()))
        self._workspace.ledger.store_rendered(row.issuer, row.serial, files)

    def _profile(self, row: CopyRow) -> Profile:
        claims = parse_claims(row.claims)
        profile = self._workspace.profiles().select(claims.kind, claims.jurisdiction, claims.copy_issued_on)
        if profile is None:
            raise ReadBackError(row.serial, "profile")
        return profile


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
    origin = config.begun[row.shard]
    receipt_key = config.log_key(Role.RECEIPT, origin.number)
    assert receipt_key is not None  # a log has one
    assert row.receipt is not None  # schema: logged
    assert row.proof is not None
    compact = parse_compact_receipt(row.receipt)
    index = verify_compact_receipt(compact, leaf, key=receipt_key.public_key, block_height=origin.block_height)
    proof = parse_tlog_proof(row.proof)
    verify_full_receipt(proof, leaf, vkey=parse_vkey(log_vkey(config, origin.number)), origin=origin.name)
    if not index == proof.index == row.leaf_index or compact.origin != origin.number:
        raise ReadBackError(row.serial, "index")


def _check_free(path: Path, token: bytes) -> None:
    """Whether the name may be written: not if a certificate of another copy has it. Raises NameTakenError.

    What cannot be read, or carries no credential, is a damaged file of ours and is made again.
    """
    try:
        found = extract(path.read_bytes(), limits=LIMITS_DEFAULT)
    except (FileNotFoundError, FormatError):
        return
    attached = [item.data for item in found.candidates if item.source == "attachment"]
    if attached and token not in attached:
        raise NameTakenError(path.name)


def _is_there(path: Path, file: FileRow | None) -> bool:
    """Whether the file is where it belongs, as the ledger knows it."""
    try:
        return file is not None and hashlib.sha256(path.read_bytes()).digest() == file.sha256
    except FileNotFoundError:
        return False
