"""Seals on a PDF as pyHanko, PDFium and asn1crypto see them."""

import asyncio
import dataclasses
import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pypdfium2
import pytest
import sealpress
import stampworld
from asn1crypto import x509 as asn1_x509
from PIL import Image
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import PdfSignatureStatus, async_validate_pdf_signature
from pyhanko.sign.validation.status import SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext

from mingzheng.formats.errors import FormatError
from mingzheng.formats.imagehead import ImageError
from mingzheng.formats.page import PageSpec, Rect, seal_slots, without_slots
from mingzheng.formats.pdf.integrity import check_pdf
from mingzheng.formats.pdf.revise import object_offset
from mingzheng.formats.pdf.seal import PdfSealError, seal_pdf
from mingzheng.keys.sealkey import SealAlg

if TYPE_CHECKING:
    from conftest import Studio  # type: ignore[import-not-found]
else:
    Studio = Any

ARCHITECT = 3
RSA = (SealAlg.RSA, SealAlg.RSA)
MIXED = (SealAlg.P256, SealAlg.RSA)


@pytest.fixture(scope="module")
def two(studio: Studio) -> PageSpec:
    page: PageSpec = studio.page(studio.claims(kind=ARCHITECT))
    return page


@pytest.fixture(scope="module")
def one(studio: Studio) -> PageSpec:
    page: PageSpec = studio.page()
    return page


@pytest.fixture(scope="module")
def plain(studio: Studio) -> Callable[[PageSpec], bytes]:
    return lambda page: studio.pdf(without_slots(page))


def statuses(file: bytes) -> list[PdfSignatureStatus]:
    """What pyHanko says of every seal, trusting our root."""
    root = asn1_x509.Certificate.load(sealpress.root())
    reader = PdfFileReader(io.BytesIO(file))

    async def judge() -> list[PdfSignatureStatus]:
        context = [ValidationContext(trust_roots=[root], allow_fetching=False, moment=stampworld.MOMENT)]
        return [
            await async_validate_pdf_signature(seal, context[0], context[0])
            for seal in reader.embedded_regular_signatures
        ]

    return asyncio.run(judge())


def rendered(file: bytes, dpi: int = 100) -> Image.Image:
    with pypdfium2.PdfDocument(file) as document:
        document.init_forms()
        picture: Image.Image = document[0].render(scale=dpi / 72, may_draw_forms=True).to_pil().convert("RGB")
        return picture


def crop(picture: Image.Image, rect: Rect, dpi: int = 100) -> Image.Image:
    return picture.crop(
        tuple(round(v * dpi / 25.4) for v in (rect.x_mm, rect.y_mm, rect.right_mm, rect.bottom_mm))  # type: ignore[arg-type]
    )


def red(picture: Image.Image) -> int:
    """Pixels in the colour of seals."""
    band = picture.tobytes()
    return sum(r > 180 and g < 60 and b < 70 for r, g, b in zip(band[::3], band[1::3], band[2::3], strict=True))


@pytest.mark.parametrize("algs", [(SealAlg.P256,) * 2, RSA, MIXED])
@pytest.mark.parametrize("png", [False, True])
def test_pyhanko_accepts_two_seals(
    two: PageSpec, plain: Callable[[PageSpec], bytes], algs: tuple[SealAlg, ...], png: bool
) -> None:
    file = sealpress.sealed(plain(two), two, algs=algs, png=png)
    first, second = statuses(file)
    assert first.bottom_line
    assert second.bottom_line
    assert first.docmdp_ok
    assert (first.coverage, second.coverage) == (
        SignatureCoverageLevel.ENTIRE_REVISION,
        SignatureCoverageLevel.ENTIRE_FILE,
    )


def test_pyhanko_accepts_one_seal(one: PageSpec, plain: Callable[[PageSpec], bytes]) -> None:
    (status,) = statuses(sealpress.sealed(plain(one), one))
    assert status.bottom_line
    assert status.coverage is SignatureCoverageLevel.ENTIRE_FILE


@pytest.mark.parametrize("archive", [False, True])
def test_levels_t_and_lta(two: PageSpec, plain: Callable[[PageSpec], bytes], archive: bool) -> None:
    file = sealpress.sealed(plain(two), two, timestamps=stampworld.LocalStamps(archive))
    for status in statuses(file):
        assert status.bottom_line
        assert status.timestamp_validity is not None
        assert status.timestamp_validity.valid
    reader = PdfFileReader(io.BytesIO(file))
    stamps = reader.embedded_timestamp_signatures
    assert [stamp.field_name for stamp in stamps] == (["TimeStamp"] if archive else [])
    assert ("/DSS" in reader.root) is archive
    if archive:
        assert reader.root["/DSS"]["/CRLs"][0].data == stampworld.crl()
        stamps[0].compute_integrity_info()
        assert stamps[0].coverage is SignatureCoverageLevel.ENTIRE_FILE


