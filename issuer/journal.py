"""The journal: one row for everything that was done, each naming the digest of the row before it.

Source: docs/workspace.md, Journal. Pure: rows to bytes and back, and what is wrong with a journal. A row bears no name
but its operators'; copies and registrations are named by the ledger's own numbers, reasons by a salted digest.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mingzheng.formats import cbor
from mingzheng.formats.errors import FormatError
from mingzheng.issuer.rows import NOTICE_ACT, JournalRow
from mingzheng.log.acts import ActType
from mingzheng.log.entry import KeyEventType, NoticeType

__all__ = ["Deed", "Fault", "chained", "deed_name", "encode_deed", "faults_of", "parse_deed", "reason_digest"]

VERSION: Final = 1
START: Final = hashlib.sha256(b"mingzheng/journal/v1").digest()
MAX_BYTES: Final = 4_096
_FIELDS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What was done. `reason`: the digest of why, see `reason_digest`."""

    number: int  # dense from 1
    time: int  # seconds since the epoch
    what: str
    issuer: int
    count: int  # of serials
    serials: bytes  # SHA-256 over them, eight bytes each; empty for none
    acts: tuple[int, ...]  # act numbers: where in the log it stands, the ledger says
    decision: int  # row of `decision` in the ledger, 0 for none
    operators: tuple[str, ...]  # who asked, who approved; none: the desk by itself
    reason: bytes
    request: bytes  # id, empty for none


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong at a row, or with an act that no row names (row 0)."""

    number: int
    zh: str
    en: str


def deed_name(act: int) -> str:
    """What the ledger's number of an act is called."""
    if act < 0:
        return f"key-{KeyEventType(-act).name.lower()}"
    if act >= NOTICE_ACT:
        return f"notice-{NoticeType(act - NOTICE_ACT).name.lower()}"
    return ActType(act).name.lower()


def reason_digest(salt: bytes, reason: str) -> bytes:
    """What a row says of its reason, which can be erased beside it."""
    return hashlib.sha256(salt + reason.encode("utf-8", "surrogateescape")).digest()


def chained(before: bytes | None, body: bytes) -> bytes:
    """The digest of a row after the row of digest `before`, None for the first."""
    return hashlib.sha256((START if before is None else before) + body).digest()


def encode_deed(deed: Deed) -> bytes:
    """The bytes of a row."""
    names = tuple(name.encode() for name in deed.operators)
    head = (VERSION, deed.number, deed.time, deed.what, deed.issuer, deed.count, deed.serials, deed.acts)
    return cbor.encode((*head, deed.decision, names, deed.reason, deed.request))


def parse_deed(body: bytes) -> Deed:
    """Read a row. Raises ValueError for anything but what `encode_deed` writes."""
    try:
        value = cbor.decode(body, max_bytes=MAX_BYTES, max_depth=2)
    except FormatError as error:
        raise ValueError(error.code) from error
    if not isinstance(value, tuple) or len(value) != _FIELDS or value[0] != VERSION:
        raise ValueError("not a row of the journal")
    _version, number, time, what, issuer, count, serials, acts, decision, names, reason, request = value
    return Deed(
        number=_int(number),
        time=_int(time),
        what=_text(what),
        issuer=_int(issuer),
        count=_int(count),
        serials=_bytes(serials),
        acts=tuple(map(_int, _list(acts))),
        decision=_int(decision),
        operators=tuple(_bytes(name).decode() for name in _list(names)),
        reason=_bytes(reason),
        request=_bytes(request),
    )


def faults_of(
    rows: Iterable[JournalRow], acts: Mapping[tuple[int, int], bytes], starts: Mapping[int, int]
) -> tuple[Fault, ...]:
    """What is wrong: rows removed, changed or put in, reasons changed, acts that are not named or named otherwise.

    `acts`: the ledger's acts by issuer and number, with their serials (eight bytes each); `starts`: from which act
    number of an issuer on the journal was kept, 0 if it is not there.
    """
    found: list[Fault] = []
    named: dict[tuple[int, int], Deed] = {}
    before: bytes | None = None
    for want, row in enumerate(rows, 1):
        found.extend(_row_faults(row, want, before))
        before = row.digest
        try:
            deed = parse_deed(row.body)
        except ValueError:
            found.append(Fault(number=row.number, zh="不是日志记录", en="no row of the journal"))
            continue
        found.extend(_deed_faults(deed, row))
        named.update(((deed.issuer, number), deed) for number in deed.acts)
    return (*found, *_act_faults(named, acts, starts))


def _row_faults(row: JournalRow, want: int, before: bytes | None) -> Iterator[Fault]:
    if row.number != want:
        yield Fault(number=row.number, zh=f"前面缺少记录，应为 {want}", en=f"rows before it are gone, {want} expected")
    if row.digest != chained(before, row.body):
        yield Fault(
            number=row.number, zh="与前一条记录接不上：被改动或前面有删除", en="does not follow from the row before"
        )


def _deed_faults(deed: Deed, row: JournalRow) -> Iterator[Fault]:
    if deed.number != row.number:
        yield Fault(number=row.number, zh="编号与内容不符", en="its number is not the one it states")
    if row.reason is not None and row.salt is not None and reason_digest(row.salt, row.reason) != deed.reason:
        yield Fault(number=row.number, zh="事由被改动", en="its reason was changed")


def _act_faults(
    named: Mapping[tuple[int, int], Deed], acts: Mapping[tuple[int, int], bytes], starts: Mapping[int, int]
) -> Iterator[Fault]:
    for (issuer, number), serials in sorted(acts.items()):
        deed = named.get((issuer, number))
        what = f"机构 {issuer} 的行为 {number}", f"act {number} of issuer {issuer}"
        if deed is None and number >= starts.get(issuer, 0):
            yield Fault(number=0, zh=f"{what[0]} 没有记录：记录被删除", en=f"{what[1]} has no row: rows were removed")
        elif deed is not None and (hashlib.sha256(serials).digest() if serials else b"") != deed.serials:
            yield Fault(number=deed.number, zh=f"{what[0]} 的序号与记录不符", en=f"{what[1]} has other serials now")
    for (issuer, number), deed in sorted(named.items()):
        if (issuer, number) not in acts:
            zh, en = f"台账里没有机构 {issuer} 的行为 {number}", f"act {number} of issuer {issuer} is not in the ledger"
            yield Fault(number=deed.number, zh=zh, en=en)


def _int(value: cbor.Value) -> int:
    if type(value) is not int:
        raise ValueError("not a number")
    return value


def _text(value: cbor.Value) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")
    return value


def _bytes(value: cbor.Value) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("not a byte string")
    return value


def _list(value: cbor.Value) -> Sequence[cbor.Value]:
    if not isinstance(value, tuple):
        raise ValueError("not an array")
    return value
