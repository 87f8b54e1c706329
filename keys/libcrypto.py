"""A thin binding to OpenSSL's libcrypto 3 or newer: SM2 over ready digests, nothing else.

Source: OpenSSL manual pages EVP_PKEY_verify(3), EVP_PKEY_sign(3), d2i_PUBKEY(3). The `cryptography` library
carries SM3 but no SM2. `load` gives None, and never an exception, for a system without the library, with
LibreSSL, OpenSSL 1.1 or a build without SM2: a candidate must pass the example of GM/T 0003.5 before it is used.
Loaded keys are shared by threads (EVP_PKEY is read alone); a context is made and freed per operation. Calls leave
the interpreter's lock. On macOS the unversioned library is never opened: the system kills processes that do.
"""

import ctypes
import ctypes.util
import sys
from collections.abc import Callable, Iterable, Iterator
from ctypes import POINTER, byref, c_char_p, c_int, c_long, c_size_t, c_ubyte, c_ulong, c_void_p
from functools import lru_cache
from pathlib import PurePath
from typing import Final

from mingzheng.keys.der import der_integer, der_octets, der_oid, der_sequence
from mingzheng.keys.errors import DerError, Sm2FailedError
from mingzheng.keys.sm2 import (
    OID_EC_PUBLIC_KEY,
    OID_SM2_CURVE,
    POINT_BYTES,
    SPKI_HEAD,
    check_scalar,
    signature_from_der,
    signature_to_der,
    verify_digest,
)
from mingzheng.keys.sm3 import DIGEST_BYTES

OLDEST: Final = 0x30000000  # OpenSSL 3.0
CACHED_KEYS: Final = 256