def test_the_first_seal_certifies_and_the_last_one_locks(
    one: PageSpec, two: PageSpec, plain: Callable[[PageSpec], bytes]
) -> None:
    single = PdfFileReader(io.BytesIO(sealpress.sealed(plain(one), one))).embedded_regular_signatures
    assert [seal.docmdp_level.value for seal in single] == [1]
    first, second = PdfFileReader(io.BytesIO(sealpress.sealed(plain(two), two))).embedded_regular_signatures
    assert first.docmdp_level.value == 2
    assert first.fieldmdp is None
    assert second.docmdp_level.value == 1  # from the lock of its field
    assert second.fieldmdp.is_locked("Seal1")
    assert second.fieldmdp.is_locked("anything")
    assert (first.field_name, second.field_name) == ("Seal1", "Seal2")


def test_the_second_seal_changes_its_own_field_and_nothing_else(
    two: PageSpec, plain: Callable[[PageSpec], bytes]
) -> None:
    file = sealpress.sealed(plain(two), two)
    end = file.index(b"%%EOF\n") + 6
    first, update = file[:end], file[end:]
    numbers = [int(number) for number in re.findall(rb"(?:^|\n)(\d+) 0 obj\n", update)]
    old = first.count(b" 0 obj\n")
    assert [number for number in numbers if number <= old] == [_field(first, "Seal2")]
    assert len(numbers) == 3  # field, picture, signature
    with pypdfium2.PdfDocument(first) as document:
        assert pypdfium2.raw.FPDF_GetSignatureCount(document) == 2  # both fields are there from the beginning


def _field(file: bytes, name: str) -> int:
    (number,) = re.findall(rb"\n(\d+) 0 obj\n<</Type /Annot [^\n]*/T \(%b\)" % name.encode(), file)
    return int(number)


def test_same_input_same_bytes(two: PageSpec, plain: Callable[[PageSpec], bytes]) -> None:
    data = plain(two)
    assert sealpress.sealed(data, two) == sealpress.sealed(data, two)


def test_seals_stand_in_their_places_and_an_unsealed_field_is_empty(
    two: PageSpec, plain: Callable[[PageSpec], bytes]
) -> None:
    data = plain(two)
    file = sealpress.sealed(data, two)
    first = file[: file.index(b"%%EOF\n") + 6]
    slots = seal_slots(two)
    full, half, bare = rendered(file), rendered(first), rendered(data)
    assert all(red(crop(full, slot.rect)) > 1000 for slot in slots)
    assert [red(crop(half, slot.rect)) > 0 for slot in slots] == [True, False]
    assert all(red(crop(bare, slot.rect)) == 0 for slot in slots)
    for slot in slots:  # red stays within the slots
        full.paste(
            (255, 255, 255),
            tuple(round(v * 100 / 25.4) + d for v, d in zip(_edges(slot.rect), (-1, -1, 1, 1), strict=True)),
        )  # type: ignore[arg-type]
    bare_red = red(bare)
    assert red(full) == bare_red


def _edges(rect: Rect) -> tuple[float, float, float, float]:
    return rect.x_mm, rect.y_mm, rect.right_mm, rect.bottom_mm


def test_seals_are_dark_on_a_grey_printer(two: PageSpec, plain: Callable[[PageSpec], bytes]) -> None:
    grey = rendered(sealpress.sealed(plain(two), two), 200).convert("L")
    for slot in seal_slots(two):
        histogram = crop(grey, slot.rect, 200).histogram()
        assert sum(histogram[:110]) > 0.08 * sum(histogram)


def test_picture_as_png_keeps_its_shape(two: PageSpec, plain: Callable[[PageSpec], bytes]) -> None:
    wide = io.BytesIO()
    Image.new("RGB", (300, 100), (210, 14, 22)).save(wide, "PNG")
    seals = [dataclasses.replace(sealpress.sealings(two)[0], art_pdf=None, art_png=wide.getvalue())]
    file = seal_pdf(plain(two), seals=seals, at=sealpress.AT, timestamps=None)
    place = crop(rendered(file), seals[0].rect)
    third = place.height // 3
    assert red(place.crop((4, third + 2, place.width - 4, 2 * third - 2))) == (place.width - 8) * (third - 4)
    assert red(place.crop((0, 0, place.width, third - 3))) == 0


