"""Private keys on disk: encrypted, private, never overwritten; every fault told apart as far as can be."""

import base64
import getpass
import os
import stat
import subprocess
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from algs import ALGS, DISTINCT
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from mingzheng.keys import custody, pkcs8
from mingzheng.keys.alg import Alg, verify
from mingzheng.keys.custody import generate, load_signer, read_passphrase, save_private_key
from mingzheng.keys.errors import (
    CustodyError,
    KeyFileAlgError,
    KeyFileDamagedError,
    KeyFileExistsError,
    KeyFileUnencryptedError,
    KeyFileUnreadableError,
    NotPrivateError,
    PassphraseError,
    WrongPassphraseError,
)
from mingzheng.keys.signer import InMemorySigner

PASS = "correct horse 电池".encode()


@pytest.fixture(autouse=True)
def _cheap_scrypt(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of behaviour need no slow key derivation; the real cost is tested where it says so."""
    if "real_cost" not in request.node.name:
        monkeypatch.setattr(custody, "SCRYPT_N", 16)
        monkeypatch.setattr(custody, "SCRYPT_P", 1)


def signer(alg: Alg = Alg.ED25519) -> InMemorySigner:
    return InMemorySigner.from_private_bytes(alg, bytes(range(1, 33)))


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "密 key.pem"
    save_private_key(path, signer(), PASS)
    return path


def write(path: Path, data: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("alg", ALGS)
def test_generated_keys_differ_and_sign(alg: Alg) -> None:
    one, two = generate(alg), generate(alg)
    assert one.public_key != two.public_key
    verify(one.public_key, signature=one.sign(b"m"), message=b"m")


@pytest.mark.parametrize("alg", ALGS)
def test_round_trip(tmp_path: Path, alg: Alg) -> None:
    made = generate(alg)
    save_private_key(tmp_path / "k", made, PASS)
    again = load_signer(tmp_path / "k", alg, PASS)
    assert again == made
    assert again.private_bytes() == made.private_bytes()
    assert made.private_bytes() not in (tmp_path / "k").read_bytes()


def test_round_trip_at_real_cost(tmp_path: Path) -> None:
    """The figures of the module's docstring are those in the file."""
    assert (custody.SCRYPT_N, custody.SCRYPT_R, custody.SCRYPT_P) == (2**14, 8, 5)
    save_private_key(tmp_path / "k", signer(), PASS)
    block = (tmp_path / "k").read_text().split("-----\n")[1].split("-----")[0]
    parameters = bytes.fromhex("02024000" + "020108" + "020105" + "020120")  # N, r, p, key length
    assert parameters in base64.b64decode(block)
    assert load_signer(tmp_path / "k", Alg.ED25519, PASS) == signer()


@pytest.mark.parametrize("alg", DISTINCT)
def test_other_tools_open_the_file(tmp_path: Path, alg: Alg) -> None:
    path = tmp_path / "k"
    save_private_key(path, signer(alg), b"a long passphrase")
    if alg is not Alg.SM2:
        load_pem_private_key(path.read_bytes(), b"a long passphrase")
    try:
        command = ["openssl", "pkey", "-in", str(path), "-passin", "pass:a long passphrase", "-pubout"]
        done = subprocess.run(command, capture_output=True, check=True)
    except FileNotFoundError:
        pytest.skip("no openssl command")
    spki = base64.b64decode("".join(done.stdout.decode().splitlines()[1:-1]))
    assert spki == signer(alg).public_key.spki


def test_salt_and_iv_are_fresh(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_private_key(tmp_path / name, signer(), PASS)
    assert (tmp_path / "a").read_bytes() != (tmp_path / "b").read_bytes()


def test_file_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        save_private_key(tmp_path / "k", signer(), PASS)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "k").stat().st_mode) == 0o600


def test_nothing_is_overwritten(key_file: Path, tmp_path: Path) -> None:
    before = key_file.read_bytes()
    (tmp_path / "link").symlink_to(key_file)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for path in (key_file, tmp_path / "link", tmp_path / "dangling"):
        with pytest.raises(KeyFileExistsError):
            save_private_key(path, signer(), PASS)
    assert key_file.read_bytes() == before
    assert not (tmp_path / "nowhere").exists()


