"""The notices that the ledger holds: what each says, and which of them are void, as verifiers read them.

Source: docs/spec/notices.md, "Void". Whoever asks at the desk what notices do takes `counting`: a void one
does nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mingzheng.issuer.rows import NoticeRow
from mingzheng.issuer.workspace import Workspace
from mingzheng.log.entry import NoticeEntry, parse_entry
from mingzheng.log.noticebody import NoticeBody, parse_body
from mingzheng.log.noticestanding import is_void

__all__ = ["Given", "counting", "list_notices"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A notice that was given; its place in the log, if it is there. `void`: it holds its number and does nothing."""

    body: NoticeBody
    row: NoticeRow
    entry: NoticeEntry
    void: bool


def list_notices(workspace: Workspace, issuer: int) -> tuple[Given, ...]:
    """An issuer's notices, by number; void ones with them."""
    keys, logs = workspace.config.key_records(), workspace.config.begun
    found = []
    for row in workspace.ledger.notices(issuer):
        entry = parse_entry(row.entry)
        assert isinstance(entry, NoticeEntry)  # `sign_notice` made it
        void = is_void(entry, keys, origin=logs[row.shard].number, index=row.leaf_index)
        found.append(Given(body=parse_body(entry.notice, entry.body), row=row, entry=entry, void=void))
    return tuple(found)


def counting(given: Iterable[Given]) -> Iterator[NoticeBody]:
    """What those say that are not void and not foreign."""
    return (item.body for item in given if not item.void and not item.row.foreign)
