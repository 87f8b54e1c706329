"""Where the order of serials and the salts of copies come from: the system; a seeded source in tests."""

import secrets
from typing import Final, Protocol

__all__ = ["SALT_BYTES", "Randomness", "SystemRandomness"]

SALT_BYTES: Final = 16


class Randomness(Protocol):
    """Where serial order and salts come from."""

    def shuffle(self, items: list[int]) -> None:
        """Put the items into random order, in place."""

    def salt(self) -> bytes:
        """16 random bytes."""


class SystemRandomness:
    """The operating system's generator."""

    def shuffle(self, items: list[int]) -> None:
        """As `random.SystemRandom.shuffle`."""
        secrets.SystemRandom().shuffle(items)

    def salt(self) -> bytes:
        """As `secrets.token_bytes`."""
        return secrets.token_bytes(SALT_BYTES)
