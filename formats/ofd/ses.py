"""Electronic seals and their signatures as DER: versions 1, 4 and 5 are read, 4 is written.

Specs: GM/T 0031-2014 (version 1), GB/T 38540-2020 (version 4), GM/T 0031-2025 (version 5: version 4 with a time
stamp on the seal). What was signed is kept as the bytes that came, never encoded again: of a version 1 seal
SEQUENCE(info, certificate, algorithm), of the later ones the info alone; of a signature TBS_Sign. In version 1
the signer's certificate is inside the signed part, later outside: there only the seal's list of certificates
binds it. Read beyond the letter, as other makers write it: extension data without its tag [0], times as UTCTime,
GeneralizedTime or text, the time of version 1 as OCTET STRING. Left out: judging anything. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum
from typing import ClassVar, Final, TypeVar

from mingzheng.formats.errors import FormatError
from mingzheng.keys import der
from mingzheng.keys.der import Node
from mingzheng.keys.errors import DerError

__all__ = [
    "SIGNATURE_V4",
    "CertListKind",
    "SesError",
    "SesExtension",
    "SesSeal",
    "SesSealInfo",
    "SesSignature",
    "SesVersionError",
    "encode_seal",
    "encode_seal_info",
    "encode_signature",
    "encode_tbs",
    "parse_seal",
    "parse_signature",
]

SIGNATURE_V4: Final = 4
DER_BYTES_MAX: Final = 8 * 1024 * 1024  # a seal with a picture; 17 KB are usual
_DEPTH_MAX: Final = 12
_LIST_MAX: Final = 64  # certificates of a seal, extensions
_CHARS_MAX: Final = 1024
_SIDE_MAX_MM: Final = 1000
_HEADER_ID: Final = "ES"
_BEIJING: Final = timezone(timedelta(hours=8))
_TIME: Final = re.compile(
    r"(?P<year>\d{4}|\d{2})-?(?P<month>\d\d)-?(?P<day>\d\d)[ T]?"
    r"(?P<hour>\d\d):?(?P<minute>\d\d):?(?P<second>\d\d)(?:\.\d{1,9})?(?P<zone>Z?)",
    re.ASCII,
)
_EXPLICIT_0: Final = 0xA0

_T = TypeVar("_T")


class SesError(FormatError):
    """Bytes that are not a seal or a seal's signature."""

    code: ClassVar[str] = "ofd.ses.malformed"


class SesVersionError(SesError):
    """A seal of a version this program does not know."""

    code = "ofd.ses.version"

    def __init__(self, version: int) -> None:
        super().__init__(f"seal of version {version}; 1, 4 and 5 are read")
        self.version = version


