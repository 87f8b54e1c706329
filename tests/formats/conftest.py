"""A studio for page tests: sample claims, images, QR modules, and the way from claims to page to PDF."""

import dataclasses
import io
import random
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
from PIL import Image, ImageDraw

from mingzheng.formats.civil import parse_day
from mingzheng.formats.claims import Claims, Copy, Sex, Specialty
from mingzheng.formats.fontfile import FontSet, load_fonts
from mingzheng.formats.layout import PageMaterial, layout
from mingzheng.formats.library import load_shipped_profiles, read_shipped_templates
from mingzheng.formats.page import PageSpec
from mingzheng.formats.pdf.compose import PdfMetadata, compose_pdf
from mingzheng.formats.profile import Profile
from mingzheng.formats.qrimage import encode_qr
from mingzheng.formats.template import Template, parse_templates

CONSTRUCTOR, ARCHITECT, SAFETY = 1, 3, 6
EXTREME: Mapping[str, Any] = {
    "name": "𠮷阿卜杜热合曼·阿卜杜克里木江",
    "employer": "𠮷" + "中国铁建大桥工程局集团有限公司第三工程分公司城市轨道交通工程项目管理部新疆" + "片区",
    "purpose": "某某自治区某某自治州某某县城市轨道交通一号线工程施工总承包第二标段投标文件专用章",
    "specialties": tuple(
        Specialty(code=code, first_day=parse_day("2024-10-20") + code, last_day=parse_day("2027-12-20") + code)
        for code in range(1, 7)
    ),
    "serial": (1 << 40) - 1,
}


class Studio:
    """Makes pages and files; every method's defaults are an everyday certificate."""

    metadata = PdfMetadata(
        author="住房和城乡建设部", subject="使用件", producer="mingzheng", made_on=parse_day("2026-11-21")
    )

    def claims(self, **changes: Any) -> Claims:
        day = parse_day
        return Claims(
            **{
                "name": "张建国",
                "sex": Sex.MALE,
                "birth": day("1985-03-12"),
                "kind": CONSTRUCTOR,
                "jurisdiction": 0,
                "registration_no": "京1112006200800123",
                "specialties": (
                    Specialty(code=1, first_day=day("2024-06-01"), last_day=day("2027-05-31")),
                    Specialty(code=6, first_day=day("2025-01-10"), last_day=day("2028-01-09")),
                ),
                "certificate_issued_on": day("2024-06-01"),
                "employer": "北京市第三建筑工程有限公司",
                "registered_until": day("2027-05-31"),
                "copy": Copy.USAGE,
                "purpose": "某某市轨道交通工程施工总承包投标",
                "issuing_body": 1,
                "sealing_body": 1,
                "serial": 123,
                "salt": bytes(16),
                "image_digest": bytes(32),
                "template": 1,
                "copy_issued_on": day("2026-11-21"),
                "usage_until": day("2027-05-20"),
                **changes,
            }
        )

    def extreme(self, **changes: Any) -> Claims:
        claims = self.claims(**{**EXTREME, **changes})
        assert (len(claims.name), len(claims.employer or ""), len(claims.purpose or "")) == (15, 40, 40)
        return claims

    @staticmethod
    @cache
    def profile(kind: int = CONSTRUCTOR) -> Profile:
        profile = load_shipped_profiles().select(kind, 0, parse_day("2026-11-21"))
        assert profile is not None
        return profile

    @staticmethod
    @cache
    def templates() -> Mapping[int, Template]:
        return parse_templates(read_shipped_templates().values())

    @property
    def fonts(self) -> FontSet:
        return load_fonts()

    @staticmethod
    @cache
    def digits(length: int = 480) -> str:
        return str(int.from_bytes(b"\xd2" + random.Random(length).randbytes(length - 1), "big"))

    @staticmethod
    @cache
    def photo() -> bytes:
        picture = Image.new("RGB", (413, 579), (214, 228, 240))
        ImageDraw.Draw(picture).ellipse((130, 110, 283, 300), fill=(235, 200, 170))
        return _file(picture, "JPEG", quality=88)

    @staticmethod
    @cache
    def signature(mode: str = "L") -> bytes:
        picture = Image.new(mode, (600, 200), {"L": 255, "LA": (255, 0), "RGBA": (255, 255, 255, 0)}[mode])
        ink = {"L": 0, "LA": (0, 255), "RGBA": (0, 0, 80, 255)}[mode]
        ImageDraw.Draw(picture).line([(60, 60), (160, 50), (110, 150), (420, 80), (180, 170)], fill=ink, width=7)
        return _file(picture, "PNG")

    def material(self, **changes: Any) -> PageMaterial:
        material = PageMaterial(
            bodies={1: "中华人民共和国住房和城乡建设部", 2: "某省住房和城乡建设厅行政审批服务中心"},
            photo=self.photo(),
            signature=self.signature(),
            qr_rows=encode_qr(self.digits()).rows,
            identity=bytes(range(32)),
        )
        return dataclasses.replace(material, **changes)

    def page(self, claims: Claims | None = None, **material: Any) -> PageSpec:
        claims = claims or self.claims()
        profile = self.profile(claims.kind)
        return layout(
            claims,
            profile,
            self.templates()[profile.template],
            material=self.material(**material),
            measure=self.fonts,
        )

    def pdf(self, page: PageSpec | None = None, attachments: Mapping[str, bytes] | None = None) -> bytes:
        return compose_pdf(
            page or self.page(),
            fonts=self.fonts,
            attachments={"credential": b"\xd2credential", "receipt": b"receipt"}
            if attachments is None
            else attachments,
            metadata=self.metadata,
        )


def _file(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def studio() -> Studio:
    return Studio()
