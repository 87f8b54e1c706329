"""Invented people for the demo: three issuers of different kinds, with drawn photos and signature images.

Every name, number and company is made up; identity numbers are valid in form only (area 990000 does not exist).
"""

import csv
import datetime
import io
import random
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter, ImageFont

FONT = "MingZhengKai-Regular.ttf"

COLUMNS = (
    "kind", "jurisdiction", "name", "sex", "birth_date", "id_number", "registration_no", "specialties",
    "certificate_issued_on", "employer", "registered_until", "issuing_body", "sealing_body", "photo",
    "signature_image", "purpose",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One invented registration, the way a clerk would type it."""

    kind: str
    jurisdiction: str
    name: str
    sex: str
    birth_date: str
    registration_no: str
    specialties: tuple[str, ...]
    employer: str
    held_days: int = 800  # how long ago the certificate was issued
    left_days: int = 720  # how long the registration still runs


CONSTRUCTORS = (
    Person(
        kind="cn.constructor.1", jurisdiction="cn", name="欧阳明远", sex="男", birth_date="1985-03-03",
        registration_no="沪1312015201600123", specialties=("建筑工程", "市政公用工程"),
        employer="示范市第一建筑工程集团有限责任公司",
    ),
    Person(
        kind="cn.constructor.1", jurisdiction="cn", name="李𠮷安", sex="女", birth_date="1990-11-20",
        registration_no="京1112018201900456", specialties=("机电工程",), employer="示范机电安装有限公司",
    ),
    Person(
        kind="cn.constructor.1", jurisdiction="cn", name="赵建国", sex="男", birth_date="1988-02-14",
        registration_no="浙1332012201300789", specialties=("公路工程",), employer="示范路桥建设股份有限公司",
    ),
)  # fmt: skip
ARCHITECTS = (
    Person(
        kind="cn.architect.1", jurisdiction="cn", name="林若溪", sex="女", birth_date="1982-08-08",
        registration_no="20243100123", specialties=(), employer="示范建筑设计研究院有限公司",
    ),
    Person(
        kind="cn.architect.1", jurisdiction="cn", name="阿卜杜拉·买买提", sex="男", birth_date="1985-05-05",
        registration_no="20246500077", specialties=(), employer="示范城市规划设计有限公司",
    ),
)  # fmt: skip
SAFETY = (
    Person(
        kind="cn.safety", jurisdiction="sn", name="王喆", sex="男", birth_date="1988-12-01",
        registration_no="陕建安B2024001234", specialties=(), employer="示范建设工程有限公司",
    ),
    Person(
        kind="cn.safety", jurisdiction="sn", name="陈淼", sex="女", birth_date="1993-04-18",
        registration_no="陕建安C2024005678", specialties=(), employer="示范安全技术咨询有限公司",
    ),
)  # fmt: skip


def identity_number(person: Person) -> str:
    """A number of valid form (GB 11643 check character) in an area that does not exist."""
    sequence = 2 * (int(person.registration_no[-3:]) % 400) + (1 if person.sex == "男" else 2)
    digits = "990000" + person.birth_date.replace("-", "") + f"{sequence:03d}"
    weights = [2 ** (17 - i) % 11 for i in range(17)]
    return digits + "10X98765432"[sum(int(d) * w for d, w in zip(digits, weights, strict=True)) % 11]


def row_of(person: Person, today: datetime.date) -> dict[str, str]:
    """The columns of a record, all dates relative to today so that the demo works in any year."""
    begin = today - datetime.timedelta(days=person.held_days)
    end = today + datetime.timedelta(days=person.left_days)
    row = {column: getattr(person, column, "") for column in COLUMNS}
    row["specialties"] = ";".join(f"{name}:{begin}:{end}" for name in person.specialties)
    return row | {"certificate_issued_on": str(begin), "registered_until": str(end)}


def write_records(path: Path, people: Sequence[Person], *, body: str, today: datetime.date) -> None:
    """A CSV with its picture files beside it; `body` is the number of the issuing and sealing body."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=COLUMNS, lineterminator="\n")
    writer.writeheader()
    for person in people:
        photo, signature = f"{person.registration_no}.jpg", f"{person.registration_no}.png"
        (path.parent / photo).write_bytes(draw_photo(person.name, woman=person.sex == "女"))
        (path.parent / signature).write_bytes(draw_signature(person.name))
        row = row_of(person, today) | {"id_number": identity_number(person)}
        row |= {"photo": photo, "signature_image": signature, "issuing_body": body, "sealing_body": body}
        writer.writerow(row)
    path.write_text(text.getvalue(), encoding="utf-8")


def draw_photo(seed: str, *, woman: bool) -> bytes:
    """A drawn head and shoulders on the blue of certificate photos, 358 × 441 pixels (26 × 32 mm at 350 dpi), JPEG."""
    rng = random.Random("photo" + seed)  # noqa: S311  a picture, not a secret
    image = Image.new("RGB", (716, 882), (67, 142, 219))
    draw = ImageDraw.Draw(image)
    skin = (232 - rng.randrange(18), 198 - rng.randrange(18), 172 - rng.randrange(14))
    hair = (34 + rng.randrange(20), 28 + rng.randrange(14), 26 + rng.randrange(10))
    suit = rng.choice([(38, 44, 60), (52, 50, 54), (30, 52, 74)])
    if woman:
        draw.ellipse((176, 130, 540, 640), fill=hair)
    draw.polygon([(40, 882), (96, 700), (270, 630), (446, 630), (620, 700), (676, 882)], fill=suit)
    draw.polygon([(282, 632), (358, 760), (434, 632), (404, 590), (312, 590)], fill=(244, 246, 250))
    draw.rectangle((308, 520, 408, 650), fill=tuple(max(0, c - 16) for c in skin))
    draw.ellipse((228, 200, 488, 568), fill=skin)
    draw.pieslice((212, 160, 504, 470), 180, 360, fill=hair)
    draw.rectangle((212, 300, 240, 380), fill=hair)
    draw.rectangle((476, 300, 504, 380), fill=hair)
    for x in (302, 414):
        draw.ellipse((x - 20, 376, x + 20, 396), fill=(250, 250, 250))
        draw.ellipse((x - 9, 376, x + 9, 396), fill=(40, 30, 26))
        draw.line((x - 28, 350, x + 28, 346), fill=hair, width=8)
    draw.line((358, 400, 352, 450, 366, 452), fill=tuple(max(0, c - 40) for c in skin), width=5)
    draw.arc((316, 462, 400, 506), 15, 165, fill=(178, 92, 90), width=7)
    smooth = image.filter(ImageFilter.GaussianBlur(1.5)).resize((358, 441), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    smooth.save(out, "JPEG", quality=88)
    return out.getvalue()


def draw_signature(name: str) -> bytes:
    """The name in slanted Kai as a stand-in for handwriting, black on white, 600 × 240 pixels, PNG."""
    rng = random.Random("signature" + name)  # noqa: S311  a picture, not a secret
    font_bytes = resources.files("mingzheng.formats.fonts").joinpath(FONT).read_bytes()
    size = min(300, 1100 // max(len(name), 1))
    font = ImageFont.truetype(io.BytesIO(font_bytes), size)
    image = Image.new("L", (1200, 480), 255)
    draw = ImageDraw.Draw(image)
    x = (1200 - size * len(name)) / 2
    for character in name:
        draw.text((x, (480 - size) / 2 + rng.randrange(-16, 17)), character, font=font, fill=15)
        x += size * rng.uniform(0.90, 1.0)
    slant = image.transform((1200, 480), Image.Transform.AFFINE, (1, 0.28, -67, 0, 1, 0), fillcolor=255)
    out = io.BytesIO()
    slant.resize((600, 240), Image.Resampling.LANCZOS).save(out, "PNG")
    return out.getvalue()
