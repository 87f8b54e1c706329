"""Reports: the JSON schema, the words on a narrow screen, and no personal text outside the credential."""

import json
import logging
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulator import DAY, HOUR, World, flip

from mingzheng.formats.candidate import Candidate, Extracted, FileFacts, SealFacts, SealForm, Source
from mingzheng.formats.claims import Copy, Specialty
from mingzheng.formats.qrtext import to_digits
from mingzheng.formats.sniff import FileKind
from mingzheng.log.acts import ActType
from mingzheng.verifier.context import Expectations
from mingzheng.verifier.findings import Code
from mingzheng.verifier.library import load_messages
from mingzheng.verifier.pipeline import verify_extracted, verify_text
from mingzheng.verifier.report import Report, report_to_json
from mingzheng.verifier.reporttext import WIDTH, columns, printable, report_to_text, wrap
from mingzheng.verifier.times import format_time

ROOT = Path(__file__).resolve().parent.parent.parent
SCHEMA = json.loads((ROOT / "verifier" / "verify.schema.json").read_text(encoding="utf-8"))
PERSONAL = ("张三丰", "1980-05-17", "京111200620080001", "某某建设集团有限公司", "甲项目投标")


def varied_reports() -> list[Report]:
    """Reports of many kinds: good, bad, foreign, of a PDF, of an approval copy, of an unknown kind."""
    world = World()
    good, revoked = world.issue(world.claims(), world.claims(serial=1))
    world.act(ActType.REVOKE, 1)
    approval = world.issue_one(copy=Copy.APPROVAL, purpose=None, usage_until=None, employer=None)
    odd = world.issue_one(kind=7, issuing_body=9, specialties=(Specialty(code=999, first_day=DAY, last_day=DAY + 9),))
    facts = FileFacts(
        kind=FileKind.PDF,
        pages=1,
        attachments=(),
        full_receipts=(world.logs[1].full_receipt(good.index),),
        seals=tuple(
            SealFacts(
                form=SealForm.PADES,
                place=place,
                certificate=b"",
                chain=(),
                signed_at=None,
                timestamped=False,
                details=None,
                marks=(),
                faults=(),
            )
            for place in ("Seal1", "Seal2")
        ),
    )
    attached = Candidate(source=Source.ATTACHMENT, page=None, text=None, data=good.token, where="attachment:credential")
    alien = Candidate(source=Source.QR, page=1, text="https://a.example/", data=None, where="page:1:code:1")
    visible = Candidate(source=Source.QR, page=1, text=good.text, data=None, where="page:1:qr")
    pdf = Extracted(kind=FileKind.PDF, candidates=(attached, visible, alien), facts=facts, problems=(("x.y", "z"),))
    reports = []
    for policy in ("site", "bid", "audit"):
        context = world.context(
            policy=policy,
            at=DAY + 5,
            now=world.now + 30 * HOUR,
            expect=Expectations(purpose="x", specialty="1", trust_fingerprint="0" * 64),
        )
        texts = [item.text for item in (good, revoked, approval, odd)]
        reports += [verify_text(text, context, file="a b.png") for text in [*texts, "https://a.example", "1"]]
        reports += verify_extracted(pdf, context, "a.pdf")
    empty = world.context(publish=False)
    return [*reports, verify_text(good.text, empty)]


REPORTS = varied_reports()


def test_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: f"{report.context.policy.name}-{report.verdict}")
def test_json_follows_the_schema(report: Report) -> None:
    row = json.loads(json.dumps(report_to_json(report), ensure_ascii=False))
    jsonschema.Draft202012Validator(SCHEMA).validate(row)


def test_schema_lists_every_code() -> None:
    properties = SCHEMA["properties"]
    assert set(properties["verdict"]["enum"]) | set(properties["findings"]["items"]["properties"]["code"]["enum"]) == {
        code.value for code in Code
    }


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("report", REPORTS, ids=lambda report: f"{report.context.policy.name}-{report.verdict}")
def test_text_fits_a_phone(report: Report, lang: str) -> None:
    text = report_to_text(report, lang)  # type: ignore[arg-type]
    first, *rest = text.splitlines()
    assert report.context.messages.of(report.verdict).title(lang) in first  # type: ignore[arg-type]
    assert all(columns(line) <= WIDTH for line in (first, *rest) if " " in line.strip())
    assert not any(line != line.rstrip() for line in rest)


