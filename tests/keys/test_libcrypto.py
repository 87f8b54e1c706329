"""The binding to libcrypto: only a library that works is used, nothing leaks, nothing crashes; openssl agrees."""

import ctypes
import gc
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from algs import NEEDS_SM2

from mingzheng.keys import libcrypto, sm2backend
from mingzheng.keys.errors import BadPrivateKeyError, Sm2FailedError, Sm2UnavailableError
from mingzheng.keys.libcrypto import CACHED_KEYS, Libcrypto, load, usual_names
from mingzheng.keys.pkcs8 import sm2_private_info
from mingzheng.keys.sm2 import (
    DEFAULT_ID,
    SPKI_HEAD,
    message_digest,
    signature_from_der,
    signature_to_der,
    sm2_verify,
    use_engine,
    verify_digest,
)
from mingzheng.keys.sm2backend import Backend, backend_name, can_sign, generate_scalar, sign, verify

SCALAR = bytes(range(1, 33))
DIGEST = bytes(range(32))


@pytest.fixture
def library() -> Libcrypto:
    found = load()
    if found is None:
        pytest.skip("no OpenSSL 3 with SM2 on this machine")
    return found


# Which library


def test_what_is_no_openssl_is_passed_over() -> None:
    assert load([]) is None
    assert load(["libnowhere.so.3", "/nowhere/libcrypto.so.3", "libc.so.6", "libm.so.6", "libz.so.1"]) is None


def test_a_file_that_is_no_library_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "libcrypto.so.3").write_bytes(b"\x7fELF" + bytes(100))
    assert load([str(tmp_path / "libcrypto.so.3")]) is None


