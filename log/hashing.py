"""RFC 9162 section 2.1.1 hashing with SHA-256: leaves and nodes are domain-separated by one byte."""

from hashlib import sha256
from typing import NewType

from mingzheng.log.errors import HashLengthError

Hash = NewType("Hash", bytes)
"""32 bytes: a leaf hash, a node hash or a root."""

HASH_BYTES = 32

EMPTY_ROOT = Hash(sha256(b"").digest())
"""Root of the tree without leaves: SHA-256 of nothing (RFC 9162 section 2.1.1)."""


def leaf_hash(entry: bytes) -> Hash:
    """SHA-256(0x00 || entry) (RFC 9162 section 2.1.1)."""
    return Hash(sha256(b"\x00" + entry).digest())


def node_hash(left: Hash, right: Hash) -> Hash:
    """SHA-256(0x01 || left || right) (RFC 9162 section 2.1.1)."""
    return Hash(sha256(b"\x01" + left + right).digest())


def parse_hash(data: bytes) -> Hash:
    """Take 32 outside bytes as a hash; raises HashLengthError for any other length."""
    if len(data) != HASH_BYTES:
        raise HashLengthError(got=len(data))
    return Hash(data)
