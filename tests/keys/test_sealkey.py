"""Seal keys: sign what verifies under their certificate, in memory and from disk; PKCS #8 of SM2 as openssl has it."""

import pickle
import secrets
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from algs import NEEDS_SM2
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from mingzheng.keys import custody, der, pkcs8
from mingzheng.keys.alg import Alg
from mingzheng.keys.certmake import CertIssuer, CertSpec, make_certificate
from mingzheng.keys.custody import (
    generate_seal_key,
    load_seal_key,
    load_seal_private,
    load_signer,
    save_private_key,
    save_seal_key,
)
from mingzheng.keys.errors import (
    BadPrivateKeyError,
    CertError,
    DerError,
    KeyFileAlgError,
    KeyFileDamagedError,
    KeysError,
    PassphraseError,
    Pkcs8AlgorithmError,
    Pkcs8PassphraseError,
    SealKeyMismatchError,
    Sm2UnavailableError,
    WrongPassphraseError,
)
from mingzheng.keys.pkcs8 import (
    decrypt_private_info,
    encrypt_private_info,
    read_sm2_private_info,
    sm2_private_info,
)
from mingzheng.keys.sealkey import SealAlg, SealKey, SealPrivate, make_seal_key, parse_seal_private, sm2_seal_private
from mingzheng.keys.sm2 import use_engine
from mingzheng.keys.sm2backend import Backend
from mingzheng.keys.x509 import parse_certificate, verify_signed

SEALS = [pytest.param(alg, marks=NEEDS_SM2) if alg is SealAlg.SM2 else alg for alg in SealAlg]
PASS = "一把很长的口令".encode()
COST = (16, 8, 1)
AT = 1_800_000_000


@pytest.fixture(autouse=True)
def _cheap_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(custody, "SCRYPT_N", 16)
    monkeypatch.setattr(custody, "SCRYPT_P", 1)


@cache
def private(alg: SealAlg, _number: int = 0) -> SealPrivate:
    return generate_seal_key(alg)


def certificate(key: SealPrivate) -> bytes:
    spec = CertSpec(subject_cn="章", subject_o="局", spki=key.spki, serial=1, not_before=AT, not_after=AT + 1)
    return make_certificate(spec, CertIssuer(key=key))


def pkcs8_of(key: Any) -> bytes:
    data = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert isinstance(data, bytes)
    return data


@pytest.mark.parametrize("alg", SEALS)
def test_signs_what_its_certificate_verifies(alg: SealAlg) -> None:
    own, root = certificate(private(alg)), certificate(private(SealAlg.P256, 1))
    key: SealKey = make_seal_key(private(alg), certificate=own, chain=(root,))
    assert (key.alg, key.certificate, key.chain) == (alg, own, (root,))
    for message in (b"", b"message", bytes(100_000)):
        verify_signed(parse_certificate(own), algorithm_oid=alg.oid, message=message, signature=key.sign(message))


@pytest.mark.parametrize("alg", SEALS)
def test_a_certificate_of_another_key_is_refused(alg: SealAlg) -> None:
    for other in (private(alg, 1), private(SealAlg.P256 if alg is SealAlg.RSA else SealAlg.RSA)):
        with pytest.raises(SealKeyMismatchError):
            make_seal_key(private(alg), certificate=certificate(other))


def test_what_is_no_certificate_is_refused() -> None:
    key = private(SealAlg.P256)
    with pytest.raises(CertError):
        make_seal_key(key, certificate=b"\x30\x00")
    with pytest.raises(CertError):
        make_seal_key(key, certificate=certificate(key), chain=(b"\x30\x00",))


@pytest.mark.parametrize("alg", SEALS)
def test_shows_no_secret_and_does_not_travel(alg: SealAlg) -> None:
    key = private(alg)
    made = make_seal_key(key, certificate=certificate(key))
    for thing in (key, made):
        assert key.private_bytes().hex()[60:100] not in repr(thing)
        assert repr(key.private_bytes())[20:40] not in repr(thing)
        with pytest.raises(TypeError):
            pickle.dumps(thing)


OTHERS: dict[str, Callable[[], bytes]] = {
    "ed25519": lambda: pkcs8_of(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))),
    "p384": lambda: pkcs8_of(ec.derive_private_key(5, ec.SECP384R1())),
    "rsa 1024": lambda: pkcs8_of(rsa.generate_private_key(65537, 1024)),
    "nothing": lambda: b"",
    "noise": lambda: b"\x30\x03\x02\x01\x00",
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("alg", SEALS)
def test_other_private_keys_are_refused(alg: SealAlg, name: str) -> None:
    with pytest.raises(BadPrivateKeyError):
        parse_seal_private(OTHERS[name](), alg=alg)


