"""Where private keys live: one encrypted PKCS#8 file per key, readable by its owner alone.

Sources: RFC 5958 (EncryptedPrivateKeyInfo), RFC 8018 (PBES2), RFC 7914 (scrypt), RFC 7468 (PEM). The
passphrase goes through scrypt with N = 2^14, r = 8, p = 5 (16 MiB, about 0.2 s), a setting that the
OWASP password storage guide counts as strong as 2^17, 8, 1 and that stays under OpenSSL's 32 MiB, so that
`openssl pkey` opens the file too; AES-256-CBC inside (`pkcs8`): the library's own PKCS#8 writer offers only
PBKDF2 with few rounds, and knows no SM2. An ML-DSA-44 key is kept as its seed (RFC 9881 §6). Two lines before
the PEM block name the key and carry the block's digest, which tells a damaged file from a wrong passphrase. Keys
of credentials and of seals alike. Left out: tokens (PKCS#11) and remote signers, which will be other `Signer`s.
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
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from mingzheng.keys import mldsa
from mingzheng.keys.alg import ED25519_ALGS, Alg
from mingzheng.keys.durable import sync_directory
from mingzheng.keys.errors import (
    BadPrivateKeyError,
    DerError,
    KeyFileAlgError,
    KeyFileDamagedError,
    KeyFileExistsError,
    KeyFileUnencryptedError,
    KeyFileUnreadableError,
    NotPrivateError,
    PassphraseError,
    Pkcs8AlgorithmError,
    Pkcs8PassphraseError,
    WrongPassphraseError,
)
from mingzheng.keys.kid import kid_of_spki
from mingzheng.keys.pkcs8 import (
    IV_BYTES,
    SALT_BYTES,
    decrypt_private_info,
    encrypt_private_info,
    read_sm2_private_info,
    sm2_private_info,
)
from mingzheng.keys.sealkey import (
    MemorySealKey,
    SealAlg,
    SealPrivate,
    make_seal_key,
    parse_seal_private,
    sm2_seal_private,
)
from mingzheng.keys.signer import PRIVATE_BYTES, InMemorySigner
from mingzheng.keys.sm2backend import generate_scalar
from mingzheng.keys.x509 import CertAlg, parse_certificate

MIN_PASSPHRASE_BYTES: Final = 12
MAX_PASSPHRASE_BYTES: Final = 1024
MAX_KEY_FILE_BYTES: Final = 16384
SCRYPT_N: Final = 2**14
SCRYPT_R: Final = 8
SCRYPT_P: Final = 5
RSA_BITS: Final = 2048

_BEGIN: Final = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
_END: Final = b"-----END ENCRYPTED PRIVATE KEY-----\n"
_HEADER: Final = re.compile(rb"mingzheng-key: ([0-9a-f]{16})\nsha256: ([0-9a-f]{64})\n")
_CLEAR: Final = re.compile(rb"-----BEGIN (?:EC |RSA |OPENSSH )?PRIVATE KEY-----")
_FLAGS: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_READERS: Final = {Alg.SM2: read_sm2_private_info, Alg.ML_DSA_44: mldsa.read_private_info}  # ours, not the library's
_SEAL_ALGS: Final = {CertAlg.SM2: SealAlg.SM2, CertAlg.P256: SealAlg.P256, CertAlg.RSA: SealAlg.RSA}


def generate(alg: Alg) -> InMemorySigner:
    """A new key from the system's random numbers."""
    if alg in ED25519_ALGS or alg is Alg.ML_DSA_44:
        return InMemorySigner.from_private_bytes(alg, secrets.token_bytes(PRIVATE_BYTES))
    if alg is Alg.SM2:
        return InMemorySigner.from_private_bytes(alg, generate_scalar())
    value = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
    return InMemorySigner.from_private_bytes(alg, value.to_bytes(PRIVATE_BYTES))


def generate_seal_key(alg: SealAlg) -> SealPrivate:
    """A new private key for seals from the system's random numbers; RSA has 2,048 bits.

    Raises Sm2UnavailableError for SM2 where nothing can sign with it.
    """
    if alg is SealAlg.SM2:
        return sm2_seal_private(generate_scalar())
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    if alg is SealAlg.RSA:
        key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    else:
        key = ec.generate_private_key(ec.SECP256R1())
    plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return parse_seal_private(plain, alg=alg)


def save_private_key(path: Path, signer: InMemorySigner, passphrase: bytes) -> None:
    """Write the key, encrypted, to a new file of mode 0600 and make it durable.

    Raises PassphraseError under 12 bytes, KeyFileExistsError rather than overwrite anything (a link
    included), KeyFileUnreadableError if the system refuses; no half file stays behind.
    """
    _write_key(path, signer.public_key.kid.hex(), _pkcs8(signer), passphrase)


def save_seal_key(path: Path, private: SealPrivate, passphrase: bytes) -> None:
    """The same for a seal's private key; the certificate stays apart. Raises what `save_private_key` raises."""
    _write_key(path, kid_of_spki(private.spki).hex(), private.private_bytes(), passphrase)


def _write_key(path: Path, kid: str, pkcs8: bytes, passphrase: bytes) -> None:
    if not MIN_PASSPHRASE_BYTES <= len(passphrase) <= MAX_PASSPHRASE_BYTES:
        raise PassphraseError(f"passphrase must have {MIN_PASSPHRASE_BYTES} to {MAX_PASSPHRASE_BYTES} bytes")
    block = _pem(_encrypt(pkcs8, passphrase))
    digest = hashlib.sha256(block).hexdigest()
    header = f"mingzheng-key: {kid}\nsha256: {digest}\n"
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
        sync_directory(path.absolute().parent)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise KeyFileUnreadableError(f"{path.name}: {error.strerror}") from error


