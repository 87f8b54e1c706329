"""A record as the ledger keeps it: the canonical record, the digests of its images, how often it was re-issued.

Source: docs/life-of-a-certificate.md. Pure. The purpose is left out: it belongs to a copy, not to the data. The digest
of the kept form decides what "changed data" is; a re-issue counts as a change even when every field is equal.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import Final

from mingzheng.formats import cbor
from mingzheng.issuer.record import ApplicationRecord, format_record, parse_stored
from mingzheng.issuer.refusals import LedgerCorruptError

__all__ = ["KeptRecord", "batch_key", "copy_key", "format_kept", "image_digest_of", "parse_kept", "request_key"]

_NO_IMAGE: Final = bytes(32)
_STORED: Final = "stored"  # stands for the path of an image that is in the workspace
_MAX_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRecord:
    """The data of a registration; images by SHA-256, None where there is none."""

    record: ApplicationRecord
    photo: bytes | None
    signature_image: bytes | None
    reissued: int  # times

    @property
    def digest(self) -> bytes:
        """SHA-256 of the kept form."""
        return hashlib.sha256(format_kept(self)).digest()

    def same_data(self, other: "KeptRecord") -> bool:
        """Whether only the count of re-issues differs."""
        return format_kept(replace(self, reissued=0)) == format_kept(replace(other, reissued=0))


def format_kept(kept: KeptRecord) -> bytes:
    """The one spelling: a deterministic CBOR array; holds the identity number."""
    record = format_record(replace(kept.record, purpose=None))
    return cbor.encode((record, kept.photo or b"", kept.signature_image or b"", kept.reissued))


def parse_kept(data: bytes) -> KeptRecord:
    """Read what `format_kept` wrote. Raises LedgerCorruptError."""
    value = cbor.decode(data, max_bytes=_MAX_BYTES, max_depth=2)
    if not isinstance(value, tuple) or len(value) != 4:
        raise LedgerCorruptError("a kept record")
    body, photo, signature, reissued = value
    if not (isinstance(body, bytes) and isinstance(photo, bytes) and isinstance(signature, bytes)):
        raise LedgerCorruptError("a kept record")
    parsed = parse_stored(b"[" + body + b"]")
    if parsed.faults or not isinstance(reissued, int):
        raise LedgerCorruptError("a kept record")
    record = replace(
        parsed.records[0],
        photo=_STORED if photo else None,
        signature_image=_STORED if signature else None,
    )
    return KeptRecord(record=record, photo=photo or None, signature_image=signature or None, reissued=reissued)


def image_digest_of(photo: bytes | None, signature_image: bytes | None) -> bytes:
    """The image digest of the claims from the images' own digests (docs/spec/credential.md, field 17)."""
    return hashlib.sha256((photo or _NO_IMAGE) + (signature_image or _NO_IMAGE)).digest()


def request_key(*, record: bytes, copy: int, purpose: str | None, issuer: int) -> bytes:
    """Names what was asked for, whatever the day."""
    return hashlib.sha256(cbor.encode((record, copy, purpose or "", issuer))).digest()


def batch_key(data: bytes, *, copy: int, purpose: str | None, issuer: int | None) -> bytes:
    """Names a command: the bytes of its records file and what it asks for, whatever the day."""
    file = hashlib.sha256(data).digest()
    return hashlib.sha256(cbor.encode((file, copy, purpose or "", issuer or 0))).digest()


def copy_key(*, request: bytes, day: int, ends: tuple[int, ...] = ()) -> bytes:
    """The idempotency key of a copy: (record, copy type, purpose, issuer) and the day of issue.

    `ends`: those that extensions gave it, if they moved any: a copy of the same day with other ends is another one.
    """
    return hashlib.sha256(cbor.encode((request, day, *ends))).digest()