def test_text_shows_what_to_compare() -> None:
    world = World()
    report = verify_text(world.issue_one().text, world.context())
    text = report_to_text(report, "zh")
    for word in (*PERSONAL, "照片", "手写签名", "2026-06-01–2026-11-28", "建筑工程", "撤销数据截至", "0 分钟前"):
        assert word in text, word


def test_the_rule_of_the_verdict_and_the_reason_stand_in_the_text() -> None:
    for report in REPORTS:
        assert report.context.messages.of(report.verdict).rule[:12] in report_to_text(report, "zh")
    world = World()
    token = world.issue_one().token
    forged = verify_text(to_digits(flip(token, len(token) - 9)), world.context())
    text = "".join(report_to_text(forged, "zh").split())
    assert "原因:" in text
    assert "（" in text.partition("原因:")[2].partition("依据")[0]
    messages = world.context().messages
    assert (
        messages.reason("proof.root_mismatch", "en") == "the proof in the receipt does not hold (proof.root_mismatch)"
    )
    assert messages.reason("某通知", "zh") == "某通知"


def test_personal_text_stands_only_in_the_credential() -> None:
    for report in REPORTS:
        row = report_to_json(report)
        rest = json.dumps({key: value for key, value in row.items() if key != "credential"}, ensure_ascii=False)
        assert not [word for word in PERSONAL if word in rest]


def test_fields_are_shown_only_under_a_good_signature() -> None:
    world = World()
    token = world.issue_one().token
    report = verify_text(to_digits(flip(token, len(token) - 9)), world.context())
    shown = json.dumps(report_to_json(report), ensure_ascii=False) + report_to_text(report, "zh")
    assert report.verdict is Code.FORGED
    assert not [word for word in PERSONAL if word in shown]


def test_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        varied_reports()
    assert caplog.text == ""


def test_every_piece_of_evidence_has_labels() -> None:
    labels = load_messages().labels
    used = {key for report in REPORTS for item in report.findings for key in item.evidence}
    assert used <= set(labels)
    source = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "verifier").glob("*.py")))
    assert not [key for key in labels if f"{key}=" not in source and f'"{key}"' not in source]


@pytest.mark.parametrize(
    ("age", "zh", "en"),
    [
        (-1, "晚于本机时间", "after this clock"),
        (7_199, "119 分钟前", "119 min ago"),
        (7_200, "2 小时前", "2 h ago"),
        (172_799, "47 小时前", "47 h ago"),
        (172_800, "2 天前", "2 days ago"),
    ],
)
def test_age_of_the_data(age: int, zh: str, en: str) -> None:
    world = World()
    report = verify_text(world.issue_one().text, world.context(now=world.now + age))
    assert "".join(zh.split()) in "".join(report_to_text(report, "zh").split())
    assert en in " ".join(report_to_text(report, "en").split())


def test_a_second_run_with_the_same_data_gives_the_same_bytes() -> None:
    world = World()
    issued = world.issue_one()
    first = world.context(at=DAY, now=world.now + 10)
    later = world.context(at=DAY, now=world.now + 3_000, publish=False)
    assert report_to_json(verify_text(issued.text, first)) == report_to_json(verify_text(issued.text, later))


@given(st.text())
def test_a_file_name_is_one_harmless_line(name: str) -> None:
    shown = printable(name)
    assert shown.isprintable()
    assert "\n" not in shown


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z", "M"]) | st.just(" ")))
def test_wrapping_loses_nothing(text: str) -> None:
    lines = list(wrap(text, first="  ", rest="    "))
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(columns(line) <= WIDTH + 6 for line in lines)


def test_times_are_written_at_plus_eight() -> None:
    assert format_time(0) == "1970-01-01T08:00:00+08:00"
