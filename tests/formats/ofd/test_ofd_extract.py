"""Candidates and facts out of an OFD file: attachments, codes in pictures, seals, limits; nothing touches a disk."""

import builtins
import dataclasses
import os
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ofdforge import NS, Files, document, pack, put, xml

from mingzheng.formats.candidate import Candidate, Source
from mingzheng.formats.errors import FormatError, ResourceLimitError
from mingzheng.formats.extract import extract
from mingzheng.formats.limits import LIMITS_DEFAULT
from mingzheng.formats.ofd import draw
from mingzheng.formats.ofd.document import OfdFile
from mingzheng.formats.ofd.drawstate import DrawUnsupportedError
from mingzheng.formats.ofd.extract import NO_VISIBLE_CODE, NOT_DRAWN, extract_ofd
from mingzheng.formats.qrimage import encode_qr, matrix_to_png
from mingzheng.formats.sniff import FileKind
from mingzheng.keys.sm2backend import can_sign

CODE = matrix_to_png(encode_qr("123456789"), 4)
OTHER = matrix_to_png(encode_qr("987654321"), 4)
PAGE = "Doc_0/Pages/Page_0/Content.xml"
RES = "Doc_0/PublicRes.xml"


@pytest.fixture(autouse=True)
def _no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pictures are read directly: what drawing does is tested with it."""

    def not_drawn(file: OfdFile) -> bytes:
        raise DrawUnsupportedError("test")

    monkeypatch.setattr(draw, "ofd_to_pdf", not_drawn)


def with_code(picture: bytes = CODE) -> Files:
    return document(seals=False, extra={"Doc_0/Res/qr.png": picture})


def codes(files: Files) -> list[tuple[str, str | None]]:
    found = extract(pack(files), limits=LIMITS_DEFAULT).candidates
    return [(item.where, item.text) for item in found if item.source is Source.QR]


def test_attachments_code_and_facts() -> None:
    found = extract(pack(with_code()), limits=LIMITS_DEFAULT)
    attached, visible = found.candidates
    assert (attached.source, attached.data, attached.where) == (
        Source.ATTACHMENT,
        b"\xd2credential",
        "attachment:credential",
    )
    assert (visible.source, visible.page, visible.text, visible.where) == (Source.QR, 1, "123456789", "page:1:qr")
    facts = found.facts
    assert found.kind is facts.kind is FileKind.OFD
    assert (facts.pages, facts.attachments, facts.full_receipts) == (1, ("credential", "receipt"), (b"\xd2receipt",))
    assert (facts.seals, facts.faults) == ((), ())
    assert found.problems == ((NOT_DRAWN, DrawUnsupportedError.code),)


@pytest.mark.skipif(not can_sign(), reason="no libcrypto that signs with SM2")
def test_seals_come_with_the_facts() -> None:
    facts = extract(pack(put(document())), limits=LIMITS_DEFAULT).facts
    assert [item.faults for item in facts.seals] == [()]
    files = put(document())
    files["x"] = b"x"
    facts = extract(pack(files), limits=LIMITS_DEFAULT).facts
    assert facts.faults == (("file.uncovered", "x"),)


def test_a_credential_without_a_visible_code_is_a_problem() -> None:
    found = extract(pack(document(seals=False)), limits=LIMITS_DEFAULT)  # its picture is a damaged PNG
    assert [code for code, _ in found.problems] == [NOT_DRAWN, NO_VISIBLE_CODE]
    assert len(found.candidates) == 1


def test_codes_elsewhere_and_in_templates_have_places_of_their_own() -> None:
    files = with_code()
    image = '<ofd:ImageObject ID="{}" Boundary="{}" ResourceID="5"/>'
    files[PAGE] = files[PAGE].replace(b"</ofd:Layer>", image.format(20, "100 10 30 30").encode() + b"</ofd:Layer>")
    template = (
        f"<ofd:Page {NS}><ofd:Content><ofd:Layer>{image.format(21, '10 10 30 30')}</ofd:Layer></ofd:Content></ofd:Page>"
    )
    files["Doc_0/Tpls/Tpl_0/Content.xml"] = xml(template)
    assert codes(files) == [("page:1:code:1", "123456789"), ("page:1:qr", "123456789"), ("page:1:code:2", "123456789")]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"22 213 42 42", b"22 213 42 20"), (b"22 213 42 42", b"22 213 9 9"), (b"22 213 42 42", b"x"),
        (b'ResourceID="5"', b'ResourceID="6"'), (b"ImageObject", b"PathObject_"),
    ],
)  # fmt: skip
def test_what_is_no_square_picture_is_left_alone(old: bytes, new: bytes) -> None:
    files = with_code()
    files[PAGE] = files[PAGE].replace(old, new)
    assert codes(files) == []


def test_a_code_of_bytes_is_kept_as_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    symbol = SimpleNamespace(text=b"\xff")
    monkeypatch.setattr("mingzheng.formats.qrimage.read_qr", lambda picture, limits: (symbol,))
    (_, candidate) = extract(pack(with_code()), limits=LIMITS_DEFAULT).candidates
    assert (candidate.text, candidate.data) == (None, b"\xff")


def test_drawn_codes_come_before_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = Candidate(source=Source.QR, page=1, text="drawn", data=None, where="page:1:qr")
    monkeypatch.setattr(draw, "ofd_to_pdf", lambda file: b"%PDF")
    monkeypatch.setattr(
        "mingzheng.formats.pdf.extract.extract_pdf", lambda data, limits: SimpleNamespace(candidates=(drawn,))
    )
    found = extract_ofd(pack(with_code()), limits=LIMITS_DEFAULT)
    assert [item.text for item in found.candidates[1:]] == ["drawn"]
    assert found.problems == ()


def test_a_limit_met_while_drawing_is_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_much(file: object) -> bytes:
        raise ResourceLimitError("pixels", limit=1)

    monkeypatch.setattr(draw, "ofd_to_pdf", too_much)
    with pytest.raises(ResourceLimitError):
        extract_ofd(pack(with_code()), limits=LIMITS_DEFAULT)


def test_limits_hold_at_the_cap_and_break_one_above() -> None:
    data = pack(with_code())
    for change in ({"pdf_attachments": 2}, {"attachment_bytes": 11}):
        limits = dataclasses.replace(LIMITS_DEFAULT, **change)
        assert extract(data, limits=limits).candidates
        lower = dataclasses.replace(limits, **{name: value - 1 for name, value in change.items()})
        with pytest.raises(ResourceLimitError):
            extract(data, limits=lower)
    many = "".join(f'<ofd:ImageObject ID="{20 + n}" Boundary="{n} 0 30 30" ResourceID="5"/>' for n in range(17))
    files = with_code(b"no picture")
    files[PAGE] = files[PAGE].replace(b"</ofd:Layer>", many.encode() + b"</ofd:Layer>")
    with pytest.raises(ResourceLimitError):
        extract(pack(files), limits=LIMITS_DEFAULT)


def test_nothing_is_opened_or_written(monkeypatch: pytest.MonkeyPatch) -> None:
    data = pack(with_code())
    extract(data, limits=LIMITS_DEFAULT)  # libraries are loaded

    def refused(*args: object, **_: object) -> None:
        raise AssertionError(f"a file is opened: {args[0]}")

    for place, name in ((builtins, "open"), (os, "open"), (os, "mkdir")):
        monkeypatch.setattr(place, name, refused)
    assert extract(data, limits=LIMITS_DEFAULT).candidates


@given(st.data())
def test_any_changed_byte_gives_an_outcome_or_a_typed_error(data: st.DataObject) -> None:
    good = bytearray(pack(with_code()))
    for _ in range(data.draw(st.integers(1, 3))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert extract(bytes(good), limits=LIMITS_DEFAULT).kind in FileKind
    except FormatError:
        return
