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

__all__ = [
    "GONE",
    "MOVED",
    "Deed",
    "Fault",
    "StoredAct",
    "Told",
    "chained",
    "deed_name",
    "encode_deed",
    "faults_of",
    "parse_deed",
    "reason_digest",
]

VERSION: Final = 1
GONE: Final = "-gone"  # of an act that was taken back before the log had it
MOVED: Final = "-moved"  # of an act that got another number: `acts` are the old one and the new one
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
class StoredAct:
    """An act as the ledger keeps it. `journal`: the row that it leads to, None for one of before the journal."""

    act: int
    serials: bytes  # eight bytes each
    journal: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The ledger's acts by issuer and number; its decisions by theirs, with the row that each leads to."""

    acts: Mapping[tuple[int, int], StoredAct]
    decisions: Mapping[int, int | None]


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


def faults_of(rows: Iterable[JournalRow], told: Told, starts: Mapping[int, int]) -> tuple[Fault, ...]:
    """What is wrong: rows removed, changed or put in, reasons changed, acts that are not named or named otherwise.

    `told`: what the ledger says of its acts and decisions; `starts`: from which act number of an issuer on the journal
    was kept, 0 if it is not there.
    """
    found: list[Fault] = []
    named: dict[tuple[int, int], list[Deed]] = {}
    decided: dict[int, list[Deed]] = {}
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
        if deed.what.endswith(GONE) and len(deed.acts) == 1:
            named.pop((deed.issuer, deed.acts[0]), None)
            continue
        if deed.what.endswith(MOVED) and len(deed.acts) == 2:
            old, new = ((deed.issuer, number) for number in deed.acts)
            before_it = named.pop(old, [])
            named.setdefault(new, []).extend([*before_it, deed])
            continue
        for number in deed.acts:
            named.setdefault((deed.issuer, number), []).append(deed)
        if deed.decision:
            decided.setdefault(deed.decision, []).append(deed)
    return (*found, *_act_faults(named, told.acts, starts), *_decision_faults(decided, told.decisions))


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
    named: Mapping[tuple[int, int], Sequence[Deed]],
    acts: Mapping[tuple[int, int], StoredAct],
    starts: Mapping[int, int],
) -> Iterator[Fault]:
    for (issuer, number), act in sorted(acts.items(), key=lambda item: item[0]):
        deeds = named.get((issuer, number))
        what = f"机构 {issuer} 的行为 {number}", f"act {number} of issuer {issuer}"
        if deeds is not None:
            yield from _told_otherwise(deeds, act, what)
        elif number >= starts.get(issuer, 0):
            yield Fault(number=0, zh=f"{what[0]} 没有记录：记录被删除", en=f"{what[1]} has no row: rows were removed")
        elif act.journal is not None:
            yield Fault(number=act.journal, zh=f"{what[0]} 指向别的记录", en=f"{what[1]} leads to another row")
    for (issuer, number), deeds in sorted(named.items(), key=lambda item: item[0]):
        if (issuer, number) not in acts:
            zh, en = f"台账里没有机构 {issuer} 的行为 {number}", f"act {number} of issuer {issuer} is not in the ledger"
            yield Fault(number=deeds[-1].number, zh=zh, en=en)


def _told_otherwise(deeds: Sequence[Deed], act: StoredAct, what: tuple[str, str]) -> Iterator[Fault]:
    """Where the ledger says another thing of an act than its rows: the first one, and each time it was signed again."""
    first, last = deeds[0], deeds[-1]
    if (hashlib.sha256(act.serials).digest() if act.serials else b"") != last.serials:
        yield Fault(number=last.number, zh=f"{what[0]} 的序号与记录不符", en=f"{what[1]} has other serials now")
    try:
        name = deed_name(act.act)
    except ValueError:
        name = ""
    if first.what != name:
        yield Fault(number=first.number, zh=f"{what[0]} 的种类与记录不符", en=f"{what[1]} is of another type now")
    if act.journal != first.number:
        yield Fault(number=first.number, zh=f"{what[0]} 指向别的记录", en=f"{what[1]} leads to another row")


def _decision_faults(decided: Mapping[int, Sequence[Deed]], decisions: Mapping[int, int | None]) -> Iterator[Fault]:
    """A decision leads to a row that names it, and every decision that a row names is there."""
    for number, journal in sorted(decisions.items()):
        deeds = decided.get(number, ())
        if journal not in {deed.number for deed in deeds} and (deeds or journal is not None):
            zh, en = f"决定 {number} 指向别的记录", f"decision {number} leads to another row"
            yield Fault(number=deeds[-1].number if deeds else journal or 0, zh=zh, en=en)
    for number, deeds in sorted(decided.items(), key=lambda item: item[0]):
        if number not in decisions:
            zh, en = f"台账里没有决定 {number}", f"decision {number} is not in the ledger"
            yield Fault(number=deeds[-1].number, zh=zh, en=en)


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