def test_no_directory(tmp_path: Path) -> None:
    with pytest.raises(KeyFileUnreadableError):
        save_private_key(tmp_path / "nowhere" / "k", signer(), PASS)
    with pytest.raises(KeyFileUnreadableError):
        load_signer(tmp_path / "nowhere" / "k", Alg.ED25519, PASS)


@pytest.mark.parametrize("calls", [1, 2])
def test_no_half_file_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: int) -> None:
    left = [calls]

    def full(descriptor: int) -> None:
        left[0] -= 1
        if not left[0]:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KeyFileUnreadableError, match="No space"):
        save_private_key(tmp_path / "k", signer(), PASS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", [0, 1, 11, 1025])
def test_passphrase_length(tmp_path: Path, size: int) -> None:
    with pytest.raises(PassphraseError):
        save_private_key(tmp_path / "k", signer(), b"x" * size)
    assert not (tmp_path / "k").exists()


@pytest.mark.parametrize("size", [12, 1024])
def test_passphrase_length_at_the_borders(tmp_path: Path, size: int) -> None:
    save_private_key(tmp_path / "k", signer(), b"x" * size)
    assert load_signer(tmp_path / "k", Alg.ED25519, b"x" * size) == signer()


def test_wrong_passphrase(key_file: Path) -> None:
    for wrong in (PASS + b"x", PASS[:-1], PASS.upper(), b"x"):
        with pytest.raises(WrongPassphraseError):
            load_signer(key_file, Alg.ED25519, wrong)
    with pytest.raises(PassphraseError):
        load_signer(key_file, Alg.ED25519, b"")


def test_wrong_passphrases_never_look_like_damage(key_file: Path) -> None:
    """One in 256 wrong passphrases leaves good padding and bad content behind."""
    for i in range(600):
        with pytest.raises(WrongPassphraseError):
            load_signer(key_file, Alg.ED25519, b"wrong %d" % i)


def test_errors_tell_no_secret(key_file: Path) -> None:
    with pytest.raises(WrongPassphraseError) as caught:
        load_signer(key_file, Alg.ED25519, b"my other secret")
    assert "secret" not in str(caught.value)
    assert str(key_file.parent) not in str(caught.value)


def test_every_changed_byte_is_damage_or_seen(key_file: Path) -> None:
    good = key_file.read_bytes()
    for i in range(len(good)):
        bad = bytearray(good)
        bad[i] ^= 1
        key_file.write_bytes(bytes(bad))
        with pytest.raises((KeyFileDamagedError, KeyFileUnencryptedError)):
            load_signer(key_file, Alg.ED25519, PASS)


def test_every_cut_is_damage(key_file: Path) -> None:
    good = key_file.read_bytes()
    for i in range(len(good)):
        key_file.write_bytes(good[:i])
        with pytest.raises(KeyFileDamagedError):
            load_signer(key_file, Alg.ED25519, PASS)


@pytest.mark.parametrize("content", [b"", b"x", b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n", bytes(16385)])
def test_other_files_are_damage(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(KeyFileDamagedError):
        load_signer(write(tmp_path / "k", content), Alg.ED25519, PASS)


BLOCK = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n{}-----END ENCRYPTED PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    "body", ["", "!\n", "MA==\n", "MAA=\n", "MIEA\n", "BAA=\n", "AAAA\n", "MIGA\n", "MIIBAA==\n", "MA\n"]
)
def test_blocks_that_are_no_key(tmp_path: Path, body: str) -> None:
    with pytest.raises(CustodyError):
        load_signer(write(tmp_path / "k", BLOCK.format(body).encode()), Alg.ED25519, PASS)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o601, 0o777])
def test_files_others_may_touch_are_refused(key_file: Path, mode: int) -> None:
    key_file.chmod(mode)
    with pytest.raises(NotPrivateError, match="chmod 600"):
        load_signer(key_file, Alg.ED25519, PASS)
    with pytest.raises(NotPrivateError):
        read_passphrase(file=key_file)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_files_only_the_owner_may_read_are_taken(key_file: Path, mode: int) -> None:
    key_file.chmod(mode)
    assert load_signer(key_file, Alg.ED25519, PASS) == signer()


def test_elsewhere_modes_mean_nothing(key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key_file.chmod(0o644)
    monkeypatch.setattr(custody.os, "name", "nt")
    assert custody._read_private(key_file, cap=16384)


def test_links_pipes_and_directories_are_no_key_files(key_file: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(key_file)
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "folder").mkdir()
    for name, error in (("link", KeyFileUnreadableError), ("pipe", NotPrivateError), ("folder", NotPrivateError)):
        with pytest.raises(error):
            load_signer(tmp_path / name, Alg.ED25519, PASS)


KEYS: dict[str, Callable[[], object]] = {
    "ed25519": lambda: ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))),
    "p256": lambda: ec.derive_private_key(5, ec.SECP256R1()),
    "p384": lambda: ec.derive_private_key(5, ec.SECP384R1()),
    "ed448": ed448.Ed448PrivateKey.generate,
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
}


