"""Certificates for page comparisons: random claims of every kind, their pages, files, seals, and pictures of pages."""

import dataclasses
import io
import random
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pypdfium2
import sealpress
from PIL import Image, ImageDraw

from mingzheng.formats.civil import parse_day
from mingzheng.formats.claims import Claims, Copy, Sex, Specialty, image_digest
from mingzheng.formats.credential import Credential
from mingzheng.formats.fontfile import load_fonts
from mingzheng.formats.layout import PageMaterial, layout
from mingzheng.formats.library import load_shipped_profiles, read_shipped_templates
from mingzheng.formats.ofd.compose import OfdMetadata, compose_ofd
from mingzheng.formats.page import PageSpec, TextRun, without_slots
from mingzheng.formats.pdf.compose import PdfMetadata, compose_pdf
from mingzheng.formats.profile import Profile
from mingzheng.formats.qrimage import encode_qr
from mingzheng.formats.qrtext import to_digits
from mingzheng.formats.sniff import FileKind
from mingzheng.formats.template import Template, parse_templates
from mingzheng.keys.alg import Alg
from mingzheng.keys.kid import Kid
from mingzheng.keys.signer import InMemorySigner
from mingzheng.keys.trust import IssuerRecord, KeyRecord, Role, TrustData
from mingzheng.verifier.checks import Subject
from mingzheng.verifier.pagecheck import FilePages, PageKit, PageResult

KINDS = (1, 3, 6)  # constructor, architect, safety officer: one template each
BODIES = {1: "中华人民共和国住房和城乡建设部", 2: "某省住房和城乡建设厅行政审批服务中心"}
PREFIX = "https://zs.example.cn/v#"
PDF = PdfMetadata(author="住房和城乡建设部", subject="使用件", producer="mingzheng")
OFD = OfdMetadata(
    doc_id="0" * 32,
    author="住房和城乡建设部",
    subject="使用件",
    creator="mingzheng",
    made_on=20000,
    valid_from=None,
    valid_until=None,
    fields=(),
    licence_id=None,
)
SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗未末己巳曰日土士"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀兰霞平刚桂英未末己已巳日曰土士大太天夭王玉主于干千人入"
FIRMS = "中国建筑第一三五七八工程局集团有限责任公司北京上海广东勘察设计研究院市政路桥隧道股份"
PURPOSES = "某某市轨道交通一二三号线施工总承包第标段投标文件专用资格审查"
PROVINCES = "京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新"


@dataclass(frozen=True)
class Certificate:
    """A subject as a verification finds it, the bytes of its credential, and its page as issued."""

    subject: Subject
    token: bytes
    page: PageSpec

    @property
    def claims(self) -> Claims:
        return self.subject.claims


@cache
def templates() -> Mapping[int, Template]:
    return parse_templates(read_shipped_templates().values())


@cache
def profile(kind: int) -> Profile:
    found = load_shipped_profiles().select(kind, 0, parse_day("2026-11-21"))
    assert found is not None
    return found


@cache
def kit() -> PageKit:
    return PageKit.from_trust(trust({}))


def trust(blobs: Mapping[str, bytes]) -> TrustData:
    """Trust data with nothing but these blobs."""
    return TrustData(generation=1, made_at=0, issuers={}, origins={}, keys={}, quorum=None, blobs=blobs)


@cache
def photo(seed: int = 0) -> bytes:
    """A face of a kind, another for every seed."""
    rng = random.Random(seed)
    picture = Image.new("RGB", (413, 579), (rng.randint(200, 250), 215, 240))
    pen = ImageDraw.Draw(picture)
    left, top = rng.randint(100, 140), rng.randint(90, 150)
    pen.ellipse((left, top, left + 170, top + 210), fill=(235, rng.randint(170, 210), 170))
    pen.ellipse((left - 8, top - 25, left + 178, top + 70), fill=(rng.randint(10, 60), 20, 20))
    pen.rectangle((60, 400 + rng.randint(0, 40), 350, 579), fill=(rng.randint(20, 120), 60, rng.randint(20, 120)))
    return _file(picture, "JPEG", quality=88)


