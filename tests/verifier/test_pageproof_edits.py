"""What somebody does to a file whose page would be proved: whatever is drawn, or might be, is then proved no more.

Edits of sealed files, entries put into the objects of unsealed ones (where nobody's signature tells), seals of a body's
own key that do more than stand red in their place, single bytes of all the objects that a page is drawn from.
"""

import dataclasses
import io
import random
import re
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import ofdoffice
import pagepress
import pytest
import sealpress
import stampworld
from conftest import FULL
from ofdforge import pack
from pagepress import everyday, make, pdf, sealed_pdf
from pdfedits import DRAW, EDITS, FOREIGN, Sealed
from PIL import Image

from mingzheng.formats.errors import FormatError
from mingzheng.formats.limits import LIMITS_DEFAULT, OFD_LIMITS
from mingzheng.formats.ofd import seal as ofd_seal
from mingzheng.formats.ofd.document import read_ofd
from mingzheng.formats.ofd.doubt import doubt_of
from mingzheng.formats.ofd.package import read_package
from mingzheng.formats.page import Rect, SealShape, seal_slots, without_slots
from mingzheng.formats.pdf import imageembed, sealform
from mingzheng.formats.pdf.compose import page_objects
from mingzheng.formats.pdf.integrity import check_pdf
from mingzheng.formats.pdf.objects import PdfObjects, stream
from mingzheng.formats.pdf.revise import PdfFile
from mingzheng.formats.pdf.seal import seal_pdf
from mingzheng.formats.pdf.sealform import SealPage
from mingzheng.formats.qrimage import encode_qr, matrix_to_png
from mingzheng.formats.sniff import FileKind
from mingzheng.verifier.pageproof import prove_page, read_file

PAGE_BYTES = 2_500 if FULL else 60
FILE_BYTES = 1_000 if FULL else 25


def is_proved(made: pagepress.Certificate, data: bytes, kind: FileKind = FileKind.PDF) -> bool:
    try:
        own = read_file(data, kind, limits=LIMITS_DEFAULT)
        kit = pagepress.kit()
        return (
            own is not None and prove_page(own, made.subject, [made.token], kit=kit, limits=LIMITS_DEFAULT) is not None
        )
    except FormatError:
        return False


@cache
def bare() -> bytes:
    return pdf(everyday().page)


@cache
def architect() -> pagepress.Certificate:
    """Two seals."""
    return make(5, kind=3, photo=pagepress.photo(2), signature=pagepress.signature(2))


@cache
def sealed(name: str) -> Sealed:
    made = {"one": everyday(), "two": architect()}[name]
    return Sealed(sealed_pdf(made.page), sealed_pdf(make(9, kind=made.claims.kind).page))


def rebuilt(change: Callable[[list[bytes]], None]) -> bytes:
    """The unsealed file written anew with other objects: by itself it is as plain as ours."""
    file = PdfFile(bare())
    bodies = list(file.bodies)
    change(bodies)
    objects = PdfObjects()
    for body in bodies:
        objects.add(body)
    return objects.file(root=file.root, info=file.info)


def swapped(number: int, old: bytes, new: bytes) -> Callable[[list[bytes]], None]:
    def change(bodies: list[bytes]) -> None:
        assert re.search(old, bodies[number - 1]), bodies[number - 1]
        bodies[number - 1] = re.sub(old, new, bodies[number - 1], count=1)

    return change


# Honest files


def test_the_files_as_they_are_are_proved() -> None:
    assert is_proved(everyday(), bare())
    assert is_proved(everyday(), rebuilt(lambda bodies: None))
    assert is_proved(everyday(), sealed("one").data)
    assert is_proved(architect(), sealed("two").data)


@pytest.mark.parametrize("archive", [False, True])
def test_files_with_time_stamps_are_proved(archive: bool) -> None:
    made = architect()
    service = stampworld.LocalStamps(archive=archive)
    data = sealpress.sealed(pdf(without_slots(made.page)), made.page, timestamps=service)
    assert is_proved(made, data)


