"""Signature.xml of an OFD package: what a signature says it covers, by which algorithms, and where its seal stands.

Source: GB/T 33190 §18 (Signature, SignedInfo, References, StampAnnot). The date and the provider are the signer's
words and not read. Digests: SM3 and SHA-256 alone, by name or object identifier; MD5 and SHA-1, which the schema of
2016 names, are refused. Pure.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from mingzheng.formats.errors import FormatError
from mingzheng.formats.ofd.document import NAMESPACES, name_at, parse_box
from mingzheng.formats.ofd.ses import SesSeal, parse_seal, parse_signature
from mingzheng.formats.ofd.xmlread import parse_counted
from mingzheng.formats.page import Rect
from mingzheng.keys.sm3 import sm3

if TYPE_CHECKING:
    from mingzheng.formats.limits import OfdLimits
    from mingzheng.formats.ofd.package import Package
    from mingzheng.formats.ofd.xmlread import Element

__all__ = [
    "Digest",
    "OfdReference",
    "OfdSignatureError",
    "OfdStamp",
    "SignedInfo",
    "link_name",
    "read_signed_info",
    "seal_of",
]

Digest = Callable[[bytes], bytes]  # 32 bytes of any number

_DIGEST_BYTES: Final = 32
_NODES_EACH: Final = 4  # elements for one reference: it and its value, and as many for everything else


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


_DIGESTS: Final[dict[str, Digest]] = {
    "sm3": sm3,
    "1.2.156.10197.1.401": sm3,
    "sha256": _sha256,
    "sha-256": _sha256,
    "2.16.840.1.101.3.4.2.1": _sha256,
}


class OfdSignatureError(FormatError):
    """A Signature.xml or a signature value that is none."""

    code: ClassVar[str] = "ofd.signature.malformed"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfdReference:
    """One file a signature covers; `file` is its name in the package, None if it is not there."""

    name: str
    file: str | None
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class OfdStamp:
    """A place of the seal's picture on the page with this ID; `clip` counts from the corner of `boundary`."""

    page_id: str
    boundary: Rect
    clip: Rect | None

    @property
    def visible(self) -> Rect:
        """The part of the page that shows the picture."""
        if self.clip is None:
            return self.boundary
        return Rect(
            x_mm=self.boundary.x_mm + self.clip.x_mm,
            y_mm=self.boundary.y_mm + self.clip.y_mm,
            width_mm=min(self.clip.width_mm, self.boundary.width_mm - self.clip.x_mm),
            height_mm=min(self.clip.height_mm, self.boundary.height_mm - self.clip.y_mm),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedInfo:
    """A Signature.xml. `digest` is None if the method is not accepted; `seal_file` None if none is linked."""

    file: str  # Signature.xml
    raw: bytes
    root: Element
    method: str
    digest: Digest | None
    references: tuple[OfdReference, ...]
    stamps: tuple[OfdStamp, ...]
    seal_named: bool
    seal_file: str | None
    value_file: str

    @property
    def covered(self) -> frozenset[str]:
        """The files of the package that the signature covers."""
        return frozenset(item.file for item in self.references if item.file is not None)


def read_signed_info(package: Package, name: str, *, limits: OfdLimits) -> SignedInfo:
    """Read a Signature.xml. Raises OfdSignatureError, OfdXmlError and the limits of XML."""
    raw = package.files[name]
    root, _ = parse_counted(raw, limits=limits, nodes=_NODES_EACH * limits.references)
    if root.tag != "Signature" or root.namespace not in NAMESPACES:
        raise OfdSignatureError("not a Signature.xml")
    info = _only(root, "SignedInfo")
    listed = _only(info, "References")
    seal = info.first("Seal")
    value = package.find(link_name(name, _only(root, "SignedValue").text))
    if value is None:
        raise OfdSignatureError("the file of the signature value is missing")
    references = _within(listed, "Reference", limits.references)
    named = None if seal is None else seal.text_of("BaseLoc")
    return SignedInfo(
        file=name,
        raw=raw,
        root=root,
        method=(info.text_of("SignatureMethod") or ""),
        digest=_DIGESTS.get((listed.get("CheckMethod") or "").strip().lower()),
        references=tuple(_reference(package, name, item) for item in references),
        stamps=tuple(_stamp(item) for item in _within(info, "StampAnnot", limits.marks)),
        seal_named=seal is not None,
        seal_file=package.find(link_name(name, named)) if named else None,
        value_file=value,
    )


def seal_of(package: Package, info: SignedInfo) -> SesSeal:
    """The seal inside the signature value, else the one beside it; raises FormatError."""
    try:
        return parse_signature(package.files[info.value_file]).seal
    except FormatError:
        if info.seal_file is None:
            raise
        return parse_seal(package.files[info.seal_file])


def link_name(base: str, location: str) -> str:
    """The name that a link in file `base` means, without its first slash."""
    return name_at(base.rpartition("/")[0], location.strip())


def _only(parent: Element, tag: str) -> Element:
    """The one child of this name: two readers must not take two different ones."""
    found = parent.every(tag)
    if len(found) != 1:
        raise OfdSignatureError(f"{len(found)} elements {tag} where there must be one")
    return found[0]


def _within(parent: Element, tag: str, limit: int) -> list[Element]:
    found = parent.every(tag)
    if len(found) > limit:
        raise OfdSignatureError(f"{len(found)} elements {tag}, at most {limit} are read")
    return found


def _reference(package: Package, base: str, item: Element) -> OfdReference:
    location = item.get("FileRef")
    if not location:
        raise OfdSignatureError("a reference without a file")
    try:
        digest = base64.b64decode(_only(item, "CheckValue").text.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise OfdSignatureError("a check value that is not Base64") from error
    if len(digest) != _DIGEST_BYTES:
        digest = b""  # of no accepted method: cannot match
    name = link_name(base, location)
    return OfdReference(name=name, file=package.find(name), digest=digest)


def _stamp(item: Element) -> OfdStamp:
    boundary, clip = parse_box(item.get("Boundary")), parse_box(item.get("Clip"))
    if boundary is None or (clip is None and item.get("Clip") is not None):
        raise OfdSignatureError("a stamp without a place")
    return OfdStamp(page_id=item.get("PageRef") or "", boundary=boundary, clip=clip)
