"""Seal keys in a token: SoftHSM stands for the authority's device."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sealpress

from mingzheng.formats.page import Rect
from mingzheng.keys.certmake import CertIssuer, CertSpec, make_certificate
from mingzheng.keys.errors import SealKeyMismatchError, SealTokenError
from mingzheng.keys.sealkey import SealAlg, SealKey
from mingzheng.keys.sealtoken import TokenPlace, TokenSealKey, open_token_key
from mingzheng.keys.x509 import parse_certificate, verify_signed

LIBRARIES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
PIN = "271828"
NAMES = {SealAlg.P256: "章p256", SealAlg.RSA: "章rsa"}


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh token with one key of each kind, brought in as PKCS #8; the library's path."""
    library = next((Path(path) for path in LIBRARIES if Path(path).exists()), None)
    if library is None:
        pytest.skip("the library of SoftHSM is not where Debian puts it")
    home = tmp_path_factory.mktemp("softhsm")
    (home / "tokens").mkdir()
    (home / "softhsm2.conf").write_text(f"directories.tokendir = {home / 'tokens'}\nobjectstore.backend = file\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(home / "softhsm2.conf"))
        tool = ["softhsm2-util", "--module", str(library)]
        command = [*tool, "--init-token", "--free", "--label", "seals", "--so-pin", "314159", "--pin", PIN]
        subprocess.run(command, check=True, capture_output=True)
        for number, alg in enumerate(NAMES, start=1):
            path = home / f"{alg}.pem"
            _write_pem(path, sealpress.private(NAMES[alg], alg).private_bytes())
            command = [*tool, "--import", str(path), "--token", "seals", "--label", alg.name, "--id", f"0{number}"]
            subprocess.run([*command, "--pin", PIN], check=True, capture_output=True)
        yield library


def _write_pem(path: Path, pkcs8: bytes) -> None:
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_der_private_key,
    )

    key = load_der_private_key(pkcs8, None)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def place(library: Path, /, **changes: Any) -> TokenPlace:
    return TokenPlace(**{"library": library, "token": "seals", "key": "P256", **changes})


@pytest.mark.pkcs11
@pytest.mark.parametrize(
    "changes",
    [{"pin": "000000"}, {"token": "other"}, {"key": "other"}, {"library": Path("/nowhere.so")}],
)
def test_refuses_what_is_not_there_and_names_no_label(token: Path, changes: dict[str, Any]) -> None:
    pin = changes.pop("pin", PIN)
    with pytest.raises(SealTokenError) as caught:
        open_token_key(place(token, **changes), pin=pin, certificate=sealpress.certificate(NAMES[SealAlg.P256]))
    assert not {"other", "seals", pin} & set(str(caught.value).split())


@pytest.mark.pkcs11
@pytest.mark.parametrize("alg", list(NAMES))
def test_a_token_signs_what_its_certificate_verifies(token: Path, alg: SealAlg) -> None:
    certificate = sealpress.certificate(NAMES[alg], alg)
    key: SealKey = open_token_key(
        place(token, key=alg.name), pin=PIN, certificate=certificate, chain=(sealpress.root(),)
    )
    assert key.alg is alg
    assert key.chain == (sealpress.root(),)
    signature = key.sign(b"message")
    verify_signed(parse_certificate(certificate), algorithm_oid=alg.oid, message=b"message", signature=signature)


@pytest.mark.pkcs11
def test_a_token_seals_a_pdf(token: Path) -> None:
    """The same page, sealed by devices, is accepted by the check of a verifier."""
    from mingzheng.formats.fontfile import load_fonts
    from mingzheng.formats.page import PageSpec
    from mingzheng.formats.pdf.compose import PdfMetadata, compose_pdf
    from mingzheng.formats.pdf.integrity import check_pdf
    from mingzheng.formats.pdf.seal import PdfSealing, seal_pdf
    from mingzheng.formats.sealart import personal_seal, seal_art_pdf

    fonts = load_fonts()
    page = PageSpec(width_mm=100, height_mm=100, language="zh-CN", title="证", boxes=())
    metadata = PdfMetadata(author="某部", subject="试", producer="mingzheng")
    data = compose_pdf(page, fonts=fonts, attachments={}, metadata=metadata)
    art = seal_art_pdf(personal_seal("张三", fonts=fonts))
    seals = []
    for number, alg in enumerate(NAMES):
        certificate = sealpress.certificate(NAMES[alg], alg)
        key = open_token_key(place(token, key=alg.name), pin=PIN, certificate=certificate, chain=(sealpress.root(),))
        rect = Rect(x_mm=10 + 40 * number, y_mm=10, width_mm=22, height_mm=22)
        seals.append(PdfSealing(key=key, field=f"Seal{number}", rect=rect, art_pdf=art, art_png=None, reason="签发"))
    facts, faults = check_pdf(seal_pdf(data, seals=seals, at=sealpress.AT, timestamps=None))
    assert faults == ()
    assert [seal.faults for seal in facts] == [(), ()]


@pytest.mark.pkcs11
def test_refuses_the_certificate_of_another_key(token: Path) -> None:
    with pytest.raises(SealKeyMismatchError):
        open_token_key(place(token), pin=PIN, certificate=sealpress.certificate("somebody else"))


def test_a_token_that_fails_while_signing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mechanism:
        ECDSA = SHA256_RSA_PKCS = 1

    class PKCS11Error(Exception):
        pass

    class Key:
        def sign(self, message: bytes, *, mechanism: int) -> bytes:
            raise PKCS11Error("label of the key")

    monkeypatch.setitem(sys.modules, "pkcs11", SimpleNamespace(Mechanism=Mechanism, PKCS11Error=PKCS11Error))
    key = TokenSealKey(alg=SealAlg.P256, certificate=b"", chain=(), _key=Key())
    with pytest.raises(SealTokenError, match="PKCS11Error") as caught:
        key.sign(b"")
    assert "label" not in str(caught.value)


def test_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    with pytest.raises(SealTokenError, match="mingzheng\\[pkcs11\\]"):
        open_token_key(place(Path("/nowhere.so")), pin="", certificate=sealpress.certificate("某部"))


def test_refuses_certificates_of_keys_no_token_is_asked_for() -> None:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = ec.derive_private_key(7, ec.SECP384R1()).public_key()
    spec = CertSpec(
        subject_cn="p384",
        subject_o="某部",
        spki=public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        serial=9,
        not_before=sealpress.AT,
        not_after=sealpress.AT + 1,
    )
    issuer = CertIssuer(key=sealpress.private("root"), certificate=parse_certificate(sealpress.root()))
    with pytest.raises(SealTokenError):
        open_token_key(place(Path("/nowhere.so")), pin="", certificate=make_certificate(spec, issuer))
