"""Does an OFD package show exactly the files that our own writer makes for a page? Told without drawing anything.

The package was read strictly (`package`, `document`), no two readers may take it differently (`doubt`), and nothing in
it is uncovered or faulty (`integrity`): that is for the caller to have seen to. If then every file that shows something
is byte for byte the one of `compose.page_files`, if OFD.xml and Document.xml lead to nothing else, and if every other
file is one of our attachments, tags or seals, every reader draws the page that we would draw. Anything else says
nothing about the package: it is drawn and compared then (docs/spec/documents.md, "Pages that need no drawing"). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mingzheng.formats.ofd.errors import OfdDocumentError
from mingzheng.formats.ofd.ses import parse_signature
from mingzheng.formats.ofd.signedinfo import OfdStamp, read_signed_info

if TYPE_CHECKING:
    from mingzheng.formats.limits import OfdLimits
    from mingzheng.formats.ofd.compose import PageFiles
    from mingzheng.formats.ofd.document import OfdFile

__all__ = ["Stamped", "shows_the_same", "stamps_of"]

_ROOT_FILE, _DOCUMENT = "OFD.xml", "Doc_0/Document.xml"
_BESIDE: Final = re.compile(
    r"Doc_0/(?:Tags/(?:CustomTags|Tag_Certificate)\.xml|Attachs/(?:Attachments\.xml|credential\.cose|receipt\.txt)"
    r"|Signs/(?:Signatures\.xml|Sign_\d{1,2}/(?:Signature\.xml|SignedValue\.dat|Seal\.esl)))"
)
_TEXT: Final = rb"[^<>\"]*+"
_ROOT: Final = re.compile(
    rb'<\?xml version="1\.0" encoding="UTF-8"\?>\n'
    rb'<ofd:OFD xmlns:ofd="http://www\.ofdspec\.org/2016" Version="1\.0" DocType="OFD"><ofd:DocBody><ofd:DocInfo>'
    rb"(?>(?:<ofd:(DocID|Title|Author|Subject|CreationDate|Creator)(?:/>|>" + _TEXT + rb"</ofd:\1>))*)"
    rb'(?:<ofd:CustomDatas>(?>(?:<ofd:CustomData Name="' + _TEXT + rb'"(?:/>|>' + _TEXT + rb"</ofd:CustomData>))*)"
    rb"</ofd:CustomDatas>)?</ofd:DocInfo><ofd:DocRoot>/Doc_0/Document\.xml</ofd:DocRoot>"
    rb"(?:<ofd:Signatures>/Doc_0/Signs/Signatures\.xml</ofd:Signatures>)?</ofd:DocBody></ofd:OFD>"
)
_REST: Final = re.compile(
    rb"<ofd:Permissions>(?>(?:<ofd:(Edit|Annot|Export|Signature|Watermark|PrintScreen)>(?:true|false)</ofd:\1>)*)"
    rb'<ofd:Print Printable="true" Copies="-1"/>'
    rb'(?:<ofd:ValidPeriod(?: StartDate="[0-9T:-]{19}")?(?: EndDate="[0-9T:-]{19}")?/>)?</ofd:Permissions>'
    rb"(?:<ofd:CustomTags>/Doc_0/Tags/CustomTags\.xml</ofd:CustomTags>)?"
    rb"(?:<ofd:Attachments>/Doc_0/Attachs/Attachments\.xml</ofd:Attachments>)?</ofd:Document>"
)
_NAMED: Final = rb'="[^<>"&]*+"'
_SIGNATURE: Final = re.compile(
    rb'<\?xml version="1\.0" encoding="UTF-8"\?>\n'
    rb'<ofd:Signature xmlns:ofd="http://www\.ofdspec\.org/2016"><ofd:SignedInfo>'
    rb"<ofd:Provider(?>(?: (?:ProviderName|Version|Company)" + _NAMED + rb")*)/>"
    rb"<ofd:SignatureMethod>[0-9.]*+</ofd:SignatureMethod>"
    rb"<ofd:SignatureDateTime>[0-9TZ:.+ -]*+</ofd:SignatureDateTime>"
    rb"<ofd:References CheckMethod" + _NAMED + rb">"
    rb"(?>(?:<ofd:Reference FileRef" + _NAMED + rb">"
    rb"<ofd:CheckValue>[0-9A-Za-z+/=]*+</ofd:CheckValue></ofd:Reference>)*)"
    rb"</ofd:References>"
    rb"(?>(?:<ofd:StampAnnot(?>(?: (?:ID|PageRef|Boundary|Clip)" + _NAMED + rb")*)/>)*)"
    rb"<ofd:Seal><ofd:BaseLoc>[^<>&]*+</ofd:BaseLoc></ofd:Seal></ofd:SignedInfo>"
    rb"<ofd:SignedValue>[^<>&]*+</ofd:SignedValue></ofd:Signature>"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamped:
    """A stamp and the picture of its seal, as it was signed."""

    stamp: OfdStamp
    picture: bytes


def shows_the_same(file: OfdFile, made: PageFiles) -> bool:
    """Tell whether the package's page is the one of these files."""
    files = file.package.files
    others = files.keys() - made.files.keys() - {_ROOT_FILE, _DOCUMENT}
    if any(_BESIDE.fullmatch(name) is None for name in others):
        return False
    if len(file.bodies) != 1 or _ROOT.fullmatch(files.get(_ROOT_FILE, b"")) is None:
        return False
    document = files.get(_DOCUMENT, b"")
    if not document.startswith(made.document) or _REST.fullmatch(document, len(made.document)) is None:
        return False
    return all(files.get(name) == data for name, data in made.files.items())


def stamps_of(file: OfdFile, *, limits: OfdLimits) -> Iterator[Stamped]:
    """Every stamp of every seal.

    Raises FormatError where a signature is no seal's and where its description is not written as ours are.
    """
    for signature in file.bodies[0].signatures:
        info = read_signed_info(file.package, signature.file or "", limits=limits)
        picture = parse_signature(file.package.files[info.value_file]).seal.info.picture
        if _SIGNATURE.fullmatch(info.raw) is None:
            raise OfdDocumentError("a seal's description of another shape than ours")
        for stamp in info.stamps:
            yield Stamped(stamp=stamp, picture=picture)
