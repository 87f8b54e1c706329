"""Verifier keys: the strings `name+hash+base64` by which logs and witnesses are known.

Source: C2SP signed-note, section on signature types; tlog-cosignature for the types 0x04 and 0x06. Types 0x01
(Ed25519), 0x04 (Ed25519 cosignature) and 0x06 (ML-DSA-44 cosignature) can be verified; keys of any other type are
read and kept, so that a policy naming them can be shown, and verify nothing.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass, field
from typing import Final

from mingzheng.keys import mldsa
from mingzheng.keys.alg import ED25519_ALGS, Alg, PublicKey, parse_public_key, spki_of_raw
from mingzheng.keys.errors import BadVkeyError, WeakKeyError

TYPE_ED25519: Final = 0x01
TYPE_ECDSA: Final = 0x02
TYPE_COSIGNATURE: Final = 0x04
TYPE_ML_DSA_44: Final = 0x06
COSIGNER_TYPES: Final = frozenset({TYPE_COSIGNATURE, TYPE_ML_DSA_44})
MAX_NAME_BYTES: Final = 255  # the length byte of tlog-cosignature's cosigner_name
MAX_VKEY_CHARS: Final = 4096  # an ML-DSA-44 key takes 1,752 base64 characters
HASH_BYTES: Final = 4
_ED25519_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """One named key of a log or witness. Building it checks it: a held value is well-formed.

    Raises BadVkeyError for a bad name, an empty key, a hash that is not the key's, or a weak point.
    """

    name: str
    key_hash: bytes
    sig_type: int
    key: bytes
    public_key: PublicKey | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_name(self.name)
        if not (0 <= self.sig_type <= 0xFF) or not self.key:
            raise BadVkeyError("verifier key needs a signature type byte and key bytes")
        if self.key_hash != key_hash(self.name, self.sig_type, self.key):
            raise BadVkeyError("verifier key's hash is not the one of its name and key")
        object.__setattr__(self, "public_key", _load(self.sig_type, self.key))


def check_name(name: str) -> None:
    """Check a key name: non-empty UTF-8 without space, plus or control character, ≤ 255 bytes.

    Raises BadVkeyError.
    """
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise BadVkeyError("key name is not UTF-8") from None
    if not 0 < size <= MAX_NAME_BYTES:
        raise BadVkeyError(f"key name is {size} bytes, expected 1 to {MAX_NAME_BYTES}")
    if any(c == "+" or c.isspace() or c < " " or c == "\x7f" for c in name):
        raise BadVkeyError("key name holds a space, a plus or a control character")


def key_hash(name: str, sig_type: int, key: bytes) -> bytes:
    """4 bytes: SHA-256(name ‖ newline ‖ type ‖ key), for ECDSA (0x02) SHA-256 of the key in DER."""
    data = key if sig_type == TYPE_ECDSA else name.encode() + b"\n" + bytes([sig_type]) + key
    return hashlib.sha256(data).digest()[:HASH_BYTES]


def parse_vkey(text: str) -> VerifierKey:
    """Read `name+hash+base64(type ‖ key)`; one accepted spelling. Raises BadVkeyError."""
    if len(text) > MAX_VKEY_CHARS:
        raise BadVkeyError(f"verifier key is longer than {MAX_VKEY_CHARS} characters")
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise BadVkeyError("verifier key is not name+hash+base64")
    name, hash_hex, encoded = parts
    data = decode_base64(encoded)
    if data is None or not data:
        raise BadVkeyError("verifier key's last part is not base64 of type and key")
    check_name(name)
    if hash_hex != key_hash(name, data[0], data[1:]).hex():
        raise BadVkeyError("verifier key's hash is not the one of its name and key")
    return VerifierKey(name=name, key_hash=bytes.fromhex(hash_hex), sig_type=data[0], key=data[1:])


def format_vkey(vkey: VerifierKey) -> str:
    """The string `parse_vkey` reads."""
    encoded = base64.b64encode(bytes([vkey.sig_type]) + vkey.key).decode("ascii")
    return f"{vkey.name}+{vkey.key_hash.hex()}+{encoded}"


def vkey_for(name: str, public_key: PublicKey, *, sig_type: int = TYPE_ED25519) -> VerifierKey:
    """The verifier key of an Ed25519 key, as note signer (0x01) or cosigner (0x04), or of an ML-DSA-44 cosigner (0x06).

    Raises BadVkeyError for a bad name, another type or another algorithm.
    """
    if sig_type not in _types_of(public_key.alg):
        raise BadVkeyError("Ed25519 keys sign and cosign notes, ML-DSA-44 keys cosign them, no other key does")
    check_name(name)
    raw = public_key.raw()
    return VerifierKey(name=name, key_hash=key_hash(name, sig_type, raw), sig_type=sig_type, key=raw)


def cosigner_vkey(name: str, public_key: PublicKey) -> VerifierKey:
    """The verifier key under which a witness's key cosigns; raises BadVkeyError for a key that cannot."""
    sig_type = TYPE_ML_DSA_44 if public_key.alg is Alg.ML_DSA_44 else TYPE_COSIGNATURE
    return vkey_for(name, public_key, sig_type=sig_type)


def decode_base64(text: str) -> bytes | None:
    """Standard base64 in its one canonical spelling (RFC 4648 §4), or None."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data).decode("ascii") == text else None


def _types_of(alg: Alg) -> tuple[int, ...]:
    if alg in ED25519_ALGS:
        return (TYPE_ED25519, TYPE_COSIGNATURE)
    return (TYPE_ML_DSA_44,) if alg is Alg.ML_DSA_44 else ()


def _load(sig_type: int, key: bytes) -> PublicKey | None:
    if sig_type == TYPE_ML_DSA_44:
        if len(key) != mldsa.PUBLIC_BYTES:
            raise BadVkeyError(f"ML-DSA-44 key is {len(key)} bytes, expected {mldsa.PUBLIC_BYTES}")
        return parse_public_key(spki_of_raw(key, alg=Alg.ML_DSA_44), alg=Alg.ML_DSA_44)
    if sig_type not in (TYPE_ED25519, TYPE_COSIGNATURE):
        return None
    if len(key) != _ED25519_BYTES:
        raise BadVkeyError(f"Ed25519 key is {len(key)} bytes, expected {_ED25519_BYTES}")
    try:
        return parse_public_key(spki_of_raw(key, alg=Alg.ED25519), alg=Alg.ED25519)
    except WeakKeyError as error:
        raise BadVkeyError(f"verifier key is weak: {error}") from error
