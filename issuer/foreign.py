"""Entries in the log under an issuer's own keys that this desk did not write: found, noted, looked at.

Source: docs/drills.md, 9. Who steals a key of the issuer and a submit key (or the disk) writes to the log around the
ledger. `find_foreign` reads the log and says which entries those are. `settle_keys` is what keys and operators rest on:
it notes them, and then key events alone go into the log; `settle_lists` is what trust data rest on. Everything else
waits (`settle`) until two persons have looked: `acknowledge`, which demands that the keys under every foreign entry
count no more where it stands. Nothing foreign is ever ours: it takes its number and its serials, and what it did to
copies is as the log has it.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mingzheng.formats.civil import day_of_time
from mingzheng.issuer.approvalerrors import OtherIssuerError, SamePersonError
from mingzheng.issuer.config import KeySpec
from mingzheng.issuer.foreignerrors import ForeignEntriesError, ForeignKeyGoodError, ForeignPersonsError
from mingzheng.issuer.publish import entry_of, place_held, settle, submit_acts
from mingzheng.issuer.refusals import LedgerBehindLogError
from mingzheng.issuer.rows import NOTICE_ACT, By, ForeignRow
from mingzheng.issuer.workspace import Workspace
from mingzheng.keys.kid import Kid
from mingzheng.log.entry import (
    ActEntry,
    IssueEntry,
    KeyEventEntry,
    KeyEventType,
    NoticeEntry,
    SignedEntry,
    kids_of,
)
from mingzheng.log.fastentry import read_entry

__all__ = [
    "Foreign",
    "acknowledge",
    "find_foreign",
    "foreign_of",
    "is_put_out",
    "note_foreign",
    "settle_keys",
    "settle_lists",
    "waits_for",
]

_OUT: Final = (KeyEventType.RETIRED, KeyEventType.COMPROMISED)

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A foreign entry. `good`: the keys under it that still count where it stands; none: it may be acknowledged."""

    row: ForeignRow
    entry: IssueEntry | SignedEntry
    noted: bool
    good: tuple[Kid, ...]

    @property
    def serials(self) -> tuple[int, ...]:
        """What it issued, or what it did something to."""
        return _serials(self.entry)


def find_foreign(workspace: Workspace) -> tuple[Foreign, ...]:
    """Read the log that is written to: what is in it under an issuer of this workspace, and neither in the ledger nor
    on its way there. Changes nothing. Cost: one reading of the log."""
    _pending, found = _read(workspace)
    return tuple(_foreign(workspace, row, entry, noted=False) for row, entry in found)


def foreign_of(workspace: Workspace, issuer: int | None = None) -> tuple[Foreign, ...]:
    """What was noted, whether it was acknowledged or not."""
    return tuple(
        _foreign(workspace, row, _parsed(row.entry), noted=True) for row in workspace.ledger.foreign.entries(issuer)
    )


def note_foreign(workspace: Workspace, *, now: int) -> tuple[Foreign, ...]:
    """As `find_foreign`, and note it: one transaction. Acts of ours that were overtaken give their numbers up."""
    workspace.ledger.check_clock(now)
    workspace.issuing_log.check_clock(now)
    pending, found = _read(workspace)
    if found:
        workspace.ledger.advance_clock(now)
        serials = {(row.shard, row.leaf_index): _serials(entry) for row, entry in found}
        workspace.ledger.foreign.note(
            [row for row, _entry in found],
            named=lambda row: serials[row.shard, row.leaf_index],
            logged=pending,
        )
        _logger.warning("foreign entries noted count=%d", len(found))
    return tuple(_foreign(workspace, row, entry, noted=True) for row, entry in found)


def settle_keys(workspace: Workspace, *, now: int) -> None:
    """As `settle`. Where the log holds foreign entries, these are noted, and of ours key events alone go into it.

    Raises as `settle`, but for foreign entries.
    """
    try:
        settle(workspace, now=now)
        return
    except (ForeignEntriesError, LedgerBehindLogError) as error:
        if not note_foreign(workspace, now=now) and isinstance(error, LedgerBehindLogError):
            raise
    workspace.ledger.advance_clock(now)
    place_held(workspace, day_of_time(now), only_keys=True)
    pending = [act for act in workspace.ledger.unlogged_acts() if act.act < 0 <= act.number]
    submit_acts(workspace, pending, now)


def settle_lists(workspace: Workspace, *, now: int) -> None:
    """As `settle`; where foreign entries are noted nothing of ours goes into the log, and trust data can be made.

    Raises as `settle`; ForeignEntriesError where a foreign key event says of a key what mingzheng.toml does not.
    """
    try:
        settle(workspace, now=now)
    except ForeignEntriesError:
        if any(not item.row.agreed and not _is_known(workspace, item.entry) for item in foreign_of(workspace)):
            raise  # an old mingzheng.toml, which may not speak for the keys, or a stolen authority key
        workspace.ledger.check_clock(now)
        workspace.ledger.advance_clock(now)


def waits_for(workspace: Workspace, issuer: int, *, now: int) -> bool:
    """Whether two persons must acknowledge: the issuer has operators."""
    return workspace.config.needs_two(issuer, day_of_time(now))