def pem(kind: str, encryption: object = None, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    encryption = BestAvailableEncryption(PASS) if encryption is None else encryption
    data = KEYS[kind]().private_bytes(Encoding.PEM, form, encryption)  # type: ignore[attr-defined]
    assert isinstance(data, bytes)
    return data


def test_files_of_other_tools_are_opened(tmp_path: Path) -> None:
    assert load_signer(write(tmp_path / "e", pem("ed25519")), Alg.EDDSA, PASS).public_key.alg is Alg.EDDSA
    assert load_signer(write(tmp_path / "p", pem("p256")), Alg.ESP256, PASS).private_bytes() == bytes(31) + b"\x05"
    with pytest.raises(WrongPassphraseError):
        load_signer(tmp_path / "p", Alg.ESP256, b"x")


@pytest.mark.parametrize(
    ("kind", "alg"),
    [
        *(("p256", alg) for alg in (Alg.ED25519, Alg.EDDSA)),
        *(("ed25519", alg) for alg in (Alg.ESP256, Alg.ES256)),
        *((kind, alg) for kind in ("p384", "ed448", "rsa") for alg in (Alg.ED25519, Alg.ESP256)),
    ],
)
def test_keys_of_another_kind_are_refused(tmp_path: Path, kind: str, alg: Alg) -> None:
    with pytest.raises(KeyFileAlgError):
        load_signer(write(tmp_path / "k", pem(kind)), alg, PASS)


def test_an_unknown_key_derivation_opens_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key derivation's object identifier becomes one nobody knows."""
    monkeypatch.setattr(pkcs8, "OID_SCRYPT", "1.3.6.1.4.1.11591.4.12")
    save_private_key(tmp_path / "k", signer(), PASS)
    with pytest.raises(CustodyError):
        load_signer(tmp_path / "k", Alg.ED25519, PASS)


def test_an_unknown_curve_is_told(tmp_path: Path) -> None:
    plain = KEYS["p256"]().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())  # type: ignore[attr-defined]
    odd = plain.replace(bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d03017f"))
    block = custody._pem(custody._encrypt(odd, PASS))
    with pytest.raises(KeyFileAlgError, match="unknown algorithm"):
        load_signer(write(tmp_path / "k", block), Alg.ESP256, PASS)


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL, PrivateFormat.OpenSSH])
def test_keys_in_clear_are_refused(tmp_path: Path, form: PrivateFormat) -> None:
    with pytest.raises(KeyFileUnencryptedError):
        load_signer(write(tmp_path / "k", pem("p256", NoEncryption(), form)), Alg.ESP256, PASS)


def test_a_key_beside_an_encrypted_one_in_clear_is_refused(key_file: Path) -> None:
    key_file.write_bytes(key_file.read_bytes() + pem("p256", NoEncryption()))
    with pytest.raises(KeyFileUnencryptedError):
        load_signer(key_file, Alg.ED25519, PASS)


