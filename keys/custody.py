"""Where private keys live: one encrypted PKCS#8 file per key, readable by its owner alone.

Sources: RFC 5958 (EncryptedPrivateKeyInfo), RFC 8018 (PBES2), RFC 7914 (scrypt), RFC 7468 (PEM). The
passphrase goes through scrypt with N = 2^14, r = 8, p = 5 (16 MiB, about 0.2 s), a setting that the
OWASP password storage guide counts as strong as 2^17, 8, 1 and that stays under OpenSSL's 32 MiB, so that
`openssl pkey` opens the file too; AES-256-CBC inside. The library's own PKCS#8 writer offers only PBKDF2 with
few rounds. Two lines before the PEM block name the key and carry the block's digest, which tells a
damaged file from a wrong passphrase. Left out: tokens (PKCS#11) and remote signers, which will be
other `Signer`s.
"""

import base64
import binascii
import getpass
import hashlib
import os
import re
import secrets
import stat
import textwrap
import warnings
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from mingzheng.keys.alg import ED25519_ALGS, Alg
from mingzheng.keys.errors import (
    BadPrivateKeyError,
    KeyFileAlgError,
    KeyFileDamagedError,
    KeyFileExistsError,
    KeyFileUnencryptedError,
    KeyFileUnreadableError,
    NotPrivateError,
    PassphraseError,
    WrongPassphraseError,
)
from mingzheng.keys.signer import PRIVATE_BYTES, InMemorySigner

MIN_PASSPHRASE_BYTES: Final = 12
MAX_PASSPHRASE_BYTES: Final = 1024
MAX_KEY_FILE_BYTES: Final = 16384
SCRYPT_N: Final = 2**14
SCRYPT_R: Final = 8
SCRYPT_P: Final = 5

_SALT_BYTES: Final = 16
_BLOCK: Final = 16
_KEY_BYTES: Final = 32
_BEGIN: Final = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
_END: Final = b"-----END ENCRYPTED PRIVATE KEY-----\n"
_HEADER: Final = re.compile(rb"mingzheng-key: ([0-9a-f]{16})\nsha256: ([0-9a-f]{64})\n")
_CLEAR: Final = re.compile(rb"-----BEGIN (?:EC |RSA |OPENSSH )?PRIVATE KEY-----")
_FLAGS: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
# Object identifiers in DER.
_OID_PBES2: Final = bytes.fromhex("06092a864886f70d01050d")
_OID_SCRYPT: Final = bytes.fromhex("06092b06010401da47040b")
_OID_AES256_CBC: Final = bytes.fromhex("060960864801650304012a")


def generate(alg: Alg) -> InMemorySigner:
    """A new key from the system's random numbers."""
    if alg in ED25519_ALGS:
        return InMemorySigner.from_private_bytes(alg, secrets.token_bytes(PRIVATE_BYTES))
    value = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
    return InMemorySigner.from_private_bytes(alg, value.to_bytes(PRIVATE_BYTES))


def save_private_key(path: Path, signer: InMemorySigner, passphrase: bytes) -> None:
    """Write the key, encrypted, to a new file of mode 0600 and make it durable.

    Raises PassphraseError under 12 bytes, KeyFileExistsError rather than overwrite anything (a link
    included), KeyFileUnreadableError if the system refuses; no half file stays behind.
    """
    if not MIN_PASSPHRASE_BYTES <= len(passphrase) <= MAX_PASSPHRASE_BYTES:
        raise PassphraseError(f"passphrase must have {MIN_PASSPHRASE_BYTES} to {MAX_PASSPHRASE_BYTES} bytes")
    block = _pem(_encrypt(_pkcs8(signer), passphrase))
    digest = hashlib.sha256(block).hexdigest()
    header = f"mingzheng-key: {signer.public_key.kid.hex()}\nsha256: {digest}\n"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
    except FileExistsError as error:
        raise KeyFileExistsError(f"{path.name}: exists and is not overwritten") from error
    except OSError as error:
        raise KeyFileUnreadableError(f"{path.name}: {error.strerror}") from error
    try:
        with open(descriptor, "wb") as file:
            file.write(header.encode("ascii") + block)
            file.flush()
            os.fsync(file.fileno())
        _sync_directory(path.absolute().parent)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise KeyFileUnreadableError(f"{path.name}: {error.strerror}") from error


