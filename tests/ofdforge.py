"""A forge of OFD packages for tests: any ZIP, any Signature.xml, any seal, well made or not. Same bytes every run."""

import base64
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from mingzheng.formats.ofd.ses import (
    CertListKind,
    SesSealInfo,
    encode_seal,
    encode_seal_info,
    encode_signature,
    encode_tbs,
)
from mingzheng.keys import der
from mingzheng.keys.certmake import CA_USAGE, SEAL_USAGE, CertIssuer, CertSpec, make_certificate
from mingzheng.keys.sealkey import SealPrivate, sm2_seal_private
from mingzheng.keys.sm3 import sm3
from mingzheng.keys.x509 import parse_certificate

AT = 1_795_248_000
DAY = 86_400
SM2 = "1.2.156.10197.1.501"
SM3 = "1.2.156.10197.1.401"
NS = 'xmlns:ofd="http://www.ofdspec.org/2016"'
HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
LIST = "Doc_0/Signs/Signatures.xml"

Files = dict[str, bytes]


# ZIP


@dataclass(frozen=True, kw_only=True)
class Zipped:
    """An entry with everything a forger may set; None: the true value."""

    name: bytes
    body: bytes = b""
    method: int = 8
    flags: int = 0x0800
    crc: int | None = None
    size: int | None = None
    packed: bytes | None = None
    extra: bytes = b""
    comment: bytes = b""
    made_by: int = 20
    needed: int = 20
    disk: int = 0
    attributes: int = 0
    descriptor: bytes | None = None  # what follows the data
    local: Mapping[str, int | bytes] = field(default_factory=dict)  # other values in the local header
    before: bytes = b""  # stray bytes before the local header
    offset: int | None = None  # what the directory says


