"""Landmark lists of a workspace's logs: made when due, kept in `landmark/`, exported under the witnesses' head.

Source: docs/spec/landmark.md. A log's landmark key is made when its first list is. What is kept is public and can be
made again: a file that is damaged or gone only costs a new list. A closed log keeps the last it had.
"""

import logging
from dataclasses import dataclass
from typing import Final

from mingzheng.formats.civil import day_of_time
from mingzheng.issuer.refusals import LogSubmitterError
from mingzheng.issuer.witnessing import Cosigned, full_receipt, log_reader
from mingzheng.issuer.workspace import Workspace, log_vkey
from mingzheng.keys.errors import KeysError
from mingzheng.keys.signer import Signer
from mingzheng.keys.trust import Role
from mingzheng.keys.vkey import parse_vkey
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


def kept_landmark(workspace: Workspace, *, origin: int | None = None) -> Kept | None:
    """A log's last list (by default of the one that is written to), if both its files are there and hold."""
    number = workspace.config.origin.number if origin is None else origin
    directory, vkey = workspace.beside(DIRECTORY, number), parse_vkey(log_vkey(workspace.config, number))
    try:
        listed, beside = (directory / LIST).read_bytes(), (directory / PROOF).read_bytes()
        proof = parse_tlog_proof(beside)
        body = _opened(workspace, listed, number)
        verify_landmark_proof(proof, body, vkey=vkey, origin=vkey.name)
    except (FileNotFoundError, KeysError, LogError):
        return None
    return Kept(signed_list=listed, body=body, index=proof.index, proof=beside)


def refresh_landmark(workspace: Workspace, *, now: int) -> bool:
    """Make the log's list if the last is a day old or the log has heard of an issuer since; says whether it was."""
    last = kept_landmark(workspace)
    is_recent = last is not None and now - last.body.this_update <= LANDMARK_INTERVAL
    if last is not None and is_recent and workspace.last_event() < last.body.head.size:
        return False
    log = workspace.listing_log
    if not log.head()[0]:
        return False
    if workspace.is_remote and not workspace.config.has_log_submitter:
        raise LogSubmitterError
    made = make_landmark(log, signer=_signer(workspace, now), now=now)
    directory = workspace.beside(DIRECTORY, workspace.config.origin.number)
    make_dirs(directory)
    for name, data in ((LIST, made.signed_list), (PROOF, made.proof)):
        publish(directory / name, data, temporary=directory / f"{name}.tmp")
    _logger.info("landmark list size=%d roots=%d", made.body.head.size, len(made.body.roots) // 32)
    return True


def landmark_blobs(workspace: Workspace, head: Cosigned, *, origin: int | None = None) -> dict[str, bytes]:
    """A log's last list and its proof under the cosigned head, as trust data have them; nothing without a list."""
    number = workspace.config.origin.number if origin is None else origin
    kept = kept_landmark(workspace, origin=number)
    if kept is None or kept.index >= head.size:
        return {}
    receipt = full_receipt(workspace, kept.index, head=head, origin=number)
    return {
        LANDMARK_BLOB.format(origin=number): kept.signed_list,
        LANDMARK_PROOF_BLOB.format(origin=number): continued(receipt, kept.body, log_reader(workspace, number)),
    }


def _opened(workspace: Workspace, listed: bytes, number: int) -> LandmarkBody:
    """The body under whichever of the log's landmark keys signed it."""
    for spec in workspace.config.keys:
        if spec.role is Role.LANDMARK and workspace.config.origin_of(spec) == number:
            try:
                return open_landmark_list(listed, spec.public_key)
            except LandmarkForgedError:
                continue
    raise LandmarkForgedError("no landmark key of this workspace signed the list")


def _signer(workspace: Workspace, now: int) -> Signer:
    """The landmark key; the first one is made here, for the days of the log's own key."""
    if workspace.config.log_key(Role.LANDMARK, workspace.config.origin.number) is None:
        workspace.add_log_key(Role.LANDMARK)
    return workspace.signer(Role.LANDMARK, 0, day_of_time(now))
