"""Signed notes: a text and the lines of those who signed it.

Source: C2SP signed-note; tlog-cosignature for lines of type 0x04 (Ed25519) and 0x06 (ML-DSA-44). The rule for
a line of a known key that fails is the strict one: the whole note is refused. A key's second line must verify as
well, and counts once. Left out: ECDSA lines, which stay unverified.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mingzheng.keys.alg import verify
from mingzheng.keys.cosignature import MAX_TIMESTAMP, TIME_BYTES, checkpoint_message, cosignature_message
from mingzheng.keys.errors import (
    BadVkeyError,
    NoteKeysAmbiguousError,
    NoteMalformedError,
    NoteSignatureInvalidError,
    NoteSignerError,
    NoteTooLargeError,
    NoteUntrustedError,
    SignatureInvalidError,
)
from mingzheng.keys.signer import Signer
from mingzheng.keys.vkey import (
    COSIGNER_TYPES,
    HASH_BYTES,
    TYPE_ML_DSA_44,
    VerifierKey,
    check_name,
    cosigner_vkey,
    decode_base64,
    vkey_for,
)

MAX_NOTE_BYTES: Final = 1 << 20
MAX_SIGNATURES: Final = 100  # the specification asks for at least 16; Go's reader takes 100
_PREFIX: Final = "\u2014 "


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedSignature:
    """A signature line as it stands: nothing is known about it."""

    name: str
    key_hash: bytes
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedSignature:
    """A good signature of a known key; `timestamp` (unix seconds) only on cosignatures."""

    vkey: VerifierKey
    signature: bytes
    timestamp: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedNote:
    """A well-formed note of which no signature was checked."""

    text: str
    signatures: tuple[UnverifiedSignature, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A note at least one known key has signed. `text` ends in a newline.

    `verified`: one per known key, in the note's order. `unverified`: lines of unknown keys.
    """

    text: str
    verified: tuple[VerifiedSignature, ...]
    unverified: tuple[UnverifiedSignature, ...]


