"""What a notice says: the bodies of the four types of notice (docs/spec/notices.md, Bodies), strict both ways.

Pure. One deterministic CBOR array a body; `encode_body(parse_body(notice, data)) == data` for every accepted input.
What a notice does to a copy is the verifier's; here only that it is well-formed. Limits: 256 kinds, 73 jurisdictions,
200 characters of citation, 4 sealing bodies.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import ClassVar, Final, TypeAlias, TypedDict, assert_never

from mingzheng.formats import cbor
from mingzheng.formats.errors import FormatError, TextError
from mingzheng.formats.text import check_text
from mingzheng.log.entry import MAX_BODY_BYTES, MAX_DAY, MAX_NUMBER, MIN_DAY, NoticeType, read_int
from mingzheng.log.errors import EntryError, NoticeBodyError, NoticeVersionError

VERSION: Final = 1
FIRST_NUMBER: Final = 1
MAX_NOTICES: Final = 1_000  # of one issuer: that verifiers read
MAX_CITATION: Final = 200
MAX_KINDS: Final = 256
MAX_BODIES: Final = 4  # as many as seal one page

_DEPTH: Final = 2  # body, list
_JURISDICTIONS: Final = (0, *range(11, 83))  # as in trust data


class Moves(IntEnum):
    """Which ends a blanket extension moves."""

    REGISTRATION = 1  # of registrations and specialties
    USAGE = 2  # these, and the usage windows that rest on them


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionBody:
    """Registrations that end in `first_end` … `last_end` end on `new_end` instead, from `effective_day` on.

    `revives`: copies whose own window has passed hold again.
    """

    notice: ClassVar[NoticeType] = NoticeType.BLANKET_EXTENSION

    number: int
    citation: str
    jurisdictions: tuple[int, ...]  # rising; 0: national
    kinds: tuple[int, ...]  # rising
    effective_day: int
    first_end: int
    last_end: int
    new_end: int
    moves: Moves
    revives: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RetiredFormBody:
    """Copies on a form count as the new ones through `equal_until` (None: never again), and not after it."""

    notice: ClassVar[NoticeType] = NoticeType.RETIRED_FORM

    number: int
    citation: str
    jurisdictions: tuple[int, ...]
    kinds: tuple[int, ...]
    template: int
    equal_until: int | None
    paper: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SealChangeBody:
    """Who seals from a day on, in order of sealing. 0: the sealing body that the claims name."""

    notice: ClassVar[NoticeType] = NoticeType.SEAL_CHANGE

    number: int
    citation: str
    jurisdictions: tuple[int, ...]
    kinds: tuple[int, ...]
    from_day: int
    bodies: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetractionBody:
    """An earlier notice of the same issuer holds no more, from a day on."""

    notice: ClassVar[NoticeType] = NoticeType.RETRACTION

    number: int
    citation: str
    retracted: int  # the earlier number
    from_day: int


NoticeBody: TypeAlias = ExtensionBody | RetiredFormBody | SealChangeBody | RetractionBody


def parse_body(notice: NoticeType, data: bytes) -> NoticeBody:
    """Read the body of a notice of that type.

    Raises NoticeVersionError for a later version, NoticeBodyError for all but the one spelling.
    """
    try:
        value = cbor.decode(data, max_bytes=MAX_BODY_BYTES, max_depth=_DEPTH, allow_null=True)
        return _parse(notice, value)
    except FormatError as error:
        raise NoticeBodyError(f"not strict CBOR: {error.code}", field="body", offset=error.offset) from error
    except EntryError as error:
        raise NoticeBodyError(error.detail, field=error.field) from error


def encode_body(body: NoticeBody) -> bytes:
    """The one spelling; raises NoticeBodyError for a value outside the schema."""
    try:
        data = cbor.encode(_fields(body), allow_null=True)
    except FormatError as error:
        raise NoticeBodyError(f"not encodable: {error.code}", field="body") from error
    parse_body(body.notice, data)
    return data


# --- values to CBOR


def _fields(body: NoticeBody) -> tuple[cbor.Value, ...]:
    head = (VERSION, body.number, body.citation)
    match body:
        case ExtensionBody():
            b = body
            days = (b.effective_day, b.first_end, b.last_end, b.new_end)
            return (*head, b.jurisdictions, b.kinds, *days, int(b.moves), int(b.revives))
        case RetiredFormBody():
            f = body
            return (*head, f.jurisdictions, f.kinds, f.template, f.equal_until, int(f.paper))
        case SealChangeBody():
            return (*head, body.jurisdictions, body.kinds, body.from_day, body.bodies)
        case RetractionBody():
            return (*head, body.retracted, body.from_day)
    assert_never(body)


# --- CBOR to values


class _Head(TypedDict):
    number: int
    citation: str


class _Scope(TypedDict):
    jurisdictions: tuple[int, ...]
    kinds: tuple[int, ...]


def _parse(notice: NoticeType, value: cbor.Value) -> NoticeBody:
    if not isinstance(value, tuple) or not value or type(value[0]) is not int:
        raise NoticeBodyError("not an array that begins with a version", field="body")
    if value[0] != VERSION:
        raise NoticeVersionError(f"version {value[0]}, this program reads {VERSION}", field="version")
    length, parse = _PARSERS[notice]
    if len(value) != length:
        raise NoticeBodyError(f"{len(value)} items instead of {length}", field="body")
    return parse(value)


def _extension(v: tuple[cbor.Value, ...]) -> ExtensionBody:
    first, last, new = _day(v[6], "first_end"), _day(v[7], "last_end"), _day(v[8], "new_end")
    if last < first:
        raise NoticeBodyError("before first_end", field="last_end")
    if new < last or new == first:
        raise NoticeBodyError("moves no end to a later day", field="new_end")
    return ExtensionBody(
        **_head(v),
        **_scope(v),
        effective_day=_day(v[5], "effective_day"),
        first_end=first,
        last_end=last,
        new_end=new,
        moves=Moves(read_int(v[9], "moves", 1, len(Moves))),
        revives=_flag(v[10], "revives"),
    )


def _retired_form(v: tuple[cbor.Value, ...]) -> RetiredFormBody:
    return RetiredFormBody(
        **_head(v),
        **_scope(v),
        template=read_int(v[5], "template", 1, MAX_NUMBER),
        equal_until=None if v[6] is None else _day(v[6], "equal_until"),
        paper=_flag(v[7], "paper"),
    )


def _seal_change(v: tuple[cbor.Value, ...]) -> SealChangeBody:
    bodies = _numbers(v[6], "bodies", most=MAX_BODIES)
    if len(set(bodies)) != len(bodies):
        raise NoticeBodyError("a body twice", field="bodies")
    return SealChangeBody(**_head(v), **_scope(v), from_day=_day(v[5], "from_day"), bodies=bodies)


def _retraction(v: tuple[cbor.Value, ...]) -> RetractionBody:
    head = _head(v)
    return RetractionBody(
        **head,
        retracted=read_int(v[3], "retracted", FIRST_NUMBER, head["number"] - 1),
        from_day=_day(v[4], "from_day"),
    )


_PARSERS: Final[dict[NoticeType, tuple[int, Callable[[tuple[cbor.Value, ...]], NoticeBody]]]] = {
    NoticeType.BLANKET_EXTENSION: (11, _extension),
    NoticeType.RETIRED_FORM: (8, _retired_form),
    NoticeType.SEAL_CHANGE: (7, _seal_change),
    NoticeType.RETRACTION: (5, _retraction),
}


def _head(v: tuple[cbor.Value, ...]) -> _Head:
    citation = v[2]
    if not isinstance(citation, str):
        raise NoticeBodyError("not a text", field="citation")
    try:
        check_text(citation, min_chars=1, max_chars=MAX_CITATION)
    except TextError as error:
        raise NoticeBodyError(str(error), field="citation") from error
    return {"number": read_int(v[1], "number", FIRST_NUMBER, MAX_NUMBER), "citation": citation}


def _scope(v: tuple[cbor.Value, ...]) -> _Scope:
    """Jurisdictions and kinds: third and fourth behind the version, each at least one, strictly rising."""
    jurisdictions = _rising(_numbers(v[3], "jurisdictions", most=len(_JURISDICTIONS)), "jurisdictions")
    if not set(jurisdictions) <= set(_JURISDICTIONS):
        raise NoticeBodyError("jurisdictions are 0 and 11 to 82", field="jurisdictions")
    kinds = _rising(_numbers(v[4], "kinds", most=MAX_KINDS), "kinds")
    if kinds[0] == 0:
        raise NoticeBodyError("kinds begin at 1", field="kinds")
    return {"jurisdictions": jurisdictions, "kinds": kinds}


def _numbers(value: cbor.Value, field: str, *, most: int) -> tuple[int, ...]:
    if not isinstance(value, tuple) or not 1 <= len(value) <= most:
        raise NoticeBodyError(f"not an array of 1 to {most}", field=field)
    return tuple(read_int(item, field, 0, MAX_NUMBER) for item in value)


def _rising(numbers: tuple[int, ...], field: str) -> tuple[int, ...]:
    if any(before >= after for before, after in pairwise(numbers)):
        raise NoticeBodyError("not strictly rising", field=field)
    return numbers


def _day(value: cbor.Value, field: str) -> int:
    return read_int(value, field, MIN_DAY, MAX_DAY)


def _flag(value: cbor.Value, field: str) -> bool:
    return read_int(value, field, 0, 1) == 1


__all__ = [
    *("FIRST_NUMBER", "MAX_BODIES", "MAX_CITATION", "MAX_KINDS", "MAX_NOTICES", "VERSION"),
    *("ExtensionBody", "Moves", "NoticeBody", "RetiredFormBody", "RetractionBody", "SealChangeBody"),
    *("encode_body", "parse_body"),
]
