"""PKCS #8: encrypted private keys, and the SM2 private key the `cryptography` library does not know.

Source: RFC 5958 (PrivateKeyInfo, EncryptedPrivateKeyInfo), RFC 8018 (PBES2, PBKDF2), RFC 7914 §7 (scrypt), RFC 5915
(ECPrivateKey), GM/T 0009-2012 §7 (SM2 keys). Written with scrypt and AES-256-CBC; read also with PBKDF2 and shorter
AES keys, which is what `openssl pkcs8 -topk8` writes. Salt and initial vector come from the caller. Left out: PBES1 and
every cipher older than AES.
"""

from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from mingzheng.keys import der
from mingzheng.keys.der import Node
from mingzheng.keys.errors import BadPrivateKeyError, DerError, Pkcs8AlgorithmError, Pkcs8PassphraseError
from mingzheng.keys.sm2 import OID_EC_PUBLIC_KEY, OID_SM2_CURVE, PRIVATE_BYTES, check_scalar

SALT_BYTES: Final = 16
IV_BYTES: Final = 16
MAX_BYTES: Final = 16384

OID_PBES2: Final = "1.2.840.113549.1.5.13"
OID_PBKDF2: Final = "1.2.840.113549.1.5.12"
OID_SCRYPT: Final = "1.3.6.1.4.1.11591.4.11"
_AES_BYTES: Final = {"2.16.840.1.101.3.4.1.2": 16, "2.16.840.1.101.3.4.1.22": 24, "2.16.840.1.101.3.4.1.42": 32}
_OID_AES256: Final = "2.16.840.1.101.3.4.1.42"
_PRFS: Final = {
    "1.2.840.113549.2.9": hashes.SHA256(),
    "1.2.840.113549.2.10": hashes.SHA384(),
    "1.2.840.113549.2.11": hashes.SHA512(),
}
# Caps on what a file may make us work: 64 MiB, and a second or two.
_MAX_SCRYPT_BYTES: Final = 64 << 20
_MAX_SCRYPT_P: Final = 16
_MAX_ROUNDS: Final = 5_000_000


def encrypt_private_info(
    plain: bytes, passphrase: bytes, *, salt: bytes, iv: bytes, cost: tuple[int, int, int]
) -> bytes:
    """EncryptedPrivateKeyInfo (RFC 5958 §3) with PBES2: scrypt of that cost (N, r, p), AES-256-CBC."""
    n, r, p = cost
    kdf = Scrypt(salt=salt, length=32, n=n, r=r, p=p)
    encryptor = Cipher(algorithms.AES256(kdf.derive(passphrase)), modes.CBC(iv)).encryptor()
    padding = IV_BYTES - len(plain) % IV_BYTES
    secret = encryptor.update(plain + bytes([padding]) * padding) + encryptor.finalize()
    numbers = [der.der_integer(number) for number in (*cost, 32)]
    derivation = der.der_sequence(der.der_oid(OID_SCRYPT), der.der_sequence(der.der_octets(salt), *numbers))
    encryption = der.der_sequence(der.der_oid(_OID_AES256), der.der_octets(iv))
    algorithm = der.der_sequence(der.der_oid(OID_PBES2), der.der_sequence(derivation, encryption))
    return der.der_sequence(algorithm, der.der_octets(secret))


def decrypt_private_info(data: bytes, passphrase: bytes) -> bytes:
    """The PrivateKeyInfo inside an EncryptedPrivateKeyInfo.

    Raises Pkcs8AlgorithmError for another encryption (or one that asks too much), Pkcs8PassphraseError when the
    passphrase does not open it, a leaf of DerError for bytes that are none.
    """
    algorithm, secret = _pair(der.parse_der(data, max_bytes=MAX_BYTES))
    scheme, parameters = _pair(algorithm)
    if der.read_oid(scheme) != OID_PBES2:
        raise Pkcs8AlgorithmError("not encrypted by PBES2")
    derivation, encryption = _pair(parameters)
    cipher, iv = _pair(encryption)
    size = _AES_BYTES.get(der.read_oid(cipher))
    if size is None or len(der.read_octets(iv)) != IV_BYTES:
        raise Pkcs8AlgorithmError("not encrypted by AES in CBC mode")
    key = _derive(derivation, passphrase, size)
    body = der.read_octets(secret)
    if not body or len(body) % IV_BYTES:
        raise Pkcs8AlgorithmError("cipher text of no whole blocks")
    decryptor = Cipher(algorithms.AES(key), modes.CBC(der.read_octets(iv))).decryptor()
    padded = decryptor.update(body) + decryptor.finalize()
    count = padded[-1]
    if not 1 <= count <= IV_BYTES or padded[-count:] != bytes([count]) * count:
        raise Pkcs8PassphraseError("the passphrase does not open this key")
    plain = padded[:-count]
    try:
        der.parse_der(plain)
    except DerError:
        raise Pkcs8PassphraseError("the passphrase does not open this key") from None
    return plain