@cache
def signature(seed: int = 0) -> bytes:
    """A scribble."""
    rng = random.Random(seed)
    picture = Image.new("L", (600, 200), 255)
    points = [(rng.randint(40, 560), rng.randint(30, 170)) for _ in range(6)]
    ImageDraw.Draw(picture).line(points, fill=0, width=7)
    return _file(picture, "PNG")


def _file(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def make(seed: int = 0, **changes: Any) -> Certificate:
    """A certificate of random contents; `changes` are claims, or `photo` and `signature` (files or None)."""
    rng = random.Random(seed)
    images = [
        changes.pop(name, None if rng.random() < 0.1 else drawn(rng.randrange(50)))
        for name, drawn in (("photo", photo), ("signature", signature))
    ]
    wanted = {**_claims(rng), "image_digest": image_digest(images[0], images[1]), **changes}
    claims = Claims(**{"template": profile(wanted["kind"]).template, **wanted})
    credential = Credential(claims=claims, kid=_key().kid, key=_key(), identity=rng.randbytes(32), receipt=None)
    issuer = IssuerRecord(number=1, name="某部", name_en="A Ministry", bodies=BODIES, prefixes=(PREFIX,))
    subject = Subject(credential=credential, issuer=issuer, profile=profile(claims.kind))
    token = b"\xd2" + rng.randbytes(rng.randint(430, 620))
    return Certificate(subject, token, draw(subject, token, images[0], images[1]))


@cache
def everyday() -> Certificate:
    """A constructor's usage copy with portrait and signature image."""
    claims = {"kind": 1, "name": "张建国", "purpose": "某某工程投标", "usage_until": parse_day("2027-01-01")}
    return make(4, photo=photo(1), signature=signature(1), **claims)


def draw(subject: Subject, token: bytes, picture: bytes | None, hand: bytes | None) -> PageSpec:
    """The page of a subject as the issuer lays it out."""
    material = PageMaterial(
        bodies=BODIES,
        photo=picture,
        signature=hand,
        qr_rows=encode_qr(to_digits(token), PREFIX).rows,
        identity=subject.credential.identity,
    )
    claims, kind = subject.claims, subject.profile
    assert kind is not None
    return layout(claims, kind, templates()[claims.template], material=material, measure=load_fonts())


def _claims(rng: random.Random) -> dict[str, Any]:
    kind = rng.choice(KINDS)
    day = parse_day("2026-11-21") - rng.randint(0, 300)
    long = rng.random() < 0.2
    codes = sorted(rng.sample(range(1, 7), rng.randint(1, 6 if long else 3)))
    return {
        "name": _word(rng, SURNAMES, 1) + _word(rng, GIVEN, rng.randint(10, 14) if long else rng.randint(1, 2)),
        "sex": rng.choice(list(Sex)),
        "birth": rng.randint(-3000, 12000),
        "kind": kind,
        "jurisdiction": 0,
        "registration_no": _word(rng, PROVINCES, 1) + _word(rng, "0123456789", 16),
        "specialties": tuple(
            Specialty(code=code, first_day=day - rng.randint(0, 900), last_day=day + rng.randint(1, 1000))
            for code in codes
        )
        if kind == KINDS[0]
        else (),
        "certificate_issued_on": day - rng.randint(0, 900),
        "employer": _word(rng, FIRMS, 40 if long else rng.randint(6, 22)),
        "registered_until": day + rng.randint(10, 1000),
        "copy": rng.choice(list(Copy)),
        "purpose": rng.choice([None, _word(rng, PURPOSES, 40 if long else rng.randint(6, 20))]),
        "issuing_body": rng.choice((1, 2)),
        "sealing_body": rng.choice((1, 2)),
        "serial": (1 << 40) - 1 - rng.randrange(1 << 20) if long else rng.randrange(1 << 20),
        "salt": bytes(16),
        "copy_issued_on": day,
        "usage_until": rng.choice([None, day + rng.randint(1, 180)]),
    }


def _word(rng: random.Random, letters: str, length: int) -> str:
    return "".join(rng.choice(letters) for _ in range(length))


@cache
def _key() -> KeyRecord:
    signer = InMemorySigner.from_private_bytes(Alg.ED25519, bytes(range(32)))
    return KeyRecord(
        kid=Kid(bytes(8)),
        role=Role.CREDENTIAL,
        public_key=signer.public_key,
        issuer=1,
        jurisdictions=frozenset({0}),
        kinds=frozenset(KINDS),
        valid_from=0,
        valid_until=40_000,
        origins=frozenset({1}),
    )


def pdf(page: PageSpec) -> bytes:
    """The page as PDF, unsealed."""
    return compose_pdf(page, fonts=load_fonts(), attachments={"credential": b"c"}, metadata=PDF)


def ofd(page: PageSpec) -> bytes:
    """The page as OFD, unsealed."""
    return compose_ofd(page, fonts=load_fonts(), attachments={"credential": b"c"}, metadata=OFD, seals=0)


def sealed_pdf(page: PageSpec, *, png: bool = False) -> bytes:
    """The page as PDF with all its seals."""
    return sealpress.sealed(pdf(without_slots(page)), page, png=png)


def compare(certificate: Certificate, data: bytes, kind: FileKind = FileKind.PDF) -> PageResult:
    """What the page check says of a file that should be this certificate's."""
    return FilePages(data, kind, kit()).compare(certificate.subject, [certificate.token])


def rendered(data: bytes, dpi: float = 200) -> Image.Image:
    """The first page by PDFium, in colour."""
    document = pypdfium2.PdfDocument(data)
    if document.get_formtype() != pypdfium2.raw.FORMTYPE_NONE:
        document.init_forms()
    picture: Image.Image = document[0].render(scale=dpi / 72).to_pil().convert("RGB")
    document.close()
    return picture


def by_poppler(data: bytes, dpi: int = 200) -> Image.Image:
    """The first page by poppler, in colour."""
    done = subprocess.run(["pdftoppm", "-r", str(dpi), "-"], input=data, capture_output=True, check=True)
    return Image.open(io.BytesIO(done.stdout)).convert("RGB")


def printed(
    picture: Image.Image, *, quality: int = 75, exact: bool = True, size_mm: tuple[float, float] | None = None
) -> bytes:
    """A PDF whose page is nothing but this picture as JPEG; `exact`: of the size of A4, else as many pixels."""
    width, height = size_mm or ((210.0, 297.0) if exact else (picture.width * 0.127, picture.height * 0.127))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    place = b"%.3f 0 0 %.3f 0 0 cm /I Do" % (width * 72 / 25.4, height * 72 / 25.4)
    image = b"/Type/XObject/Subtype/Image/ColorSpace/DeviceRGB/BitsPerComponent 8/Filter/DCTDecode"
    bodies = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 %.3f %.3f]/Contents 4 0 R/Resources<</XObject<</I 5 0 R>>>>>>"
        % (width * 72 / 25.4, height * 72 / 25.4),
        b"<</Length %d>>stream\n%b\nendstream" % (len(place), place),
        b"<<%b/Width %d/Height %d/Length %d>>stream\n%b\nendstream"
        % (image, picture.width, picture.height, len(buffer.getvalue()), buffer.getvalue()),
    ]
    return pdf_of(bodies)


