"""The eight kinds: what each jurisdiction's notice says of them, and their pages in both forms.

Source: the five notices, docs/profiles.md, docs/templates.md; numbers of the kinds: docs/spec/credential.md.
"""

import itertools
import os
import re
from pathlib import Path
from typing import Any

import pagepress
import pytest

from mingzheng.formats.civil import MAX_DAY, parse_day
from mingzheng.formats.claims import Copy, Specialty
from mingzheng.formats.library import load_shipped_profiles
from mingzheng.formats.page import ImageBox, PageSpec, QrSlot, SealShape, SealSlot, TextRun, bounds, seal_slots
from mingzheng.formats.profile import CapVerb, Citation, FieldName, Handwriting, Profile, Requirement, SealKind
from mingzheng.formats.rules_model import FormName, Reissue, Standing
from mingzheng.formats.sniff import FileKind

FULL = os.environ.get("MINGZHENG_FULL") == "1"
DAY = parse_day("2026-11-21")
PROFILES = load_shipped_profiles()
KINDS = {
    "cn.constructor.1": 1,
    "cn.constructor.2": 2,
    "cn.architect.1": 3,
    "cn.architect.2": 4,
    "cn.structural.2": 5,
    "cn.safety": 6,
    "cn.special-operation": 7,
    "cn.post-training": 8,
}
DOCS = Path(__file__).parent.parent.parent / "docs"


def governing(kind: str, place: int, day: int = DAY) -> Profile:
    found = PROFILES.select(KINDS[kind], place, day)
    assert found is not None
    return found


# What the notices say


def test_eight_kinds_with_the_numbers_of_the_credential() -> None:
    assert {profile.id: profile.code for profile in PROFILES.profiles} == KINDS
    (line,) = re.findall(r"^Kinds: (.*)\.$", (DOCS / "spec/credential.md").read_text("utf-8"), re.MULTILINE)
    assert {name: int(code) for code, name in re.findall(r"(\d+) `([^`]+)`", line)} == KINDS


OWN = {
    "cn.constructor.1": (0, 11, 31, 33, 46),
    "cn.constructor.2": (0, 21, 31, 61),
    "cn.architect.1": (0,),
    "cn.architect.2": (0, 31, 61),
    "cn.structural.2": (0, 31, 61),
    "cn.safety": (0, 61),
    "cn.special-operation": (0, 61),
    "cn.post-training": (0, 61),
}


@pytest.mark.parametrize("kind", KINDS)
def test_who_has_rules_of_its_own(kind: str) -> None:
    assert tuple(p.jurisdiction for p in PROFILES.profiles if p.id == kind) == OWN[kind]
    for place in (0, 11, 21, 31, 33, 46, 61, 82):
        assert governing(kind, place).jurisdiction == (place if place in OWN[kind] else 0)


SHAANXI = [kind for kind in KINDS if 61 in OWN[kind]]


@pytest.mark.parametrize("kind", SHAANXI)
def test_shaanxi_has_one_signature_that_is_not_the_issuer_and_no_window(kind: str) -> None:
    """陕西 2018 二（四）、二（五）"""
    profile = governing(kind, 61)
    (seal,) = profile.seals
    assert (seal.name, seal.citation.clause) == ("陕西省住房和城乡建设厅综合服务中心", "二（五）")
    committee = kind == "cn.architect.2"
    assert seal.on_behalf_of == ("陕西省注册建筑师管理委员会" if committee else "陕西省住房和城乡建设厅")
    assert not seal.citation.by_analogy
    assert profile.usage_window is None
    assert profile.no_usage_window is not None
    assert profile.no_usage_window.clause == "二（四）"
    assert profile.handwriting.value is Handwriting.SILENT
    assert profile.signature_image.value is Requirement.OPTIONAL
    assert profile.effective_from == parse_day("2018-11-01")


@pytest.mark.parametrize(
    ("kind", "part"), [("cn.constructor.2", "一"), ("cn.architect.2", "二"), ("cn.structural.2", "三")]
)
def test_shanghai_asks_for_image_and_ink_and_leaves_the_days_open(kind: str, part: str) -> None:
    """上海 2022 三（二）、附件二"""
    profile = governing(kind, 31)
    assert profile.effective_from == parse_day("2022-06-27")
    assert governing(kind, 31, parse_day("2022-06-26")).jurisdiction == 0
    assert (profile.signature_image.value, profile.signature_image.citation.clause) == ("required", f"附件二 {part}3")
    assert (profile.handwriting.value, profile.handwriting.citation.clause) == ("must_sign", "三（二）")
    window = profile.usage_window
    assert window is not None
    assert window.days.citation.clause == f"附件二 {part}7"
    assert window.days.citation.by_analogy