class Function:
    """A function of a library that is not there."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    def __call__(self, *_arguments: object) -> object:
        return self._answer


class Fake:
    """A library whose functions give what they are told, 0 otherwise."""

    def __init__(self, version: bytes | None = b"OpenSSL 3.0.0 1 Jan 2024", number: int = 0x30000000, **more: object):
        answers = dict.fromkeys(libcrypto._SIGNATURES, 0)
        answers |= {"OpenSSL_version": version, "OpenSSL_version_num": number} | more  # type: ignore[dict-item]
        for name, answer in answers.items():
            if answer is not AttributeError:
                setattr(self, name, Function(answer))


FAKES: dict[str, Callable[[], Fake]] = {
    "libressl": lambda: Fake(b"LibreSSL 3.9.2", 0x20000000),
    "libressl that says 3": lambda: Fake(b"LibreSSL 4.0.0", 0x40000000),
    "openssl 1.1": lambda: Fake(b"OpenSSL 1.1.1w  11 Sep 2023", 0x1010117F),
    "no version": lambda: Fake(None),
    "without a function": lambda: Fake(EVP_PKEY_verify=AttributeError),
    "without sm2": lambda: Fake(),
    "a key and no public half": lambda: Fake(d2i_AutoPrivateKey=1),
    "a key of another size": lambda: Fake(d2i_AutoPrivateKey=1, i2d_PUBKEY=90),
    "no context": lambda: Fake(d2i_AutoPrivateKey=1, i2d_PUBKEY=91, d2i_PUBKEY=1),
    "verifies nothing": lambda: Fake(d2i_AutoPrivateKey=1, i2d_PUBKEY=91, d2i_PUBKEY=1, EVP_PKEY_CTX_new=1),
    "verifies everything": lambda: Fake(
        d2i_AutoPrivateKey=1,
        i2d_PUBKEY=91,
        d2i_PUBKEY=1,
        EVP_PKEY_CTX_new=1,
        EVP_PKEY_verify_init=1,
        EVP_PKEY_verify=1,
        EVP_PKEY_sign_init=1,
        EVP_PKEY_sign=1,
    ),
}


@pytest.mark.parametrize("name", FAKES)
def test_a_library_that_does_no_sm2_is_passed_over(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: FAKES[name]())
    assert load(["x"]) is None


def test_signing_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(d2i_AutoPrivateKey=1, i2d_PUBKEY=91, EVP_PKEY_CTX_new=1, EVP_PKEY_sign_init=1, EVP_PKEY_sign=0)
    key = Libcrypto(fake).private_key(SCALAR)  # type: ignore[arg-type]
    with pytest.raises(Sm2FailedError):
        key.sign(DIGEST)


def test_a_library_whose_signatures_do_not_verify_is_passed_over(
    library: Libcrypto, monkeypatch: pytest.MonkeyPatch
) -> None:
    for signs in (lambda *_: bytes(64), lambda *_: signature_from_der(b"")):
        monkeypatch.setattr(Libcrypto, "sign", signs)
        assert load() is None


def test_names_by_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.util.find_library", lambda _name: "/usr/lib/libcrypto.dylib")
    for system, first in (
        ("linux", "libcrypto.so.3"),
        ("freebsd14", "libcrypto.so.3"),
        ("win32", "libcrypto-3-x64.dll"),
    ):
        monkeypatch.setattr(sys, "platform", system)
        names = list(usual_names())
        assert names[0] == first
        assert names[-1] == "/usr/lib/libcrypto.dylib"
        assert any("DLLs" in name for name in names) is (system == "win32")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert all(name.endswith("libcrypto.3.dylib") for name in usual_names())
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("ctypes.util.find_library", lambda _name: None)
    assert list(usual_names()) == ["libcrypto.so.3", "libcrypto.so.4"]


def test_every_function_is_declared(library: Libcrypto) -> None:
    for name, (result, arguments) in libcrypto._SIGNATURES.items():
        function = getattr(library._lib, name)
        assert function.restype is result
        assert tuple(function.argtypes) == arguments


# What it does


def test_refuses_other_keys_and_digests(library: Libcrypto) -> None:
    key = library.private_key(SCALAR)
    signature = key.sign(DIGEST)
    assert library.verify(key.point, DIGEST, signature)
    for point in (b"", b"\x04" + bytes(64), key.point[:-1], b"\x02" + key.point[1:33]):
        with pytest.raises(Sm2FailedError):
            library.verify(point, DIGEST, signature)
    for digest in (b"", DIGEST[:-1], DIGEST + b"\0", bytes(32)):
        assert not library.verify(key.point, digest, signature)
    for size in (0, 31, 33):
        with pytest.raises(Sm2FailedError):
            key.sign(bytes(size))
        with pytest.raises(BadPrivateKeyError):
            library.private_key(bytes(size))


class Counting:
    """Counts how many contexts and keys are open."""

    def __init__(self, library: Libcrypto, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = {"EVP_PKEY_CTX": 0, "EVP_PKEY": 0}
        for made, freed, kind in (
            ("EVP_PKEY_CTX_new", "EVP_PKEY_CTX_free", "EVP_PKEY_CTX"),
            ("d2i_PUBKEY", "EVP_PKEY_free", "EVP_PKEY"),
            ("d2i_AutoPrivateKey", None, "EVP_PKEY"),
        ):
            monkeypatch.setattr(library._lib, made, self._made(getattr(library._lib, made), kind))
            if freed is not None:
                monkeypatch.setattr(library._lib, freed, self._freed(getattr(library._lib, freed), kind))

    def _made(self, real: Callable[..., object], kind: str) -> Callable[..., object]:
        def count(*arguments: object) -> object:
            pointer = real(*arguments)
            self.open[kind] += bool(pointer)
            return pointer

        return count

    def _freed(self, real: Callable[..., object], kind: str) -> Callable[..., object]:
        def count(*arguments: object) -> object:
            self.open[kind] -= 1
            return real(*arguments)

        return count


def test_everything_is_freed_and_the_cache_is_bounded(library: Libcrypto, monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting(library, monkeypatch)
    signature = bytes(31) + b"\1" + bytes(31) + b"\1"
    for number in range(1, CACHED_KEYS + 30):
        key = library.private_key(number.to_bytes(32))
        library.verify(key.point, DIGEST, signature)
        with pytest.raises(Sm2FailedError):
            library.verify(b"\x04" + bytes(64), DIGEST, signature)
    key.sign(DIGEST)
    del key
    gc.collect()
    assert counting.open == {"EVP_PKEY_CTX": 0, "EVP_PKEY": CACHED_KEYS}
    library._public.cache_clear()
    gc.collect()
    assert counting.open == {"EVP_PKEY_CTX": 0, "EVP_PKEY": 0}


def test_threads_share_keys(library: Libcrypto) -> None:
    key = library.private_key(SCALAR)
    faults: list[str] = []

    def work(number: int) -> None:
        for turn in range(30):
            digest = bytes([number, turn]) * 16
            if not library.verify(key.point, digest, key.sign(digest)):
                faults.append(f"{number}/{turn}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults


# The backend


def test_backend_here() -> None:
    assert backend_name() == ("python" if not can_sign() else backend_name())
    if can_sign():
        assert backend_name().startswith("libcrypto ")
        assert backend_name().split()[1][0].isdigit()


def test_without_a_library_it_verifies_and_does_not_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sm2backend, "_library", lambda: None)
    assert backend_name() == "python"
    assert not can_sign()
    with pytest.raises(Sm2UnavailableError):
        sign(SCALAR, b"m")
    with pytest.raises(BadPrivateKeyError):
        sign(bytes(32), b"m")
    point, digest, signature = libcrypto._KAT_POINT, libcrypto._KAT_DIGEST, libcrypto._KAT_SIGNATURE
    assert Backend().verify(point, digest, signature)
    assert verify(point, b"message digest", signature)
    assert not verify(point, b"message digesT", signature)


@pytest.mark.parametrize("failing", [{"EVP_PKEY_CTX_new": 0}, {"d2i_PUBKEY": 0}, {"EVP_PKEY_verify_init": 0}, {}])
def test_a_library_that_fails_now_and_then_forges_nothing(
    failing: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Short of memory, libcrypto refuses every signature: a good one must not be called forged, nor a bad one good."""
    good = {"d2i_PUBKEY": 1, "EVP_PKEY_CTX_new": 1, "EVP_PKEY_verify_init": 1, "EVP_PKEY_verify": 0}
    poor = Libcrypto(Fake(**good | failing))  # type: ignore[arg-type]
    monkeypatch.setattr(sm2backend, "_library", lambda: poor)
    point, digest, signature = libcrypto._KAT_POINT, libcrypto._KAT_DIGEST, libcrypto._KAT_SIGNATURE
    assert Backend().verify(point, digest, signature)
    assert not Backend().verify(point, bytes(32), signature)


