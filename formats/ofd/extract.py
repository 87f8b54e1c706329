"""Candidates and facts out of an OFD package, all in memory: attachments, seals, then the code as the eye sees it.

The page is drawn (formats.ofd.draw) and read like a page of a PDF, so that a code covered by something is not taken
for a visible one. Where a page has something that is not drawn, the square pictures on it are read instead, and the
report says so. Source: DESIGN §8, docs/spec/documents.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from mingzheng.formats.candidate import Candidate, Extracted, FileFacts, Source
from mingzheng.formats.errors import FormatError, ResourceLimitError, UnreadableError
from mingzheng.formats.ofd.document import OfdFile, OfdPage, parse_box, read_ofd
from mingzheng.formats.ofd.integrity import check_ofd
from mingzheng.formats.ofd.package import read_package
from mingzheng.formats.page import QR_PLACE, Rect
from mingzheng.formats.sniff import FileKind

if TYPE_CHECKING:
    from mingzheng.formats.limits import Limits
    from mingzheng.formats.ofd.xmlread import Element

__all__ = ["NOT_DRAWN", "NO_VISIBLE_CODE", "extract_ofd"]

CREDENTIAL: Final = "credential"
RECEIPT: Final = "receipt"
NO_VISIBLE_CODE: Final = "ofd.no_visible_code"
NOT_DRAWN: Final = "ofd.not_drawn"

_SQUARE: Final = 0.02  # how much the sides of a code's picture may differ
_SIDE_MIN_MM: Final = 10.0
_SLACK_MM: Final = 3.0
_PICTURES_MAX: Final = 16  # square pictures read of one file


def extract_ofd(data: bytes, *, limits: Limits) -> Extracted:
    """Candidates and facts of an OFD file.

    Raises UnreadableError (`ofd.zip.…`, `ofd.xml.…`, `ofd.document.…`) and ResourceLimitError. What is wrong with
    seals or coverage is in the facts.
    """
    package = read_package(data, limits=limits.ofd)
    file = read_ofd(package, limits=limits.ofd)
    seals, faults = check_ofd(package, file, limits=limits.ofd)
    attached = list(_attached(file, limits))
    credentials = [body for name, body in attached if name == CREDENTIAL and body is not None]
    candidates = [
        Candidate(source=Source.ATTACHMENT, page=None, text=None, data=body, where=f"attachment:{CREDENTIAL}")
        for body in credentials
    ]
    visible, problems = _visible(file, limits)
    if candidates and not visible:
        problems += ((NO_VISIBLE_CODE, "attachment without a readable code on the page"),)
    return Extracted(
        kind=FileKind.OFD,
        candidates=(*candidates, *visible),
        facts=FileFacts(
            kind=FileKind.OFD,
            pages=len(file.pages),
            attachments=tuple(name for name, _ in attached),
            full_receipts=tuple(body for name, body in attached if name == RECEIPT and body is not None),
            seals=seals,
            faults=faults,
        ),
        problems=problems,
    )


def _attached(file: OfdFile, limits: Limits) -> Iterator[tuple[str, bytes | None]]:
    """Names of all attachments, of all documents, and the bytes of ours."""
    attachments = [attachment for body in file.bodies for attachment in body.attachments]
    if len(attachments) > limits.pdf_attachments:
        raise ResourceLimitError("attachments", limit=limits.pdf_attachments, got=len(attachments))
    for attachment in attachments:
        ours = attachment.name in (CREDENTIAL, RECEIPT) and attachment.file is not None
        body = file.package.files[attachment.file or ""] if ours else None
        if body is not None and len(body) > limits.attachment_bytes:
            raise ResourceLimitError("attachment_bytes", limit=limits.attachment_bytes, got=len(body))
        yield attachment.name, body


def _visible(file: OfdFile, limits: Limits) -> tuple[tuple[Candidate, ...], tuple[tuple[str, str], ...]]:
    """The codes on the pages, and what to say of how they were found."""
    from mingzheng.formats.ofd.draw import ofd_to_pdf
    from mingzheng.formats.pdf.extract import extract_pdf

    problems: tuple[tuple[str, str], ...] = ()
    try:
        visible = extract_pdf(ofd_to_pdf(file), limits=limits).candidates
    except ResourceLimitError:
        raise
    except FormatError as error:
        visible, problems = (), ((NOT_DRAWN, error.code),)
    return visible or tuple(_pictures(file, limits)), problems


def _pictures(file: OfdFile, limits: Limits) -> Iterator[Candidate]:
    """The codes in square pictures, page by page; the same picture is read once for each page."""
    from mingzheng.formats.qrimage import read_qr

    count = 0
    known: dict[str, tuple[Element, ...]] = {}
    for page in file.pages:
        elsewhere = 0
        for picture, place in dict.fromkeys(_squares(page, known)):
            count += 1
            if count > _PICTURES_MAX:
                raise ResourceLimitError("square pictures", limit=_PICTURES_MAX)
            try:
                symbols = read_qr(file.package.files[picture], limits=limits)
            except UnreadableError:
                continue
            for symbol in symbols:
                where = f"page:{page.number}:qr"
                if not place.inside(QR_PLACE, slack_mm=_SLACK_MM):
                    elsewhere += 1
                    where = f"page:{page.number}:code:{elsewhere}"
                text, body = (symbol.text, None) if isinstance(symbol.text, str) else (None, symbol.text)
                yield Candidate(source=Source.QR, page=page.number, text=text, data=body, where=where)


def _squares(page: OfdPage, known: dict[str, tuple[Element, ...]]) -> Iterator[tuple[str, Rect]]:
    """Files and places of the square pictures on a page and its templates; `known`: pictures by file of a page."""
    for name, root in {page.file: page.root, **{item.file: item.root for item in page.templates}}.items():
        if name not in known:
            known[name] = tuple(_images(root))
        for item in known[name]:
            resource = page.resources.get(item.get("ResourceID") or "")
            place = parse_box(item.get("Boundary"))
            if resource is None or resource.file is None or place is None:
                continue
            narrow, wide = sorted((place.width_mm, place.height_mm))
            if narrow >= _SIDE_MIN_MM and wide - narrow <= _SQUARE * wide:
                yield resource.file, place


def _images(root: Element) -> Iterator[Element]:
    waiting = [root]
    while waiting:
        element = waiting.pop()
        if element.tag == "ImageObject":
            yield element
        waiting.extend(element.children)
