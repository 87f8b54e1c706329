"""The life of certificates through the real rooms, on disk, without network: issue, act, export, verify, audit."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from office import ARCHITECTS, CONSTRUCTORS, NOW, Office, architect, person

import mingzheng.verifier.cli as verifier_commands
from mingzheng.formats.civil import day_start, format_day, parse_day
from mingzheng.formats.claims import parse_claims
from mingzheng.issuer.exporting import export_trust
from mingzheng.issuer.issue import Issued
from mingzheng.issuer.lifecycle import find_registration, find_serial, perform, reissue
from mingzheng.issuer.workspace import log_vkey
from mingzheng.log.acts import ActType
from mingzheng.log.cli import log_group

LATER = NOW + 7_200


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path, issuers=(CONSTRUCTORS, ARCHITECTS)).build()


def verdicts(office: Office, monkeypatch: pytest.MonkeyPatch, now: int) -> dict[str, str]:
    """What a verifier on a building site is told about every file, by file name."""
    monkeypatch.setattr(verifier_commands.time, "time", lambda: float(now))
    arguments = [str(office.out), "--trust", str(office.base / "trust"), "--policy", "site", "--json"]
    result = CliRunner().invoke(verifier_commands.verify, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    return {Path(row["file"]).name: row["verdict"] for row in rows}


def audit(office: Office, state: Path) -> dict[str, object]:
    public = office.root / "log" / "public"
    options = ["--trust", str(office.base / "trust"), "--state", str(state), "--json"]
    result = CliRunner().invoke(log_group, ["audit", str(public), *options])
    report: dict[str, object] = json.loads(result.stdout)
    return report


def test_copies_acts_and_reissues_get_the_verdicts_they_should(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    people = office.issue([person(1), person(2), person(3), person(4), architect(5)])
    with office.open() as workspace:

        def registration(number: int) -> object:
            return find_registration(workspace, kind=1, registration_no=person(number)["registration_no"], issuer=None)

        perform(workspace, ActType.REVOKE, registration(2), reason="fraud", now=NOW + 60)  # type: ignore[arg-type]
        perform(workspace, ActType.SUSPEND, registration(3), reason="inquiry", now=NOW + 120)  # type: ignore[arg-type]
        renewed = reissue(
            workspace,
            registration(4),  # type: ignore[arg-type]
            wanted=people[3].job.wanted,
            reason="new form",
            now=NOW + 180,
            out=office.out,
        )
        voided = find_serial(workspace, serial=people[4].row.serial, issuer=2)
        export_trust(workspace, office.base / "trust", now=NOW + 240)
    expected = {
        people[0].path.name: "VALID",
        people[1].path.name: "REVOKED",
        people[2].path.name: "SUSPENDED",
        people[3].path.name: "SUPERSEDED",
        people[4].path.name: "VALID",
        renewed.path.name: "VALID",
    }
    assert verdicts(office, monkeypatch, NOW + 300) == expected
    first = audit(office, office.base / "audit.json")
    assert (first["clean"], first["alarms"]) == (True, [])
    with office.open() as workspace:
        perform(workspace, ActType.REINSTATE, registration(3), reason="cleared", now=LATER)  # type: ignore[arg-type]
        perform(workspace, ActType.VOID, voided, reason="mistake", now=LATER)
        export_trust(workspace, office.base / "trust", now=LATER)
    changed = {people[2].path.name: "VALID", people[4].path.name: "VOID"}
    assert verdicts(office, monkeypatch, LATER + 60) == expected | changed
    second = audit(office, office.base / "audit.json")
    assert (second["clean"], second["followed_from"]) == (True, first["size"])


def test_windows_end_and_a_fresh_copy_is_good_again(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    (old,) = office.issue([person(1)])
    after = day_start(_until(old) + 1) + 36_000
    (fresh,) = office.issue([person(1)], now=after)
    with office.open() as workspace:
        export_trust(workspace, office.base / "trust", now=after)
    assert verdicts(office, monkeypatch, after) == {
        old.path.name: "USAGE_EXPIRED",
        fresh.path.name: "VALID",
    }


def _until(issued: Issued) -> int:
    until = parse_claims(issued.row.claims).usage_until
    assert until is not None
    return until


def test_a_reissue_keeps_the_end_of_the_registration(tmp_path: Path) -> None:
    """The notices' own example: re-issued on 2022-07-05, ends on 2023-08-01 as before, both in the log."""
    day = parse_day("2022-07-05")
    office = Office(tmp_path)
    foundation_day = parse_day("2022-01-01")
    import office as office_module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(office_module, "DAY", foundation_day)
        office.build()
    row = person(
        1,
        certificate_issued_on="2020-08-02",
        registered_until="2023-08-01",
        specialties="建筑工程:2020-08-02:2023-08-01",
    )
    office.issue([row], now=day_start(parse_day("2022-06-27")))
    with office.open() as workspace:
        target = find_registration(workspace, kind=1, registration_no=row["registration_no"], issuer=None)
        renewed = reissue(workspace, target, wanted=None, reason="", now=day_start(day), out=office.out)
        claims = parse_claims(renewed.row.claims)
        assert format_day(claims.certificate_issued_on) == "2022-07-05"
        assert format_day(claims.registered_until) == "2023-08-01"
        assert [format_day(item.last_day) for item in claims.specialties] == ["2023-08-01"]
        assert [str(copy.status) for copy in workspace.ledger.all_copies()] == ["superseded", "live"]
        assert all(copy.leaf_index is not None for copy in workspace.ledger.all_copies())
        assert log_vkey(workspace.config)


def test_trust_of_before_an_act_does_not_know_it_and_says_how_old_it_is(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    (issued,) = office.issue([person(1)])
    with office.open() as workspace:
        export_trust(workspace, office.base / "trust", now=NOW + 60)
        target = find_serial(workspace, serial=0, issuer=1)
        perform(workspace, ActType.REVOKE, target, reason="", now=NOW + 120)
    name = issued.path.name
    assert verdicts(office, monkeypatch, NOW + 180) == {name: "VALID"}
    assert verdicts(office, monkeypatch, NOW + 9 * 86_400) == {name: "STALE"}
    with office.open() as workspace:
        export_trust(workspace, office.base / "trust", now=NOW + 9 * 86_400)
    assert verdicts(office, monkeypatch, NOW + 9 * 86_400) == {name: "REVOKED"}
