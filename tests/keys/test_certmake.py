"""Certificates made here: what was wished for, nothing a CA may not grant, and openssl accepts them."""

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from algs import NEEDS_SM2

from mingzheng.keys import der
from mingzheng.keys.certmake import (
    CA_USAGE,
    SEAL_USAGE,
    CertIssuer,
    CertSpec,
    der_name,
    key_identifier,
    make_certificate,
    make_csr,
)
from mingzheng.keys.custody import generate_seal_key
from mingzheng.keys.errors import CertError, CertSpecError
from mingzheng.keys.sealkey import SealAlg, SealPrivate
from mingzheng.keys.x509 import KEY_USAGES, Certificate, check_chain, may_sign, parse_certificate, verify_signed

FROM, UNTIL = 1_700_000_000, 1_900_000_000
SEALS = [pytest.param(alg, marks=NEEDS_SM2) if alg is SealAlg.SM2 else alg for alg in SealAlg]


@cache
def key(name: str, alg: SealAlg) -> SealPrivate:
    return generate_seal_key(alg)


def spec(private: SealPrivate, **wish: Any) -> CertSpec:
    usual: dict[str, Any] = {
        "subject_cn": "某章",
        "subject_o": "某省住房和城乡建设厅",
        "spki": private.spki,
        "serial": 1,
        "not_before": FROM,
        "not_after": UNTIL,
    }
    return CertSpec(**(usual | wish))


def root_der(alg: SealAlg, **wish: Any) -> bytes:
    private = key("root", alg)
    usual: dict[str, Any] = {"ca": True, "key_usage": CA_USAGE}
    return make_certificate(spec(private, **(usual | wish)), CertIssuer(key=private))


@cache
def root(alg: SealAlg) -> Certificate:
    return parse_certificate(root_der(alg))


@pytest.mark.parametrize("alg", SEALS)
def test_a_root(alg: SealAlg) -> None:
    made = root(alg)
    assert (made.is_ca, made.path_len, made.key_usage, made.serial) == (True, None, CA_USAGE, 1)
    assert made.subject == made.issuer == der_name("某章", "某省住房和城乡建设厅")
    assert made.subject_text == "C=CN, O=某省住房和城乡建设厅, CN=某章"
    assert made.ski == made.aki == key_identifier(made.spki)
    assert len(made.ski or b"") == 20
    assert (made.not_before, made.not_after, made.algorithm_oid) == (FROM, UNTIL, alg.oid)
    verify_signed(made, algorithm_oid=made.algorithm_oid, message=made.tbs, signature=made.signature)


@pytest.mark.parametrize("by", SEALS)
@pytest.mark.parametrize("alg", SEALS)
def test_a_signer_under_each_root(alg: SealAlg, by: SealAlg) -> None:
    private = key("end", alg)
    issuer = CertIssuer(key=key("root", by), certificate=root(by))
    made = parse_certificate(make_certificate(spec(private, serial=2**158), issuer))
    assert (made.is_ca, made.key_usage, made.spki, made.serial) == (False, SEAL_USAGE, private.spki, 2**158)
    assert (made.issuer, made.aki) == (root(by).subject, root(by).ski)
    assert may_sign(made)
    assert check_chain(made, pool=(), roots=[root(by)], at=FROM) == ()


def test_the_same_wish_gives_the_same_bytes() -> None:
    """SM2 apart, whose signature draws a random number: there the signed part is the same."""
    for alg in (SealAlg.P256, SealAlg.RSA):
        assert root_der(alg) == root_der(alg)


@NEEDS_SM2
def test_the_same_wish_gives_the_same_signed_bytes_under_sm2() -> None:
    one, two = (parse_certificate(root_der(SealAlg.SM2)) for _ in range(2))
    assert one.tbs == two.tbs
    assert one.signature != two.signature


@pytest.mark.parametrize("usage", KEY_USAGES)
def test_every_key_usage_reads_back(usage: str) -> None:
    for usages in ({usage}, {usage, "digitalSignature"}, {usage, "decipherOnly"}):
        made = parse_certificate(root_der(SealAlg.P256, ca="keyCertSign" in usages, key_usage=frozenset(usages)))
        assert made.key_usage == usages


@pytest.mark.parametrize("at", [2_524_607_999, 2_524_608_000, 253_402_300_799])
def test_times_before_and_after_2050(at: int) -> None:
    made = parse_certificate(root_der(SealAlg.P256, not_after=at))
    assert made.not_after == at
    tag = der.UTC_TIME if at < 2_524_608_000 else der.GENERALIZED_TIME
    validity = der.parse_der(made.tbs).children()[4]
    assert validity.children()[1].tag == tag


def test_path_length_reads_back() -> None:
    for length in (None, 0, 3):
        assert parse_certificate(root_der(SealAlg.P256, path_len=length)).path_len == length


