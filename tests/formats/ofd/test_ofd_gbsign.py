"""Digital signatures without a seal: both practices of GB/T 35275, and what is none of them."""

import base64
from dataclasses import dataclass, replace
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ofdforge import AT, Files, Press, certificate, document, folder, key, pack, put, root

from mingzheng.formats.candidate import SealFacts, SealForm
from mingzheng.formats.limits import OFD_LIMITS
from mingzheng.formats.ofd.document import read_ofd
from mingzheng.formats.ofd.gbsign import bound_to, parse_signed_data
from mingzheng.formats.ofd.integrity import check_ofd
from mingzheng.formats.ofd.package import read_package
from mingzheng.formats.ofd.signedinfo import OfdSignatureError
from mingzheng.keys import der
from mingzheng.keys.sm2backend import can_sign
from mingzheng.keys.sm3 import sm3
from mingzheng.keys.x509 import parse_certificate

pytestmark = pytest.mark.skipif(not can_sign(), reason="no libcrypto that signs with SM2")

SIGNED, DATA = "1.2.156.10197.6.1.4.2.2", "1.2.156.10197.6.1.4.2.1"
VALUE, SIGN = f"{folder(0)}/SignedValue.dat", f"{folder(0)}/Signature.xml"


@dataclass(frozen=True, kw_only=True)
class Form:
    """A SignedData with every choice open. `content`: "digest", "base64", "xml", "other" or "" (left out)."""

    content: str = "digest"
    attributes: str = ""  # "", "digest", "content", "other"
    signer: str = "alice"
    named: str = "alice"
    algorithm: str = "1.2.156.10197.1.301.1"
    kind: str = SIGNED
    inner: str = DATA
    time: bool = True
    twice: bool = False
    certificates: tuple[str, ...] = ("alice",)
    crls: bool = False
    signers: int = 1
    unsigned: bool = False
    usage: frozenset[str] | None = None
    tail: bytes = b""

    def __call__(self, raw: bytes, _: str = "") -> bytes:
        digest = sm3(raw)
        content = {"digest": digest, "base64": base64.b64encode(digest), "xml": raw, "other": b"other", "": None}[
            self.content
        ]
        message = digest if content is None else content
        attributes = b""
        if self.attributes:
            of = {"digest": digest, "content": sm3(content or b""), "other": sm3(b"z"), "none": b""}[self.attributes]
            body = self._attributes(of)
            attributes, message = der.der_implicit(0, der.der_tlv(der.SET, body)), der.der_tlv(der.SET, body)
        named = parse_certificate(certificate(self.named))
        signer = der.der_sequence(
            der.der_integer(1),
            der.der_sequence(named.issuer, der.der_integer(named.serial)),
            der.der_sequence(der.der_oid("1.2.156.10197.1.401"), der.der_null()),
            attributes,
            der.der_sequence(*([der.der_oid(self.algorithm), der.der_null()] if self.algorithm else [])),
            der.der_octets(key(self.signer).sign(message)),
            der.der_implicit(1, der.der_set()) if self.unsigned else b"",
            self.tail,
        )
        parts = [] if content is None else [der.der_explicit(0, der.der_octets(content))]
        certs = b"".join(root() if name == "root" else self._certificate(name) for name in self.certificates)
        body = der.der_sequence(
            der.der_integer(1),
            der.der_set(der.der_sequence(der.der_oid("1.2.156.10197.1.401"))),
            der.der_sequence(der.der_oid(self.inner), *parts),
            der.der_implicit(0, der.der_tlv(der.SET, certs)),
            der.der_implicit(1, der.der_set()) if self.crls else b"",
            der.der_tlv(der.SET, signer * self.signers),
        )
        return der.der_sequence(der.der_oid(self.kind), der.der_explicit(0, body))

    def _certificate(self, name: str) -> bytes:
        return certificate(name) if self.usage is None else certificate(name, usage=self.usage)

    def _attributes(self, digest: bytes) -> bytes:
        items = [
            ("1.2.840.113549.1.9.3", der.der_oid(DATA)),
            ("1.2.840.113549.1.9.4", der.der_octets(digest)),
        ]
        if not digest:
            del items[1]
        if self.time:
            items.append(("1.2.840.113549.1.9.5", der.der_utctime(AT)))
        items += items[1:2] if self.twice else []
        return b"".join(der.der_sequence(der.der_oid(oid), der.der_set(value)) for oid, value in items)


@cache
def made(form: Form, raw: bytes) -> bytes:
    return form(raw)


A = Form()
B = Form(content="", attributes="digest")


def files_with(form: Form) -> Files:
    return put(document(), [Press(kind="Sign", value=form, stamps="")])


def check(form: Form) -> SealFacts:
    package = read_package(pack(files_with(form)), limits=OFD_LIMITS)
    (facts,), _ = check_ofd(package, read_ofd(package, limits=OFD_LIMITS), limits=OFD_LIMITS)
    return facts