def sm2_private_info(scalar: bytes, point: bytes) -> bytes:
    """PrivateKeyInfo of an SM2 key: its scalar of 32 bytes and its point of 65."""
    algorithm = der.der_sequence(der.der_oid(OID_EC_PUBLIC_KEY), der.der_oid(OID_SM2_CURVE))
    public = der.der_explicit(1, der.der_bits(point))
    inner = der.der_sequence(der.der_integer(1), der.der_octets(scalar), public)
    return der.der_sequence(der.der_integer(0), algorithm, der.der_octets(inner))


def read_sm2_private_info(data: bytes) -> bytes:
    """The scalar of an SM2 key in PrivateKeyInfo; raises BadPrivateKeyError for anything else.

    Its public point, if there, is not believed: whoever loads the scalar computes it anew.
    """
    try:
        fields = der.expect(der.parse_der(data, max_bytes=MAX_BYTES), der.SEQUENCE).children()
        if len(fields) < 3 or der.read_integer(fields[0]) not in (0, 1):
            raise BadPrivateKeyError("not a private key in PKCS #8")
        algorithm = [der.read_oid(node) for node in fields[1].children()]
        inner = der.expect(der.parse_der(der.read_octets(fields[2])), der.SEQUENCE).children()
        if algorithm != [OID_EC_PUBLIC_KEY, OID_SM2_CURVE] or len(inner) < 2 or der.read_integer(inner[0]) != 1:
            raise BadPrivateKeyError("private key is not one for SM2")
        scalar = der.read_octets(inner[1]).rjust(PRIVATE_BYTES, b"\0")
    except DerError as error:
        raise BadPrivateKeyError(f"private key: {error}") from error
    check_scalar(scalar)
    return scalar


def _derive(derivation: Node, passphrase: bytes, size: int) -> bytes:
    """The key that PBES2's key derivation gives: scrypt, or PBKDF2 with HMAC-SHA-256, -384, -512."""
    kind, parameters = _pair(derivation)
    salt, *rest = der.expect(parameters, der.SEQUENCE).children() or (kind,)
    oid = der.read_oid(kind)
    if oid == OID_SCRYPT and 3 <= len(rest) <= 4:
        n, r, p = (der.read_integer(node) for node in rest[:3])
        length = der.read_integer(rest[3]) if len(rest) == 4 else size
        cheap = n >= 2 and not n & n - 1 and r >= 1 and 1 <= p <= _MAX_SCRYPT_P and 128 * n * r <= _MAX_SCRYPT_BYTES
        if length == size and cheap:
            return Scrypt(salt=der.read_octets(salt), length=size, n=n, r=r, p=p).derive(passphrase)
    if oid == OID_PBKDF2 and 2 <= len(rest) <= 3:
        rounds, length = der.read_integer(rest[0]), der.read_integer(rest[1]) if len(rest) == 3 else size
        prf, empty = _pair(rest[-1]) if rest[-1].tag == der.SEQUENCE else (kind, kind)
        digest = _PRFS.get(der.read_oid(prf))
        if digest is not None and length == size and 1 <= rounds <= _MAX_ROUNDS:
            der.read_null(empty)
            kdf = PBKDF2HMAC(algorithm=digest, length=size, salt=der.read_octets(salt), iterations=rounds)
            return kdf.derive(passphrase)
    raise Pkcs8AlgorithmError("a key derivation that is not read here, or asks too much work")


def _pair(node: Node) -> tuple[Node, Node]:
    parts = der.expect(node, der.SEQUENCE).children()
    if len(parts) != 2:
        raise Pkcs8AlgorithmError(f"offset {node.start}: {len(parts)} parts, expected 2")
    return parts[0], parts[1]
