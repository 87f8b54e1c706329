"""What comes out of a PDF: attachments and the visible code, both always; hostile files, typed errors."""

import dataclasses
import hashlib
import re
import zlib
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mingzheng.formats.candidate import Source
from mingzheng.formats.errors import FileTooHungryError, FormatError, ResourceLimitError, UnreadableError
from mingzheng.formats.extract import extract
from mingzheng.formats.limits import LIMITS_DEFAULT
from mingzheng.formats.page import QrSlot
from mingzheng.formats.pdf.extract import NO_VISIBLE_CODE, EncryptedError, extract_pdf
from mingzheng.formats.pdf.objects import PdfObjects, array, dictionary, ref, stream
from mingzheng.formats.qrimage import encode_qr
from mingzheng.formats.sniff import FileKind

VECTORS = Path(__file__).resolve().parents[1] / "vectors/pdf"


def tiny(
    *, pages: int = 1, size: bytes = b"[0 0 200 200]", content: bytes = b"", files: dict[str, bytes] | None = None
) -> bytes:
    """A small PDF with blank pages and attachments."""
    objects = PdfObjects()
    root, tree = objects.reserve(), objects.reserve()
    body = objects.add(stream(content))
    kids = [
        objects.add(dictionary(Type=b"/Page", Parent=ref(tree), MediaBox=size, Contents=ref(body), Resources=b"<<>>"))
        for _ in range(pages)
    ]
    objects.set(tree, dictionary(Type=b"/Pages", Kids=array(map(ref, kids)), Count=b"%d" % pages))
    names = []
    for label, data in (files or {}).items():
        file = objects.add(stream(data, {"Type": b"/EmbeddedFile"}, compress=bool(data)))
        spec = objects.add(dictionary(Type=b"/Filespec", F=b"(%b)" % label.encode(), EF=dictionary(F=ref(file))))
        names += [b"(%b)" % label.encode(), ref(spec)]
    embedded = dictionary(EmbeddedFiles=dictionary(Names=array(names)))
    objects.set(root, dictionary(Type=b"/Catalog", Pages=ref(tree), Names=embedded))
    return objects.file(root=root, info=objects.add(b"<<>>"))


def test_our_certificate_gives_attachment_receipt_and_visible_code(studio: Any) -> None:
    found = extract(studio.pdf(), limits=LIMITS_DEFAULT)
    attachment, visible = found.candidates
    assert (attachment.source, attachment.data, attachment.where) == (
        Source.ATTACHMENT,
        b"\xd2credential",
        "attachment:credential",
    )
    assert (visible.source, visible.text, visible.page, visible.where) == (Source.QR, studio.digits(), 1, "page:1:qr")
    assert found.facts.full_receipts == (b"receipt",)
    assert found.facts.attachments == ("credential", "receipt")
    assert (found.kind, found.facts.pages, found.problems) == (FileKind.PDF, 1, ())


@pytest.mark.parametrize("length", [100, 300, 480, 640, 900])
def test_code_of_every_size_is_read_at_its_place(studio: Any, length: int) -> None:
    digits = studio.digits(length)
    found = extract(studio.pdf(studio.page(qr_rows=encode_qr(digits).rows)), limits=LIMITS_DEFAULT)
    assert [(one.text, one.where) for one in found.candidates[1:]] == [(digits, "page:1:qr")]


def test_attachment_and_visible_code_that_differ_are_both_given(studio: Any) -> None:
    genuine = int(studio.digits()).to_bytes(480, "big")
    other = studio.digits(300)
    file = studio.pdf(studio.page(qr_rows=encode_qr(other).rows), {"credential": genuine})
    attachment, visible = extract(file, limits=LIMITS_DEFAULT).candidates
    assert attachment.data == genuine
    assert visible.text == other


def test_attachment_without_visible_code_is_a_problem(studio: Any) -> None:
    found = extract(studio.pdf(studio.page(qr_rows=None)), limits=LIMITS_DEFAULT)
    assert [code for code, _ in found.problems] == [NO_VISIBLE_CODE]
    assert [one.source for one in found.candidates] == [Source.ATTACHMENT]


def test_visible_code_without_attachment_is_found(studio: Any) -> None:
    found = extract(studio.pdf(attachments={}), limits=LIMITS_DEFAULT)
    assert [one.source for one in found.candidates] == [Source.QR]
    assert found.problems == ()


