"""Nothing is issued of a kind that is announced and not yet enabled; the refusal cites the notice."""

from dataclasses import replace

import pytest

from mingzheng.formats.civil import parse_day
from mingzheng.formats.claims import Copy, Sex
from mingzheng.formats.library import read_shipped_profiles
from mingzheng.formats.profile import ProfileSet, parse_profiles
from mingzheng.issuer.errors import NotEnabledError
from mingzheng.issuer.plan import CopyOrder, check_records, plan_window, profile_of
from mingzheng.issuer.record import ApplicationRecord, ParsedRecords
from mingzheng.keys.trust import IssuerRecord

DAY = parse_day("2022-06-27")
RECORD = ApplicationRecord(
    row=2,
    kind="cn.safety",
    jurisdiction=61,
    name="王小明",
    sex=Sex.MALE,
    birth=parse_day("1985-03-03"),
    id_number=None,
    registration_no="陕建安A(2022)0000001",
    specialties=(),
    certificate_issued_on=DAY - 5,
    employer="西安示例建设有限公司",
    registered_until=DAY + 900,
    issuing_body="1",
    sealing_body="1",
    photo="1.jpg",
    signature_image="1.png",
    purpose=None,
)
ISSUER = IssuerRecord(number=1, name="某省厅", name_en="A Department", bodies={1: "某省厅"}, prefixes=())
COPIES = [CopyOrder(copy=copy, purpose=None, day=DAY) for copy in Copy]


def profiles(value: str) -> ProfileSet:
    """The shipped profile of safety staff, enabled from `value` on."""
    text = f'\n[enabled_from]\nvalue = "{value}"\nnotice = "shaanxi-2018"\nclause = "一"\n'
    return parse_profiles([read_shipped_profiles()["cn.safety.0.toml"] + text.encode()])


@pytest.mark.parametrize("order", COPIES, ids=lambda order: order.copy.name)
@pytest.mark.parametrize(
    ("value", "words"), [("not-yet", ("未定", "not yet set")), ("2022-06-28", ("2022-06-28",) * 2)]
)
def test_no_copy_of_either_type_before_the_kind_is_enabled(
    order: CopyOrder, value: str, words: tuple[str, str]
) -> None:
    profile = profile_of(RECORD, profiles(value), day=DAY)
    assert profile is not None
    with pytest.raises(NotEnabledError) as caught:
        plan_window(RECORD, profile, order=order)
    assert caught.value.code == "plan.not_enabled"
    assert words[0] in caught.value.zh
    assert words[1] in caught.value.en
    for text in (caught.value.zh, caught.value.en):
        assert "通知》一" in text
        assert "enabled_from" in text
        assert RECORD.name not in text


def test_the_row_is_a_fault_of_the_file() -> None:
    parsed = ParsedRecords(records=(RECORD, replace(RECORD, row=3)), faults=())
    checked = check_records(parsed, profiles=profiles("not-yet"), issuer=ISSUER, order=COPIES[0])
    assert [(fault.row, fault.code) for fault in checked.faults] == [(2, "plan.not_enabled"), (3, "plan.not_enabled")]


def test_from_the_day_itself_on_copies_are_issued() -> None:
    profile = profile_of(RECORD, profiles("2022-06-27"), day=DAY)
    assert profile is not None
    for order in COPIES:
        plan_window(RECORD, profile, order=order)