class CertListKind(IntEnum):
    """How a seal names those who may use it."""

    CERTIFICATES = 1
    DIGESTS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SesExtension:
    """One piece of extension data."""

    oid: str
    critical: bool
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SesSealInfo:
    """What a seal says of itself (SES_SealInfo)."""

    version: int
    vid: str  # the maker's name for itself
    esid: str
    kind: int  # 1 organisation, 2 person; others are in use
    name: str
    certs_kind: CertListKind
    certs: tuple[bytes, ...]  # DER certificates, or digests of them
    digest_names: tuple[str, ...] = ()  # of digests: the type beside each
    created: int  # unix seconds
    valid_from: int
    valid_until: int
    picture_type: str  # "png", "ofd", "gif" … as written
    picture: bytes
    width_mm: int
    height_mm: int
    extensions: tuple[SesExtension, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SesSeal:
    """A seal as its maker signed it; `signed` are the bytes the maker's signature is over."""

    info: SesSealInfo
    maker_certificate: bytes  # DER
    algorithm: str  # OID
    signature: bytes  # content of the BIT STRING
    timestamp: bytes | None  # version 5
    signed: bytes
    raw: bytes

    @property
    def version(self) -> int:
        """1, 4 or 5."""
        return self.info.version


@dataclass(frozen=True, slots=True, kw_only=True)
class SesSignature:
    """An application of a seal; `signed` are the bytes of TBS_Sign as stored.

    `time` is the signer's word in unix seconds, None if `time_data` (version 1) is a time stamp or unreadable.
    """

    version: int
    seal: SesSeal
    time: int | None
    time_data: bytes
    data_hash: bytes
    property_info: str
    certificate: bytes
    algorithm: str
    signature: bytes
    timestamp: bytes | None
    extensions: tuple[SesExtension, ...]
    signed: bytes


def parse_seal(data: bytes) -> SesSeal:
    """A seal (SESeal) from its DER; SesError or SesVersionError if it is none."""
    return _guarded(data, _seal)


def parse_signature(data: bytes) -> SesSignature:
    """The application of a seal (SES_Signature) from its DER; SesError or SesVersionError if it is none."""
    return _guarded(data, _signature)


def encode_seal_info(info: SesSealInfo) -> bytes:
    """SES_SealInfo of version 4, the bytes a seal's maker signs."""
    if info.version != SIGNATURE_V4:
        raise SesVersionError(info.version)
    if info.certs_kind is CertListKind.CERTIFICATES:
        certs = [der.der_octets(cert) for cert in info.certs]
    else:
        pairs = zip(info.digest_names, info.certs, strict=True)
        certs = [der.der_sequence(der.der_printable(name), der.der_octets(digest)) for name, digest in pairs]
    parts = [
        der.der_sequence(der.der_ia5(_HEADER_ID), der.der_integer(info.version), der.der_ia5(info.vid)),
        der.der_ia5(info.esid),
        der.der_sequence(
            der.der_integer(info.kind),
            der.der_utf8(info.name),
            der.der_integer(info.certs_kind),
            der.der_sequence(*certs),
            *(der.der_generalized(time) for time in (info.created, info.valid_from, info.valid_until)),
        ),
        der.der_sequence(
            der.der_ia5(info.picture_type),
            der.der_octets(info.picture),
            der.der_integer(info.width_mm),
            der.der_integer(info.height_mm),
        ),
    ]
    return der.der_sequence(*parts, *_encode_extensions(info.extensions))


def encode_seal(info: bytes, *, certificate: bytes, algorithm: str, signature: bytes) -> bytes:
    """SESeal of version 4 around an encoded SES_SealInfo."""
    return der.der_sequence(info, der.der_octets(certificate), der.der_oid(algorithm), der.der_bits(signature))


def encode_tbs(seal: bytes, *, time: int, data_hash: bytes, property_info: str) -> bytes:
    """TBS_Sign of version 4 around an encoded SESeal, the bytes the seal's user signs."""
    return der.der_sequence(
        der.der_integer(SIGNATURE_V4),
        seal,
        der.der_generalized(time),
        der.der_bits(data_hash),
        der.der_ia5(property_info),
    )


def encode_signature(
    tbs: bytes, *, certificate: bytes, algorithm: str, signature: bytes, timestamp: bytes | None = None
) -> bytes:
    """SES_Signature of version 4 around an encoded TBS_Sign; `timestamp` is a token over the signature value."""
    parts = [tbs, der.der_octets(certificate), der.der_oid(algorithm), der.der_bits(signature)]
    if timestamp is not None:
        parts.append(der.der_explicit(0, der.der_bits(timestamp)))
    return der.der_sequence(*parts)


def _encode_extensions(extensions: tuple[SesExtension, ...]) -> Iterable[bytes]:
    if extensions:
        items = []
        for item in extensions:
            critical = [der.der_bool(True)] if item.critical else []  # FALSE is the default and left out (X.690 §11.5)
            items.append(der.der_sequence(der.der_oid(item.oid), *critical, der.der_octets(item.value)))
        yield der.der_explicit(0, der.der_sequence(*items))


def _guarded(data: bytes, read: Callable[[Node], _T]) -> _T:
    try:
        return read(der.parse_der(data, max_depth=_DEPTH_MAX, max_bytes=DER_BYTES_MAX))
    except DerError as error:
        raise SesError(f"no valid DER: {error}") from error


class _Fields:
    """The elements of a SEQUENCE, taken one after the other."""

    def __init__(self, node: Node, what: str) -> None:
        if node.tag != der.SEQUENCE:
            raise SesError(f"{what}: SEQUENCE expected, tag {node.tag:#04x} found", offset=node.start)
        self.what, self.node = what, node
        self.items = node.children()
        self._at = 0

    def take(self, *tags: int) -> Node:
        """The next element, of one of these tags."""
        if self._at >= len(self.items):
            raise SesError(f"{self.what}: element {self._at + 1} is missing", offset=self.node.start)
        node = self.items[self._at]
        if node.tag not in tags:
            raise SesError(f"{self.what}: element {self._at + 1} has tag {node.tag:#04x}", offset=node.start)
        self._at += 1
        return node

    def maybe(self, *tags: int) -> Node | None:
        """The next element if it is of one of these tags."""
        if self._at < len(self.items) and self.items[self._at].tag in tags:
            return self.take(*tags)
        return None

    def end(self) -> None:
        """Nothing is left."""
        if self._at != len(self.items):
            raise SesError(f"{self.what}: {len(self.items) - self._at} elements too many", offset=self.node.start)


def _seal(node: Node) -> SesSeal:
    fields = _Fields(node, "SESeal")
    info_node = fields.take(der.SEQUENCE)
    info = _seal_info(info_node)
    timestamp = None
    if info.version == 1:
        inner = _Fields(fields.take(der.SEQUENCE), "SES_SignInfo")
        certificate, algorithm = inner.take(der.OCTET_STRING), inner.take(der.OID)
        signature = inner.take(der.BIT_STRING)
        inner.end()
        signed = der.der_sequence(info_node.raw(), certificate.raw(), algorithm.raw())
    else:
        certificate, algorithm, signature = (
            fields.take(der.OCTET_STRING),
            fields.take(der.OID),
            fields.take(der.BIT_STRING),
        )
        signed = info_node.raw()
        if info.version == 5 and (stamp := fields.maybe(_EXPLICIT_0)) is not None:
            timestamp = _explicit_bits(stamp)
    fields.end()
    return SesSeal(
        info=info,
        maker_certificate=der.read_octets(certificate),
        algorithm=der.read_oid(algorithm),
        signature=der.read_bits(signature),
        timestamp=timestamp,
        signed=signed,
        raw=node.raw(),
    )


def _seal_info(node: Node) -> SesSealInfo:
    fields = _Fields(node, "SES_SealInfo")
    version, vid = _header(fields.take(der.SEQUENCE))
    esid = _text(der.read_ia5(fields.take(der.IA5)), "esID")
    property_ = _Fields(fields.take(der.SEQUENCE), "SES_ESPropertyInfo")
    kind = _small(property_, "type", 255)
    name = _text(der.read_utf8(property_.take(der.UTF8)), "name")
    certs_kind = CertListKind.CERTIFICATES
    if version != 1:
        number = _small(property_, "certListType", 255)
        if number not in (CertListKind.CERTIFICATES, CertListKind.DIGESTS):
            raise SesError(f"certListType {number}")
        certs_kind = CertListKind(number)
    names, certs = _certs(property_.take(der.SEQUENCE), certs_kind)
    created, valid_from, valid_until = (_time(property_.take(der.UTC_TIME, der.GENERALIZED_TIME)) for _ in range(3))
    property_.end()
    picture = _Fields(fields.take(der.SEQUENCE), "SES_ESPictrueInfo")
    picture_type, data = (
        _text(der.read_ia5(picture.take(der.IA5)), "picture type"),
        der.read_octets(picture.take(der.OCTET_STRING)),
    )
    width, height = _small(picture, "width", _SIDE_MAX_MM), _small(picture, "height", _SIDE_MAX_MM)
    picture.end()
    extensions = _extensions(fields.maybe(_EXPLICIT_0, der.SEQUENCE))
    fields.end()
    return SesSealInfo(
        version=version,
        vid=vid,
        esid=esid,
        kind=kind,
        name=name,
        certs_kind=certs_kind,
        certs=certs,
        digest_names=names,
        created=created,
        valid_from=valid_from,
        valid_until=valid_until,
        picture_type=picture_type,
        picture=data,
        width_mm=width,
        height_mm=height,
        extensions=extensions,
    )


def _header(node: Node) -> tuple[int, str]:
    header = _Fields(node, "SES_Header")
    if der.read_ia5(header.take(der.IA5)) != _HEADER_ID:
        raise SesError("the header's ID is not ES", offset=node.start)
    version = der.read_integer(header.take(der.INTEGER))
    vid = _text(der.read_ia5(header.take(der.IA5)), "Vid")
    header.end()
    if version not in (1, 4, 5):
        raise SesVersionError(version)
    return version, vid


def _certs(node: Node, kind: CertListKind) -> tuple[tuple[str, ...], tuple[bytes, ...]]:
    items = _Fields(node, "certList").items
    if not 1 <= len(items) <= _LIST_MAX:
        raise SesError(f"certList has {len(items)} entries", offset=node.start)
    names, values = [], []
    for item in items:
        if kind is CertListKind.DIGESTS:
            pair = _Fields(item, "CertDigestObj")
            names.append(_text(der.read_printable(pair.take(der.PRINTABLE)), "digest type"))
            item = pair.take(der.OCTET_STRING)
            pair.end()
        elif item.tag != der.OCTET_STRING:
            raise SesError("certList: OCTET STRING expected", offset=item.start)
        values.append(der.read_octets(item))
    return tuple(names), tuple(values)


def _extensions(node: Node | None) -> tuple[SesExtension, ...]:
    """Extension data, with its tag [0] or, as tax authorities' seals have it, without."""
    if node is None:
        return ()
    if node.tag == _EXPLICIT_0:
        (node,) = _only(node)
    items = _Fields(node, "ExtensionDatas").items
    if len(items) > _LIST_MAX:
        raise SesError(f"{len(items)} extensions", offset=node.start)
    found = []
    for item in items:
        fields = _Fields(item, "ExtData")
        oid = der.read_oid(fields.take(der.OID))
        critical = fields.maybe(der.BOOLEAN)
        value = der.read_octets(fields.take(der.OCTET_STRING))
        fields.end()
        found.append(SesExtension(oid=oid, critical=critical is not None and der.read_bool(critical), value=value))
    return tuple(found)


def _signature(node: Node) -> SesSignature:
    outer = _Fields(node, "SES_Signature")
    tbs_node = outer.take(der.SEQUENCE)
    tbs = _Fields(tbs_node, "TBS_Sign")
    version = der.read_integer(tbs.take(der.INTEGER))
    if version not in (1, 4, 5):
        raise SesVersionError(version)
    seal = _seal(tbs.take(der.SEQUENCE))
    if (seal.version == 1) != (version == 1):
        raise SesError(f"signature of version {version} with a seal of version {seal.version}", offset=node.start)
    timed = (
        (der.BIT_STRING, der.OCTET_STRING, der.UTC_TIME, der.GENERALIZED_TIME)
        if version == 1
        else (der.GENERALIZED_TIME, der.UTC_TIME)
    )
    time_node = tbs.take(*timed)
    data_hash, property_info = (
        der.read_bits(tbs.take(der.BIT_STRING)),
        _text(der.read_ia5(tbs.take(der.IA5)), "propertyInfo"),
    )
    timestamp: bytes | None = None
    extensions: tuple[SesExtension, ...] = ()
    if version == 1:
        certificate, algorithm = tbs.take(der.OCTET_STRING), tbs.take(der.OID)
    else:
        extensions = _extensions(tbs.maybe(_EXPLICIT_0, der.SEQUENCE))
        certificate, algorithm = outer.take(der.OCTET_STRING), outer.take(der.OID)
    tbs.end()
    signature = outer.take(der.BIT_STRING)
    if version != 1 and (stamp := outer.maybe(_EXPLICIT_0)) is not None:
        timestamp = _explicit_bits(stamp)
    outer.end()
    time_data = der.read_bits(time_node) if time_node.tag == der.BIT_STRING else time_node.content()
    return SesSignature(
        version=version,
        seal=seal,
        time=_clock(time_data) if version == 1 else _time(time_node),
        time_data=time_data,
        data_hash=data_hash,
        property_info=property_info,
        certificate=der.read_octets(certificate),
        algorithm=der.read_oid(algorithm),
        signature=der.read_bits(signature),
        timestamp=timestamp,
        extensions=extensions,
        signed=tbs_node.raw(),
    )


def _only(node: Node) -> tuple[Node]:
    """The one element inside an explicit tag."""
    inner = node.children()
    if len(inner) != 1:
        raise SesError(f"{len(inner)} elements inside an explicit tag", offset=node.start)
    return (inner[0],)


def _explicit_bits(node: Node) -> bytes:
    (inner,) = _only(node)
    if inner.tag != der.BIT_STRING:
        raise SesError("time stamp: BIT STRING expected", offset=inner.start)
    return der.read_bits(inner)


def _small(fields: _Fields, what: str, most: int) -> int:
    node = fields.take(der.INTEGER)
    value = der.read_integer(node)
    if not 0 <= value <= most:
        raise SesError(f"{what} is out of range", offset=node.start)
    return value


def _text(text: str, what: str) -> str:
    if len(text) > _CHARS_MAX:
        raise SesError(f"{what} has more than {_CHARS_MAX} characters")
    return text


def _time(node: Node) -> int:
    found = _clock(node.content())
    if found is None:
        raise SesError("a time that cannot be read", offset=node.start)
    return found


def _clock(data: bytes) -> int | None:
    """Unix seconds of "200422021807Z", "20200422020900Z", "2020-10-12 19:14:03" …; without zone it is Beijing's."""
    match = _TIME.fullmatch(data.decode("ascii", "replace"))
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    if len(match["year"]) == 2:
        year += 1900 if year >= 50 else 2000  # X.509 §4.1.2.5.1 of RFC 5280
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC if match["zone"] else _BEIJING)
    except ValueError:
        return None
    return int(moment.timestamp())
