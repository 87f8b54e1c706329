"""Claims read in one regular expression; every other payload, and every doubt, through `claims.parse_claims`.

The expression spells the one encoding that docs/spec/credential.md allows (keys in order, shortest integers, texts
without control characters); a test holds both ways equal. It takes a third of the time.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from mingzheng.formats.civil import SECONDS_PER_DAY, UTC_OFFSET
from mingzheng.formats.claims import (
    COPIES,
    SEXES,
    TEXT_CHARS_MAX,
    Claims,
    Specialty,
    check_numbers,
    parse_claims,
)
from mingzheng.formats.errors import ClaimsError
from mingzheng.formats.limits import LIMITS_CLAIMS
from mingzheng.formats.text import PLAIN

_INT: Final = (
    rb"([\x00-\x17\x20-\x37]|[\x18\x38][\x18-\xff]|[\x19\x39](?!\x00)[\x00-\xff]{2}"
    rb"|[\x1a\x3a](?!\x00\x00)[\x00-\xff]{4}|[\x1b\x3b](?!\x00{4})[\x00-\xff]{8})"
)
# Keys are below 0x20 and no text of ours has a byte there, so a text ends where the next key begins.
_TEXT: Final = rb"([\x61-\x77]|\x78[\x18-\xff])([\x20-\x7e\x80-\xff]+)"
_SPECIALTY: Final = rb"\x83" + _INT.replace(b"(", b"(?:", 1) * 3
_CLAIMS: Final = re.compile(
    rb"(?:\xa2|\xa3\x04" + _INT + rb")\x06" + _INT + rb"\x3a\x00\x01\x00\x00([\xb0-\xb3])\x00\x01"
    rb"\x01" + _TEXT + rb"\x02([\x01\x02])\x03" + _INT + rb"\x04" + _INT + rb"\x05" + _INT + rb"\x06" + _TEXT
    + rb"(?:\x07([\x81-\x90])((?:" + _SPECIALTY + rb")+))?\x08" + _INT + rb"(?:\x09" + _TEXT + rb")?\x0a" + _INT
    + rb"\x0b([\x01\x02])(?:\x0c" + _TEXT + rb")?\x0d" + _INT + rb"\x0e" + _INT + rb"\x0f" + _INT
    + rb"\x10\x50([\x00-\xff]{16})\x11\x58\x20([\x00-\xff]{32})\x12" + _INT
)  # fmt: skip
_NUMBERS: Final = re.compile(_INT)


def read_claims(payload: bytes) -> Claims:
    """As `claims.parse_claims`, values and errors alike."""
    match = _CLAIMS.fullmatch(payload) if len(payload) <= LIMITS_CLAIMS.max_bytes else None
    claims = None if match is None else _claims(match)
    return parse_claims(payload) if claims is None else claims


def _claims(match: re.Match[bytes]) -> Claims | None:
    """The claims, or None where anything is unusual."""
    (exp, iat, pairs, name_head, name, sex, birth, kind, jurisdiction, number_head, number, count, specialties, issued,
     employer_head, employer, until, copy, purpose_head, purpose, issuing, sealing, serial, salt, digest, template,
     ) = match.groups()  # fmt: skip
    present = (specialties is not None) + (employer is not None) + (purpose is not None)
    if pairs[0] != 0xB0 + present:
        return None
    try:
        begins, rest = divmod(_int(iat) + UTC_OFFSET, SECONDS_PER_DAY)
        ends = None
        if exp is not None:
            ends, more = divmod(_int(exp) + UTC_OFFSET, SECONDS_PER_DAY)
            rest += more
            ends -= 1
        claims = Claims(
            name=_text(name_head, name),
            sex=SEXES[sex[0]],
            birth=_int(birth),
            kind=_int(kind),
            jurisdiction=_int(jurisdiction),
            registration_no=_text(number_head, number),
            specialties=() if specialties is None else _specialties(count[0] & 31, specialties),
            certificate_issued_on=_int(issued),
            employer=None if employer is None else _text(employer_head, employer),
            registered_until=_int(until),
            copy=COPIES[copy[0]],
            purpose=None if purpose is None else _text(purpose_head, purpose),
            issuing_body=_int(issuing),
            sealing_body=_int(sealing),
            serial=_int(serial),
            salt=salt,
            image_digest=digest,
            template=_int(template),
            copy_issued_on=begins,
            usage_until=ends,
        )
        check_numbers(claims)
    except (_UnusualError, ClaimsError, UnicodeDecodeError):
        return None
    return None if rest else claims


class _UnusualError(Exception):
    """To be read item by item."""


@lru_cache(maxsize=16_384)
def _int(item: bytes) -> int:
    value = int.from_bytes(item[1:]) if len(item) > 1 else item[0] & 31
    return -1 - value if item[0] & 32 else value


@lru_cache(maxsize=4_096)
def _text(head: bytes, data: bytes) -> str:
    if len(data) != (head[-1] if len(head) > 1 else head[0] & 31):
        raise _UnusualError
    text = data.decode("utf-8")
    if len(text) > TEXT_CHARS_MAX or PLAIN.fullmatch(text) is None:
        raise _UnusualError
    return text


@lru_cache(maxsize=4_096)
def _specialties(count: int, data: bytes) -> tuple[Specialty, ...]:
    items = []
    at = 0
    while at < len(data):
        numbers = []
        at += 1  # the array of three
        for _ in range(3):
            match = _NUMBERS.match(data, at)
            assert match is not None  # the whole payload matched
            numbers.append(_int(match[0]))
            at = match.end()
        items.append(Specialty(code=numbers[0], first_day=numbers[1], last_day=numbers[2]))
    if len(items) != count:
        raise _UnusualError
    return tuple(items)
