"""QR text: a credential's bytes as one decimal integer, optionally behind a listed prefix.

Source: docs/spec/qr.md. Digits because QR's numeric mode is the densest, every decoder returns
them unharmed, and they are safe in a URL fragment. No text is ever opened or fetched here: what
looks like an address of somebody else comes back escaped, for the report to show.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mingzheng.formats.cose import TAG_SIGN1
from mingzheng.formats.errors import NotOurFormatError, QrCapacityError
from mingzheng.formats.limits import QR_DIGITS_MAX, QR_PREFIX_MAX

_DIGITS: Final = re.compile(rf"[1-9][0-9]{{0,{QR_DIGITS_MAX - 1}}}")
# The form `keys.trust` demands of a listed prefix.
_PREFIX: Final = re.compile(
    r"https://[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[1-9][0-9]{0,4})?(?:/[A-Za-z0-9._~-]*)*#", re.ASCII
)
# What a scanner would offer to open: a scheme with "://", or a host name at the beginning.
_ADDRESS: Final = re.compile(r".*://|\s*[\w-]+(?:\.[\w-]+)*\.[^\W\d_]{2,}(?:[/?#:]|\s*$)", re.DOTALL)
_ADDRESS_SHOWN: Final = 200  # characters of an alien address shown in a report


@dataclass(frozen=True, slots=True, kw_only=True)
class QrText:
    """The bytes behind a QR text and the prefix they stood behind."""

    data: bytes
    prefix: str | None


def to_digits(data: bytes) -> str:
    """The QR digits of a credential's bytes, which begin 0xD2; QrCapacityError over 3,400 digits."""
    if data[:1] != bytes((TAG_SIGN1,)):
        raise NotOurFormatError("the bytes do not begin with COSE tag 18")
    if len(data) * 2 > QR_DIGITS_MAX:  # no credential is near: spare the conversion its square cost
        raise QrCapacityError(f"{len(data)} bytes do not fit {QR_DIGITS_MAX} digits")
    digits = str(int.from_bytes(data, "big"))
    if len(digits) > QR_DIGITS_MAX:
        raise QrCapacityError(f"{len(digits)} digits, at most {QR_DIGITS_MAX} allowed")
    return digits


def is_prefix(text: str) -> bool:
    """Whether `text` has the form of a prefix: `https://host/path#`, ASCII, at most 64 characters."""
    return len(text) <= QR_PREFIX_MAX and _PREFIX.fullmatch(text) is not None


def parse_qr_text(text: str, *, prefixes: Sequence[str]) -> QrText:
    """The bytes of a QR text; `prefixes` are those the trust data lists.

    Raises NotOurFormatError for every other text, with `lookalike` and the escaped `url` when
    it reads like an address, genuine digits behind it or not.
    """
    prefix = next((known for known in prefixes if is_prefix(known) and text.startswith(known)), None)
    digits = text if prefix is None else text[len(prefix) :]
    if _DIGITS.fullmatch(digits) is None:
        raise _not_ours(text)
    number = int(digits)
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    if data[0] != TAG_SIGN1:
        raise NotOurFormatError("the digits do not stand for a COSE_Sign1")
    return QrText(data=data, prefix=prefix)


def escape_address(text: str) -> str:
    """Printable ASCII as it is, everything else as `\\u{…}`, cut to 200 characters."""
    shown = "".join(
        char if " " < char <= "~" and char != "\\" else f"\\u{{{ord(char):x}}}" for char in text[:_ADDRESS_SHOWN]
    )
    return shown if len(text) <= _ADDRESS_SHOWN else shown + "…"


def _not_ours(text: str) -> NotOurFormatError:
    if _ADDRESS.match(text[:_ADDRESS_SHOWN]) is not None:
        return NotOurFormatError(
            "the code holds an address, not a certificate", lookalike=True, url=escape_address(text.strip())
        )
    return NotOurFormatError("the code does not hold the digits of a certificate")
