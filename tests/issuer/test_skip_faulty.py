"""Good rows issued, faulty ones kept: nothing lost, nothing overwritten, mended and imported again."""

import csv
import io
import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from office import DAY, NOW, Office, person, table
from PIL import Image

from mingzheng.formats.civil import format_day
from mingzheng.issuer import faultfile
from mingzheng.issuer.columns import ADDED, COLUMNS
from mingzheng.issuer.faultfile import format_faulty, write_faulty
from mingzheng.issuer.faults import make_fault
from mingzheng.issuer.issue import issue_file, prepare
from mingzheng.issuer.precheck import check_file
from mingzheng.issuer.recordfile import RecordsFile, read_records
from mingzheng.issuer.refusals import FaultyRecordsError
from mingzheng.issuer.tables import CellKind, Row


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path).build()


def faulty_of(data: bytes, *rows: int) -> tuple[RecordsFile, bytes | None]:
    file = read_records(data)
    return file, format_faulty(file, [make_fault(row, "sex", "record.bad_sex") for row in rows])


def rows_of(data: bytes) -> list[list[str]]:
    assert data.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))


def test_good_rows_are_issued_and_faulty_ones_written_before(office: Office) -> None:
    rows = [person(1), person(2, sex="x"), person(3, photo="absent.png"), person(4)]
    request = replace(office.request(rows), faulty_beside=office.base)
    with office.open() as workspace:
        done = issue_file(workspace, request, out=office.out, now=NOW)
    assert [item.job.row for item in done.issued] == [2, 5]
    assert [(fault.row, fault.cell, fault.code) for fault in done.prepared.faults] == [
        (3, "D3", "record.bad_sex"),
        (4, "O4", "record.image_unreadable"),
    ]
    assert done.faulty == office.base / "faults.csv"
    data = done.faulty.read_bytes()
    header, *found = rows_of(data)
    assert header == [*ADDED, *COLUMNS]
    assert [row[:2] for row in found] == [["3", "record.bad_sex"], ["4", "record.image_unreadable"]]
    assert found[0][3:] == [person(2, sex="x").get(column, "") for column in COLUMNS]
    assert stat.S_IMODE(done.faulty.stat().st_mode) == 0o600
    mended = data.replace(b"x" + b",1985", "女".encode() + b",1985").replace(b"absent.png", b"photo.png")
    with office.open() as workspace:
        again = issue_file(workspace, replace(request, data=mended), out=office.out, now=NOW + 60)
    assert len(again.issued) == 2
    assert again.faulty is None


def test_the_same_command_again_keeps_its_file_and_its_serials(office: Office) -> None:
    request = replace(office.request([person(1), person(2, sex="x")]), faulty_beside=office.base)
    with office.open() as workspace:
        first = issue_file(workspace, request, out=office.out, now=NOW)
        again = issue_file(workspace, request, out=office.out, now=NOW + 60)
    assert first.faulty == again.faulty
    assert [item.row.serial for item in first.issued] == [item.row.serial for item in again.issued]
    assert again.prepared.notes == ()
    with office.open() as workspace:
        other = prepare(workspace, office.request([person(1)]), now=NOW, store_images=False)
    assert [(note.cell, note.code) for note in other.notes] == [("H2", "record.already_issued")]
    assert len(list(office.base.glob("faults*"))) == 1


def test_without_the_option_or_a_good_row_nothing_is_issued(office: Office) -> None:
    for rows, beside, next_step in (
        ([person(1), person(2, sex="x")], None, "skip-faulty"),
        ([person(2, sex="x")], office.base, "correct the file itself"),
    ):
        request = replace(office.request(rows), faulty_beside=beside)
        with office.open() as workspace, pytest.raises(FaultyRecordsError, match=next_step) as caught:
            issue_file(workspace, request, out=office.out, now=NOW)
        assert len(caught.value.faults) == 1
    with office.open() as workspace:
        assert list(workspace.ledger.all_copies()) == []


