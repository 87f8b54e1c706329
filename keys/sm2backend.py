"""The SM2 engine of this process: OpenSSL's libcrypto where there is one, else plain Python that only verifies.

Importing this module fills the slot of `sm2`; the library is looked for at the first use, once. Everything that
loads keys from disk (`snapshot`, `custody`) imports it, so that the pure rooms verify fast without knowing how.
"""

import secrets
from functools import cache
from typing import TYPE_CHECKING, Final

from mingzheng.keys.errors import Sm2FailedError, Sm2UnavailableError
from mingzheng.keys.sm2 import (
    DEFAULT_ID,
    N,
    Sm2Private,
    check_scalar,
    message_digest,
    sm2_verify,
    use_engine,
    verify_digest,
)

if TYPE_CHECKING:
    from mingzheng.keys.libcrypto import Libcrypto

PYTHON: Final = "python"


class Backend:
    """The engine that looks for libcrypto when it is first needed."""

    @property
    def name(self) -> str:
        """See `backend_name`."""
        library = _library()
        return PYTHON if library is None else library.name

    def verify(self, point: bytes, digest: bytes, signature: bytes) -> bool:
        """See Sm2Engine. A refusal counts when plain Python refuses, too: a library short of memory refuses all."""
        library = _library()
        try:
            if library is not None and library.verify(point, digest, signature):
                return True
        except Sm2FailedError:
            pass
        return verify_digest(point, digest, signature)

    def private_key(self, scalar: bytes) -> Sm2Private:
        """See Sm2Engine."""
        check_scalar(scalar)
        library = _library()
        if library is None:
            raise Sm2UnavailableError("signing with SM2 needs OpenSSL's libcrypto 3.0 or newer")
        return library.private_key(scalar)


def backend_name() -> str:
    """What does SM2 here: "libcrypto 3.0.19", or "python" (verification alone, about 1 ms more each)."""
    return _BACKEND.name


def can_sign() -> bool:
    """Is there a library that signs with SM2?"""
    return _library() is not None


def verify(point: bytes, message: bytes, signature: bytes, user_id: bytes = DEFAULT_ID) -> bool:
    """Does `signature` (r ‖ s) of the key `point` (65 bytes, checked) hold over `message`?"""
    return sm2_verify(point, message, signature, user_id)


def sign(private: bytes, message: bytes, user_id: bytes = DEFAULT_ID) -> bytes:
    """r ‖ s over `message` by a scalar of 32 bytes; raises Sm2UnavailableError, BadPrivateKeyError."""
    key = _BACKEND.private_key(private)
    return key.sign(message_digest(key.point, message, user_id))


def generate_scalar() -> bytes:
    """A new private key, 1 … n−2, from the system's random numbers."""
    return (1 + secrets.randbelow(N - 2)).to_bytes(32)


@cache
def _library() -> "Libcrypto | None":
    from mingzheng.keys.libcrypto import load  # ctypes costs milliseconds: only who uses SM2 pays

    return load()


_BACKEND: Final = Backend()
use_engine(_BACKEND)
