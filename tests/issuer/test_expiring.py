"""What is about to end: borders of the days, thresholds, extensions of notices, tables no spreadsheet runs."""

import csv
import io
import json
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from noticebodies import extension, retraction
from office import DAY, NOW, Office, person

from mingzheng.cli import cli
from mingzheng.formats.civil import format_day, parse_day
from mingzheng.formats.claims import Copy, parse_claims
from mingzheng.formats.rules_copy import copy_end
from mingzheng.formats.rules_renewal import RenewalAnswer
from mingzheng.issuer.expiring import Ending, EndingOf, expiring, window_movers, window_rule
from mingzheng.issuer.expiring_cli import to_do
from mingzheng.issuer.lifecycle import find_registration, find_serial, perform
from mingzheng.issuer.noticework import give, propose
from mingzheng.issuer.spreadsheet import BOM, csv_line, safe_cell
from mingzheng.issuer.standing import Scope, end_on, standing_extensions
from mingzheng.issuer.workspace import Workspace
from mingzheng.log.acts import ActType
from mingzheng.log.noticebody import Moves, NoticeBody

SCHEMA = json.loads((files("mingzheng.issuer") / "expiring.schema.json").read_text("utf-8"))
SPECIALTY = parse_day("2027-01-01")
REGISTERED = parse_day("2028-06-01")
WINDOW = DAY + 180


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    made = Office(tmp_path_factory.mktemp("office")).build()
    made.issue([person(1), person(2)])
    return made


@pytest.fixture
def fresh(tmp_path: Path) -> Office:
    made = Office(tmp_path).build()
    made.issue([person(1)])
    return made


def found_on(office: Office, day: int, within: int = 30) -> list[Ending]:
    with office.open() as workspace:
        return list(expiring(workspace, within=within, kind=None, today=day))


@pytest.mark.parametrize(("left", "threshold"), [(30, 30), (8, 30), (7, 7), (2, 7), (1, 1), (0, 1)])
def test_the_first_and_the_last_day_of_a_warning(office: Office, left: int, threshold: int) -> None:
    found = found_on(office, SPECIALTY - left)
    assert [(item.what, item.specialty, item.days_left, item.threshold) for item in found] == [
        (EndingOf.SPECIALTY, "建筑工程", left, threshold)
    ] * 2


@pytest.mark.parametrize("day", [SPECIALTY - 31, SPECIALTY + 1])
def test_a_day_before_the_first_and_after_the_last_there_is_none(office: Office, day: int) -> None:
    assert found_on(office, day) == []


def test_windows_registrations_and_specialties_the_nearest_first(office: Office) -> None:
    found = found_on(office, DAY, within=1_000)
    assert [item.what for item in found] == [EndingOf.WINDOW] * 2 + [EndingOf.SPECIALTY] * 2 + [
        EndingOf.REGISTRATION
    ] * 2
    assert found[0].end == WINDOW
    assert found[0].serial is not None
    assert "三（二）" in found[0].rule[0].text_zh() or found[0].rule
    assert found[0].threshold is None
    assert found_on(office, DAY, within=179) == []


