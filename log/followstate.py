"""What a follower of a served log knows at a head, as bytes, and how an entry changes it (docs/spec/server.md).

Pure. The file is the auditor's progress in small (`auditstate`): torn or altered, it costs a run from the start, no
more. `issuers` are those whose entries must keep every rule; the others' are taken as the log took them.
"""

import base64
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar, Final

from mingzheng.keys.kid import Kid
from mingzheng.log.auditstate import ProgressError, dump_issuer, load_issuer, pack_state, unpack_state
from mingzheng.log.book import (
    Book,
    IssuerBook,
    KeyCompromisedError,
    KeyDayError,
    KeyKindError,
    RootAt,
    UnknownOriginError,
)
from mingzheng.log.densestates import DenseStates
from mingzheng.log.entry import OWN_ENTRIES, ShardEntry, TimeEntry, encode_entry
from mingzheng.log.errors import EntryError, LogError
from mingzheng.log.fastentry import read_entry

MAGIC: Final = b"mingzheng/followed/v1\n"
RULES_VERSION: Final = 2
"""Raise it with every change to what is kept, or to what an entry does."""

_OF_TODAY = (KeyDayError, KeyKindError, KeyCompromisedError, UnknownOriginError)
"""What the configuration says of a key or origin by now: the log took the entry before that."""


class FollowRuleError(LogError):
    """The served log holds an entry that breaks its rules: no list is drawn from it."""

    code: ClassVar[str] = "follow.rule_broken"

    def __init__(self, index: int, rule: str, detail: str) -> None:
        super().__init__(f"entry {index} ({rule}): {detail}")
        self.index, self.rule = index, rule


class CarriedUnknownError(LogError):
    """The served log goes on from a closed one, whose state is not at hand: its lists are made where the log is."""

    code: ClassVar[str] = "follow.carried_unknown"


@dataclass(slots=True, kw_only=True)
class Followed:
    """The entries below `size`. `ends`: where each round ended. `note`: of the head that was seen last."""

    book: Book
    issuers: frozenset[int]
    note: bytes = b""
    size: int = 0
    ends: "array[int]" = field(default_factory=lambda: array("Q"))

    def take(self, index: int, data: bytes, root_at: RootAt) -> None:
        """The next entry. Raises FollowRuleError, CarriedUnknownError; what is known is of no use then."""
        try:
            entry = read_entry(data)
        except EntryError as error:
            raise FollowRuleError(index, error.code, str(error)) from error
        if index == 0 and isinstance(entry, ShardEntry) and self.book.begins is None:
            raise CarriedUnknownError("the log goes on from a closed one: make its lists where the log is")
        issuer = getattr(entry, "issuer", 0)
        if issuer not in self.book.issuers and not isinstance(entry, OWN_ENTRIES):
            self.book.issuers[issuer] = IssuerBook(states=DenseStates())
        for fault in self.book.apply(entry, index, root_at):
            if (issuer in self.issuers or not issuer) and not isinstance(fault, _OF_TODAY):
                raise FollowRuleError(index, fault.code, str(fault))
        if isinstance(entry, TimeEntry):
            self.ends.append(index + 1 + (index + 1) % 2)  # a filler follows where the count would be odd
        self.size = index + 1

    def rounds(self) -> Iterator[tuple[int, int]]:
        """Every round [start, stop), rising."""
        return pairwise([0, *self.ends])


def format_followed(known: Followed) -> bytes:
    """The file's bytes."""
    book = known.book
    return pack_state(
        MAGIC,
        {
            "rules": RULES_VERSION,
            "begins": _begins(book),
            "following": sorted(known.issuers),
            "note": base64.b64encode(known.note).decode(),
            "issuers": [[number, *dump_issuer(found)] for number, found in sorted(book.issuers.items())],
            "retired": [[issuer, kid.hex(), index] for (issuer, kid), index in sorted(book.retired.items())],
            "closed": book.closed,
            "rounds": [stop - start for start, stop in known.rounds()],
        },
    )


def parse_followed(data: bytes, empty: Followed) -> Followed:
    """Fill a fresh state with a file that this program wrote for the same issuers; `size` is left to the note.

    Raises ProgressError for any other.
    """
    value: Any = unpack_state(MAGIC, data)
    try:
        rules = [value["rules"], value["begins"]]
        if rules != [RULES_VERSION, _begins(empty.book)] or not empty.issuers <= set(value["following"]):
            raise ProgressError("of other rules, or of fewer issuers")
        book = empty.book
        book.issuers = {int(row[0]): load_issuer(row[1:]) for row in value["issuers"]}
        book.retired = {(int(issuer), Kid(bytes.fromhex(kid))): int(at) for issuer, kid, at in value["retired"]}
        book.closed = value["closed"]
        end, ends = 0, array("Q")
        for length in value["rounds"]:
            end += length
            ends.append(end)
        note = base64.b64decode(value["note"], validate=True)
        return Followed(book=book, issuers=empty.issuers, note=note, ends=ends)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError, zlib.error) as error:
        raise ProgressError("not what this program writes") from error


def _begins(book: Book) -> str | None:
    return None if book.begins is None else encode_entry(book.begins).hex()


__all__ = ["CarriedUnknownError", "FollowRuleError", "Followed", "format_followed", "parse_followed"]