def parse_note(raw: bytes) -> UnverifiedNote:
    """Read a note's form; nothing in it may be believed yet.

    Raises NoteMalformedError, NoteTooLargeError over the caps.
    """
    if len(raw) > MAX_NOTE_BYTES:
        raise NoteTooLargeError(f"note is {len(raw)} bytes, cap is {MAX_NOTE_BYTES}")
    try:
        whole = bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise NoteMalformedError("note is not UTF-8") from None
    _check_characters(whole)
    split = whole.rfind("\n\n")
    if split < 0 or not whole.endswith("\n") or split + 2 == len(whole):
        raise NoteMalformedError("note is not text, blank line and signature lines")
    lines = whole[split + 2 : -1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteTooLargeError(f"note has {len(lines)} signature lines, cap is {MAX_SIGNATURES}")
    return UnverifiedNote(text=whole[: split + 1], signatures=tuple(map(_parse_line, lines)))


def open_note(raw: bytes, vkeys: Sequence[VerifierKey]) -> Note:
    """Read a note and verify every line of the known `vkeys`.

    Raises NoteMalformedError, NoteSignatureInvalidError if a line of a known key fails,
    NoteUntrustedError if no known key signed, NoteKeysAmbiguousError if two of `vkeys` collide.
    """
    known = _index(vkeys)
    note = parse_note(raw)
    verified: dict[VerifierKey, VerifiedSignature] = {}
    unverified: list[UnverifiedSignature] = []
    for line in note.signatures:
        vkey = known.get((line.name, line.key_hash))
        if vkey is None:
            unverified.append(line)
        else:
            verified.setdefault(vkey, _verify_line(vkey, line, note.text))
    if not verified:
        raise NoteUntrustedError("no known key signed this note")
    return Note(text=note.text, verified=tuple(verified.values()), unverified=tuple(unverified))


def sign_note(text: str, signers: Sequence[tuple[str, Signer]]) -> bytes:
    """Sign `text` (must end in a newline) with Ed25519 keys, one line each, in the order given.

    Raises NoteMalformedError for a text or number of signers a reader would refuse, NoteSignerError
    for a signer that is not Ed25519 or whose name is bad.
    """
    lines = [_sign_line(name, signer, text) for name, signer in signers]
    return join_note(text, lines)


def join_note(text: str, lines: Sequence[str]) -> bytes:
    """Put text and finished signature lines together; the result is read back before it is returned."""
    try:
        raw = f"{text}\n{''.join(lines)}".encode()
    except UnicodeEncodeError:
        raise NoteMalformedError("note is not UTF-8") from None
    if parse_note(raw).text != text:
        raise NoteMalformedError("note text must end in a newline")
    return raw


def format_line(name: str, key_hash: bytes, signature: bytes) -> str:
    """One signature line with its newline."""
    return f"{_PREFIX}{name} {base64.b64encode(key_hash + signature).decode('ascii')}\n"


def cosign_line(name: str, signer: Signer, *, text: str, timestamp: int) -> str:
    """A witness's line over a checkpoint's text (tlog-cosignature, by the signer's algorithm).

    Raises NoteSignerError for a key that cosigns nothing or a time out of range, NoteMalformedError for an ML-DSA-44
    key and a text that is no checkpoint.
    """
    vkey = _vkey_of(name, signer, cosign=True)
    if not 0 <= timestamp <= MAX_TIMESTAMP:
        raise NoteSignerError("cosignature time is out of range")
    signature = signer.sign(_cosigned(vkey, text, timestamp))
    return format_line(name, vkey.key_hash, timestamp.to_bytes(TIME_BYTES) + signature)


def _cosigned(vkey: VerifierKey, text: str, timestamp: int) -> bytes:
    if vkey.sig_type == TYPE_ML_DSA_44:
        return checkpoint_message(text, cosigner=vkey.name, timestamp=timestamp)
    return cosignature_message(text, timestamp)


def _check_characters(whole: str) -> None:
    if any(c < " " and c != "\n" for c in whole):
        raise NoteMalformedError("note holds a control character")


def _parse_line(line: str) -> UnverifiedSignature:
    if not line.startswith(_PREFIX):
        raise NoteMalformedError("signature line does not begin with em dash and space")
    name, _, encoded = line[len(_PREFIX) :].partition(" ")
    try:
        check_name(name)
    except BadVkeyError as error:
        raise NoteMalformedError(f"signature line: {error}") from error
    data = decode_base64(encoded)
    if data is None or len(data) <= HASH_BYTES:
        raise NoteMalformedError("signature line does not end in base64 of key hash and signature")
    return UnverifiedSignature(name=name, key_hash=data[:HASH_BYTES], signature=data[HASH_BYTES:])


def _index(vkeys: Sequence[VerifierKey]) -> Mapping[tuple[str, bytes], VerifierKey]:
    known: dict[tuple[str, bytes], VerifierKey] = {}
    for vkey in vkeys:
        if known.setdefault((vkey.name, vkey.key_hash), vkey) != vkey:
            raise NoteKeysAmbiguousError(f"two known keys share the name {vkey.name!r} and its key hash")
    return {place: vkey for place, vkey in known.items() if vkey.public_key is not None}


def _verify_line(vkey: VerifierKey, line: UnverifiedSignature, text: str) -> VerifiedSignature:
    assert vkey.public_key is not None
    signature, timestamp = line.signature, None
    try:
        if vkey.sig_type in COSIGNER_TYPES:
            timestamp, signature = int.from_bytes(signature[:TIME_BYTES]), signature[TIME_BYTES:]
            message = _cosigned(vkey, text, timestamp)
        else:
            message = text.encode()
        verify(vkey.public_key, signature=signature, message=message)
    except (SignatureInvalidError, NoteMalformedError) as error:
        raise NoteSignatureInvalidError(name=vkey.name) from error
    if timestamp is not None and timestamp > MAX_TIMESTAMP:
        raise NoteSignatureInvalidError(name=vkey.name)
    return VerifiedSignature(vkey=vkey, signature=line.signature, timestamp=timestamp)


def _vkey_of(name: str, signer: Signer, *, cosign: bool) -> VerifierKey:
    try:
        return cosigner_vkey(name, signer.public_key) if cosign else vkey_for(name, signer.public_key)
    except BadVkeyError as error:
        raise NoteSignerError(f"this key cannot sign notes under this name: {error}") from error


def _sign_line(name: str, signer: Signer, text: str) -> str:
    vkey = _vkey_of(name, signer, cosign=False)
    try:
        message = text.encode()
    except UnicodeEncodeError:
        raise NoteMalformedError("note is not UTF-8") from None
    return format_line(name, vkey.key_hash, signer.sign(message))
