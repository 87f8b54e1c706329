"""Profiles: the shipped ones say what the notices say; a malformed one is refused and the place named."""

import copy
import re
import runpy
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from mingzheng.formats.civil import parse_day
from mingzheng.formats.library import (
    load_shipped_profiles,
    read_shipped_profiles,
    read_shipped_templates,
)
from mingzheng.formats.profile import (
    MAX_PROFILES,
    CapVerb,
    Citation,
    FieldName,
    Handwriting,
    NumberForm,
    Profile,
    ProfileConflictError,
    ProfileError,
    ProfileSet,
    ProfileSyntaxError,
    ProfileValueError,
    Requirement,
    SealKind,
    parse_profile,
    parse_profiles,
)
from mingzheng.formats.rules_model import (
    DataChanged,
    FormName,
    OldCopies,
    PolicyName,
    Precedence,
    Severity,
    Standing,
    Unit,
    Unrenewed,
    WindowMove,
)

FILES = read_shipped_profiles()
BASE = FILES["cn.constructor.2.0.toml"]
OVERLAY = FILES["cn.constructor.2.31.toml"]
FULL = FILES["cn.constructor.1.0.toml"]


def dump(value: object) -> str:
    """A TOML value in one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list):
        return "[" + ", ".join(dump(item) for item in value) + "]"
    assert isinstance(value, dict)
    return "{" + ", ".join(f"{dump(key)} = {dump(item)}" for key, item in value.items()) + "}"


def to_toml(document: dict[str, Any]) -> bytes:
    return "".join(f"{dump(key)} = {dump(value)}\n" for key, value in document.items()).encode()


def changed(data: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    document = copy.deepcopy(tomllib.loads(data.decode()))
    change(document)
    return to_toml(document)


def select(kind: int, jurisdiction: int, day: str) -> Profile:
    found = load_shipped_profiles().select(kind, jurisdiction, parse_day(day))
    assert found is not None
    return found


# What ships


def test_names_of_files_are_ids_and_jurisdictions() -> None:
    names = {f"{item.id}.{item.jurisdiction}.toml" for item in load_shipped_profiles().profiles}
    assert names == set(FILES)
    assert load_shipped_profiles() is load_shipped_profiles()
    assert all(name.endswith(".toml") for name in read_shipped_templates())


def citations(value: object) -> Iterator[Citation]:
    """Every source in a profile, wherever it stands."""
    if isinstance(value, Citation):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from citations(item)
    elif is_dataclass(value):
        for field in fields(value):
            yield from citations(getattr(value, field.name))


@pytest.mark.parametrize("item", load_shipped_profiles().profiles, ids=lambda item: f"{item.id}.{item.jurisdiction}")
def test_every_value_names_its_source(item: Profile) -> None:
    found = list(citations(item))
    assert len(found) >= 30
    for citation in found:
        assert citation.notice is not None or citation.by_analogy
        assert (citation.clause is not None) == (citation.notice is not None)
        assert citation.text_zh()
        assert citation.text_en()
    assert {c.notice.key for c in found if c.notice is not None} <= set(item.notices)
    assert all(notice.issuer and notice.title for notice in item.notices.values())


def test_first_class_constructors_follow_the_ministry() -> None:
    item = select(1, 31, "2022-06-27")
    assert (item.id, item.jurisdiction) == ("cn.constructor.1", 31)
    assert not item.effective.by_analogy
    assert select(1, 44, "2022-06-27").jurisdiction == 0
    assert select(1, 44, "2022-06-27").effective.by_analogy
    assert item.title_zh == "中华人民共和国一级建造师注册证书"
    assert item.handwriting.value is Handwriting.INVALID_UNLESS_MATCHING
    assert item.handwriting.citation.clause == "三（三）"
    assert (item.photo.value, item.signature_image.value) == (Requirement.REQUIRED, Requirement.REQUIRED)
    assert [slot.name for slot in item.seals_on(parse_day("2022-06-27"))] == [
        "中华人民共和国住房和城乡建设部一级建造师行政许可专用章"
    ]
    assert [slot.name for slot in item.seals_on(parse_day("2021-01-31"))] == ["中华人民共和国住房和城乡建设部"]
    assert len(item.seals_on(parse_day("2021-02-01"))) == 1
    assert item.usage_window is not None
    assert item.usage_window.days.value == 180
    assert not item.usage_window.days.citation.by_analogy
    assert [(cap.verb, cap.years) for cap in item.usage_window.caps] == [
        (CapVerb.SPECIALTY_UNTIL, None),
        (CapVerb.HOLDER_TURNS, 65),
    ]
    codes = {number: name.official_code for number, name in item.specialties.items()}
    assert len(codes) == 10
    assert all(code == f"104010{number:02}" for number, code in codes.items() if code is not None)
    assert {n for n, code in codes.items() if code} == {1, 2, 5, 7, 10, 12}
    assert load_shipped_profiles().select(1, 0, parse_day("2021-01-31")) is None


def test_architects_bear_two_seals_and_no_age() -> None:
    item = select(3, 0, "2022-06-27")
    assert [slot.kind for slot in item.seals] == [SealKind.BODY, SealKind.PERSON]
    assert item.specialty.value is Requirement.NONE
    assert item.usage_window is not None
    assert [cap.verb for cap in item.usage_window.caps] == [CapVerb.REGISTERED_UNTIL]
    assert "注建〔2021〕2号" in item.usage_window.days.citation.text_zh()


def test_second_class_constructors_fall_back_to_the_national_base() -> None:
    shanghai, national = select(2, 31, "2022-06-27"), select(2, 33, "2022-06-27")
    assert shanghai.jurisdiction == 31
    assert shanghai.handwriting.value is Handwriting.MUST_SIGN
    assert shanghai.specialties == national.specialties
    assert shanghai.notices.keys() > national.notices.keys()
    assert national.jurisdiction == 0
    assert select(2, 31, "2022-06-26").jurisdiction == 0
    shaanxi = select(2, 61, "2019-01-01")
    assert shaanxi.usage_window is None
    assert shaanxi.no_usage_window is not None
    assert shaanxi.seals[0].name == "陕西省住房和城乡建设厅综合服务中心"
    assert select(2, 21, "2022-04-01").handwriting.value is Handwriting.SILENT
    assert national.registration_no.value is NumberForm.CONSTRUCTOR_2


def test_page_fields_have_the_order_of_the_printed_form() -> None:
    names = [entry.name for entry in select(1, 0, "2022-06-27").fields]
    assert names[:7] == [
        FieldName.USAGE_WINDOW,
        FieldName.NAME,
        FieldName.SEX,
        FieldName.BIRTH,
        FieldName.REGISTRATION_NO,
        FieldName.EMPLOYER,
        FieldName.SPECIALTIES,
    ]
    assert names[-3:] == [FieldName.SIGNATURE, FieldName.SIGNATURE_DATE, FieldName.ISSUED_ON]


def test_ids_and_codes() -> None:
    profiles = load_shipped_profiles()
    assert profiles.code_of("cn.architect.1") == 3
    assert profiles.id_of(6) == "cn.safety"
    assert profiles.code_of("cn.nobody") is None
    assert profiles.id_of(99) is None
    assert profiles.select(99, 0, 19_000) is None


def test_citation_phrases() -> None:
    plain = select(1, 0, "2022-06-27").handwriting.citation
    assert plain.text_zh() == "《关于开展一级建造师电子注册证书试点工作的通知》三（三）" == plain.text_en()
    own = select(1, 0, "2022-06-27").registration_no.citation
    assert own.text_zh().startswith("本规则文件规定：")
    assert own.text_en().startswith("set by this profile: ")
    likewise = select(6, 0, "2022-06-27").usage_window
    assert likewise is not None
    assert likewise.days.citation.text_zh().startswith("类推（《全国注册建筑师")
    assert likewise.days.citation.text_en().startswith("by analogy with 《")


# What is refused


def places(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield (*path, key)
            yield from places(item, (*path, key))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from places(item, (*path, place))


OPTIONAL = {"official_code", "issued_on", "note", "number", "by_analogy"}
BOUNDS = {"issued_from", "issued_until"}


def reach(document: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        document = document[step]
    return document


def _number(step: str | int) -> int:
    return step if isinstance(step, int) else -1


def test_every_key_is_needed_typed_and_alone() -> None:
    document = tomllib.loads(FULL.decode())
    lists = {"specialties", "fields"}  # their members are read by one function: two of them will do
    paths = [path for path in places(document) if not (lists & set(path) and max(map(_number, path)) > 1)]
    assert len(paths) > 150
    for path in paths:

        def remove(doc: Any, path: tuple[str | int, ...] = path) -> None:
            del reach(doc, path[:-1])[path[-1]]

        def retype(doc: Any, path: tuple[str | int, ...] = path) -> None:
            reach(doc, path[:-1])[path[-1]] = True

        def add(doc: Any, path: tuple[str | int, ...] = path) -> None:
            inner = reach(doc, path)
            (inner if isinstance(inner, dict) else reach(doc, path[:-1]))["surplus"] = 1

        optional = (path[0] == "notices" and path[-1] in OPTIONAL) or path[-1] == "official_code"
        optional |= path[-1] == "by_analogy" and "notice" in reach(document, path[:-1])
        optional |= path[0] in ("forms", "seals") and path[-1] in {"from", "until", *BOUNDS}
        optional |= path[0] in ("forms", "seals") and isinstance(path[-1], int)
        if not optional:
            with pytest.raises(ProfileValueError):
                parse_profile(changed(FULL, remove))
        with pytest.raises(ProfileValueError):
            parse_profile(changed(FULL, retype))
        if path not in (("notices",), ("reasons",)):
            with pytest.raises(ProfileValueError):
                parse_profile(changed(FULL, add))


def put(*path_and_value: Any) -> Callable[[dict[str, Any]], None]:
    *path, last, value = path_and_value

    def change(document: dict[str, Any]) -> None:
        reach(document, tuple(path))[last] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        put("id", "cn"),
        put("id", "CN.x"),
        put("id", "cn..x"),
        put("id", "cn.x y"),
        put("id", "cn." + "x" * 40),
        put("id", "cn.一级"),
        put("code", 0),
        put("code", 65_536),
        put("jurisdiction", 10),
        put("jurisdiction", 83),
        put("schema", 2),
        put("effective", "from", "2021-2-1"),
        put("effective", "from", "2021-02-30"),
        put("effective", "until", "2021-01-31"),
        put("effective", "notice", "nobody"),
        put("usage_window", "days", "value", 0),
        put("usage_window", "days", "value", 3_661),
        put("usage_window", "starts", "value", "tomorrow"),
        put("usage_window", "last_day", "value", "exclusive"),
        put("usage_window", "caps", 0, "verb", "specialty_until:3"),
        put("usage_window", "caps", 0, "verb", "whatever"),
        put("usage_window", "caps", 0, "verb", "holder_turns:65"),
        put("usage_window", "caps", 1, "verb", "holder_turns"),
        put("usage_window", "caps", 1, "verb", "holder_turns:"),
        put("usage_window", "caps", 1, "verb", "holder_turns:065"),
        put("usage_window", "caps", 1, "verb", "holder_turns:151"),
        put("usage_window", "caps", 1, "verb", "holder_turns:６５"),
        put("usage_window", "caps", 1, "verb", "holder_turns:65:1"),
        put("handwriting", "value", "perhaps"),
        put("registration_no", "value", "^.*$"),
        put("specialty", "value", "none"),
        put("specialty", "value", "optional"),
        put("specialties", []),
        put("specialties", 0, "number", 2),
        put("specialties", 0, "name_zh", "公路工程"),
        put("seals", []),
        put("seals", 0, "kind", "ghost"),
        put("page", "fields", []),
        put("page", "fields", 0, "name", "identity_number"),
        put("page", "fields", 0, "name", "name"),
        put("no_usage_window", {"by_analogy": {"zh": "x", "en": "x"}}),
        put("photo", {"value": "required"}),
        put("photo", {"value": "required", "notice": "mohurd-2021"}),
        put("photo", {"value": "required", "by_analogy": {"zh": "x"}}),
        put("notices", []),
    ],
)
def test_values_outside_the_closed_sets_are_refused(change: Callable[[dict[str, Any]], None]) -> None:
    with pytest.raises(ProfileValueError) as caught:
        parse_profile(changed(FULL, change))
    assert caught.value.path


def test_a_profile_without_window_rule_or_with_codes_for_nothing() -> None:
    def neither(document: dict[str, Any]) -> None:
        del document["usage_window"]

    def codes(document: dict[str, Any]) -> None:
        document["specialty_codes"] = {"by_analogy": {"zh": "x", "en": "x"}}

    with pytest.raises(ProfileValueError, match="either usage_window or no_usage_window"):
        parse_profile(changed(FULL, neither))
    with pytest.raises(ProfileValueError, match="specialty_codes"):
        parse_profile(changed(FILES["cn.architect.1.0.toml"], codes))


# Overlays


def test_an_overlay_replaces_whole_entries() -> None:
    base, shanghai = parse_profile(BASE), parse_profile(OVERLAY, base=BASE)
    assert (shanghai.id, shanghai.code, shanghai.template) == (base.id, base.code, base.template)
    assert shanghai.seals != base.seals
    assert shanghai.fields == base.fields
    assert parse_profiles([OVERLAY, BASE]).select(2, 31, shanghai.effective_from) == shanghai


@pytest.mark.parametrize(
    "change",
    [
        put("id", "cn.constructor.2"),
        put("code", 2),
        put("specialties", []),
        put("schema", 3),
        put("base", "cn.constructor.1"),
        put("base", ["cn.constructor.2"]),
        put("jurisdiction", 0),
        put("notices", {"mohurd-2021": {"issuer": "x", "title": "y"}}),
        put("notices", 5),
        put("effective", 5),
        put("effective", "from", "2001-01-01"),
        put("surplus", 1),
        lambda document: document.pop("jurisdiction"),
        lambda document: document.pop("effective"),
    ],
)
def test_overlays_refused(change: Callable[[dict[str, Any]], None]) -> None:
    overlay = changed(OVERLAY, change)
    with pytest.raises(ProfileValueError):
        parse_profiles([BASE, overlay])


def test_an_overlay_alone_or_on_another_base_is_refused() -> None:
    with pytest.raises(ProfileValueError, match="base"):
        parse_profile(OVERLAY)
    with pytest.raises(ProfileValueError, match="base"):
        parse_profile(OVERLAY, base=FULL)
    with pytest.raises(ProfileValueError, match="base"):
        parse_profiles([OVERLAY])


def test_errors_name_the_file_that_is_at_fault() -> None:
    own = {"base.toml": BASE, "own.toml": changed(OVERLAY, put("surplus", 1))}
    with pytest.raises(ProfileValueError, match=r"^own\.toml: surplus"):
        parse_profiles(own)
    with pytest.raises(ProfileValueError, match=r"^own\.toml: "):
        parse_profiles({"base.toml": BASE, "own.toml": changed(FULL, put("surplus", 1))})
    with pytest.raises(ProfileSyntaxError, match=r"^own\.toml: "):
        parse_profiles({"base.toml": BASE, "own.toml": b"\xff"})
    with pytest.raises(ProfileValueError, match=r"^alone\.toml: base"):
        parse_profiles({"alone.toml": OVERLAY})
    with pytest.raises(ProfileSyntaxError, match=r"^profile is not"):
        parse_profiles([b"\xff"])


# Sets


def test_two_profiles_for_one_day_are_refused() -> None:
    with pytest.raises(ProfileConflictError, match="overlap"):
        parse_profiles([FULL, FULL])
    ended = changed(FULL, put("effective", "until", "2023-12-31"))
    next_one = changed(FULL, put("effective", "from", "2024-01-01"))
    profiles = parse_profiles([next_one, ended])
    first, second = (profiles.select(1, 0, parse_day(day)) for day in ("2023-12-31", "2024-01-01"))
    assert first is not None
    assert second is not None
    assert (first.effective_until, second.effective_until) == (parse_day("2023-12-31"), None)
    with pytest.raises(ProfileConflictError, match="overlap"):
        parse_profiles([ended, changed(FULL, put("effective", "from", "2023-12-31"))])


def test_one_id_has_one_code() -> None:
    with pytest.raises(ProfileConflictError, match="code"):
        ProfileSet([parse_profile(FULL), parse_profile(changed(FULL, put("code", 9)))])
    with pytest.raises(ProfileConflictError, match="code"):
        ProfileSet([parse_profile(FULL), parse_profile(changed(FULL, put("id", "cn.other")))])


def test_too_many_profiles() -> None:
    with pytest.raises(ProfileConflictError) as caught:
        parse_profiles([FULL] * (MAX_PROFILES + 1))
    assert caught.value.code == "profile.conflict"


def test_no_profiles_is_a_set_that_governs_nothing() -> None:
    assert parse_profiles([]).select(1, 0, 19_000) is None


def test_bytes_that_are_no_toml() -> None:
    for data in (b"\x00", b"= 1", b"id = 'cn.x"):
        with pytest.raises(ProfileSyntaxError):
            parse_profile(data)
    with pytest.raises(ProfileError):
        parse_profile(b"")


# The pages about them

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGE = (DOCS / "profiles.md").read_text("utf-8")
VALUES = (DOCS / "profile-values.md").read_text("utf-8")


def test_the_page_of_values_is_what_the_files_say() -> None:
    assert runpy.run_path(str(DOCS / "make_profiles.py"))["page"]() == VALUES


@pytest.mark.parametrize("item", load_shipped_profiles().profiles, ids=lambda item: f"{item.id}.{item.jurisdiction}")
def test_the_page_of_values_states_every_source(item: Profile) -> None:
    """Whoever writes the page may forget a table: every citation of the profile must be on it."""
    sections = {text.split(" ")[0]: text for text in VALUES.split("\n## ") if text.startswith("`")}
    shown = sections[f"`{item.id}.{item.jurisdiction}`"] + sections[f"`{item.id}.0`"]
    for citation in citations(item):
        assert f"| {citation.text_zh()} |" in shown
    assert all(f"`{key}`" in PAGE for key in item.notices)


def test_the_page_names_every_verb() -> None:
    for closed in (
        *(Requirement, Handwriting, NumberForm, SealKind, FieldName, CapVerb, Severity, Unit, Unrenewed),
        *(DataChanged, Standing, WindowMove, OldCopies),
    ):
        assert all(re.search(rf"[`\"]{re.escape(member)}\b", PAGE) for member in closed), closed
    for closed in (FormName, Precedence, PolicyName):
        assert all(member in PAGE for member in closed)