def load_signer(path: Path, alg: Alg, passphrase: bytes) -> InMemorySigner:
    """Open an encrypted key file for use with `alg`.

    Raises NotPrivateError if others may read it, KeyFileUnencryptedError for a key in clear,
    KeyFileDamagedError, WrongPassphraseError, KeyFileAlgError. A file that other tools wrote carries no
    digest: there a damaged cipher text is reported as a wrong passphrase.
    """
    kid, block = _read_block(path, passphrase)
    if alg in _READERS:
        raw = _scalar_or_seed(_open_pkcs8(block, path.name, passphrase), alg, path.name)
    else:
        raw = _private_bytes(_open_pem(block, path.name, passphrase), alg)
    try:
        signer = InMemorySigner.from_private_bytes(alg, raw)
    except BadPrivateKeyError as error:
        raise KeyFileAlgError(f"{path.name}: holds no {alg.name} key") from error
    _check_kid(kid, signer.public_key.spki, path.name)
    return signer


def load_seal_private(path: Path, alg: SealAlg, passphrase: bytes) -> SealPrivate:
    """Open an encrypted file of a seal's private key, before there is a certificate. Raises as `load_signer`."""
    kid, block = _read_block(path, passphrase)
    if alg is SealAlg.SM2:
        plain = _open_pkcs8(block, path.name, passphrase)
    else:
        key = _open_pem(block, path.name, passphrase)
        plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    try:
        private = parse_seal_private(plain, alg=alg)
    except BadPrivateKeyError as error:
        raise KeyFileAlgError(f"{path.name}: holds no key for {alg}") from error
    _check_kid(kid, private.spki, path.name)
    return private


def load_seal_key(path: Path, certificate_der: bytes, chain: tuple[bytes, ...], passphrase: bytes) -> MemorySealKey:
    """Open a seal's key file for use with its certificate, which says the algorithm.

    Raises what `load_seal_private` and `parse_certificate` raise, KeyFileAlgError for a certificate of a key that signs
    no seals (P-384), SealKeyMismatchError if the two do not belong together.
    """
    alg = _SEAL_ALGS.get(parse_certificate(certificate_der).key_alg)
    if alg is None:
        raise KeyFileAlgError(f"{path.name}: seals are signed with SM2, P-256 or RSA")
    private = load_seal_private(path, alg, passphrase)
    return make_seal_key(private, certificate=certificate_der, chain=chain)


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
        if confirm and _ask(f"再输入一次 once more: {prompt}") != data:
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
    except OverflowError:
        raise KeyFileUnreadableError("passphrase descriptor: no such descriptor") from None
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


def _read_block(path: Path, passphrase: bytes) -> tuple[str | None, bytes]:
    """Kid and PEM block of a key file that is private, encrypted and whole."""
    kid, block = _split(_read_private(path, cap=MAX_KEY_FILE_BYTES), path.name)
    if not passphrase:
        raise PassphraseError("passphrase is empty")
    return kid, block


def _open_pem(block: bytes, name: str, passphrase: bytes) -> PrivateKeyTypes:
    """The key in a PEM block, whatever tool encrypted it; not SM2."""
    try:
        return load_pem_private_key(block, passphrase)
    except UnsupportedAlgorithm as error:
        raise KeyFileAlgError(f"{name}: encrypted or made by an unknown algorithm") from error
    except ValueError:
        raise WrongPassphraseError(
            f"{name}: the passphrase does not open this file: check whose it is and try again"
        ) from None


def _open_pkcs8(block: bytes, name: str, passphrase: bytes) -> bytes:
    """The PrivateKeyInfo in a PEM block, for keys that the library does not load: SM2, and older ones ML-DSA-44."""
    encoded = block.removeprefix(_BEGIN).removesuffix(_END).replace(b"\n", b"")
    try:
        return decrypt_private_info(base64.b64decode(encoded, validate=True), passphrase)
    except Pkcs8PassphraseError:
        raise WrongPassphraseError(
            f"{name}: the passphrase does not open this file: check whose it is and try again"
        ) from None
    except (Pkcs8AlgorithmError, DerError) as error:
        raise KeyFileAlgError(f"{name}: encrypted or made by an unknown algorithm") from error


def _scalar_or_seed(plain: bytes, alg: Alg, name: str) -> bytes:
    try:
        return _READERS[alg](plain)
    except BadPrivateKeyError as error:
        raise KeyFileAlgError(f"{name}: holds no {alg.name} key") from error


def _check_kid(kid: str | None, spki: bytes, name: str) -> None:
    if kid is not None and kid != kid_of_spki(spki).hex():
        raise KeyFileDamagedError(f"{name}: holds another key than its first line says")


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
    if signer.public_key.alg is Alg.SM2:
        return sm2_private_info(raw, signer.public_key.raw())
    if signer.public_key.alg is Alg.ML_DSA_44:
        return mldsa.private_info(raw)
    key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey
    if signer.public_key.alg in ED25519_ALGS:
        key = Ed25519PrivateKey.from_private_bytes(raw)
    else:
        key = ec.derive_private_key(int.from_bytes(raw), ec.SECP256R1())
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def _encrypt(plain: bytes, passphrase: bytes) -> bytes:
    salt, iv = secrets.token_bytes(SALT_BYTES), secrets.token_bytes(IV_BYTES)
    return encrypt_private_info(plain, passphrase, salt=salt, iv=iv, cost=(SCRYPT_N, SCRYPT_R, SCRYPT_P))


def _pem(der: bytes) -> bytes:
    lines = textwrap.wrap(base64.b64encode(der).decode("ascii"), 64)
    return _BEGIN + "\n".join(lines).encode("ascii") + b"\n" + _END