def test_a_copy_of_another_day_is_noted(office: Office) -> None:
    office.issue([person(1)])
    with office.open() as workspace:
        found = prepare(workspace, office.request([person(1), person(2)]), now=NOW + 86_400, store_images=False)
        other = prepare(workspace, office.request([person(1)], purpose="另一项目"), now=NOW, store_images=False)
    (note,) = found.notes
    assert (note.row, note.cell, note.code) == (2, "H2", "record.issued_before")
    assert format_day(DAY) in note.message_zh
    assert other.notes == ()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "faults.csv").write_text("mine")
    (tmp_path / "faults-2.csv").mkdir()
    file, data = faulty_of(table([person(1, sex="x")]), 2)
    faults = [make_fault(2, "sex", "record.bad_sex")]
    assert write_faulty(file, faults, beside=tmp_path) == tmp_path / "faults-3.csv"
    assert write_faulty(file, faults, beside=tmp_path) == tmp_path / "faults-3.csv"
    assert (tmp_path / "faults-3.csv").read_bytes() == data
    assert (tmp_path / "faults.csv").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faults-2.csv", "faults-3.csv", "faults.csv"]


def test_a_name_taken_meanwhile_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, _ = faulty_of(table([person(1, sex="x")]), 2)
    link = os.link
    taken: list[Path] = []

    def racing(source: Path, target: Path) -> None:
        if not taken:
            taken.append(target)
            target.write_text("another's")
        link(source, target)

    monkeypatch.setattr(faultfile.os, "link", racing)
    faults = [make_fault(2, "sex", "record.bad_sex")]
    assert write_faulty(file, faults, beside=tmp_path) == tmp_path / "faults-2.csv"
    assert (tmp_path / "faults.csv").read_text() == "another's"