@pytest.mark.parametrize(
    ("form", "timed"),
    [
        (A, False),
        (replace(A, content="base64"), False),
        (replace(A, content="xml"), False),
        (replace(A, content=""), False),
        (B, True),
        (replace(B, time=False), False),
        (replace(B, content="xml"), True),
        (replace(B, content="digest", attributes="content"), True),
        (replace(B, content="base64", attributes="content"), True),
        (replace(A, certificates=("alice", "root")), False),
        (replace(A, crls=True, unsigned=True), False),
        (replace(A, kind="1.2.840.113549.1.7.2", inner="1.2.840.113549.1.7.1"), False),
        (replace(A, algorithm="1.2.156.10197.1.501"), False),
    ],
)
def test_both_practices_hold(form: Form, timed: bool) -> None:
    facts = check(form)
    assert facts.faults == ()
    assert (facts.form, facts.details, facts.marks) == (SealForm.SIGNED, None, ())
    assert facts.certificate == certificate("alice")
    assert facts.chain == ((root(),) if "root" in form.certificates else ())
    assert facts.signed_at == (AT if timed else None)


@pytest.mark.parametrize(
    ("form", "faults"),
    [
        (replace(A, content="other"), ("file.signature_xml", )),
        (replace(B, attributes="other"), ("file.signature_xml",)),
        (replace(B, content="other", attributes="content"), ("file.signature_xml",)),
        (replace(A, signer="mallory"), ("seal.signature",)),
        (replace(B, signer="mallory"), ("seal.signature",)),
        (replace(A, algorithm="1.2.840.10045.4.3.2"), ("seal.algorithm",)),
        (replace(A, certificates=("bob",)), ("seal.format",)),
        (replace(A, certificates=()), ("seal.format",)),
        (replace(A, certificates=("alice",) * 17), ("seal.format",)),
        (replace(A, kind=DATA), ("seal.format",)),
        (replace(A, inner=SIGNED), ("seal.format",)),
        (replace(A, signers=2), ("seal.format",)),
        (replace(A, signers=0), ("seal.format",)),
        (replace(B, twice=True), ("seal.format",)),
        (replace(B, attributes="none"), ("seal.format",)),
        (replace(A, usage=frozenset({"keyEncipherment"})), ("seal.certificate_usage",)),
        (replace(A, tail=der.der_null()), ("seal.format",)),
        (replace(A, algorithm=""), ("seal.format",)),
    ],
)  # fmt: skip
def test_what_does_not_hold_is_named(form: Form, faults: tuple[str, ...]) -> None:
    found = check(form).faults
    assert tuple(code for code in found if code != "seal.signature" or code in faults) == faults


def test_an_edit_of_the_description_is_named() -> None:
    for form in (A, B):
        files = files_with(form)
        files[SIGN] = files[SIGN].replace(b'"forge"', b'"Forge"')
        package = read_package(pack(files), limits=OFD_LIMITS)
        (facts,), named = check_ofd(package, read_ofd(package, limits=OFD_LIMITS), limits=OFD_LIMITS)
        assert facts.faults == ("file.signature_xml",)
        assert named == (("file.signature_xml", SIGN),)


def test_a_seal_and_a_signature_in_one_file() -> None:
    package = read_package(pack(put(document(), [Press(), Press(kind="Sign", value=B, stamps="")])), limits=OFD_LIMITS)
    seals, named = check_ofd(package, read_ofd(package, limits=OFD_LIMITS), limits=OFD_LIMITS)
    assert [(item.form, item.faults) for item in seals] == [(SealForm.SES, ()), (SealForm.SIGNED, ())]
    assert named == ()


def test_missing_parts_are_no_signed_data() -> None:
    whole = der.parse_der(A(b"x"))
    for depth in range(6):  # drop the last part at each depth
        with pytest.raises(OfdSignatureError):
            parse_signed_data(_without_last(whole, depth))


def test_three_parts_are_no_signed_data() -> None:
    whole = der.parse_der(A(b"x"))
    kind, wrapped = whole.children()
    (body,) = wrapped.children()
    parts = b"".join(child.raw() for child in body.children()[:3])
    with pytest.raises(OfdSignatureError):
        parse_signed_data(der.der_sequence(kind.raw(), der.der_explicit(0, der.der_tlv(der.SEQUENCE, parts))))


def test_a_weak_digest_is_named_and_nothing_is_verified() -> None:
    press = Press(kind="Sign", value=A, stamps="", check="MD5")
    package = read_package(pack(put(document(), [press])), limits=OFD_LIMITS)
    (facts,), _ = check_ofd(package, read_ofd(package, limits=OFD_LIMITS), limits=OFD_LIMITS)
    assert facts.faults == ("seal.digest_method",)


def _without_last(node: der.Node, depth: int) -> bytes:
    children = [child.raw() for child in node.children()]
    if depth == 0:
        return der.der_tlv(node.tag, b"".join(children[:-1]))
    children[-1] = _without_last(node.children()[-1], depth - 1) if node.children()[-1].tag & 0x20 else b""
    return der.der_tlv(node.tag, b"".join(children))


@given(st.data())
def test_any_changed_byte_is_refused_or_does_not_verify(data: st.DataObject) -> None:
    raw = b"<Signature/>"
    form = data.draw(st.sampled_from([A, B]))
    good = made(form, raw)  # signatures differ from one making to the next
    place = data.draw(st.integers(0, len(good) - 1))
    changed = good[:place] + bytes((good[place] ^ data.draw(st.integers(1, 255)),)) + good[place + 1 :]
    try:
        signed = parse_signed_data(changed)
    except OfdSignatureError:
        return
    before = parse_signed_data(good)
    fields = ("certificate", "algorithm", "signature", "message")
    same = all(getattr(signed, name) == getattr(before, name) for name in fields)
    assert not same or bound_to(signed, raw, sm3) in (None, bound_to(before, raw, sm3))


@given(st.binary(max_size=100))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(OfdSignatureError):
        parse_signed_data(data)