def load_signer(path: Path, alg: Alg, passphrase: bytes) -> InMemorySigner:
    """Open an encrypted key file for use with `alg`.

    Raises NotPrivateError if others may read it, KeyFileUnencryptedError for a key in clear,
    KeyFileDamagedError, WrongPassphraseError, KeyFileAlgError. A file that other tools wrote carries no
    digest: there a damaged cipher text is reported as a wrong passphrase.
    """
    kid, block = _split(_read_private(path, cap=MAX_KEY_FILE_BYTES), path.name)
    if not passphrase:
        raise PassphraseError("passphrase is empty")
    try:
        key = load_pem_private_key(block, passphrase)
    except UnsupportedAlgorithm as error:
        raise KeyFileAlgError(f"{path.name}: encrypted or made by an unknown algorithm") from error
    except ValueError:
        raise WrongPassphraseError(f"{path.name}: the passphrase does not open this file") from None
    try:
        signer = InMemorySigner.from_private_bytes(alg, _private_bytes(key, alg))
    except BadPrivateKeyError as error:
        raise KeyFileAlgError(f"{path.name}: holds no {alg.name} key") from error
    if kid is not None and kid != signer.public_key.kid.hex():
        raise KeyFileDamagedError(f"{path.name}: holds another key than its first line says")
    return signer


def read_passphrase(
    *, prompt: str | None = None, file: Path | None = None, fd: int | None = None, confirm: bool = False
) -> bytes:
    """Read a passphrase from exactly one place: the terminal, a file of mode 0600, or a descriptor.

    One trailing newline is taken off; the rest must be one line of 1 to 1,024 bytes. `confirm` asks
    twice at the terminal. Raises PassphraseError, NotPrivateError, KeyFileUnreadableError.
    """
    if sum(source is not None for source in (prompt, file, fd)) != 1:
        raise PassphraseError("give the passphrase in exactly one way: prompt, file or descriptor")
    if file is not None:
        data = _read_private(file, cap=MAX_PASSPHRASE_BYTES + 1, follow=True)
    elif fd is not None:
        data = _read_descriptor(fd)
    else:
        assert prompt is not None
        data = _ask(prompt)
        if confirm and _ask(f"{prompt} (2/2) ") != data:
            raise PassphraseError("the two passphrases differ")
    data = data.removesuffix(b"\n")
    if not data or len(data) > MAX_PASSPHRASE_BYTES or b"\n" in data:
        raise PassphraseError(f"passphrase must be one line of 1 to {MAX_PASSPHRASE_BYTES} bytes")
    return data


def _ask(prompt: str) -> bytes:
    """Ask at the terminal; refuse rather than show what is typed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            return getpass.getpass(prompt).encode(errors="surrogateescape")
    except (EOFError, getpass.GetPassWarning):
        raise PassphraseError("no terminal to ask for the passphrase: use a file or descriptor") from None


def _read_descriptor(fd: int) -> bytes:
    data = b""
    try:
        while len(data) <= MAX_PASSPHRASE_BYTES + 1 and (more := os.read(fd, MAX_PASSPHRASE_BYTES)):
            data += more
    except OSError as error:
        raise KeyFileUnreadableError(f"passphrase descriptor: {error.strerror}") from error
    return data


def _read_private(path: Path, *, cap: int, follow: bool = False) -> bytes:
    """Read a secret file; the checks are made on the file opened, not on its name."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _FLAGS
    if follow:
        flags &= ~getattr(os, "O_NOFOLLOW", 0)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        raise KeyFileUnreadableError(f"{path.name}: {error.strerror}") from error
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise NotPrivateError(f"{path.name}: not a regular file")
        if os.name == "posix" and mode & 0o077:
            raise NotPrivateError(f"{path.name}: others may read it: chmod 600")
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(cap + 1)
    finally:
        os.close(descriptor)
    if len(data) > cap:
        raise KeyFileDamagedError(f"{path.name}: over {cap} bytes")
    return data


