"""What one operator asks another to approve, as bytes: strict deterministic CBOR, one spelling.

Source: docs/workspace.md, Operators; docs/spec/log.md, Two persons. Pure. Each part is signed for the log, as
`log.entry.request_message` says; all of it, with what the ledger alone knows (registration, reason, name), is signed
once more for the desk: the seal. The form itself bears no personal data but serials.

    form = [1, id, origin, issuer, type, code, kid, day, [* [serials or body, signature]]]
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias

from mingzheng.formats import cbor
from mingzheng.formats.errors import FormatError
from mingzheng.issuer.approvalerrors import RequestForgedError, RequestMalformedError
from mingzheng.keys.alg import PublicKey, verify
from mingzheng.keys.errors import SignatureInvalidError
from mingzheng.keys.kid import Kid
from mingzheng.log.acts import ActType
from mingzheng.log.entry import (
    KID_BYTES,
    MAX_BODY_BYTES,
    MAX_DAY,
    MAX_NUMBER,
    MAX_SERIAL,
    MAX_SERIALS,
    MIN_DAY,
    SIGNATURE_BYTES,
    Asked,
    EntryType,
    NoticeType,
    Request,
    request_message,
)

__all__ = [
    "ID_BYTES",
    "MAX_PARTS",
    "About",
    "Part",
    "RequestForm",
    "check_form",
    "encode_form",
    "parse_form",
    "seal_message",
]

VERSION: Final = 1
ID_BYTES: Final = 8
MAX_PARTS: Final = 16
MAX_BYTES: Final = 700_000
SEAL_DOMAIN: Final = "mingzheng/desk-request/v1"
_DEPTH: Final = 4

About: TypeAlias = tuple[int, ...] | bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What becomes one entry of the log: serials or a notice's body, and the first person's signature for it."""

    about: About
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestForm:
    """What is asked for. No parts: a registration without copies in force."""

    id: bytes
    origin: int
    issuer: int
    code: ActType | NoticeType
    kid: Kid  # of the first person's operator key
    day: int
    parts: tuple[Part, ...]

    @property
    def serials(self) -> tuple[int, ...]:
        """All serials it names."""
        return tuple(serial for part in self.parts if isinstance(part.about, tuple) for serial in part.about)

    @property
    def abouts(self) -> tuple[About, ...]:
        """What its parts are about, in order."""
        return tuple(part.about for part in self.parts)

    def request_of(self, part: Part) -> Request:
        """What the entry of a part carries."""
        return Request(kid=self.kid, day=self.day, signature=part.signature)


def encode_form(form: RequestForm) -> bytes:
    """The bytes of a request."""
    kind = EntryType.ACT if isinstance(form.code, ActType) else EntryType.NOTICE
    parts = tuple((part.about, part.signature) for part in form.parts)
    head = (VERSION, form.id, form.origin, form.issuer, int(kind), int(form.code))
    data = cbor.encode((*head, form.kid, form.day, parts))
    parse_form(data)  # never write what cannot be read
    return data


def parse_form(data: bytes) -> RequestForm:
    """Read a request. Raises RequestMalformedError for all but the one spelling."""
    try:
        value = cbor.decode(data, max_bytes=MAX_BYTES, max_depth=_DEPTH)
    except FormatError as error:
        raise RequestMalformedError(error.code) from error
    if not isinstance(value, tuple) or len(value) != 9 or type(value[0]) is not int or value[0] != VERSION:
        raise RequestMalformedError("version")
    parts = value[8]
    if not isinstance(parts, tuple) or len(parts) > MAX_PARTS:
        raise RequestMalformedError("parts")
    code = _code(value[4], value[5])
    return RequestForm(
        id=_bytes(value[1], "id", ID_BYTES),
        origin=_int(value[2], "origin", 1, MAX_NUMBER),
        issuer=_int(value[3], "issuer", 1, MAX_NUMBER),
        code=code,
        kid=Kid(_bytes(value[6], "kid", KID_BYTES)),
        day=_int(value[7], "day", MIN_DAY, MAX_DAY),
        parts=tuple(_part(part, code) for part in parts),
    )


def seal_message(body: bytes, *, target: bytes, reason: str, operator: str) -> bytes:
    """What the first person signs for the desk: the form and what the ledger keeps beside it."""
    return cbor.encode((SEAL_DOMAIN, body, target, reason.encode("utf-8", "surrogateescape"), operator.encode()))


def check_form(form: RequestForm, key: PublicKey, origin_name: str, *, seal: tuple[bytes, bytes]) -> None:
    """Check that `key` signed every part, and the seal (signature, message). Raises RequestForgedError."""
    try:
        verify(key, signature=seal[0], message=seal[1])
        for part in form.parts:
            asked = Asked(issuer=form.issuer, code=form.code, about=part.about)
            message = request_message(asked, origin_name, kid=form.kid, day=form.day)
            verify(key, signature=part.signature, message=message)
    except SignatureInvalidError as error:
        raise RequestForgedError(form.id.hex()) from error


def _code(kind: cbor.Value, code: cbor.Value) -> ActType | NoticeType:
    if _int(kind, "type", int(EntryType.ACT), int(EntryType.NOTICE)) == EntryType.ACT:
        return ActType(_int(code, "code", 1, len(ActType)))
    return NoticeType(_int(code, "code", 1, len(NoticeType)))


def _part(value: cbor.Value, code: ActType | NoticeType) -> Part:
    if not isinstance(value, tuple) or len(value) != 2:
        raise RequestMalformedError("part")
    about = value[0]
    if isinstance(code, ActType):
        about = _serials(about)
    elif not isinstance(about, bytes) or len(about) > MAX_BODY_BYTES:
        raise RequestMalformedError("body")
    return Part(about=about, signature=_bytes(value[1], "signature", SIGNATURE_BYTES))


def _serials(value: cbor.Value) -> tuple[int, ...]:
    if not isinstance(value, tuple) or not 1 <= len(value) <= MAX_SERIALS:
        raise RequestMalformedError("serials")
    serials = tuple(_int(item, "serials", 0, MAX_SERIAL) for item in value)
    if any(before >= after for before, after in pairwise(serials)):
        raise RequestMalformedError("serials")
    return serials


def _int(value: cbor.Value, field: str, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise RequestMalformedError(field)
    return value


def _bytes(value: cbor.Value, field: str, length: int) -> bytes:
    if not isinstance(value, bytes) or len(value) != length:
        raise RequestMalformedError(field)
    return value
