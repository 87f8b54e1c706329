"""Errors of the formats room: one base, one leaf per thing a caller would do differently.

Source: docs/spec/credential.md and docs/spec/qr.md. Every leaf has a stable `code`
("room.what"); `offset` is the byte position in the input where one is known. No message
carries text out of the input (a holder's name could be in it), with one exception: the
escaped address of a code that is not ours (`NotOurFormatError.url`), which the report shows
as inert text.
"""

from __future__ import annotations

from typing import ClassVar


class FormatError(Exception):
    """Base of every error this room raises on input."""

    code: ClassVar[str] = "format.error"

    def __init__(self, detail: str, *, offset: int | None = None) -> None:
        super().__init__(detail if offset is None else f"{detail} (byte {offset})")
        self.detail = detail
        self.offset = offset


# Strict CBOR


class CborError(FormatError):
    """The bytes are not in the one accepted spelling of strict CBOR."""

    code = "cbor.malformed"


class CborTooLongError(CborError):
    """More bytes than the limit of this use."""

    code = "cbor.too_long"


class CborTooDeepError(CborError):
    """Arrays and maps nested deeper than the limit of this use."""

    code = "cbor.too_deep"


class CborTruncatedError(CborError):
    """The item ends beyond the end of the input."""

    code = "cbor.truncated"


class CborTrailingError(CborError):
    """Bytes after the end of the item."""

    code = "cbor.trailing"


class CborNotCanonicalError(CborError):
    """A longer head than needed, or an indefinite length."""

    code = "cbor.not_canonical"


class CborKeyOrderError(CborError):
    """Map keys not strictly rising in the order of their encodings: unsorted or duplicate."""

    code = "cbor.key_order"


class CborTypeError(CborError):
    """A type outside the profile: float, boolean, undefined, simple value, tag, container as key."""

    code = "cbor.type"


class CborTextError(CborError):
    """A text string that is not UTF-8 or not in Normalization Form C."""

    code = "cbor.text"


# Text rule


class TextError(FormatError):
    """A text breaks the text rule of the credential."""

    code = "text.refused"


class TextLengthError(TextError):
    """A text is too short or too long; `cut` says how many characters must go (0: too short)."""

    code = "text.length"

    def __init__(self, *, min_chars: int, max_chars: int, got: int) -> None:
        self.min_chars, self.max_chars, self.got = min_chars, max_chars, got
        self.cut = max(0, got - max_chars)
        if self.cut:
            detail = (
                f"text has {got} characters, at most {max_chars} fit: cut {self.cut} / "
                f"共 {got} 个字符，最多 {max_chars} 个：请删减 {self.cut} 个字符"
            )
        else:
            detail = f"text has {got} characters, at least {min_chars} needed / 至少需要 {min_chars} 个字符"
        super().__init__(detail)


class TextCharacterError(TextError):
    """A character that must not occur; `index` is its place, `codepoint` its number."""

    code = "text.character"

    def __init__(self, *, index: int, codepoint: int) -> None:
        self.index, self.codepoint = index, codepoint
        super().__init__(
            f"character {index + 1} (U+{codepoint:04X}) is not allowed / "
            f"第 {index + 1} 个字符（U+{codepoint:04X}）不允许使用"
        )


class TextNotNormalizedError(TextError):
    """A text that is not in Normalization Form C."""

    code = "text.not_nfc"


# Claims


class ClaimsError(FormatError):
    """The claims map breaks docs/spec/credential.md; `field` names the claim ("" = the map)."""

    code = "claims.malformed"

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}" if field else detail)
        self.field = field


class ClaimTextError(ClaimsError):
    """A text claim breaks the text rule; `__cause__` is the TextError."""

    code = "claims.text"


class ClaimTooLongError(ClaimTextError):
    """A text claim is over its ceiling; `cut` says how many characters must go."""

    code = "claims.too_long"

    def __init__(self, field: str, detail: str, *, cut: int) -> None:
        super().__init__(field, detail)
        self.cut = cut


class UnknownVersionError(FormatError):
    """The claims are of another format version than this program knows: update the program."""

    code = "claims.unknown_version"

    def __init__(self, version: int) -> None:
        super().__init__(f"claims have format version {version}, this program reads version 1")
        self.version = version


# COSE and credential


class CoseError(FormatError):
    """Not a COSE_Sign1 of the profile."""

    code = "cose.malformed"


class CredentialError(FormatError):
    """Base of what can be wrong with a credential as a whole."""

    code = "credential.error"


class CredentialForgedError(CredentialError):
    """Algorithm, signature or claims are not what the issuer's key stands for; `__cause__` says which."""

    code = "credential.forged"


class CredentialKeyError(CredentialError):
    """The key record offered is not the credential's key or has another role: the caller's fault."""

    code = "credential.wrong_key"


# QR text


class NotOurFormatError(FormatError):
    """A text that is not a credential; `url` (escaped, never opened) when it is an address."""

    code = "qr.not_our_format"

    def __init__(self, detail: str, *, lookalike: bool = False, url: str | None = None) -> None:
        super().__init__(detail)
        self.lookalike = lookalike
        self.url = url


class QrCapacityError(FormatError):
    """More bytes than a printable QR code of this format may carry."""

    code = "qr.too_long"


# Files


class UnreadableError(FormatError):
    """The file is damaged or of no kind this program reads."""

    code = "file.unreadable"


class ResourceLimitError(FormatError):
    """The file asks for more than a limit allows; `what` names the limit."""

    code = "file.resource_limit"

    def __init__(self, what: str, *, limit: int, got: int | None = None) -> None:
        self.what, self.limit, self.got = what, limit, got
        super().__init__(f"{what}: limit {limit}" + ("" if got is None else f", file has {got}"))


class FileTooHungryError(ResourceLimitError):
    """Reading the file takes more memory than this process has."""

    code = "file.too_much_memory"


class TruncatedError(UnreadableError):
    """The end of the file is missing, as after a download that was broken off."""

    code = "file.truncated"


class TiffError(UnreadableError):
    """A TIFF picture, a container of a hundred codings: not read; a PDF, PNG or JPEG made of it is."""

    code = "file.tiff"


class PictureKindError(UnreadableError):
    """A picture of another kind than PNG or JPEG (HEIC, WebP, GIF, BMP): not read."""

    code = "file.picture_kind"
