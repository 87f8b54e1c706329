"""Seals and their signatures: other makers' files read to the letter, our own written back byte for byte."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingzheng.formats.ofd import ses
from mingzheng.formats.ofd.ses import CertListKind, SesError, SesExtension, SesSealInfo, SesVersionError
from mingzheng.keys import der

VECTORS = Path(__file__).resolve().parents[2] / "vectors/ofd/ses"
SM2_SM3 = "1.2.156.10197.1.501"
AT = 1_700_000_000


def vector(name: str) -> bytes:
    return (VECTORS / name).read_bytes()


def info(**changes: Any) -> SesSealInfo:
    values: dict[str, Any] = {
        "version": 4,
        "vid": "mingzheng",
        "esid": "11000000000001",
        "kind": 1,
        "name": "某省住房和城乡建设厅行政许可专用章",
        "certs_kind": CertListKind.CERTIFICATES,
        "certs": (b"certificate",),
        "created": AT,
        "valid_from": AT,
        "valid_until": AT + 86400,
        "picture_type": "png",
        "picture": b"\x89PNG",
        "width_mm": 42,
        "height_mm": 42,
    }
    return SesSealInfo(**{**values, **changes})


def seal(encoded: bytes | None = None) -> bytes:
    encoded = ses.encode_seal_info(info()) if encoded is None else encoded
    return ses.encode_seal(encoded, certificate=b"maker", algorithm=SM2_SM3, signature=b"rs")


def signature(sealed: bytes | None = None) -> bytes:
    tbs = ses.encode_tbs(sealed or seal(), time=AT, data_hash=bytes(32), property_info="/Doc_0/Signs/Sign_0/a.xml")
    return ses.encode_signature(tbs, certificate=b"signer", algorithm=SM2_SM3, signature=b"rs")


@pytest.mark.parametrize(
    ("name", "version", "stamped"),
    [("UserV1.esl", 1, False), ("UserV4.esl", 4, False), ("UserV5.esl", 5, False), ("UserV5_ts.esl", 5, True)],
)
def test_reads_seals_of_every_version(name: str, version: int, stamped: bool) -> None:
    data = vector(name)
    found = ses.parse_seal(data)
    assert found.raw == data
    assert (found.version, found.info.width_mm, found.info.height_mm) == (version, 40, 40)
    assert found.info.name.endswith("测试用印章")
    assert found.info.vid.startswith("OFDR&WTest")
    assert found.info.picture.startswith(b"\x89PNG")
    assert found.info.picture_type == "PNG"
    assert found.info.certs_kind is CertListKind.CERTIFICATES
    assert found.info.created == found.info.valid_from < found.info.valid_until
    assert found.algorithm == SM2_SM3
    assert (found.timestamp is not None) is stamped
    assert der.parse_der(found.maker_certificate).raw() == found.maker_certificate
    info_node = der.parse_der(data).children()[0]
    if version == 1:
        assert der.parse_der(found.signed).children()[0].raw() == info_node.raw()
        assert len(der.parse_der(found.signed).children()) == 3
    else:
        assert found.signed == info_node.raw()


def test_reads_extension_data_without_its_tag() -> None:
    found = ses.parse_seal(vector("SESealData.DER"))
    assert [item.oid for item in found.info.extensions] == [f"1.2.156.112600.7.{n}" for n in (1, 2, 3)]
    assert [item.critical for item in found.info.extensions] == [False, True, False]
    assert found.info.name == "测试单位名称 合同专用章"
    assert len(found.info.certs) == 2


@pytest.mark.parametrize("version", [4, 5])
def test_reads_signatures(version: int) -> None:
    data = vector(f"SignedValueV{version}.dat")
    found = ses.parse_signature(data)
    assert found.version == found.seal.version == version
    assert found.property_info == "/Doc_0/Signs/Sign_0/Signature.xml"
    assert found.data_hash == bytes(32)
    assert found.signed == der.parse_der(data).children()[0].raw()
    assert found.certificate in found.seal.info.certs
    assert found.time == {4: 1602501243, 5: 1777020806}[version]


def test_what_was_written_by_another_program_is_written_the_same() -> None:
    """Our encoder gives the very bytes of a version 4 seal and signature made elsewhere."""
    data = vector("SignedValueV4.dat")
    found = ses.parse_signature(data)
    encoded = ses.encode_seal_info(found.seal.info)
    assert encoded == found.seal.signed
    inner = found.seal
    again = ses.encode_seal(
        encoded, certificate=inner.maker_certificate, algorithm=inner.algorithm, signature=inner.signature
    )
    assert again == inner.raw
    assert found.time is not None
    tbs = ses.encode_tbs(again, time=found.time, data_hash=found.data_hash, property_info=found.property_info)
    assert tbs == found.signed
    rest = {"certificate": found.certificate, "algorithm": found.algorithm, "signature": found.signature}
    assert ses.encode_signature(tbs, **rest) == data  # type: ignore[arg-type]


def test_round_trip_with_digests_extensions_and_time_stamp() -> None:
    extensions = (
        SesExtension(oid="1.2.3", critical=True, value=b"x"),
        SesExtension(oid="1.2.4", critical=False, value=b""),
    )
    names = ("SM3", "SM3")
    value = info(
        certs_kind=CertListKind.DIGESTS, certs=(b"1" * 32, b"2" * 32), digest_names=names, extensions=extensions
    )
    sealed = seal(ses.encode_seal_info(value))
    assert ses.parse_seal(sealed).info == value
    tbs = ses.encode_tbs(sealed, time=AT, data_hash=b"h", property_info="/x")
    data = ses.encode_signature(tbs, certificate=b"c", algorithm=SM2_SM3, signature=b"s", timestamp=b"token")
    found = ses.parse_signature(data)
    assert (found.timestamp, found.time, found.signed) == (b"token", AT, tbs)
    assert found.certificate == b"c"


TEXT = st.text(max_size=40)
ASCII = st.text(st.characters(max_codepoint=127), max_size=40)
MOMENT = st.integers(0, 4_000_000_000)


@given(
    name=TEXT,
    vid=ASCII,
    esid=ASCII,
    certs=st.lists(st.binary(max_size=300), min_size=1, max_size=5),
    times=st.tuples(MOMENT, MOMENT, MOMENT),
    picture=st.binary(max_size=70_000),
    size=st.tuples(st.integers(0, 1000), st.integers(0, 1000)),
    kind=st.integers(0, 255),
)
def test_round_trip(
    name: str,
    vid: str,
    esid: str,
    certs: list[bytes],
    times: tuple[int, int, int],
    picture: bytes,
    size: tuple[int, int],
    kind: int,
) -> None:
    value = info(
        name=name,
        vid=vid,
        esid=esid,
        certs=tuple(certs),
        created=times[0],
        valid_from=times[1],
        valid_until=times[2],
        picture=picture,
        width_mm=size[0],
        height_mm=size[1],
        kind=kind,
    )
    encoded = ses.encode_seal_info(value)
    found = ses.parse_signature(signature(seal(encoded)))
    assert found.seal.info == value
    assert found.seal.signed == encoded


def rebuilt(node: der.Node, path: tuple[int, ...], replace: Callable[[bytes], bytes]) -> bytes:
    """The DER of a node with the element at a path replaced."""
    if not path:
        return replace(node.raw())
    children = [child.raw() for child in node.children()]
    children[path[0]] = rebuilt(node.children()[path[0]], path[1:], replace)
    return der.der_tlv(node.tag, b"".join(children))


def seal_with(path: tuple[int, ...], part: bytes) -> bytes:
    return rebuilt(der.parse_der(seal()), path, lambda _: part)


def test_tolerates_times_as_others_write_them() -> None:
    for tag, text, moment in (
        (der.UTC_TIME, b"200422021807Z", 1587521887),
        (der.GENERALIZED_TIME, b"20200422021807Z", 1587521887),
        (der.GENERALIZED_TIME, b"20200422021807.763Z", 1587521887),
        (der.GENERALIZED_TIME, b"20200422101807", 1587521887),  # no zone: Beijing
        (der.UTC_TIME, b"990422021807Z", 924747487),
    ):
        assert ses.parse_seal(seal_with((0, 2, 4), der.der_tlv(tag, text))).info.created == moment
    for text in (
        b"20201332021807Z",
        b"soon",
        b"2020042202180Z",
        "２０２００４２２０２１８０７Z".encode(),
        b"0" * 14 + b"Z",
    ):
        with pytest.raises(SesError):
            ses.parse_seal(seal_with((0, 2, 4), der.der_tlv(der.GENERALIZED_TIME, text)))


def v1_signature(time: bytes) -> bytes:
    stamped = der.der_sequence(
        der.der_integer(1),
        vector("UserV1.esl"),
        time,
        der.der_bits(bytes(32)),
        der.der_ia5("/Doc_0/Signs/Sign_0/Signature.xml"),
        der.der_octets(b"signer"),
        der.der_oid(SM2_SM3),
    )
    return der.der_sequence(stamped, der.der_bits(b"rs"))


def test_version_1_keeps_the_signer_inside_the_signed_part() -> None:
    for time, moment in (
        (der.der_bits(b"2020-10-12 19:14:03"), 1602501243),
        (der.der_bits(b"201012111403Z"), 1602501243),
        (der.der_octets(b"20201012111403Z"), 1602501243),
        (der.der_utctime(1602501243), 1602501243),
        (der.der_bits(b"\x30\x03\x02\x01\x00"), None),  # a time stamp: another module reads it
    ):
        found = ses.parse_signature(v1_signature(time))
        assert (found.version, found.time, found.certificate, found.signature) == (1, moment, b"signer", b"rs")
        assert found.signed.count(b"signer") == 1
    assert found.time_data == b"\x30\x03\x02\x01\x00"


def children(data: bytes) -> list[bytes]:
    return [node.raw() for node in der.parse_der(data).children()]


INFO = children(ses.encode_seal_info(info()))
MANY = tuple(SesExtension(oid="1.2.3", critical=False, value=b"") for _ in range(65))
HOSTILE = {
    "seal without signature": seal_with((), der.der_sequence(ses.encode_seal_info(info()))),
    "not a sequence": der.der_set(),
    "element too many": der.der_sequence(*children(seal()), b"\5\0"),
    "no ES": seal_with((0, 0, 0), der.der_ia5("EX")),
    "cert list of nothing": seal_with((0, 2, 3), der.der_sequence()),
    "cert list of 65": seal_with((0, 2, 3), der.der_sequence(*[der.der_octets(b"c")] * 65)),
    "cert list of digests under type 1": seal_with(
        (0, 2, 3), der.der_sequence(der.der_sequence(der.der_printable("SM3"), der.der_octets(b"")))
    ),
    "cert list type 3": seal_with((0, 2, 2), der.der_integer(3)),
    "negative width": seal_with((0, 3, 2), der.der_integer(-1)),
    "width of a kilometre": seal_with((0, 3, 2), der.der_integer(10**6)),
    "huge kind": seal_with((0, 2, 0), der.der_integer(1 << 4000)),
    "name of a mebibyte": seal_with((0, 2, 1), der.der_utf8("a" * (1 << 20))),
    "name not UTF-8": seal_with((0, 2, 1), der.der_tlv(der.UTF8, b"\xff")),
    "time stamp on version 4": der.der_sequence(*children(seal()), der.der_explicit(0, der.der_bits(b"t"))),
    "two extension lists": seal_with(
        (0,), der.der_sequence(*INFO, b"0\0", b"0\0")
    ),
    "65 extensions": seal_with(
        (0,),
        ses.encode_seal_info(info(extensions=MANY)),
    ),
    "two lists under one tag": seal_with(
        (0,),
        der.der_sequence(*INFO, der.der_explicit(0, b"0\0" * 2)),
    ),
    "deep": b"0\x80" * 40,
    "certificates that are no octets": seal_with((0, 2, 3), der.der_sequence(b"\5\0")),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_refuses_hostile_seals(name: str) -> None:
    with pytest.raises(SesError):
        ses.parse_seal(HOSTILE[name])


def test_refuses_unknown_versions_and_mixed_ones() -> None:
    for version in (0, 2, 3, 6):
        with pytest.raises(SesVersionError) as caught:
            ses.parse_seal(seal_with((0, 0, 1), der.der_integer(version)))
        assert caught.value.version == version
    with pytest.raises(SesVersionError):
        ses.encode_seal_info(info(version=1))
    good = signature()
    with pytest.raises(SesVersionError):
        ses.parse_signature(rebuilt(der.parse_der(good), (0, 0), lambda _: der.der_integer(3)))
    with pytest.raises(SesError, match="version 4 with a seal of version 1"):
        ses.parse_signature(signature(vector("UserV1.esl")))
    stamp = der.der_explicit(0, der.der_octets(b"t"))  # OCTET STRING where a BIT STRING belongs
    parts = children(vector("UserV5.esl"))
    with pytest.raises(SesError):
        ses.parse_seal(der.der_sequence(*parts, stamp))


def test_refuses_trailing_bytes_truncation_and_too_much() -> None:
    for data, parse in ((seal(), ses.parse_seal), (signature(), ses.parse_signature)):
        for at in range(len(data)):
            with pytest.raises(SesError):
                parse(data[:at])
        for extra in (b"\0", b"\5\0"):
            with pytest.raises(SesError):
                parse(data + extra)
    with pytest.raises(SesError):
        ses.parse_seal(bytes(ses.DER_BYTES_MAX + 1))


@given(st.data())
def test_changed_bytes_never_escape_as_another_error(data: st.DataObject) -> None:
    good = bytearray(data.draw(st.sampled_from([signature(), v1_signature(der.der_bits(b"t"))])))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, min(len(good) - 1, 500)))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(SesError):
        assert ses.parse_signature(bytes(good)).signed in bytes(good)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    for parse in (ses.parse_seal, ses.parse_signature):
        with pytest.raises(SesError):
            parse(data)