def deflated(body: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(body) + packer.flush()


def zipped(entries: Sequence[Zipped], *, comment: bytes = b"", end: Mapping[str, int] | None = None) -> bytes:
    """The archive of these entries; `end` overrides fields of the end of the directory."""
    out, directory = bytearray(), bytearray()
    for entry in entries:
        packed = entry.packed
        if packed is None:
            packed = deflated(entry.body) if entry.method == 8 else entry.body
        crc = zlib.crc32(entry.body) if entry.crc is None else entry.crc
        size = len(entry.body) if entry.size is None else entry.size
        out += entry.before
        offset = len(out) if entry.offset is None else entry.offset
        said: dict[str, int | bytes] = {
            "flags": entry.flags, "method": entry.method, "crc": crc, "packed": len(packed), "size": size,
            "name": entry.name, "extra": entry.extra, **entry.local,
        }  # fmt: skip
        name, extra = bytes(said["name"]), bytes(said["extra"])  # type: ignore[arg-type]
        numbers = [said[key] for key in ("crc", "packed", "size")]
        out += struct.pack(
            "<4s5H3L2H", b"PK\3\4", 20, said["flags"], said["method"], 0, 33, *numbers, len(name), len(extra)
        )
        out += name + extra + packed + (entry.descriptor or b"")
        directory += struct.pack(
            "<4s6H3L5H2L",
            *(b"PK\1\2", entry.made_by, entry.needed, entry.flags, entry.method, 0, 33, crc, len(packed), size),
            *(len(entry.name), len(entry.extra), len(entry.comment), entry.disk, 0, entry.attributes, offset),
        )
        directory += entry.name + entry.extra + entry.comment
    last = {"disk": 0, "first": 0, "here": len(entries), "count": len(entries), "size": len(directory)}
    last |= {"start": len(out), "comment": len(comment), **(end or {})}
    return bytes(out + directory) + struct.pack("<4s4H2LH", b"PK\5\6", *last.values()) + comment


def pack(files: Mapping[str, bytes]) -> bytes:
    return zipped([Zipped(name=name.encode(), body=body) for name, body in files.items()])


# keys and seals


@cache
def key(name: str) -> SealPrivate:
    return sm2_seal_private((int.from_bytes(sm3(name.encode())) >> 1).to_bytes(32))


@cache
def certificate(name: str, *, usage: frozenset[str] = SEAL_USAGE) -> bytes:
    """The certificate of the key of this name under the forge's root."""
    spec = CertSpec(
        subject_cn=name, subject_o="test office", spki=key(name).spki,
        serial=(int.from_bytes(sm3(name.encode())[:8]) >> 1) + 1,
        not_before=AT - 100 * DAY, not_after=AT + 1000 * DAY, key_usage=usage,
    )  # fmt: skip
    return make_certificate(spec, CertIssuer(key=key("root"), certificate=parse_certificate(root())))


@cache
def root() -> bytes:
    spec = CertSpec(
        subject_cn="root", subject_o="test office", spki=key("root").spki, serial=1,
        not_before=AT - 900 * DAY, not_after=AT + 9000 * DAY, ca=True, key_usage=CA_USAGE,
    )  # fmt: skip
    return make_certificate(spec, CertIssuer(key=key("root")))


def seal_info(*signers: str) -> SesSealInfo:
    return SesSealInfo(
        version=4, vid="forge", esid="S" + "".join(signers), kind=1, name="测试印章",
        certs_kind=CertListKind.CERTIFICATES, certs=tuple(certificate(name) for name in signers),
        created=AT - DAY, valid_from=AT - DAY, valid_until=AT + 500 * DAY,
        picture_type="png", picture=b"\x89PNG", width_mm=40, height_mm=40,
    )  # fmt: skip


@cache
def seal(*signers: str, maker: str = "maker", digests: bool = False) -> bytes:
    """A seal of version 4 for these signers, by its maker."""
    info = seal_info(*signers)
    if digests:
        info = replace(
            info, certs_kind=CertListKind.DIGESTS, digest_names=(SM3,) * len(signers),
            certs=tuple(sm3(certificate(name)) for name in signers),
        )  # fmt: skip
    encoded = encode_seal_info(info)
    return encode_seal(encoded, certificate=certificate(maker), algorithm=SM2, signature=key(maker).sign(encoded))


@cache
def seal_of_version(version: int, *signers: str, timestamp: bytes | None = None) -> bytes:
    """A seal of version 1 or 5, written out by hand."""
    info = der.parse_der(encode_seal_info(seal_info(*signers)))
    _, esid, prop, picture = info.children()
    new_header = der.der_sequence(der.der_ia5("ES"), der.der_integer(version), der.der_ia5("forge"))
    parts = [node.raw() for node in prop.children()]
    if version == 1:
        del parts[2]
        parts[-3:] = [der.der_utctime(at) for at in (AT - DAY, AT - DAY, AT + 500 * DAY)]
    encoded = der.der_sequence(new_header, esid.raw(), der.der_sequence(*parts), picture.raw())
    maker, oid = der.der_octets(certificate("maker")), der.der_oid(SM2)
    if version == 1:
        signature = key("maker").sign(der.der_sequence(encoded, maker, oid))
        return der.der_sequence(encoded, der.der_sequence(maker, oid, der.der_bits(signature)))
    stamp = [] if timestamp is None else [der.der_explicit(0, der.der_bits(timestamp))]
    return der.der_sequence(encoded, maker, oid, der.der_bits(key("maker").sign(encoded)), *stamp)


# the document


def xml(body: str) -> bytes:
    return (HEAD + body).encode()


def document(*, seals: bool = True, extra: Mapping[str, bytes] | None = None) -> Files:
    """One A4 page with template, picture, annotation, tags and the two attachments."""
    listed = f"<ofd:Signatures>/{LIST}</ofd:Signatures>" if seals else ""
    files = {
        "OFD.xml": xml(
            f'<ofd:OFD {NS} Version="1.0" DocType="OFD"><ofd:DocBody><ofd:DocInfo><ofd:DocID>{"0" * 32}</ofd:DocID>'
            '<ofd:CustomDatas><ofd:CustomData Name="n">v</ofd:CustomData></ofd:CustomDatas></ofd:DocInfo>'
            f"<ofd:DocRoot>Doc_0/Document.xml</ofd:DocRoot>{listed}</ofd:DocBody></ofd:OFD>"
        ),
        "Doc_0/Document.xml": xml(
            f"<ofd:Document {NS}><ofd:CommonData><ofd:MaxUnitID>50</ofd:MaxUnitID><ofd:PageArea><ofd:PhysicalBox>"
            "0 0 210 297</ofd:PhysicalBox></ofd:PageArea><ofd:PublicRes>PublicRes.xml</ofd:PublicRes>"
            '<ofd:TemplatePage ID="9" BaseLoc="Tpls/Tpl_0/Content.xml"/></ofd:CommonData>'
            '<ofd:Pages><ofd:Page ID="1" BaseLoc="Pages/Page_0/Content.xml"/></ofd:Pages>'
            "<ofd:Annotations>Annots/Annotations.xml</ofd:Annotations>"
            "<ofd:CustomTags>Tags/CustomTags.xml</ofd:CustomTags>"
            "<ofd:Attachments>Attachs/Attachments.xml</ofd:Attachments></ofd:Document>"
        ),
        "Doc_0/PublicRes.xml": xml(
            f'<ofd:Res {NS} BaseLoc="Res"><ofd:MultiMedias><ofd:MultiMedia ID="5" Type="Image" Format="PNG">'
            "<ofd:MediaFile>qr.png</ofd:MediaFile></ofd:MultiMedia></ofd:MultiMedias></ofd:Res>"
        ),
        "Doc_0/Res/qr.png": b"\x89PNG\r\n\x1a\n",
        "Doc_0/Tpls/Tpl_0/Content.xml": xml(f"<ofd:Page {NS}><ofd:Content/></ofd:Page>"),
        "Doc_0/Pages/Page_0/Content.xml": xml(
            f'<ofd:Page {NS}><ofd:Template TemplateID="9" ZOrder="Background"/><ofd:Content><ofd:Layer ID="2">'
            '<ofd:ImageObject ID="3" Boundary="22 213 42 42" CTM="42 0 0 42 0 0" ResourceID="5"/>'
            "</ofd:Layer></ofd:Content></ofd:Page>"
        ),
        "Doc_0/Annots/Annotations.xml": xml(
            f'<ofd:Annotations {NS}><ofd:Page PageID="1"><ofd:FileLoc>Page_0/Annotation.xml</ofd:FileLoc></ofd:Page>'
            "</ofd:Annotations>"
        ),
        "Doc_0/Annots/Page_0/Annotation.xml": xml(
            f'<ofd:PageAnnot {NS}><ofd:Annot Type="Link" ID="7"/></ofd:PageAnnot>'
        ),
        "Doc_0/Tags/CustomTags.xml": xml(
            f'<ofd:CustomTags {NS}><ofd:CustomTag NameSpace="m"><ofd:FileLoc>Tag.xml</ofd:FileLoc></ofd:CustomTag>'
            "</ofd:CustomTags>"
        ),
        "Doc_0/Tags/Tag.xml": xml("<m/>"),
        "Doc_0/Attachs/Attachments.xml": xml(
            f'<ofd:Attachments {NS}><ofd:Attachment ID="11" Name="credential" Visible="false">'
            "<ofd:FileLoc>credential.cose</ofd:FileLoc></ofd:Attachment>"
            '<ofd:Attachment ID="12" Name="receipt"><ofd:FileLoc>receipt.cose</ofd:FileLoc></ofd:Attachment>'
            "</ofd:Attachments>"
        ),
        "Doc_0/Attachs/credential.cose": b"\xd2credential",
        "Doc_0/Attachs/receipt.cose": b"\xd2receipt",
    }  # fmt: skip
    return files | dict(extra or {})


# sealing


@dataclass(frozen=True, kw_only=True)
class Press:
    """How a signature is put on; every field is a place to do it wrong."""

    signer: str = "alice"
    seal: bytes | None = None
    kind: str = "Seal"
    skip: tuple[str, ...] = ()
    whole: bool = False  # Signatures.xml is covered too
    check: str = SM3
    method: str = SM2
    digest: Callable[[bytes], bytes] = sm3
    stamps: str = '<ofd:StampAnnot ID="30" PageRef="1" Boundary="140 220 40 40"/>'
    esl: bool = True
    value: Callable[[bytes, str], bytes] | None = None  # of Signature.xml and its name
    more: Mapping[str, bytes] = field(default_factory=dict)  # further references


def folder(number: int) -> str:
    return f"Doc_0/Signs/Sign_{number}"


def signature_list(kinds: Sequence[str]) -> bytes:
    items = "".join(
        f'<ofd:Signature ID="{number + 1}" Type="{kind}" BaseLoc="/{folder(number)}/Signature.xml"/>'
        for number, kind in enumerate(kinds)
    )
    return xml(f"<ofd:Signatures {NS}><ofd:MaxSignId>{len(kinds)}</ofd:MaxSignId>{items}</ofd:Signatures>")


def ses_value(press: Press, raw: bytes, name: str) -> bytes:
    tbs = encode_tbs(press.seal or seal("alice", "bob"), time=AT, data_hash=sm3(raw), property_info=f"/{name}")
    return encode_signature(
        tbs, certificate=certificate(press.signer), algorithm=SM2, signature=key(press.signer).sign(tbs)
    )


def put(files: Files, presses: Sequence[Press] = (Press(),)) -> Files:
    """The files with one signature after another, each over everything before it."""
    out = dict(files)
    for number, press in enumerate(presses):
        out[LIST] = signature_list([item.kind for item in presses[: number + 1]])
        base = folder(number)
        if press.esl and press.kind == "Seal":
            out[f"{base}/Seal.esl"] = press.seal or seal("alice", "bob")
        covered = {name: body for name, body in out.items() if name not in press.skip and (press.whole or name != LIST)}
        raw = signature_xml(press, base, covered | dict(press.more))
        name = f"{base}/Signature.xml"
        value = press.value or (lambda data, place, item=press: ses_value(item, data, place))
        out |= {name: raw, f"{base}/SignedValue.dat": value(raw, name)}
    return out


def signature_xml(press: Press, base: str, covered: Mapping[str, bytes]) -> bytes:
    references = "".join(
        f'<ofd:Reference FileRef="/{name}"><ofd:CheckValue>{base64.b64encode(press.digest(body)).decode()}'
        "</ofd:CheckValue></ofd:Reference>"
        for name, body in covered.items()
    )
    linked = (
        f"<ofd:Seal><ofd:BaseLoc>/{base}/Seal.esl</ofd:BaseLoc></ofd:Seal>"
        if press.esl and press.kind == "Seal"
        else ""
    )
    return xml(
        f'<ofd:Signature {NS}><ofd:SignedInfo><ofd:Provider ProviderName="forge"/><ofd:SignatureMethod>{press.method}'
        "</ofd:SignatureMethod><ofd:SignatureDateTime>20261121160000Z</ofd:SignatureDateTime>"
        f'<ofd:References CheckMethod="{press.check}">{references}</ofd:References>{press.stamps}{linked}'
        f"</ofd:SignedInfo><ofd:SignedValue>/{base}/SignedValue.dat</ofd:SignedValue></ofd:Signature>"
    )
