"""SM3: 32-byte digests (GB/T 32905-2016, GM/T 0004-2012), through the `cryptography` library."""

from typing import Final

from cryptography.hazmat.primitives import hashes

DIGEST_BYTES: Final = 32
_SM3: Final = hashes.SM3()


class Sm3:
    """A digest in the making."""

    __slots__ = ("_hash",)

    def __init__(self, data: bytes = b"") -> None:
        self._hash = hashes.Hash(_SM3)
        self.update(data)

    def update(self, data: bytes) -> None:
        """Take in more bytes."""
        self._hash.update(data)

    def digest(self) -> bytes:
        """The 32 bytes over everything taken in so far; more may follow."""
        return self._hash.copy().finalize()


def sm3(data: bytes) -> bytes:
    """The 32-byte digest of `data`."""
    digest = hashes.Hash(_SM3)
    digest.update(data)
    return digest.finalize()