def test_fields_have_names_for_someone_who_listens(two: PageSpec, plain: Callable[[PageSpec], bytes]) -> None:
    reader = PdfFileReader(io.BytesIO(sealpress.sealed(plain(two), two)))
    page = reader.root["/Pages"]["/Kids"][0]
    widgets = [widget.get_object() for widget in page["/Annots"]]
    assert [str(widget["/TU"]) for widget in widgets] == [f"印章：{slot.body}" for slot in seal_slots(two)]
    tree = reader.root["/StructTreeRoot"]
    parents = list(tree["/ParentTree"]["/Nums"])
    for widget in widgets:
        element = parents[parents.index(int(widget["/StructParent"])) + 1].get_object()
        assert element["/S"] == "/Form"
        assert element["/K"]["/Obj"]["/T"] == widget["/T"]
        assert str(element["/Alt"]) == str(widget["/TU"])
    assert int(tree["/ParentTreeNextKey"]) == 3


def test_our_own_check_finds_no_fault_and_every_changed_byte(two: PageSpec, plain: Callable[[PageSpec], bytes]) -> None:
    file = sealpress.sealed(plain(two), two)
    seals, faults = check_pdf(file)
    assert faults == ()
    assert [(seal.place, seal.faults, seal.signed_at) for seal in seals] == [
        ("Seal1", (), sealpress.AT),
        ("Seal2", (), sealpress.AT),
    ]
    assert [mark.rect.x_mm for seal in seals for mark in seal.marks] == pytest.approx(
        [slot.rect.x_mm for slot in seal_slots(two)], abs=0.01
    )
    for place in range(7, len(file), len(file) // 40):
        bad = bytearray(file)
        bad[place] ^= 1
        try:
            seals, faults = check_pdf(bytes(bad))
        except FormatError:
            continue
        assert faults or len(seals) < 2 or any(seal.faults for seal in seals), place


def test_refuses_what_it_did_not_make(two: PageSpec, plain: Callable[[PageSpec], bytes]) -> None:
    data, seals = plain(two), sealpress.sealings(two)

    def refused(data: bytes, **changes: Any) -> None:
        with pytest.raises(PdfSealError):
            seal_pdf(data, **{"seals": seals, "at": sealpress.AT, "timestamps": None, **changes})

    refused(b"%PDF-1.7\n")
    refused(sealpress.sealed(data, two))  # sealed already
    refused(data + b"\n")
    refused(data.replace(b"/Type /Catalog", b"/Type /Katalog"))
    refused(seals[0].art_pdf or b"")  # a file of ours, but no page
    refused(data, seals=[])
    refused(data, seals=seals * 3)
    refused(data, seals=[seals[0], seals[0]])
    refused(data, seals=[dataclasses.replace(seals[0], field="a.b")])
    refused(data, seals=[dataclasses.replace(seals[0], art_pdf=None, art_png=None)])
    refused(data, seals=[dataclasses.replace(seals[0], art_pdf=data)])


def test_refuses_pictures_that_are_no_png(studio: Studio, two: PageSpec, plain: Callable[[PageSpec], bytes]) -> None:
    for picture, error in ((studio.photo(), PdfSealError), (b"GIF89a", ImageError)):
        seals = [dataclasses.replace(sealpress.sealings(two)[0], art_pdf=None, art_png=picture)]
        with pytest.raises(error):
            seal_pdf(plain(two), seals=seals, at=sealpress.AT, timestamps=None)


@dataclasses.dataclass(frozen=True)
class OtherKey:
    """A key that lies about its size, or is of a kind PDF readers do not know."""

    alg: SealAlg
    certificate: bytes
    chain: tuple[bytes, ...]
    size: int

    def sign(self, message: bytes) -> bytes:
        return bytes(self.size)


@pytest.mark.parametrize(("alg", "size"), [(SealAlg.SM2, 70), (SealAlg.P256, 4000)])
def test_refuses_keys_readers_do_not_know_and_signatures_too_long(
    one: PageSpec, plain: Callable[[PageSpec], bytes], alg: SealAlg, size: int
) -> None:
    (seal,) = sealpress.sealings(one)
    key = OtherKey(alg=alg, certificate=seal.key.certificate, chain=(), size=size)
    with pytest.raises(PdfSealError):
        seal_pdf(plain(one), seals=[dataclasses.replace(seal, key=key)], at=sealpress.AT, timestamps=None)


def test_without_alternative_text_the_reason_is_read_out(one: PageSpec, plain: Callable[[PageSpec], bytes]) -> None:
    (seal,) = sealpress.sealings(one)
    file = seal_pdf(
        plain(one),
        seals=[dataclasses.replace(seal, alt="")],
        at=sealpress.AT,
        timestamps=None,
    )
    assert b"/TU <FEFF" + "签发 / issued".encode("utf-16-be").hex().upper().encode() + b">" in file
    with pypdfium2.PdfDocument(file) as document:
        seal_object = pypdfium2.raw.FPDF_GetSignatureObject(document, 0)
        assert seal_object
    number = _field(file, "Seal1")
    assert file[object_offset(file, number) :].startswith(b"<</Type /Annot")