_NAMES: Final = {
    "linux": ("libcrypto.so.3", "libcrypto.so.4"),
    "darwin": (
        "libcrypto.3.dylib",
        "/opt/homebrew/opt/openssl@3/lib/libcrypto.3.dylib",
        "/usr/local/opt/openssl@3/lib/libcrypto.3.dylib",
        "/opt/local/lib/libcrypto.3.dylib",
    ),
    "win32": ("libcrypto-3-x64.dll", "libcrypto-3-arm64.dll", "libcrypto-3.dll"),
}
_SIGNATURES: Final = {
    "OpenSSL_version_num": (c_ulong, ()),
    "OpenSSL_version": (c_char_p, (c_int,)),
    "d2i_PUBKEY": (c_void_p, (c_void_p, POINTER(c_char_p), c_long)),
    "d2i_AutoPrivateKey": (c_void_p, (c_void_p, POINTER(c_char_p), c_long)),
    "i2d_PUBKEY": (c_int, (c_void_p, POINTER(POINTER(c_ubyte)))),
    "EVP_PKEY_free": (None, (c_void_p,)),
    "EVP_PKEY_CTX_new": (c_void_p, (c_void_p, c_void_p)),
    "EVP_PKEY_CTX_free": (None, (c_void_p,)),
    "EVP_PKEY_verify_init": (c_int, (c_void_p,)),
    "EVP_PKEY_verify": (c_int, (c_void_p, c_char_p, c_size_t, c_char_p, c_size_t)),
    "EVP_PKEY_sign_init": (c_int, (c_void_p,)),
    "EVP_PKEY_sign": (c_int, (c_void_p, c_char_p, POINTER(c_size_t), c_char_p, c_size_t)),
    "ERR_clear_error": (None, ()),
}
_MAX_DER_SIGNATURE: Final = 256
# GB/T 32918.5-2017 §A.2: the example every implementation is measured by.
_KAT_PRIVATE: Final = bytes.fromhex("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8")
_KAT_POINT: Final = bytes.fromhex(
    "0409f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)
_KAT_DIGEST: Final = bytes.fromhex("f0b43e94ba45accaace692ed534382eb17e6ab5a19ce7b31f4486fdfc0d28640")
_KAT_SIGNATURE: Final = bytes.fromhex(
    "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
    "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
)


class _Key:
    """An EVP_PKEY, freed with the object."""

    __slots__ = ("_free", "pointer")

    def __init__(self, pointer: int, free: Callable[[int], None]) -> None:
        self.pointer, self._free = pointer, free

    def __del__(self) -> None:
        self._free(self.pointer)


class Libcrypto:
    """SM2 by one loaded library. `load` makes it."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._lib = library
        words = (library.OpenSSL_version(0) or b"").decode("ascii", "replace").split()
        self.name = f"libcrypto {words[1] if len(words) > 1 else '?'}"
        self._public = lru_cache(maxsize=CACHED_KEYS)(self._load_public)

    def verify(self, point: bytes, digest: bytes, signature: bytes) -> bool:
        """Does r ‖ s hold over the digest? False also when the library could not find out (short of memory).

        Raises Sm2FailedError for a point it does not load.
        """
        if len(digest) != DIGEST_BYTES:
            return False
        key = self._public(point)
        encoded = signature_to_der(signature)
        context = self._context(key)
        try:
            good: bool = self._lib.EVP_PKEY_verify_init(context) == 1 and (
                self._lib.EVP_PKEY_verify(context, encoded, len(encoded), digest, len(digest)) == 1
            )
        finally:
            self._lib.EVP_PKEY_CTX_free(context)
            self._lib.ERR_clear_error()
        return good

    def private_key(self, scalar: bytes) -> "LibcryptoPrivate":
        """Load 32 bytes of a scalar in 1 … n−2; raises BadPrivateKeyError, Sm2FailedError."""
        check_scalar(scalar)
        key = self._decode(self._lib.d2i_AutoPrivateKey, _pkcs8_without_point(scalar))
        if key is None:
            raise Sm2FailedError(f"{self.name} loads no SM2 private key")
        size = self._lib.i2d_PUBKEY(key.pointer, None)
        if size != len(SPKI_HEAD) + POINT_BYTES:
            self._lib.ERR_clear_error()
            raise Sm2FailedError(f"{self.name} gives no SM2 public key")
        buffer = (c_ubyte * size)()
        self._lib.i2d_PUBKEY(key.pointer, byref(ctypes.cast(buffer, POINTER(c_ubyte))))
        return LibcryptoPrivate(self, key, bytes(buffer)[len(SPKI_HEAD) :])

    def sign(self, key: _Key, digest: bytes) -> bytes:
        """r ‖ s over a digest of 32 bytes; a new random number each time."""
        if len(digest) != DIGEST_BYTES:
            raise Sm2FailedError("a digest of 32 bytes expected")
        buffer = ctypes.create_string_buffer(_MAX_DER_SIGNATURE)
        size = c_size_t(_MAX_DER_SIGNATURE)
        context = self._context(key)
        try:
            good = self._lib.EVP_PKEY_sign_init(context) == 1 and (
                self._lib.EVP_PKEY_sign(context, buffer, byref(size), digest, len(digest)) == 1
            )
        finally:
            self._lib.EVP_PKEY_CTX_free(context)
            self._lib.ERR_clear_error()
        if not good:
            raise Sm2FailedError(f"{self.name} does not sign with SM2")
        return signature_from_der(buffer.raw[: size.value])

    def _load_public(self, point: bytes) -> _Key:
        key = self._decode(self._lib.d2i_PUBKEY, SPKI_HEAD + point)
        if key is None:  # raised, so that the cache does not keep it
            raise Sm2FailedError(f"{self.name} loads no such SM2 public key")
        return key

    def _decode(self, decoder: Callable[..., int | None], der: bytes) -> _Key | None:
        pointer = decoder(None, byref(c_char_p(der)), len(der))
        if not pointer:
            self._lib.ERR_clear_error()
            return None
        return _Key(pointer, self._lib.EVP_PKEY_free)

    def _context(self, key: _Key) -> int:
        context: int | None = self._lib.EVP_PKEY_CTX_new(key.pointer, None)
        if not context:
            self._lib.ERR_clear_error()
            raise Sm2FailedError(f"{self.name} has no memory or no SM2")
        return context


class LibcryptoPrivate:
    """A private key inside the library. `Libcrypto.private_key` makes it."""

    __slots__ = ("_key", "_library", "point")

    def __init__(self, library: Libcrypto, key: _Key, point: bytes) -> None:
        self._library, self._key, self.point = library, key, point

    def sign(self, digest: bytes) -> bytes:
        """r ‖ s over the digest SM3(Z ‖ M)."""
        return self._library.sign(self._key, digest)


def load(names: Iterable[str] | None = None) -> Libcrypto | None:
    """The first library of `names` (by default the usual ones of this system) that does SM2; None without one."""
    for name in usual_names() if names is None else names:
        try:
            library = Libcrypto(_bind(ctypes.CDLL(name)))
        except (OSError, AttributeError, ValueError):  # not there; not OpenSSL; without a function; too old
            continue
        if _works(library):
            return library
    return None


def usual_names() -> Iterator[str]:
    """File names under which this system may have OpenSSL 3, the likeliest first."""
    yield from _NAMES.get(sys.platform, _NAMES["linux"])
    if sys.platform == "win32":
        yield str(PurePath(sys.base_prefix) / "DLLs" / "libcrypto-3.dll")
    if sys.platform != "darwin" and (found := ctypes.util.find_library("crypto")) is not None:
        yield found


def _bind(library: ctypes.CDLL) -> ctypes.CDLL:
    """Declare every function used; AttributeError for a missing one, ValueError for another library or age."""
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    words = library.OpenSSL_version(0) or b""
    if not words.startswith(b"OpenSSL ") or library.OpenSSL_version_num() < OLDEST:
        raise ValueError("not OpenSSL 3 or newer")
    return library


def _works(library: Libcrypto) -> bool:
    """Does it verify the standard's example, refuse another, and sign what plain Python verifies?"""
    try:
        key = library.private_key(_KAT_PRIVATE)
        return (
            library.verify(_KAT_POINT, _KAT_DIGEST, _KAT_SIGNATURE)
            and not library.verify(_KAT_POINT, bytes(DIGEST_BYTES), _KAT_SIGNATURE)
            and key.point == _KAT_POINT
            and verify_digest(_KAT_POINT, _KAT_DIGEST, key.sign(_KAT_DIGEST))
        )
    except (DerError, Sm2FailedError):
        return False


def _pkcs8_without_point(scalar: bytes) -> bytes:
    """PrivateKeyInfo (RFC 5958 §2) around ECPrivateKey (RFC 5915 §3); the library finds the point itself."""
    algorithm = der_sequence(der_oid(OID_EC_PUBLIC_KEY), der_oid(OID_SM2_CURVE))
    inner = der_sequence(der_integer(1), der_octets(scalar))
    return der_sequence(der_integer(0), algorithm, der_octets(inner))