def standings(profile: Profile, form: FormName) -> list[tuple[Standing, int | None, int | None]]:
    """What a form of certificate counts for, period by period."""
    found = [item for item in profile.rules.forms if item.name is form]
    return [(period.standing, period.first_day, period.last_day) for item in found for period in item.periods]


@pytest.mark.parametrize("kind", ["cn.constructor.2", "cn.architect.2", "cn.structural.2"])
def test_shanghai_exchanges_and_retires_its_former_certificates(kind: str) -> None:
    """上海 2022 一、二、三（一）、三（三）"""
    profile = governing(kind, 31)
    border = parse_day("2023-06-01")
    assert standings(profile, FormName.ELECTRONIC_OLD) == [
        (Standing.EQUAL, None, border - 1),
        (Standing.VOID, border, None),
    ]
    exchange = profile.rules.reissue
    assert isinstance(exchange, Reissue)
    assert (exchange.validity.citation.clause, exchange.validity.citation.by_analogy) == ("三（一）", False)


@pytest.mark.parametrize("kind", SHAANXI)
def test_paper_goes_on_in_shaanxi_and_posts_are_left_out_of_that_rule(kind: str) -> None:
    """陕西 2018 二（一）"""
    profile = governing(kind, 61)
    assert standings(profile, FormName.PAPER) == [(Standing.CONTINUES, None, None)]
    (paper,) = (form for form in profile.rules.forms if form.name is FormName.PAPER)
    announced = kind == "cn.post-training"
    assert paper.issued_until == (None if announced else parse_day("2018-10-31"))
    assert paper.citation.by_analogy is announced


NEW = ["cn.architect.2", "cn.structural.2", "cn.special-operation", "cn.post-training"]


@pytest.mark.parametrize("kind", NEW)
def test_no_notice_sets_days_for_renewal_or_change_of_the_further_kinds(kind: str) -> None:
    for place in (0, *OWN[kind]):
        rules = governing(kind, place).rules
        for rule in (rules.renewal, rules.change, rules.age_limit):
            assert isinstance(rule, Citation)  # why there is none
            assert rule.clause == "全文"


@pytest.mark.parametrize("place", [11, 31, 33, 46])
def test_the_pilots_of_first_class_constructors_are_named_in_the_notice(place: int) -> None:
    """住建部 2021 一"""
    profile = governing("cn.constructor.1", place)
    assert (profile.effective.clause, profile.effective.by_analogy) == ("一、二（一）1", False)
    assert PROFILES.select(1, place, parse_day("2021-01-31")) is None
    assert profile.usage_window == governing("cn.constructor.1", 0).usage_window


def test_second_class_architects_do_not_bear_the_chairmans_seal() -> None:
    assert [seal.kind for seal in governing("cn.architect.1", 0).seals] == [SealKind.BODY, SealKind.PERSON]
    for place in OWN["cn.architect.2"]:
        assert [seal.kind for seal in governing("cn.architect.2", place).seals] == [SealKind.BODY]
    assert "注册建筑师管理委员会" in governing("cn.architect.2", 0).seals[0].name


@pytest.mark.parametrize("kind", ["cn.architect.2", "cn.structural.2"])
def test_without_specialties_the_registration_caps_the_window(kind: str) -> None:
    for place in (0, 31):
        window = governing(kind, place).usage_window
        assert window is not None
        assert (window.days.value, [cap.verb for cap in window.caps]) == (180, [CapVerb.REGISTERED_UNTIL])
        assert window.days.citation.by_analogy


def test_posts_are_announced_and_not_enabled_anywhere() -> None:
    """陕西 2018 一：待考核工作开展后启用"""
    for profile in PROFILES.profiles:
        announced = profile.id == "cn.post-training"
        assert profile.enabled_on(profile.effective_from) is not announced
        assert profile.enabled_on(MAX_DAY) is not announced
    direct = governing("cn.post-training", 61).enabled_from
    assert direct is not None
    assert (direct.value, direct.citation.clause, direct.citation.by_analogy) == (None, "一", False)


def names(kind: str) -> list[str]:
    return [entry.name_zh for entry in governing(kind, 0).specialties.values()]


