"""The seals of a workspace on disk: encrypted keys in `keys/`, certificates, electronic seals and pictures in `seals/`.

Source: docs/workspace.md ("Seals"). Public files are named by what they are and their SHA-256, written once and never
changed, so that mingzheng.toml names them before or after a kill alike. Keys are opened when first needed; one that
lives in a token stays there, and its PIN is asked for once a token.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from mingzheng.issuer.refusals import SealFileError
from mingzheng.issuer.sealconfig import MakerSpec, SealSpec, TokenSpec
from mingzheng.keys import custody
from mingzheng.keys.errors import KeysError, SealTokenError
from mingzheng.keys.sealkey import SealAlg, SealKey, SealPrivate, make_seal_key
from mingzheng.keys.sealtoken import TokenPlace, TokenRequestKey, TokenSealKey, open_request_key, open_token_key
from mingzheng.keys.x509 import Certificate, parse_certificate
from mingzheng.log.durable import make_dirs, publish

__all__ = ["SEALS", "FileSealVault", "SealStore", "SealVault", "no_pin"]

SEALS: Final = "seals"
KEYS: Final = "keys"
MAX_FILE_BYTES: Final = 8 * 1024 * 1024  # an electronic seal with its picture; usually 20 KB
_NAME_BYTES: Final = 10
_TEMPORARY: Final = ".new.tmp"  # one for all: what a killed command leaves, the next one takes


class SealVault(Protocol):
    """Makes, keeps and gives back the private keys of seals."""

    def generate(self, alg: SealAlg) -> SealPrivate:
        """A new key."""

    def save(self, path: Path, private: SealPrivate, passphrase: bytes) -> None:
        """Keep a key at `path`, which must not exist."""

    def load(self, path: Path, alg: SealAlg, passphrase: bytes) -> SealPrivate:
        """The key kept at `path`."""


class FileSealVault:
    """Encrypted PKCS#8 files (`keys.custody`)."""

    def generate(self, alg: SealAlg) -> SealPrivate:
        """See SealVault."""
        return custody.generate_seal_key(alg)

    def save(self, path: Path, private: SealPrivate, passphrase: bytes) -> None:
        """See SealVault."""
        custody.save_seal_key(path, private, passphrase)

    def load(self, path: Path, alg: SealAlg, passphrase: bytes) -> SealPrivate:
        """See SealVault."""
        return custody.load_seal_private(path, alg, passphrase)


