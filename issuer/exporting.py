"""Trust data out of a workspace: what verifiers believe, as a plain store of one more generation.

Source: DESIGN §7, docs/spec/status.md, docs/spec/witness.md. Issuers, bodies, keys with their scopes, the origins,
profiles, page templates, digests of the fonts, the table of seals, the logs' checkpoints, the issuers' notices with the
full receipts of their log entries (docs/spec/notices.md), and per issuer a status list with its own: a new one if the
last is over an hour old or the log has heard of the issuer since, or is another log. With a policy of witnesses these
receipts, the checkpoint, the quorum and the log's landmark list (docs/spec/landmark.md) go together, or nothing is
exported; of closed logs (docs/spec/storage.md) goes what there is. Only public facts leave the workspace.
"""

import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from mingzheng.formats.civil import day_of_time
from mingzheng.formats.cose import parse_sign1
from mingzheng.formats.errors import FormatError
from mingzheng.formats.library import read_shipped_templates
from mingzheng.formats.limits import CborLimits
from mingzheng.issuer.config import ClosedOrigin
from mingzheng.issuer.foreign import settle_lists
from mingzheng.issuer.landmarks import kept_landmark, landmark_blobs, refresh_landmark
from mingzheng.issuer.noticebook import list_notices
from mingzheng.issuer.refusals import ForeignStoreError, LogBehindLedgerError
from mingzheng.issuer.rows import NoticeRow, StatusRow
from mingzheng.issuer.witnessing import (
    Cosigned,
    cosign_head,
    cosigned_head,
    full_receipt,
    log_reader,
    read_policy,
    witness_records,
)
from mingzheng.issuer.workspace import Workspace
from mingzheng.keys.errors import StoreMissingError
from mingzheng.keys.note import parse_note
from mingzheng.keys.sealtable import (
    SEALS_BLOB,
    MakerRecord,
    SealRecord,
    SealRule,
    SealTable,
    check_keys_apart,
    format_seal_table,
)
from mingzheng.keys.snapshot import load_store, save_store
from mingzheng.keys.trust import Role, TrustData, fingerprint, format_trust
from mingzheng.log.errors import LogError
from mingzheng.log.noticebody import FIRST_NUMBER
from mingzheng.log.policy import QuorumNotMetError, QuorumPolicy, format_policy
from mingzheng.log.receipt import parse_tlog_proof
from mingzheng.log.status import MAX_BYTES, StatusBody, open_status_list, parse_body
from mingzheng.log.statusmaker import STATUS_INTERVAL, make_status

__all__ = ["Exported", "claimed_this_update", "export_trust", "read_status", "refresh_status", "trust_files"]

PROFILE_BLOB: Final = "profiles/{name}"
STATUS_BLOB: Final = "status/{issuer}.cbor"
PROOF_BLOB: Final = "status/{issuer}.tlog-proof"
NOTICE_BLOB: Final = "notices/{issuer}-{number}.cbor"
NOTICE_PROOF_BLOB: Final = "notices/{issuer}-{number}.tlog-proof"
CHECKPOINT_BLOB: Final = "checkpoints/{origin}"
TEMPLATE_BLOB: Final = "templates/{name}"
FONTS_BLOB: Final = "fonts.json"
FONTS: Final = "mingzheng.formats.fonts"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnessed:
    """What an export with witnesses rests on."""

    policy: QuorumPolicy
    head: Cosigned


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What an export wrote."""

    generation: int
    fingerprint: str
    status_lists: int  # newly made


def export_trust(workspace: Workspace, directory: Path, *, now: int) -> Exported:
    """Write the workspace's trust data into the store `directory`, one generation up. `now`: seconds."""
    settle_lists(workspace, now=now)
    if read_policy(workspace) is not None:
        refresh_landmark(workspace, now=now)
    made = sum(refresh_status(workspace, spec.number, now=now) for spec in workspace.config.issuers)
    witnessed = _witnessed(workspace)
    generation = workspace.ledger.next_generation(at_least=_generation_of(directory, workspace) + 1)
    files = trust_files(workspace, generation=generation, now=now, witnessed=witnessed)
    directory.mkdir(parents=True, exist_ok=True)
    save_store(directory, files)
    _logger.info("exported generation=%d status_lists=%d", generation, made)
    return Exported(generation=generation, fingerprint=fingerprint(files), status_lists=made)


