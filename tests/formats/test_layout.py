"""The page of a certificate: complete, in order, nothing overlapping, nothing outside its place."""

import dataclasses
import itertools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mingzheng.formats.civil import MAX_DAY, parse_day
from mingzheng.formats.claims import Copy, Sex, Specialty
from mingzheng.formats.imagehead import ImageError
from mingzheng.formats.layout import PageDataError, layout
from mingzheng.formats.page import (
    ImageBox,
    MissingGlyphError,
    PageSpec,
    Path,
    QrSlot,
    QrTooLargeError,
    Rect,
    Role,
    SealShape,
    SealSlot,
    TextOverflowError,
    TextRun,
    bounds,
    seal_slots,
    without_slots,
)
from mingzheng.formats.template import Template

if TYPE_CHECKING:
    from conftest import Studio  # type: ignore[import-not-found]
else:
    Studio = Any


def text(page: PageSpec, name: str) -> str:
    return "".join(box.text for box in page.named(name) if isinstance(box, TextRun))


def texts(page: PageSpec) -> list[TextRun]:
    return [box for box in page.boxes if isinstance(box, TextRun)]


def assert_sound(page: PageSpec, template: Template) -> None:
    """Geometry: text apart from text, pictures and codes; everything within the frame, rows within their column."""
    inner = template.frame.rect
    solid = [box for box in page.boxes if isinstance(box, ImageBox | QrSlot)]
    runs = texts(page)
    for one, two in itertools.combinations([*runs, *solid], 2):
        assert not bounds(one).meets(bounds(two)), (one.name, two.name)
    for box in [*runs, *solid, *(box for box in page.boxes if isinstance(box, SealSlot))]:
        assert bounds(box).inside(inner), box.name
    columns = {
        "window": template.window.rect,
        "mark": template.mark.rect,
        "foot": template.foot.rect,
        "issuer": template.issuer.rect,
        "qr.caption": template.qr_caption.rect,
    }
    for run in runs:
        for name, column in columns.items():
            if run.name.startswith(name):
                assert bounds(run).inside(column), run.name
        if run.name.startswith("field."):
            places = (template.fields.beside.rect, template.fields.below.rect)
            assert any(bounds(run).inside(column) for column in places), run.name
        if run.name.startswith("seal."):
            seals = [box.rect for box in page.boxes if isinstance(box, SealSlot)]
            assert any(bounds(run).inside(rect) for rect in seals)
    names = ("signature", "ink.signature", "ink.date")
    frames = [box.rect for box in page.boxes if isinstance(box, Path) and box.name in {f"{n}.box" for n in names}]
    for frame in frames:
        assert not any(bounds(run).meets(frame) for run in runs)


def test_fields_stand_in_the_order_of_the_national_form(studio: Studio) -> None:
    page = studio.page()
    order = [
        "window",
        "title",
        "field.name.value",
        "field.sex.value",
        "field.birth.value",
        "field.registration_no.value",
        "field.employer.value",
        "field.specialties.value",
        "seal.0.body",
        "ink.signature.label",
        "ink.date.label",
        "issuer",
    ]
    names = [run.name for run in texts(page)]
    places = [names.index(name) for name in order]
    assert places == sorted(places)


def test_says_what_the_claims_say(studio: Studio) -> None:
    page = studio.page()
    assert text(page, "window") == "使用有效期：2026年11月21日 至 2027年5月20日"
    assert text(page, "mark") == "使用件"
    assert text(page, "title.prefix") + text(page, "title") == "中华人民共和国一级建造师注册证书" == page.title
    assert text(page, "field.name.value") == "张建国"
    assert text(page, "field.sex.value") == "男"
    assert text(page, "field.birth.value") == "1985年3月12日"
    assert text(page, "field.registration_no.value") == "京1112006200800123"
    assert text(page, "field.employer.value") == "北京市第三建筑工程有限公司"
    rows = [run.text for run in texts(page) if run.name == "field.specialties.value"]
    assert rows[0] == "建筑工程（有效期：2024年6月1日至2027年5月31日）"
    assert rows[1].endswith("（有效期：2025年1月10日至2028年1月9日）")
    assert text(page, "field.purpose.value") == "某某市轨道交通工程施工总承包投标"
    assert text(page, "issuer") == "颁发机关：中华人民共和国住房和城乡建设部签发日期：2024年6月1日"
    assert text(page, "ink.signature.label") == "个人签名："
    assert text(page, "ink.date.label") == "签名日期："
    assert text(page, "foot") == "流水号 123　凭证标识 0001-0203-0405-0607"
    assert "English" not in text(page, "qr.caption.zh")
    assert {run.language for run in texts(page) if run.name == "qr.caption.en"} == {"en"}


def test_window_is_at_the_top_right_and_photo_at_the_right(studio: Studio) -> None:
    page = studio.page()
    (window,) = (bounds(box) for box in page.named("window"))
    assert window.right_mm == pytest.approx(188)
    assert window.bottom_mm < min(bounds(box).y_mm for box in page.named("title"))
    (photo,) = page.named("photo")
    assert bounds(photo).x_mm > page.width_mm / 2