def test_trades_posts_and_classes() -> None:
    assert names("cn.special-operation") == [
        "建筑电工",
        "建筑架子工",
        "建筑起重信号司索工",
        "建筑起重机械司机",
        "建筑起重机械安装拆卸工",
        "高处作业吊篮安装拆卸工",
    ]
    assert names("cn.post-training") == ["施工员", "质量员", "安全员", "标准员", "材料员", "机械员", "劳务员", "资料员"]
    classes = governing("cn.safety", 0).specialties.values()
    assert [entry.official_code for entry in classes] == ["A", "B", "C", "C1", "C2", "C3"]
    assert all(entry.name_zh.startswith(f"{entry.official_code}类") for entry in classes)
    for kind in ("cn.special-operation", "cn.post-training", "cn.safety"):
        codes = governing(kind, 0).specialty_codes
        assert codes is not None
        assert codes.by_analogy


# Pages and profiles


@pytest.mark.parametrize("profile", PROFILES.profiles, ids=lambda item: f"{item.id}.{item.jurisdiction}")
def test_page_and_profile_agree(profile: Profile) -> None:
    fields = [field.name for field in profile.fields]
    assert (FieldName.SPECIALTIES in fields) == (profile.specialty.value is not Requirement.NONE)
    always = set(FieldName) - {FieldName.SPECIALTIES}
    assert always <= set(fields)
    template = pagepress.templates()[profile.template]
    shapes = [place.shape for place in template.seals]
    for day in (profile.effective_from, DAY):
        wanted = [
            SealShape.SQUARE if seal.kind is SealKind.PERSON else SealShape.CIRCLE for seal in profile.seals_on(day)
        ]
        assert wanted == shapes[: len(wanted)]
    head, title = template.title.prefix, profile.title_zh
    assert title.startswith(head)
    assert len(title) > len(head)


def test_the_page_on_templates_lists_what_ships() -> None:
    page = (DOCS / "templates.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d+) \| `([^`]+)\.toml` \| ([^|]+) \| (\d) \|", page, re.MULTILINE)
    shown = {
        int(number): (name, set(re.findall(r"`([^`]+)`", kinds)), int(seals)) for number, name, kinds, seals in rows
    }
    assert shown == {
        template.number: (
            template.name,
            {profile.id for profile in PROFILES.profiles if profile.template == template.number},
            len(template.seals),
        )
        for template in pagepress.templates().values()
    }


def certificate(kind: str, seed: int, **changes: Any) -> pagepress.Certificate:
    """A certificate of random contents of a kind, with two specialties where the kind has any."""
    profile = governing(kind, 0)
    codes = list(profile.specialties)[:2]
    wanted = {
        "kind": KINDS[kind],
        "specialties": tuple(Specialty(code=code, first_day=DAY - 400, last_day=DAY + 500) for code in codes),
        "employer": "西安示例建设集团有限公司",
        "photo": pagepress.photo(seed),
        "signature": pagepress.signature(seed),
    }
    return pagepress.make(seed, **{**wanted, **changes})


@pytest.mark.parametrize("kind", KINDS if FULL else NEW)
def test_pages_of_both_forms_compare_equal(kind: str) -> None:
    """Drawn and compared; all kinds as issued: tests/issuer/test_kinds_matrix.py."""
    for seed, copy in enumerate(Copy) if FULL else [(KINDS[kind], Copy.USAGE)]:
        usage = copy is Copy.USAGE
        window = governing(kind, 0).usage_window
        until = {"usage_until": DAY + 180 if usage and window is not None else None}
        made = certificate(kind, seed, copy=copy, purpose="某某工程投标" if usage else None, **until)
        assert pagepress.is_equal(pagepress.compare(made, pagepress.sealed_pdf(made.page)))
        assert pagepress.is_equal(pagepress.compare(made, pagepress.ofd(made.page), FileKind.OFD))


def texts(page: PageSpec) -> dict[str, str]:
    """The text of every box by name."""
    found: dict[str, str] = {}
    for box in page.boxes:
        if isinstance(box, TextRun):
            found[box.name] = found.get(box.name, "") + box.text
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_usage_and_approval_copies_differ_where_people_look_first(kind: str) -> None:
    window = governing(kind, 0).usage_window
    until = DAY + 180 if window is not None else None
    usage = texts(certificate(kind, 1, copy=Copy.USAGE, purpose="投标", usage_until=until).page)
    approval = texts(certificate(kind, 1, copy=Copy.APPROVAL, purpose=None, usage_until=None).page)
    assert (usage["mark"], approval["mark"]) == ("使用件", "批准件")
    assert ("field.purpose.value" in usage, "field.purpose.value" in approval) == (True, False)
    assert ("window" in usage, "window" in approval) == (window is not None, False)
    assert usage["title"] == approval["title"]
    assert usage.get("title.prefix", "") + usage["title"] == governing(kind, 0).title_zh


