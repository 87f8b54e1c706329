"""What the demo does to files: prints and photographs of pages, edits after sealing, seals that the rules do not allow.

Everything that is forged here is forged with means a forger may have: a copy of the file, or one stolen seal key.
"""

import io
import random
import re
from collections.abc import Sequence
from dataclasses import replace

from PIL import Image, ImageFilter

from mingzheng.formats.claims import parse_claims
from mingzheng.formats.limits import LIMITS_DEFAULT, OFD_LIMITS
from mingzheng.formats.ofd.package import read_package
from mingzheng.formats.ofd.zipwrite import join_package, pack_file, split_package
from mingzheng.formats.page import PageSpec, SealSlot, seal_slots
from mingzheng.formats.pdf.raster import open_sheet
from mingzheng.formats.pdf.revise import append_revision
from mingzheng.issuer.press import Press
from mingzheng.issuer.rows import CopyRow
from mingzheng.issuer.schema import FileForm
from mingzheng.issuer.sealconfig import SealSpec
from mingzheng.issuer.sealing import Sealer
from mingzheng.issuer.workspace import Workspace

SCAN_DPI = 200
PHOTO_DPI = 220
BESIDE_MM = 44.0  # a further seal stands that far to the left


def scan_png(pdf: bytes) -> bytes:
    """The printed page as an office scanner sees it."""
    return _saved(_page(pdf, SCAN_DPI), "PNG")


def photo_jpeg(pdf: bytes) -> bytes:
    """The printed page as a telephone sees it: turned a little, a little out of focus, with noise, JPEG."""
    rng = random.Random(7)  # noqa: S311  a picture, not a secret
    page = _page(pdf, PHOTO_DPI).rotate(1.5, resample=Image.Resampling.BICUBIC, expand=True, fillcolor=(214, 208, 198))
    page = page.filter(ImageFilter.GaussianBlur(0.8))
    grain = Image.frombytes("L", (256, 256), bytes(rng.randrange(118, 138) for _ in range(65_536)))
    noise = grain.resize(page.size).convert("RGB")
    return _saved(Image.blend(page, noise, 0.06), "JPEG")


def cover_in_pdf(pdf: bytes) -> bytes:
    """A white patch over part of the page, put there by a revision after the seals."""
    pages = re.findall(rb"\n3 0 obj\n(.+?)\nendobj\n", pdf, re.DOTALL)
    size = max(int(number) for number in re.findall(rb"/Size (\d+)", pdf))
    (root,), (info,) = ({int(n) for n in re.findall(mark, pdf)} for mark in (rb"/Root (\d+) 0 R", rb"/Info (\d+) 0 R"))
    page = re.sub(rb"/Contents (\d+ 0 R)", b"/Contents [\\1 %d 0 R]" % size, pages[-1])
    drawing = b"1 g 150 470 200 20 re f"
    patch = b"<</Length %d>>\nstream\n%b\nendstream" % (len(drawing), drawing)
    return append_revision(pdf, {3: page, size: patch}, size=size + 1, root=root, info=info)


def change_in_ofd(ofd: bytes, old: str, new: str) -> bytes:
    """The package with one word of its page replaced and the digests left as they were."""
    name = "Doc_0/Pages/Page_0/Content.xml"
    content = read_package(ofd, limits=OFD_LIMITS).files[name]
    changed = pack_file(name, content.replace(old.encode(), new.encode()))
    return join_package(changed if file.name == name else file for file in split_package(ofd))


def sealed_otherwise(
    workspace: Workspace, row: CopyRow, bodies: Sequence[tuple[int, int]], *, now: int
) -> dict[FileForm, bytes]:
    """Both forms of a copy with the seals of these (issuer, body), whatever its rule says."""
    press = Press(workspace)
    claims = parse_claims(row.claims)
    profile = workspace.profiles().select(claims.kind, claims.jurisdiction, claims.copy_issued_on)
    assert profile is not None  # it was issued
    assert row.logged_at is not None
    sealer, places = Sealer(workspace, press.fonts, now=now), _places(press.page_of(row, profile), len(bodies))
    made = {}
    for form in FileForm:
        specs = [_spec(workspace, issuer, body, form) for issuer, body in bodies]
        data = press.compose(row, profile, form, seals=len(specs))
        made[form] = sealer.apply(data, form, list(zip(specs, places, strict=True)), row.logged_at)
    return made


def _spec(workspace: Workspace, issuer: int, body: int, form: FileForm) -> SealSpec:
    seals = workspace.config.sealing.seals
    return next(seal for seal in seals if (seal.issuer, seal.body, seal.form) == (issuer, body, form))


def _places(page: PageSpec, count: int) -> list[SealSlot]:
    """The page's places for seals, and further ones beside the last of them."""
    places = list(seal_slots(page))
    while len(places) < count:
        rect = places[-1].rect
        places.append(replace(places[-1], rect=replace(rect, x_mm=rect.x_mm - BESIDE_MM)))
    return places[:count]


def _page(pdf: bytes, dpi: int) -> Image.Image:
    with open_sheet(pdf, limits=LIMITS_DEFAULT) as sheet:
        picture = sheet.render(dpi, colour=True, paper=True)
    assert isinstance(picture, Image.Image)
    return picture


def _saved(picture: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, dpi=(SCAN_DPI, SCAN_DPI), **({"quality": 88} if kind == "JPEG" else {}))
    return out.getvalue()