def pdf_of(bodies: list[bytes]) -> bytes:
    """A PDF file of these objects, the first of which is the catalogue."""
    out, places = bytearray(b"%PDF-1.7\n"), []
    for number, body in enumerate(bodies, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(bodies) + 1, start)
    return bytes(out)


_LOOKALIKES = (
    "17 38 08 69 35 56 06 41 23 未末 己已 已巳 日曰 土士 大太 天夭 王玉 于干 千干 人入 一二 二三 兰三 秀季 平乎 桂柱 ",
    "芳芬 明朋 军车 强弱 丽雨 某果 北比 限很 司同",
)
LOOKALIKES = "".join(_LOOKALIKES).split()


def edited(certificate: Certificate, rng: random.Random) -> tuple[PageSpec, str]:
    """The page with one character of one field changed to another of the same width, and the box it is in."""
    pairs = {(a, b) for pair in LOOKALIKES for a, b in (pair, pair[::-1])}
    runs = [box for box in certificate.page.boxes if isinstance(box, TextRun) and not box.name.startswith("seal.")]
    runs = [run for run in runs if not run.name.endswith(("label", "colon")) and "caption" not in run.name]
    choices = [
        (run, at, new) for run in runs for at, old in enumerate(run.text) for first, new in pairs if first == old
    ]
    run, at, new = rng.choice(choices)
    changed = dataclasses.replace(run, text=run.text[:at] + new + run.text[at + 1 :])
    boxes = tuple(changed if box is run else box for box in certificate.page.boxes)
    return dataclasses.replace(certificate.page, boxes=boxes), run.name