def test_another_deflate_of_the_same_is_the_same() -> None:
    """A verifier's zlib need not be the issuer's."""
    content = len(page_objects(everyday().page, fonts=pagepress.kit().fonts))

    def deflated(bodies: list[bytes]) -> None:
        head, _, rest = bodies[content - 1].partition(b"\nstream\n")
        plain = zlib.decompress(rest.removesuffix(b"\nendstream"))
        bodies[content - 1] = stream(plain, level=9)
        assert head not in bodies[content - 1]

    def longer(bodies: list[bytes]) -> None:
        deflated(bodies)
        found = re.search(rb"/Length (\d+)", bodies[content - 1])
        assert found is not None
        body = bodies[content - 1].replace(found[0], b"/Length %d" % (int(found[1]) + 1))
        bodies[content - 1] = body.replace(b"\nendstream", b"x\nendstream")

    assert is_proved(everyday(), rebuilt(deflated))
    assert not is_proved(everyday(), rebuilt(longer))


# Edits


@pytest.mark.parametrize("name", ["one", "two"])
def test_no_edit_of_a_sealed_file_is_proved(name: str) -> None:
    made, file = {"one": everyday(), "two": architect()}[name], sealed(name)
    proved = {edit for edit, function in EDITS.items() if is_proved(made, function(file))}
    assert proved <= FOREIGN
    assert len(EDITS) >= 60


CATALOGUE = (
    *(b"/OCProperties <<>>", b"/OpenAction [3 0 R /Fit]", b"/AA <<>>", b"/PageMode /UseOC", b"/PageLayout /OneColumn"),
    *(b"/AcroForm <</NeedAppearances true /Fields []>>", b"/AcroForm <</Fields []>>", b"/Version /2.0", b"/URI <<>>"),
    *(b"/Collection <<>>", b"/Extensions <<>>", b"/Legal <<>>", b"/Requirements []", b"/PieceInfo <<>>", b"/X 1"),
    *(
        b"/Dests <<>>",
        b"/Outlines <<>>",
        b"/Threads []",
        b"/SpiderInfo <<>>",
        b"/PageLabels <<>>",
        b"/NeedsRendering true",
    ),
)
LEAF = (
    *(b"/Rotate 0", b"/Rotate 180", b"/CropBox [0 0 595.276 841.89]", b"/CropBox [0 400 595 842]", b"/UserUnit 1"),
    *(b"/BleedBox [0 0 9 9]", b"/TrimBox [0 0 9 9]", b"/ArtBox [0 0 9 9]", b"/BoxColorInfo <<>>", b"/Group <<>>"),
    *(b"/Annots []", b"/Annots 2 0 R", b"/AA <<>>", b"/Trans <<>>", b"/B []", b"/Dur 1", b"/VP []", b"/Metadata 2 0 R"),
    *(b"/PZ 1", b"/SeparationInfo <<>>", b"/TemplateInstantiated /a", b"/PresSteps <<>>", b"/LastModified (D:2026)"),
    *(b"/OutputIntents []", b"/DPart 2 0 R", b"/AF []", b"/X 1", b" "),
)
TREE = (b"/Resources <<>>", b"/MediaBox [0 0 595 842]", b"/CropBox [0 0 9 9]", b"/Rotate 90", b"/X 1", b" ")


@pytest.mark.parametrize(
    ("number", "entry"), [*((1, one) for one in CATALOGUE), *((2, one) for one in TREE), *((3, one) for one in LEAF)]
)
def test_an_entry_more_is_proved_no_more(number: int, entry: bytes) -> None:
    def change(bodies: list[bytes]) -> None:
        bodies[number - 1] = bodies[number - 1][:-2] + b" " + entry + b">>"

    assert not is_proved(everyday(), rebuilt(change))