@NEEDS_SM2
def test_each_algorithm_takes_its_own_keys() -> None:
    for alg in SealAlg:
        for other in SealAlg:
            if alg is not other:
                with pytest.raises(BadPrivateKeyError):
                    parse_seal_private(private(other).private_bytes(), alg=alg)


def test_without_an_engine_sm2_says_so() -> None:
    use_engine(None)
    try:
        with pytest.raises(Sm2UnavailableError):
            sm2_seal_private(b"\1" * 32)
    finally:
        use_engine(Backend())


# On disk


@pytest.mark.parametrize("alg", SEALS)
def test_round_trip(tmp_path: Path, alg: SealAlg) -> None:
    path, key = tmp_path / "章.pem", private(alg)
    save_seal_key(path, key, PASS)
    assert path.stat().st_mode & 0o777 == 0o600
    assert key.private_bytes()[30:60] not in path.read_bytes()
    again = load_seal_private(path, alg, PASS)
    assert again == key
    assert again.private_bytes() == key.private_bytes()
    made = load_seal_key(path, certificate(key), (certificate(key),), PASS)
    assert (made.alg, len(made.chain)) == (alg, 1)
    verify_signed(key.spki, algorithm_oid=alg.oid, message=b"m", signature=made.sign(b"m"))
    with pytest.raises(WrongPassphraseError):
        load_seal_private(path, alg, b"another passphrase")
    with pytest.raises(PassphraseError):
        load_seal_private(path, alg, b"")
    with pytest.raises(SealKeyMismatchError):
        load_seal_key(path, certificate(private(alg, 1)), (), PASS)


@pytest.mark.parametrize("alg", SEALS)
def test_a_file_of_another_algorithm(tmp_path: Path, alg: SealAlg) -> None:
    save_seal_key(tmp_path / "k", private(alg), PASS)
    for other in SealAlg:
        if other is not alg:
            with pytest.raises(KeyFileAlgError):
                load_seal_private(tmp_path / "k", other, PASS)