def refresh_status(workspace: Workspace, issuer: int, *, now: int) -> bool:
    """Make an issuer's status list if it is due; says whether it was."""
    last, origin = workspace.ledger.status(issuer), workspace.config.origin
    heard = workspace.ledger.last_event_index(issuer, shard=workspace.config.shard)
    is_recent = last is not None and now - last.this_update <= STATUS_INTERVAL and heard < last.covered
    if last is not None and is_recent and _log_of(last) == origin.name:
        return False
    signer = workspace.signer(Role.STATUS, issuer, day_of_time(now))
    made = make_status(workspace.listing_log, issuer, signer=signer, now=now)
    workspace.ledger.store_status(
        StatusRow(
            issuer=issuer,
            covered=next(head.size for head in made.body.origins if head.origin == origin.number),
            this_update=made.body.this_update,
            list=made.signed_list,
            proof=made.full_receipt,
        )
    )
    return True


def read_status(workspace: Workspace, issuer: int) -> StatusBody | None:
    """What the issuer's last list says; None if none was made."""
    row = workspace.ledger.status(issuer)
    if row is None:
        return None
    key = workspace.signer(Role.STATUS, issuer, day_of_time(row.this_update)).public_key
    return open_status_list(row.list, key)


def claimed_this_update(listed: bytes) -> int | None:
    """The `this_update` a status list claims, unverified, for display only; None if it cannot be read."""
    try:
        payload = parse_sign1(listed, limits=CborLimits(max_bytes=MAX_BYTES, max_depth=4)).payload
        return None if payload is None else parse_body(payload).this_update
    except (FormatError, LogError):
        return None


def trust_files(
    workspace: Workspace, *, generation: int, now: int, witnessed: Witnessed | None = None
) -> dict[str, bytes]:
    """The files of the trust data as the workspace stands. Raises SealKeySharedError for a key that signs and seals."""
    config, table = workspace.config, seal_table(workspace)
    check_keys_apart(table, (key.public_key.spki for key in config.keys))
    blobs = {PROFILE_BLOB.format(name=name): data for name, data in workspace.profile_files().items()}
    blobs |= {TEMPLATE_BLOB.format(name=name): data for name, data in read_shipped_templates().items()}
    blobs[FONTS_BLOB] = font_digests(workspace.fallback_font())
    blobs[SEALS_BLOB] = format_seal_table(table)
    for closed in config.closed:
        blobs |= _closed_blobs(workspace, closed, witnessed)
    blobs[CHECKPOINT_BLOB.format(origin=config.origin.number)] = (
        workspace.listing_log.checkpoint() if witnessed is None else witnessed.head.note
    )
    if witnessed is not None:
        blobs |= landmark_blobs(workspace, witnessed.head)
    for spec in config.issuers:
        status = workspace.ledger.status(spec.number)
        if status is not None:
            blobs[STATUS_BLOB.format(issuer=spec.number)] = status.list
            blobs[PROOF_BLOB.format(issuer=spec.number)] = (
                status.proof if witnessed is None else _under(workspace, status.proof, witnessed.head)
            )
        blobs |= _notice_blobs(workspace, spec.number, witnessed)
    return format_trust(
        TrustData(
            generation=generation,
            made_at=now,
            issuers=config.issuer_records(),
            origins=config.origins,
            keys=config.key_records() | ({} if witnessed is None else witness_records(workspace, witnessed.policy)),
            quorum=None if witnessed is None else format_policy(witnessed.policy).decode(),
            blobs=blobs,
        )
    )


def _witnessed(workspace: Workspace) -> Witnessed | None:
    """The policy and a cosigned head that covers every list; None without a policy.

    Raises QuorumNotMetError: trust data that demand witnesses and lack them would decide nothing.
    """
    policy = read_policy(workspace)
    if policy is None:
        return None
    kept = kept_landmark(workspace)
    indexes = [_index_of(row) for row in _statuses(workspace)] + ([] if kept is None else [kept.index])
    needed = 1 + max(indexes, default=-1)
    head = cosigned_head(workspace, policy)
    if head is None or head.size < needed:
        found = cosign_head(workspace, policy)
        head = cosigned_head(workspace, policy)
        if head is None or head.size < needed:
            told = "; ".join(f"{name}: {failure.detail}" for name, failure in sorted(found.failures.items()))
            raise QuorumNotMetError(f"too few witnesses cosigned the newest head ({told})")
    return Witnessed(policy=policy, head=head)


def _closed_blobs(workspace: Workspace, closed: ClosedOrigin, witnessed: Witnessed | None) -> dict[str, bytes]:
    """The last head of a log that was rolled over and, where witnesses cosigned it, its last landmark list.

    Raises LogBehindLedgerError for a log that is not all there.
    """
    number = closed.origin.number
    reader = log_reader(workspace, number)
    if (size := reader.checkpoint().size) != closed.size:
        raise LogBehindLedgerError(size, closed.size)
    head = None if witnessed is None else cosigned_head(workspace, witnessed.policy, origin=number)
    note = reader.note() if head is None or head.size < closed.size else head.note
    blobs = {} if head is None else landmark_blobs(workspace, head, origin=number)
    return blobs | {CHECKPOINT_BLOB.format(origin=number): note}