ELSEWHERE: Mapping[str, Callable[[list[bytes]], None]] = {
    "page twice": swapped(2, rb"\[3 0 R\] /Count 1", b"[3 0 R 3 0 R] /Count 2"),
    "print scaling": swapped(1, rb"/PrintScaling /None", b"/PrintScaling /AppDefault"),
    "colours meant otherwise": swapped(1, rb"/GTS_PDFA1", b"/GTS_PDFX"),
    "contents of a number far away": swapped(3, rb"/Contents \d+ 0 R", b"/Contents 9999999999 0 R"),
    "an object that cannot be read": lambda bodies: bodies.append(b"<</A >> ]"),
    "no output intent": swapped(1, rb"/OutputIntents \[.*?\]", b""),
    "not marked": swapped(1, rb"/Marked true", b"/Marked false"),
    "another profile": lambda bodies: swapped(profile(bodies), rb"/N 3", b"/N 4")(bodies),
    "a profile of other colours": lambda bodies: bodies.__setitem__(profile(bodies) - 1, stream(b"acsp", {"N": b"3"})),
    "a name more": swapped(1, rb"/EmbeddedFiles", b"/Dests <<>> /EmbeddedFiles"),
    "an attachment of two names": lambda bodies: attached(bodies, rb"/UF <[^>]*>", b"/UF (other)"),
    "an attachment of two bodies": lambda bodies: attached(bodies, rb"/UF \d+ 0 R", b"/UF 3 0 R"),
    "linearized": lambda bodies: bodies.__setitem__(0, b"<</Linearized 1 /L 1 /H [1 1] /O 3 /E 1 /N 1 /T 1>>"),
}


def profile(bodies: list[bytes]) -> int:
    return next(at for at, body in enumerate(bodies, 1) if body.startswith(b"<</N 3"))


def attached(bodies: list[bytes], old: bytes, new: bytes) -> None:
    swapped(next(at for at, body in enumerate(bodies, 1) if b"/Type /Filespec" in body), old, new)(bodies)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_another_way_to_the_page_is_proved_no_more(name: str) -> None:
    assert not is_proved(everyday(), rebuilt(ELSEWHERE[name]))


def test_a_file_of_another_head_or_saved_again_is_not_ours() -> None:
    file = Sealed(bare())
    assert not is_proved(everyday(), bare().replace(b"%PDF-1.7", b"%PDF-1.4", 1))
    assert not is_proved(everyday(), file.save({file.info: file.body(file.info)}))


def test_objects_in_another_order_are_not_ours() -> None:
    """A linearized file begins with an object that leads to another first page."""
    data = bare()
    head = data.index(b"1 0 obj")
    places = [match.start() for match in re.finditer(rb"(?:^|\n)(\d+) 0 obj\n", data)]
    first, second = data[head : places[1] + 1], data[places[1] + 1 : places[2] + 1]
    moved = bytearray(data[:head] + second + first + data[places[2] + 1 :])
    table = moved.rindex(b"xref\n0 ")
    row = moved.index(b"\n", table + 5) + 1 + 20
    moved[row : row + 10] = b"%010d" % (head + len(second))
    moved[row + 20 : row + 30] = b"%010d" % head
    assert not is_proved(everyday(), bytes(moved))


# Seals of a good key that do more than they should


def with_widget(change: Callable[[bytes], bytes]) -> bytes:
    made = everyday()
    widget = SealPage.widget

    def other(self: SealPage, label: str, **more: Any) -> bytes:
        return change(widget(self, label, **more))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SealPage, "widget", other)
        return sealed_pdf(made.page)


def with_art(content: bytes, **entries: bytes) -> bytes:
    """The page sealed with another picture."""
    made = everyday()
    box = entries.pop("MediaBox", b"[0 0 100 100]")
    objects = PdfObjects()
    objects.add(b"<</Type /Catalog /Pages 2 0 R>>")
    objects.add(b"<</Type /Pages /Kids [3 0 R] /Count 1>>")
    objects.add(b"<</Type /Page /Parent 2 0 R /MediaBox %b /Resources <<>> /Contents 4 0 R>>" % box)
    objects.add(stream(content))
    art = objects.file(root=1, info=objects.add(b"<<>>"))
    seals = [dataclasses.replace(one, art_pdf=art) for one in sealpress.sealings(made.page)]
    return seal_pdf(pdf(without_slots(made.page)), seals=seals, at=sealpress.AT, timestamps=None)