def test_file_systems_without_links_and_full_disks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, data = faulty_of(table([person(1, sex="x")]), 2)
    faults = [make_fault(2, "sex", "record.bad_sex")]

    def no_links(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(faultfile.os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            write_faulty(file, faults, beside=tmp_path)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(faultfile.os, "link", no_links)
    path = write_faulty(file, faults, beside=tmp_path)
    assert path is not None
    assert path.read_bytes() == data


def test_no_faulty_row_no_file(tmp_path: Path) -> None:
    file, data = faulty_of(table([person(1)]))
    assert data is None
    assert write_faulty(file, [], beside=tmp_path) is None
    assert faulty_of(b"x,y\n1,2\n", 1)[1] is None
    assert faulty_of(b"[1]", 1)[1] is None
    assert faulty_of(b"{", 1)[1] is None
    assert faulty_of(b'[{"name": "a"}]', 0)[1] is None


def test_rows_of_json_keep_their_form(tmp_path: Path) -> None:
    items = [person(1), person(2, sex="x") | {"specialties": []}]
    file, data = faulty_of(json.dumps(items).encode(), 2)
    assert data is not None
    (kept,) = json.loads(data)
    assert kept["fault_row"] == "2"
    assert kept["specialties"] == []
    again = read_records(data)
    assert [fault.code for fault in again.parsed.faults] == ["record.bad_sex"]
    assert write_faulty(file, [make_fault(2, "", "record.bad_sex")], beside=tmp_path) == tmp_path / "faults.json"


def test_cells_that_a_spreadsheet_would_change_or_run_are_kept_from_it() -> None:
    row = person(1, sex="x", employer="=cmd|' /C calc'!A0", registration_no="0120240001", purpose="+1")
    _, data = faulty_of(table([row | {"id_number": "11010119850303037X", "name": "@王"}]), 2)
    assert data is not None
    cells = dict(zip(*rows_of(data), strict=True))
    assert cells["employer"].startswith("'=")
    assert (cells["registration_no"], cells["purpose"], cells["name"]) == ("'0120240001", "'+1", "'@王")
    again = read_records(data)
    assert [row.cells[3:] for row in again.rows[1:]] == [tuple(rows_of(data)[1][3:])]
    wide = faulty_of(table([person(1, sex="x", employer="＝1+1", purpose="＠x")]), 2)[1]
    assert wide is not None
    assert {"'＝1+1", "'＠x"} <= set(rows_of(wide)[1])
    long = faulty_of(table([person(1, sex="x", id_number="110101198503030371")]), 2)[1]
    assert long is not None
    assert "'110101198503030371" in long.decode()


def test_surplus_cells_and_renamed_columns_are_not_lost() -> None:
    data = "姓名,fault_code,性别\n王明,old,男,多,余\n".encode()
    file = read_records(data)
    found = format_faulty(replace(file, parsed=replace(file.parsed, columns=("name", "fault_code", "sex"))), [
        make_fault(2, "", "record.cell_count", got=5, want=3), make_fault(2, "", "record.required"),
    ])  # fmt: skip
    assert found is not None
    header, row = rows_of(found)
    assert header == [*ADDED, "姓名", "性别"]
    assert row[1] == "record.cell_count | record.required"
    assert row[3:] == ["王明", "男", "多", "余"]


@given(st.dictionaries(st.sampled_from(COLUMNS), st.text(max_size=30), max_size=5))
def test_any_row_comes_back_as_it_was_meant(changes: dict[str, str]) -> None:
    first = read_records(table([person(1) | changes, person(2)]))
    faults = [fault for fault in first.parsed.faults if fault.row == 2]
    data = format_faulty(first, faults)
    if data is None:
        assert not faults or not first.parsed.columns
        return
    again = read_records(data)
    assert [(fault.field, fault.code) for fault in again.parsed.faults] == [(f.field, f.code) for f in faults]


@pytest.mark.parametrize(
    ("cell", "meant"),
    [
        ("'甲公司", "甲公司"),
        ("''甲公司", "'甲公司"),
        ('="甲公司"', "甲公司"),
        ('="0123"', "0123"),
        ('="\'0123"', "0123"),
        ("＇0123", "0123"),
        ("+甲", "+甲"),
        ("0123", "0123"),
    ],
)
def test_a_cell_means_the_same_when_it_comes_in_again(cell: str, meant: str) -> None:
    file, data = faulty_of(table([person(1, employer=cell)]), 2)
    assert data is not None
    again = read_records(data)
    assert [[record.employer for record in found.parsed.records] for found in (file, again)] == [[meant], [meant]]


def test_a_rounded_number_is_refused_again() -> None:
    row = Row(number=2, cells=("110101198503030000", "12", "-1"), kinds=dict.fromkeys(range(3), CellKind.ROUNDED))
    assert [faultfile._shown(row, place) for place in range(3)] == ["1.10101198503030E+17", "12", "-1"]
    _, data = faulty_of(table([person(1, id_number=faultfile._shown(row, 0))]), 2)
    assert data is not None
    assert [fault.code for fault in read_records(data).parsed.faults] == ["record.scientific"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "gb18030"])
def test_json_of_every_encoding_that_is_read_keeps_its_faulty_rows(encoding: str) -> None:
    text = json.dumps([person(1), person(2, sex="x")], ensure_ascii=False)
    file = read_records(text.encode(encoding))
    data = format_faulty(file, file.parsed.faults)
    assert data is not None
    assert [item["name"] for item in json.loads(data)] == [person(2)["name"]]


def test_half_a_character_in_json_is_a_fault_that_can_be_written() -> None:
    file = read_records(json.dumps([person(1, name="\ud800")]).encode())
    data = format_faulty(file, file.parsed.faults)
    assert data is not None
    assert json.loads(data.decode("utf-8"))[0]["name"] == "\ud800"
    assert [fault.code for fault in read_records(data).parsed.faults] == ["record.invisible"]


def test_rows_of_one_registration_with_other_images_contradict_each_other(office: Office) -> None:
    Image.new("RGB", (300, 420), (9, 99, 200)).save(office.base / "other.png")
    (office.base / "same.png").write_bytes((office.base / "photo.png").read_bytes())
    rows = [
        person(1, purpose="甲"),
        person(1, purpose="乙", photo="other.png"),
        person(2, purpose="甲"),
        person(2, purpose="乙", photo="same.png"),
    ]
    request = replace(office.request(rows), faulty_beside=office.base)
    with office.open() as workspace:
        done = issue_file(workspace, request, out=office.out, now=NOW)
        checked = check_file(
            read_records(table(rows)), workspace.profiles(), day=DAY, images=office.base, done=lambda *_: None
        )
    assert [item.job.row for item in done.issued] == [4, 5]
    codes = [(2, "O2", "record.conflicting_images"), (3, "O3", "record.conflicting_images")]
    assert [(fault.row, fault.cell, fault.code) for fault in done.prepared.faults] == codes
    assert [(fault.row, fault.cell, fault.code) for fault in checked.faults] == codes
    assert checked.good == 2
    assert "3" in done.prepared.faults[0].message_en