def acknowledge(workspace: Workspace, issuer: int, persons: Sequence[KeySpec], *, reason: str, now: int) -> int:
    """Two persons (nobody, where the issuer has no operators) have looked at the issuer's foreign entries: from now on
    its desk works again, behind them. How many entries that were. Killed anywhere and run again, it is done once.
    `persons`: their keys, which they have opened (`operators.unlock`).

    Raises ForeignPersonsError, OtherIssuerError, SamePersonError, ForeignKeyGoodError while the keys under one of them
    still count there.
    """
    if waits_for(workspace, issuer, now=now) and len(persons) < 2:
        raise ForeignPersonsError(issuer)
    for key in persons:
        if key.issuer != issuer or key.kid not in workspace.persons:
            raise OtherIssuerError(issuer)
    names, keys = {key.operator for key in persons}, {key.public_key.raw() for key in persons}
    if len(names) != len(persons) or len(keys) != len(persons):
        raise SamePersonError(persons[0].operator)
    note_foreign(workspace, now=now)
    for item in foreign_of(workspace, issuer):
        if item.good and not item.row.agreed:
            raise ForeignKeyGoodError(item.row.leaf_index, [kid.hex() for kid in item.good])
    workspace.ledger.check_clock(now)
    workspace.ledger.advance_clock(now)
    by = By(operators=tuple(key.operator for key in persons))
    return workspace.ledger.foreign.agree(issuer, by=by, reason=reason)


def is_put_out(workspace: Workspace, kid: Kid) -> bool:
    """Whether a foreign event put that key out: the log takes nothing more under it."""
    entries = [item.entry for item in foreign_of(workspace)]
    return any(isinstance(it, KeyEventEntry) and it.subject_kid == kid and it.event in _OUT for it in entries)


def _read(
    workspace: Workspace,
) -> tuple[list[tuple[int, int, int, int]], list[tuple[ForeignRow, IssueEntry | SignedEntry]]]:
    """(acts of ours that the log has and the ledger does not know of there; foreign entries)."""
    log, ledger, shard = workspace.listing_log, workspace.ledger, workspace.config.shard
    size, _root = log.head()
    reader = log.reader()
    reader.use(log.checkpoint())
    issuers = {spec.number for spec in workspace.config.issuers}
    waiting = {entry_of(row) for row in ledger.unlogged() if row.signed is not None}
    acts = {act.entry: act for act in ledger.unlogged_acts()}
    pending, found = [], []
    for index, data in reader.entries(0, size):
        entry = read_entry(data)
        if not isinstance(entry, IssueEntry | SignedEntry) or entry.issuer not in issuers or data in waiting:
            continue
        if data in acts:
            pending.append((entry.issuer, acts[data].number, shard, index))
            continue
        row = ForeignRow(
            shard=shard,
            leaf_index=index,
            issuer=entry.issuer,
            number=None if isinstance(entry, IssueEntry) else entry.act_number,
            act=_code(entry),
            day=entry.issued_day if isinstance(entry, IssueEntry) else entry.day,
            entry=data,
            agreed=False,
        )
        if not ledger.foreign.is_ours(row, entry.serial if isinstance(entry, IssueEntry) else None):
            found.append((row, entry))
    return pending, found


def _code(entry: IssueEntry | SignedEntry) -> int | None:
    """What the ledger calls such an act."""
    if isinstance(entry, ActEntry):
        return int(entry.act)
    if isinstance(entry, NoticeEntry):
        return NOTICE_ACT + int(entry.notice)
    return -int(entry.event) if isinstance(entry, KeyEventEntry) else None


def _parsed(data: bytes) -> IssueEntry | SignedEntry:
    entry = read_entry(data)
    assert isinstance(entry, IssueEntry | SignedEntry)  # `_read` noted no other
    return entry


def _serials(entry: IssueEntry | SignedEntry) -> tuple[int, ...]:
    if isinstance(entry, IssueEntry):
        return (entry.serial,)
    return entry.serials if isinstance(entry, ActEntry) else ()


def _foreign(workspace: Workspace, row: ForeignRow, entry: IssueEntry | SignedEntry, *, noted: bool) -> Foreign:
    return Foreign(row=row, entry=entry, noted=noted, good=tuple(_good(workspace, row, entry)))


def _good(workspace: Workspace, row: ForeignRow, entry: IssueEntry | SignedEntry) -> Iterator[Kid]:
    """The keys under an entry, if all of them count where it stands: of two either stolen one is enough."""
    if isinstance(entry, KeyEventEntry) and _is_known(workspace, entry):
        return
    origin, kids = workspace.config.begun[row.shard].number, kids_of(entry)
    records = [workspace.config.record(kid) for kid in kids]
    if all(record is None or record.counts_at(origin=origin, index=row.leaf_index) for record in records):
        yield from kids


def _is_known(workspace: Workspace, entry: IssueEntry | SignedEntry) -> bool:
    """Whether mingzheng.toml says of a key what this event says; True for what is no key event."""
    if not isinstance(entry, KeyEventEntry):
        return True
    key = next((key for key in workspace.config.keys if key.kid == entry.subject_kid), None)
    if key is None or key.issuer != entry.issuer:
        return False
    if entry.event == KeyEventType.ADDED:
        return True
    return key.is_out if entry.event == KeyEventType.RETIRED else key.good_size is not None