def moved(body: bytes, change: Callable[[float, float, float, float], tuple[float, ...]]) -> bytes:
    found = re.search(rb"/Rect \[([^\]]*)\]", body)
    assert found is not None
    corners = [float(part) for part in found[1].split()]
    if not any(corners):
        return body
    rect = b" ".join(b"%.3f" % part for part in change(corners[0], corners[1], corners[2], corners[3]))
    return body.replace(found[0], b"/Rect [%b]" % rect)


WIDGETS: Mapping[str, Callable[[bytes], bytes]] = {
    "colours of its own": lambda body: body[:-2] + b" /MK <</BG [1 1 1] /CA (other)>>>>",
    "a border": lambda body: body[:-2] + b" /Border [0 0 9]>>",
    "a style of border": lambda body: body[:-2] + b" /BS <</W 9>>>>",
    "a text to be drawn": lambda body: body[:-2] + b" /DA (/F0 9 Tf) /DV (other)>>",
    "an action": lambda body: body[:-2] + b" /AA <<>>>>",
    "a layer": lambda body: body[:-2] + b" /OC <<>>>>",
    "states": lambda body: body[:-2] + b" /AS /On>>",
    "pressed": lambda body: re.sub(rb"/N (\d+ 0 R)", rb"/N \1 /D \1", body),
    "under the mouse": lambda body: re.sub(rb"/N (\d+ 0 R)", rb"/N \1 /R \1", body),
    "hidden": lambda body: body.replace(b"/F 132", b"/F 134"),
    "not turned": lambda body: body.replace(b"/F 132", b"/F 148"),
    "no view": lambda body: body.replace(b"/F 132", b"/F 164"),
    "of another page": lambda body: body.replace(b"/P 3 0 R", b"/P 2 0 R"),
    "an array for a reference": lambda body: body.replace(b"/P 3 0 R", b"/P [3 0]"),
    "over the page": lambda body: re.sub(rb"/Rect \[[^\]]*\]", b"/Rect [0 0 595 842]", body),
    "beside its place": lambda body: re.sub(
        rb"/Rect \[([0-9.]+) ", lambda m: b"/Rect [%.3f " % (float(m[1]) - 1), body
    ),
    "no text": lambda body: re.sub(rb"/FT /Sig", b"/FT /Tx", body),
    "stretched": lambda body: moved(body, lambda left, low, right, high: (left, low, (left + right) / 2, high)),
    "turned over": lambda body: moved(body, lambda left, low, right, high: (right, high, left, low)),
}


@pytest.mark.parametrize("name", WIDGETS)
def test_a_field_of_another_shape_is_proved_no_more(name: str) -> None:
    data = with_widget(WIDGETS[name])
    assert data != sealed_pdf(everyday().page)
    assert not is_proved(everyday(), data)


def coded(shape: bytes) -> bytes:
    """A code of shapes in the colour of this one: a person may scan it, whatever its colour."""
    matrix = encode_qr("98765432109876")
    side = 100 / (matrix.size + 8)
    colour = shape[: shape.index(b"rg")]
    return b"\n".join(
        colour
        + b"rg\n%.2f %.2f m\n%.2f %.2f l\n%.2f %.2f l\n%.2f %.2f l\nh\nf Q"
        % (x, y, x + side, y, x + side, y + side, x, y + side)
        for row, cells in enumerate(matrix.rows)
        for column, dark in enumerate(cells)
        if dark
        for x, y in [((column + 4) * side, 100 - (row + 5) * side)]
    )