def test_two_codes_in_the_place_share_the_slot(studio: Any) -> None:
    page = studio.page()
    (slot,) = (box for box in page.boxes if isinstance(box, QrSlot))
    half = dataclasses.replace(slot.rect, width_mm=21, height_mm=21)
    codes = tuple(
        dataclasses.replace(slot, rect=dataclasses.replace(half, x_mm=x), rows=encode_qr(digits).rows)
        for x, digits in ((22, "123456"), (43, "654321"))
    )
    boxes = tuple(box for box in page.boxes if box is not slot) + codes
    found = extract(studio.pdf(dataclasses.replace(page, boxes=boxes), {}), limits=LIMITS_DEFAULT)
    assert {(one.text, one.where) for one in found.candidates} == {("123456", "page:1:qr"), ("654321", "page:1:qr")}


def test_code_elsewhere_on_the_page_is_found_by_the_whole_page(studio: Any) -> None:
    page = studio.page()
    moved = tuple(
        dataclasses.replace(box, rect=dataclasses.replace(box.rect, x_mm=150, y_mm=20))
        if isinstance(box, QrSlot)
        else box
        for box in page.boxes
    )
    found = extract(studio.pdf(dataclasses.replace(page, boxes=moved), {}), limits=LIMITS_DEFAULT)
    assert [one.where for one in found.candidates] == ["page:1:code:1"]


def test_small_code_is_found_at_200_dpi(studio: Any) -> None:
    page = studio.page()
    small = tuple(
        dataclasses.replace(box, rect=dataclasses.replace(box.rect, x_mm=150, y_mm=20, width_mm=22, height_mm=22))
        if isinstance(box, QrSlot)
        else box
        for box in page.boxes
    )
    found = extract(studio.pdf(dataclasses.replace(page, boxes=small), {}), limits=LIMITS_DEFAULT)
    assert [one.text for one in found.candidates] == [studio.digits()]


def with_codes(studio: Any, *codes: tuple[str, float, float, float], keep: bool = True) -> bytes:
    """Our page with further codes: digits, left, top, width in millimetres."""
    page = studio.page()
    (slot,) = (box for box in page.boxes if isinstance(box, QrSlot))
    more = tuple(
        dataclasses.replace(
            slot,
            rect=dataclasses.replace(slot.rect, x_mm=x, y_mm=y, width_mm=width, height_mm=width),
            rows=encode_qr(digits).rows,
        )
        for digits, x, y, width in codes
    )
    boxes = tuple(box for box in page.boxes if keep or box is not slot)
    return bytes(studio.pdf(dataclasses.replace(page, boxes=boxes + more), {}))


@pytest.mark.parametrize("length", [60, 480, 900])
@pytest.mark.parametrize(("x", "y", "width"), [(110, 10, 90), (150, 240, 40), (10, 10, 25)])
def test_a_second_code_is_found_although_the_place_holds_one(
    studio: Any, length: int, x: float, y: float, width: float
) -> None:
    """A larger code of another credential beside a genuine one is what a person would scan."""
    if length > 60 and width < 40:
        width = 40
    other = studio.digits(length + 1)
    found = extract(with_codes(studio, (other, x, y, width)), limits=LIMITS_DEFAULT)
    assert [(one.text, one.where) for one in found.candidates] == [
        (studio.digits(), "page:1:qr"),
        (other, "page:1:code:1"),
    ]


def test_a_code_found_at_the_finest_look_only_is_kept(studio: Any) -> None:
    file = with_codes(studio, ("123456", 20, 20, 60), (studio.digits(), 150, 20, 22), keep=False)
    assert {one.text for one in extract(file, limits=LIMITS_DEFAULT).candidates} == {"123456", studio.digits()}


def test_the_same_code_elsewhere_is_given_with_its_own_place(studio: Any) -> None:
    found = extract(with_codes(studio, (studio.digits(), 110, 10, 60)), limits=LIMITS_DEFAULT)
    assert [(one.text, one.where) for one in found.candidates] == [
        (studio.digits(), "page:1:qr"),
        (studio.digits(), "page:1:code:1"),
    ]