EXTREME: dict[str, Any] = {
    "name": "阿卜杜热合曼·阿卜杜克里木·麦麦提吐尔逊江",
    "employer": "𬭎䶮" + "中国铁建大桥工程局集团有限公司第三工程分公司城市轨道交通工程项目管理部新疆" + "片",
    "purpose": "某某自治区某某自治州某某县城市轨道交通一号线工程施工总承包第二标段投标文件专用章",
    "registration_no": "陕建安C2（2024）0001234",
    "serial": (1 << 40) - 1,
    "issuing_body": 2,
    "sealing_body": 1,
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_longest_contents_fit_and_nothing_overlaps(kind: str) -> None:
    assert len(EXTREME["name"]) > 20
    assert len(EXTREME["employer"]) == len(EXTREME["purpose"]) == 40
    codes = sorted(governing(kind, 0).specialties, key=lambda code: len(governing(kind, 0).specialties[code].name_zh))
    first, last = parse_day("2024-06-01"), parse_day("2027-05-31")
    rows = tuple(
        Specialty(code=code, first_day=first + 40 * code, last_day=last + 40 * code) for code in sorted(codes[-6:])
    )
    made = certificate(kind, 2, specialties=rows, copy=Copy.USAGE, usage_until=DAY + 180, **EXTREME)
    runs = [box for box in made.page.boxes if isinstance(box, TextRun)]
    lines = [run.text for run in runs if run.name == "field.specialties.value"]
    assert [line[-1] for line in lines] == ["）"] * len(rows)  # no row is broken: its two days stand together
    solid = [*runs, *(box for box in made.page.boxes if isinstance(box, ImageBox | QrSlot))]
    for one, two in itertools.combinations(solid, 2):
        assert not bounds(one).meets(bounds(two)), (one.name, two.name)
    inner = pagepress.templates()[governing(kind, 0).template].frame.rect
    assert all(bounds(box).inside(inner) for box in (*solid, *seal_slots(made.page)))
    assert all(isinstance(slot, SealSlot) for slot in seal_slots(made.page))
    if FULL:
        assert pagepress.is_equal(pagepress.compare(made, pagepress.sealed_pdf(made.page)))


def test_an_end_that_never_comes_is_printed_in_words() -> None:
    row = Specialty(code=1, first_day=DAY - 9, last_day=MAX_DAY)
    page = certificate("cn.post-training", 3, specialties=(row,), registered_until=MAX_DAY, usage_until=None).page
    assert texts(page)["field.registered_until.value"] == "长期"
    assert texts(page)["field.specialties.value"].endswith("至长期）")


@pytest.mark.parametrize(
    ("kind", "document", "names"),
    [
        ("cn.special-operation", "建质〔2008〕75号）第三条", ("建筑电工", "高处作业吊篮安装拆卸工")),
        ("cn.post-training", "JGJ/T 250-2011", ("施工员", "资料员")),
        ("cn.safety", "住房和城乡建设部令第17号", ("A类企业主要负责人", "C3类综合专职安全生产管理人员")),
    ],
)
def test_trades_posts_and_classes_are_no_notices_and_say_where_they_are_from(
    kind: str, document: str, names: tuple[str, str]
) -> None:
    """The five notices list none of them: by analogy, with the document they are taken from, here and on the page."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "profile-values.md").read_text("utf-8")
    found = [profile for profile in PROFILES.profiles if profile.id == kind]
    assert found
    for profile in found:
        source = profile.specialty_codes
        assert source is not None
        assert source.by_analogy
        assert source.notice is None
        assert document in source.text_zh()
        listed = [entry.name_zh for entry in profile.specialties.values()]
        assert (listed[0], listed[-1]) == names
    section = page.split(f"## `{kind}.0`")[1].split("\n## ")[0]
    (line,) = [line for line in section.splitlines() if line.startswith("| `specialty_codes` |")]
    assert document in line
    assert "本规则文件规定" in line
