"""Reading values with their sources from the tables of a profile.

Spec: docs/profiles.md, "File". Every fault is a `ProfileValueError` that names the dotted place. Pure.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

from mingzheng.formats.civil import parse_day
from mingzheng.formats.rules_source import Citation, Cited, Notice, Reason, Sources
from mingzheng.formats.strict_toml import ProfileValueError, Table

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

Reader = Callable[[Table, str], T]


def read_sources(top: Table) -> Sources:
    """Read `notices` and `reasons` of a file."""
    reasons: dict[str, Reason] = {}
    if top.has("reasons"):
        table = top.table("reasons")
        for key in table.names():
            reasons[key] = _reason(table.table(key))
    return Sources(notices=_notices(top.table("notices")), reasons=reasons)


def read_citation(table: Table, sources: Sources) -> Citation:
    """Read `notice` + `clause` and/or `by_analogy` of a table; one of the two must be there."""
    notice: Notice | None = None
    clause: str | None = None
    if table.has("notice"):
        key = table.choice("notice", sources.notices)
        notice, clause = sources.notices[key], table.text("clause")
    reason: Reason | None = None
    if table.is_text("by_analogy"):
        reason = sources.reasons[table.choice("by_analogy", sources.reasons)]
    elif table.has("by_analogy"):
        reason = _reason(table.table("by_analogy"))
    elif notice is None:
        raise ProfileValueError(table.path, "neither a notice nor a reason by analogy is given")
    return Citation(
        notice=notice,
        clause=clause,
        by_analogy_zh=None if reason is None else reason.zh,
        by_analogy_en=None if reason is None else reason.en,
    )


def read_cited(table: Table, key: str, sources: Sources, read: Reader[T]) -> Cited[T]:
    """Read a table of `value` and source."""
    item = table.table(key)
    cited = Cited(value=read(item, "value"), citation=read_citation(item, sources))
    item.done()
    return cited


def read_optional(table: Table, key: str, sources: Sources, read: Reader[T]) -> Cited[T] | None:
    """Read a table of `value` and source that may be absent."""
    return read_cited(table, key, sources, read) if table.has(key) else None


def read_whole(top: Table, key: str, sources: Sources) -> Citation | None:
    """Read a table that is nothing but a source, or None."""
    if not top.has(key):
        return None
    item = top.table(key)
    citation = read_citation(item, sources)
    item.done()
    return citation


def read_either(top: Table, key: str, sources: Sources, read: Callable[[Table, Sources], T]) -> T | Citation:
    """Read exactly one of the table `key` and the source `no_<key>`."""
    absent = f"no_{key}"
    if top.has(key) == top.has(absent):
        raise ProfileValueError(top.at(key), f"state either {key} or {absent}")
    if not top.has(key):
        item = top.table(absent)
        citation = read_citation(item, sources)
        item.done()
        return citation
    table = top.table(key)
    value = read(table, sources)
    table.done()
    return value


def read_day(table: Table, key: str) -> int:
    """Read a day as YYYY-MM-DD."""
    try:
        return parse_day(table.text(key))
    except ValueError as error:
        raise ProfileValueError(table.at(key), "a day is written YYYY-MM-DD") from error


def read_optional_day(table: Table, key: str) -> int | None:
    """Read a day that may be absent."""
    return read_day(table, key) if table.has(key) else None


def one_of(kind: type[E]) -> Reader[E]:
    """Return the reader of a closed set."""

    def read(table: Table, key: str) -> E:
        return kind(table.choice(key, [member.value for member in kind]))

    return read


def the_word(word: str) -> Reader[str]:
    """Return the reader of a convention with one known value: a file with another one is refused."""

    def read(table: Table, key: str) -> str:
        return table.choice(key, [word])

    return read


def between(low: int, high: int) -> Reader[int]:
    """Return the reader of an integer of a closed range."""

    def read(table: Table, key: str) -> int:
        return table.integer(key, low, high)

    return read


def _reason(table: Table) -> Reason:
    reason = Reason(zh=table.text("zh"), en=table.text("en"))
    table.done()
    return reason


def _notices(table: Table) -> dict[str, Notice]:
    notices: dict[str, Notice] = {}
    for key in table.names():
        item = table.table(key)
        notices[key] = Notice(
            key=key,
            issuer=item.text("issuer"),
            title=item.text("title"),
            number=item.optional_text("number"),
            issued_on=read_optional_day(item, "issued_on"),
            note=item.optional_text("note"),
        )
        item.done()
    return notices
