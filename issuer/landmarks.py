"""Landmark lists of a workspace's log: made when due, kept in `landmark/`, exported under the witnesses' head.

Source: docs/spec/landmark.md. The log's landmark key is made when the first list is. What is kept is public and can be
made again: a file that is damaged or gone only costs a new list.
"""

import logging
from dataclasses import dataclass
from typing import Final

from mingzheng.formats.civil import day_of_time
from mingzheng.issuer.witnessing import Cosigned, full_receipt
from mingzheng.issuer.workspace import Workspace
from mingzheng.keys.errors import KeysError
from mingzheng.keys.signer import Signer
from mingzheng.keys.trust import Role
from mingzheng.log.durable import make_dirs, publish
from mingzheng.log.errors import LogError
from mingzheng.log.landmark import LandmarkBody, LandmarkForgedError, open_landmark_list, verify_landmark_proof
from mingzheng.log.landmarkmaker import LANDMARK_INTERVAL, continued, make_landmark
from mingzheng.log.receipt import parse_tlog_proof

__all__ = ["LANDMARK_BLOB", "LANDMARK_PROOF_BLOB", "Kept", "kept_landmark", "landmark_blobs", "refresh_landmark"]

LANDMARK_BLOB: Final = "landmark/{origin}.cbor"
LANDMARK_PROOF_BLOB: Final = "landmark/{origin}.tlog-proof"
DIRECTORY: Final = "landmark"
LIST: Final = "list.cbor"
PROOF: Final = "list.tlog-proof"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The workspace's last list, whose entry stands at `index`."""

    signed_list: bytes
    body: LandmarkBody
    index: int
    proof: bytes


def kept_landmark(workspace: Workspace) -> Kept | None:
    """The last list, if both its files are there and hold."""
    directory, log = workspace.root / DIRECTORY, workspace.log
    try:
        listed, beside = (directory / LIST).read_bytes(), (directory / PROOF).read_bytes()
        proof = parse_tlog_proof(beside)
        body = _opened(workspace, listed)
        verify_landmark_proof(proof, body, vkey=log.identity.vkey(), origin=log.identity.origin_name)
    except (FileNotFoundError, KeysError, LogError):
        return None
    return Kept(signed_list=listed, body=body, index=proof.index, proof=beside)


def refresh_landmark(workspace: Workspace, *, now: int) -> bool:
    """Make the log's list if the last is a day old or the log has heard of an issuer since; says whether it was."""
    last = kept_landmark(workspace)
    heard = max((workspace.ledger.last_event_index(spec.number) for spec in workspace.config.issuers), default=-1)
    if last is not None and now - last.body.this_update <= LANDMARK_INTERVAL and heard < last.body.head.size:
        return False
    if not workspace.log.head()[0]:
        return False
    made = make_landmark(workspace.log, signer=_signer(workspace, now), now=now)
    directory = workspace.root / DIRECTORY
    make_dirs(directory)
    for name, data in ((LIST, made.signed_list), (PROOF, made.proof)):
        publish(directory / name, data, temporary=directory / f"{name}.tmp")
    _logger.info("landmark list size=%d roots=%d", made.body.head.size, len(made.body.roots) // 32)
    return True


def landmark_blobs(workspace: Workspace, head: Cosigned) -> dict[str, bytes]:
    """The last list and its proof under the cosigned head, as trust data have them; nothing without a list."""
    kept = kept_landmark(workspace)
    if kept is None or kept.index >= head.size:
        return {}
    origin = workspace.config.origin.number
    proof = continued(full_receipt(workspace, kept.index, head=head), kept.body, workspace.log.reader())
    return {
        LANDMARK_BLOB.format(origin=origin): kept.signed_list,
        LANDMARK_PROOF_BLOB.format(origin=origin): proof,
    }


def _opened(workspace: Workspace, listed: bytes) -> LandmarkBody:
    """The body under whichever of the log's landmark keys signed it."""
    for spec in workspace.config.keys:
        if spec.role is Role.LANDMARK:
            try:
                return open_landmark_list(listed, spec.public_key)
            except LandmarkForgedError:
                continue
    raise LandmarkForgedError("no landmark key of this workspace signed the list")


def _signer(workspace: Workspace, now: int) -> Signer:
    """The landmark key; the first one is made here, for the days of the log's own key."""
    if all(spec.role is not Role.LANDMARK for spec in workspace.config.keys):
        workspace.add_log_key(Role.LANDMARK)
    return workspace.signer(Role.LANDMARK, 0, day_of_time(now))