def _split(data: bytes, name: str) -> tuple[str | None, bytes]:
    """Kid of the header (None without one) and the PEM block, known to be whole as far as it tells."""
    if _CLEAR.search(data):
        raise KeyFileUnencryptedError(f"{name}: this private key is not encrypted")
    header, begin, rest = data.partition(_BEGIN)
    block = begin + rest
    if not begin or not rest.endswith(_END) or not _is_der(rest.removesuffix(_END)):
        raise KeyFileDamagedError(f"{name}: not one encrypted private key in PEM")
    if not header:
        return None, block
    match = _HEADER.fullmatch(header)
    if match is None or hashlib.sha256(block).hexdigest().encode() != match[2]:
        raise KeyFileDamagedError(f"{name}: not what was written")
    return match[1].decode("ascii"), block


def _is_der(encoded: bytes) -> bool:
    """Is it base64 of one DER SEQUENCE, no longer and no shorter?"""
    try:
        der = base64.b64decode(encoded.replace(b"\n", b""), validate=True)
    except binascii.Error:
        return False
    head = {0x81: 3, 0x82: 4}.get(der[1], 2) if len(der) > 1 else 2
    size = int.from_bytes(der[2:head]) if head > 2 else int.from_bytes(der[1:2])
    return der[:1] == b"\x30" and len(der) == head + size


def _private_bytes(key: PrivateKeyTypes, alg: Alg) -> bytes:
    """The 32 bytes of a key of `alg`; nothing (no key at all) for a key of another kind."""
    if alg in ED25519_ALGS and isinstance(key, Ed25519PrivateKey):
        return key.private_bytes_raw()
    is_p256 = isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)
    if alg not in ED25519_ALGS and is_p256:
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key.private_numbers().private_value.to_bytes(PRIVATE_BYTES)
    return b""


def _pkcs8(signer: InMemorySigner) -> bytes:
    raw = signer.private_bytes()
    key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey
    if signer.public_key.alg in ED25519_ALGS:
        key = Ed25519PrivateKey.from_private_bytes(raw)
    else:
        key = ec.derive_private_key(int.from_bytes(raw), ec.SECP256R1())
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def _encrypt(plain: bytes, passphrase: bytes) -> bytes:
    """EncryptedPrivateKeyInfo (RFC 5958 §3) with PBES2: scrypt, AES-256-CBC."""
    salt, iv = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_BLOCK)
    kdf = Scrypt(salt=salt, length=_KEY_BYTES, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P)
    encryptor = Cipher(algorithms.AES256(kdf.derive(passphrase)), modes.CBC(iv)).encryptor()
    padding = _BLOCK - len(plain) % _BLOCK
    secret = encryptor.update(plain + bytes([padding]) * padding) + encryptor.finalize()
    numbers = [_integer(n) for n in (SCRYPT_N, SCRYPT_R, SCRYPT_P, _KEY_BYTES)]
    key_derivation = _sequence(_OID_SCRYPT, _sequence(_octets(salt), *numbers))
    encryption = _sequence(_OID_AES256_CBC, _octets(iv))
    algorithm = _sequence(_OID_PBES2, _sequence(key_derivation, encryption))
    return _sequence(algorithm, _octets(secret))


def _pem(der: bytes) -> bytes:
    lines = textwrap.wrap(base64.b64encode(der).decode("ascii"), 64)
    return _BEGIN + "\n".join(lines).encode("ascii") + b"\n" + _END


def _sequence(*parts: bytes) -> bytes:
    return _tlv(0x30, b"".join(parts))


def _octets(data: bytes) -> bytes:
    return _tlv(0x04, data)


def _integer(number: int) -> bytes:
    return _tlv(0x02, number.to_bytes(number.bit_length() // 8 + 1))


def _tlv(tag: int, body: bytes) -> bytes:
    size = len(body)
    if size < 0x80:
        return bytes([tag, size]) + body
    octets = (size.bit_length() + 7) // 8
    return bytes([tag, 0x80 | octets]) + size.to_bytes(octets) + body


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