def test_approval_copy_says_so_and_has_no_window_or_purpose(studio: Studio) -> None:
    claims = studio.claims(copy=Copy.APPROVAL, usage_until=None, purpose=None, sex=Sex.FEMALE)
    page = studio.page(claims)
    assert text(page, "mark") == "批准件"
    assert text(page, "field.sex.value") == "女"
    assert not page.named("window")
    assert not page.named("field.purpose.value")


def test_registration_without_end_is_long_term(studio: Studio) -> None:
    claims = studio.claims(kind=6, template=3, specialties=(), registered_until=MAX_DAY)
    assert text(studio.page(claims), "field.registered_until.value") == "长期"


@pytest.mark.parametrize("kind", [1, 2, 3, 6])
def test_everyday_pages_are_sound(studio: Studio, kind: int) -> None:
    specialties = tuple(
        Specialty(code=code, first_day=20000 + code, last_day=21000) for code in studio.profile(kind).specialties
    )
    claims = studio.claims(kind=kind, specialties=specialties)
    assert_sound(studio.page(claims), studio.templates()[studio.profile(kind).template])


def test_extreme_page_is_sound_and_complete(studio: Studio) -> None:
    claims = studio.extreme()
    page = studio.page(claims)
    assert_sound(page, studio.templates()[1])
    assert text(page, "field.name.value") == claims.name
    assert text(page, "field.employer.value") == claims.employer
    assert text(page, "field.purpose.value") == claims.purpose
    assert text(page, "field.specialties.value").count("有效期") == 6
    assert min(run.size_mm for run in texts(page) if run.name.startswith("field.")) >= 3.2


def test_architect_has_both_seals_with_their_names(studio: Studio) -> None:
    page = studio.page(studio.claims(kind=3, specialties=()))
    seals = [box for box in page.boxes if isinstance(box, SealSlot)]
    assert [seal.shape for seal in seals] == [SealShape.CIRCLE, SealShape.SQUARE]
    assert [seal.body for seal in seals] == [seal.name for seal in studio.profile(3).seals_on(parse_day("2026-11-21"))]
    assert not seals[0].rect.meets(seals[1].rect)
    for number, seal in enumerate(seals):
        assert text(page, f"seal.{number}.body") == seal.body


def test_sealing_body_is_named_where_it_is_another_and_no_rule_names_a_seal(studio: Studio) -> None:
    profile = dataclasses.replace(studio.profile(1), seals=())
    claims = studio.claims(sealing_body=2)
    page = layout(claims, profile, studio.templates()[1], material=studio.material(), measure=studio.fonts)
    (seal,) = (box for box in page.boxes if isinstance(box, SealSlot))
    assert seal.body == "某省住房和城乡建设厅行政审批服务中心"
    assert "用章机关：某省住房和城乡建设厅行政审批服务中心" in text(page, "issuer")


def test_image_keeps_its_shape_inside_its_place(studio: Studio) -> None:
    page = studio.page()
    (photo,) = (box for box in page.boxes if box.name == "photo")
    assert isinstance(photo, ImageBox)
    assert photo.data == studio.photo()
    assert photo.rect.width_mm / photo.rect.height_mm == pytest.approx(413 / 579)
    assert photo.rect.inside(studio.templates()[1].photo)


def test_page_without_images_and_code_is_sound(studio: Studio) -> None:
    page = studio.page(photo=None, signature=None, qr_rows=None, identity=None)
    assert_sound(page, studio.templates()[1])
    assert not any(isinstance(box, ImageBox | QrSlot) for box in page.boxes)
    assert text(page, "foot") == "流水号 123"


def test_every_box_but_decoration_says_what_it_is(studio: Studio) -> None:
    for box in studio.page().boxes:
        if isinstance(box, ImageBox | QrSlot | SealSlot):
            assert box.alt
        if isinstance(box, Path):
            assert box.role is Role.DECORATION


def test_code_is_black_modules_of_at_least_a_third_of_a_millimetre(studio: Studio) -> None:
    for modules in (17 + 4 * 10, 17 + 4 * 25):
        page = studio.page(qr_rows=(bytes(modules),) * modules)
        (slot,) = (box for box in page.boxes if isinstance(box, QrSlot))
        assert slot.module_mm >= 0.33
        assert slot.rect.width_mm <= 42
    with pytest.raises(QrTooLargeError):
        studio.page(qr_rows=(bytes(121),) * 121)  # version 26


@pytest.mark.parametrize("rows", [(), (b"\0\1",), (b"\0\1", b"\0")])
def test_refuses_modules_that_are_no_square(studio: Studio, rows: tuple[bytes, ...]) -> None:
    with pytest.raises(PageDataError):
        studio.page(qr_rows=rows)