def test_what_is_far_away_is_not_held_in_memory(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    with office.open() as workspace:
        some = tuple(workspace.ledger.open_registrations())
        monkeypatch.setattr(workspace.ledger, "open_registrations", lambda: iter(some * 200))
        peaks = []
        for within in (30, 30, 9_999):  # once to read the rules
            tracemalloc.start()
            found = expiring(workspace, within=within, kind=None, today=DAY)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            assert len(found) == (0 if within == 30 else 1_200)
    assert peaks[1] < peaks[2] / 2


def test_another_kind_is_left_out(office: Office) -> None:
    with office.open() as workspace:
        assert expiring(workspace, within=1_000, kind=2, today=DAY) == ()
        assert len(expiring(workspace, within=1_000, kind=1, today=DAY)) == 6


def test_what_is_closed_is_left_out(fresh: Office) -> None:
    fresh.issue([person(1)], copy=Copy.APPROVAL, now=NOW + 1)  # has no window
    with fresh.open() as workspace:
        perform(workspace, ActType.REVOKE, find_serial(workspace, serial=0, issuer=1), reason="", now=NOW + 2)
        left = expiring(workspace, within=1_000, kind=None, today=DAY)
        assert [item.what for item in left] == [EndingOf.SPECIALTY, EndingOf.REGISTRATION]
        target = find_registration(workspace, kind=1, registration_no=person(1)["registration_no"], issuer=1)
        perform(workspace, ActType.REVOKE, target, reason="", now=NOW + 3)
        assert expiring(workspace, within=1_000, kind=None, today=DAY) == ()


def gives(workspace: Workspace, body: NoticeBody, now: int) -> None:
    give(workspace, propose(workspace, 1, lambda number: replace(body, number=number)), reason="", now=now)


def test_a_notice_in_force_moves_the_end_until_it_is_retracted(fresh: Office) -> None:
    body = extension(first_end=SPECIALTY, last_end=SPECIALTY, new_end=SPECIALTY + 60, effective_day=DAY + 1)
    with fresh.open() as workspace:
        gives(workspace, body, NOW + 1)
        gives(workspace, retraction(0, 1, SPECIALTY - 2), NOW + 2)
        assert [item.end for item in expiring(workspace, within=300, kind=1, today=DAY)] == [WINDOW, SPECIALTY]
        moved = expiring(workspace, within=300, kind=1, today=DAY + 1)[1]
        assert (moved.stated, moved.end) == (SPECIALTY, SPECIALTY + 60)
        assert ["延期通知第一条" in one.text_zh() for one in moved.moved_by] == [True]
        assert expiring(workspace, within=30, kind=1, today=SPECIALTY - 3) == ()
        (back,) = expiring(workspace, within=30, kind=1, today=SPECIALTY - 2)
        assert (back.end, back.moved_by) == (SPECIALTY, ())


def test_a_notice_that_is_not_in_the_log_moves_nothing(fresh: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    body = extension(first_end=SPECIALTY, last_end=SPECIALTY, new_end=SPECIALTY + 60)
    with fresh.open() as workspace:
        monkeypatch.setattr("mingzheng.issuer.publish.submit_acts", lambda *_: None)
        gives(workspace, body, NOW + 1)
        assert [item.end for item in expiring(workspace, within=300, kind=1, today=DAY)] == [WINDOW, SPECIALTY]


def test_a_window_is_moved_by_what_moves_windows_alone_and_never_past_day_180(fresh: Office) -> None:
    with fresh.open() as workspace:
        claims = parse_claims(workspace.ledger.copy(1, 0).claims)
        profile = workspace.profiles().select(1, 0, DAY)
    assert profile is not None
    short = DAY + 100  # a window that a specialty's end cuts
    cut = replace(claims, usage_until=short, specialties=(replace(claims.specialties[0], last_day=short),))
    for moves, revives, until in ((1, False, short), (2, False, DAY + 140), (1, True, DAY + 140)):
        body = extension(
            first_end=short, last_end=short, new_end=DAY + 140, moves=Moves(moves), revives=revives, effective_day=DAY
        )
        rules = standing_extensions([body], DAY)
        assert copy_end(rules, cut, profile, on=DAY) == until
        far = standing_extensions([replace(body, new_end=DAY + 900)], DAY)
        assert copy_end(far, cut, profile, on=DAY) == (short if until == short else WINDOW)
        gone = replace(cut, copy_issued_on=DAY + 901)  # nothing is left of it by the rules
        assert copy_end(far, gone, profile, on=DAY) == short
        assert copy_end(rules, cut, None, on=DAY) == short
        late = standing_extensions([replace(body, effective_day=short + 1)], short + 1)  # it had run out by then
        assert copy_end(late, cut, profile, on=short + 1) == (DAY + 140 if revives else short)
    paper = replace(cut, copy=Copy.APPROVAL, usage_until=None, purpose=None, registered_until=short)
    assert copy_end(standing_extensions([body], DAY), paper, profile, on=DAY) == DAY + 140


def test_a_moved_window_names_the_clauses_that_moved_it_alone(fresh: Office) -> None:
    end = DAY + 180
    with fresh.open() as workspace:
        claims = parse_claims(workspace.ledger.copy(1, 0).claims)
    moving = extension(first_end=end, last_end=end, new_end=end + 40, moves=Moves(2))
    for number, changes in enumerate(
        ({"first_end": end + 1, "last_end": end + 9}, {"moves": Moves.REGISTRATION}, {"effective_day": end}), 2
    ):  # of other ends, of no window, not yet
        other = replace(moving, number=number, citation="别的通知第二条", **changes)
        rules = standing_extensions([moving, other], DAY)
        assert [one.text_zh() for one in window_movers(rules, claims, on=DAY)] == ["《延期通知第一条》"]
    assert window_movers(rules, replace(claims, copy=Copy.APPROVAL, usage_until=None, purpose=None), on=DAY) == ()


def test_without_a_profile_the_notice_still_counts() -> None:
    rules = standing_extensions([extension()], DAY)
    assert end_on(rules, Scope(kind=1, jurisdiction=0), None, end=rules[0].first_end, on=DAY).end == rules[0].new_end


def test_a_retraction_can_be_retracted() -> None:
    bodies: list[NoticeBody] = [extension(1), retraction(2, 1, DAY), retraction(3, 2, DAY + 5)]
    assert [len(standing_extensions(bodies, day)) for day in (DAY - 1, DAY, DAY + 4, DAY + 5)] == [1, 0, 0, 1]


def test_it_says_what_to_do(office: Office) -> None:
    (window, *_, registration) = found_on(office, DAY, within=1_000)
    assert "签发新的使用件" in to_do(window, "zh")
    assert "fresh usage copy" in to_do(window, "en")
    assert registration.renewal is not None
    assert registration.renewal.answer is RenewalAnswer.TOO_EARLY
    assert "[TOO_EARLY]" in to_do(registration, "en")
    assert "没有适用的规则" in to_do(replace(registration, renewal=None), "zh")


def test_a_window_without_its_profile_names_no_rule(office: Office) -> None:
    with office.open() as workspace:
        claims = parse_claims(workspace.ledger.copy(1, 0).claims)
        profile = workspace.profiles().select(1, 0, DAY)
    assert window_rule(claims, None) == ()
    assert window_rule(claims, profile)
    assert window_rule(replace(claims, registered_until=DAY - 9, specialties=()), profile) == ()


@pytest.fixture
def command(office: Office, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setattr("mingzheng.issuer.options.access_of", lambda _secret: office.access)

    def call(*more: str, day: int = SPECIALTY - 5) -> Result:
        head = ["expiring", "--workspace", str(office.root), "--as-of", format_day(day)]
        return CliRunner().invoke(cli, [*head, *more])

    return call


def test_as_json(command: Callable[..., Result]) -> None:
    lines = [json.loads(line) for line in command("--within", "2000", "--json").stdout.splitlines()]
    assert [line["what"] for line in lines] == ["specialty", "specialty", "registration", "registration"]
    for line in lines:
        Draft202012Validator(SCHEMA).validate(line)
    assert lines[0]["threshold"] == 7


def test_as_lines_in_both_languages(command: Callable[..., Result]) -> None:
    zh, en = command().stdout, command("--lang", "en").stdout
    assert "2027-01-01\t5 天\t专业 建筑工程" in zh
    assert "2027-01-01\t5 d\tspecialty 建筑工程" in en
    assert "没有届满" in command("--within", "0d").stderr
    assert "nothing ends" in command("--within", "0d", "--lang", "en").stderr
    assert "#" in command("--within", "200d", day=DAY).stdout


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_as_a_table(command: Callable[..., Result], lang: str) -> None:
    text = command("--csv", "--lang", lang, "--kind", "cn.constructor.1").stdout
    assert text.startswith(BOM)
    rows = list(csv.reader(io.StringIO(text.removeprefix(BOM))))
    assert len({len(row) for row in rows}) == 1
    assert [row[0] for row in rows[1:]] == ["2027-01-01"] * 2
    assert rows[0][0] == ("届满日" if lang == "zh" else "end")


@pytest.mark.parametrize("wrong", ["", "d", "-1d", "1.5d", "３０d", "99999d", "3661", "30days"])
def test_days_that_are_none(command: Callable[..., Result], wrong: str) -> None:
    assert command("--within", wrong).exit_code == 2


def test_wrong_use(command: Callable[..., Result]) -> None:
    assert command("--csv", "--json").exit_code == 2
    assert command("--kind", "cn.plumber").exit_code == 2
    assert command("--within", "3660d").exit_code == 0


@pytest.mark.parametrize(
    "bad", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1", "＋1", "－1", "＠1"]
)
def test_no_cell_is_a_formula(bad: str) -> None:
    assert safe_cell(bad) == f"'{bad}"


@given(st.lists(st.one_of(st.text(), st.none(), st.integers()), min_size=1))
def test_a_line_is_read_back_as_it_was_written(cells: list[object]) -> None:
    line = csv_line(cells)
    if "\x00" in line:
        return
    (row, *others) = csv.reader(io.StringIO(line + "\r\n", newline=""))
    if len(cells) > 1 or safe_cell(cells[0]):
        assert row == [safe_cell(cell) for cell in cells]
        assert not others
