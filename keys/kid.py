"""Kid: the name of a public key, 8 bytes.

The first 8 bytes of SHA-256 over the DER SubjectPublicKeyInfo (docs/spec/credential.md, DESIGN §4).
A kid names a key, it proves nothing: two keys with one kid are refused when trust data is loaded.
"""

import hashlib
from typing import NewType

from mingzheng.keys.errors import BadKidError

Kid = NewType("Kid", bytes)

KID_BYTES = 8


def kid_of_spki(spki: bytes) -> Kid:
    """The kid of a key given its DER SubjectPublicKeyInfo (not checked here)."""
    return Kid(hashlib.sha256(spki).digest()[:KID_BYTES])


def parse_kid(data: bytes) -> Kid:
    """Take 8 bytes as a kid; raises BadKidError for any other length."""
    if len(data) != KID_BYTES:
        raise BadKidError(f"kid is {len(data)} bytes, expected {KID_BYTES}")
    return Kid(bytes(data))
