"""Witnesses of a workspace's logs: collect their cosignatures, keep the newest cosigned head, hand it out.

Source: docs/spec/witness.md. The file `witnesses.policy` in the workspace (C2SP tlog-policy, with addresses) says who
must cosign; without it there are no witnesses. Issuing does not wait for the network: what is collected in time goes
into the full receipts of copies not yet rendered, everything else comes later (`log cosign`, `trust export`).
`origin` is the number of a log, by default of the one that is written to.
"""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mingzheng.issuer.logplace import public_files
from mingzheng.issuer.rows import CopyRow
from mingzheng.issuer.schema import CopyState
from mingzheng.issuer.workspace import Workspace, log_vkey
from mingzheng.keys.errors import KeysError
from mingzheng.keys.kid import Kid
from mingzheng.keys.trust import KeyRecord, Role
from mingzheng.keys.vkey import VerifierKey, parse_vkey
from mingzheng.log.client import LogReader
from mingzheng.log.durable import make_dirs, publish
from mingzheng.log.errors import LogError
from mingzheng.log.policy import (
    MAX_POLICY_BYTES,
    PolicyError,
    PolicyKeyError,
    QuorumPolicy,
    count_cosignatures,
    parse_policy,
)
from mingzheng.log.proof import build_inclusion
from mingzheng.log.receipt import TlogProof, format_tlog_proof
from mingzheng.log.witnessclient import Collected, Head, HttpTransport, collect, urls_of

__all__ = [
    "ISSUE_DEADLINE",
    "POLICY",
    "Cosigned",
    "cosign_head",
    "cosigned_head",
    "full_receipt",
    "log_reader",
    "read_policy",
    "witness_copies",
    "witness_records",
]

POLICY: Final = "witnesses.policy"
DIRECTORY: Final = "cosigned"
CHECKPOINT: Final = "checkpoint"
SIZES: Final = "sizes.json"
ISSUE_DEADLINE: Final = 3.0  # seconds that issuing gives the witnesses
COSIGN_DEADLINE: Final = 10.0

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigned:
    """A head of this log that meets the policy."""

    note: bytes
    size: int


def read_policy(workspace: Workspace) -> QuorumPolicy | None:
    """The workspace's policy; None if there is none or it demands no witness.

    Raises PolicyError, WitnessUrlError, PolicyKeyError if it lists logs and not this one.
    """
    try:
        with open(workspace.root / POLICY, "rb") as file:
            text = file.read(MAX_POLICY_BYTES + 1)
        policy = parse_policy(text)
        text.decode()  # trust data hold it as text
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise PolicyError("not UTF-8", field="policy") from error
    urls_of(policy)
    if not policy.accepts_log(_vkey(workspace)):
        raise PolicyKeyError("the policy lists logs, and not this workspace's", field="log")
    return policy if policy.demands_witnesses else None


def witness_records(workspace: Workspace, policy: QuorumPolicy) -> dict[Kid, KeyRecord]:
    """The policy's witnesses as records of the trust data, on the days of the logs' own keys."""
    config = workspace.config
    days = [key for key in config.keys if key.role is Role.CHECKPOINT]
    records = {}
    for witness in policy.witnesses.values():
        key = witness.vkey.public_key
        assert key is not None  # `parse_policy` takes only keys that can be verified
        records[key.kid] = KeyRecord(
            kid=key.kid,
            role=Role.WITNESS,
            public_key=key,
            issuer=0,
            jurisdictions=frozenset(),
            kinds=frozenset(),
            valid_from=min(key.valid_from for key in days),
            valid_until=max(key.valid_until for key in days),
            origins=frozenset(config.origins),
            name=witness.vkey.name,
        )
    return records


