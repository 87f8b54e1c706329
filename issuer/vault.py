"""Where the private keys of a workspace are made and kept: one encrypted file a key.

Source: docs/workspace.md, Keys. `workspace` says which keys there are and asks for the passphrase; an operator's key is
under that person's own (`operators`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mingzheng.issuer.config import KeySpec
from mingzheng.keys import custody
from mingzheng.keys.alg import Alg
from mingzheng.keys.signer import InMemorySigner, Signer
from mingzheng.keys.trust import Role

__all__ = ["FileVault", "KeyPlace", "Vault", "make_keys"]


class Vault(Protocol):
    """Makes, keeps and gives back private keys."""

    def generate(self, alg: Alg) -> InMemorySigner:
        """A new key."""

    def save(self, path: Path, signer: InMemorySigner, passphrase: bytes) -> None:
        """Keep a key at `path`, which must not exist."""

    def load(self, path: Path, alg: Alg, passphrase: bytes) -> Signer:
        """The key kept at `path`."""


class FileVault:
    """Encrypted PKCS#8 files (`keys.custody`)."""

    def generate(self, alg: Alg) -> InMemorySigner:
        """See Vault."""
        return custody.generate(alg)

    def save(self, path: Path, signer: InMemorySigner, passphrase: bytes) -> None:
        """See Vault."""
        custody.save_private_key(path, signer, passphrase)

    def load(self, path: Path, alg: Alg, passphrase: bytes) -> Signer:
        """See Vault."""
        return custody.load_signer(path, alg, passphrase)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPlace:
    """Where new keys go, and under what; `operator`: the person whose they are, of operator keys."""

    directory: Path
    vault: Vault
    passphrase: bytes
    days: tuple[int, int]
    operator: str = ""


def make_keys(place: KeyPlace, roles: Sequence[tuple[Role, Alg]], issuer: int) -> list[tuple[KeySpec, InMemorySigner]]:
    """Make keys of an issuer (0: of a log) and keep their files; nothing names them yet."""
    found = []
    for role, alg in roles:
        signer = place.vault.generate(alg)
        owner = f"issuer{issuer}" if issuer else "log"
        file = f"{owner}-{role}-{signer.public_key.kid.hex()}.pem"
        place.vault.save(place.directory / file, signer, place.passphrase)
        spec = KeySpec(
            role=role,
            issuer=issuer,
            public_key=signer.public_key,
            file=file,
            valid_from=place.days[0],
            valid_until=place.days[1],
            operator=place.operator,
        )
        found.append((spec, signer))
    return found
