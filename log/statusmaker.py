"""Make an issuer's status list from the log: body as of the head, its hash logged, the list signed, its receipt.

The body is a function of (issuer, head, times) and the entries below that head: `log audit` draws it again from the
entries and compares hashes (docs/spec/status.md).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from mingzheng.keys.signer import Signer
from mingzheng.log.acts import SerialState
from mingzheng.log.book import CODE_OF, StatusIncompleteError
from mingzheng.log.client import LogReader
from mingzheng.log.entry import OriginHead, encode_entry
from mingzheng.log.hashing import Hash
from mingzheng.log.refusal import SubmissionError
from mingzheng.log.rounds import Submission
from mingzheng.log.status import StatusBody, encode_body, sign_status_list, status_entry

STATUS_INTERVAL = 3_600
"""Seconds: a list is made if the last is older, and says that the next comes after as many."""

MAX_DRAWS = 3
"""How often a list is drawn again because its issuer acted between drawing and logging."""

_KEY_DOMAIN = b"mingzheng/status-entry/v1"


class NextSerial(Protocol):
    """An issuer's counter."""

    @property
    def next_serial(self) -> int:
        """Above every serial that the log has seen."""


class OriginSpec(Protocol):
    """Which log it is."""

    @property
    def origin_number(self) -> int:
        """Its number."""

    @property
    def block_height(self) -> int:
        """Of its blocks."""


class ListingLog(Protocol):
    """What lists need of a log: `writer.Log`, or `followed.FollowedLog` where it is served. See there.

    What the others say is as of the last `head`.
    """

    @property
    def identity(self) -> OriginSpec:
        """Which log it is."""

    def head(self) -> tuple[int, Hash]:
        """Its newest size and root."""

    def frozen_heads(self) -> tuple[OriginHead, ...]:
        """The heads of the logs before it."""

    def issuer_row(self, issuer: int) -> NextSerial:
        """The issuer's counters."""

    def serials_in_state(self, issuer: int, state: int) -> Sequence[int]:
        """Serials in a state (position in `book.STATES`), rising."""

    def rounds(self) -> Iterable[tuple[int, int]]:
        """Every round [start, stop), rising."""

    def checkpoint(self) -> bytes:
        """The signed note of the head."""

    def reader(self) -> LogReader:
        """A reader of its public files, under that head."""

    def submit(self, submissions: Sequence[Submission], *, now: int) -> tuple[int, ...]:
        """Append what is new."""

    def full_receipt(self, index: int) -> bytes:
        """The tlog-proof of an entry."""

    def close(self) -> None:
        """Let go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusMade:
    """A signed list, what it says, and the tlog-proof of its status entry at `index`."""

    signed_list: bytes
    body: StatusBody
    index: int
    full_receipt: bytes


def status_body(log: ListingLog, issuer: int, *, now: int) -> StatusBody:
    """The issuer's list as of the log's head."""
    size, root = log.head()

    def serials(state: SerialState) -> tuple[int, ...]:
        return tuple(log.serials_in_state(issuer, CODE_OF[state]))

    return StatusBody(
        issuer=issuer,
        next_serial=log.issuer_row(issuer).next_serial,
        this_update=now,
        next_update=now + STATUS_INTERVAL,
        origins=tuple(sorted((*log.frozen_heads(), OriginHead(log.identity.origin_number, size, root)))),
        revoked=serials(SerialState.REVOKED),
        superseded=serials(SerialState.SUPERSEDED),
        void=serials(SerialState.VOID),
        suspended=serials(SerialState.SUSPENDED),
    )


def make_status(log: ListingLog, issuer: int, *, signer: Signer, now: int) -> StatusMade:
    """Log the hash of the issuer's list as of now and sign it. `signer`: the issuer's status key.

    Raises as `Log.submit`.
    """
    draws = 0
    while True:
        body = status_body(log, issuer, now=now)
        key = sha256(_KEY_DOMAIN + encode_body(body)).digest()
        try:
            (index,) = log.submit([Submission(key=key, entry=encode_entry(status_entry(body)))], now=now)
            break
        except SubmissionError as error:
            draws += 1
            if error.reason != StatusIncompleteError.code or draws == MAX_DRAWS:
                raise
    return StatusMade(
        signed_list=sign_status_list(body, signer),
        body=body,
        index=index,
        full_receipt=log.full_receipt(index),
    )
