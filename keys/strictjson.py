"""Strict reading of JSON from outside: one value per key, integers only, every type and size checked.

Source: RFC 8259, narrowed as RFC 7493 (I-JSON) and further: UTF-8 without a byte order mark, no
duplicate key, no fraction or exponent, no −0, no NaN, no unknown and no missing key. Every fault is a
TrustMalformedError that says where.
"""

import json
import re
import unicodedata
from collections.abc import Sequence
from typing import Final, NoReturn, TypeAlias

from mingzheng.keys.errors import TrustMalformedError, TrustTooLargeError

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | bool | None"

MAX_DIGITS: Final = 19  # 2^63 − 1 has 19 digits
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
# Control, format (bidirectional, zero-width), surrogate, private-use and unassigned characters.
_REFUSED: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def load_json(data: bytes) -> Json:
    """Decode a document; raises TrustMalformedError. The caller caps the size."""
    try:
        text = bytes(data).decode("utf-8")
        value: Json = json.loads(
            text,
            object_pairs_hook=_no_duplicates,
            parse_int=_integer,
            parse_float=_no_float,
            parse_constant=_no_float,
        )
    except UnicodeDecodeError:
        raise TrustMalformedError("document is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise TrustMalformedError(f"document is not JSON: {error.msg} at offset {error.pos}") from None
    except RecursionError:
        raise TrustMalformedError("document is nested too deep") from None
    return value


def take_object(value: Json, where: str, keys: Sequence[str]) -> dict[str, Json]:
    """The object with exactly these keys."""
    if not isinstance(value, dict):
        raise TrustMalformedError(f"{where}: expected an object")
    if set(value) != set(keys):
        raise TrustMalformedError(f"{where}: expected exactly the keys {', '.join(keys)}")
    return value


def take_list(value: Json, where: str, *, most: int) -> list[Json]:
    """The list, of at most `most` items; raises TrustTooLargeError over that."""
    if not isinstance(value, list):
        raise TrustMalformedError(f"{where}: expected a list")
    if len(value) > most:
        raise TrustTooLargeError(f"{where}: {len(value)} items, cap is {most}")
    return value


def take_int(value: Json, where: str, *, low: int, high: int) -> int:
    """The integer in low … high; true and false are no integers."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TrustMalformedError(f"{where}: expected an integer")
    if not low <= value <= high:
        raise TrustMalformedError(f"{where}: expected {low} to {high}")
    return value


def take_string(value: Json, where: str, *, most: int) -> str:
    """The string of at most `most` characters, whatever they are."""
    if not isinstance(value, str):
        raise TrustMalformedError(f"{where}: expected a string")
    if len(value) > most:
        raise TrustMalformedError(f"{where}: {len(value)} characters, cap is {most}")
    return value


def take_text(value: Json, where: str, *, most: int) -> str:
    """A text people read: 1 … `most` characters, NFC, printable, not padded, one line."""
    text = take_string(value, where, most=most)
    if not text or text != text.strip():
        raise TrustMalformedError(f"{where}: empty or padded with white space")
    check_printable(text, where, allowed="")
    return text


def check_printable(text: str, where: str, *, allowed: str) -> None:
    """NFC, and no control, invisible, private-use or unassigned character but those in `allowed`."""
    if not unicodedata.is_normalized("NFC", text):
        raise TrustMalformedError(f"{where}: not NFC")
    if any(unicodedata.category(c) in _REFUSED and c not in allowed for c in text):
        raise TrustMalformedError(f"{where}: holds a character that does not print")


def take_date(value: Json, where: str) -> str:
    """A string of the form 2026-11-21; the caller checks that there is such a day."""
    text = take_string(value, where, most=10)
    if not _DATE.fullmatch(text):
        raise TrustMalformedError(f"{where}: expected a date like 2026-11-21")
    return text


def take_hex(value: Json, where: str, *, size: int) -> bytes:
    """Exactly `size` bytes in lower-case hexadecimal."""
    text = take_string(value, where, most=2 * size)
    if not re.fullmatch(f"[0-9a-f]{{{2 * size}}}", text):
        raise TrustMalformedError(f"{where}: expected {2 * size} lower-case hexadecimal digits")
    return bytes.fromhex(text)


def _no_duplicates(pairs: list[tuple[str, Json]]) -> Json:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise TrustMalformedError("an object holds one key twice")
    return result


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS + 1 or digits == "-0":
        raise TrustMalformedError("an integer is too long or −0")
    return int(digits)


def _no_float(text: str) -> NoReturn:
    raise TrustMalformedError("a number is not an integer")