def cosign_head(
    workspace: Workspace, policy: QuorumPolicy, *, deadline: float = COSIGN_DEADLINE, origin: int | None = None
) -> Collected:
    """Ask the witnesses to cosign the newest head; keep it if they are a quorum."""
    number = workspace.config.origin.number if origin is None else origin
    reader, name = log_reader(workspace, number), workspace.config.origins[number].name
    held, note = cosigned_head(workspace, policy, origin=number), reader.note()
    if held is not None and held.size == reader.checkpoint().size:
        note = held.note  # what is there already is kept, the others are asked again
    head = Head(note=note, vkey=_vkey(workspace, number), origin=name, prove=reader.consistency)
    directory = workspace.beside(DIRECTORY, number)
    found = collect(head, policy, transport=HttpTransport(), sizes=_sizes(directory), deadline=deadline)
    _keep(directory, SIZES, json.dumps(dict(sorted(found.sizes.items()))).encode() + b"\n")
    if found.witnessed.satisfied:
        _keep(directory, CHECKPOINT, found.note)
    _logger.info("cosigned size=%d by=%d", found.witnessed.checkpoint.size, len(found.witnessed.times))
    return found


def cosigned_head(workspace: Workspace, policy: QuorumPolicy, *, origin: int | None = None) -> Cosigned | None:
    """The kept head, if it is this log's and meets the policy as it stands now."""
    number = workspace.config.origin.number if origin is None else origin
    try:
        note = (workspace.beside(DIRECTORY, number) / CHECKPOINT).read_bytes()
        name = workspace.config.origins[number].name
        found = count_cosignatures(note, policy, origin=name, log_vkeys=[_vkey(workspace, number)])
    except (FileNotFoundError, KeysError, LogError):
        return None
    return Cosigned(note=note, size=found.checkpoint.size) if found.satisfied else None


def full_receipt(workspace: Workspace, index: int, *, head: Cosigned | None, origin: int | None = None) -> bytes:
    """The tlog-proof of an entry under the cosigned head if that covers it, else under the log's newest."""
    if head is None or index >= head.size:
        if origin in (None, workspace.config.origin.number):
            return workspace.listing_log.full_receipt(index)
        reader = log_reader(workspace, origin)  # a closed log: the newest head is its last
        head = Cosigned(note=reader.note(), size=reader.checkpoint().size)
    else:
        reader = log_reader(workspace, origin)
    proof = build_inclusion(index, head.size, reader.node)
    return format_tlog_proof(TlogProof(index=index, hashes=proof.hashes, checkpoint_note=head.note, extra=None))


def witness_copies(workspace: Workspace, rows: Sequence[tuple[int, int]]) -> int:
    """Give (issuer, serial) copies that are logged and not yet rendered receipts under a cosigned head.

    Returns how many; 0 where there is no policy or the witnesses did not answer in time: issuing goes on.
    """
    policy = read_policy(workspace)
    found = (workspace.ledger.copy(*place) for place in rows)
    waiting = [row for row in found if row.state is CopyState.LOGGED and row.shard == workspace.config.shard]
    if policy is None or not waiting:
        return 0
    cosign_head(workspace, policy, deadline=ISSUE_DEADLINE)
    head = cosigned_head(workspace, policy)
    covered = [row for row in waiting if head is not None and _index(row) < head.size]
    proofs = [(row.issuer, row.serial, full_receipt(workspace, _index(row), head=head)) for row in covered]
    workspace.ledger.store_proofs(proofs)
    return len(proofs)


def _index(row: CopyRow) -> int:
    assert row.leaf_index is not None  # schema: logged
    return row.leaf_index


def log_reader(workspace: Workspace, origin: int | None = None) -> LogReader:
    """The published log, verified as anybody reads it: no key of the workspace is needed.

    A log that is served elsewhere is followed: no head is cosigned that does not go on from the one seen before.
    """
    if workspace.is_remote and origin in (None, workspace.config.origin.number):
        workspace.listing_log.head()
        return workspace.listing_log.reader()
    reader = LogReader(public_files(workspace.log_directory(origin), os.environ), _vkey(workspace, origin))
    reader.refresh()
    return reader


def _vkey(workspace: Workspace, origin: int | None = None) -> VerifierKey:
    return parse_vkey(log_vkey(workspace.config, origin))


def _sizes(directory: Path) -> Mapping[str, int]:
    """What each witness had cosigned; a file that cannot be read only costs a question more."""
    try:
        value = json.loads((directory / SIZES).read_bytes())
        return {str(name): int(size) for name, size in value.items() if int(size) >= 0}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return {}


def _keep(directory: Path, name: str, data: bytes) -> None:
    make_dirs(directory)
    publish(directory / name, data, temporary=directory / f"{name}.tmp")