RED = b"q\n0.824 0.055 0.086 rg\n10 10 m\n90 10 l\n90 90 l\nh\nf Q"
ARTS: Mapping[str, bytes] = {
    "black": RED.replace(b"0.824 0.055 0.086", b"0 0 0"),
    "white": RED.replace(b"0.824 0.055 0.086", b"1 1 1"),
    "blue": RED.replace(b"0.824 0.055 0.086", b"0.1 0.1 0.9"),
    "grey operator": RED.replace(b"0.824 0.055 0.086 rg", b"0 g"),
    "no colour": RED.replace(b"0.824 0.055 0.086 rg\n", b""),
    "black behind red": RED + b"\n" + RED.replace(b"0.824 0.055 0.086", b"0 0 0"),
    "black line": RED.replace(b" rg", b" rg 0 0 0 RG 1 w 1 j").replace(b"f Q", b"B Q"),
    "colour of the line for the filling": RED.replace(b" rg", b" RG 1 w [] 0 d"),
    "text": RED + b"\nBT /F0 9 Tf (x) Tj ET",
    "an image": RED + b"\n/X0 Do",
    "an image of its own": RED + b"\nBI /W 1 /H 1 /BPC 8 /CS /G ID \x00 EI",
    "a state": RED + b"\n/G0 gs",
    "no end": RED[:-2],
    "a code": coded(RED),
    "a comment": RED.replace(b"rg", b"rg %x"),
    "a matrix": RED.replace(b"q\n", b"q 9 0 0 9 0 0 cm\n"),
}


def test_red_shapes_alone_are_proved() -> None:
    assert is_proved(everyday(), with_art(RED))
    assert is_proved(
        everyday(), with_art(RED + b"\n" + RED.replace(b" rg", b" rg 1 0 0 RG 1 w 1 j").replace(b"f Q", b"B Q"))
    )


@pytest.mark.parametrize("name", ARTS)
def test_another_picture_of_a_seal_is_proved_no_more(name: str) -> None:
    assert not is_proved(everyday(), with_art(ARTS[name]))


@pytest.mark.parametrize("entry", [b"/Matrix [0 1 1 0 0 0]", b"/Group <<>>", b"/Decode [1 0 1 0 1 0]"])
def test_an_entry_more_on_the_picture_of_a_seal_is_proved_no_more(entry: bytes) -> None:
    made = everyday()
    on_image = entry.startswith(b"/Decode")
    module, name = (imageembed, "_image") if on_image else (sealform, "_form")
    write = getattr(module, name)

    def other(*args: Any, **more: Any) -> bytes:
        body: bytes = write(*args, **more)
        return body.replace(b" /Length", b" " + entry + b" /Length", 1) if not on_image or b"/SMask" in body else body

    sealform.art_form.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, other)
        data = sealed_pdf(made.page, png=on_image)
    sealform.art_form.cache_clear()
    assert entry in data
    assert not is_proved(made, data)


def test_a_field_that_nobody_signed_shows_nothing() -> None:
    """A red picture on a field without a signature could stand anywhere on the page."""
    begin, widget = SealPage.__init__, SealPage.widget
    place = Rect(x_mm=20, y_mm=20, width_mm=60, height_mm=60)

    def one_more(self: SealPage, data: bytes, fields: Sequence[sealform.Field]) -> None:
        begin(self, data, (*fields, sealform.Field(name="More", rect=place, alt="x")))

    def with_picture(self: SealPage, label: str, **more: Any) -> bytes:
        picture = {"picture": self.add(sealform._form(b"0 0 100 100", RED))} if label == "More" else {}
        return widget(self, label, **{**more, **picture})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SealPage, "__init__", one_more)
        patch.setattr(SealPage, "widget", with_picture)
        data = sealed_pdf(everyday().page)
    assert check_pdf(data)[1] == ()
    assert not is_proved(everyday(), data)


def png(mode: str, colour: tuple[int, ...]) -> bytes:
    out = io.BytesIO()
    Image.new(mode, (60, 60), colour).save(out, "PNG")
    return out.getvalue()