def test_text_that_cannot_fit_is_an_error_that_names_the_place(studio: Studio) -> None:
    days = {"first_day": 20000, "last_day": 21000}
    many = tuple(Specialty(code=1 + code % 6, **days) for code in range(60))
    with pytest.raises(TextOverflowError) as caught:
        studio.page(studio.claims(specialties=many))
    assert caught.value.box == "field.employer"
    bodies = {1: "部" * 400}
    with pytest.raises(TextOverflowError, match="issuer"):
        studio.page(bodies=bodies)
    profile = dataclasses.replace(studio.profile(1), title_zh="证" * 60)
    with pytest.raises(TextOverflowError, match="title"):
        layout(studio.claims(), profile, studio.templates()[1], material=studio.material(), measure=studio.fonts)


def test_a_mark_wider_than_its_place_is_an_error(studio: Studio) -> None:
    template = studio.templates()[1]
    wide = dataclasses.replace(template, words=dataclasses.replace(template.words, usage="使用件" * 9))
    with pytest.raises(TextOverflowError, match="mark"):
        layout(studio.claims(), studio.profile(1), wide, material=studio.material(), measure=studio.fonts)


def test_title_without_the_prefix_stands_in_one_line(studio: Studio) -> None:
    profile = dataclasses.replace(studio.profile(1), title_zh="二级造价工程师注册证书")
    page = layout(studio.claims(), profile, studio.templates()[1], material=studio.material(), measure=studio.fonts)
    assert text(page, "title") == "二级造价工程师注册证书"
    assert not page.named("title.prefix")


def test_missing_names_glyphs_and_broken_images_are_typed(studio: Studio) -> None:
    with pytest.raises(PageDataError, match="body 7"):
        studio.page(studio.claims(issuing_body=7))
    with pytest.raises(PageDataError, match="specialty 999"):
        studio.page(studio.claims(specialties=(Specialty(code=999, first_day=1, last_day=2),)))
    with pytest.raises(MissingGlyphError):
        studio.page(studio.claims(name="\u4e02"))
    with pytest.raises(ImageError):
        studio.page(photo=b"no image")


def test_more_seals_than_places_is_an_error(studio: Studio) -> None:
    seal = studio.profile(1).seals_on(parse_day("2026-11-21"))[0]
    profile = dataclasses.replace(studio.profile(1), seals=(seal, seal))
    with pytest.raises(PageDataError, match="2 seals"):
        layout(studio.claims(), profile, studio.templates()[1], material=studio.material(), measure=studio.fonts)


def test_a_profile_without_placed_fields_leaves_them_out(studio: Studio) -> None:
    profile = studio.profile(1)
    few = dataclasses.replace(profile, fields=tuple(field for field in profile.fields if field.name == "name"))
    page = layout(studio.claims(), few, studio.templates()[1], material=studio.material(), measure=studio.fonts)
    for name in ("window", "issuer", "ink.signature.label", "field.sex.value"):
        assert not page.named(name)
    assert text(page, "field.name.value") == "张建国"


def test_a_column_too_narrow_for_a_character_is_an_error(studio: Studio) -> None:
    template = studio.templates()[1]
    for width in (32.0, 36.0):
        narrow = Rect(x_mm=24, y_mm=129, width_mm=width, height_mm=76)
        fields = dataclasses.replace(template.fields, below=dataclasses.replace(template.fields.below, rect=narrow))
        with pytest.raises(TextOverflowError):
            layout(
                studio.claims(),
                studio.profile(1),
                dataclasses.replace(template, fields=fields),
                material=studio.material(),
                measure=studio.fonts,
            )


def test_same_input_same_page(studio: Studio) -> None:
    assert studio.page() == studio.page()


CHARACTERS = st.sampled_from("张王李欧阳建国𠮷·镕堃（）ABCabc12 -，一")
LINE = st.text(alphabet=CHARACTERS, min_size=1, max_size=40).map(str.strip).filter(bool)


@settings(max_examples=25)
@given(name=LINE, employer=LINE, purpose=LINE, number=LINE, count=st.integers(1, 6))
def test_any_texts_within_the_ceilings_make_a_sound_page(
    studio: Studio, name: str, employer: str, purpose: str, number: str, count: int
) -> None:
    specialties = tuple(Specialty(code=code, first_day=20000, last_day=21000) for code in range(1, count + 1))
    claims = studio.claims(
        name=name, employer=employer, purpose=purpose, registration_no=number, specialties=specialties
    )
    page = studio.page(claims)
    assert_sound(page, studio.templates()[1])
    assert text(page, "field.name.value").replace(" ", "") == name.replace(" ", "")


def test_a_page_to_be_sealed_shows_no_slots(studio: Studio) -> None:
    page = studio.page(studio.claims(kind=3))
    slots = seal_slots(page)
    bare = without_slots(page)
    assert [slot.shape for slot in slots] == ["circle", "square"]
    assert seal_slots(bare) == ()
    gone = {box.name for box in page.boxes} - {box.name for box in bare.boxes}
    assert gone == {"seal.0", "seal.0.body", "seal.1", "seal.1.body"}
    assert without_slots(bare) == bare
