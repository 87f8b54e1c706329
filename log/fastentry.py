"""Issue entries read in one regular expression; every other entry, and every doubt, through `entry.parse_entry`.

A log is mostly issue entries, and both the sequencer and the auditor read every one. The expression spells the one
encoding of docs/spec/log.md (shortest integers included); a test holds both ways equal on every kind of input.
"""

import re

from mingzheng.formats.cbor import head
from mingzheng.keys.kid import Kid
from mingzheng.log.entry import (
    KID_BYTES,
    MAX_DAY,
    MAX_NUMBER,
    MAX_SERIAL,
    Entry,
    IssueEntry,
    encode_entry,
    parse_entry,
)
from mingzheng.log.hashing import HASH_BYTES

_UP_TO_16_BITS = rb"([\x01-\x17]|\x18[\x18-\xff]|\x19[\x01-\xff][\x00-\xff])"  # 1 to 65,535
_UP_TO_40_BITS = (  # 0 to 2^40 - 1
    rb"([\x00-\x17]|\x18[\x18-\xff]|\x19[\x01-\xff][\x00-\xff]|\x1a(?!\x00\x00)[\x00-\xff]{4}"
    rb"|\x1b\x00\x00\x00[\x01-\xff][\x00-\xff]{4})"
)
_DAY = rb"([\x00-\x17]|\x18[\x18-\xff]|\x19[\x01-\xff][\x00-\xff]|\x1a\x00[\x01-\xff][\x00-\xff]{2})"  # from 1970 on
_ISSUE = re.compile(
    rb"\x88\x01\x01%b\x48([\x00-\xff]{8})%b%b\x58\x20([\x00-\xff]{32})%b"
    % (_UP_TO_16_BITS, _UP_TO_16_BITS, _UP_TO_40_BITS, _DAY)
)


def issue_bytes(entry: IssueEntry) -> bytes:
    """As `entry.encode_entry` for an issue entry, values and errors alike; about a fifth of the time."""
    day, kid, identity = entry.issued_day, entry.kid, entry.identity
    fits = (
        1 <= entry.issuer <= MAX_NUMBER
        and 1 <= entry.kind <= MAX_NUMBER
        and 0 <= entry.serial <= MAX_SERIAL
        and 0 <= day <= MAX_DAY
        and len(kid) == KID_BYTES
        and len(identity) == HASH_BYTES
    )
    if not fits:
        return encode_entry(entry)
    return b"".join(
        (
            b"\x88\x01\x01",
            head(0, entry.issuer),
            b"\x48",
            kid,
            head(0, entry.kind),
            head(0, entry.serial),
            b"\x58\x20",
            identity,
            head(0, day),
        )
    )


def read_entry(data: bytes) -> Entry:
    """As `entry.parse_entry`, values and errors alike; about four times as fast for issue entries."""
    match = _ISSUE.fullmatch(data)
    if match is not None:
        issuer, kid, kind, serial, identity, day = match.groups()
        issued_day = int.from_bytes(day[1:] or day)
        if issued_day <= MAX_DAY:
            return IssueEntry(
                issuer=int.from_bytes(issuer[1:] or issuer),
                kid=Kid(kid),
                kind=int.from_bytes(kind[1:] or kind),
                serial=int.from_bytes(serial[1:] or serial),
                identity=identity,
                issued_day=issued_day,
            )
    return parse_entry(data)
