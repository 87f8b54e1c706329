"""Rows of the ledger as values: orders, copies, acts, status lists.

Source: docs/life-of-a-certificate.md. Pure; `ledger` reads and writes them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from mingzheng.issuer.schema import CopyState, CopyStatus, FileForm, RegistrationState, RequestState
from mingzheng.log.acts import ActType

__all__ = [
    "DESK",
    "NOTICE_ACT",
    "STATUS_AFTER",
    "ActRow",
    "Application",
    "ApplicationRow",
    "By",
    "CopyRow",
    "Decision",
    "FileRow",
    "ForeignRow",
    "JournalRow",
    "LockRow",
    "Logged",
    "NamingAct",
    "NewAct",
    "NewApplication",
    "NoticeRow",
    "Order",
    "Registration",
    "RequestRow",
    "StatusRow",
]

NOTICE_ACT: Final = 100  # plus the type of the notice: an `act` in the ledger
STATUS_AFTER: Final[Mapping[ActType, CopyStatus]] = {
    ActType.REVOKE: CopyStatus.REVOKED,
    ActType.SUSPEND: CopyStatus.SUSPENDED,
    ActType.REINSTATE: CopyStatus.LIVE,
    ActType.SUPERSEDE: CopyStatus.SUPERSEDED,
    ActType.VOID: CopyStatus.VOID,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What a registration is known by: issuer number, kind code, registration number."""

    issuer: int
    kind: int
    registration_no: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A holder's signed application for re-issue, as it was checked. Digests are SHA-256."""

    file: bytes  # digest of the file
    beside: bytes | None  # digest of the signature beside it; None: it is in the file
    statement: bytes  # digest of what the holder's key signed: two files with the same one are one application
    certificate: bytes = field(repr=False)  # digest of the signer's certificate
    subject: str = field(repr=False)  # of the certificate; may hold an identity number
    by_number: bool  # the certificate names the holder's identity number; else the name alone
    signed_at: int  # unix seconds, by the signer's own word unless `is_stamped`
    is_stamped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApplication:
    """An application to be attached, with the files to keep."""

    facts: Application
    data: bytes = field(repr=False)
    signature: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationRow:
    """An application as the ledger has it: of which re-issue (its data), the first copy made of it, since when."""

    facts: Application
    registration: Registration
    record: bytes
    serial: int
    day: int
    journal: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One copy asked for. `key` names it with its day, `request` without, `batch` the command; each is 32 bytes."""

    key: bytes
    request: bytes
    batch: bytes
    registration: Registration
    record_digest: bytes
    record_body: bytes  # canonical; holds the identity number
    day: int
    reason: str  # why it supersedes copies of other data, if it does
    photo: bytes | None  # SHA-256 of the stored image
    signature_image: bytes | None
    application: NewApplication | None = None  # what the holder signed, of a re-issue


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRow:
    """One file a copy became: its form, its name and the SHA-256 of its bytes."""

    form: FileForm
    name: str
    sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRow:
    """A copy as the ledger has it; fields of later states are None."""

    issuer: int
    serial: int
    key: bytes
    request: bytes
    batch: bytes
    kind: int
    registration_no: str
    record: bytes
    day: int
    claims: bytes
    reason: str
    photo: bytes | None
    signature_image: bytes | None
    state: CopyState
    status: CopyStatus
    signed: bytes | None
    leaf_index: int | None
    shard: int  # which of the workspace's logs holds it, 0 the first
    receipt: bytes | None
    proof: bytes | None
    logged_at: int | None  # seconds since the epoch: the time its seals state
    files: tuple[FileRow, ...]  # by form, PDF first

    def file(self, form: FileForm) -> FileRow | None:
        """Its file of that form."""
        return next((file for file in self.files if file.form is form), None)

    @property
    def registration(self) -> Registration:
        """The registration this is a copy of."""
        return Registration(issuer=self.issuer, kind=self.kind, registration_no=self.registration_no)

    @property
    def is_unlogged(self) -> bool:
        """Still on its way to the log."""
        return self.state in (CopyState.PLANNED, CopyState.SIGNED) and self.status is not CopyStatus.VOID


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """What the log (of the workspace's the `shard`th, 0 the first) gave for one copy: index, receipts, and when."""

    issuer: int
    serial: int
    leaf_index: int
    receipt: bytes
    proof: bytes
    logged_at: int
    shard: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A change of a registration's state, and why."""

    registration: Registration
    state: RegistrationState
    day: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAct:
    """An act to be numbered, signed and stored. `status` is what it makes of the serials."""

    issuer: int
    act: int  # the log's act type; of a key event its type, negative; of a notice NOTICE_ACT and its type
    serials: tuple[int, ...]  # strictly rising; none only for a key event or a notice
    day: int
    reason: str
    status: CopyStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """Who does it: nobody (the desk by itself), one operator, or who asked and then who approved, and the request."""

    operators: tuple[str, ...] = ()
    request: bytes = b""


DESK: Final = By()


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRow:
    """A request as the ledger has it. `body`: what `requestform` reads; `target`: what it is about, CBOR."""

    id: bytes
    issuer: int
    body: bytes
    target: bytes
    reason: str
    operator: str
    seal: bytes
    state: RequestState


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalRow:
    """A row of the journal as it is stored; `reason` and `salt` None where the reason was erased."""

    number: int
    body: bytes
    digest: bytes
    salt: bytes | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockRow:
    """A lock of a registration or its end; `journal` is the row that says by whom."""

    locked: bool
    day: int
    reason: str
    journal: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ActRow:
    """A stored act; `entry` is what the log gets, byte for byte."""

    issuer: int
    number: int
    act: int
    day: int
    reason: str
    entry: bytes
    leaf_index: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignRow:
    """An entry of the log under an issuer's key that this desk did not write; `number`: of an act, whose code `act`
    is, as `NewAct` has it."""

    shard: int
    leaf_index: int
    issuer: int
    number: int | None
    act: int | None
    day: int
    entry: bytes
    agreed: bool  # two persons have looked at it


@dataclass(frozen=True, slots=True, kw_only=True)
class NamingAct:
    """An act that names a copy of a registration, with all its serials; `shard`: which log the index is of."""

    number: int
    act: int
    day: int
    reason: str
    serials: tuple[int, ...]
    shard: int
    leaf_index: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeRow:
    """A stored notice: an act whose entry is one. `shard`: which of the workspace's logs the index is of."""

    issuer: int
    day: int
    reason: str
    entry: bytes
    leaf_index: int | None
    shard: int
    foreign: bool = False  # in the log under our key, and not from this desk


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusRow:
    """The last status list of an issuer, and the full receipt of its status entry."""

    issuer: int
    covered: int  # log size the list speaks of
    this_update: int
    list: bytes
    proof: bytes