def test_a_code_drawn_across_the_place_shares_the_slot(studio: Any) -> None:
    """Too large for the crop of the place, but it stands there: no second place to hide in."""
    (slot,) = (box for box in studio.page().boxes if isinstance(box, QrSlot))
    x, y, width = slot.rect.x_mm, slot.rect.y_mm, slot.rect.width_mm
    found = extract(with_codes(studio, ("123456", x - 10, y - 10, width + 20), keep=False), limits=LIMITS_DEFAULT)
    assert [(one.text, one.where) for one in found.candidates] == [("123456", "page:1:qr")]


def test_code_on_a_page_of_another_format_is_found(studio: Any) -> None:
    page = studio.page()
    codes = tuple(box for box in page.boxes if isinstance(box, QrSlot))
    wide = dataclasses.replace(page, width_mm=297, height_mm=420, boxes=codes)
    found = extract(studio.pdf(wide, {}), limits=LIMITS_DEFAULT)
    assert [(one.text, one.where) for one in found.candidates] == [(studio.digits(), "page:1:code:1")]


def test_a_form_field_drawn_over_the_code_is_seen(studio: Any) -> None:
    """The eye sees an annotation above the page: so does the reader."""
    file = studio.pdf(attachments={})
    form = {"Type": b"/XObject", "Subtype": b"/Form", "BBox": b"[0 0 300 300]"}
    appearance = stream(b"1 1 1 rg 0 0 300 300 re f", form)
    annotation = b"<</Type /Annot /Subtype /Widget /FT /Tx /T (a) /F 4 /Rect [0 0 300 300] /AP <</N 901 0 R>>>>"
    changed = file.replace(b"/Tabs /S", b"/Annots [900 0 R] /Tabs /S")
    changed = changed.replace(b"/Type /Catalog", b"/Type /Catalog /AcroForm <</Fields [900 0 R]>>")
    changed = changed[: changed.rindex(b"xref\n0 ")]
    changed += b"900 0 obj\n" + annotation + b"\nendobj\n901 0 obj\n" + appearance + b"\nendobj\n"
    changed += b"trailer\n<</Root 1 0 R>>\n%%EOF\n"
    assert len(extract(file, limits=LIMITS_DEFAULT).candidates) == 1
    assert extract(changed, limits=LIMITS_DEFAULT).candidates == ()


@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_truncated_certificate_gives_no_wrong_candidate(studio: Any, keep: float) -> None:
    file = studio.pdf()
    try:
        found = extract(file[: int(len(file) * keep)], limits=LIMITS_DEFAULT)
    except UnreadableError:
        return
    for candidate in found.candidates:
        assert candidate.text in (None, studio.digits())
        assert candidate.data in (None, b"\xd2credential")


def test_pdf_without_pages_is_unreadable() -> None:
    with pytest.raises(UnreadableError):
        extract(tiny(pages=0), limits=LIMITS_DEFAULT)


def test_limits_hold_at_the_cap_and_break_one_above() -> None:
    file = tiny(pages=3, files={"a": b"1", "credential": b"12345"})
    exact = dataclasses.replace(
        LIMITS_DEFAULT, pdf_bytes=len(file), pdf_pages=3, pdf_attachments=2, attachment_bytes=5, image_pixels=556 * 556
    )
    found = extract_pdf(file, limits=exact)
    assert found.facts.attachments == ("a", "credential")
    assert [one.data for one in found.candidates] == [b"12345"]
    for field in ("pdf_bytes", "pdf_pages", "pdf_attachments", "attachment_bytes", "image_pixels"):
        tight = dataclasses.replace(exact, **{field: getattr(exact, field) - 1})
        with pytest.raises(ResourceLimitError):
            extract_pdf(file, limits=tight)


def test_huge_page_is_refused_before_it_is_drawn() -> None:
    for size in (b"[0 0 14400 14400]", b"[0 0 2000000 10]"):
        with pytest.raises(ResourceLimitError):
            extract_pdf(tiny(size=size), limits=LIMITS_DEFAULT)


def test_attachment_that_inflates_beyond_the_limit_is_refused() -> None:
    bomb = tiny(files={"credential": bytes(3_000_000)})
    assert len(bomb) < 20_000
    with pytest.raises(ResourceLimitError) as caught:
        extract_pdf(bomb, limits=LIMITS_DEFAULT)
    assert caught.value.what == "attachment_bytes"


def test_other_attachments_are_named_and_not_opened() -> None:
    found = extract_pdf(tiny(files={"bomb": bytes(3_000_000), "receipt": b"r"}), limits=LIMITS_DEFAULT)
    assert found.facts.attachments == ("bomb", "receipt")
    assert found.facts.full_receipts == (b"r",)
    assert found.candidates == ()