def is_equal(result: PageResult) -> bool:
    """Tell whether the page was compared and nothing differs."""
    return result.compared and not result.mismatches


def boxes(result: PageResult) -> set[str]:
    """The names of the boxes that differ."""
    return {mismatch.name for mismatch in result.mismatches}


def painted(
    data: bytes, content: bytes, *, xobject: bytes | None = None, page: bytes = b"", more: tuple[bytes, ...] = ()
) -> bytes:
    """A PDF of ours with more drawn on its page, as an incremental update.

    Object 9001 is Helvetica, named /T; `xobject` is 9002, named /Y; `more` are objects from 9003; `page` goes into
    the page dictionary.
    """
    found = re.search(rb"\n3 0 obj\n(<</Type /Page .*?>>)\nendobj", data, re.DOTALL)
    root = re.search(rb"/Root (\d+) 0 R", data)
    before = re.findall(rb"startxref\n(\d+)", data)[-1]
    assert found is not None
    assert root is not None
    leaf = re.sub(rb"/Contents (\d+ 0 R)", rb"/Contents [9997 0 R \1 9998 0 R 9999 0 R]", found[1])
    leaf = leaf.replace(b"/Font <<", b"/Font <</T 9001 0 R ", 1).replace(b"/XObject <<", b"/XObject <</Y 9002 0 R ", 1)
    leaf = leaf.replace(b"/MediaBox", page + b" /MediaBox", 1)
    bodies = {3: leaf, 9001: HELVETICA, 9002: xobject or form(b"")}
    bodies |= {
        **dict(enumerate(more, start=9003)),
        9997: content_stream(b"q"),
        9998: content_stream(b"Q"),
        9999: content_stream(content),
    }
    out, places = bytearray(data), {}
    for number, body in bodies.items():
        places[number] = len(out)
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n" + b"".join(b"%d 1\n%010d 00000 n \n" % item for item in places.items())
    out += b"trailer\n<</Size 10000 /Root %b 0 R /Prev %b>>\nstartxref\n%d\n%%%%EOF\n" % (root[1], before, start)
    return bytes(out)


HELVETICA = b"<</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>"


def form(content: bytes, box: bytes = b"0 0 595 842") -> bytes:
    head = b"<</Type /XObject /Subtype /Form /BBox [%b] /Resources <</Font <</T 9001 0 R>>>> /Length %d>>stream\n"
    return head % (box, len(content)) + content + b"\nendstream"


def content_stream(body: bytes) -> bytes:
    return b"<</Length %d>>stream\n%b\nendstream" % (len(body), body)