def red_code() -> bytes:
    code = Image.open(io.BytesIO(matrix_to_png(encode_qr("98765432109876"), 8))).convert("L")
    red = Image.new("RGBA", code.size, (210, 14, 22, 255))
    red.putalpha(code.point(lambda level: 255 - level))
    out = io.BytesIO()
    red.save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("picture", "red"),
    [
        (png("RGBA", (210, 14, 22, 255)), True),
        (png("RGBA", (210, 14, 22, 90)), True),
        (png("RGBA", (0, 0, 0, 0)), True),
        (png("RGBA", (0, 0, 0, 255)), False),
        (png("RGBA", (0, 0, 0, 90)), False),
        (png("RGBA", (20, 20, 200, 255)), False),
        (png("LA", (0, 255)), False),
        (red_code(), False),
    ],
)
def test_a_seal_that_is_a_picture_is_red(picture: bytes, red: bool) -> None:
    made = everyday()
    seals = [dataclasses.replace(one, art_pdf=None, art_png=picture) for one in sealpress.sealings(made.page)]
    data = seal_pdf(pdf(without_slots(made.page)), seals=seals, at=sealpress.AT, timestamps=None)
    assert is_proved(made, data) == red


def test_a_seal_elsewhere_is_proved_no_more() -> None:
    made = everyday()
    for x, y, size in ((10.0, 100.0, 40.0), (0.0, 0.0, 200.0)):
        place = Rect(x_mm=x, y_mm=y, width_mm=size, height_mm=size)
        seals = [dataclasses.replace(one, rect=place) for one in sealpress.sealings(made.page)]
        data = seal_pdf(pdf(without_slots(made.page)), seals=seals, at=sealpress.AT, timestamps=None)
        assert not is_proved(made, data)


def test_a_seal_on_a_page_with_the_outline_of_its_place_is_another_page() -> None:
    made = everyday()
    assert seal_slots(made.page)
    assert not is_proved(made, sealpress.sealed(pdf(made.page), made.page))
    assert not is_proved(made, pdf(without_slots(made.page)))


# The pictures that were signed


def test_a_code_in_the_portrait_is_looked_at() -> None:
    """A person may scan it: it is found by who looks at the page."""
    picture = Image.open(io.BytesIO(matrix_to_png(encode_qr("123456789012"), 8))).convert("RGB")
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=90)
    made = make(5, photo=out.getvalue(), signature=pagepress.signature(2))
    assert not is_proved(made, sealed_pdf(made.page))
    other = make(5, photo=pagepress.photo(3), signature=pagepress.signature(2))
    assert is_proved(other, sealed_pdf(other.page))


def test_other_pictures_than_the_signed_ones_are_not_proved() -> None:
    made = everyday()
    page = pagepress.draw(made.subject, made.token, pagepress.photo(7), pagepress.signature(1))
    assert not is_proved(made, sealed_pdf(page))


def test_the_code_of_another_copy_is_not_proved() -> None:
    made = everyday()
    page = pagepress.draw(made.subject, make(8).token, pagepress.photo(1), pagepress.signature(1))
    assert not is_proved(made, sealed_pdf(page))


# Single bytes


def test_any_byte_of_what_a_page_is_drawn_from_tells() -> None:
    """On a file without a seal, where nothing else would."""
    data, made, chance = bare(), everyday(), random.Random(1)
    file = Sealed(data)
    drawn = range(2, len(page_objects(made.page, fonts=pagepress.kit().fonts)) + 1)
    places = [place for number in drawn for place in _places(file, number)]
    chosen = {place for number in drawn for place in chance.sample(_places(file, number), 1)}
    chosen |= set(chance.sample(places, PAGE_BYTES))
    proved = []
    for place in sorted(chosen):
        changed = bytearray(data)
        changed[place] ^= chance.randrange(1, 256)
        if is_proved(made, bytes(changed)) and not _unpacks_the_same(file, data, bytes(changed), place):
            proved.append(place)
    assert proved == []