def test_empty_attachment_is_a_candidate_of_no_bytes() -> None:
    found = extract_pdf(tiny(files={"credential": b""}), limits=LIMITS_DEFAULT)
    assert [one.data for one in found.candidates] == [b""]


def rc4(key: bytes, data: bytes) -> bytes:
    state, j, out = list(range(256)), 0, bytearray()
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    i = j = 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)


def encrypted(user: bytes) -> bytes:
    """A PDF under 40-bit RC4 (ISO 32000-1 §7.6.3, algorithms 2 to 4)."""
    file = tiny()
    pad = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")
    identifier = re.search(rb"/ID \[<([0-9A-F]{32})>", file)
    assert identifier is not None
    owner = rc4(hashlib.md5(pad).digest()[:5], (user + pad)[:32])
    seed = (user + pad)[:32] + owner + b"\xfc\xff\xff\xff" + bytes.fromhex(identifier[1].decode())
    check = rc4(hashlib.md5(seed).digest()[:5], pad)
    entry = b"/Encrypt <</Filter /Standard /V 1 /R 2 /P -4 /O <%b> /U <%b>>>" % (
        owner.hex().encode(),
        check.hex().encode(),
    )
    return file.replace(b"trailer\n<<", b"trailer\n<<" + entry)


@pytest.mark.parametrize("user", [b"", b"secret"])
def test_encrypted_pdf_is_unreadable_with_a_code_of_its_own(user: bytes) -> None:
    with pytest.raises(EncryptedError) as caught:
        extract(encrypted(user), limits=LIMITS_DEFAULT)
    assert caught.value.code == "file.encrypted"
    assert isinstance(caught.value, UnreadableError)


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.pdf")), ids=lambda path: path.stem)
def test_hostile_files_give_no_candidate_and_typed_errors_only(path: Path) -> None:
    try:
        found = extract(path.read_bytes(), limits=LIMITS_DEFAULT)
    except FormatError:
        return
    assert found.candidates == ()


def test_hostile_collection_is_there() -> None:
    assert len(list(VECTORS.glob("*.pdf"))) >= 12


def test_lack_of_memory_is_a_limit_and_not_the_files_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh process may have enough: it must not be told that the file is damaged."""

    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(pypdfium2.PdfPage, "render", fail)
    with pytest.raises(FileTooHungryError):
        extract(tiny(), limits=LIMITS_DEFAULT)


@pytest.mark.parametrize("error", [UnicodeError("x"), OverflowError("x"), pypdfium2.PdfiumError("x")])
def test_errors_of_the_reader_are_wrapped(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(pypdfium2.PdfPage, "render", fail)
    with pytest.raises(UnreadableError):
        extract_pdf(tiny(), limits=LIMITS_DEFAULT)


def test_attachment_without_data_is_unreadable() -> None:
    file = tiny(files={"credential": b"1"}).replace(b"/EF <<", b"/EG <<")
    with pytest.raises(UnreadableError):
        extract_pdf(file, limits=LIMITS_DEFAULT)


@settings(max_examples=40)
@given(place=st.integers(0, 1 << 20), damage=st.binary(min_size=1, max_size=4))
def test_damage_anywhere_gives_typed_errors_and_no_wrong_visible_code(studio: Any, place: int, damage: bytes) -> None:
    file = bytearray(studio.pdf())
    place %= len(file)
    file[place : place + len(damage)] = damage
    try:
        found = extract(bytes(file), limits=LIMITS_DEFAULT)
    except FormatError:
        return
    for candidate in found.candidates:
        if candidate.source is Source.QR:
            assert candidate.text == studio.digits()


def test_streams_of_ours_inflate() -> None:
    assert zlib.decompress(stream(b"abc").split(b"stream\n")[1].split(b"\nend")[0]) == b"abc"


def test_a_damaged_file_after_an_encrypted_one_is_damaged() -> None:
    """What a worker read before must not change its words."""
    for name, code in 2 * (("broken-objstream6", "file.unreadable"), ("minimal-aes256-malformed-oe", "file.encrypted")):
        with pytest.raises(UnreadableError) as caught:
            extract_pdf((VECTORS / f"{name}.pdf").read_bytes(), limits=LIMITS_DEFAULT)
        assert caught.value.code == code
