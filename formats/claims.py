"""Claims of one certificate copy and their CBOR map (docs/spec/credential.md, "Structure").

A CWT claims set (RFC 8392) of `exp`, `iat` and one private map with integer keys 0…23. Both
directions apply the same table of bounds, so whatever `parse_claims` returns `encode_claims`
writes back byte for byte. Not here: what a profile says (windows, kinds, required claims) and
what a key may sign; those are the verifier's rules.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from operator import attrgetter, le
from typing import Any, Final

from mingzheng.formats import cbor
from mingzheng.formats.civil import MAX_DAY, MIN_DAY, SECONDS_PER_DAY, UTC_OFFSET, day_start
from mingzheng.formats.errors import (
    ClaimsError,
    ClaimTextError,
    ClaimTooLongError,
    TextError,
    TextLengthError,
    UnknownVersionError,
)
from mingzheng.formats.limits import LIMITS_CLAIMS
from mingzheng.formats.text import check_text

VERSION: Final = 1
EXP: Final = 4  # RFC 8392 §3.1.4
IAT: Final = 6  # RFC 8392 §3.1.6
FIELDS: Final = -65537  # private use (RFC 8392 §9.1)

EVERYWHERE: Final = 0  # among the jurisdictions of a rule or notice: every province, and national certificates
TEXT_CHARS_MAX: Final = 40  # name, registration number, employer, purpose
SPECIALTIES_MAX: Final = 16
CODE_MAX: Final = 65_535
SERIAL_MAX: Final = (1 << 40) - 1
SALT_BYTES: Final = 16
BIRTH_MAX: Final = 47_481  # 2099-12-31
_NO_IMAGE: Final = bytes(32)


class Copy(IntEnum):
    """Type of copy."""

    APPROVAL = 1  # 批准件
    USAGE = 2  # 使用件


class Sex(IntEnum):
    """Sex as in GB/T 2261.1."""

    MALE = 1
    FEMALE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Specialty:
    """One registered specialty 注册专业 with its own first and last day, both inclusive."""

    code: int
    first_day: int
    last_day: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """Everything one certificate copy says, except the images. Days as in `civil`."""

    name: str
    sex: Sex
    birth: int
    kind: int
    jurisdiction: int
    registration_no: str
    specialties: tuple[Specialty, ...]
    certificate_issued_on: int
    employer: str | None
    registered_until: int
    copy: Copy
    purpose: str | None
    issuing_body: int
    sealing_body: int
    serial: int
    salt: bytes
    image_digest: bytes
    template: int
    copy_issued_on: int
    usage_until: int | None


def image_digest(photo: bytes | None, signature: bytes | None) -> bytes:
    """SHA-256(d_photo ‖ d_signature): d = SHA-256 of the file, 32 zero bytes where there is none."""
    digests = [_NO_IMAGE if file is None else hashlib.sha256(file).digest() for file in (photo, signature)]
    return hashlib.sha256(b"".join(digests)).digest()


def encode_claims(claims: Claims) -> bytes:
    """The payload of a credential; ClaimsError if a claim is out of its bounds."""
    check_claims(claims)
    fields: dict[cbor.Key, cbor.Value] = {
        0: VERSION,
        1: claims.name,
        2: int(claims.sex),
        3: claims.birth,
        4: claims.kind,
        5: claims.jurisdiction,
        6: claims.registration_no,
        8: claims.certificate_issued_on,
        10: claims.registered_until,
        11: int(claims.copy),
        13: claims.issuing_body,
        14: claims.sealing_body,
        15: claims.serial,
        16: claims.salt,
        17: claims.image_digest,
        18: claims.template,
    }
    if claims.specialties:
        fields[7] = tuple((item.code, item.first_day, item.last_day) for item in claims.specialties)
    if claims.employer is not None:
        fields[9] = claims.employer
    if claims.purpose is not None:
        fields[12] = claims.purpose
    outer: dict[cbor.Key, cbor.Value] = {IAT: day_start(claims.copy_issued_on), FIELDS: fields}
    if claims.usage_until is not None:
        outer[EXP] = day_start(claims.usage_until + 1)
    return cbor.encode(outer)


def parse_claims(payload: bytes) -> Claims:
    """The claims of a payload.

    Raises CborError, UnknownVersionError (a claims map of another version) or ClaimsError.
    """
    outer = cbor.decode(payload, max_bytes=LIMITS_CLAIMS.max_bytes, max_depth=LIMITS_CLAIMS.max_depth)
    if not isinstance(outer, dict) or not isinstance(fields := outer.get(FIELDS), dict):
        raise ClaimsError("", "not a claims map with the private map -65537")
    version = fields.get(0)
    if type(version) is not int or version < 0:
        raise ClaimsError("version", "absent or no unsigned integer")
    if version != VERSION:
        raise UnknownVersionError(version)
    if not _OUTER_REQUIRED <= outer.keys() <= _OUTER_ALLOWED:
        raise ClaimsError("", "claims other than exp, iat and -65537, or iat missing")
    _check_types(fields)
    claims = _from_maps(outer, fields)
    check_claims(claims)
    return claims


def check_claims(claims: Claims) -> None:
    """Apply the bounds of docs/spec/credential.md to every claim; raises ClaimsError at the first."""
    _check_text("name", claims.name)
    _check_text("registration_no", claims.registration_no)
    if claims.employer is not None:
        _check_text("employer", claims.employer)
    if claims.purpose is not None:
        _check_text("purpose", claims.purpose)
    check_numbers(claims)
    if len(claims.salt) != SALT_BYTES:
        raise ClaimsError("salt", "must be 16 bytes")
    if len(claims.image_digest) != 32:
        raise ClaimsError("image_digest", "must be 32 bytes")


# Whole numbers of the claims with the least and the greatest they may be.
_BOUNDS: Final = (
    ("sex", 1, 2),
    ("birth", MIN_DAY, BIRTH_MAX),
    ("kind", 1, CODE_MAX),
    ("certificate_issued_on", MIN_DAY, MAX_DAY),
    ("registered_until", MIN_DAY, MAX_DAY),
    ("copy", 1, 2),
    ("issuing_body", 1, CODE_MAX),
    ("sealing_body", 1, CODE_MAX),
    ("serial", 0, SERIAL_MAX),
    ("template", 1, CODE_MAX),
    ("copy_issued_on", 1, MAX_DAY),
)
_NUMBERS: Final[Callable[[Claims], tuple[int, ...]]] = attrgetter(*(field for field, _, _ in _BOUNDS))
_LEAST: Final = tuple(low for _, low, _ in _BOUNDS)
_MOST: Final = tuple(high for _, _, high in _BOUNDS)


def check_numbers(claims: Claims) -> None:
    """The bounds of numbers and specialties; raises ClaimsError for the first out of them. Cost: 1 µs."""
    numbers = _NUMBERS(claims)
    if not (all(map(le, _LEAST, numbers)) and all(map(le, numbers, _MOST))):
        raise next(
            _outside(*bound) for value, bound in zip(numbers, _BOUNDS, strict=True) if not bound[1] <= value <= bound[2]
        )
    if claims.usage_until is not None and not 0 <= claims.usage_until <= MAX_DAY:
        raise _outside("usage_until", 0, MAX_DAY)
    if claims.jurisdiction != 0 and not 11 <= claims.jurisdiction <= 82:
        raise ClaimsError("jurisdiction", "must be 0 or a province code 11 … 82")
    _check_specialties(claims.specialties)


def _outside(field: str, low: int, high: int) -> ClaimsError:
    return ClaimsError(field, f"must be {low} … {high}")


_OUTER_REQUIRED: Final = frozenset((IAT, FIELDS))
_OUTER_ALLOWED: Final = _OUTER_REQUIRED | {EXP}
# Field keys to name and type; those of _OPTIONAL may be absent.
_FIELDS: Final[Mapping[int, tuple[str, type]]] = {
    0: ("version", int),
    1: ("name", str),
    2: ("sex", int),
    3: ("birth", int),
    4: ("kind", int),
    5: ("jurisdiction", int),
    6: ("registration_no", str),
    7: ("specialties", tuple),
    8: ("certificate_issued_on", int),
    9: ("employer", str),
    10: ("registered_until", int),
    11: ("copy", int),
    12: ("purpose", str),
    13: ("issuing_body", int),
    14: ("sealing_body", int),
    15: ("serial", int),
    16: ("salt", bytes),
    17: ("image_digest", bytes),
    18: ("template", int),
}
_OPTIONAL: Final = (7, 9, 12)
SEXES: Final = {1: Sex.MALE, 2: Sex.FEMALE}
COPIES: Final = {1: Copy.APPROVAL, 2: Copy.USAGE}


def _shapes() -> dict[tuple[object, ...], tuple[type, ...]]:
    """For each set of keys a fields map may have, in the order the decoder gives them, the types."""
    shapes: dict[tuple[object, ...], tuple[type, ...]] = {}
    for absent in itertools.product((True, False), repeat=len(_OPTIONAL)):
        missing = {key for key, gone in zip(_OPTIONAL, absent, strict=True) if gone}
        keys = tuple(key for key in _FIELDS if key not in missing)
        shapes[keys] = tuple(_FIELDS[key][1] for key in keys)
    return shapes


_SHAPES: Final = _shapes()


def _check_types(fields: Mapping[cbor.Key, cbor.Value]) -> None:
    """Refuse unknown and missing keys and values of another type, in two comparisons where all is well."""
    shape = _SHAPES.get(tuple(fields))
    if shape is None:
        raise ClaimsError("", "unknown or missing key in the private map")
    if tuple(map(type, fields.values())) != shape:
        wrong = next(key for key, value in fields.items() if type(value) is not _FIELDS[key][1])  # type: ignore[index]
        field, kind = _FIELDS[wrong]  # type: ignore[index]
        raise ClaimsError(field, f"must be of type {kind.__name__}")


def _from_maps(outer: Mapping[cbor.Key, cbor.Value], fields: Mapping[Any, Any]) -> Claims:
    sex, copy = SEXES.get(fields[2]), COPIES.get(fields[11])
    if sex is None or copy is None:
        raise ClaimsError("copy" if sex else "sex", "must be 1 or 2")
    return Claims(
        name=fields[1],
        sex=sex,
        birth=fields[3],
        kind=fields[4],
        jurisdiction=fields[5],
        registration_no=fields[6],
        specialties=_specialties(fields[7]) if 7 in fields else (),
        certificate_issued_on=fields[8],
        employer=fields.get(9),
        registered_until=fields[10],
        copy=copy,
        purpose=fields.get(12),
        issuing_body=fields[13],
        sealing_body=fields[14],
        serial=fields[15],
        salt=fields[16],
        image_digest=fields[17],
        template=fields[18],
        copy_issued_on=_day_of_start("iat", outer[IAT]),
        usage_until=_day_of_start("exp", outer[EXP]) - 1 if EXP in outer else None,
    )


def _day_of_start(field: str, value: cbor.Value) -> int:
    """The day that begins at the instant `value`; an instant within a day is refused."""
    if type(value) is not int or (value + UTC_OFFSET) % SECONDS_PER_DAY:
        raise ClaimsError(field, "must be the instant 00:00 at UTC+08:00 of a day")
    return (value + UTC_OFFSET) // SECONDS_PER_DAY


def _specialties(value: tuple[Any, ...]) -> tuple[Specialty, ...]:
    if not value:
        raise ClaimsError("specialties", "must be a non-empty array")
    result = []
    for item in value:
        if type(item) is not tuple or tuple(map(type, item)) != (int, int, int):
            raise ClaimsError("specialties", "each must be [code, first day, last day]")
        result.append(Specialty(code=item[0], first_day=item[1], last_day=item[2]))
    return tuple(result)


def _check_specialties(specialties: tuple[Specialty, ...]) -> None:
    if len(specialties) > SPECIALTIES_MAX:
        raise ClaimsError("specialties", f"at most {SPECIALTIES_MAX}")
    previous = 0
    for item in specialties:
        if not previous < item.code <= CODE_MAX:
            raise ClaimsError("specialties", f"codes must be 1 … {CODE_MAX} and strictly rising")
        if not MIN_DAY <= item.first_day <= item.last_day <= MAX_DAY:
            raise ClaimsError("specialties", "first day after last day, or a day out of range")
        previous = item.code


def _check_text(field: str, text: str) -> None:
    try:
        check_text(text, min_chars=1, max_chars=TEXT_CHARS_MAX)
    except TextLengthError as error:
        if error.cut:
            raise ClaimTooLongError(field, error.detail, cut=error.cut) from error
        raise ClaimTextError(field, error.detail) from error
    except TextError as error:
        raise ClaimTextError(field, error.detail) from error