def test_a_header_of_another_key_is_damage(tmp_path: Path) -> None:
    for name, number in (("a", 0), ("b", 1)):
        save_seal_key(tmp_path / name, private(SealAlg.P256, number), PASS)
    one, two = (tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes()
    (tmp_path / "a").write_bytes(two[:31] + one[31:])
    with pytest.raises(KeyFileDamagedError):
        load_seal_private(tmp_path / "a", SealAlg.P256, PASS)


def test_a_certificate_that_signs_no_seals(tmp_path: Path) -> None:
    save_seal_key(tmp_path / "k", private(SealAlg.P256), PASS)
    other = ec.derive_private_key(5, ec.SECP384R1()).public_key()
    spki = other.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    issuer = private(SealAlg.P256)
    ca = CertSpec(
        subject_cn="根", subject_o="局", spki=issuer.spki, serial=1, not_before=AT, not_after=AT, ca=True,
        key_usage=frozenset({"keyCertSign"}),
    )  # fmt: skip
    root = parse_certificate(make_certificate(ca, CertIssuer(key=issuer)))
    spec = CertSpec(subject_cn="章", subject_o="局", spki=spki, serial=1, not_before=AT, not_after=AT)
    p384 = make_certificate(spec, CertIssuer(key=issuer, certificate=root))
    with pytest.raises(KeyFileAlgError):
        load_seal_key(tmp_path / "k", p384, (), PASS)


@NEEDS_SM2
def test_credential_and_seal_keys_of_sm2_share_the_form(tmp_path: Path) -> None:
    signer = custody.generate(Alg.SM2)
    save_private_key(tmp_path / "k", signer, PASS)
    assert load_seal_private(tmp_path / "k", SealAlg.SM2, PASS).spki == signer.public_key.spki
    with pytest.raises(KeyFileAlgError):
        load_signer(tmp_path / "k", Alg.ED25519, PASS)
    save_private_key(tmp_path / "e", custody.generate(Alg.ED25519), PASS)
    with pytest.raises(KeyFileAlgError):
        load_signer(tmp_path / "e", Alg.SM2, PASS)
    with pytest.raises(KeyFileAlgError):
        load_seal_private(tmp_path / "e", SealAlg.SM2, PASS)
    with pytest.raises(WrongPassphraseError):
        load_signer(tmp_path / "k", Alg.SM2, b"another passphrase")


# PKCS #8

POINT = b"\4" + bytes(64)
SCALAR = bytes(31) + b"\5"


@given(st.binary(min_size=1, max_size=100), st.binary(min_size=1, max_size=30))
def test_what_is_encrypted_opens_again(body: bytes, passphrase: bytes) -> None:
    plain = der.der_octets(body)
    made = encrypt_private_info(plain, passphrase, salt=bytes(16), iv=bytes(16), cost=COST)
    assert decrypt_private_info(made, passphrase) == plain
    with pytest.raises(Pkcs8PassphraseError):
        decrypt_private_info(made, passphrase + b"x")


def test_a_passphrase_whose_padding_fits_by_chance_opens_nothing() -> None:
    """One in 256 wrong passphrases leaves good padding: what is inside must be DER, too."""
    made = encrypt_private_info(b"no DER at all 12", PASS, salt=bytes(16), iv=bytes(16), cost=COST)
    with pytest.raises(Pkcs8PassphraseError):
        decrypt_private_info(made, PASS)


def encrypted(
    derivation: bytes | None = None, cipher: bytes | None = None, body: bytes = bytes(32), scheme: str = pkcs8.OID_PBES2
) -> bytes:
    """An EncryptedPrivateKeyInfo with any part replaced."""
    derivation = scrypt_of() if derivation is None else derivation
    cipher = cipher_of() if cipher is None else cipher
    algorithm = der.der_sequence(der.der_oid(scheme), der.der_sequence(derivation, cipher))
    return der.der_sequence(algorithm, der.der_octets(body))


def cipher_of(oid: str = "2.16.840.1.101.3.4.1.42", iv: bytes = bytes(16)) -> bytes:
    return der.der_sequence(der.der_oid(oid), der.der_octets(iv))


def scrypt_of(*numbers: int) -> bytes:
    integers = (der.der_integer(n) for n in numbers or (16, 8, 1, 32))
    return der.der_sequence(der.der_oid(pkcs8.OID_SCRYPT), der.der_sequence(der.der_octets(b"salt"), *integers))


def pbkdf2_of(*parts: bytes) -> bytes:
    return der.der_sequence(der.der_oid(pkcs8.OID_PBKDF2), der.der_sequence(der.der_octets(b"salt"), *parts))


def prf(oid: str = "1.2.840.113549.2.9", parameters: bytes = b"\x05\x00") -> bytes:
    return der.der_sequence(der.der_oid(oid), parameters)


ROUNDS = der.der_integer(2000)
REFUSED = {
    "other scheme": encrypted(scheme="1.2.840.113549.1.5.3"),
    "other cipher": encrypted(cipher=cipher_of("1.2.840.113549.3.7")),
    "short iv": encrypted(cipher=cipher_of(iv=bytes(15))),
    "body of no block": encrypted(body=bytes(15)),
    "empty body": encrypted(body=b""),
    "other derivation": encrypted(der.der_sequence(der.der_oid("1.2.3"), der.der_sequence(der.der_octets(b"")))),
    "no parameters": encrypted(der.der_sequence(der.der_oid(pkcs8.OID_SCRYPT), der.der_sequence())),
    "scrypt of two": encrypted(scrypt_of(16, 8)),
    "scrypt of five": encrypted(scrypt_of(16, 8, 1, 32, 1)),
    "scrypt n 1": encrypted(scrypt_of(1, 8, 1)),
    "scrypt n 17": encrypted(scrypt_of(17, 8, 1)),
    "scrypt n negative": encrypted(scrypt_of(-16, 8, 1)),
    "scrypt r 0": encrypted(scrypt_of(16, 0, 1)),
    "scrypt p 0": encrypted(scrypt_of(16, 8, 0)),
    "scrypt p 17": encrypted(scrypt_of(16, 8, 17)),
    "scrypt too much memory": encrypted(scrypt_of(2**17, 8, 1)),
    "scrypt key length": encrypted(scrypt_of(16, 8, 1, 16)),
    "pbkdf2 without prf": encrypted(pbkdf2_of(ROUNDS)),
    "pbkdf2 with length and no prf": encrypted(pbkdf2_of(ROUNDS, der.der_integer(32))),
    "pbkdf2 sha1": encrypted(pbkdf2_of(ROUNDS, prf("1.2.840.113549.2.7"))),
    "pbkdf2 key length": encrypted(pbkdf2_of(ROUNDS, der.der_integer(16), prf())),
    "pbkdf2 no rounds": encrypted(pbkdf2_of(der.der_integer(0), prf())),
    "pbkdf2 too many rounds": encrypted(pbkdf2_of(der.der_integer(5_000_001), prf())),
    "prf of three": encrypted(pbkdf2_of(ROUNDS, der.der_sequence(*[der.der_oid("1.2")] * 3))),
    "three parts": der.der_sequence(*[der.der_null()] * 3),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses_other_encryptions(name: str) -> None:
    with pytest.raises(Pkcs8AlgorithmError):
        decrypt_private_info(REFUSED[name], PASS)


@pytest.mark.parametrize("data", [b"", b"\x30\x00\x00", encrypted(pbkdf2_of(ROUNDS, prf(parameters=b"\x04\x00")))])
def test_refuses_other_bytes(data: bytes) -> None:
    with pytest.raises((DerError, Pkcs8AlgorithmError)):
        decrypt_private_info(data, PASS)


def test_a_file_of_a_make_not_read_here_is_told(tmp_path: Path) -> None:
    for data in (REFUSED["other cipher"], encrypted(pbkdf2_of(ROUNDS, prf(parameters=b"\x04\x00")))):
        path = tmp_path / secrets.token_hex(4)
        path.write_bytes(custody._pem(data))
        path.chmod(0o600)
        with pytest.raises(KeyFileAlgError):
            load_signer(path, Alg.SM2, PASS)


def test_sm2_private_keys_read_back() -> None:
    assert read_sm2_private_info(sm2_private_info(SCALAR, POINT)) == SCALAR


def info(version: int = 0, curve: str = "1.2.156.10197.1.301", inner: bytes | None = None) -> bytes:
    inner = der.der_sequence(der.der_integer(1), der.der_octets(SCALAR)) if inner is None else inner
    algorithm = der.der_sequence(der.der_oid("1.2.840.10045.2.1"), der.der_oid(curve))
    return der.der_sequence(der.der_integer(version), algorithm, der.der_octets(inner))


def test_sm2_private_keys_without_a_point_and_with_a_short_scalar() -> None:
    assert read_sm2_private_info(info()) == SCALAR
    assert read_sm2_private_info(info(version=1)) == SCALAR
    assert read_sm2_private_info(info(inner=der.der_sequence(der.der_integer(1), der.der_octets(b"\5")))) == SCALAR


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30\x00",
        der.der_sequence(der.der_integer(0), der.der_sequence()),
        info(version=2),
        info(curve="1.2.840.10045.3.1.7"),
        info(inner=b"\x30\x00"),
        info(inner=der.der_sequence(der.der_integer(2), der.der_octets(SCALAR))),
        info(inner=der.der_sequence(der.der_integer(1), der.der_octets(bytes(32)))),
        info(inner=der.der_sequence(der.der_integer(1), der.der_octets(b"\1" * 33))),
        info(inner=b"\x04"),
    ],
)
def test_refuses_other_private_keys(data: bytes) -> None:
    with pytest.raises(BadPrivateKeyError):
        read_sm2_private_info(data)


