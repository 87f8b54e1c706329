"""An audit says how many notices of each type were given."""

import pytest

from mingzheng.formats.civil import format_day
from mingzheng.log.cli import report_json, report_text
from mingzheng.log.entry import NoticeType
from mingzheng.log.hashing import EMPTY_ROOT
from mingzheng.log.monitor import AuditReport

DAY = 20_000
WORDS = {
    NoticeType.BLANKET_EXTENSION: "统一延期",
    NoticeType.RETIRED_FORM: "式样停用",
    NoticeType.SEAL_CHANGE: "启用印章",
    NoticeType.RETRACTION: "撤回",
}


def _report(label: str) -> AuditReport:
    return AuditReport(
        origin="log.example/1",
        size=2,
        root=EMPTY_ROOT,
        followed_from=None,
        resumed_from=0,
        alarms=(),
        counts={DAY: {label: 3}},
        entries=2,
        receipts_agreed=0,
        notes=(),
        evidence_files=(),
    )


@pytest.mark.parametrize("kind", NoticeType)
def test_every_type_of_notice_is_counted_by_its_name(kind: NoticeType) -> None:
    report = _report(f"notice.{kind.name.lower()}")
    assert f"notice, {kind.name.lower()}: 3" in report_text(report, "en")
    assert f"公告（{WORDS[kind]}）3 条" in report_text(report, "zh")
    assert report_json(report)["counts"] == {format_day(DAY): {f"notice.{kind.name.lower()}": 3}}


def test_a_count_of_an_earlier_program_is_shown_as_it_is() -> None:
    assert "notice: 3" in report_text(_report("notice"), "en")
    assert "公告 3 条" in report_text(_report("notice"), "zh")