WISHES: dict[str, dict[str, Any]] = {
    "serial 0": {"serial": 0},
    "serial negative": {"serial": -1},
    "serial of 21 bytes": {"serial": 1 << 159},
    "ends before it begins": {"not_before": UNTIL + 1},
    "before 1970": {"not_before": -1},
    "after 9999": {"not_after": 253_402_300_800},
    "no usage": {"key_usage": frozenset()},
    "unknown usage": {"key_usage": frozenset({"sign"})},
    "ca that certifies nothing": {"key_usage": SEAL_USAGE},
    "end that certifies": {"ca": False},
    "path length of no ca": {"ca": False, "key_usage": SEAL_USAGE, "path_len": 0},
    "path length negative": {"path_len": -1},
    "name empty": {"subject_cn": ""},
    "name too long": {"subject_cn": "长" * 65},
    "name padded": {"subject_o": " 章"},
    "name of two lines": {"subject_o": "a\nb"},
}


@pytest.mark.parametrize("name", WISHES)
def test_refuses_wishes(name: str) -> None:
    with pytest.raises(CertSpecError):
        root_der(SealAlg.P256, **WISHES[name])
    root_der(SealAlg.P256, subject_cn="长" * 64, serial=(1 << 159) - 1)


def test_refuses_keys_it_cannot_read() -> None:
    with pytest.raises(CertError):
        root_der(SealAlg.P256, spki=b"\x30\x00")


def test_an_issuer_that_may_not_grant_it() -> None:
    root_key, end_key = key("root", SealAlg.P256), key("end", SealAlg.P256)
    with pytest.raises(CertSpecError, match="private key"):
        make_certificate(spec(end_key), CertIssuer(key=root_key))
    with pytest.raises(CertSpecError, match="private key"):
        make_certificate(spec(end_key), CertIssuer(key=end_key, certificate=root(SealAlg.P256)))
    end = parse_certificate(make_certificate(spec(end_key), CertIssuer(key=root_key, certificate=root(SealAlg.P256))))
    with pytest.raises(CertSpecError, match="no CA"):
        make_certificate(spec(root_key), CertIssuer(key=end_key, certificate=end))
    short = parse_certificate(root_der(SealAlg.P256, path_len=0))
    with pytest.raises(CertSpecError, match="path length"):
        make_certificate(spec(end_key, ca=True, key_usage=CA_USAGE), CertIssuer(key=root_key, certificate=short))
    make_certificate(spec(end_key), CertIssuer(key=root_key, certificate=short))


# The openssl command


@pytest.fixture
def openssl(tmp_path: Path) -> Any:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl command")
    version = subprocess.run(["openssl", "version"], capture_output=True, check=True).stdout
    if not version.startswith(b"OpenSSL 3"):
        pytest.skip("openssl is not of version 3")

    def run(*words: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(["openssl", *words], cwd=tmp_path, capture_output=True, check=False)

    return run


DISTID = ("-vfyopt", "distid:1234567812345678")


@pytest.mark.parametrize("by", SEALS)
@pytest.mark.parametrize("alg", SEALS)
def test_openssl_walks_our_chain(openssl: Any, tmp_path: Path, alg: SealAlg, by: SealAlg) -> None:
    issuer = CertIssuer(key=key("root", by), certificate=root(by))
    end = make_certificate(spec(key("end", alg), subject_cn="章"), issuer)
    for name, data in (("root", root(by).der), ("end", end)):
        (tmp_path / f"{name}.der").write_bytes(data)
        assert openssl("x509", "-inform", "DER", "-in", f"{name}.der", "-out", f"{name}.pem").returncode == 0
    ids = DISTID if by is SealAlg.SM2 else ()
    done = openssl("verify", "-x509_strict", "-attime", str(FROM), *ids, "-CAfile", "root.pem", "end.pem")
    assert done.returncode == 0, done.stdout + done.stderr
    text = openssl("x509", "-in", "end.pem", "-noout", "-text").stdout.decode()
    assert "X509v3 Basic Constraints: critical" in text
    assert "X509v3 Key Usage: critical\n                Digital Signature, Non Repudiation\n" in text
    assert "X509v3 Authority Key Identifier" in text


@pytest.mark.parametrize("alg", SEALS)
def test_openssl_reads_our_requests(openssl: Any, tmp_path: Path, alg: SealAlg) -> None:
    (tmp_path / "csr").write_bytes(make_csr(subject_cn="某章", subject_o="某局", key=key("end", alg)))
    ids = DISTID if alg is SealAlg.SM2 else ()
    done = openssl(
        "req", "-inform", "DER", "-in", "csr", "-verify", "-noout", "-subject", "-utf8", "-nameopt", "utf8", *ids
    )
    assert done.returncode == 0, done.stderr
    assert b"verify OK" in done.stdout + done.stderr
    with pytest.raises(CertSpecError):
        make_csr(subject_cn="", subject_o="某局", key=key("end", alg))
