"""ML-DSA-44: signatures that a quantum computer does not forge; witnesses sign with it.

Sources: FIPS 204; RFC 9881 (SubjectPublicKeyInfo, private key as its 32-byte seed). The arithmetic is the
`cryptography` library's (version 47 or newer over an OpenSSL that has it); without it a key is still read, kept and
shown, and only verifying and signing raise MldsaUnavailableError. Left out: contexts, the pre-hash variants.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import UnsupportedAlgorithm

from mingzheng.keys.errors import BadPrivateKeyError, MldsaUnavailableError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

PUBLIC_BYTES: Final = 1312
SIGNATURE_BYTES: Final = 2420
SEED_BYTES: Final = 32
# The one accepted DER head of a SubjectPublicKeyInfo (RFC 9881 §4): the key follows. Any 1,312 bytes are a key.
SPKI_HEAD: Final = bytes.fromhex("30820532300b06096086480165030403110382052100")
# PrivateKeyInfo in the seed form (RFC 9881 §6): version 0, the algorithm, [0] the seed.
_PRIVATE_HEAD: Final = bytes.fromhex("3034020100300b060960864801650304031104228020")


def available() -> bool:
    """Whether this machine's library does ML-DSA-44."""
    try:
        _private(bytes(SEED_BYTES))
    except MldsaUnavailableError:
        return False
    return True


def verifier(public: bytes) -> Callable[[bytes, bytes], None]:
    """What checks (signature, message) under these 1,312 bytes; it raises InvalidSignature or MldsaUnavailableError."""

    def check(signature: bytes, message: bytes) -> None:
        _public(public).verify(signature, message)

    return check


def signer(seed: bytes) -> tuple[Callable[[bytes], bytes], bytes]:
    """What signs under a 32-byte seed, another signature each time (hedged), and the SubjectPublicKeyInfo."""
    key = _private(seed)
    return key.sign, SPKI_HEAD + key.public_key().public_bytes_raw()


def private_info(seed: bytes) -> bytes:
    """The PrivateKeyInfo that holds the seed."""
    return _PRIVATE_HEAD + seed


def read_private_info(plain: bytes) -> bytes:
    """The seed out of a PrivateKeyInfo; raises BadPrivateKeyError for any other key or form of it."""
    if len(plain) != len(_PRIVATE_HEAD) + SEED_BYTES or not plain.startswith(_PRIVATE_HEAD):
        raise BadPrivateKeyError("not an ML-DSA-44 key as its seed")
    return plain[len(_PRIVATE_HEAD) :]


def _public(raw: bytes) -> "MLDSA44PublicKey":
    try:
        from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

        return MLDSA44PublicKey.from_public_bytes(raw)
    except (ImportError, UnsupportedAlgorithm) as error:
        raise _unavailable() from error


def _private(seed: bytes) -> "MLDSA44PrivateKey":
    try:
        from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

        return MLDSA44PrivateKey.from_seed_bytes(seed)
    except (ImportError, UnsupportedAlgorithm) as error:
        raise _unavailable() from error


def _unavailable() -> MldsaUnavailableError:
    return MldsaUnavailableError("this cryptography library has no ML-DSA-44: install a newer one")
