"""Seal keys in a token: SoftHSM stands for the authority's device."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sealpress
import softtoken
from softtoken import NAMES, PIN

from mingzheng.formats.page import Rect
from mingzheng.keys.certmake import CertIssuer, CertSpec, make_certificate, make_csr
from mingzheng.keys.errors import SealKeyMismatchError, SealTokenError
from mingzheng.keys.sealkey import SealAlg, SealKey
from mingzheng.keys.sealtoken import TokenPlace, TokenSealKey, open_request_key, open_token_key
from mingzheng.keys.x509 import parse_certificate, verify_signed


@pytest.fixture(scope="module")
def token() -> Path:
    return softtoken.library()


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


@pytest.mark.pkcs11
@pytest.mark.parametrize("alg", list(NAMES))
@pytest.mark.parametrize("by_id", [False, True])
def test_a_token_signs_the_request_for_its_certificate(token: Path, alg: SealAlg, by_id: bool) -> None:
    from cryptography.x509 import load_der_x509_csr

    key_id = bytes([1 + list(NAMES).index(alg)])
    changes = {"key": None, "key_id": key_id} if by_id else {"key": alg.name}
    key = open_request_key(place(token, **changes), pin=PIN)
    assert key is not None
    assert (key.alg, key.spki) == (alg, sealpress.private(NAMES[alg], alg).spki)
    request = load_der_x509_csr(make_csr(subject_cn="章", subject_o="某部", key=key))
    assert request.is_signature_valid


class Refused(Exception):
    """What the fake library raises."""


def fake(monkeypatch: pytest.MonkeyPatch, public: dict[str, Any] | None) -> None:
    """A library whose token shows that public key, and signs nothing."""

    def get_key(*, object_class: str, label: str, id: bytes) -> object:
        if object_class == "public" and public is None:
            raise Refused
        return public

    session = SimpleNamespace(get_key=get_key)
    opened = SimpleNamespace(open=lambda user_pin=None: session)
    names = ("KEY_TYPE", "MODULUS", "PUBLIC_EXPONENT", "EC_POINT")
    module = SimpleNamespace(
        lib=lambda path: SimpleNamespace(get_token=lambda token_label: opened),
        PKCS11Error=Refused,
        UserAlreadyLoggedIn=Refused,
        NoSuchKey=Refused,
        ObjectClass=SimpleNamespace(PRIVATE_KEY="private", PUBLIC_KEY="public"),
        Attribute=SimpleNamespace(**{name: name for name in names}),
        KeyType=SimpleNamespace(RSA="rsa"),
    )
    monkeypatch.setitem(sys.modules, "pkcs11", module)


def test_public_keys_as_tokens_show_them(monkeypatch: pytest.MonkeyPatch) -> None:
    spki = sealpress.private("章").spki
    for point in (spki[-65:], b"\x04\x41" + spki[-65:]):
        fake(monkeypatch, {"KEY_TYPE": "ec", "EC_POINT": point})
        key = open_request_key(place(Path("/a.so")), pin=PIN)
        assert key is not None
        assert (key.alg, key.spki) == (SealAlg.P256, spki)
    fake(monkeypatch, {"KEY_TYPE": "rsa", "MODULUS": ((1 << 2047) + 1).to_bytes(256), "PUBLIC_EXPONENT": b"\1\0\1"})
    key = open_request_key(place(Path("/a.so")), pin=PIN)
    assert key is not None
    assert key.alg is SealAlg.RSA
    fake(monkeypatch, None)
    assert open_request_key(place(Path("/a.so")), pin=PIN) is None


@pytest.mark.parametrize(
    "public",
    [{"KEY_TYPE": "ec", "EC_POINT": b"\4" + bytes(64)}, {"KEY_TYPE": "ec", "EC_POINT": b""}, {"KEY_TYPE": "ec"}, {}],
)
def test_refuses_public_keys_that_are_none(monkeypatch: pytest.MonkeyPatch, public: dict[str, Any]) -> None:
    fake(monkeypatch, public)
    with pytest.raises(SealTokenError, match="P-256 or RSA"):
        open_request_key(place(Path("/a.so")), pin=PIN)


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