@settings(max_examples=40)
@given(st.data())
def test_damage_is_typed(data: st.DataObject) -> None:
    made = bytearray(encrypt_private_info(info(), PASS, salt=bytes(16), iv=bytes(16), cost=COST))
    place = data.draw(st.integers(0, len(made) - 1).filter(lambda i: not 60 <= i <= 75))  # not scrypt's numbers
    made[place] = data.draw(st.integers(0, 255))
    try:
        read_sm2_private_info(decrypt_private_info(bytes(made), PASS))
    except KeysError:
        return


# The openssl command


@pytest.fixture
def openssl(tmp_path: Path) -> Any:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl command")
    version = subprocess.run(["openssl", "version"], capture_output=True, check=True).stdout
    if not version.startswith(b"OpenSSL 3"):
        pytest.skip("openssl is not of version 3")

    def run(*words: str, data: bytes = b"") -> bytes:
        return subprocess.run(["openssl", *words], cwd=tmp_path, input=data, capture_output=True, check=True).stdout

    return run


@pytest.mark.parametrize("alg", SEALS)
def test_openssl_opens_our_files(openssl: Any, tmp_path: Path, alg: SealAlg) -> None:
    save_seal_key(tmp_path / "k", private(alg), b"a long passphrase")
    shown = openssl("pkcs8", "-in", "k", "-passin", "pass:a long passphrase", "-outform", "DER")
    assert openssl("pkey", "-inform", "DER", "-pubout", "-outform", "DER", data=shown) == private(alg).spki


@NEEDS_SM2
@pytest.mark.parametrize(
    "options",
    [
        ("-v2", "aes-256-cbc"),
        ("-v2", "aes-192-cbc", "-v2prf", "hmacWithSHA384"),
        ("-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512", "-iter", "5000"),
        ("-scrypt", "-scrypt_N", "1024", "-scrypt_r", "8", "-scrypt_p", "1"),
    ],
    ids=lambda options: options[1],
)
def test_we_open_openssls_files(openssl: Any, tmp_path: Path, options: tuple[str, ...]) -> None:
    clear = openssl("genpkey", "-algorithm", "SM2")
    spki = openssl("pkey", "-pubout", "-outform", "DER", data=clear)
    path = tmp_path / "k"
    path.write_bytes(openssl("pkcs8", "-topk8", *options, "-passout", "pass:a long passphrase", data=clear))
    path.chmod(0o600)
    assert load_seal_private(path, SealAlg.SM2, b"a long passphrase").spki == spki
    assert load_signer(path, Alg.SM2, b"a long passphrase").public_key.spki == spki
    with pytest.raises(WrongPassphraseError):
        load_signer(path, Alg.SM2, b"another passphrase")
