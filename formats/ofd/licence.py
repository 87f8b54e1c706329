"""The identifier of an electronic licence and its check character.

Sources: GB/T 36904 (parts, root), ISO 7064 (hybrid system MOD 37,36). The check is over all parts behind the root,
full stops left out; with the root in it, no public identifier agrees. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Final

from mingzheng.formats.errors import FormatError

__all__ = ["ROOT", "LicenceId", "LicenceIdError", "check_character", "format_licence_id", "parse_licence_id"]

ROOT: Final = "1.2.156.3005.2"
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_VALUES: Final = {char: value for value, char in enumerate(_ALPHABET)}
_PARTS: Final = (
    ("type code", re.compile(r"[0-9A-Z]{21}", re.ASCII)),  # the definer's 18 characters and a number of 3
    ("issuer code", re.compile(r"[0-9A-Z]{6,18}", re.ASCII)),
    ("serial", re.compile(r"[0-9A-Z]{1,32}", re.ASCII)),
    ("version", re.compile(r"[0-9]{3}", re.ASCII)),
)


class LicenceIdError(FormatError):
    """Not an identifier of an electronic licence; `part` says which part of it is wrong."""

    code: ClassVar[str] = "licence_id.malformed"

    def __init__(self, part: str) -> None:
        super().__init__(f"电子证照标识不合格式或校验位不符 / licence identifier: {part}")
        self.part = part


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceId:
    """The parts of an identifier, check character left out."""

    type_code: str  # who defined the kind of licence, and its number there
    issuer_code: str
    serial: str
    version: int  # 1 to 999; rises while number and serial stay

    def __post_init__(self) -> None:
        parts = (self.type_code, self.issuer_code, self.serial, f"{self.version:03}")
        for (name, form), part in zip(_PARTS, parts, strict=True):
            if not form.fullmatch(part):
                raise LicenceIdError(name)
        if not self.version:
            raise LicenceIdError("version")


def format_licence_id(licence: LicenceId) -> str:
    """The identifier with root and check character."""
    body = f"{licence.type_code}.{licence.issuer_code}.{licence.serial}.{licence.version:03}"
    return f"{ROOT}.{body}.{check_character(body.replace('.', ''))}"


def parse_licence_id(text: str) -> LicenceId:
    """The parts of an identifier; LicenceIdError for another form, capital letters missing, or a wrong check."""
    if not text.startswith(ROOT + "."):
        raise LicenceIdError("root")
    parts = text[len(ROOT) + 1 :].split(".")
    if len(parts) != 5:
        raise LicenceIdError("parts")
    for (name, form), part in zip(_PARTS, parts, strict=False):
        if not form.fullmatch(part):
            raise LicenceIdError(name)
    licence = LicenceId(type_code=parts[0], issuer_code=parts[1], serial=parts[2], version=int(parts[3]))
    if format_licence_id(licence) != text:
        raise LicenceIdError("check character")
    return licence


def check_character(text: str) -> str:
    """The character that makes `text` whole under MOD 37,36 (ISO 7064 §9)."""
    product = 36
    for char in text:
        total = (product + _VALUES[char]) % 36 or 36
        product = total * 2 % 37
    return _ALPHABET[(37 - product) % 36]