def test_the_library_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(libcrypto, "load", lambda: calls.append(1))
    sm2backend._library.cache_clear()
    try:
        assert [backend_name(), backend_name(), backend_name()] == ["python"] * 3
        assert calls == [1]
    finally:
        sm2backend._library.cache_clear()


@NEEDS_SM2
def test_new_scalars_differ_and_sign() -> None:
    one, two = generate_scalar(), generate_scalar()
    assert one != two
    point = Backend().private_key(one).point
    for user_id in (DEFAULT_ID, b"", b"ALICE123@YAHOO.COM"):
        signature = sign(one, b"m", user_id)
        assert verify(point, b"m", signature, user_id)
        assert not verify(point, b"m", signature, user_id + b"x")


def test_importing_fills_the_slot() -> None:
    code = (
        "from mingzheng.keys import sm2; assert sm2._SLOT.engine is None; import mingzheng.keys.snapshot;"
        "assert sm2._SLOT.engine is not None; import sys;"
        "assert 'mingzheng.keys.libcrypto' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# The openssl command


@pytest.fixture
def openssl(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl command")
    curves = subprocess.run(["openssl", "ecparam", "-list_curves"], capture_output=True, check=True).stdout
    version = subprocess.run(["openssl", "version"], capture_output=True, check=True).stdout
    if b"SM2" not in curves or not version.startswith(b"OpenSSL 3"):
        pytest.skip("openssl knows no SM2")

    def run(*words: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(["openssl", *words], cwd=tmp_path, capture_output=True, check=False)

    return run


@NEEDS_SM2
@pytest.mark.parametrize("user_id", [DEFAULT_ID, b"ALICE123@YAHOO.COM"])
def test_openssl_verifies_ours(
    openssl: Callable[..., subprocess.CompletedProcess[bytes]], tmp_path: Path, user_id: bytes
) -> None:
    point = Backend().private_key(SCALAR).point
    (tmp_path / "key").write_bytes(SPKI_HEAD + point)
    (tmp_path / "message").write_bytes(b"message")
    (tmp_path / "signature").write_bytes(signature_to_der(sign(SCALAR, b"message", user_id)))
    words = ["pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "key", "-rawin", "-digest", "sm3"]
    words += ["-in", "message", "-sigfile", "signature", "-pkeyopt", f"hexdistid:{user_id.hex()}"]
    assert openssl(*words).returncode == 0
    (tmp_path / "message").write_bytes(b"messagE")
    assert openssl(*words).returncode != 0


@NEEDS_SM2
def test_we_verify_openssls(openssl: Callable[..., subprocess.CompletedProcess[bytes]], tmp_path: Path) -> None:
    point = Backend().private_key(SCALAR).point
    (tmp_path / "key").write_bytes(sm2_private_info(SCALAR, point))
    (tmp_path / "message").write_bytes(b"message")
    words = ["pkeyutl", "-sign", "-keyform", "DER", "-inkey", "key", "-rawin", "-digest", "sm3", "-in", "message"]
    done = openssl(*words, "-pkeyopt", f"hexdistid:{DEFAULT_ID.hex()}")
    assert done.returncode == 0, done.stderr
    signature = signature_from_der(done.stdout)
    digest = message_digest(point, b"message")
    assert verify_digest(point, digest, signature)
    assert Backend().verify(point, digest, signature)
    use_engine(Backend())
    assert sm2_verify(point, b"message", signature)