def _unpacks_the_same(file: Sealed, data: bytes, changed: bytes, place: int) -> bool:
    """Bits that fill up the last byte of deflated data say nothing (RFC 1951 §3.2.3): the same stream to all."""
    span = next(one for one in file.view.spans.values() if one.data_start <= place < one.data_end)
    return zlib.decompress(changed[span.data_start : span.data_end]) == zlib.decompress(
        data[span.data_start : span.data_end]
    )


def _places(file: Sealed, number: int) -> list[int]:
    span = file.view.spans[number]
    end = span.data_end if span.data_start >= 0 else span.end
    begin = span.start + (1 if span.data_start >= 0 else 0)
    return list(range(begin, end))


def test_any_byte_of_a_sealed_file_tells() -> None:
    data, chance = sealed("one").data, random.Random(2)
    for place in chance.sample(range(len(data)), FILE_BYTES):
        changed = bytearray(data)
        changed[place] ^= chance.randrange(1, 256)
        assert not is_proved(everyday(), bytes(changed)), place


def test_any_byte_of_the_files_of_an_ofd_page_tells() -> None:
    made, chance = everyday(), random.Random(3)
    files = dict(read_package(pagepress.ofd(made.page), limits=OFD_LIMITS).files)
    assert is_proved(made, pack(files), FileKind.OFD)
    shown = [name for name in files if "/Attachs/" not in name and "/Tags/" not in name and name != "OFD.xml"]
    for turn in range(FILE_BYTES + len(shown)):
        name = shown[turn % len(shown)]
        body = bytearray(files[name])
        place = chance.randrange(len(body))
        if name == "Doc_0/Document.xml":  # what stands behind says who may print
            place = chance.randrange(body.index(b"<ofd:Permissions>"))
        body[place] ^= chance.randrange(1, 256)
        assert not is_proved(made, pack({**files, name: bytes(body)}), FileKind.OFD), (name, place)


def test_a_further_file_in_an_ofd_is_proved_no_more() -> None:
    made = everyday()
    files = dict(read_package(pagepress.ofd(made.page), limits=OFD_LIMITS).files)
    for name in ("Doc_0/Annots/Annotations.xml", "Doc_1/Document.xml", "Doc_0/Res/x.png", "x", "Doc_0/Attachs/x.bin"):
        assert not is_proved(made, pack({**files, name: DRAW}), FileKind.OFD)


# Seals of an OFD


def ofd_sealed(picture: bytes) -> bytes:
    """The page as OFD with a good seal of this picture."""
    made = everyday()
    (slot,) = seal_slots(made.page)
    kind = "ofd" if picture.startswith(b"PK") else "png"
    design = dataclasses.replace(ofdoffice.design(slot.body, SealShape.CIRCLE), picture=picture, picture_type=kind)
    return ofd_seal.seal_ofd(
        ofdoffice.composed(without_slots(made.page), seals=1),
        seal=ofd_seal.make_seal(design, maker=ofdoffice.seal_key("maker")),
        key=ofdoffice.seal_key(slot.body),
        placements=[ofdoffice.place(slot)],
        at=ofdoffice.AT,
    )


def doubted(data: bytes) -> bool:
    """Whether readers may take it differently, whatever else it shows."""
    return bool(doubt_of(read_ofd(read_package(data, limits=OFD_LIMITS), limits=OFD_LIMITS), limits=OFD_LIMITS))


def with_chunk(picture: bytes, kind: bytes, body: bytes) -> bytes:
    """A PNG with a further chunk behind its header."""
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return picture[:33] + chunk + picture[33:]


RED_PNG = png("RGBA", (210, 14, 22, 90))