def test_a_header_of_another_key_is_damage(key_file: Path) -> None:
    text = key_file.read_text()
    kid = signer().public_key.kid.hex()
    key_file.write_text(text.replace(kid, "0" * 16))
    with pytest.raises(KeyFileDamagedError, match="another key"):
        load_signer(key_file, Alg.ED25519, PASS)


# --- passphrases -------------------------------------------------------------------------------------


def test_passphrase_from_a_file(tmp_path: Path) -> None:
    for content in (PASS, PASS + b"\n"):
        assert read_passphrase(file=write(tmp_path / "p", content)) == PASS
    assert read_passphrase(file=write(tmp_path / "p", b" x \r\n")) == b" x \r"
    (tmp_path / "link").symlink_to(write(tmp_path / "p", PASS))
    assert read_passphrase(file=tmp_path / "link") == PASS


@pytest.mark.parametrize("content", [b"", b"\n", b"a\nb", b"a\n\n", b"x" * 1025])
def test_refuses_passphrases_that_are_not_one_line(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(PassphraseError):
        read_passphrase(file=write(tmp_path / "p", content))
    with open_pipe(content) as descriptor, pytest.raises(PassphraseError):
        read_passphrase(fd=descriptor.fd)


def test_a_big_file_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(CustodyError):
        read_passphrase(file=write(tmp_path / "p", b"x" * 5000))
    with open_pipe(b"x" * 5000) as descriptor, pytest.raises(PassphraseError):
        read_passphrase(fd=descriptor.fd)


class open_pipe:
    """A descriptor that gives `data`."""

    def __init__(self, data: bytes) -> None:
        self.fd, write_end = os.pipe()
        os.write(write_end, data)
        os.close(write_end)

    def __enter__(self) -> "open_pipe":
        return self

    def __exit__(self, *unused: object) -> None:
        os.close(self.fd)


def test_passphrase_from_a_descriptor() -> None:
    with open_pipe(PASS + b"\n") as descriptor:
        assert read_passphrase(fd=descriptor.fd) == PASS
    with pytest.raises(KeyFileUnreadableError):
        read_passphrase(fd=descriptor.fd)


def answers(monkeypatch: pytest.MonkeyPatch, *given: str) -> list[str]:
    left: Iterator[str] = iter(given)
    asked: list[str] = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return next(left)

    monkeypatch.setattr(getpass, "getpass", ask)
    return asked


def test_passphrase_from_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answers(monkeypatch, "口令 abc")
    assert read_passphrase(prompt="口令 passphrase: ") == "口令 abc".encode()
    assert asked == ["口令 passphrase: "]


def test_a_new_passphrase_is_asked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answers(monkeypatch, "one", "one")
    assert read_passphrase(prompt="?", confirm=True) == b"one"
    assert asked == ["?", "再输入一次 once more: ?"]
    answers(monkeypatch, "one", "two")
    with pytest.raises(PassphraseError, match="differ"):
        read_passphrase(prompt="?", confirm=True)
    answers(monkeypatch, "")
    with pytest.raises(PassphraseError):
        read_passphrase(prompt="?")


def test_without_a_terminal_nothing_is_echoed(monkeypatch: pytest.MonkeyPatch) -> None:
    def warn(prompt: str) -> str:
        warnings.warn("Can not control echo on the terminal.", getpass.GetPassWarning, stacklevel=2)
        return "shown"

    monkeypatch.setattr(getpass, "getpass", warn)
    with pytest.raises(PassphraseError, match="no terminal"):
        read_passphrase(prompt="?")

    def ended(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr(getpass, "getpass", ended)
    with pytest.raises(PassphraseError, match="no terminal"):
        read_passphrase(prompt="?")


def test_exactly_one_source(tmp_path: Path) -> None:
    for sources in ({}, {"prompt": "?", "fd": 0}, {"file": tmp_path, "fd": 0}, {"prompt": "", "file": tmp_path}):
        with pytest.raises(PassphraseError, match="exactly one"):
            read_passphrase(**sources)  # type: ignore[arg-type]
