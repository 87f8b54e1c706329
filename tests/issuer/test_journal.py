"""The journal: a row for every act, both names in it, and no row changed or taken away without its showing."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from office import NOW, person
from operatoroffice import NAMES, OperatorOffice, approved, asked, operator_office, present, target_of

from mingzheng.issuer.journal import Deed, StoredAct, Told, deed_name, encode_deed, faults_of, parse_deed
from mingzheng.issuer.lifecycle import perform
from mingzheng.issuer.rows import JournalRow
from mingzheng.issuer.schema import MIGRATIONS
from mingzheng.issuer.showdesk import journal_cells, journal_json, journal_text
from mingzheng.issuer.workspace import Workspace
from mingzheng.log.acts import ActType

DEED = Deed(
    number=1,
    time=NOW,
    what="revoke",
    issuer=1,
    count=2,
    serials=bytes(32),
    acts=(0,),
    decision=3,
    operators=NAMES,
    reason=bytes(32),
    request=bytes(8),
)


@pytest.fixture
def office(tmp_path: Path) -> OperatorOffice:
    return operator_office(tmp_path)


def whole(workspace: Workspace) -> tuple[JournalRow, ...]:
    return tuple(workspace.ledger.desk.journal())


def faults(workspace: Workspace) -> list[int]:
    desk = workspace.ledger.desk
    return [fault.number for fault in faults_of(desk.journal(), desk.told(), desk.journal_starts())]


def test_every_act_has_a_row_with_the_names(office: OperatorOffice) -> None:
    with office.open() as workspace:
        row = asked(workspace)
        approved(workspace, row)
        me = present(workspace, NAMES[0])
        perform(workspace, ActType.SUSPEND, target_of(workspace, 2), reason="考试舞弊", now=NOW, operator=me)
        deeds = [parse_deed(stored.body) for stored in whole(workspace)]
        assert [deed.what for deed in deeds] == ["issue", "request", "revoke", "suspend"]
        assert [deed.operators for deed in deeds] == [NAMES[:1], NAMES[:1], NAMES, NAMES[:1]]
        assert [deed.request for deed in deeds] == [b"", row.id, row.id, b""]
        assert [deed.time for deed in deeds] == [NOW] * 4
        assert [stored.reason for stored in whole(workspace)] == [None, "why", "why", "考试舞弊"]
        assert faults(workspace) == []
        item = journal_json(whole(workspace)[2], workspace.ledger.desk.positions())
        index = workspace.ledger.all_acts()[0].leaf_index
        assert (item["log"], item["operators"]) == ([[0, index]], list(NAMES))
        for lang in ("zh", "en"):
            assert NAMES[1] in journal_text(item, lang, "today")  # type: ignore[arg-type]
        said = [journal_text(journal_json(row, {}), "zh", "today").split("\t")[2] for row in whole(workspace)]
        assert not [word for word in said if word.isascii()], said
        again = journal_text(item | {"what": "revoke-again"}, "zh", "today")
        assert again.split("\t")[2] == "撤销（重新签名）"
        assert journal_cells(item)[5] == "张三 李四"


def test_a_row_holds_nothing_of_a_holder(office: OperatorOffice) -> None:
    with office.open() as workspace:
        approved(workspace, asked(workspace))
        bodies = b"".join(row.body for row in whole(workspace))
    for secret in (person(1)["registration_no"], person(1)["name"], "why"):
        assert secret.encode() not in bodies


def test_the_tables_refuse_to_change_a_row(office: OperatorOffice) -> None:
    with office.open() as workspace:
        asked(workspace)
        for statement in (
            "UPDATE journal SET digest = x'00'",
            "DELETE FROM journal WHERE number = 2",
            "INSERT OR REPLACE INTO journal VALUES (1, x'00', x'00')",
            "INSERT INTO journal VALUES (9, x'00', x'00')",
            "DELETE FROM request",
            "UPDATE request SET body = x'00'",
        ):
            with pytest.raises(sqlite3.IntegrityError):
                workspace.ledger._db.execute(statement)
        workspace.ledger._db.execute("UPDATE request SET state = 'withdrawn'")
        with pytest.raises(sqlite3.IntegrityError):
            workspace.ledger._db.execute("UPDATE request SET state = 'open'")


def test_a_changed_or_removed_row_shows(office: OperatorOffice) -> None:
    with office.open() as workspace:
        approved(workspace, asked(workspace))
        database = workspace.ledger._db
        for trigger in ("journal_kept", "journal_stays"):
            database.execute(f"DROP TRIGGER {trigger}")
        database.execute("PRAGMA foreign_keys = OFF")
        stored = whole(workspace)

        def put_back() -> None:
            database.execute("DELETE FROM journal")
            database.executemany(
                "INSERT INTO journal VALUES (?, ?, ?)", [(row.number, row.body, row.digest) for row in stored]
            )

        changed = encode_deed(replace(parse_deed(stored[2].body), operators=("李四", "王五")))
        database.execute("UPDATE journal SET body = ? WHERE number = 3", (changed,))
        assert faults(workspace) == [3]
        put_back()
        database.execute("DELETE FROM journal WHERE number = 2")
        assert 3 in faults(workspace)
        put_back()
        database.execute("DELETE FROM journal WHERE number = 3")  # the last one: the act is not named any more
        assert faults(workspace) == [0, 3]  # and its decision leads nowhere
        put_back()
        database.execute("UPDATE journal SET body = x'00' WHERE number = 1")
        assert faults(workspace) == [1, 1]
        put_back()
        assert faults(workspace) == []
        database.execute("UPDATE journal_reason SET reason = 'another' WHERE number = 3")
        assert faults(workspace) == [3]
        database.execute("DELETE FROM journal_reason")  # erased: the chain holds
        assert faults(workspace) == []
        database.execute("UPDATE act SET serials = x'0000000000000009'")
        assert faults(workspace) == [3]
        database.execute("DELETE FROM act")
        assert faults(workspace) == [3]


@pytest.mark.parametrize(
    ("statement", "row"),
    [
        ("UPDATE act SET act = 4 WHERE act = 1", 3),
        ("UPDATE act SET act = 99 WHERE act = 1", 3),
        ("UPDATE act SET journal = 1", 3),
        ("UPDATE act SET journal = NULL", 3),
        ("UPDATE decision SET journal = 1", 3),
        ("UPDATE decision SET journal = NULL", 3),
        ("UPDATE decision SET id = 9", 3),
    ],
)
def test_what_the_ledger_says_otherwise_of_an_act_shows(office: OperatorOffice, statement: str, row: int) -> None:
    """Its type, and the rows that act and decision lead to: `status` reads its names there."""
    with office.open() as workspace:
        approved(workspace, asked(workspace))
        assert faults(workspace) == []
        changed = workspace.ledger._db.execute(statement)
        assert changed.rowcount == 1
        assert set(faults(workspace)) == {row}


def test_a_row_renumbered_inside_shows() -> None:
    body = encode_deed(replace(DEED, number=2, acts=()))
    row = JournalRow(number=1, body=body, digest=bytes(32), salt=None, reason=None)
    assert len(faults_of([row], Told(acts={}, decisions={3: 2}), {})) == 2


def test_acts_of_before_the_journal_need_no_row(tmp_path: Path) -> None:
    def told(*numbers: int) -> Told:
        return Told(acts={(1, n): StoredAct(act=1, serials=b"", journal=None) for n in numbers}, decisions={4: None})

    assert faults_of([], told(0, 1), {1: 2}) == ()
    assert len(faults_of([], told(2), {1: 2})) == 1
    old = sqlite3.connect(tmp_path / "old", isolation_level=None)
    for version in range(1, 4):
        for statement in MIGRATIONS[version]:
            old.execute(statement)
    old.execute("INSERT INTO counter VALUES (1, 5, 7)")
    for statement in MIGRATIONS[4]:
        old.execute(statement)
    assert old.execute("SELECT issuer, next_act FROM journal_start").fetchall() == [(1, 7)]


def test_rows_are_read_back_and_strictly() -> None:
    assert parse_deed(encode_deed(DEED)) == DEED
    from mingzheng.formats import cbor

    good = cbor.decode(encode_deed(DEED), max_bytes=4096, max_depth=2)
    assert isinstance(good, tuple)
    for at in range(12):
        bad = list(good)
        bad[at] = {}
        with pytest.raises(ValueError, match="not"):
            parse_deed(cbor.encode(tuple(bad)))
    for data in (b"", b"\x80", encode_deed(DEED) + b"\0"):
        with pytest.raises(ValueError, match=r"\w"):
            parse_deed(data)


@pytest.mark.parametrize(
    ("act", "name"),
    [(1, "revoke"), (5, "void"), (-1, "key-added"), (101, "notice-blanket_extension"), (104, "notice-retraction")],
)
def test_acts_are_called_by_name(act: int, name: str) -> None:
    assert deed_name(act) == name


def test_a_cell_is_no_formula() -> None:
    item = dict.fromkeys(("number", "time", "what", "issuer", "count", "request", "digest"), "") | {
        "operators": [],
        "acts": [],
        "log": [[0, 3], [1, 4]],
        "reason": "=1+1",
    }
    cells = journal_cells(item)
    assert cells[6] == "'=1+1"
    assert cells[9] == "0:3 1:4"
    for reason in (" =1+1", "＝1+1", "\n@x"):  # as every table of ours (`spreadsheet`)
        assert journal_cells(item | {"reason": reason})[6] == f"'{reason}"