@pytest.mark.parametrize(
    ("picture", "proved", "doubt"),
    [
        (RED_PNG, True, False),
        (with_chunk(RED_PNG, b"pHYs", bytes(9)), True, False),
        (with_chunk(RED_PNG, b"gAMA", struct.pack(">I", 45_455)), True, False),
        (with_chunk(RED_PNG, b"sRGB", b"\0"), True, False),
        (with_chunk(RED_PNG, b"acTL", struct.pack(">II", 2, 0)), False, True),
        (with_chunk(RED_PNG, b"gAMA", struct.pack(">I", 1)), False, True),
        (with_chunk(RED_PNG, b"cHRM", bytes(32)), False, True),
        (with_chunk(RED_PNG, b"iCCP", b"x\0\0"), False, True),
        (RED_PNG + b"\0", False, True),
        (RED_PNG[:-12], False, True),
        (red_code(), False, False),
        (png("RGBA", (0, 0, 0, 255)), False, False),
        (ofdoffice.design("seal", SealShape.CIRCLE, vector=True).picture, False, False),
    ],
)
def test_a_seal_of_an_ofd_is_a_plain_red_picture(picture: bytes, proved: bool, doubt: bool) -> None:
    """Browsers play further frames and obey gamma and profiles; others show the first frame as it is."""
    data = ofd_sealed(picture)
    assert (is_proved(everyday(), data, FileKind.OFD), doubted(data)) == (proved, doubt)


def test_a_seal_that_is_a_document_of_two_readings() -> None:
    """With versions, with a comment, with a seal of its own."""
    picture = ofdoffice.design("seal", SealShape.CIRCLE, vector=True).picture
    files = dict(read_package(picture, limits=OFD_LIMITS).files)
    assert not doubted(ofd_sealed(pack(files)))
    for more in (b"<ofd:Versions/>", b"<!-- -->"):
        root = files["OFD.xml"].replace(b"</ofd:DocRoot>", b"</ofd:DocRoot>" + more)
        assert doubted(ofd_sealed(pack({**files, "OFD.xml": root})))
    assert doubted(ofd_sealed(ofd_sealed(RED_PNG)))


STAMP = '<ofd:StampAnnot ID="9" PageRef="1" Boundary="0 0 200 200"/>'


def ofd_described(old: str, new: str) -> bytes:
    """Sealed well, the description of the seal written otherwise."""
    write = ofd_seal._signature_xml

    def other(*args: Any, **more: Any) -> bytes:
        text = write(*args, **more)
        assert old.encode() in text
        return text.replace(old.encode(), new.encode(), 1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ofd_seal, "_signature_xml", other)
        return ofd_sealed(RED_PNG)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("</ofd:SignedInfo>", "</ofd:SignedInfo>" + STAMP),
        ("</ofd:References>", f"{STAMP}</ofd:References>"),
        ("</ofd:SignatureMethod>", f"{STAMP}</ofd:SignatureMethod>"),
        ("<ofd:Seal>", STAMP.replace("ofd:", "x:").replace("ID=", 'xmlns:x="urn:x" ID=') + "<ofd:Seal>"),
        (" Boundary=", ' xmlns:x="urn:x" x:Boundary="0 0 200 200" Boundary='),
        (" Boundary=", ' boundary="0 0 200 200" Boundary='),
        (" Boundary=", ' Clip="1 1 9 9" Boundary='),
        ("<ofd:Seal>", "<!-- --><ofd:Seal>"),
        ("<ofd:Seal>", "<ofd:Seal><ofd:BaseLoc>/x</ofd:BaseLoc></ofd:Seal><ofd:Seal>"),
    ],
)
def test_a_stamp_that_some_readers_find_is_proved_no_more(old: str, new: str) -> None:
    data = ofd_described(old, new)
    assert not is_proved(everyday(), data, FileKind.OFD)
    assert doubted(data)


def test_seals_that_readers_show_differently_are_never_compared() -> None:
    """The drawn page is ours; who else may see what is not known."""
    frames = with_chunk(RED_PNG, b"acTL", struct.pack(">II", 2, 0))
    for data in (ofd_sealed(frames), ofd_described("</ofd:SignedInfo>", "</ofd:SignedInfo>" + STAMP)):
        result = pagepress.compare(everyday(), data, FileKind.OFD)
        assert (result.compared, result.reason, result.mismatches) == (False, "page.readers_differ", ())
