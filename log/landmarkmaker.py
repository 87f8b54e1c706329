"""Make a log's landmark list: block roots as of the head, its hash logged, the list signed, its proof.

The body is a function of (head, times) and the entries below that head: the auditor draws it again (`BlockBook`) and
compares hashes. Only rounds of the live range are read (docs/spec/landmark.md).
"""

from bisect import bisect_left
from dataclasses import dataclass, replace
from hashlib import sha256

from mingzheng.keys.signer import Signer
from mingzheng.log.client import LogReader
from mingzheng.log.entry import OriginHead, TimeEntry, encode_entry, parse_entry
from mingzheng.log.landmark import (
    LIVE_SECONDS,
    BlockBook,
    LandmarkBody,
    LandmarkMalformedError,
    encode_body,
    landmark_entry,
    sign_landmark_list,
)
from mingzheng.log.receipt import format_tlog_proof, parse_tlog_proof
from mingzheng.log.rounds import Submission
from mingzheng.log.statusmaker import ListingLog

LANDMARK_INTERVAL = 86_400
"""Seconds: a list says that the next comes after as many."""

_KEY_DOMAIN = b"mingzheng/landmark-entry/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class LandmarkMade:
    """A signed list, what it says, and the proof of its entry at `index` under the log's own newest checkpoint."""

    signed_list: bytes
    body: LandmarkBody
    index: int
    proof: bytes


def landmark_body(log: ListingLog, *, now: int) -> LandmarkBody:
    """The log's list as of its head. Raises LandmarkMalformedError for an empty log, FetchError, TileUntrueError."""
    size, root = log.head()
    if not size:
        raise LandmarkMalformedError("an empty log has no list", field="head")
    identity, reader = log.identity, log.reader()
    ends = [stop for _start, stop in log.rounds()]
    first = bisect_left(ends, now - LIVE_SECONDS, key=lambda end: round_time(reader, end))
    book = BlockBook(origin=identity.origin_number, height=identity.block_height, start=ends[first - 1] if first else 0)
    for end in ends[first:]:
        book.add_round(end, now, reader.node)  # its own time matters only before the live range
    head = OriginHead(origin=identity.origin_number, size=size, root=root)
    return book.draw(head, this_update=now, next_update=now + LANDMARK_INTERVAL, read=reader.node)


def make_landmark(log: ListingLog, *, signer: Signer, now: int) -> LandmarkMade:
    """Log the hash of the log's list as of now and sign it. `signer`: the log's landmark key.

    Raises as `landmark_body` and `Log.submit`.
    """
    body = landmark_body(log, now=now)
    key = sha256(_KEY_DOMAIN + encode_body(body)).digest()
    (index,) = log.submit([Submission(key=key, entry=encode_entry(landmark_entry(body)))], now=now)
    return LandmarkMade(
        signed_list=sign_landmark_list(body, signer),
        body=body,
        index=index,
        proof=continued(log.full_receipt(index), body, log.reader()),
    )


def continued(full_receipt: bytes, body: LandmarkBody, reader: LogReader) -> bytes:
    """The full receipt of a list's entry with the consistency proof from the list's head to its checkpoint."""
    proof = parse_tlog_proof(full_receipt)
    reader.use(proof.checkpoint_note)
    hashes = reader.consistency(body.head.size).hashes
    return format_tlog_proof(replace(proof, extra=b"".join(hashes)))


def round_time(reader: LogReader, end: int) -> int:
    """The time of the round that ends at `end`: its last entry, or the one before a filler."""
    for index in (end - 1, end - 2):
        entry = parse_entry(reader.entry(index))
        if isinstance(entry, TimeEntry):
            return entry.seconds
    raise LandmarkMalformedError(f"no time entry before {end}", field="rounds")