def _notice_blobs(workspace: Workspace, issuer: int, witnessed: Witnessed | None) -> dict[str, bytes]:
    """Each notice's entry and its full receipt: under the cosigned head, of a closed log its last one.

    The head covers it: every list is drawn anew after the issuer's last act. Raises QuorumNotMetError where the last
    head of a closed log lacks its witnesses: verifiers would refuse every notice of the issuer, and its certificates.
    """
    blobs = {}
    for number, row in enumerate(_told(workspace, issuer), FIRST_NUMBER):
        assert row.leaf_index is not None  # `_told`
        origin = workspace.config.begun[row.shard].number
        head = None if witnessed is None else witnessed.head
        if witnessed is not None and origin != workspace.config.origin.number:
            head = cosigned_head(workspace, witnessed.policy, origin=origin)
            if head is None or row.leaf_index >= head.size:
                raise QuorumNotMetError(
                    f"too few witnesses cosigned the head of log {origin} that holds notice {number} of issuer "
                    f"{issuer}: run `mingzheng log cosign --origin {origin}`"
                )
        blobs[NOTICE_BLOB.format(issuer=issuer, number=number)] = row.entry
        proof = full_receipt(workspace, row.leaf_index, head=head, origin=origin)
        blobs[NOTICE_PROOF_BLOB.format(issuer=issuer, number=number)] = proof
    return blobs


def _told(workspace: Workspace, issuer: int) -> Iterator[NoticeRow]:
    """The notices that verifiers are told of: those in the log, up to a foreign one whose key still counts."""
    for given in list_notices(workspace, issuer):
        if given.row.leaf_index is None or (given.row.foreign and not given.void):
            return
        yield given.row


def _log_of(row: StatusRow) -> str:
    """The name of the log that holds a list's entry."""
    return parse_note(parse_tlog_proof(row.proof).checkpoint_note).text.split("\n", 1)[0]


def _statuses(workspace: Workspace) -> list[StatusRow]:
    rows = (workspace.ledger.status(spec.number) for spec in workspace.config.issuers)
    return [row for row in rows if row is not None]


def _index_of(row: StatusRow) -> int:
    return parse_tlog_proof(row.proof).index


def _under(workspace: Workspace, proof: bytes, head: Cosigned) -> bytes:
    """The same entry's full receipt under the cosigned head."""
    return full_receipt(workspace, parse_tlog_proof(proof).index, head=head)


def font_digests(fallback: Path | None) -> bytes:
    """SHA-256 of every font by file name: pages are made again with these fonts and no others."""
    fonts = {} if fallback is None else {fallback.name: hashlib.sha256(fallback.read_bytes()).hexdigest()}
    return json.dumps({"schema": 1, "fonts": _shipped_fonts() | fonts}, sort_keys=True, indent=1).encode() + b"\n"


@cache
def _shipped_fonts() -> dict[str, str]:
    entries = [entry for entry in files(FONTS).iterdir() if entry.name.endswith(".ttf")]
    return {entry.name: hashlib.sha256(entry.read_bytes()).hexdigest() for entry in entries}


def seal_table(workspace: Workspace) -> SealTable:
    """What verifiers are told about seals: installed certificates, listed makers and authorities, and the rules."""
    sealing, read = workspace.config.sealing, workspace.seals.certificate
    return SealTable(
        cas=tuple(read(name) for name in sealing.authorities),
        makers=tuple(
            MakerRecord(certificate=read(maker.certificate), revoked_on=maker.revoked_on)
            for maker in sealing.makers
            if maker.certificate is not None
        ),
        seals=tuple(
            SealRecord(
                issuer=seal.issuer,
                body=seal.body,
                form=str(seal.form),
                certificate=read(seal.certificate),
                valid_from=seal.valid_from,
                valid_until=seal.valid_until,
                revoked_on=seal.revoked_on,
            )
            for seal in sealing.seals
            if seal.certificate is not None
        ),
        rules=tuple(
            SealRule(
                issuer=rule.issuer,
                kinds=frozenset(rule.kinds),
                jurisdictions=frozenset(rule.jurisdictions),
                valid_from=rule.valid_from,
                valid_until=rule.valid_until,
                bodies=rule.bodies,
            )
            for rule in sealing.rules
        ),
    )


def _generation_of(directory: Path, workspace: Workspace) -> int:
    """Generation of the store that is there, 0 for none. Raises ForeignStoreError for one with another log."""
    try:
        data = load_store(directory).data
    except StoreMissingError:
        return 0
    if not data.origins or not data.origins.items() <= workspace.config.origins.items():
        raise ForeignStoreError
    return data.generation
