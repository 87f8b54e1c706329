"""Issuing: one command from rows to delivered files; nothing from a faulty file; the same again gives the same."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest
from office import ARCHITECTS, CONSTRUCTORS, DAY, NOW, Office, Reversing, architect, person, picture

from mingzheng.formats.civil import day_start, format_day
from mingzheng.formats.claims import Copy, image_digest, parse_claims
from mingzheng.issuer.issue import issue, prepare
from mingzheng.issuer.kept import KeptRecord, format_kept, image_digest_of, parse_kept
from mingzheng.issuer.lifecycle import find_registration, find_serial, perform, reissue
from mingzheng.issuer.record import parse_csv
from mingzheng.issuer.refusals import (
    ClockBehindError,
    FaultyRecordsError,
    KeyMissingError,
    LedgerCorruptError,
)
from mingzheng.issuer.rows import DESK
from mingzheng.issuer.schema import CopyState, CopyStatus
from mingzheng.log.acts import ActType
from mingzheng.log.refusal import ClockJumpError

NEXT_DAY = day_start(DAY + 1) + 36_000


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path, issuers=(CONSTRUCTORS, ARCHITECTS)).build()


def faults(office: Office, rows: list[dict[str, str]], **options: object) -> list[tuple[int, str, str]]:
    with office.open() as workspace:
        found = prepare(workspace, office.request(rows, **options), now=NOW, store_images=False)  # type: ignore[arg-type]
    return [(fault.row, fault.field, fault.code) for fault in found.faults]


def test_issues_to_every_issuer_and_delivers(office: Office) -> None:
    issued = office.issue([person(1), architect(2), person(3)])
    assert [(item.row.issuer, item.row.state) for item in issued] == [
        (1, CopyState.DELIVERED),
        (2, CopyState.DELIVERED),
        (1, CopyState.DELIVERED),
    ]
    assert {item.path.name for item in issued} == {
        "cn.constructor.1-1-000000.pdf",
        "cn.constructor.1-1-000001.pdf",
        "cn.architect.1-2-000000.pdf",
    }
    assert sorted(path.name for path in office.out.iterdir()) == sorted(item.path.name for item in issued)


def test_the_same_again_gives_the_same_files_and_no_serial(office: Office) -> None:
    rows = [person(1), person(2)]
    first = office.issue(rows)
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in office.out.iterdir()}
    again = office.issue(rows, now=NOW + 3_600)
    assert [item.row for item in again] == [item.row for item in first]
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in office.out.iterdir()} == before
    office.out = office.base / "elsewhere"
    office.issue(rows, now=NOW + 7_200)
    assert {path.name: path.read_bytes() for path in office.out.iterdir()} == {k: v[0] for k, v in before.items()}


def test_nothing_is_planned_when_the_files_could_not_be_written(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied", "out")

    monkeypatch.setattr("mingzheng.issuer.render.tempfile.TemporaryFile", refuse)
    with pytest.raises(PermissionError):
        office.issue([person(1)])
    monkeypatch.undo()
    assert [item.row.serial for item in office.issue([person(2)])] == [0]
    with office.open() as workspace:
        assert workspace.ledger.copy(1, 0).serial == 0
        assert workspace.log.head()[0] == 2  # one copy and its time entry


def test_a_lost_or_damaged_file_is_made_again(office: Office) -> None:
    (item,) = office.issue([person(1)])
    whole = item.path.read_bytes()
    item.path.write_bytes(whole[:-10])
    office.issue([person(1)], now=NOW + 60)
    assert item.path.read_bytes() == whole
    item.path.unlink()
    office.issue([person(1)], now=NOW + 120)
    assert item.path.read_bytes() == whole


def test_every_download_is_a_new_credential(office: Office) -> None:
    (first,) = office.issue([person(1)])
    (other,) = office.issue([person(1)], purpose="另一项目")
    (approval,) = office.issue([person(1)], copy=Copy.APPROVAL)
    (later,) = office.issue([person(1)], now=NEXT_DAY)
    serials = [item.row.serial for item in (first, other, approval, later)]
    assert serials == [0, 1, 2, 3]
    with office.open() as workspace:
        assert {row.status for row in workspace.ledger.all_copies()} == {CopyStatus.LIVE}
        assert workspace.ledger.all_acts() == ()


def test_changed_data_supersedes_every_live_copy_in_one_act(office: Office) -> None:
    office.issue([person(1), person(2)])
    office.issue([person(1), person(2)], purpose="另一项目")
    changed = [person(1, employer="上海示例建设有限公司"), person(2)]
    issued = office.issue(changed, now=NOW + 60)
    assert len(issued[0].job.supersedes) == 2
    with office.open() as workspace:
        copies = list(workspace.ledger.all_copies())
        superseded = [row for row in copies if row.status is CopyStatus.SUPERSEDED]
        assert {row.registration_no for row in superseded} == {person(1)["registration_no"]}
        assert len(superseded) == 2
        (act,) = workspace.ledger.all_acts()
        assert (act.act, act.number) == (ActType.SUPERSEDE, 0)
    assert faults(office, [person(1)]) == [(2, "certificate_issued_on", "record.outdated")]


def test_a_new_photo_is_changed_data(office: Office) -> None:
    office.issue([person(1)])
    (office.base / "new.png").write_bytes(picture(280, 400))
    (item,) = office.issue([person(1, photo="new.png")], now=NOW + 60)
    assert item.job.supersedes == (0,)


def test_serials_do_not_follow_the_rows(office: Office) -> None:
    with office.open() as workspace:
        request = office.request([person(number) for number in range(1, 4)])
        issued = issue(workspace, request, out=office.out, now=NOW, randomness=Reversing())
    assert [item.row.serial for item in issued] == [2, 1, 0]
    assert [item.row.leaf_index for item in issued] == [2, 1, 0]


def test_nothing_is_issued_while_any_row_is_faulty(office: Office) -> None:
    rows = [person(1), person(2, sex="?"), person(3, photo="absent.png"), person(4, registered_until="2025-01-01")]
    with office.open() as workspace, pytest.raises(FaultyRecordsError) as caught:
        issue(workspace, office.request(rows), out=office.out, now=NOW)
    found = {fault.row: fault.code for fault in caught.value.faults}
    assert found[3] == "record.bad_sex"
    assert found[4] == "record.image_unreadable"
    assert 5 in found
    with office.open() as workspace:
        assert workspace.ledger.counters(1) == (0, 0)
        assert workspace.log.head()[0] == 0
    assert not office.out.exists()


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"kind": "cn.unknown"}, "kind", "record.bad_kind"),
        ({"kind": "cn.safety"}, "kind", "workspace.unknown_issuer"),
        ({"jurisdiction": "44"}, "kind", "workspace.unknown_issuer"),
        ({"photo": "text.png"}, "photo", "image.format"),
        ({"signature_image": "small.png"}, "signature_image", "image.shape"),
        ({"sealing_body": "7"}, "sealing_body", "record.unknown_body"),
        ({"employer": "企" * 41}, "employer", "record.cell_too_long"),
        ({"name": "王\u4e02明"}, "", "page.missing_glyph"),
        ({"specialties": "建筑工程:2020-01-01:2022-01-01"}, "", "plan.specialties_ended"),
    ],
)
def test_every_fault_names_row_field_and_remedy(office: Office, changes: dict[str, str], field: str, code: str) -> None:
    (office.base / "text.png").write_bytes(b"no picture")
    (office.base / "small.png").write_bytes(picture(20, 10))
    with office.open() as workspace:
        found = prepare(workspace, office.request([person(1, **changes)]), now=NOW, store_images=False).faults
    assert [(fault.row, fault.field, fault.code) for fault in found] == [(2, field, code)]
    for text in (found[0].message_zh, found[0].message_en, found[0].remedy_zh, found[0].remedy_en):
        assert text


def test_a_purpose_that_is_no_claim_is_a_fault_of_the_row(office: Office) -> None:
    assert faults(office, [person(1)], purpose="用" * 41)[0][2] == "plan.claims"


def test_a_dry_run_changes_nothing_and_shows_the_rules(office: Office) -> None:
    with office.open() as workspace:
        found = prepare(workspace, office.request([person(1)]), now=NOW, store_images=False)
        (job,) = found.jobs
        assert job.preview.window is not None
        assert job.preview.window.binding == ("D180",)
        assert job.existing is None
        assert workspace.ledger.counters(1) == (0, 0)
    assert not list((office.root / "images").iterdir())
    assert not office.out.exists()
    office.issue([person(1)])
    with office.open() as workspace:
        (job,) = prepare(workspace, office.request([person(1)]), now=NOW, store_images=False).jobs
        assert job.existing is not None
        assert job.existing.serial == 0


def test_json_records_issue_the_same_way(office: Office) -> None:
    row = {key: value for key, value in person(1).items() if value}
    request = replace(office.request([]), data=json.dumps([row]).encode())
    with office.open() as workspace:
        (item,) = issue(workspace, request, out=office.out, now=NOW)
    assert item.row.state is CopyState.DELIVERED


def test_a_suspended_or_revoked_registration_gets_no_copy(office: Office) -> None:
    office.issue([person(1)])
    with office.open() as workspace:
        target = find_registration(workspace, kind=1, registration_no=person(1)["registration_no"], issuer=None)
        perform(workspace, ActType.SUSPEND, target, reason="", now=NOW + 1)
    assert faults(office, [person(1)]) == [(2, "registration_no", "record.registration_suspended")]
    with office.open() as workspace:
        perform(workspace, ActType.REINSTATE, target, reason="", now=NOW + 2)
    assert faults(office, [person(1)]) == []
    with office.open() as workspace:
        perform(workspace, ActType.REVOKE, target, reason="", now=NOW + 3)
    assert faults(office, [person(1)]) == [(2, "registration_no", "record.registration_revoked")]


@pytest.mark.parametrize("what", ["revoked", "suspended", "locked"])
def test_a_closed_registration_is_named_beside_whatever_else_is_wrong(office: Office, what: str) -> None:
    """A clerk who mends the one fault would only be told the other."""
    office.issue([person(1)])
    with office.open() as workspace:
        target = find_registration(workspace, kind=1, registration_no=person(1)["registration_no"], issuer=None)
        if what == "locked":
            workspace.ledger.locks.store(target.registration, locked=True, now=NOW, reason="", by=DESK)
        else:
            act = ActType.REVOKE if what == "revoked" else ActType.SUSPEND
            perform(workspace, act, target, reason="", now=NOW + 1)
    closed = (2, "registration_no", f"record.registration_{what}")
    ended = {"registered_until": format_day(DAY - 1), "specialties": f"建筑工程:2024-01-01:{format_day(DAY - 1)}"}
    first, *others = faults(office, [person(1, **ended)])
    assert first == closed
    assert others
    first, *others = faults(office, [person(1, photo="none.png")])
    assert first == closed
    assert others
    assert closed not in faults(office, [person(2, **ended)])


def test_todays_copy_that_was_revoked_alone_is_not_made_again(office: Office) -> None:
    office.issue([person(1)])
    with office.open() as workspace:
        perform(workspace, ActType.REVOKE, find_serial(workspace, serial=0, issuer=1), reason="", now=NOW + 1)
    assert faults(office, [person(1)]) == [(2, "registration_no", "record.copy_closed")]
    assert office.issue([person(1)], now=NEXT_DAY)[0].row.serial == 1


def test_a_voided_copy_is_issued_anew(office: Office) -> None:
    office.issue([person(1)])
    with office.open() as workspace:
        perform(workspace, ActType.VOID, find_serial(workspace, serial=0, issuer=1), reason="", now=NOW + 1)
    (item,) = office.issue([person(1)], now=NOW + 2)
    assert item.row.serial == 1


def test_after_a_reissue_old_rows_are_refused_and_current_ones_taken(office: Office) -> None:
    office.issue([person(1)])
    with office.open() as workspace:
        target = find_registration(workspace, kind=1, registration_no=person(1)["registration_no"], issuer=None)
        reissue(workspace, target, wanted=None, reason="lost", now=NOW + 1, out=office.out)
    assert faults(office, [person(1)]) == [(2, "certificate_issued_on", "record.outdated")]
    (item,) = office.issue([person(1, certificate_issued_on="2026-06-01")], now=NOW + 2)
    assert item.job.supersedes == ()
    with office.open() as workspace:
        assert [row.status for row in workspace.ledger.all_copies()] == [
            CopyStatus.SUPERSEDED,
            CopyStatus.LIVE,
            CopyStatus.LIVE,
        ]


def test_no_serial_is_given_out_when_the_clock_or_the_keys_would_stop_it(office: Office) -> None:
    office.issue([person(1)])
    with pytest.raises(ClockBehindError):
        office.issue([person(2)], now=NOW - 1)
    beyond = day_start(DAY + 1_001)
    row = person(3, registered_until="2030-01-01", specialties="建筑工程:2024-01-01:2030-01-01")
    with pytest.raises(ClockJumpError):
        office.issue([row], now=beyond)
    with office.open() as workspace:
        workspace.log.confirm_clock(beyond)
    with pytest.raises(KeyMissingError):
        office.issue([row], now=beyond)
    with office.open() as workspace:
        assert workspace.ledger.counters(1) == (1, 0)


def test_kinds_that_need_no_picture_are_issued_without(tmp_path: Path) -> None:
    safety = replace(CONSTRUCTORS, kinds=(6,))
    office = Office(tmp_path, issuers=(safety,)).build()
    row = person(1, kind="cn.safety", registration_no="示建安B2024000001", specialties="", signature_image="")
    (item,) = office.issue([row])
    assert item.row.signature_image is None
    assert item.row.photo is not None
    assert item.row.state is CopyState.DELIVERED


def test_claims_bind_the_images_that_are_printed(office: Office) -> None:
    (item,) = office.issue([person(1)])
    with office.open() as workspace:
        photo = workspace.read_image(item.row.photo)
        signature = workspace.read_image(item.row.signature_image)
    assert parse_claims(item.row.claims).image_digest == image_digest(photo, signature)
    assert image_digest_of(None, None) == image_digest(None, None)


def test_no_personal_string_reaches_log_lines_or_errors(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    planted = {
        "name": "诸葛明月",
        "registration_no": "京1112006200799999",
        "employer": "密密示例建设有限公司",
        "birth_date": "1985-03-03",
        "id_number": _identity_number("11010519850303", "001"),
    }
    office.issue([person(1, **planted)], purpose="秘密用途")
    with office.open() as workspace, pytest.raises(FaultyRecordsError) as caught:
        bad = person(1, **planted | {"sex": "诸葛"})
        issue(workspace, office.request([bad], purpose="秘密用途"), out=office.out, now=NOW + 1)
    said = caplog.text + str(caught.value) + repr(caught.value.faults)
    assert "logged copies=1" in said
    for text in (*planted.values(), "19850303", "秘密用途", "诸葛", "photo.png", str(office.base)):
        assert text not in said


def _identity_number(head: str, sequence: str) -> str:
    body = head + sequence
    total = sum(int(digit) * (1 << (17 - place)) for place, digit in enumerate(body))
    return body + "10X98765432"[total % 11]


def test_identity_numbers_stay_in_the_ledger(office: Office) -> None:
    number = _identity_number("11010519850303", "001")
    office.issue([person(1, id_number=number)])
    holders = [
        path.name for path in sorted(office.base.rglob("*")) if path.is_file() and number.encode() in path.read_bytes()
    ]
    assert set(holders) <= {"ledger.sqlite", "ledger.sqlite-wal"}
    assert holders


def test_kept_records_read_back_and_damage_is_named() -> None:
    from office import table

    (record,) = parse_csv(table([person(1)])).records
    kept = KeptRecord(record=record, photo=bytes(32), signature_image=None, reissued=2)
    again = parse_kept(format_kept(kept))
    assert format_kept(again) == format_kept(kept)
    assert again.same_data(replace(kept, reissued=0))
    assert not again.same_data(replace(kept, photo=None))
    assert again.record.photo
    for damaged in (b"\x80", b"\x84\x00\x40\x40\x00", b"\x84\x40\x40\x40\x40", b"\x84\x42{}\x40\x40\x00"):
        with pytest.raises(LedgerCorruptError):
            parse_kept(damaged)