class SealStore:
    """Files and keys of the seals of one open workspace."""

    def __init__(
        self, root: Path, vault: SealVault, passphrase: Callable[[], bytes], pin: Callable[[TokenSpec], str]
    ) -> None:
        self._root, self._vault, self._passphrase, self._pin = root, vault, passphrase, pin
        self._files: dict[str, bytes] = {}
        self._certificates: dict[str, Certificate] = {}
        self._privates: dict[str, SealPrivate] = {}
        self._tokens: dict[tuple[TokenSpec, str, tuple[str, ...]], TokenSealKey] = {}
        self._pins: dict[tuple[str, str], str] = {}

    def forget(self) -> None:
        """Drop every key and PIN."""
        self._privates.clear()
        self._tokens.clear()
        self._pins.clear()

    def loose_file(self, name: str) -> bytes:
        """A file of `seals/` that somebody put there under any name and may replace. Raises SealFileError."""
        try:
            with (self._root / SEALS / name).open("rb") as stream:
                data = stream.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            raise SealFileError(name, "在 seals/ 中读不到", "cannot be read in seals/") from error
        if len(data) > MAX_FILE_BYTES:
            raise SealFileError(name, "超过 8 MiB", "over 8 MiB")
        return data

    def file(self, name: str) -> bytes:
        """A public file of `seals/`. Raises SealFileError."""
        if name not in self._files:
            data = self.loose_file(name)
            if _digest(data) not in name:
                raise SealFileError(name, "与名称中的摘要不符，被改动过", "is not what its name says: it was changed")
            self._files[name] = data
        return self._files[name]

    def certificate(self, name: str) -> Certificate:
        """A certificate of `seals/`. Raises SealFileError."""
        if name not in self._certificates:
            try:
                self._certificates[name] = parse_certificate(self.file(name))
            except KeysError as error:
                raise SealFileError(name, "不是可用的证书", "is no certificate this program takes") from error
        return self._certificates[name]

    def keep(self, data: bytes, what: str, suffix: str) -> str:
        """Keep a public file, durable on return; returns its name."""
        name = f"{what}-{_digest(data)}.{suffix}"
        path = self._root / SEALS / name
        if not path.exists():
            make_dirs(path.parent)
            publish(path, data, temporary=path.with_name(_TEMPORARY))
        return name

    def new_key(self, alg: SealAlg, owner: str) -> tuple[SealPrivate, str]:
        """A new key, kept encrypted in `keys/`; the name of its file holds owner and digest of the public key."""
        private = self._vault.generate(alg)
        name = f"{owner}-{_digest(private.spki)}.pem"
        self._vault.save(self._root / KEYS / name, private, self._passphrase())
        self._privates[name] = private
        return private, name

    def throwaway(self, alg: SealAlg) -> SealPrivate:
        """A new key that is kept nowhere."""
        return self._vault.generate(alg)

    def private(self, name: str, alg: SealAlg) -> SealPrivate:
        """A private key of `keys/`. Raises a KeysError."""
        if name not in self._privates:
            self._privates[name] = self._vault.load(self._root / KEYS / name, alg, self._passphrase())
        return self._privates[name]

    def key(self, spec: SealSpec | MakerSpec) -> SealKey:
        """What signs with that seal's (or maker's) key. Raises SealFileError or a KeysError."""
        assert spec.certificate is not None  # SealSpec.ready, SealConfig.maker
        if isinstance(spec, SealSpec) and spec.token is not None:
            return self._token_key(spec.token, spec.certificate, spec.chain)
        assert spec.key is not None
        alg = spec.alg if isinstance(spec, SealSpec) else SealAlg.SM2
        private = self.private(spec.key, alg)
        chain = tuple(self.file(name) for name in spec.chain)
        try:
            return make_seal_key(private, certificate=self.file(spec.certificate), chain=chain)
        except KeysError as error:
            raise SealFileError(spec.certificate, "不是这把密钥的证书", "is no certificate of this key") from error

    def request_key(self, token: TokenSpec) -> TokenRequestKey | None:
        """A key in a token, for a request; None if its public key is not shown. Raises a KeysError."""
        return open_request_key(_place(token), pin=self._token_pin(token))

    def check_token(self, token: TokenSpec, certificate: bytes) -> None:
        """Let the token sign and the certificate verify. Raises a KeysError."""
        open_token_key(_place(token), pin=self._token_pin(token), certificate=certificate)

    def _token_key(self, token: TokenSpec, name: str, chain: tuple[str, ...]) -> TokenSealKey:
        found = self._tokens.get((token, name, chain))
        if found is None:
            certificates = tuple(self.file(above) for above in chain)
            data, pin = self.file(name), self._token_pin(token)
            found = open_token_key(_place(token), pin=pin, certificate=data, chain=certificates)
            self._tokens[token, name, chain] = found
        return found

    def _token_pin(self, token: TokenSpec) -> str:
        place = (token.module, token.label)
        if place not in self._pins:
            self._pins[place] = self._pin(token)
        return self._pins[place]


def no_pin(token: TokenSpec) -> str:
    """For an opener that has no way to ask. Raises SealTokenError."""
    raise SealTokenError("nobody to ask for the PIN")


def _place(token: TokenSpec) -> TokenPlace:
    return TokenPlace(library=Path(token.module), token=token.label, key=token.key, key_id=token.key_id)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).digest()[:_NAME_BYTES].hex()
